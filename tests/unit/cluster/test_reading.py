# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster read in one go: what is looked at, what is told of it, and what never is."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.config_dump import Watch
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import CERTS, Connections
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import ClusterReading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import (
    Gateway,
    Request,
    gateway_pods,
    read_cluster,
    read_connections,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner, Side
from tests.unit.cluster.fake_api import FakeApi, collection_path
from tests.unit.pki.support import make_leaf, make_root
from tests.unit.support import Json, refused

OWNER = Owner("default", "cluster-b", "server")
INGRESS = Gateway("istio-system", "istio-ingressgateway", {"istio": "ingressgateway"})
EGRESS = Gateway("istio-system", "istio-egressgateway", {"istio": "egressgateway"})
REQUEST = Request(
    instance="default",
    cluster="cluster-b",
    ingress=INGRESS,
    egress=EGRESS,
    links=["mysql"],
    client_credential="client-credential",
    backends=[("mysql", "default")],
    secrets=[("istio-system", name) for name in ("mysql-credential", "client-credential", "mysql-client-credential")],
)
ROOT = make_root()
LEAF = make_leaf(ROOT)


def item(kind: str, name: str, *, namespace: str = "istio-system", labels: Json | None = None, **content: Any) -> Json:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, "labels": labels or {}}, **content}


def secret(name: str, labels: Json | None = None, data: dict[str, bytes] | None = None) -> Json:
    given = data or {
        "tls.crt": LEAF.certificate_pem.encode(),
        "tls.key": LEAF.key_pem,
        "ca.crt": ROOT.view.pem.encode(),
    }
    encoded = {key: base64.b64encode(value).decode() for key, value in given.items()}
    return item("Secret", name, labels=labels, data=encoded, type="kubernetes.io/tls")


def secret_path(name: str) -> str:
    return f"{collection_path('Secret', 'istio-system')}/{name}"


def reading(
    *objects: Json,
    statuses: dict[str, int] | None = None,
    answers: dict[str, str] | None = None,
    request: Request = REQUEST,
) -> ClusterReading:
    api = FakeApi(list(objects), statuses or {}, answers or {})
    return read_cluster(cast(Api, api), request).reading


def names_in(found: Sequence[Any]) -> list[str]:
    return sorted(entry["metadata"]["name"] if "metadata" in entry else entry["name"] for entry in found)


def test_an_empty_cluster() -> None:
    found = reading()
    assert (found["objects"], found["secrets"], found["gateways"], found["missing_kinds"]) == ([], [], [], [])
    assert found["services"] == {"server": None, "client": None}
    assert found["backends"] == [
        {"service": "mysql", "namespace": "default", "found": False, "ports": [], "pods": 0, "sidecars": 0}
    ]


def test_ours_is_read_and_what_stands_under_our_names() -> None:
    found = reading(
        item("Gateway", "gateway-old", labels=OWNER.labels("old")),
        item("Gateway", "gateway-mysql", labels={"team": "shop"}),
        item("VirtualService", "mysql-virtual-service", labels=Owner("blue", "cluster-b", "server").labels("mysql")),
        item("VirtualService", "mysql-virtual-service", namespace="elsewhere"),
        item("Gateway", "shop"),
        item("PeerAuthentication", "mysql-strict-backend", namespace="default"),
        item("DestinationRule", "theirs", labels=Owner("default", "cluster-z", "server").labels("old")),
    )
    assert names_in(found["objects"]) == [
        "gateway-mysql",
        "gateway-old",
        "mysql-strict-backend",
        "mysql-virtual-service",
    ]
    assert names_in(found["gateways"]) == ["shop"]


ROUTE = "mysql-virtual-service"
SIDES: tuple[Side, ...] = ("server",)
ON_SERVER = replace(REQUEST, sides=SIDES)


def routes(*objects: Json) -> list[str]:
    """Labels of the VirtualServices that a look has found, by who made them."""
    found = reading(*objects, request=ON_SERVER)["objects"]
    return sorted(next(iter(item["metadata"]["labels"].values())) for item in found if item["kind"] == "VirtualService")


