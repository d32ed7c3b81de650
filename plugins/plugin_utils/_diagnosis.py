# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a diagnosis is made of. What cannot be read is told in its place: a part of a diagnosis is one, too.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._diagnosis.bundle import Part
from ansible_collections.crossmesh.mtls.plugins.module_utils._diagnosis.excerpts import (
    of_external,
    of_look,
    of_proof,
    of_variables,
    picked,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, internal_error
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import DEFAULT_INSTANCE
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import topology_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Variables, world_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import is_seen, why_unseen
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._variables import NAMES, contract, of_clusters, text
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._versions import versions

__all__ = ["Evidence", "instance_of", "parts_of", "secrets_of"]

Json = Mapping[str, Any]
# Checks of a preflight whose rows tell the versions of a cluster.
_OF_VERSIONS = ("api", "istio")
_JOURNAL = ("problems", "signed", "unsigned", "msg")
_PREFLIGHT = ("passed", "counts", "rows")
_TOPOLOGY = ("errors", "warnings")


@dataclass(frozen=True)
class Evidence:
    """What the tasks before have found.

    :param looks: by host; so C(proofs) and C(names).
    """

    looks: Mapping[str, Json]
    proofs: Mapping[str, Json]
    names: Mapping[str, str]
    topology: Json
    preflight: Json
    journal: Json
    external: Json
    now: datetime


def parts_of(variables: Variables, found: Evidence, report: Callable[[], Json]) -> Iterator[Part]:
    """:param report: makes the report."""
    rows: Sequence[Json] = found.preflight.get("rows") or ()
    yield _part("versions.json", "versions here, and of each cluster", partial(_versions, rows))
    yield _part("inventory.json", "links and variables, secret ones left out", partial(_inventory, variables))
    yield _part("topology.json", "what is wrong with the inventory", partial(picked, found.topology, _TOPOLOGY))
    yield _part("preflight.txt", "what would stand in the way of a run", partial(_table, found.preflight))
    yield _part(
        "preflight.json", "the same with permissions, for programs", partial(picked, found.preflight, _PREFLIGHT)
    )
    yield _part("ca.json", "the CA store: roots, phase, lists, audit journal", partial(_ca, variables, found))
    yield _part("report.json", "the report of playbook report (docs/report.schema.json)", report)
    for number, (host, look) in enumerate(sorted(found.looks.items()), 1):
        name, unseen = found.names.get(host) or host, "" if is_seen(look) else why_unseen(look)
        part = _part(
            f"clusters/{number:03}-{_as_file(name)}.json",
            f"{name}: its variables{'' if unseen else ', what is there, plan and drift, proof'}",
            partial(_cluster, variables, host, look, found.proofs.get(host) or {}),
        )
        yield replace(part, unseen=unseen)


def instance_of(variables: Variables) -> str:
    """Also of an inventory that is wrong: then a diagnosis is wanted most."""
    with suppress(CrossmeshError):
        return _as_file(str(variables.filled["mesh_instance"]))
    return DEFAULT_INSTANCE


def secrets_of(variables: Variables) -> Iterator[str]:
    """Those that this run can read: they are to be nowhere."""
    hosts = [(variables.task_vars, variables.templar), *_clusters(variables).values()]
    for field in schema.SECRET:
        for own, templar in hosts:
            with suppress(CrossmeshError):
                yield text(own, templar, field.name)


def _part(path: str, about: str, content: Callable[[], Any]) -> Part:
    try:
        return Part(path, about, content())
    except CrossmeshError as error:
        return Part(path, about, missing=tuple(map(str, error.messages)))
    except Exception as error:
        return Part(path, about, missing=(str(internal_error(error)),))


def _as_file(name: str) -> str:
    """A name of an inventory that is wrong may be anything."""
    return re.sub(r"[^A-Za-z0-9.-]", "_", name)[:63]


def _versions(rows: Sequence[Json]) -> Json:
    clusters: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["check"] in _OF_VERSIONS:
            clusters.setdefault(row["cluster"], {})[row["check"]] = row["seen"]
    return {"controller": versions(), "clusters": clusters}


def _table(preflight: Json) -> str:
    return "\n".join([*preflight.get("table", ()), ""])


def _clusters(variables: Variables) -> dict[str, tuple[Mapping[str, Any], Any]]:
    """All variables of each cluster, and what templates them."""
    if "hostvars" not in variables.task_vars:
        return {}
    return {
        host: (own, variables.templar.copy_with_new_env(available_variables=own))
        for host, own in of_clusters(variables.task_vars).items()
    }


def _readable(variables: Mapping[str, Any], templar: Any) -> Iterator[tuple[str, Any]]:
    """One variable that cannot be read is no reason to leave out the others."""
    for name in NAMES:
        try:
            yield from contract(variables, templar, [name]).items()
        except CrossmeshError as error:
            yield name, str(error)


def _inventory(variables: Variables) -> Json:
    shared = of_variables(dict(_readable(variables.task_vars, variables.templar)))
    world = world_of(variables)
    ends = topology_of(world).ends
    return {
        "variables": shared,
        "clusters": {
            host: list(map(str, own.get("group_names", ()))) for host, (own, _templar) in _clusters(variables).items()
        },
        "links": {
            name: [f"{place.side} in {place.cluster}" for place in places] for name, places in sorted(ends.items())
        },
        "defaults": schema.defaults(schema.CONTRACT),
    }


def _cluster(variables: Variables, host: str, look: Json, proof: Json) -> Json:
    own = of_variables(dict(_readable(*_clusters(variables)[host])))
    # The same for all, and told once.
    beside = {name: value for name, value in own.items() if name != "mesh_links"}
    return {"variables": beside, "look": of_look(look), "proof": of_proof(proof)}


def _ca(variables: Variables, found: Evidence) -> Json:
    store = variables.store()
    told = {
        "store": store.where,
        "journal": picked(found.journal, _JOURNAL),
        "external": of_external(found.external),
    }
    try:
        authority = store.public()
        records = Counter(record.cluster for record in store.records(found.now))
        return {
            **told,
            **(_authority(authority) if authority else {"phase": "absent"}),
            "clusters": store.clusters(),
            "unexpired certificates": dict(sorted(records.items())),
        }
    except CrossmeshError as error:
        return {**told, "not readable": list(map(str, error.messages))}


def _authority(authority: Authority) -> Json:
    return {
        "phase": authority.phase,
        "state": authority.state,
        "generation": authority.witness.generation if authority.witness else None,
        "issuing": authority.issuing.fingerprint if authority.issuing else "",
        "prepared": authority.prepared.fingerprint if authority.prepared else "",
        "trusted": [{**root.public(), "key_type": root.key_type} for root in authority.trusted],
        "retiring": list(authority.retiring),
        "retired": list(authority.retired),
        "lists": [
            {
                "issuer": item.issuer,
                "number": item.number,
                "this_update": timestamp(item.this_update),
                "next_update": timestamp(item.next_update),
                "revoked": len(item.revoked),
            }
            for item in authority.lists
        ],
    }
