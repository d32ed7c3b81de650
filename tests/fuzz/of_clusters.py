# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What API servers answer: all documents of a look at a cluster, as preflight and site read them, up to their rows."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from typing import Any, cast

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.summary import ca_reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api, _seconds
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import try_out
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.managed_fields import (
    entries_of,
    field_owners,
    makers_of,
    owners_of,
    port_owners,
    times_of,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import read_cluster
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.refusal import read_refusal
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.surroundings import read_surroundings
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import Desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import authority_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import SIDES, Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.outlook import Case, look_ahead
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.presence import presence_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import ca_in_cluster
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.unrecorded import unrecorded_in
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.look import look
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.report import fqdn_rows, report
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.side import Scene, side_rows, unseen_rows
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import watching
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._manifests import render
from tests.unit.ca.memory_storage import MemoryStorage
from tests.unit.ca.support import quick
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.cluster.test_reading import LEAF, ROOT, secret
from tests.unit.pki.support import NOW, PASSPHRASE
from tests.unit.preflight.test_preflight import HEALTHY, answers, item
from tests.unit.support import Json, link, view

from .judge import Target, obeyed

__all__ = ["TARGETS"]

_POLICY = Policy(key_type="P-256", renew_before=timedelta(days=30))
_CLUSTER = {"mesh_cluster_name": "cluster-b", "groups": ["mesh_servers", "mesh_clients"]}
_LINKS = [
    link(servers=["cluster-b"], clients=["cluster-a"], workloads={"namespaces": ["shop"]}),
    link(
        name="sales",
        fqdn="sales.server.example.com",
        port=3307,
        tls_port=13307,
        servers=["cluster-a"],
        clients=["cluster-b"],
    ),
]
_FIELDS: list[Json] = [
    {
        "manager": "helm",
        "operation": "Apply",
        "fieldsV1": {"f:spec": {"f:ports": {'k:{"port":443,"protocol":"TCP"}': {"f:port": {}}}, "f:hosts": {}}},
    }
]


@cache
def _view() -> Desired:
    return view(_LINKS, _CLUSTER)


@cache
def _store() -> CaStore:
    store = quick(MemoryStorage())
    store.create(PASSPHRASE, ROOT.key, ROOT.view.pem)
    return store


@dataclass
class Told(FakeApi):
    """An API server that gives these answers, by path and question, and honest ones to what they do not name."""

    told: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)

    def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json") -> Any:
        question = " ".join([path, *(f"{key}={value}" for key, value in sorted((query or {}).items()))])
        return self._told(question, partial(super().get, path, query, accept))

    def proxy_request(self, namespace: str, pod: str, path: str, timeout: float) -> str:
        honest = super().proxy_request
        return json.dumps(self._told(f"{pod} {path}", lambda: json.loads(honest(namespace, pod, path, timeout))))

    def apply(self, path: str, body: Mapping[str, Any], manager: str, *, force: bool, dry: bool = False) -> Any:
        return self._told(f"apply {path}", partial(super().apply, path, body, manager, force=force, dry=dry))

    def _told(self, question: str, honest: Callable[[], Any]) -> Any:
        if question in self.told:
            return copy.deepcopy(self.told[question])
        found = honest()
        self.seen[question] = copy.deepcopy(found)
        return found


def _objects() -> Iterator[Json]:
    yield from copy.deepcopy(HEALTHY)
    for side in SIDES:
        for manifest in render(side, _view()[side]):
            made = copy.deepcopy(cast(Json, manifest))
            made["metadata"]["managedFields"] = _FIELDS
            yield made
    yield secret("mysql-credential", Owner("default", "cluster-b", "server").labels("mysql"))
    yield item("ConfigMap", "istio", data={"mesh": "trustDomain: cluster.local\nrootNamespace: istio-system\n"})
    hosts = {"hosts": ["db.example.com"], "ports": [{"number": 3306, "name": "tcp", "protocol": "TCP"}]}
    yield item("ServiceEntry", "db", "shop", spec={**hosts, "resolution": "DNS"})
    yield item("Sidecar", "default", "shop", spec={"egress": [{"hosts": ["./*"]}]})
    strict = {"mtls": {"mode": "STRICT"}, "portLevelMtls": {"3306": {"mode": "DISABLE"}}}
    yield item("PeerAuthentication", "x", "default", spec=strict)
    rules = [{"from": [{"source": {"principals": ["*"]}}], "to": [{"operation": {"ports": ["3306"]}}]}]
    yield item("AuthorizationPolicy", "x", "default", spec={"action": "DENY", "rules": rules})
    way = {"destination": {"host": "x", "port": {"number": 1}}}
    route = {"match": [{"port": 3307, "sniHosts": ["a"]}], "route": [way]}
    hosts = {"hosts": ["sales.server.example.com"]}
    yield item("VirtualService", "x", "shop", spec={**hosts, "tls": [route], "tcp": [route]})
    tls = {"host": "*.example.com", "trafficPolicy": {"tls": {"mode": "SIMPLE", "credentialName": "x"}}, "subsets": []}
    yield item("DestinationRule", "x", "istio-system", spec=tls)


