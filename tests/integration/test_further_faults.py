# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults from public reports beside those that others' objects make by Istio's rules: what is told of each, and where.

docs/troubleshooting.md has all of them, with their sources. Each case is in force for one look of verify between two in
which all links are sound.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import envoy
from tests.integration.support.admission_faults import ADMISSION, present
from tests.integration.support.changed_objects import mesh_settings, patched, unready
from tests.integration.support.credential_secrets import serial
from tests.integration.support.lab_mesh import MYSQL, Mesh, Run, cleared_afterwards
from tests.integration.support.network_faults import DROP, RESET, host_aliases, names_answered, rule
from tests.integration.support.preflight_reports import run_preflight
from tests.integration.support.probed_links import CLIENT, DATABASE, ORDERS, SERVER, WEB, assert_sound, carries, stands
from tests.integration.support.rival_objects import SYSTEM, foreign, objects_of_others, rival
from tests.integration.support.slow_cases import with_slow
from tests.integration.support.standing_link import StandingLink
from tests.integration.support.web_servers import BACKEND, curl, running_web_servers
from tests.integration.support.workload_programs import PYTHON, programs
from tests.lab import Lab
from tests.lab.wait import eventually

Json = dict[str, Any]
Make = Callable[[Mesh], AbstractContextManager[object]]
WORKLOAD, DATABASE_POD = "mysql-client", "mysql-0"
EGRESS, INGRESS = "istio-egressgateway-0", "istio-ingressgateway-0"
EGRESS_LABELS, INGRESS_LABELS = {"istio": "egressgateway"}, {"istio": "ingressgateway"}
GONE = "203.0.113.77"
OUTSIDE = "changed-outside-the-model"
LARGE = ("-m", "length", "--length", "700:65535", *DROP)


@dataclass(frozen=True)
class Case:
    """:param make: has it in force for the length of a block.
    :param sound: a link that is told up meanwhile; empty where all of them are broken.
    :param carried: whether the link carries all the same.
    :param also: the code of something that is told beside it.
    """

    make: Make
    code: str
    place: str
    cluster: str
    parts: tuple[str, ...] = ()
    link: str = "mysql"
    sound: str = "orders"
    carried: bool = False
    also: str = ""


@pytest.fixture(scope="module")
def links(lab: Lab, standing_link: StandingLink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A link of tcp, http and grpc each, sound, and a pod that can ask."""
    mesh = Mesh(lab, tmp_path_factory.mktemp("mesh"), standing_link.passphrase, {"mesh_gate_timeout": 5})
    with ExitStack() as stack:
        stack.enter_context(cleared_afterwards(mesh))
        standing_link.put_in_place(mesh)
        stack.enter_context(running_web_servers(mesh, tmp_path_factory.mktemp("web")))
        stack.enter_context(programs(lab, tmp_path_factory.mktemp("programs"), *PYTHON))
        mesh.links = [DATABASE, WEB, ORDERS]
        run = mesh.site("-e", "mesh_gate_timeout=60")
        assert run.ok, run.output
        assert_sound(mesh)
        yield mesh


def is_sound(mesh: Mesh) -> bool:
    return all(carries(mesh, link) for link in ("mysql", "web", "orders")) and mesh.play("verify").code == 0


def told(mesh: Mesh, case: Case) -> Run:
    """The first run of verify that tells it in its table."""
    seen: list[Run] = []

    def is_told() -> bool:
        seen.append(mesh.play("verify"))
        return seen[-1].code == 2 and stands(
            seen[-1], case.link, f"{case.code} +broken at {case.place} in .*{case.cluster}.*"
        )

    try:
        eventually(is_told)
    except AssertionError:
        pytest.fail(seen[-1].output)
    return seen[-1]


# -- how each is made --------------------------------------------------------------------------------------------------


def packets(cluster: str, pod: str, chain: str, *match: str, table: str = "filter") -> Make:
    return lambda mesh: rule(mesh, cluster, pod, chain, *match, table=table)


def tcp(port: int, *rest: str) -> tuple[str, ...]:
    return ("-p", "tcp", "--dport", str(port), *rest)


def from_ingress(mesh: Mesh, *verdict: str) -> AbstractContextManager[None]:
    """A NetworkPolicy of the backend's: its sidecar takes connections on 15006."""
    address = mesh.lab.pod(SERVER, INGRESS).address
    return rule(mesh, SERVER, DATABASE_POD, "INPUT", *tcp(15006, "-s", address, *verdict))


def objects(cluster: str, *items: Json) -> Make:
    return lambda mesh: present(mesh, cluster, *items)


def envoy_filter(labels: dict[str, str], apply_to: str, match: Json, operation: str, value: Json) -> Json:
    patch = {
        "applyTo": apply_to,
        "match": {"context": "GATEWAY", **match},
        "patch": {"operation": operation, "value": value},
    }
    spec = {"workloadSelector": {"labels": labels}, "configPatches": [patch]}
    return foreign("EnvoyFilter", "theirs", spec)


def of_type(name: str, kind: str, **config: Any) -> Json:
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **config}}


