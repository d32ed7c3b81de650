# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which clusters of somebody else's list become hosts. Pure.

PRIVATE to the collection. The list may only narrow what the inventory allows: a cluster that it does not name is none,
a name that stands for two is nobody's, and no name is taken that means something else to Ansible. What is wrong with
others is nothing to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.known import Known
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import LONGEST_LABEL, is_label
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed

__all__ = ["Selection", "select"]

# Hosts and groups that every inventory of Ansible has.
_ANSIBLES = frozenset({"localhost", "all", "ungrouped"})


@dataclass(frozen=True)
class Selection:
    """:param hosts: clusters, by the names that hosts get.
    :param others: names of clusters that the inventory does not ask for.
    :param faults: clusters that it asks for, and that are left out.
    """

    hosts: Mapping[str, Known]
    others: tuple[str, ...]
    faults: tuple[Message, ...]


def select(
    found: Iterable[Known], wanted: Sequence[str], names: Mapping[str, str], taken: Collection[str] = ()
) -> Selection:
    """Take what the inventory asks for.

    :param wanted: names of hosts, or patterns of the shell.
    :param names: what hosts are called, by what clusters are called in the list; the same where it is not given.
    :param taken: names of clusters and groups that other files of the inventory have.
    """
    called: dict[str, list[Known]] = defaultdict(list)
    for known in found:
        called[str(names.get(known.name, known.name))].append(known)
    chosen = {host: there for host, there in called.items() if _is_wanted(host, wanted)}
    hosts: dict[str, Known] = {}
    faults: list[Message] = []
    for host, there in chosen.items():
        if fault := _fault(host, there, taken):
            faults.append(fault)
        else:
            hosts[host] = there[0]
    faults += [_missing(pattern) for pattern in wanted if not any(fnmatchcase(host, pattern) for host in called)]
    return Selection(hosts, tuple(sorted(called.keys() - chosen.keys())), tuple(faults))


def _is_wanted(host: str, wanted: Sequence[str]) -> bool:
    return any(fnmatchcase(host, pattern) for pattern in wanted)


def _fault(host: str, there: Sequence[Known], taken: Collection[str]) -> Message | None:
    if len(there) > 1:
        what = f"{len(there)} clusters are called so, and which one is meant nobody can tell"
        servers = listed({known.server for known in there if known.server})
        return _left_out(f"cluster {host}", f"{what} ({servers})", "give each a name of its own, there or in names")
    if there[0].fault:
        return there[0].fault
    if (unfit := _unfit(host)) is not None:
        return _left_out(f"cluster {host}", unfit, f"give it another name: names: {{{there[0].name}: cluster-b}}")
    if host in taken:
        what = "a group, or a cluster of another file of this plugin, is called so"
        return _left_out(f"cluster {host}", what, "give one of both another name; for a cluster, in names")
    return None


def _unfit(host: str) -> str | None:
    """Why a host cannot have this name."""
    if not is_label(host):
        return f"its name is not a DNS label (lower-case letters, digits and hyphens, at most {LONGEST_LABEL})"
    return "Ansible has this name for something else" if host in _ANSIBLES else None


def _missing(pattern: str) -> Message:
    fix = "correct clusters, or register the cluster there"
    return _left_out(f"clusters: {pattern}", "no cluster in the list is called so", fix)


def _left_out(where: str, what: str, fix: str) -> Message:
    return Message.warning("cluster-left-out", where=where, what=what, fix=fix)
