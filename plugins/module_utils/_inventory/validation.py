# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that can be wrong with an inventory as the controller sees it, found at once. Pure.

PRIVATE to the collection. The rules for links, external servers and clusters are in M(rules).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import ENVIRONMENT, IN_CLUSTER
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import Finding, nearest, show
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import GivenLink, WantedLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.clusters import (
    check_cluster,
    check_declared,
    check_prune,
    check_settings,
    declared_in,
    name_of,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.links import (
    check_links,
    sound_links,
    subject_of,
)

__all__ = ["World", "check_world"]

# What leads to one cluster alone, the first that is given; and what kubeconfigs are told apart by.
_ONE_CLUSTER = ("mesh_argocd_secret", "mesh_api_host", "mesh_context")
_WAYS = ("mesh_kubeconfig", "mesh_api_host", "mesh_argocd_kubeconfig", "mesh_argocd_context", "mesh_argocd_secret")
GROUP_OF = {"servers": desired.SERVERS_GROUP, "clients": desired.CLIENTS_GROUP}


@dataclass(frozen=True)
class World:
    """What the validation on the controller can see of the inventory.

    :param variables: of every visible cluster, by host name; contract names, undefined ones left out.
    :param groups: names of all groups; a part of an inventory keeps them.
    :param shared: values of the group variables as the controller sees them.
    """

    variables: Mapping[str, Mapping[str, Any]]
    groups: frozenset[str]
    shared: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mesh_clusters(self) -> Mapping[str, Sequence[str]]:
        """The declared groups of every cluster; none where they are not given, or not sound."""
        declared = self.shared.get("mesh_clusters")
        if not isinstance(declared, Mapping) or any(check_declared(self.shared, "mesh_clusters", declared)):
            return {}
        return declared_in(declared)

    @property
    def declared_groups(self) -> frozenset[str]:
        """Groups that a declared cluster is in; in this part of the inventory they may have no member."""
        return frozenset(group for groups in self.mesh_clusters.values() for group in groups)

    @cached_property
    def sound_links(self) -> list[GivenLink]:
        """The links with which, each alone, nothing is wrong."""
        return sound_links(self.shared.get("mesh_links"))

    @cached_property
    def wanted_links(self) -> list[WantedLink]:
        """Those of them that are to be there, every key defaulted."""
        return desired.present(self.sound_links)

    @cached_property
    def clusters(self) -> dict[str, desired.Cluster]:
        """All that are seen or declared, by name, with what says on which side of a link they are."""
        found: dict[str, dict[str, Any]] = {name: {"groups": groups} for name, groups in self.mesh_clusters.items()}
        found |= {
            name_of(variables): {name: variables.get(name) for name in ("groups", "mesh_cluster_state")}
            for variables in self.variables.values()
        }
        return {name: desired.cluster_of({"mesh_cluster_name": name, **given}) for name, given in found.items()}


def check_world(world: World, *, prune_all: bool) -> list[Finding]:
    """Findings on the whole inventory, as the controller sees it: links, clusters and how they refer to each other."""
    links = world.shared.get("mesh_links")
    findings = check_links(links) + check_settings(world.shared) + check_prune(links, allowed=prune_all)
    for variables in world.variables.values():
        findings += check_cluster(variables, world.sound_links)
    for check in CHECKS_OF_A_WORLD:
        findings += check(world)
    if not findings and not prune_all:
        findings += _check_something_left(world)
    # What two links do to each other is found in every cluster that dials both, and said of the first.
    told: dict[tuple[str, str, str, str], Finding] = {}
    for finding in findings:
        told.setdefault((finding.code, finding.subject, finding.field, finding.value), finding)
    return list(told.values())


def _check_something_left(world: World) -> Iterator[Finding]:
    """Links that no cluster has any more: a wrong group or a state takes everything away as surely as an empty list."""
    links = world.wanted_links
    clusters = world.clusters.values()
    if any(desired.server_links(links, cluster) or desired.client_links(links, cluster) for cluster in clusters):
        return
    yield Finding.of(
        "prunes-everything",
        "mesh_links",
        "mesh_links",
        f"{len(links)} links",
        "no cluster is server or client of any link, so every object would be removed",
        "check the groups mesh_servers and mesh_clients, or run with -e mesh_prune_all=true",
    )


def _references(world: World) -> Iterator[tuple[str, Mapping[str, Any], str, str]]:
    """Every name in `servers` and `clients`: the link as a subject, the link, the side, the name."""
    links = world.shared.get("mesh_links")
    for index, link in enumerate(links if isinstance(links, list) else []):
        for side in GROUP_OF if isinstance(link, Mapping) else ():
            references = link.get(side)
            for reference in references if isinstance(references, list) else []:
                name = reference.get("name") if isinstance(reference, Mapping) else reference
                if isinstance(name, str):
                    yield subject_of(link, index), link, side, name


def _check_references(world: World) -> Iterator[Finding]:
    known = {*world.clusters, *world.groups, *world.declared_groups}
    for subject, _link, side, name in _references(world):
        if name not in known:
            fix = nearest(name, sorted(known), f"write one of {', '.join(sorted(world.clusters))}")
            what = "is neither a cluster nor a group of the inventory"
            yield Finding.of("unknown-cluster", subject, side, show(name), what, fix)


def _check_both_sides(world: World) -> Iterator[Finding]:
    """A cluster that is named as client of a link that it serves would dial itself through both gateways."""
    for link in world.wanted_links:
        for client in link.get("clients") or ():
            cluster = world.clusters.get(client)
            if cluster and desired.server_links([link], cluster):
                what = "is both server and client of the link"
                fix = (
                    "remove it from one of the two lists (without servers, every cluster of mesh_servers is a server); "
                    "a group in clients leaves out the link's own servers"
                )
                yield Finding.of("both-sides", link["name"], "clients", show(client), what, fix)


def _check_served(world: World) -> Iterator[Finding]:
    """Links whose servers are nobody. Who is in a group nobody knows here: a slice does not see all of its members."""
    group = desired.SERVERS_GROUP
    served = [link for link in world.wanted_links if not link.get("external")]
    for link in served:
        if link.get("servers") == []:
            fix = f"add a cluster, or remove servers, so that every cluster of {group} serves the link"
            yield Finding.of("no-server", link["name"], "servers", show([]), "the link has no server", fix)
    if served and group not in world.groups | world.declared_groups:
        what = f"no server: the inventory has no group {group}"
        fix = f"add the servers to a group {group}; list clusters of another inventory slice in mesh_clusters"
        yield Finding.of(
            "no-server", "mesh_links", "mesh_links", ", ".join(sorted(link["name"] for link in served)), what, fix
        )


def _check_server_groups(world: World) -> Iterator[Finding]:
    """One address cannot stand for several clusters."""
    for link in world.wanted_links:
        for server in link.get("servers") or ():
            name = server["name"] if isinstance(server, Mapping) and server.get("address") else None
            if name is None or name in world.clusters:
                continue
            members = sorted(member for member, cluster in world.clusters.items() if name in cluster.groups)
            if len(members) > 1:
                what = f"is a group of several clusters ({', '.join(members)}) with one address"
                fix = "list each cluster with its own address"
                yield Finding.of("server-address", link["name"], "servers.name", show(name), what, fix)


def _check_groups(world: World) -> Iterator[Finding]:
    """A cluster that is named, but not in the group of that side, would be left out, or emptied, without a word."""
    for subject, link, side, name in _references(world):
        group, cluster = GROUP_OF[side], world.clusters.get(name)
        if link.get("state") == "absent" or name in world.groups or cluster is None:
            continue
        if cluster.state == "absent" or group in cluster.groups:
            continue
        fix = f"add it to {group}, or remove it from {side}"
        yield Finding.of("wrong-group", subject, side, show(name), f"is not in {group}", fix)


def _check_cluster_names(world: World) -> Iterator[Finding]:
    hosts: dict[str, list[str]] = defaultdict(list)
    for host, variables in world.variables.items():
        hosts[name_of(variables)].append(host)
    for name, sharing in hosts.items():
        if len(sharing) > 1:
            yield Finding.of(
                "duplicate-cluster",
                name,
                "mesh_cluster_name",
                show(name),
                f"is the name of several hosts: {', '.join(sorted(sharing))}",
                "give each cluster a name of its own",
            )


def _check_places(world: World) -> Iterator[Finding]:
    """Hosts that meet in one cluster: a context that was forgotten, or misspelt, is whatever the current one is."""
    for there in _places(world):
        if len(there) == 1 or all(map(_is_of_process, there)):
            continue
        unset = [name_of(variables) for variables in there if not _context_of(variables)]
        met = _shared(world, [name_of(variables) for variables in there])
        shared = {what: names for what, names in met.items() if not unset or set(unset) & set(names)}
        if shared:
            names = list(dict.fromkeys(name for found in shared.values() for name in found))
            where = "use one kubeconfig, and not all set mesh_context" if unset else "connect to the same cluster"
            more = ", ..." if len(shared) > 3 else ""
            what = f"{', '.join(names)} {where}; they share {', '.join([*shared][:3])}{more}"
            fix = (
                "set a different mesh_context, mesh_kubeconfig or mesh_api_host for each; two meshes in one cluster "
                "need mesh_context and different gateways"
            )
            field = next((name for name in _ONE_CLUSTER if there[0].get(name)), "mesh_context")
            value = "not set" if unset else _shown(there[0][field], field)
            yield Finding.of("same-cluster", (unset or names)[0], field, value, what, fix)


def _check_one_api_server(world: World) -> Iterator[Finding]:
    """An account or an address of the process leads to one cluster, whoever asks."""
    asking: dict[str, list[str]] = defaultdict(list)
    for variables in world.variables.values():
        if _is_of_process(variables):
            asking[variables["mesh_kubeconfig"]].append(name_of(variables))
    for way, clusters in asking.items():
        if len(clusters) > 1:
            what = f"leads {', '.join(clusters)} to one API server"
            fix = (
                "leave it to one of them, and give each other one a kubeconfig and its mesh_context, or mesh_api_host "
                "and mesh_api_key"
            )
            yield Finding.of("one-api-server", clusters[0], "mesh_kubeconfig", show(way), what, fix)


def _is_of_process(variables: Mapping[str, Any]) -> bool:
    """Whether a host asks for what the whole process has one of."""
    return variables.get("mesh_kubeconfig") in (IN_CLUSTER, ENVIRONMENT) and not _context_of(variables)


def _shown(value: object, field: str) -> str:
    """Of an address that may hold a password nothing is told; contexts have an C(@) in their names."""
    suspect = field == "mesh_api_host" and any(mark in str(value) for mark in "@?#")
    return "not shown, as it may hold a password" if suspect else show(value)


def _places(world: World) -> Iterator[list[Mapping[str, Any]]]:
    """Hosts that may lead to one cluster: with one kubeconfig, all where somebody names no context in it."""
    files: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for variables in world.variables.values():
        files[tuple(str(variables.get(name) or "") for name in _WAYS)].append(variables)
    for there in files.values():
        places: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
        for variables in there:
            if _context_of(variables):
                places[_place_of(variables)].append(variables)
        yield from places.values()
        if not all(map(_context_of, there)):
            yield there


def _context_of(variables: Mapping[str, Any]) -> str:
    """What leads to one cluster alone; empty for a kubeconfig's current context."""
    return next((str(variables[name]) for name in _ONE_CLUSTER if variables.get(name)), "")


def _place_of(variables: Mapping[str, Any]) -> tuple[str, ...]:
    names = ("mesh_ingress_gateway", "mesh_egress_gateway")
    sound = {name: variables[name] for name in names if isinstance(variables.get(name), Mapping)}
    cluster = desired.cluster_of({"mesh_cluster_name": "", **sound})
    gateways = (cluster.ingress_gateway, cluster.egress_gateway)
    ways = (str(gateway[key]) for gateway in gateways for key in ("namespace", "service"))
    return (_context_of(variables), *ways)


def _shared(world: World, names: Sequence[str]) -> dict[str, list[str]]:
    """What several of the clusters have, and who: a link that they serve or dial, the credential of those who dial."""
    having: dict[str, list[str]] = defaultdict(list)
    for cluster in (world.clusters[name] for name in dict.fromkeys(names)):
        served, dialled = (side(world.wanted_links, cluster) for side in (desired.server_links, desired.client_links))
        for link in dict.fromkeys(link["name"] for link in (*served, *dialled)):
            having[f"link {link}"].append(cluster.name)
        if not all(map(desired.has_owners_ca, dialled)):
            having["the client credential"].append(cluster.name)
    return {what: found for what, found in having.items() if len(found) > 1}


def _check_one_value(world: World) -> Iterator[Finding]:
    """A variable of group all that one cluster holds with another value: two clusters would then build two links."""
    for host, variables in world.variables.items():
        for name, shared in world.shared.items():
            if name in variables and variables[name] != shared:
                what = f"differs from the value of the other clusters ({_apart(variables[name], shared)})"
                fix = "set it once, in group_vars/all"
                yield Finding.of("two-values", host, name, show(variables[name]), what, fix)


def _apart(value: object, shared: object) -> str:
    """The other value; of two mappings, which are shown by their keys alone, those that are not the same."""
    if not isinstance(value, Mapping) or not isinstance(shared, Mapping):
        return show(shared)
    keys = [key for key in {**shared, **value} if shared.get(key) != value.get(key)]
    return f"another {', '.join(map(show, keys))}"


def _check_declared_groups(world: World) -> Iterator[Finding]:
    if not world.mesh_clusters:
        return
    sides = {desired.CLIENTS_GROUP, desired.SERVERS_GROUP}
    for variables in world.variables.values():
        name = name_of(variables)
        fix = "make mesh_clusters match the groups in the inventory"
        if name not in world.mesh_clusters:
            what = "the cluster is in the inventory but not in mesh_clusters"
            yield Finding.of("two-values", name, "mesh_clusters", show(sorted(world.mesh_clusters)), what, fix)
            continue
        actual, declared = sides & set(variables.get("groups", ())), sides & set(world.mesh_clusters[name])
        if actual != declared:
            what = f"differs from the cluster's groups in the inventory, {show(sorted(actual))}"
            yield Finding.of("two-values", name, "mesh_clusters", show(sorted(declared)), what, fix)


CHECKS_OF_A_WORLD: tuple[Callable[[World], Iterator[Finding]], ...] = (
    _check_references,
    _check_both_sides,
    _check_served,
    _check_server_groups,
    _check_groups,
    _check_cluster_names,
    _check_places,
    _check_one_api_server,
    _check_one_value,
    _check_declared_groups,
)
