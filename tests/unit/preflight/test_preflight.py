# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a cluster before a run: what is asked, what is told of it, and that no answer hides another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import METADATA_OF_ONE, Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import Answers, try_out
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Manifest
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import KINDS, LOCKDOWN_KINDS, Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import outlook
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Plan, make_plan
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight import rows
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.look import Look, look, unreachable
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.model import Sight
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import Row
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.side import Scene, side_rows, unseen_rows
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import request_of
from tests.unit.ca.support import file_store
from tests.unit.cluster.fake_api import FakeApi, api_error, collection_path
from tests.unit.pki.strange_roots import excludes, strange_root
from tests.unit.pki.support import NOW, PASSPHRASE
from tests.unit.support import CLIENT, SERVER, Json, link, names_of, numbered, view

CERTS = json.dumps({"certificates": []})
SERVER_INFO = json.dumps({"node": {"metadata": {"ISTIO_VERSION": "1.26.3"}}})
TO_MYSQL = "outbound|13306||mysql.server.example.com"
POLICY = Policy(key_type="P-256", renew_before=timedelta(days=30))


CREDENTIAL = "mysql-credential"
SECRETS = collection_path("Secret", "istio-system")
# Of a user who may neither list Secrets nor read ours.
NO_SECRET = {SECRETS: 403, **{f"{SECRETS}/{CREDENTIAL}{end}": 403 for end in ("", "-cacert")}}


def item(kind: str, name: str, namespace: str = "istio-system", **content: Any) -> Json:
    labels = content.pop("labels", {})
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, "labels": labels, "uid": name}, **content}


