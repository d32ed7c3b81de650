# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found before a run, as rows of one table; here those of a cluster as a whole. Pure.

PRIVATE to the collection. A row is C(unknown) where something could not be seen, says why, and never counts as ok.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import clock_errors, clock_warnings
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight import permissions
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.permissions import Need

__all__ = [
    "CA_STORE",
    "CHECKS",
    "NOBODY",
    "WHOLE_CLUSTER",
    "Row",
    "Status",
    "api_row",
    "clock_row",
    "crd_rows",
    "istio_row",
    "permission_rows",
    "row_of",
    "told",
]

Status = Literal["ok", "warning", "failed", "unknown"]
# In place of a cluster or a link that a row is not about.
NOBODY = "-"
OLDEST_ISTIO = (1, 24)
# What could not be read, beside the parts of a reading.
CA_STORE, WHOLE_CLUSTER = "the CA store", "the cluster"

# What each check asks, in the order of the table; docs/preflight.md explains them under these names.
CHECKS: Mapping[str, str] = {
    "topology": "whether the inventory is sound",
    "api": "whether the API server answers, and its version",
    "clock": "whether the controller's clock agrees with the API server's",
    "permission": "whether the user may do what the run does",
    "crds": "whether the cluster knows the kinds that the links need",
    "istio": "which version the gateways run",
    "gateway": "whether the gateway is there and ready",
    "backend": "whether the Service behind a link is there and in the mesh",
    "port": "whether the gateway's port is free, or open already",
    "names": "whether others have something under the names of a link",
    "fqdn": "whether the name resolves in the client's gateway, and to the servers'",
    "ca": "whether the CA can issue, and is the one that the clusters know",
    "outside": "whether a certificate for a server outside of the clusters could be kept, and is served",
    "run": "what the run would do, and whatever else would stop it",
}

Json = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One answer.

    :param seen: what was seen.
    :param cure: what to do about it; empty where there is nothing to do.
    """

    cluster: str
    link: str
    check: str
    status: Status
    seen: str
    cure: str = ""

    def to_json(self) -> Json:
        return asdict(self)


def row_of(found: Mapping[str, Any]) -> Row:
    """The same read back."""
    return Row(**found)


def told(cluster: str, link: str, check: str, status: Status, text: str) -> Row:
    """A row of what the run itself says, C(what. Cure: how)."""
    seen, _separator, cure = text.partition(". Cure: ")
    return Row(cluster, link, check, status, seen.rstrip("."), cure.rstrip("."))


def api_row(cluster: str, where: str, version: str) -> Row:
    return Row(cluster, NOBODY, "api", "ok", f"{where}: Kubernetes {version}")


def clock_row(cluster: str, ahead_seconds: float) -> Row:
    for line in clock_errors(ahead_seconds):
        return told(cluster, NOBODY, "clock", "failed", line)
    for line in clock_warnings(ahead_seconds):
        return told(cluster, NOBODY, "clock", "warning", f"{line}. Cure: set the clock (NTP)")
    return Row(cluster, NOBODY, "clock", "ok", "less than a minute from the API server's")


def permission_rows(cluster: str, answers: Mapping[Need, bool], problem: str) -> list[Row]:
    """One row for all that is permitted, or one for each resource of which something is not.

    :param problem: why the API server could not be asked.
    """
    if problem:
        return [Row(cluster, NOBODY, "permission", "unknown", f"could not be asked: {problem}")]
    denied = [need for need, allowed in answers.items() if not allowed]
    if not denied:
        return [Row(cluster, NOBODY, "permission", "ok", f"all {len(answers)} that a run needs")]
    rows = []
    for group in permissions.of_group(denied):
        seen, cure = permissions.describe(group)
        if all(need.optional for need in group):
            rows.append(
                Row(cluster, NOBODY, "permission", "warning", f"{seen}: not every step of a run can be proven", cure)
            )
        else:
            rows.append(Row(cluster, NOBODY, "permission", "failed", seen, cure))
    return rows


def crd_rows(cluster: str, wanted: Sequence[names.Kind], served: Mapping[str, frozenset[str] | str]) -> list[Row]:
    """One row for an API group.

    :param served: plurals that each group serves in our version, or why that is not known.
    """
    rows = []
    for group in dict.fromkeys(kind.group for kind in wanted):
        kinds = [kind for kind in wanted if kind.group == group]
        found = served[group]
        if isinstance(found, str):
            rows.append(Row(cluster, NOBODY, "crds", "unknown", f"{group} could not be looked at: {found}"))
            continue
        missing = [kind.kind for kind in kinds if kind.plural not in found]
        if missing:
            seen = f"the cluster does not know {', '.join(missing)}"
            rows.append(Row(cluster, NOBODY, "crds", "failed", seen, "install Istio 1.24 or later, with its CRDs"))
        else:
            rows.append(Row(cluster, NOBODY, "crds", "ok", f"{group}/{kinds[0].version}: {len(kinds)} of {len(kinds)}"))
    return rows


def istio_row(cluster: str, versions: Mapping[str, str], problem: str) -> Row:
    """The version of the gateways' proxies; istiod's own is not open to the user of a run.

    :param versions: by pod.
    :param problem: why there are none.
    """
    if not versions:
        return Row(cluster, NOBODY, "istio", "unknown", problem)
    seen = ", ".join(f"{version} in {_pods(versions, version)}" for version in sorted(set(versions.values())))
    old = [version for version in versions.values() if (read := _number(version)) and read < OLDEST_ISTIO]
    if old:
        cure = "update Istio to 1.24 or later; older ones were never tried"
        return Row(cluster, NOBODY, "istio", "warning", seen, cure)
    if any(_number(version) is None for version in versions.values()):
        return Row(cluster, NOBODY, "istio", "unknown", f"{seen}: not a version of Istio")
    return Row(cluster, NOBODY, "istio", "ok", seen)


def _pods(versions: Mapping[str, str], version: str) -> str:
    return ", ".join(sorted(pod for pod, found in versions.items() if found == version))


def _number(version: str) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None
