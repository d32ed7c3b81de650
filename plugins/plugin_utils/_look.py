# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape in which a look at a cluster, and the proof after it, pass through Ansible to the tasks that follow.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, TypeGuard

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Identity
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import BackendFault
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import GatewayPlace, WantedSecret
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Stage
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.presence import Presence
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import CaInCluster, ShownTrust
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.status import LinkSideJson

__all__ = [
    "LOOKS",
    "ClusterLook",
    "EndpointJson",
    "Options",
    "PlanJson",
    "ProofJson",
    "SideLook",
    "is_seen",
    "last_standings",
    "why_unseen",
]

_NOT_LOOKED_AT = "not looked at in this run (--limit)"

# Arguments of actions that are given all of it; doc_fragments/looks.py documents them.
LOOKS: Mapping[str, Any] = {
    "looks": {"type": "dict", "required": True},
    "proofs": {"type": "list", "elements": "dict", "default": []},
    "names": {"type": "dict", "default": {}},
}


class EndpointJson(TypedDict):
    address: str
    port: int
    fqdn: str


class PlanJson(TypedDict):
    """A plan; its messages as text.

    :param barring: errors that forbid to renew certificates as well.
    :param manifests: what mesh_manifests is to do, in JSON; empty where there is nothing, or something forbids it.
    """

    errors: list[str]
    barring: list[str]
    warnings: list[str]
    notices: list[str]
    alarms: list[str]
    report: list[str]
    renewals: list[str]
    lines: list[str]
    changed: bool
    drifted: bool
    credentials: list[WantedSecret]
    trust: list[ShownTrust]
    issuers: list[str]
    surplus: list[str]
    manifests: str
    moved: list[str]
    expected: list[str]
    endpoints: list[EndpointJson]
    await_address: bool
    served: bool
    faults: list[str]
    judged: list[str]
    unbacked: dict[str, BackendFault]
    proven: bool


class SideLook(PlanJson, GatewayPlace):
    """The plan of one side, and what the tasks that carry it out must know of the side.

    :param settled: nothing is to be done, and nothing forbids it.
    :param links: their names.
    :param secrets: how many the side is to have.
    """

    status: list[LinkSideJson]
    side: Side
    settled: bool
    manager: str
    links: list[str]
    secrets: int


class Options(TypedDict):
    """How far the policy of a look lets a run go."""

    stage: Stage
    existing: bool
    force: bool


class ClusterLook(TypedDict):
    """The result of mesh_cluster_info, as far as other actions read it.

    :param unrecorded: records that the CA store lacks, of certificates that the cluster holds.
    :param details: in JSON, for a report; empty where it was not asked for.
    """

    cluster: str
    instance: str
    identity: Identity
    presence: Presence
    ca: CaInCluster
    unrecorded: list[dict[str, Any]]
    details: str
    options: Options
    sides: dict[Side, SideLook]


def is_seen(look: Mapping[str, Any]) -> TypeGuard[ClusterLook]:
    """Whether a look came to its end; C(why_unseen) says of another one what it has told first."""
    return "sides" in look


def why_unseen(look: Mapping[str, Any]) -> str:
    errors = [Message.from_json(error).seen for error in look.get("errors") or ()]
    return (errors or [str(look.get("msg") or _NOT_LOOKED_AT)])[0]


class ProofJson(TypedDict):
    """The result of mesh_proof, as far as other actions read it; empty where nothing was proven."""

    pods: NotRequired[dict[Side, list[str]]]
    links: NotRequired[dict[Side, list[LinkSideJson]]]


def last_standings(look: ClusterLook, proof: ProofJson) -> list[LinkSideJson]:
    """Each side's links as they were seen last."""
    last = {side: plan["status"] for side, plan in look["sides"].items()} | (proof.get("links") or {})
    return [link for links in last.values() for link in links]