def _answers() -> dict[str, str]:
    """What a pod answers to questions of which nothing else is known; whole dumps are edited by themselves."""
    return {**answers(), **{f"istio-{kind}gateway-0": '{"configs": []}' for kind in ("ingress", "egress")}}


def _asked(told: Mapping[str, Any]) -> tuple[Told, list[str]]:
    """Preflight and site's look; the lines that a user would get."""
    api = Told(list(_objects()), answers=_answers(), told=dict(told))
    wanted, store = _view(), _store()
    request = watching(wanted)
    found = look(cast(Api, api), request, wanted, store, (), NOW)
    rows = list(found.rows)
    for side in SIDES:
        if found.reading is None:
            rows += unseen_rows("cluster-b", wanted[side], "x")
            continue
        scene = Scene(
            reading=found.reading,
            incomplete=found.incomplete,
            side=wanted[side],
            manifests=render(side, wanted[side]),
            surroundings=found.surroundings,
            policy=_POLICY,
            known=found.rows,
            ask=partial(try_out, cast(Api, api)),
        )
        rows += side_rows(scene, NOW)
    rows += fqdn_rows([found.sight] if found.sight else [], all_seen=True)
    return api, report(rows)["table"]


def _preflight(told: Any) -> None:
    _api, lines = _asked(told if isinstance(told, dict) else {})
    assert not obeyed("".join(lines)), lines


def _site(told: Any) -> None:
    api = cast(Api, Told(list(_objects()), answers=_answers(), told=told if isinstance(told, dict) else {}))
    wanted, store = _view(), _store()
    request, authority = watching(wanted), authority_of(store)
    recorded = partial(store.secrets_of, "default", "cluster-b", NOW)
    parts = read_cluster(api, replace(request, recorded=recorded, whole=True), trust=True)
    sides = {side: wanted[side] for side in SIDES}
    unknown = unrecorded_in(parts.reading["secrets"], sides, store.records(NOW), authority, NOW)
    shown = [str(found.alarm) for found in unknown]
    surroundings = read_surroundings(api, [pod for side in SIDES for pod in parts.reading["pods"][side]], parts.whole)
    reading = {**parts.reading, **ca_reading(store, authority, (), NOW)}
    for side in SIDES:
        case = Case(reading, wanted[side], render(side, wanted[side]), authority, _POLICY, NOW, surroundings)  # type: ignore[arg-type]
        plan = look_ahead(case, partial(try_out, api)).plan
        standing = plan.standing
        shown += map(str, (*plan.errors, *plan.barring, *standing.warnings, *standing.notices, *standing.alarms))
        shown += [str(fault.message()) for fault in standing.faults]
    presence_of(reading, wanted["request"], list(sides.values()), recognised=True)  # type: ignore[arg-type]
    ca_in_cluster(reading, "default", "cluster-b")  # type: ignore[arg-type]
    assert not obeyed("".join(shown)), shown


@cache
def _honest() -> Json:
    return _asked({})[0].seen


_STATUS: Json = {
    "kind": "Status",
    "code": 422,
    "reason": "Invalid",
    "message": 'Gateway "x" is invalid: spec.servers: Required value',
    "details": {"name": "x", "causes": [{"field": "spec.servers", "message": "Required value", "reason": "x"}]},
}


def _refusal(status: Any) -> None:
    for code in (400, 403, 409, 422, 429, 500):
        read_refusal(code, json.dumps(status).encode(), "shop").message("x", "refused")


def _refusal_in_bytes(data: bytes) -> None:
    read_refusal(403, data, "shop").message("x", "refused")


def _managed(metadata: Any) -> None:
    entries = entries_of(metadata if isinstance(metadata, dict) else {})
    port_owners(entries)
    times_of(entries)
    makers_of(entries)
    list(map(str, owners_of(field_owners(entries, "spec"), "spec", ())))


class _Reviewed(Api):
    """One whose requests come back with this."""

    def __init__(self, answer: Any) -> None:
        self.where, self.answer, self.clock_ahead = "context x", answer, 0.0

    def _request(self, *_arguments: Any) -> Any:
        return copy.deepcopy(self.answer)


def _review(answer: Any) -> None:
    user, allowed = _Reviewed(answer).whoami(), _Reviewed(answer).review({"verb": "get"})
    assert isinstance(user, str), user
    assert isinstance(allowed, bool), allowed


def _dates(data: bytes) -> None:
    written = data.decode("latin-1")
    _Reviewed({})._compare_clocks(written)
    assert _seconds(written) > 0


TARGETS: Mapping[str, Target] = {
    "preflight": Target(lambda: [_honest()], _preflight, secrets=(LEAF.key_pem.decode()[60:120],)),
    "site": Target(lambda: [_honest()], _site, secrets=(LEAF.key_pem.decode()[60:120],)),
    "refusal": Target(lambda: [_STATUS], _refusal),
    "refusal-bytes": Target(lambda: [json.dumps(_STATUS).encode(), b"<html>x</html>"], _refusal_in_bytes),
    "managed-fields": Target(lambda: [{"managedFields": _FIELDS}], _managed),
    "review": Target(lambda: [{"status": {"allowed": True, "userInfo": {"username": "x", "groups": []}}}], _review),
    "dates": Target(lambda: [b"Sun, 29 Nov 2026 10:00:00 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"120"], _dates),
}