def gateway(side: str, *, ports: tuple[Json, ...] = (), ready: bool = True) -> list[Json]:
    name = f"istio-{side}gateway"
    service = item("Service", name, spec={"ports": list(ports)})
    service["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    status = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    spec = {"containers": [{"name": "istio-proxy"}]}
    return [service, item("Pod", f"{name}-0", labels={"istio": f"{side}gateway"}, status=status, spec=spec)]


BACKEND = [
    item("Service", "mysql", "default", spec={"selector": {"app": "mysql"}, "ports": [{"port": 3306}]}),
    item("Pod", "mysql-0", "default", labels={"app": "mysql"}, spec={"containers": [{"name": "istio-proxy"}]}),
]
HEALTHY = [*gateway("ingress"), *gateway("egress"), *BACKEND]


def clusters(*addresses: str, name: str = TO_MYSQL) -> str:
    hosts = [{"address": {"socket_address": {"address": address, "port_value": 13306}}} for address in addresses]
    return json.dumps({"cluster_statuses": [{"name": "agent"}, {"name": name, "host_statuses": hosts}]})


def answers(dialled: str = clusters()) -> dict[str, str]:
    pods = ("istio-ingressgateway-0", "istio-egressgateway-0")
    asked = {"certs": CERTS, "server_info": SERVER_INFO, "clusters?format=json": dialled}
    return {f"{pod} {path}": answer for pod in pods for path, answer in asked.items()}


def api(objects: list[Json] | None = None, **changes: Any) -> FakeApi:
    return FakeApi(HEALTHY if objects is None else objects, answers=changes.pop("answers", answers()), **changes)


def looked(found: FakeApi, store: Path, *, variables: Json | None = None, links: list[Json] | None = None) -> Look:
    wanted = view([link()] if links is None else links, variables or SERVER)
    return look(cast(Api, found), request_of(wanted["request"]), wanted, CaStore(FileStorage(store)), (), NOW)


def of(rows: list[Row], check: str) -> list[tuple[str, str]]:
    return [(row.status, row.seen) for row in rows if row.check == check]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "ca"


# -- the cluster as a whole ----------------------------------------------------------------------------------------


def test_a_healthy_cluster_has_nothing_but_ok(store: Path) -> None:
    found = looked(api(), store)
    assert [row for row in found.rows if row.status != "ok"] == []
    assert [row.check for row in found.rows] == ["api", "clock", "permission", "crds", "istio", "namespace"]
    assert of(found.rows, "api") == [("ok", "context cluster-b of kubeconfig: Kubernetes v1.34.4, as lab-admin")]
    assert of(found.rows, "istio") == [("ok", "1.26.3 in istio-ingressgateway-0")]
    assert found.incomplete == {}


def test_a_look_writes_nothing_neither_there_nor_here(store: Path) -> None:
    found = api()
    looked(found, store)
    assert found.calls == []
    assert not store.exists()


def test_a_cluster_that_cannot_be_reached_is_one_row_with_its_fix() -> None:
    error = CrossmeshError(Message.error("api-unreachable", where="x", what="refused", fix="start it"))
    found = unreachable("cluster-b", error)
    assert found.rows == [Row("cluster-b", "-", "api", "failed", "x: refused", "start it", "api-unreachable", "x")]
    (row,) = unseen_rows("cluster-b", view([link()], SERVER)["server"], "the API server could not be asked")
    assert (row.link, row.check, row.status) == ("mysql", "run", "unknown")


def test_an_api_server_that_does_not_know_the_user(store: Path) -> None:
    found = looked(api(statuses={"/version": 401}), store)
    assert of(found.rows, "api")[0][0] == "failed"
    assert found.reading is None


def test_an_api_server_that_takes_the_user_for_nobody_is_no_ok(store: Path) -> None:
    """It tells its version all the same."""
    found = looked(api(user="system:anonymous"), store)
    (row,) = (row for row in found.rows if row.check == "api")
    assert (row.status, row.code) == ("failed", "anonymous")


def test_a_user_who_may_do_nothing_is_no_unknown(store: Path) -> None:
    """Not even ask what he may do."""

    class Closed(FakeApi):
        def review(self, attributes: Mapping[str, str]) -> bool:
            raise api_error("selfsubjectaccessreviews", 403)

    (row,) = (row for row in looked(Closed(HEALTHY, answers=answers()), store).rows if row.check == "permission")
    assert row.status == "unknown", "something may be permitted"
    denied = {collection_path(kind.kind): 403 for kind in KINDS}
    (row,) = (row for row in looked(Closed(HEALTHY, denied, answers()), store).rows if row.check == "permission")
    assert (row.status, row.code) == ("failed", "not-permitted")
    assert "list gateways" in row.seen


@pytest.mark.parametrize(
    ("ahead", "status"),
    [(0, "ok"), (-30, "ok"), (300, "warning"), (-300, "warning"), (2 * 3600, "failed"), (-2 * 3600, "failed")],
)
def test_the_clock(ahead: float, status: str) -> None:
    row = rows.clock_row("cluster-b", ahead)
    assert row.status == status
    assert (row.fix != "") == (status != "ok")


def test_what_is_not_permitted_is_told_by_role_and_hides_nothing(store: Path) -> None:
    denied = {("create", "gateways"), ("patch", "gateways"), ("patch", "services")}
    found = looked(api(denied=denied), store)
    assert of(found.rows, "permission") == [
        ("failed", "may not patch services (istio-ingressgateway) in namespace istio-system"),
        ("failed", "may not create, patch gateways.networking.istio.io in namespace istio-system"),
    ]
    assert all("crossmesh-gateway" in row.fix for row in found.rows if row.check == "permission")
    assert of(found.rows, "istio")[0][0] == "ok"


def test_the_mesh_settings_are_asked_for_by_the_name_of_the_gateways_revision(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def review(attributes: Mapping[str, str]) -> bool:
        asked.append(f"{attributes['resource']}/{attributes.get('name', '')}")
        return True

    old, canary = gateway("ingress"), gateway("egress")
    canary[1]["metadata"]["labels"]["istio.io/rev"] = "canary"
    found = api([*old, *canary, *BACKEND])
    monkeypatch.setattr(found, "review", review)
    looked(found, store)
    assert {"configmaps/istio", "configmaps/istio-canary"} <= set(asked)
    # The control: where there is one revision, its own is asked for and no other.
    asked.clear()
    found = api([*old, *gateway("egress"), *BACKEND])
    monkeypatch.setattr(found, "review", review)
    looked(found, store)
    assert "configmaps/istio" in asked
    assert "configmaps/istio-canary" not in asked


def test_what_others_made_with_our_labels_is_a_warning(store: Path) -> None:
    labels = Owner("default", "cluster-b", "server").labels("mysql")
    found = looked(api([*gateway("ingress"), item("VirtualService", "x", "tenant", labels=labels)]), store)
    (row,) = [row for row in found.rows if row.code == "borrowed-labels"]
    assert (row.status, "VirtualService tenant/x" in row.seen) == ("warning", True)
    assert not [row for row in looked(api(gateway("ingress")), store).rows if row.code == "borrowed-labels"]


def test_exec_that_is_forbidden_is_a_warning(store: Path) -> None:
    ((status, seen),) = of(looked(api(denied={("get", "pods/exec")}), store).rows, "permission")
    assert (status, "may not get pods/exec" in seen) == ("warning", True)


def test_permissions_that_cannot_be_asked_for_are_unknown(store: Path) -> None:
    class Closed(FakeApi):
        def review(self, attributes: object) -> bool:
            raise CrossmeshError(Message.error("store-damaged", where="x", what="closed"))

    found = looked(Closed(HEALTHY, answers=answers()), store)
    assert of(found.rows, "permission")[0][0] == "unknown"


def test_kinds_that_are_missing_are_told_and_those_that_no_link_needs_are_not(store: Path) -> None:
    gone = {"/apis/security.istio.io/v1": 404}
    assert {status for status, _seen in of(looked(api(statuses=gone), store).rows, "crds")} == {"ok"}
    strict = looked(api(statuses=gone), store, links=[link(strict_backend=True)])
    assert of(strict.rows, "crds") == [
        ("ok", "networking.istio.io/v1: 2 of 2"),
        ("failed", "API group security.istio.io: the cluster does not know PeerAuthentication"),
    ]


def test_kinds_that_cannot_be_looked_at_are_unknown(store: Path) -> None:
    ((status, _seen),) = of(looked(api(statuses={"/apis/networking.istio.io/v1": 403}), store).rows, "crds")
    assert status == "unknown"


@pytest.mark.parametrize(
    ("version", "status"),
    [("1.24.0", "ok"), ("1.31-alpha.b01690e6db7d", "ok"), ("2.0.0", "ok"), ("1.23.4", "warning"), ("dev", "unknown")],
)
def test_the_version_of_istio(version: str, status: str) -> None:
    row = rows.istio_row("cluster-b", {"pod-0": version}, "")
    assert (row.status, row.code) == (status, "old-istio" if status == "warning" else "")


def test_a_version_that_no_pod_tells_is_unknown_with_the_reason(store: Path) -> None:
    found = looked(api([*gateway("ingress", ready=False), *BACKEND]), store)
    assert of(found.rows, "istio") == [("unknown", "no ready gateway pod answered")]


def test_an_answer_that_is_no_json_is_no_answer(store: Path) -> None:
    spoiled = {**answers(), "istio-ingressgateway-0 server_info": "upstream connect error"}
    assert of(looked(api(answers=spoiled), store).rows, "istio")[0][0] == "unknown"


class Reviewing(FakeApi):
    """Permits everything but Secrets that are not named, and remembers what it was asked."""

    asked: list[Mapping[str, str]]

    def review(self, attributes: Mapping[str, str]) -> bool:
        self.asked.append(attributes)
        return attributes["resource"] != "secrets" or "name" in attributes or not self.denied


@pytest.mark.parametrize(("denied", "named"), [(set(), 0), ({("get", "secrets")}, 3 * 5)])
def test_secrets_are_asked_for_each_by_name_only_where_not_all_are_permitted(
    store: Path, denied: set[tuple[str, str]], named: int
) -> None:
    found = Reviewing(HEALTHY, answers=answers(), denied=denied)
    found.asked = []
    rows_of_look = looked(found, store, links=[numbered(number) for number in range(3)]).rows
    assert [status for status, _seen in of(rows_of_look, "permission")] == ["ok"]
    assert len([asked for asked in found.asked if asked["resource"] == "secrets" and "name" in asked]) == named


# -- beside the mesh's own CA --------------------------------------------------------------------------------------

ISTIOD = item("Pod", "istiod-0", labels={"app": "istiod"}, spec={"containers": [{"name": "discovery"}]})
MESH_CA = f"{SECRETS}/istio-ca-secret"


def secret(name: str) -> Json:
    return item("Secret", name, data={"ca-key.pem": "c2VjcmV0"})


@pytest.mark.parametrize(
    ("beside", "seen"),
    [
        ([ISTIOD], "pod istiod-0"),
        ([secret("istio-ca-secret")], "Secret istio-ca-secret"),
        ([secret("cacerts"), ISTIOD], "pod istiod-0, Secret cacerts"),
    ],
)
def test_gateways_beside_the_meshs_own_ca_are_a_warning_with_what_was_seen(
    store: Path, beside: list[Json], seen: str
) -> None:
    (row,) = [row for row in looked(api([*HEALTHY, *beside]), store).rows if row.check == "namespace"]
    assert (row.status, row.code) == ("warning", "gateway-beside-mesh-ca")
    assert row.seen.startswith(f"namespace istio-system: the gateways stand beside the mesh's own CA ({seen}): ")
    assert "mesh_ingress_gateway" in row.fix


def test_gateways_of_a_namespace_without_it_are_apart(store: Path) -> None:
    elsewhere = [{**ISTIOD, "metadata": {**ISTIOD["metadata"], "namespace": "control"}}, secret("others")]
    (found,) = of(looked(api([*HEALTHY, *elsewhere]), store).rows, "namespace")
    assert found == ("ok", "istio-system: neither istiod nor the mesh's own CA is there")


def test_the_key_of_the_meshs_ca_is_never_asked_for(store: Path) -> None:
    found = api([*HEALTHY, secret("istio-ca-secret")])
    looked(found, store)
    assert {accept for path, accept in found.accepted if path == MESH_CA} == {METADATA_OF_ONE}


def test_who_may_not_know_whether_the_key_is_there_cannot_read_it_either(store: Path) -> None:
    denied = {MESH_CA: 403, f"{SECRETS}/cacerts": 403}
    (found,) = of(looked(api([*HEALTHY, secret("istio-ca-secret")], statuses=denied), store).rows, "namespace")
    assert found[0] == "ok"
    (found,) = of(looked(api([*HEALTHY, ISTIOD], statuses=denied), store).rows, "namespace")
    assert found[0] == "warning"


def test_where_it_could_not_be_asked_it_is_unknown(store: Path) -> None:
    (found,) = of(looked(api(statuses={MESH_CA: 500}), store).rows, "namespace")
    assert found[0] == "unknown"


def test_gateways_without_links_are_nobodys_concern(store: Path) -> None:
    assert of(looked(api([*HEALTHY, ISTIOD]), store, links=[]).rows, "namespace") == []


# -- what cannot be read -------------------------------------------------------------------------------------------


def test_what_is_forbidden_or_fails_is_left_out_and_all_the_rest_is_read(store: Path) -> None:
    statuses = {**NO_SECRET, collection_path("VirtualService"): 500}
    found = looked(api(statuses=statuses), store)
    assert set(found.incomplete) == {f"get secrets ({CREDENTIAL}, {CREDENTIAL}-cacert)", "list virtualservices"}
    service = found.reading["services"]["server"] if found.reading else None
    assert service
    assert service["name"] == "istio-ingressgateway"


def test_a_ca_store_that_cannot_be_read_hides_nothing_of_the_cluster(store: Path) -> None:
    store.mkdir(mode=0o755)
    found = looked(api(), store)
    assert set(found.incomplete) == {"the CA store"}
    assert [row.check for row in found.rows if row.status != "ok"] == []


# -- where names lead to -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialled", "addresses"),
    [(clusters("203.0.113.7"), ["203.0.113.7"]), (clusters(), []), (clusters(name="outbound|3306||other"), None)],
    ids=["resolves", "does not resolve", "is not known yet"],
)
def test_where_a_name_leads_to_is_asked_in_the_egress_gateway(
    store: Path, dialled: str, addresses: list[str] | None
) -> None:
    found = looked(api(answers=answers(dialled)), store, variables=CLIENT)
    assert found.sight
    assert found.sight["dials"] == [
        {
            "link": "mysql",
            "fqdn": "mysql.server.example.com",
            "external": False,
            "problem": "",
            "pods": {"istio-egressgateway-0": addresses},
        }
    ]


def test_a_server_tells_its_address_and_its_links(store: Path) -> None:
    wanted: Sight = {"cluster": "cluster-b", "ingress": ["203.0.113.7"], "serves": ["mysql"], "dials": []}
    assert looked(api(), store).sight == wanted


# -- one side, link by link ----------------------------------------------------------------------------------------


def scene(on: FakeApi, found: Look, wanted: DesiredSide, **changes: Any) -> Scene:
    owner = Owner(**wanted["owner"])
    kind = "Gateway" if owner.side == "server" else "ServiceEntry"
    manifests: list[Manifest] = [
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": kind,
            "metadata": {
                "name": f"gateway-{name}" if kind == "Gateway" else f"{name}-external",
                "namespace": "istio-system",
                "labels": owner.labels(name),
            },
            "spec": {},
        }
        for name in names_of(wanted)
    ]
    reading = found.reading
    assert reading
    ask = partial(try_out, cast(Api, on))
    given = {"incomplete": found.incomplete, "policy": POLICY, "ask": ask, **changes}
    return Scene(reading=reading, side=wanted, manifests=manifests, **given)


