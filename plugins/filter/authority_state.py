# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter authority_state; documented in authority_state.yml."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import has_own_trust, is_ours, trust_of


def authority_state(
    hostvars: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    mesh_clusters: Mapping[str, Any],
    limited: bool,
    adopt: bool,
) -> dict[str, Any]:
    hosts = dict.fromkeys([*groups.get(desired.SERVERS_GROUP, ()), *groups.get(desired.CLIENTS_GROUP, ())])
    readings = {host: _reading(hostvars[host]) for host in hosts}
    seen = [reading for reading in readings.values() if reading]
    roots = {root.fingerprint: root.pem for reading in seen for root in _roots(reading)}
    in_service = sorted(roots)
    missing = any(not reading["authority"]["issuing"] for reading in seen)
    trusted = {pem for reading in seen for pem in reading["authority"]["trusted"]}
    known = {view.fingerprint for pem in trusted for view in trust_of({"trust": pem, "name": "store"})}
    known |= {root for reading in seen for name in ("retiring", "retired") for root in reading["authority"][name]}
    # An adoption that was interrupted leaves roots of before in Secrets that are ours already.
    unknown = [] if adopt and not missing else [root for root in in_service if root not in known]
    elsewhere = set(mesh_clusters) - {reading["cluster"] for reading in seen}
    unseen = sorted({host for host, reading in readings.items() if not reading} if limited else ()) or sorted(elsewhere)
    return {
        "needed": missing or bool(unknown),
        "in_service": unknown if not missing else in_service,
        "roots": [roots[fingerprint] for fingerprint in in_service],
        "unseen": unseen if missing and (limited or mesh_clusters) else [],
    }


def _reading(variables: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = variables.get("__mesh_common_read") or {}
    reading: dict[str, Any] = json.loads(found.get("reading") or "{}")
    return {**reading, "instance": found["request"]["instance"]} if reading else {}


def _roots(reading: Mapping[str, Any]) -> list[CertificateView]:
    """The roots that this cluster's own Secrets hold; another instance may have another CA."""
    owners = [names.Owner(reading["instance"], reading["cluster"], side) for side in ("server", "client")]
    return [
        view
        for secret in reading["secrets"]
        if any(is_ours(secret, owner) for owner in owners) and has_own_trust(secret)
        for view in trust_of(secret)
    ]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"authority_state": authority_state}