def test_what_others_have_under_a_wanted_name_is_seen_beside_one_of_ours_in_another_namespace() -> None:
    """As after a gateway has moved."""
    ours = item("VirtualService", ROUTE, namespace="old", labels=OWNER.labels("mysql"))
    theirs = item("VirtualService", ROUTE, labels={"team": "shop"})
    assert "shop" in routes(ours, theirs)
    assert "shop" in routes(theirs)
    assert routes(ours) == routes(ours, item("VirtualService", "another", labels={"team": "shop"}))


def test_objects_of_others_are_asked_for_by_name_with_the_permission_to_list() -> None:
    api = FakeApi([item("VirtualService", ROUTE, labels={}), item("VirtualService", "another", labels={})])
    found = read_cluster(cast(Api, api), ON_SERVER).reading
    assert names_in(found["objects"]) == [ROUTE]
    single = [path for path in api.reads if path.endswith((ROUTE, "another"))]
    assert single == []


def test_gateways_of_others_are_told_as_far_as_they_can_be_in_the_way() -> None:
    servers = [{"port": {"number": 443, "name": "https", "protocol": "https"}, "hosts": ["shop/a.example.com"]}, {}]
    theirs = item("Gateway", "shop", namespace="shop", spec={"selector": {"istio": "x"}, "servers": servers})
    theirs["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    found = reading(theirs)
    assert found["gateways"] == [
        {
            "namespace": "shop",
            "name": "shop",
            "created": "2026-01-01T00:00:00Z",
            "selector": {"istio": "x"},
            "servers": [
                {"port": 443, "protocol": "HTTPS", "plain": True, "hosts": ["shop/a.example.com"], "bind": ""},
                {"port": None, "protocol": "", "plain": True, "hosts": [], "bind": ""},
            ],
        }
    ]


LOCKDOWN = replace(REQUEST, lockdown=["shop"])


def test_sidecars_and_policies_are_told_where_a_namespace_is_to_be_locked_down() -> None:
    client = Owner("default", "cluster-b", "client")
    rules = [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]
    found = reading(
        item("Sidecar", "default", namespace="shop"),
        item("Sidecar", "default", namespace="legacy"),
        item("Sidecar", "egress-lockdown", namespace="old", labels=client.labels("client")),
        item("Sidecar", "egress-lockdown", namespace="shop"),
        item("NetworkPolicy", "in", namespace="shop", spec={"policyTypes": ["Ingress"], "egress": rules}),
        item("NetworkPolicy", "out", namespace="shop", spec={"policyTypes": ["Egress"], "egress": rules}),
        item("NetworkPolicy", "out", namespace="legacy", spec={"policyTypes": ["Egress"], "egress": rules}),
        request=LOCKDOWN,
    )
    assert found["sidecars"] == [{"namespace": "shop", "name": "default"}]
    assert [(policy["name"], policy["egress"]) for policy in found["network_policies"]] == [("in", []), ("out", rules)]
    # Ours wherever it is, and whatever stands under its name where it is wanted.
    assert sorted(entry["metadata"]["namespace"] for entry in found["objects"]) == ["old", "shop"]


def test_only_a_lock_down_needs_the_permission_to_see_sidecars_and_policies() -> None:
    statuses = {collection_path(kind): 403 for kind in ("Sidecar", "NetworkPolicy")}
    assert reading(statuses=statuses)["missing_kinds"] == []
    with refused("not-permitted") as failure:
        reading(statuses=statuses, request=LOCKDOWN)
    assert failure.value.message.what.endswith("403 for: list networkpolicies; list sidecars")


@pytest.mark.parametrize(
    ("protocol", "tls", "plain"),
    [
        ("TLS", {"mode": "PASSTHROUGH"}, False),
        ("HTTPS", {"mode": "SIMPLE"}, False),
        ("TCP", {"mode": "SIMPLE"}, False),
        ("TCP", None, True),
        ("HTTP", None, True),
        ("HTTP", {"httpsRedirect": True}, True),
        ("HTTP2", {"mode": "SIMPLE"}, True),
    ],
)
def test_a_server_of_others_is_plain_text_or_tls_as_istio_takes_it(
    protocol: str, tls: Json | None, plain: bool
) -> None:
    server = {"port": {"number": 443, "protocol": protocol}, "hosts": ["*"], **({"tls": tls} if tls else {})}
    (found,) = reading(item("Gateway", "shop", spec={"servers": [server]}))["gateways"]
    assert found["servers"][0]["plain"] is plain


def test_managers_of_ours_are_left_out_and_others_are_kept() -> None:
    managed = [
        {"manager": manager, "operation": "Apply", "time": "x", "fieldsV1": {"f:spec": {}}}
        for manager in (OWNER.manager, "kubectl-edit", "crossmesh-blue-cluster-b-server")
    ]
    ours = item("Gateway", "gateway-mysql", labels=OWNER.labels("mysql"))
    ours["metadata"]["managedFields"] = managed
    (found,) = reading(ours)["objects"]
    assert found["metadata"]["managedFields"] == [
        {"manager": "kubectl-edit", "time": "x", "fieldsV1": {"f:spec": {}}},
        {"manager": "crossmesh-blue-cluster-b-server", "time": "x", "fieldsV1": {"f:spec": {}}},
    ]


def test_a_kind_that_the_cluster_does_not_know_is_told() -> None:
    assert reading(statuses={collection_path("Gateway"): 404})["missing_kinds"] == ["Gateway"]


def test_everything_that_is_not_permitted_is_told_at_once() -> None:
    statuses = {
        collection_path("Gateway"): 403,
        collection_path("Secret", "istio-system"): 403,
        secret_path("client-credential"): 403,
        secret_path("mysql-credential-cacert"): 403,
        collection_path("Pod", "istio-system"): 403,
    }
    with refused("not-permitted") as failure:
        reading(statuses=statuses)
    assert failure.value.message.where == "context cluster-b of kubeconfig"
    assert failure.value.message.what.endswith(
        "403 for: get secrets (client-credential, mysql-credential-cacert); list gateways; list pods"
    )


def test_any_other_error_is_an_error() -> None:
    with refused("api-refused"):
        reading(statuses={collection_path("VirtualService"): 500})


def test_secrets_are_told_without_their_keys() -> None:
    found = reading(
        secret("mysql-credential", OWNER.labels("mysql")),
        secret("old-credential", OWNER.labels("old")),
        secret("client-credential"),
        secret("mysql-credential-cacert", data={"cacert": b"x"}),
        secret("unrelated"),
    )
    told = {entry["name"]: entry for entry in found["secrets"]}
    assert sorted(told) == ["client-credential", "mysql-credential", "mysql-credential-cacert", "old-credential"]
    assert told["mysql-credential"]["certificate"] == LEAF.certificate_pem
    assert told["mysql-credential"]["trust"] == ROOT.view.pem
    assert told["mysql-credential"]["keys"] == ["ca.crt", "tls.crt", "tls.key"]
    assert told["mysql-credential"]["key_matches"] is True
    text = json.dumps(found)
    assert "PRIVATE KEY" not in text
    assert base64.b64encode(LEAF.key_pem).decode()[:40] not in text


# -- without the permission to list Secrets ------------------------------------------------------------------------

NO_LIST = {collection_path("Secret", "istio-system"): 403}


def referring(kind: str, name: str, credential: str, labels: Json) -> Json:
    """An object that names a Secret, where its kind has it."""
    tls = {"tls": {"credentialName": credential}}
    spec = {"servers": [tls]} if kind == "Gateway" else {"trafficPolicy": {"portLevelSettings": [tls]}}
    return item(kind, name, labels=labels, spec=spec)


def known(*objects: Json, request: Request = REQUEST, **more: int) -> list[str]:
    statuses = {**NO_LIST, **{secret_path(name.replace("_", "-")): status for name, status in more.items()}}
    return names_in(reading(*objects, statuses=statuses, request=request)["secrets"])


def test_what_may_not_be_listed_is_read_by_the_names_that_links_need() -> None:
    ours = secret("mysql-credential", OWNER.labels("mysql"))
    beside = secret("mysql-credential-cacert", data={"cacert": b"x"})
    theirs = secret("client-credential")
    api = FakeApi([ours, beside, theirs, secret("cacerts"), secret("istio-ca-secret")], dict(NO_LIST))
    found = read_cluster(cast(Api, api), REQUEST).reading
    assert names_in(found["secrets"]) == ["client-credential", "mysql-credential", "mysql-credential-cacert"]
    asked = {path.rpartition("/")[2] for path in api.reads if "/secrets/" in path}
    assert asked == {name + end for _namespace, name in REQUEST.secrets for end in ("", "-cacert")}


def test_a_secret_that_no_link_needs_is_found_by_the_objects_of_ours_that_name_it() -> None:
    old, dialled = OWNER.labels("old"), Owner("default", "cluster-b", "client").labels("far")
    secrets = [secret("old-credential", old), secret("far-client-credential", dialled)]
    naming = [
        referring("Gateway", "gateway-old", "old-credential", old),
        referring("DestinationRule", "originate-mtls-for-far", "far-client-credential", dialled),
    ]
    assert known(*secrets, *naming) == ["far-client-credential", "old-credential"]
    assert known(*secrets) == [], "the control: nothing names them"


@pytest.mark.parametrize("labels", [{}, Owner("blue", "cluster-b", "server").labels("old"), OWNER.labels("old")])
def test_no_object_leads_to_a_secret_of_a_name_that_is_not_given_here(labels: Json) -> None:
    assert known(secret("cacerts"), referring("Gateway", "gateway-old", "cacerts", labels)) == []


def test_a_secret_that_an_object_of_ours_names_has_to_be_readable() -> None:
    old = OWNER.labels("old")
    with refused("not-permitted") as failure:
        known(referring("Gateway", "gateway-old", "old-credential", old), old_credential=403)
    assert failure.value.message.what.endswith("403 for: get secrets (old-credential)")


def test_a_secret_that_nothing_names_any_more_is_found_by_the_record_of_its_certificate() -> None:
    places = [("istio-system", "old-credential"), ("elsewhere", "older-credential")]
    recorded = replace(REQUEST, recorded=lambda: places)
    orphan = secret("old-credential", OWNER.labels("old"))
    assert known(orphan, request=recorded) == ["old-credential"]
    assert known(orphan, request=recorded, old_credential=403) == [], "its permission may have gone with it"


def test_records_are_not_looked_at_where_secrets_may_be_listed() -> None:
    def recorded() -> list[tuple[str, str]]:
        raise AssertionError

    assert reading(request=replace(REQUEST, recorded=recorded))["secrets"] == []


def test_secrets_of_other_clusters_are_seen_among_those_that_are_known_by_name() -> None:
    other = Owner("default", "cluster-z", "client").labels("client")
    found = reading(secret("client-credential", other), statuses=NO_LIST)
    assert found["of_others"] == {"cluster-z": ["Secret istio-system/client-credential"]}


@pytest.mark.parametrize(
    "data",
    [
        {"tls.crt": LEAF.certificate_pem.encode(), "tls.key": make_leaf(ROOT).key_pem},
        {"tls.crt": LEAF.certificate_pem.encode(), "tls.key": b""},
        {"tls.crt": LEAF.certificate_pem.encode()},
        {"tls.crt": b"\xff\xfe", "tls.key": LEAF.key_pem},
        {"cert": b"x"},
    ],
    ids=["another key", "an empty key", "no key", "no certificate", "other names"],
)
def test_a_secret_that_is_not_right_can_be_read(data: dict[str, bytes]) -> None:
    (found,) = reading(secret("mysql-credential", OWNER.labels("mysql"), data))["secrets"]
    assert found["key_matches"] is False
    json.dumps(found)


def test_strangers_under_the_name_of_a_links_own_client_secret_are_seen() -> None:
    """It is for a server of another CA; a Secret with -cacert would take the place of that CA."""
    names_of_them = {"mysql-client-credential", "mysql-client-credential-cacert"}
    found = reading(*(item("Secret", name, data={}) for name in names_of_them), item("Secret", "unrelated", data={}))
    assert {secret["name"] for secret in found["secrets"]} == names_of_them


def test_a_service_its_ports_and_addresses() -> None:
    service = item(
        "Service",
        "istio-ingressgateway",
        spec={"type": "LoadBalancer", "ports": [{"port": 443, "protocol": "TCP"}], "externalIPs": ["198.51.100.7"]},
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}, {"hostname": "lb.example.com"}]}},
    )
    service["metadata"]["managedFields"] = [
        {"manager": "helm", "fieldsV1": {"f:spec": {"f:ports": {'k:{"port":443,"protocol":"TCP"}': {}}}}}
    ]
    found = reading(service)["services"]
    assert found["server"]
    assert found["server"]["owners"] == {"443/TCP": ["helm"]}
    assert found["server"]["addresses"] == ["203.0.113.7", "lb.example.com", "198.51.100.7"]
    assert found["server"]["type"] == "LoadBalancer"
    assert found["client"] is None


