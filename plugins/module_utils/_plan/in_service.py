# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which roots the clusters have in service, and which of them may be believed. Pure.

PRIVATE to the collection. One cluster cannot tell: whoever may write a Secret there may put a root into it, and issue
certificates of it. So no root is believed on the word of a single cluster.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import fingerprint_from
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import CaInCluster

__all__ = ["Recovery", "Shown", "believed", "recovery", "shown"]

WITNESSES = 2


@dataclass(frozen=True)
class Shown:
    """What a look has shown of the CA in one cluster.

    :param uid: of the cluster; empty where it is not known.
    """

    cluster: str
    uid: str
    ca: CaInCluster


@dataclass(frozen=True)
class Recovery:
    """:param roots: PEM of those that a recovery may trust.
    :param refusals: why it may not trust others that are in service.
    """

    roots: Sequence[str] = ()
    refusals: Sequence[Message] = ()


def shown(look: Mapping[str, Any]) -> Shown:
    """Of the result of M(mesh_cluster_info) or M(mesh_preflight_info)."""
    return Shown(look["cluster"], look.get("presence", {}).get("uid", ""), look["ca"])


def believed(seen: Collection[Shown], fingerprint: str) -> bool:
    """Whether certificates of a root are held by several clusters."""
    return len(_witnesses(seen, fingerprint)) >= WITNESSES


def recovery(seen: Collection[Shown], named: Collection[object]) -> Recovery:
    """Which roots a recovery trusts.

    :param named: C(custom_ca_lost_roots).
    """
    roots = {fingerprint: pem for item in seen for fingerprint, pem in item.ca["roots"].items()}
    wanted = {fingerprint_from(str(item)) for item in named}
    doubtful = [item for item in sorted(roots) if item not in wanted and not believed(seen, item)]
    return Recovery(
        [roots[item] for item in sorted(roots) if item not in doubtful], [_refusal(seen, item) for item in doubtful]
    )


def _witnesses(seen: Collection[Shown], fingerprint: str) -> list[str]:
    """Names of clusters that hold certificates of a root; two names of one cluster are one witness."""
    found = {item.uid or item.cluster: item.cluster for item in seen if fingerprint in item.ca["vouched"]}
    return sorted(found.values())


def _refusal(seen: Collection[Shown], fingerprint: str) -> Message:
    holders = listed(item.cluster for item in seen if fingerprint in item.ca["roots"])
    witnesses = listed(_witnesses(seen, fingerprint), "no cluster")
    return Message.error(
        "lost-root",
        where=f"root {fingerprint}",
        what=f"it stands in Secrets of {holders}, and certificates of it are held by {witnesses}; a recovery trusts a "
        f"root of which at least {WITNESSES} clusters hold certificates",
        fix="compare the fingerprint with a copy that no cluster gave you; if the root is yours, add it to "
        f"custom_ca_lost_roots, else take it out of ca.crt of our Secrets in {holders}, and find out who put it there",
    )