def judged(
    found: FakeApi, store: Path, *, variables: Json = SERVER, links: list[Json] | None = None, **changes: Any
) -> list[Row]:
    wanted = view([link()] if links is None else links, variables)
    side = wanted["server" if variables is SERVER else "client"]
    return side_rows(scene(found, looked(found, store, variables=variables, links=links), side, **changes), NOW)


def statuses(rows: list[Row]) -> dict[tuple[str, str], str]:
    return {(row.check, row.link): row.status for row in rows}


def test_a_side_on_which_nothing_stands_in_the_way(store: Path) -> None:
    assert statuses(judged(api(), store)) == {
        ("gateway", "-"): "ok",
        ("backend", "mysql"): "ok",
        ("port", "mysql"): "ok",
        ("names", "mysql"): "ok",
        ("ca", "-"): "ok",
        ("dry-run", "-"): "ok",
        ("run", "-"): "ok",
    }
    assert statuses(judged(api(), store, variables=CLIENT)) == {
        ("gateway", "-"): "ok",
        ("port", "mysql"): "ok",
        ("names", "mysql"): "ok",
        ("names", "-"): "ok",
        ("ca", "-"): "ok",
        ("dry-run", "-"): "ok",
        ("run", "-"): "ok",
    }


@pytest.mark.parametrize("variables", [SERVER, CLIENT])
def test_a_name_that_the_root_does_not_permit_is_told_once(tmp_path: Path, variables: Json) -> None:
    root = strange_root(excludes("mysql.server.example.com"))
    file_store(tmp_path / "ca").create(PASSPHRASE, root.key, root.view.pem)
    rows = judged(api(), tmp_path / "ca", variables=variables)
    told = [(row.check, row.status) for row in rows if row.code == "name-not-permitted"]
    assert told == [("ca", "failed")]