def gateway_pod(name: str, *, ready: bool = True) -> Json:
    pod = item("Pod", name, labels={"istio": "ingressgateway"}, spec={"containers": [{"name": "istio-proxy"}]})
    pod["metadata"]["uid"] = name
    pod["status"] = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    return pod


def test_pods_of_a_gateway_are_asked_what_they_serve_if_they_are_ready() -> None:
    certs = json.dumps({"certificates": [{"cert_chain": [{"serial_number": "0a1b"}]}]})
    found = reading(gateway_pod("a"), gateway_pod("b", ready=False), answers={"a": certs})["pods"]
    assert [(pod["name"], pod["ready"], pod["serials"]) for pod in found["server"]] == [
        ("a", True, ["a1b"]),
        ("b", False, None),
    ]
    assert found["client"] == []


def test_what_a_pod_does_for_links_is_one_more_question_and_its_trust_none() -> None:
    """They come in one answer."""
    watch = Watch(frozenset({(3306, "mysql.default.svc.cluster.local")}))
    certs, dump = '{"certificates": []}', (Path(__file__).parents[1] / "proxy/ingress.json").read_text(encoding="utf-8")
    answers = {f"a {CERTS}": certs, f"a {watch.question}": dump}
    request = replace(REQUEST, watches={"server": watch})
    (pod,) = reading(gateway_pod("a"), answers=answers, request=request)["pods"]["server"]
    assert (pod["problem"], pod["trust"]) == ("", None)
    assert pod["proxy"]
    assert {item.port for item in pod["proxy"].listeners} == {13306, 13307, 13380}
    api = cast(Api, FakeApi([gateway_pod("a")], {}, answers))
    (pod,) = gateway_pods(api, REQUEST.ingress, trust=True, watch=watch)
    assert pod["problem"] == ""
    assert pod["trust"] == {}


