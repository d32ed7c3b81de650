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
from typing import Literal, TypedDict, cast

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import clock_error, clock_warning
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.refusals import unknown_kinds
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight import permissions
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.permissions import Need

__all__ = [
    "CA_STORE",
    "CHECKS",
    "NOBODY",
    "WHOLE_CLUSTER",
    "Row",
    "RowJson",
    "Status",
    "api_row",
    "clock_row",
    "crd_rows",
    "istio_row",
    "permission_rows",
    "row_of",
]

Status = Literal["ok", "warning", "failed", "unknown"]
# In place of a cluster or a link that a row is not about.
NOBODY = "-"
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
    "namespace": "whether the gateways are apart from the mesh's own CA",
    "backend": "whether the Service behind a link is there and in the mesh",
    "proxies": "whether the gateways' proxies do for a link what it means, once it is written",
    "others": "whether an object of others stands in a link's way, or a link in the way of theirs",
    "port": "whether the gateway's port is free, or open already",
    "names": "whether others have something under the names of a link",
    "fqdn": "whether the name resolves in the client's gateway, and to the servers'",
    "ca": "whether the CA can issue, and is the one that the clusters know",
    "external": "whether a certificate for an external server could be kept, and is served",
    "dry-run": "whether the API server would accept what the run would write",
    "run": "what the run would do, and whatever else would stop it",
}


class RowJson(TypedDict):
    """The fields of a Row."""

    cluster: str
    link: str
    check: str
    status: Status
    seen: str
    fix: str
    code: str
    where: str


@dataclass(frozen=True)
class Row:
    """One answer, made of a message; or of what was seen, where there is nothing to do.

    :param seen: what was seen.
    :param fix: what to do about it.
    :param code: of the message, as the catalogue has it.
    :param where: of the message; with the code it tells whether two rows say the same.
    """

    cluster: str
    link: str
    check: str
    status: Status
    seen: str
    fix: str = ""
    code: str = ""
    where: str = ""

    def __post_init__(self) -> None:
        for part in ("cluster", "link", "seen", "fix", "where"):
            object.__setattr__(self, part, visible(getattr(self, part)))

    @classmethod
    def of(cls, cluster: str, link: str, check: str, message: Message) -> Row:
        status: Status = "failed" if message.level == "error" else "warning"
        return cls(cluster, link, check, status, message.seen, message.fix, message.code, message.where)

    def says(self, message: Message) -> bool:
        """Whether the row is about the same: the words may name other links of it."""
        return (self.code, self.where) == (message.code, message.where)

    def to_json(self) -> RowJson:
        return cast(RowJson, asdict(self))


def row_of(found: RowJson) -> Row:
    """The same read back."""
    return Row(**found)


def api_row(cluster: str, where: str, version: str, user: str) -> Row:
    return Row(cluster, NOBODY, "api", "ok", f"{where}: Kubernetes {version}" + (f", as {user}" if user else ""))


def clock_row(cluster: str, ahead_seconds: float) -> Row:
    if fault := clock_error(ahead_seconds) or clock_warning(ahead_seconds):
        return Row.of(cluster, NOBODY, "clock", fault)
    return Row(cluster, NOBODY, "clock", "ok", "less than a minute from the API server's")


def permission_rows(cluster: str, answers: Mapping[Need, bool], problem: str) -> list[Row]:
    """One row for all that is permitted, or one for each resource of which something is not.

    :param problem: why the API server could not be asked.
    """
    if problem:
        return [Row(cluster, NOBODY, "permission", "unknown", f"could not be checked: {problem}")]
    denied = [need for need, allowed in answers.items() if not allowed]
    if not denied:
        return [Row(cluster, NOBODY, "permission", "ok", f"all {len(answers)} permissions that a run needs")]
    faults = map(permissions.describe, permissions.of_group(denied))
    return [Row.of(cluster, NOBODY, "permission", fault) for fault in faults]


def crd_rows(cluster: str, wanted: Sequence[names.Kind], served: Mapping[str, frozenset[str] | str]) -> list[Row]:
    """One row for an API group.

    :param served: plurals that each group serves in our version, or why that is not known.
    """
    rows = []
    for group in dict.fromkeys(kind.group for kind in wanted):
        kinds = [kind for kind in wanted if kind.group == group]
        found = served[group]
        if isinstance(found, str):
            rows.append(Row(cluster, NOBODY, "crds", "unknown", f"{group} could not be checked: {found}"))
            continue
        missing = [kind.kind for kind in kinds if kind.plural not in found]
        if missing:
            rows.append(Row.of(cluster, NOBODY, "crds", unknown_kinds(group, missing)))
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
    old = [version for version in versions.values() if (read := _number(version)) and read < names.OLDEST_ISTIO]
    if old:
        fix = f"update to {names.SUPPORTED_ISTIO}; older versions are not tested"
        return Row.of(cluster, NOBODY, "istio", Message.warning("old-istio", where="", what=seen, fix=fix))
    if any(_number(version) is None for version in versions.values()):
        return Row(cluster, NOBODY, "istio", "unknown", f"{seen}: not a version of Istio")
    return Row(cluster, NOBODY, "istio", "ok", seen)


def _pods(versions: Mapping[str, str], version: str) -> str:
    return ", ".join(sorted(pod for pod, found in versions.items() if found == version))


def _number(version: str) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None