def service(ports: Json | None = None, name: str = "mysql", cluster: str = SERVER, **spec: Any) -> Make:
    """The backend's Service, changed."""
    change = {"spec": {**({"ports": [ports]} if ports else {}), **spec}}
    return lambda mesh: patched(mesh, cluster, "service", name, change)


def database_port(target: int | str) -> Json:
    return {"name": "tcp-mysql", "port": 3306, "targetPort": target, "protocol": "TCP"}


@contextmanager
def old_record(mesh: Mesh) -> Iterator[None]:
    """Envoy asks DNS once a minute."""
    with names_answered(mesh, CLIENT, web=mesh.lab.pod("cluster-c", "edge-0").address):
        eventually(lambda: not carries(mesh, "web"), within=90)
        yield
    eventually(lambda: carries(mesh, "web"), within=90)


def anew(make: Make) -> Make:
    """The same, with the connections to link web's server of before ended: those that are open go on.

    Each thread of the gateway may have one. A call after that takes up the TLS session of before, which counts once
    (RFC 8446, C.4): resumed, its handshake is short and without certificates.
    """

    @contextmanager
    def made(mesh: Mesh) -> Iterator[None]:
        with make(mesh):
            with rule(mesh, SERVER, INGRESS, "INPUT", *tcp(13380, *RESET)):
                mesh.lab.run(CLIENT, EGRESS, ["ss", "--kill", "--tcp", "dport = :13380"], check=True)
                for _ in range(2):
                    assert not carries(mesh, "web")
            yield

    return made


@contextmanager
def without_service(mesh: Mesh) -> Iterator[None]:
    """The backend of link web has no Service for a while."""
    place = ("service", "web", "-n", "default")
    found = mesh.get(SERVER, *place)
    mesh.lab.kubectl(SERVER, "delete", *place)
    try:
        yield
    finally:
        metadata = {key: found["metadata"][key] for key in ("name", "namespace")}
        again = {**found, "metadata": metadata}
        again.pop("status", None)
        mesh.lab.kubectl(SERVER, "create", "-f", "-", stdin=json.dumps(again))


@contextmanager
def web_behind(mesh: Mesh, program: list[str], port: int) -> Iterator[None]:
    """The backend of link web is this program, in the same pod."""
    ports = [
        {**item, "targetPort": port if item["port"] == 8080 else item["targetPort"]}
        for item in mesh.get(SERVER, "service", "web", "-n", "default")["spec"]["ports"]
    ]
    process = mesh.lab.popen(SERVER, DATABASE_POD, program)
    try:
        with patched(mesh, SERVER, "service", "web", {"spec": {"ports": ports}}):
            yield
    finally:
        process.kill()
        process.communicate(timeout=30)


def on_loopback(mesh: Mesh) -> AbstractContextManager[None]:
    return web_behind(mesh, [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "9988"], 9988)


@contextmanager
def held_connections(mesh: Mesh, count: int) -> Iterator[None]:
    """Sessions over the link that stay."""
    database = mesh.lab.pod(SERVER, DATABASE_POD).mariadb
    assert database
    command = ["mariadb", "--no-defaults", "--protocol=TCP", "-h", MYSQL["fqdn"], "-P", "3306"]
    command += [f"-u{database.user}", f"-p{database.password}", database.database, "-e", "SELECT SLEEP(300)"]
    sessions = [mesh.lab.popen(CLIENT, WORKLOAD, command) for _ in range(count)]
    try:
        eventually(lambda: mesh.lab.mysql_local("SHOW PROCESSLIST").count("SLEEP(300)") == count)
        yield
    finally:
        for session in sessions:
            session.kill()
            session.communicate(timeout=30)