def test_a_pod_without_a_proxy_is_no_gateway_whatever_its_labels() -> None:
    debug, job = gateway_pod("debug"), gateway_pod("job")
    debug["spec"] = {"containers": [{"name": "shell"}]}
    job["spec"] = {"containers": [{"name": "shell"}], "initContainers": [{"name": "istio-proxy"}]}
    native = gateway_pod("native", ready=False)
    native["spec"] = {"containers": [], "initContainers": [{"name": "istio-proxy", "restartPolicy": "Always"}]}
    found = reading(debug, job, native, gateway_pod("real", ready=False))
    assert names_in(found["pods"]["server"]) == ["native", "real"]
    assert found["strangers"] == {"server": ["istio-system/debug", "istio-system/job"], "client": []}


def test_connections_are_counted_in_all_pods_or_not_at_all() -> None:
    def counted(**values: str) -> str:
        stats = [{"name": name, "value": value} for name, value in values.items()]
        return json.dumps({"cluster_statuses": [{"name": "way", "host_statuses": [{"stats": stats}]}]})

    def read(*pods: Json, statuses: dict[str, int] | None = None, **answers: str) -> dict[str, dict[str, Connections]]:
        api = cast(Api, FakeApi(list(pods), statuses or {}, answers))
        return read_connections(api, INGRESS, Watch(frozenset({(13306, "mysql.server.example.com")})))

    first, second = counted(cx_total="3", rq_total="2"), counted(cx_total="4", cx_active="1")
    pods = [gateway_pod("a"), gateway_pod("b")]
    found = read(*pods, a=first, b=second)["way"]
    assert sorted(found.values(), key=lambda count: count.tried) == [Connections(3, 2), Connections(4, 0, 1)]
    # One that comes, or ends, may have taken the call as well.
    ending = gateway_pod("c")
    ending["metadata"]["deletionTimestamp"] = "2026-11-01T00:00:00Z"
    assert read(*pods, gateway_pod("c", ready=False), a=first, b=second, c=first) == {}
    assert read(*pods, ending, a=first, b=second, c=first) == {}
    # A pod that does not answer may have taken the call.
    assert read(*pods, a=first, b="upstream connect error") == {}
    assert read(*pods, a=first, b=second, statuses={collection_path("Pod", "istio-system"): 403}) == {}