def dry_run(found: FakeApi, store: Path, **changes: Any) -> list[tuple[str, str, str]]:
    return [(row.status, row.code, row.seen) for row in judged(found, store, **changes) if row.check == "dry-run"]


GATEWAY = f"{collection_path('Gateway', 'istio-system')}/gateway-mysql"


def test_what_a_run_would_write_is_tried_and_nothing_is_written(store: Path) -> None:
    found = api()
    assert dry_run(found, store) == [("ok", "", "server's side: the API server would accept 3 writes")]
    assert len(found.dry_calls) == 3
    assert found.calls == []


def test_what_the_api_server_would_refuse_fails_once_and_nothing_else_does(store: Path) -> None:
    told = {"reason": "Forbidden", "message": 'gateways "x" is forbidden: exceeded quota: few, requested: 1'}
    rows = judged(api(refused={GATEWAY: (403, told)}), store)
    failed = [(row.check, row.code) for row in rows if row.status == "failed"]
    assert failed == [("dry-run", "quota-exceeded"), ("run", "blocked")]


PERMISSION = partial(Row, "cluster-b", "-", "permission")


@pytest.mark.parametrize(
    ("permission", "tried", "failed"),
    [
        (PERMISSION("failed", "may not patch gateways"), ("unknown", "not-permitted", ""), []),
        (PERMISSION("warning", "may not get pods/exec"), ("failed", "not-permitted", "grant"), ["dry-run", "run"]),
        (PERMISSION("unknown", "could not be checked"), ("failed", "not-permitted", "grant"), ["dry-run", "run"]),
        (PERMISSION("ok", "all permissions"), ("failed", "not-permitted", "grant"), ["dry-run", "run"]),
    ],
)
def test_what_may_not_be_tried_fails_unless_a_permissions_row_does(
    store: Path, permission: Row, tried: tuple[str, str, str], failed: list[str]
) -> None:
    """The reviews may not have been answered, or another authorizer may be stricter than they are."""
    found = judged(api(refused={GATEWAY: (403, {"message": CANNOT})}), store, known=[permission])
    status, code, fix = tried
    (row,) = (row for row in found if row.check == "dry-run")
    assert (row.status, row.code) == (status, code)
    assert fix in row.fix
    assert bool(row.fix) == bool(fix)
    assert [row.check for row in found if row.status == "failed"] == failed