@contextmanager
def one_connection_only(mesh: Mesh) -> Iterator[None]:
    """Somebody's limit for the backend, and a session that takes it up."""
    policy = {"connectionPool": {"tcp": {"maxConnections": 1}}}
    spec = {"host": MYSQL["backend"]["host"], "trafficPolicy": policy}
    limit = foreign("DestinationRule", "theirs", spec, namespace="default")
    with objects_of_others(mesh, SERVER, [limit], told=INGRESS), held_connections(mesh, 1):
        yield


@contextmanager
def ejected(mesh: Mesh) -> Iterator[None]:
    """Somebody's outlier detection has thrown the only pod out."""
    detection = {
        "consecutive5xxErrors": 1,
        "interval": "1s",
        "baseEjectionTime": "600s",
        "maxEjectionPercent": 100,
    }
    spec = {"host": BACKEND, "trafficPolicy": {"outlierDetection": detection}}
    with present(mesh, SERVER, foreign("DestinationRule", "theirs", spec, namespace="default")):

        def is_thrown_out() -> bool:
            curl(mesh, WEB["fqdn"], "/fails")
            return not carries(mesh, "web")

        eventually(is_thrown_out)
        yield


@contextmanager
def overwritten(mesh: Mesh) -> Iterator[None]:
    """cert-manager, or whoever else, writes a certificate for another name into our Secret."""
    theirs = mesh.get(SERVER, "secret", "orders-credential", "-n", SYSTEM)["data"]
    ours = serial(mesh, (SERVER, "web-credential"))
    with patched(mesh, SERVER, "secret", "web-credential", {"data": theirs}, namespace=SYSTEM):
        eventually(lambda: ours not in envoy.served_serials(mesh.lab.envoy(SERVER, INGRESS, envoy.CERTS)))
        yield


@contextmanager
def open_to_all(mesh: Mesh) -> Iterator[None]:
    """Somebody's older Gateway has the link's host and port, and demands no certificate; its server waits."""
    server = {
        "port": {"number": 13380, "name": "https-web", "protocol": "HTTPS"},
        "hosts": [WEB["fqdn"]],
        "tls": {"mode": "SIMPLE", "credentialName": "web-credential"},
    }
    destination = {"host": BACKEND, "port": {"number": 8080}}
    route = {"hosts": [WEB["fqdn"]], "gateways": ["rival"], "http": [{"route": [{"destination": destination}]}]}
    gateway = {"selector": INGRESS_LABELS, "servers": [server]}
    with (
        rival(mesh, SERVER, "Gateway", gateway, before=("Gateway", "gateway-web")),
        rival(mesh, SERVER, "VirtualService", route),
    ):
        yield


WORKLOAD_ENTRY = foreign("WorkloadEntry", "theirs", {"address": GONE, "labels": {"app": "mysql"}}, namespace="default")
ENTRY_OF_BACKEND = foreign(
    "ServiceEntry",
    "theirs",
    {
        "hosts": [MYSQL["backend"]["host"]],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": 3306, "name": "tcp-mysql", "protocol": "TCP"}],
        "endpoints": [{"address": GONE}],
    },
    namespace="default",
)
STALE_SLICE = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {"name": "mysql-old", "namespace": "default", "labels": {"kubernetes.io/service-name": "mysql"}},
    "addressType": "IPv4",
    "endpoints": [{"addresses": [GONE], "conditions": {"ready": True}}],
    "ports": [{"name": "tcp-mysql", "port": 3306, "protocol": "TCP"}],
}
PROXY_PROTOCOL = envoy_filter(
    INGRESS_LABELS,
    "LISTENER",
    {"listener": {"portNumber": 13380}},
    "MERGE",
    {
        "listener_filters": [
            of_type("envoy.filters.listener.proxy_protocol", "filters.listener.proxy_protocol.v3.ProxyProtocol")
        ]
    },
)
HTTP_CONNECTION_MANAGER = {"filter": {"name": "envoy.filters.network.http_connection_manager"}}
FORBIDS = envoy_filter(
    INGRESS_LABELS,
    "HTTP_FILTER",
    {"listener": {"portNumber": 13380, "filterChain": HTTP_CONNECTION_MANAGER}},
    "INSERT_BEFORE",
    of_type(
        "theirs",
        "filters.http.lua.v3.Lua",
        default_source_code={
            "inline_string": "function envoy_on_request(handle) handle:respond({[':status'] = '403'}, '') end"
        },
    ),
)
UNFETCHED = foreign(
    "WasmPlugin",
    "theirs",
    {"selector": {"matchLabels": INGRESS_LABELS}, "url": "http://127.0.0.1:1/x.wasm", "failStrategy": "FAIL_CLOSE"},
)

