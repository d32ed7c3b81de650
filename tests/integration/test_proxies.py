# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Green means that the gateways do what a link means: each link is judged by itself, whatever stands in its way."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.integration.support.lab_mesh import MYSQL, Mesh, Run, cleared_afterwards
from tests.integration.support.rival_objects import SYSTEM, made_anew, rival
from tests.integration.support.standing_link import StandingLink
from tests.integration.support.web_servers import web_link
from tests.lab import Lab
from tests.lab.wait import eventually

CLIENT, SERVER = "cluster-a", "cluster-b"
INGRESS_POD = "istio-ingressgateway-0"
# A backend of its own, of the same pod: what is wrong with the other link's backend is not wrong with this one's.
SOUND = {
    **MYSQL,
    "name": "sound",
    "fqdn": "sound.server.example.com",
    "port": 3307,
    "tls_port": 13307,
    "backend": {"host": "sound.default.svc.cluster.local", "port": 3399},
}
WEB = web_link("web", "http", 13380)
BACKEND = {"selector": {"app": "mysql"}, "ports": [{"name": "tcp", "port": 3399, "targetPort": 3399}]}
KEEPALIVE = {"connectionPool": {"tcp": {"tcpKeepalive": {"time": "60s"}}}}
MYSQL_SNI = [{"when": [{"key": "connection.sni", "values": [MYSQL["fqdn"]]}]}]
OTHERS_SNI = [{"when": [{"key": "connection.sni", "notValues": [MYSQL["fqdn"]]}]}]