CANNOT = 'forbidden: User "x" cannot patch resource "gateways" in API group "networking.istio.io"'


def test_an_api_server_that_goes_away_meanwhile_is_a_row_too(store: Path) -> None:
    def away(_trials: object) -> Answers:
        raise CrossmeshError(Message.error("api-unreachable", where="x", what="gone", fix="x"))

    assert [row[:2] for row in dry_run(api(), store, ask=away)] == [("failed", "api-unreachable")]


def test_where_other_rows_fail_it_is_unknown(store: Path) -> None:
    ((status, _code, seen),) = dry_run(api([*gateway("egress"), *BACKEND], statuses={}), store, links=[link()])
    assert (status, seen) == ("unknown", "server's side: not tried, because of the failures in other rows")


def test_a_side_without_links_has_no_rows(store: Path) -> None:
    assert judged(api(), store, links=[]) == []


def test_a_gateway_that_is_not_there_fails_with_its_fix(store: Path) -> None:
    rows = judged(api([*gateway("egress"), *BACKEND]), store)
    assert statuses(rows)["gateway", "-"] == "failed"
    assert statuses(rows)["port", "mysql"] == "unknown"
    assert [row.fix for row in rows if row.check == "gateway"] == [
        "install the gateway, or set mesh_ingress_gateway to the existing one"
    ]