REQUEST_AUTHENTICATION = {"selector": {"matchLabels": INGRESS_LABELS}}


def tokens_of(jwks: Json) -> Json:
    """Somebody's RequestAuthentication at the ingress gateway, for tokens of his issuer."""
    rules = [{"issuer": "https://login.example.com", "jwks": json.dumps(jwks)}]
    return foreign("RequestAuthentication", "theirs", {**REQUEST_AUTHENTICATION, "jwtRules": rules})


def public_key() -> Json:
    numbers = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
    return {"kty": "RSA", "kid": "theirs", "alg": "RS256", "n": as_text(numbers.n), "e": as_text(numbers.e)}


def as_text(number: int) -> str:
    """As a JSON Web Key has it (RFC 7518, section 6.3)."""
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8)).decode().rstrip("=")


def token_of_another_issuer() -> str:
    parts = ({"alg": "RS256", "typ": "JWT"}, {"iss": "https://shop.example.com", "sub": "web"})
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, "c2ln"])


# -- broken, and told with its place -----------------------------------------------------------------------------------

CASES = {
    "the port is left out of the sidecar's redirection (excludeOutboundPorts)": Case(
        packets(CLIENT, WORKLOAD, "ISTIO_OUTPUT", *tcp(3306, "-j", "RETURN"), table="nat"),
        "port-closed",
        "hop 1",
        CLIENT,
        ("the connection was refused", "sidecar"),
    ),
    "istio-cni was late: no redirection at all": Case(
        packets(CLIENT, WORKLOAD, "OUTPUT", "-p", "tcp", "-j", "ACCEPT", table="nat"),
        "port-closed",
        "hop 1",
        CLIENT,
        ("the connection was refused", "sidecar"),
        sound="",
    ),
    "hostAliases lead to the pod itself": Case(
        lambda mesh: host_aliases(mesh, CLIENT, WORKLOAD, mysql="127.0.0.1"), "name-elsewhere", "name", CLIENT
    ),
    "a NetworkPolicy between workload and egress gateway": Case(
        packets(CLIENT, WORKLOAD, "OUTPUT", *tcp(15443, *DROP)),
        "not-passed-on",
        "hop 1",
        CLIENT,
        ("NetworkPolicies",),
        sound="",
    ),
    "internalTrafficPolicy: Local on the egress gateway's Service": Case(
        lambda mesh: patched(
            mesh,
            CLIENT,
            "service",
            "istio-egressgateway",
            {"spec": {"internalTrafficPolicy": "Local"}},
            namespace=SYSTEM,
        ),
        "not-passed-on",
        "hop 1",
        CLIENT,
        ("internalTrafficPolicy",),
        link="web",
        sound="",
    ),
    "no pod of the egress gateway is ready": Case(
        lambda mesh: unready(mesh, CLIENT, EGRESS, SYSTEM), "no-ready-pod", "hop 1", CLIENT, sound=""
    ),
    # The lab's load balancer sends connections to pods that are not ready.
    "no pod of the ingress gateway is ready": Case(
        lambda mesh: unready(mesh, SERVER, INGRESS, SYSTEM), "no-ready-pod", "hop 2", SERVER, sound="", carried=True
    ),
    "a firewall between the clusters drops packets": Case(
        anew(packets(SERVER, INGRESS, "INPUT", *tcp(13380, *DROP))),
        "no-connection",
        "hop 2",
        CLIENT,
        ("firewall", "security group"),
        link="web",
    ),
    "a firewall between the clusters refuses connections": Case(
        packets(SERVER, INGRESS, "INPUT", *tcp(13380, *RESET)), "no-connection", "hop 2", CLIENT, link="web"
    ),
    "of a link of tcp, that may be the backend": Case(
        packets(SERVER, INGRESS, "INPUT", *tcp(13306, *RESET)),
        "no-answer",
        "answer",
        CLIENT,
        ("of the egress gateway to its server has come about", "firewall", "the backend"),
    ),
    "the backend's Service is gone": Case(
        without_service, "backend-missing", "hop 3", SERVER, link="web", sound="mysql"
    ),
    "large packets to the egress gateway are lost (MTU)": Case(
        anew(packets(CLIENT, EGRESS, "INPUT", "-p", "tcp", "--sport", "13380", *LARGE)),
        "no-connection",
        "hop 2",
        CLIENT,
        ("MTU",),
        link="web",
    ),
    # In TLS 1.3 the client is through by then.
    "large packets to the ingress gateway are lost (MTU)": Case(
        packets(SERVER, INGRESS, "INPUT", *tcp(13306, *LARGE)),
        "no-answer",
        "answer",
        CLIENT,
        ("MTU",),
        also="server-not-asked",
    ),
    "the ingress gateway waits for the PROXY protocol": Case(
        anew(objects(SERVER, PROXY_PROTOCOL)),
        "no-connection",
        "hop 2",
        CLIENT,
        ("EnvoyFilter",),
        link="web",
        also=OUTSIDE,
    ),
    "the DNS record leads to another gateway": Case(
        old_record,
        "no-connection",
        "hop 2",
        CLIENT,
        ("the name leads to",),
        link="web",
    ),
    "a WorkloadEntry of others has the labels of the backend": Case(
        objects(SERVER, WORKLOAD_ENTRY),
        "plain-backend",
        "hop 3",
        SERVER,
        (f"PLAIN TEXT to {GONE}:3306", "WorkloadEntry"),
        sound="",
    ),
    "an old EndpointSlice of the backend": Case(
        objects(SERVER, STALE_SLICE), "plain-backend", "hop 3", SERVER, (f"PLAIN TEXT to {GONE}:3306", "EndpointSlice")
    ),
    "a ServiceEntry of others for the backend's host": Case(
        objects(SERVER, ENTRY_OF_BACKEND),
        "plain-backend",
        "hop 3",
        SERVER,
        (f"PLAIN TEXT to {GONE}:3306", "ServiceEntry"),
    ),
    "the backend's Service selects nothing": Case(
        service(selector={"app": "renamed"}), "no-endpoint", "hop 3", SERVER, ("a backend that is ready",)
    ),
    "targetPort by a name that no container has": Case(
        service(database_port("db")), "no-endpoint", "hop 3", SERVER, ("a backend that is ready",)
    ),
    "targetPort by a number on which nothing listens": Case(
        service(database_port(3399)), "no-answer", "answer", CLIENT, ("backend's log",)
    ),
    "the backend's pod is not ready": Case(
        lambda mesh: unready(mesh, SERVER, DATABASE_POD, "default"), "no-endpoint", "hop 3", SERVER, sound=""
    ),
    "outlier detection has ejected the backend": Case(ejected, "no-endpoint", "hop 3", SERVER, link="web"),
    "a NetworkPolicy between ingress gateway and backend drops": Case(
        lambda mesh: from_ingress(mesh, *DROP), "no-answer", "answer", CLIENT, ("policies there",), sound=""
    ),
    "a NetworkPolicy between ingress gateway and backend refuses": Case(
        lambda mesh: from_ingress(mesh, *RESET), "wrong-answer", "answer", CLIENT, ("status 503",), "web", sound=""
    ),
    "the backend's port is left out of its sidecar (excludeInboundPorts)": Case(
        packets(SERVER, DATABASE_POD, "ISTIO_INBOUND", *tcp(3306, "-j", "RETURN"), table="nat"),
        "no-answer",
        "answer",
        CLIENT,
    ),
    "the backend listens on loopback only": Case(
        on_loopback, "wrong-answer", "answer", CLIENT, ("status 503",), link="web"
    ),
    "a limit of connections for the backend (maxConnections)": Case(
        one_connection_only, "no-answer", "answer", CLIENT, ("has come about",)
    ),
    "an EnvoyFilter at the ingress gateway answers by itself": Case(
        objects(SERVER, FORBIDS), "wrong-answer", "answer", CLIENT, ("status 403",), link="web", also=OUTSIDE
    ),
    "a WasmPlugin that cannot be fetched": Case(
        objects(SERVER, UNFETCHED), "wrong-answer", "answer", CLIENT, ("status 403",), link="web", sound="mysql"
    ),
    # The control of those in which nobody is let in: a server that says nothing, and has looked at what the client has.
    "a server that takes everybody, and waits": Case(
        open_to_all, "anybody-let-in", "hop 2", SERVER, ("no refusal in 12 s",), link="web", sound="mysql", carried=True
    ),
    "somebody else writes another certificate into our Secret": Case(
        anew(overwritten), "server-certificate", "hop 2", SERVER, link="web"
    ),
}
SLOW = {
    "a WorkloadEntry of others has the labels of the backend",
    "hostAliases lead to the pod itself",
    "a firewall between the clusters drops packets",
    "a server that takes everybody, and waits",
    "an EnvoyFilter at the ingress gateway answers by itself",
    "the ingress gateway waits for the PROXY protocol",
    "the port is left out of the sidecar's redirection (excludeOutboundPorts)",
    "internalTrafficPolicy: Local on the egress gateway's Service",
    "no pod of the ingress gateway is ready",
    "of a link of tcp, that may be the backend",
    "large packets to the ingress gateway are lost (MTU)",
    "an old EndpointSlice of the backend",
    "targetPort by a name that no container has",
    "outlier detection has ejected the backend",
    "a NetworkPolicy between ingress gateway and backend drops",
    "the backend listens on loopback only",
    "a WasmPlugin that cannot be fetched",
    "the DNS record leads to another gateway",
    "istio-cni was late: no redirection at all",
    "a firewall between the clusters refuses connections",
    "a ServiceEntry of others for the backend's host",
    "targetPort by a number on which nothing listens",
    "the backend's pod is not ready",
    "a NetworkPolicy between ingress gateway and backend refuses",
    "the backend's port is left out of its sidecar (excludeInboundPorts)",
    "a limit of connections for the backend (maxConnections)",
}