def test_what_ends_an_object_or_keeps_it_is_read() -> None:
    ending: Json = {
        "deletionTimestamp": "2026-11-01T00:00:00Z",
        "finalizers": ["example.com/hold"],
        "ownerReferences": [{"kind": "ConfigMap", "name": "theirs", "uid": "x", "apiVersion": "v1"}],
    }
    gateway, held = item("Gateway", "gateway-mysql"), secret("mysql-credential")
    gateway["metadata"] |= ending
    held["metadata"] |= ending
    held["immutable"] = True
    found = reading(gateway, held)
    kept = {**ending, "ownerReferences": [{"kind": "ConfigMap", "name": "theirs"}]}
    (live,), (credential,) = found["objects"], found["secrets"]
    assert kept.items() <= live["metadata"].items()
    assert {**kept, "immutable": True}.items() <= credential.items()
    # The control: of an object without any there is none.
    (live,) = reading(item("Gateway", "gateway-mysql"))["objects"]
    assert not {"deletionTimestamp", "finalizers", "ownerReferences", "immutable"} & live["metadata"].keys()


def test_an_answer_of_a_proxy_that_cannot_be_read_is_told() -> None:
    watch = Watch(frozenset())
    answers = {f"a {CERTS}": '{"certificates": []}', f"a {watch.question}": "upstream connect error"}
    api = cast(Api, FakeApi([gateway_pod("a")], {}, answers))
    (pod,) = gateway_pods(api, REQUEST.ingress, watch=watch)
    assert (pod["problem"], pod["proxy"]) == ("its answer could not be read", None)


