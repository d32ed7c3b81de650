# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which links of a side are judged in its gateway's pods, and what is said of them. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import BackendFault, Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide, is_client, is_server
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.notices import backend_faults
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.judge import (
    failed_connections,
    faults_of,
    fresh_pod,
)

__all__ = ["faults", "fresh", "is_told", "judged", "unbacked", "warnings"]

# Codes of what is wrong with a backend where no call reaches it.
BROKEN = ("backend-missing", "backend-port")


def faults(reading: Reading, side: DesiredSide, owner: names.Owner, policy: Policy) -> list[Fault]:
    """What the ready pods do not do of the links that are written already, link by link."""
    written = _written(reading, owner)
    links = [link for link in side["links"] if link["name"] in written and policy.works_on(link["name"])]
    service, known = reading["services"][owner.side], unbacked(reading, side)
    pods = [pod for pod in reading["pods"][owner.side] if pod["ready"]]
    found = [fault for pod in pods for fault in faults_of(pod, links, service)]
    return [fault for item in found if (fault := item.beside(known))]


def judged(reading: Reading, side: DesiredSide, owner: names.Owner, policy: Policy) -> list[str]:
    """The links that a proof after this plan has to find in order: a stage writes none."""
    written = _written(reading, owner) if policy.existing else {link["name"] for link in side["links"]}
    return [link["name"] for link in side["links"] if link["name"] in written and policy.works_on(link["name"])]


def unbacked(reading: Reading, side: DesiredSide) -> dict[str, BackendFault]:
    """By link, what a warning tells of its backend: it is not there yet, or not in the mesh."""
    if not is_server(side):
        return {}
    return {
        link: {"code": fault.code, "what": fault.what, "fix": fault.fix, "carries": fault.code not in BROKEN}
        for link, fault in backend_faults(reading, side).items()
    }


def is_told(fault: Fault, backends: Mapping[str, BackendFault]) -> bool:
    """Whether a warning about the backend of its link tells the same."""
    known = backends.get(fault.link)
    return known is not None and known["code"] == fault.code


def warnings(
    reading: Reading, side: DesiredSide, owner: names.Owner, policy: Policy, found: Sequence[Fault]
) -> list[Message]:
    """What does not fail a run."""
    known = unbacked(reading, side)
    outside = [fault.message("warning") for fault in found if fault.outside and not is_told(fault, known)]
    return [*outside, *_failed(reading, side, owner, policy), *fresh(reading, owner, found)]


def _failed(reading: Reading, side: DesiredSide, owner: names.Owner, policy: Policy) -> list[Message]:
    if not is_client(side):
        return []
    links = [link for link in side["links"] if policy.works_on(link["name"])]
    return [message for pod in reading["pods"][owner.side] for message in failed_connections(pod, links)]


def fresh(reading: Reading, owner: names.Owner, found: Sequence[Fault]) -> list[Message]:
    """What a pod would lack that was started now."""
    return [message for pod in reading["pods"][owner.side] for message in fresh_pod(pod, found)]


def _written(reading: Reading, owner: names.Owner) -> set[str]:
    """The links that have a Gateway of ours."""
    return {
        labels[names.LABEL_LINK]
        for item in reading["objects"]
        if item["kind"] == "Gateway"
        for labels in [item["metadata"]["labels"]]
        if owner.labelled(labels) and names.LABEL_LINK in labels
    }