def test_a_gateway_without_a_ready_pod_is_a_warning(store: Path) -> None:
    rows = judged(api([*gateway("ingress", ready=False), *BACKEND]), store)
    (row,) = [row for row in rows if row.check == "gateway"]
    assert (row.status, row.code) == ("warning", "no-ready-pod")
    assert row.where == "gateway istio-system/istio-ingressgateway (1 pods with istio=ingressgateway)"


def test_pods_without_a_proxy_are_told_and_are_no_gateway(store: Path) -> None:
    debug = [*gateway("ingress"), *BACKEND]
    debug[1]["spec"] = {"containers": [{"name": "shell"}]}
    found = [(row.status, row.code) for row in judged(api(debug), store) if row.check == "gateway"]
    assert found == [("warning", "no-proxy"), ("warning", "no-ready-pod")]
    where = [row.where for row in judged(api(debug), store) if row.code == "no-ready-pod"]
    assert where[0].endswith("(1 pods with istio=ingressgateway, 1 without istio-proxy)")


def test_a_pod_that_answers_nothing_fails(store: Path) -> None:
    rows = judged(api(answers={**answers(), "istio-ingressgateway-0 certs": "no json"}), store)
    assert statuses(rows)["gateway", "-"] == "failed"


@pytest.mark.parametrize(
    ("ports", "status", "seen"),
    [
        ([], "ok", "13306 is free"),
        ([{"port": 13306, "name": "theirs"}], "ok", "13306 was opened by others (unknown) and is used as it is"),
        ([{"port": 13306, "protocol": "UDP"}], "failed", "port 13306: is not TCP (13306/UDP)"),
    ],
)
def test_the_port_of_a_link(store: Path, ports: list[Json], status: str, seen: str) -> None:
    rows = judged(api([*gateway("ingress", ports=tuple(ports)), *BACKEND]), store)
    ((found, text),) = of(rows, "port")
    assert (found, seen in text) == (status, True)