def test_pods_of_a_side_without_links_are_not_asked() -> None:
    """They serve the whole namespace's certificates: with a hundred links a megabyte, of which nothing is proven."""
    seen = {
        side: reading(gateway_pod("a"), answers={"a": "{}"}, request=replace(REQUEST, sides=[side]))["pods"]["server"]
        for side in ("server", "client")
    }
    assert [pod["serials"] for pod in seen["client"]] == [None]
    # The control: where there are links, the same pod is asked.
    assert [pod["serials"] for pod in seen["server"]] == [[]]


def workload(name: str, *containers: str, init: tuple[str, ...] = ()) -> Json:
    spec = {
        "containers": [{"name": container} for container in containers],
        "initContainers": [{"name": container, "restartPolicy": "Always"} for container in init],
    }
    return item("Pod", name, namespace="default", labels={"app": "mysql"}, spec=spec)


def test_backends_and_how_many_of_their_pods_have_a_sidecar() -> None:
    service = item(
        "Service", "mysql", namespace="default", spec={"selector": {"app": "mysql"}, "ports": [{"port": 3306}]}
    )
    other = workload("other", "app")
    other["metadata"]["labels"] = {"app": "other"}
    pods = [
        workload("a", "mysql", "istio-proxy"),
        workload("b", "mysql", init=("istio-proxy",)),
        workload("c", "mysql"),
        other,
    ]
    assert reading(service, *pods)["backends"] == [
        {"service": "mysql", "namespace": "default", "found": True, "ports": [3306], "pods": 3, "sidecars": 2}
    ]


def test_a_backends_ports_are_those_of_tcp_and_unknown_of_an_alias() -> None:
    def ports(**spec: Any) -> Any:
        return reading(item("Service", "mysql", namespace="default", spec=spec))["backends"][0]["ports"]

    both = [{"port": 53, "protocol": "UDP"}, {"port": 3306, "protocol": "TCP"}, {"port": 3307}]
    assert ports(ports=both) == [3306, 3307]
    assert ports(type="ExternalName", externalName="db.example.net", ports=both) is None
    assert ports() == []


def test_roots_of_the_mesh() -> None:
    bundle = make_root().view.pem + ROOT.view.pem
    found = reading(item("ConfigMap", "istio-ca-root-cert", data={"root-cert.pem": bundle}))
    assert ROOT.view.public_key_fingerprint in found["mesh_roots"]
    assert len(found["mesh_roots"]) == 2
    assert reading(item("ConfigMap", "istio-ca-root-cert"))["mesh_roots"] == []
