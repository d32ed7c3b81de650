# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which clusters of somebody else's list become hosts. Pure.

PRIVATE to the collection. The list may only narrow what the inventory allows: a cluster that it does not name is none,
a name that stands for two is nobody's, and no name is taken that means something else to Ansible.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.known import Known
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import is_label
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


def select(found: Iterable[Known | Message], wanted: Sequence[str], names: Mapping[str, str]) -> Selection:
    """Take what the inventory asks for.

    :param wanted: names of hosts, or patterns of the shell.
    :param names: what hosts are called, by what clusters are called in the list; the same where it is not given.
    """
    entries = list(found)
    faults = [entry for entry in entries if isinstance(entry, Message)]
    called: dict[str, list[Known]] = defaultdict(list)
    for known in entries:
        if isinstance(known, Known):
            called[str(names.get(known.name, known.name))].append(known)
    chosen = {host: there for host, there in called.items() if _is_wanted(host, wanted)}
    hosts = {}
    for host, there in chosen.items():
        if fault := _fault(host, there):
            faults.append(fault)
        else:
            hosts[host] = there[0]
    faults += [_missing(pattern) for pattern in wanted if not any(fnmatchcase(host, pattern) for host in called)]
    return Selection(hosts, tuple(sorted(called.keys() - chosen.keys())), tuple(faults))


def _is_wanted(host: str, wanted: Sequence[str]) -> bool:
    return any(fnmatchcase(host, pattern) for pattern in wanted)


def _fault(host: str, there: Sequence[Known]) -> Message | None:
    if len(there) > 1:
        what = f"{len(there)} clusters are called so, and which one is meant nobody can tell"
        servers = listed({known.server for known in there if known.server})
        return _left_out(f"cluster {host}", f"{what} ({servers})", "give each a name of its own, there or in names")
    if not is_label(host) or host in _ANSIBLES:
        what = "its name is not a DNS label, or one that Ansible has for something else"
        return _left_out(f"cluster {host}", what, "give it another name in names, e.g. {its name there: cluster-b}")
    return None


def _missing(pattern: str) -> Message:
    fix = "correct clusters, or register the cluster there"
    return _left_out(f"clusters: {pattern}", "no cluster in the list is called so", fix)


def _left_out(where: str, what: str, fix: str) -> Message:
    return Message.warning("cluster-left-out", where=where, what=what, fix=fix)