@pytest.mark.parametrize("name", with_slow(CASES, SLOW))
def test_a_fault_is_told_with_its_place_and_goes_with_its_cause(links: Mesh, name: str) -> None:
    case = CASES[name]
    with case.make(links):
        if not case.carried:
            assert eventually(lambda: not carries(links, case.link))
        run = told(links, case)
        assert run.reports(case.code, f"link {case.link}, {case.place}, ", *case.parts), run.output
        assert not case.also or run.reports(case.also), run.output
        if case.sound:
            assert stands(run, case.sound, "up"), run.output
            assert not run.says(f"link {case.sound},")
    assert eventually(lambda: is_sound(links), within=60), links.play("verify").output


# -- told by a warning, or a limit that docs/troubleshooting.md states -------------------------------------------------


def test_keys_that_envoy_does_not_read_are_told_of_before_a_pod_is_new(links: Mesh) -> None:
    with present(links, SERVER, tokens_of({"keys": []})):
        assert eventually(lambda: links.play("verify").reports("fresh-pod-listener", "has invalid local jwks"))
        assert carries(links, "web"), "the listener of before goes on"
    assert eventually(lambda: not links.play("verify").says("fresh-pod-listener"))


def test_a_request_authentication_refuses_tokens_of_others_and_no_probe_has_one(links: Mesh) -> None:
    def status(*options: str) -> str:
        return curl(links, WEB["fqdn"], "/", *options).stdout.partition(" ")[2][:3]

    token = ("--header", f"Authorization: Bearer {token_of_another_issuer()}")
    assert status(*token) == "200"
    with present(links, SERVER, tokens_of({"keys": [public_key()]})):
        assert eventually(lambda: status(*token) == "401")
        assert status() == "200"
        assert links.play("verify").code == 0
    assert eventually(lambda: status(*token) == "200")