def test_a_port_that_one_link_cannot_have_is_no_fault_of_the_other(store: Path) -> None:
    udp = {"name": "udp", "port": 30001, "protocol": "UDP"}
    rows = judged(api([*gateway("ingress", ports=(udp,)), *BACKEND]), store, links=[numbered(1), numbered(2)])
    assert (statuses(rows)["port", "link-1"], statuses(rows)["port", "link-2"]) == ("failed", "ok")


def test_a_gateway_of_others_that_has_our_host_is_told_at_the_port(store: Path) -> None:
    servers = [
        {"port": {"number": 13306, "protocol": "TLS"}, "tls": {"mode": "SIMPLE"}, "hosts": ["mysql.server.example.com"]}
    ]
    theirs = item("Gateway", "theirs", spec={"selector": {"istio": "ingressgateway"}, "servers": servers})
    rows = judged(api([*HEALTHY, theirs]), store)
    (row,) = [row for row in rows if row.check == "port"]
    assert (row.status, row.fix) == ("failed", "remove the host from that Gateway")


def test_strangers_under_our_names_are_told_at_their_link(store: Path) -> None:
    strangers = [item("Gateway", "gateway-mysql"), item("Secret", "mysql-credential", data={})]
    found = [row for row in judged(api([*HEALTHY, *strangers]), store) if row.check == "names"]
    assert [(row.status, row.code, row.where) for row in found] == [
        ("failed", "not-ours", "Gateway istio-system/gateway-mysql"),
        ("failed", "not-ours", "Secret istio-system/mysql-credential"),
    ]


def test_a_stranger_under_the_name_of_the_clients_secret(store: Path) -> None:
    rows = judged(api([*HEALTHY, item("Secret", "client-credential", data={})]), store, variables=CLIENT)
    assert (statuses(rows)["names", "-"], statuses(rows)["names", "mysql"]) == ("failed", "ok")


def test_what_is_refused_elsewhere_is_not_said_twice_but_the_run_is_not_ok(store: Path) -> None:
    rows = judged(api([*gateway("egress"), *BACKEND]), store)
    assert [(row.status, row.code, row.where) for row in rows if row.check == "run"] == [
        ("failed", "blocked", "server's side")
    ]