@pytest.fixture(scope="module")
def two_links(lab: Lab, standing_link: StandingLink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A link that a test breaks, and one beside it that stays sound."""
    mesh = Mesh(lab, tmp_path_factory.mktemp("mesh"), standing_link.passphrase, {"mesh_gate_timeout": 5})
    with cleared_afterwards(mesh):
        standing_link.put_in_place(mesh)
        mesh.links = [MYSQL, SOUND]
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "sound", "namespace": "default"}}
        lab.kubectl(SERVER, "apply", "-f", "-", stdin=json.dumps({**service, "spec": BACKEND}))
        try:
            run = mesh.site("-e", "mesh_gate_timeout=60")
            assert run.ok, run.output
            yield mesh
        finally:
            lab.kubectl(SERVER, "delete", "service", "sound", "-n", "default")


def is_told_up(run: Run, link: str) -> bool:
    return re.search(rf"^{link} .* up(, changed in .*)?$", run.output, re.MULTILINE) is not None


def is_broken_at(run: Run, link: str, hop: int, cluster: str) -> bool:
    return re.search(rf"^{link} .* broken at hop {hop} in {cluster}$", run.output, re.MULTILINE) is not None


def assert_broken(mesh: Mesh, code: str, *parts: str, hop: int, cluster: str, link: str = "mysql") -> None:
    """Both playbooks fail for the link, and tell that the one beside it is up."""
    assert eventually(lambda: not mesh.play("verify").ok), "verify goes on to succeed"
    for playbook in ("verify", "site"):
        run = mesh.play(playbook)
        assert not run.ok, run.output
        assert run.reports(code, f"link {link}, hop {hop}, pod {SYSTEM}/", *parts), run.output
        assert is_broken_at(run, link, hop, cluster), run.output
        assert is_told_up(run, "sound"), run.output
        assert not run.says("link sound,"), run.output


def assert_mended(mesh: Mesh) -> None:
    """What was in the way has gone."""
    assert eventually(lambda: mesh.play("verify").ok), mesh.play("verify").output
    run = mesh.site()
    assert run.ok, run.output
    assert is_told_up(run, "mysql")
    assert is_told_up(run, "sound")


@pytest.mark.slow
def test_two_sound_links_are_told_up(two_links: Mesh) -> None:
    assert_mended(two_links)
    assert two_links.site().changed == 0
    assert two_links.carries()


SLOW = {
    "A1, an older DestinationRule that Istio does not merge with ours",
    "A5, an older ServiceEntry that leads elsewhere",
    "A5, an older ServiceEntry without our port",
    "A6, an older VirtualService on our Gateway",
    "A7, an allow-list without the link on the ingress gateway",
    "A10, an EnvoyFilter that Envoy refuses",
    "B5, no mesh TLS at the backend",
}


def case(name: str, hop: int, code: str, *parts: str, **object_of_others: Any) -> Any:
    marks = pytest.mark.slow if name in SLOW else ()
    return pytest.param(hop, code, parts, object_of_others, id=name, marks=marks)


@pytest.mark.parametrize(
    ("hop", "code", "parts", "object_of_others"),
    [
        case(
            "A1, an older DestinationRule that Istio does not merge with ours",
            2,
            "cluster-missing",
            cluster=CLIENT,
            kind="DestinationRule",
            spec={"host": MYSQL["fqdn"], "exportTo": ["."], "trafficPolicy": KEEPALIVE},
            before=("DestinationRule", "originate-mtls-for-mysql"),
        ),
        case(
            "A5, an older ServiceEntry without our port",
            2,
            "cluster-missing",
            "ServiceEntry istio-system/mysql-external",
            cluster=CLIENT,
            kind="ServiceEntry",
            spec={
                "hosts": [MYSQL["fqdn"]],
                "resolution": "DNS",
                "ports": [{"number": 3306, "name": "tcp", "protocol": "TCP"}],
            },
            before=("ServiceEntry", "mysql-external"),
        ),
        case(
            "A5, an older ServiceEntry that leads elsewhere",
            2,
            "endpoint-elsewhere",
            f"wanted the way to {MYSQL['fqdn']}:13306; found 198.51.100.7:13306",
            cluster=CLIENT,
            kind="ServiceEntry",
            spec={
                "hosts": [MYSQL["fqdn"]],
                "resolution": "STATIC",
                "ports": [{"number": 13306, "name": "tls", "protocol": "TLS"}],
                "endpoints": [{"address": "198.51.100.7"}],
            },
            before=("ServiceEntry", "mysql-external"),
        ),
        case(
            "A6, an older VirtualService on our Gateway",
            2,
            "route-elsewhere",
            "found one to outbound|13307|",
            cluster=CLIENT,
            kind="VirtualService",
            spec={
                "hosts": [MYSQL["fqdn"]],
                "gateways": ["egressgateway-mysql"],
                "tcp": [{"route": [{"destination": {"host": SOUND["fqdn"], "port": {"number": 13307}}}]}],
            },
            before=("VirtualService", "direct-mysql-through-egress-gateway"),
        ),
        case(
            "A7, a policy that denies on the egress gateway",
            1,
            "caller-refused",
            "AuthorizationPolicy istio-system/rival",
            cluster=CLIENT,
            kind="AuthorizationPolicy",
            spec={
                "selector": {"matchLabels": {"istio": "egressgateway"}},
                "action": "DENY",
                "rules": MYSQL_SNI,
            },
        ),
        case(
            "A7, an allow-list without the link on the ingress gateway",
            2,
            "caller-refused",
            "an allow-list that lacks it (AuthorizationPolicy istio-system/rival)",
            cluster=SERVER,
            kind="AuthorizationPolicy",
            spec={
                "selector": {"matchLabels": {"istio": "ingressgateway"}},
                "action": "ALLOW",
                "rules": OTHERS_SNI,
            },
        ),
        case(
            "A10, an EnvoyFilter that Envoy refuses",
            2,
            "listener-refused",
            "Envoy refused it: ",
            "EnvoyFilter",
            cluster=SERVER,
            kind="EnvoyFilter",
            spec={
                "workloadSelector": {"labels": {"istio": "ingressgateway"}},
                "configPatches": [
                    {
                        "applyTo": "LISTENER",
                        "match": {"context": "GATEWAY", "listener": {"portNumber": 13306}},
                        "patch": {"operation": "MERGE", "value": {"address": {"socket_address": {"protocol": "UDP"}}}},
                    }
                ],
            },
            before=("Gateway", "gateway-mysql"),
        ),
        case(
            "B5, no mesh TLS at the backend",
            3,
            "plain-backend",
            "found PLAIN TEXT to ",
            cluster=SERVER,
            kind="PeerAuthentication",
            namespace="default",
            spec={
                "selector": {"matchLabels": {"app": "mysql"}},
                "mtls": {"mode": "STRICT"},
                "portLevelMtls": {"3306": {"mode": "DISABLE"}},
            },
        ),
    ],
)
def test_what_others_have_is_found_at_its_hop_and_beside_a_sound_link(
    two_links: Mesh, hop: int, code: str, parts: tuple[str, ...], object_of_others: dict[str, Any]
) -> None:
    cluster = object_of_others["cluster"]
    with rival(two_links, **object_of_others):
        assert_broken(two_links, code, *parts, hop=hop, cluster=cluster)
    assert_mended(two_links)


@contextmanager
def taken_port(mesh: Mesh, cluster: str, pod: str, port: int) -> Iterator[None]:
    """Another process of the pod listens there."""
    listen = f"import socket, time; s = socket.create_server(('', {port})); print(flush=True); time.sleep(3600)"
    process = mesh.lab.popen(cluster, pod, [sys.executable, "-c", listen])
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.communicate(timeout=30)


@pytest.mark.slow
def test_b1_a_port_that_is_taken_in_the_pod(two_links: Mesh) -> None:
    def is_free() -> bool:
        return "0.0.0.0_13306" not in two_links.lab.envoy(SERVER, INGRESS_POD, "listeners")

    with ExitStack() as held:
        with made_anew(two_links, SERVER, "Gateway", "gateway-mysql"):
            assert eventually(is_free)
            held.enter_context(taken_port(two_links, SERVER, INGRESS_POD, 13306))
        assert_broken(two_links, "listener-refused", "ddress already in use", hop=2, cluster=SERVER)
    with made_anew(two_links, SERVER, "Gateway", "gateway-mysql"):
        assert eventually(is_free)
    assert_mended(two_links)


@pytest.mark.slow
def test_b2_a_service_that_leads_to_other_pods(two_links: Mesh) -> None:
    def select(labels: dict[str, str | None]) -> None:
        patch = json.dumps({"spec": {"selector": labels}})
        place = ("service", "istio-ingressgateway", "-n", SYSTEM)
        two_links.lab.kubectl(SERVER, "patch", *place, "--type=merge", "-p", patch)

    select({"istio": "nothing-of-that-name"})
    try:
        for playbook in ("verify", "site"):
            run = two_links.play(playbook)
            assert not run.ok, run.output
            for link in ("mysql", "sound"):
                told = f"link {link}, hop 2, pod {SYSTEM}/{INGRESS_POD}"
                assert run.reports("service-elsewhere", told, "Service istio-system/istio-ingressgateway"), run.output
    finally:
        select({"istio": "ingressgateway"})
    assert_mended(two_links)


@pytest.mark.slow
def test_b9_an_istiod_that_may_not_give_the_gateway_its_secrets(two_links: Mesh) -> None:
    role = ("role", "istio-ingressgateway-sds", "-n", SYSTEM)
    before = two_links.get(SERVER, *role)["rules"]

    def allow(rules: list[dict[str, Any]]) -> None:
        two_links.lab.kubectl(SERVER, "patch", *role, "--type=merge", "-p", json.dumps({"rules": rules}))
        # istiod remembers for minutes what an account may do.
        two_links.lab.stop(f"{SERVER}.istiod")
        two_links.lab.start(f"{SERVER}.istiod")

    mesh = two_links.with_changes(links=[MYSQL, SOUND, WEB])
    allow([])
    try:
        run = mesh.site("-e", "mesh_gate_timeout=20")
        assert not run.ok, run.output
        assert run.reports("secret-missing", "link web, hop 2", "web-credential", "istiod's account"), run.output
        assert is_told_up(run, "sound"), run.output
    finally:
        allow(before)
    assert eventually(lambda: mesh.site("-e", "mesh_gate_timeout=60").ok)
    assert two_links.site("-e", "mesh_gate_timeout=60").ok


@pytest.mark.slow
def test_b10_a_port_below_1024(two_links: Mesh) -> None:
    low = {**SOUND, "name": "low", "fqdn": "low.server.example.com", "port": 3308, "tls_port": 843}
    mesh = two_links.with_changes(links=[MYSQL, SOUND, low])
    run = mesh.site()
    assert not run.ok, run.output
    assert run.reports("listener-refused", "link low, hop 2", "ermission denied", "1024"), run.output
    assert is_told_up(run, "sound"), run.output
    assert two_links.site("-e", "mesh_gate_timeout=60").ok