def test_requests_that_envoy_refuses_by_itself(links: Mesh) -> None:
    def answer(*options: str) -> str:
        return curl(links, WEB["fqdn"], "/", *options).stdout.partition("\n")[0]

    assert "200" in answer()
    assert "431" in answer("--header", f"X-Large: {'a' * 70000}")
    assert "200" not in answer("--http1.0")


# -- before the first write --------------------------------------------------------------------------------------------

SECOND = {**MYSQL, "name": "second", "fqdn": "second.server.example.com", "port": 3308, "tls_port": 13308}
VALIDATION = "rev.validation.istio.io"


def webhook_of_istio(mesh: Mesh) -> Json:
    """Its address is istiod's, at a port that nobody answers."""
    rule_of_all = {
        "apiGroups": ["networking.istio.io"],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["*"],
    }
    hook = {
        "name": VALIDATION,
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "timeoutSeconds": 2,
        "clientConfig": {"url": f"https://{mesh.lab.cluster(SERVER).host_address}:9/validate"},
        "rules": [rule_of_all],
    }
    metadata = {"name": "istio-validator-istio-system"}
    kind = "ValidatingWebhookConfiguration"
    return {"apiVersion": ADMISSION, "kind": kind, "metadata": metadata, "webhooks": [hook]}


@pytest.mark.slow
def test_istios_validation_that_does_not_answer_stops_a_run_and_no_link(links: Mesh) -> None:
    more = links.with_changes(links=[*(links.links or []), SECOND])
    with present(links, SERVER, webhook_of_istio(links)):
        assert eventually(lambda: more.site("--check").reports("webhook-unreachable", VALIDATION))
        found = run_preflight(more)
        assert not found.passed
        assert found.reports((SERVER, "-", "dry-run"), "webhook-unreachable", VALIDATION), found.run.output
        assert is_sound(links)
    assert eventually(lambda: more.site("--check").ok)