def test_a_kind_that_is_missing_is_said_by_discovery_and_not_again_of_the_run(store: Path) -> None:
    found = judged(api(statuses={collection_path("Gateway"): 404}), store)
    assert [row.code for row in found if row.check == "run"] == ["blocked"]


def test_what_the_look_says_of_the_cluster_is_not_said_again_of_the_run(store: Path) -> None:
    ahead = 2 * 3600
    wrong, plain = api(), api()
    wrong.clock_ahead = plain.clock_ahead = ahead
    known = [rows.clock_row("cluster-b", ahead)]
    assert [row.code for row in judged(wrong, store, known=known) if row.check == "run"] == ["blocked"]
    assert [row.code for row in judged(plain, store) if row.check == "run"] == ["clock-wrong"]


def test_what_no_other_row_says_is_said_of_the_run(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*given: Any, **named: Any) -> Plan:
        moon = Message.error("crl-too-large", where="moon", what="it is full", fix="wait")
        return replace(make_plan(*given, **named), errors=[moon])

    monkeypatch.setattr(outlook, "make_plan", refuses)
    (row,) = [row for row in judged(api(), store) if row.check == "run"]
    assert (row.status, row.code, row.seen) == ("failed", "crl-too-large", "server's side: moon: it is full")
    assert row.fix == "wait"


def test_what_could_not_be_read_is_unknown_where_it_matters_and_nowhere_else(store: Path) -> None:
    rows = judged(api(statuses=NO_SECRET), store)
    assert statuses(rows) == {
        ("gateway", "-"): "ok",
        ("backend", "mysql"): "ok",
        ("port", "mysql"): "ok",
        ("names", "mysql"): "unknown",
        ("ca", "-"): "unknown",
        ("run", "-"): "unknown",
    }
    assert all("not permitted: get secrets" in row.seen for row in rows if row.status == "unknown")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_no_kind_that_cannot_be_read_makes_anything_fail(store: Path, kind: Any) -> None:
    rows = judged(api(statuses={collection_path(kind.kind): 403}), store)
    assert "failed" not in statuses(rows).values()
    # Nobody has to see what only a lock-down writes, where there is to be none.
    assert statuses(rows)["run", "-"] == ("ok" if kind.kind in LOCKDOWN_KINDS else "unknown")


@pytest.mark.parametrize(
    ("backend", "status", "code", "seen"),
    [
        (BACKEND, "ok", "", "1 of 1 pods in the mesh"),
        ([], "warning", "backend-missing", "does not exist in this cluster"),
        (BACKEND[:1], "warning", "backend-empty", "has no pods yet"),
        (
            [item("Service", "mysql", "default", spec={"ports": [{"port": 80}]}), BACKEND[1]],
            "warning",
            "backend-port",
            "has no port 3306, so connections over the link fail; its TCP ports: 80",
        ),
        (
            [BACKEND[0], item("Pod", "x", "default", labels={"app": "mysql"}, spec={"containers": [{"name": "a"}]})],
            "warning",
            "backend-without-sidecar",
            "1 of 1 pods of mysql.default.svc.cluster.local have no sidecar",
        ),
    ],
)
def test_the_backend_of_a_link(store: Path, backend: list[Json], status: str, code: str, seen: str) -> None:
    (row,) = [row for row in judged(api([*gateway("ingress"), *backend]), store) if row.check == "backend"]
    assert (row.status, row.code, seen in row.seen) == (status, code, True)


def test_a_run_over_some_links_is_told_of_those(store: Path) -> None:
    policy = Policy(key_type="P-256", renew_before=timedelta(days=30), only=frozenset({"link-2"}))
    rows = judged(api(), store, links=[numbered(1), numbered(2)], policy=policy)
    assert {row.link for row in rows} == {"-", "link-2"}