@pytest.mark.slow
def test_an_istiod_that_is_down_stops_what_is_new_and_nothing_that_is_there(links: Mesh) -> None:
    more = links.with_changes(links=[*(links.links or []), SECOND])
    links.lab.stop(f"{SERVER}.istiod")
    try:
        run = more.site()
        assert not run.ok, run.output
        assert run.reports("listener-missing", "link second, hop 2", "istiod's log"), run.output
        assert stands(run, "web", "up") or stands(run, "web", "up, changed in .*"), run.output
        assert all(carries(links, link) for link in ("mysql", "web", "orders"))
    finally:
        links.lab.start(f"{SERVER}.istiod")
    assert eventually(lambda: more.site("-e", "mesh_gate_timeout=30").ok)
    assert links.site("-e", "mesh_gate_timeout=60").ok


def test_a_load_balancer_without_an_address_is_told_of(links: Mesh) -> None:
    pending = {"status": {"loadBalancer": None}}
    with patched(links, SERVER, "service", "istio-ingressgateway", pending, namespace=SYSTEM, status=True):
        assert links.play("verify").reports("no-address", "istio-ingressgateway")
    assert not links.play("verify").says("[no-address]")


# -- what is no fault --------------------------------------------------------------------------------------------------


def strict(cluster: str, labels: dict[str, str], mode: str) -> Make:
    spec = {"selector": {"matchLabels": labels}, "mtls": {"mode": mode}}
    return objects(cluster, foreign("PeerAuthentication", "theirs", spec))


HARMLESS: dict[str, Make] = {
    "PeerAuthentication STRICT at the ingress gateway": strict(SERVER, INGRESS_LABELS, "STRICT"),
    "PeerAuthentication DISABLE at the egress gateway": strict(CLIENT, EGRESS_LABELS, "DISABLE"),
    "a network's label on the backend's pod": lambda mesh: patched(
        mesh, SERVER, "pod", DATABASE_POD, {"metadata": {"labels": {"topology.istio.io/network": "vpc-2"}}}
    ),
    "trafficDistribution at the backend": service(trafficDistribution="PreferClose"),
}


def test_what_looks_like_a_fault_and_is_none(links: Mesh) -> None:
    with ExitStack() as stack:
        for make in HARMLESS.values():
            stack.enter_context(make(links))
        assert eventually(lambda: is_sound(links), within=60), links.play("verify").output
    assert eventually(lambda: is_sound(links))


def test_links_carry_where_the_mesh_knows_registered_hosts_only_and_tls_13(links: Mesh) -> None:
    unregistered = links.lab.pod(SERVER, DATABASE_POD).address

    def passes() -> bool:
        return curl(links, unregistered, "/", "--max-time", "5", port=8080).stdout.partition(" ")[2].startswith("200")

    assert passes()
    with ExitStack() as stack:
        for cluster in (CLIENT, SERVER):
            settings = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
            settings |= {name: {"minProtocolVersion": "TLSV1_3"} for name in ("meshMTLS", "tlsDefaults")}
            stack.enter_context(mesh_settings(links, cluster, **settings))
        assert eventually(lambda: not passes()), "the settings are in force"
        assert eventually(lambda: is_sound(links), within=60), links.play("verify").output
    assert eventually(lambda: passes() and is_sound(links), within=60)
