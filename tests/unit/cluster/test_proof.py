# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until every ready pod serves what was issued. Time is a number here: nothing sleeps."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import envoy
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api, RefusedError
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.config_dump import Watch
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.handshake import Endpoint
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Pod, Service
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proof import (
    Expected,
    Proof,
    Trusted,
    UnprovenError,
    prove,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import Gateway
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, issue_crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView
from tests.unit.pki.support import DAY, NOW, Root, make_leaf, make_root
from tests.unit.support import Json, refused

GATEWAY = Gateway("istio-system", "istio-ingressgateway", {"istio": "ingressgateway", "app": "edge"})
TITLE = "gateway istio-system/istio-ingressgateway"
NEW, OLD = "a1b2c3", "d4e5f6"
ENDPOINT = Endpoint("203.0.113.7", 13306, "mysql.server.example.com")
FORBIDDEN = RefusedError(Message.error("proxy-silent", where="x", what="exec is forbidden (403)"), forbidden=True)
BROKEN = RefusedError(Message.error("proxy-silent", where="x", what="pilot-agent request GET certs ended with 1"))


def pod(name: str, *, ready: bool = True, **metadata: Any) -> Json:
    return {
        "metadata": {"namespace": "istio-system", "name": name, "uid": name, **metadata},
        "spec": {"containers": [{"name": "istio-proxy"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def certs(*serials: str) -> str:
    return json.dumps({"certificates": [{"cert_chain": [{"serial_number": serial}]} for serial in serials]})


CRL = "-----BEGIN X509 CRL-----"


def inline(text: str) -> Json:
    return {"inline_bytes": base64.b64encode(text.encode()).decode()}


def secrets(**bundles: str) -> str:
    """Roots, and after them revocation lists, by the name of the Secret."""
    return json.dumps(
        {
            "configs": [
                {
                    "name": f"kubernetes://{name.replace('_', '-')}-cacert",
                    "secret": {
                        "validation_context": {
                            "trusted_ca": inline(bundle.partition(CRL)[0]),
                            **({"crl": inline(bundle[bundle.index(CRL) :])} if CRL in bundle else {}),
                        }
                    },
                }
                for name, bundle in bundles.items()
            ]
        }
    )


Answer = str | Exception


@dataclass
class Cluster:
    """An API server whose pods answer by the clock: the last answer that is due counts."""

    pods: list[Json]
    answers: Mapping[str, Mapping[float, Answer]]
    trust: Mapping[float, str] = field(default_factory=dict)
    now: float = 0.0
    where: str = "context cluster-a"
    looks: int = 0
    selectors: list[str] = field(default_factory=list)

    def get(self, path: str, query: Mapping[str, str]) -> Json:
        assert path == "/api/v1/namespaces/istio-system/pods"
        self.looks += 1
        self.selectors.append(query["labelSelector"])
        return {"items": self.pods}

    def proxy_request(self, namespace: str, name: str, path: str, timeout: float) -> str:
        script = self.answers[name] if path == envoy.CERTS else self.trust
        answer = script[max(moment for moment in script if moment <= self.now)]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pause(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def proven(
    cluster: Cluster,
    expected: Expected | None = None,
    *,
    shake: Callable[[Endpoint], str | None] | None = None,
    timeout: float = 60,
    wait: float = 0.5,
    said: list[str] | None = None,
) -> Proof:
    return prove(
        cast(Api, cluster),
        GATEWAY,
        expected or Expected(frozenset({NEW})),
        timeout,
        wait=wait,
        say=([] if said is None else said).append,
        clock=lambda: cluster.now,
        pause=cluster.pause,
        shake=shake or (lambda _endpoint: pytest.fail("no handshake was needed")),
    )


def test_pods_that_serve_it_are_proven_by_exec_at_once() -> None:
    cluster = Cluster([pod("a"), pod("b")], {"a": {0: certs(NEW, OLD)}, "b": {0: certs(NEW)}})
    assert proven(cluster) == Proof("exec", ["a", "b"])
    assert (cluster.looks, cluster.now) == (1, 0)
    assert cluster.selectors == ["app=edge,istio=ingressgateway"]


def test_it_waits_for_the_last_pod() -> None:
    cluster = Cluster([pod("a"), pod("b")], {"a": {0: certs(NEW)}, "b": {0: certs(OLD), 7: certs(NEW)}})
    assert proven(cluster).pods == ["a", "b"]
    assert 7 <= cluster.now < 8


def test_it_says_every_ten_seconds_what_it_waits_for() -> None:
    cluster, said = (
        Cluster([pod("a"), pod("b")], {"a": {0: certs(NEW)}, "b": {0: certs(OLD), 25: certs(NEW)}}),
        list[str](),
    )
    proven(cluster, said=said)
    assert len(said) == 2
    assert all("pod b: serves" in line and "pod a" not in line for line in said)
    assert "10 s of 60" in said[0]


def test_it_says_nothing_where_it_need_not_wait_long() -> None:
    cluster, said = Cluster([pod("a")], {"a": {0: certs(OLD), 7: certs(NEW)}}), list[str]()
    proven(cluster, said=said)
    assert said == []


def test_it_ends_at_the_timeout_with_the_pods_that_are_behind_and_what_they_serve() -> None:
    cluster = Cluster(
        [pod("a"), pod("b"), pod("c")],
        {"a": {0: certs(NEW)}, "b": {0: certs(OLD)}, "c": {0: certs()}},
    )
    with refused("not-served") as failure:
        proven(cluster, timeout=5)
    assert failure.value.message.where == TITLE
    told = f"pod b: serves {OLD}, not {NEW}; pod c: serves nothing, not {NEW}; after 5 s"
    assert failure.value.message.what.endswith(told)
    assert 5 <= cluster.now < 6


def test_a_pod_that_does_not_answer_is_behind() -> None:
    cluster = Cluster([pod("a")], {"a": {0: BROKEN, 3: certs(NEW)}})
    assert proven(cluster).pods == ["a"]
    with pytest.raises(CrossmeshError, match=r"pod a: pilot-agent request GET certs ended with 1"):
        proven(Cluster([pod("a")], {"a": {0: BROKEN}}), timeout=1)


def test_an_answer_that_cannot_be_read_is_no_proof() -> None:
    with pytest.raises(CrossmeshError, match=r"pod a: its answer could not be read"):
        proven(Cluster([pod("a")], {"a": {0: "upstream connect error"}}), timeout=1)


def test_pods_that_are_not_ready_or_are_leaving_are_not_waited_for() -> None:
    cluster = Cluster(
        [pod("a"), pod("starting", ready=False), pod("leaving", deletionTimestamp="2026-11-23T08:55:56Z")],
        {"a": {0: certs(NEW)}, "starting": {0: certs(OLD)}, "leaving": {0: certs(OLD)}},
    )
    assert proven(cluster) == Proof("exec", ["a"])


def test_without_a_ready_pod_nothing_is_proven_and_that_is_said() -> None:
    cluster = Cluster([pod("a", ready=False)], {})
    proof = proven(cluster, wait=17)
    assert (proof.method, proof.pods, cluster.now) == ("none", [], 0)
    assert [(warning.code, warning.where) for warning in proof.warnings] == [("no-ready-pod", TITLE)]


# -- trust ---------------------------------------------------------------------------------------------------------


def test_it_waits_until_every_secret_trusts_every_root() -> None:
    first, second = make_root().view, make_root().view
    trust: Mapping[float, str] = {
        0: secrets(mysql_credential=first.pem, redis_credential=first.pem),
        2: secrets(mysql_credential=first.pem + second.pem, redis_credential=first.pem),
        4: secrets(mysql_credential=first.pem + second.pem, redis_credential=second.pem + first.pem),
    }
    expected = Expected(
        frozenset({NEW}),
        tuple(
            Trusted(name, frozenset({first.fingerprint, second.fingerprint}))
            for name in ("mysql-credential", "redis-credential")
        ),
    )
    cluster = Cluster([pod("a")], {"a": {0: certs(NEW)}}, trust)
    assert proven(cluster, expected).method == "exec"
    assert 4 <= cluster.now < 5


def test_a_root_that_is_missing_is_named_with_its_secret() -> None:
    root, other = make_root().view, make_root().view
    cluster = Cluster([pod("a")], {"a": {0: certs(NEW)}}, {0: secrets(mysql_credential=other.pem, mysql=root.pem)})
    told = f"trusts {other.fingerprint[:8]} for mysql-credential, not {root.fingerprint[:8]}"
    with pytest.raises(CrossmeshError, match=f"pod a: {told}"):
        proven(cluster, trusting(root), timeout=1)


def trusting(*roots: CertificateView, lists: Sequence[Crl] = ()) -> Expected:
    fingerprints = frozenset(root.fingerprint for root in roots)
    trusted = Trusted("mysql-credential", fingerprints, frozenset(item.identity for item in lists))
    return Expected(frozenset({NEW}), (trusted,))


def test_a_root_that_is_to_be_gone_is_waited_for() -> None:
    old, new = make_root().view, make_root().view
    trust: Mapping[float, str] = {0: secrets(mysql_credential=old.pem + new.pem), 3: secrets(mysql_credential=new.pem)}
    cluster = Cluster([pod("a")], {"a": {0: certs(NEW)}}, trust)
    assert proven(cluster, trusting(new)).method == "exec"
    assert 3 <= cluster.now < 4


def test_a_pod_that_trusts_nobody_yet_is_behind() -> None:
    root = make_root().view
    cluster = Cluster([pod("a")], {"a": {0: certs(NEW)}}, {0: secrets(), 3: secrets(mysql_credential=root.pem)})
    assert proven(cluster, trusting(root)).method == "exec"
    assert 3 <= cluster.now < 4


def list_of(root: Root, number: int) -> Crl:
    return issue_crl(root=root.view, key=root.key, revoked=[], number=number, validity=DAY, now=NOW)


def test_it_waits_until_the_right_revocation_list_has_arrived() -> None:
    root = make_root()
    first, second = list_of(root, 1), list_of(root, 2)
    trust: Mapping[float, str] = {
        0: secrets(mysql_credential=root.view.pem),
        2: secrets(mysql_credential=root.view.pem + first.pem),
        4: secrets(mysql_credential=root.view.pem + second.pem),
    }
    cluster = Cluster([pod("a")], {"a": {0: certs(NEW)}}, trust)
    assert proven(cluster, trusting(root.view, lists=[second])).method == "exec"
    assert 4 <= cluster.now < 5
    with pytest.raises(CrossmeshError, match=r"has CRLs .* number 2 \w+ for mysql-credential, not nothing"):
        proven(cluster, trusting(root.view), timeout=1)


def test_where_trust_is_not_asked_pods_are_not_asked_for_it() -> None:
    cluster = Cluster([pod("a")], {"a": {0: certs(NEW)}})
    # It has no answer to the question.
    assert cluster.trust == {}
    assert proven(cluster).method == "exec"


# -- where exec is forbidden ---------------------------------------------------------------------------------------

HIDDEN: Mapping[str, Mapping[float, Answer]] = {"a": {0: FORBIDDEN}}
REACHABLE = Expected(frozenset({NEW}), endpoints=(ENDPOINT,))


def test_a_handshake_tells_where_exec_is_forbidden() -> None:
    proof = proven(Cluster([pod("a")], HIDDEN), REACHABLE, shake=lambda _endpoint: NEW)
    assert proof.method == "handshake"
    (warning,) = proof.warnings
    assert (warning.code, warning.where) == ("proof-by-handshake", TITLE)
    assert "exec is forbidden in a" in warning.what


def test_handshakes_are_waited_for_too() -> None:
    cluster = Cluster([pod("a")], HIDDEN)
    moments: list[tuple[float, str]] = [(0, ""), (2, OLD), (4, NEW)]
    proof = proven(cluster, REACHABLE, shake=lambda _endpoint: max(m for m in moments if m[0] <= cluster.now)[1])
    assert proof.method == "handshake"
    assert 4 <= cluster.now < 5


@pytest.mark.parametrize(("presented", "told"), [(OLD, f"presents {OLD}"), ("", "presents no certificate")])
def test_an_endpoint_that_stays_behind_is_an_error(presented: str, told: str) -> None:
    with refused("not-served") as failure:
        proven(Cluster([pod("a")], HIDDEN), REACHABLE, shake=lambda _endpoint: presented, timeout=1)
    assert f"mysql.server.example.com at 203.0.113.7:13306: {told}, not {NEW}" in failure.value.message.what


@pytest.mark.parametrize("expected", [REACHABLE, Expected(frozenset({NEW}))])
def test_where_no_way_is_open_it_waits_the_time_that_is_set_and_says_so(expected: Expected) -> None:
    cluster = Cluster([pod("a"), pod("b")], {**HIDDEN, "b": {0: certs(NEW)}})
    proof = proven(cluster, expected, shake=lambda _endpoint: None, wait=17)
    assert (proof.method, proof.pods, cluster.now) == ("wait", ["b"], 17)
    (warning,) = proof.warnings
    assert (warning.code, warning.where) == ("not-proven", TITLE)
    assert warning.what.startswith("not proven for a: exec is forbidden there")
    assert warning.what.endswith("waited 17 s instead (mesh_gate_wait)")


def test_a_pod_that_can_be_asked_is_waited_for_beside_one_that_cannot() -> None:
    cluster = Cluster([pod("a"), pod("b")], {**HIDDEN, "b": {0: certs(OLD)}})
    with pytest.raises(CrossmeshError, match=r"pod b: serves"):
        proven(cluster, REACHABLE, shake=lambda _endpoint: None, timeout=1)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A TLS server on loopback, like an ingress gateway: it wants a client certificate. Its port and its serial."""
    root = make_root()
    leaf = make_leaf(root)
    (tmp_path / "leaf.pem").write_bytes(leaf.certificate_pem.encode() + leaf.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "leaf.pem")
    context.load_verify_locations(cadata=root.view.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _address = server.accept()
                    with connection, contextlib.suppress(OSError):
                        context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1], envoy.serial(leaf.view.serial)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_real_handshake_needs_no_client_certificate_to_see_the_servers(listener: tuple[int, str]) -> None:
    port, serial = listener
    expected = Expected(frozenset({serial}), endpoints=(replace(ENDPOINT, address="127.0.0.1", port=port),))
    cluster = Cluster([pod("a")], HIDDEN)
    assert prove(cast(Api, cluster), GATEWAY, expected, 60).method == "handshake"


def test_a_closed_port_is_no_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    expected = Expected(frozenset({NEW}), endpoints=(replace(ENDPOINT, address="127.0.0.1", port=port),))
    cluster = Cluster([pod("a")], HIDDEN)
    assert prove(cast(Api, cluster), GATEWAY, expected, 60, wait=1, pause=cluster.pause).method == "wait"


# -- what the proxies do -------------------------------------------------------------------------------------------

SERVICE_PATH = "/api/v1/namespaces/istio-system/services/istio-ingressgateway"


def fault(link: str = "mysql", hop: int = 2, **changes: Any) -> Fault:
    whole = Fault("plain-way-out", link, hop, "istio-system/a", "mutual TLS", "PLAIN TEXT", "remove it", "Rule x/y")
    return replace(whole, **changes)


class Judged(Cluster):
    """A cluster whose pods have faults by the clock."""

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Json:
        if path == SERVICE_PATH:
            return {"spec": {}, "metadata": {}}
        return super().get(path, query or {})


def judged(
    faults: Mapping[float, Sequence[Fault]], *, strict: bool = True, serial: str = NEW
) -> tuple[Judged, Expected]:
    cluster = Judged([pod("a")], {"a": {0: certs(serial)}}, {0: json.dumps({"configs": [{"bootstrap": {}}]})})

    def judge(_pod: Pod, service: Service | None) -> Sequence[Fault]:
        assert service is not None
        return faults[max(moment for moment in faults if moment <= cluster.now)]

    watch = Watch(frozenset({(13306, "mysql.server.example.com")}))
    return cluster, Expected(frozenset({NEW}), watch=watch, judge=judge, strict=strict)


def test_it_waits_until_every_link_is_as_it_is_meant() -> None:
    cluster, expected = judged({0: [fault()], 6: []})
    said = list[str]()
    assert proven(cluster, expected, said=said) == Proof("exec", ["a"])
    assert 6 <= cluster.now < 7


def test_a_link_that_is_not_is_named_with_hop_pod_what_was_wanted_and_found() -> None:
    cluster, expected = judged({0: [fault(hop=3, found="none"), fault()]})
    with refused("plain-way-out") as failure:
        proven(cluster, expected, timeout=15, said=(said := list[str]()))
    message = failure.value.message
    assert message.where == "link mysql, hop 2, pod istio-system/a"
    assert message.what == "wanted mutual TLS; found PLAIN TEXT (Rule x/y)"
    assert isinstance(failure.value, UnprovenError)
    assert failure.value.proof is not None
    assert failure.value.proof.pods == ["a"]
    assert "link mysql, hop 2: plain-way-out" in said[0]


def test_many_links_are_counted() -> None:
    cluster, expected = judged({0: [fault(f"link-{number}") for number in range(9)]})
    with refused(*["plain-way-out"] * 5, "links-broken") as failure:
        proven(cluster, expected, timeout=1)
    assert failure.value.messages[-1].what == "4 more links are not as they are meant: link-5, link-6, link-7, link-8"


def test_links_come_before_certificates_that_are_behind() -> None:
    cluster, expected = judged({0: [fault()]}, serial=OLD)
    with refused("plain-way-out", "not-served") as failure:
        proven(cluster, expected, timeout=1)
    assert isinstance(failure.value, UnprovenError)
    assert failure.value.proof is not None
    assert failure.value.proof.lacking == {"istio-system/a": {NEW}}


def test_what_was_not_seen_is_told_of_no_link() -> None:
    with refused("not-served") as failure:
        proven(Cluster([pod("a")], {"a": {0: BROKEN}}), timeout=1)
    assert isinstance(failure.value, UnprovenError)
    assert failure.value.proof is None


@pytest.mark.parametrize(
    ("given", "strict"), [(fault(outside=True), True), (fault(), False)], ids=["the other end", "a stage of a rotation"]
)
def test_what_does_not_hold_a_proof_is_a_warning(given: Fault, strict: bool) -> None:
    cluster, expected = judged({0: [given]}, strict=strict)
    proof = proven(cluster, expected)
    assert (cluster.now, proof.pods, proof.faults) == (0, ["a"], [given])
    assert [(warning.code, warning.level) for warning in proof.warnings] == [("plain-way-out", "warning")]


def test_many_serials_are_counted_and_the_missing_one_is_told_by_its_secret() -> None:
    cluster = Cluster([pod("a")], {"a": {0: certs(*(f"c{number}" for number in range(40)))}})
    expected = Expected(frozenset({NEW}), holders={NEW: "Secret mysql-credential, link mysql"})
    with refused("not-served") as failure:
        proven(cluster, expected, timeout=1)
    told = f"pod a: serves 40 other certificates, not {NEW} (Secret mysql-credential, link mysql); after 1 s"
    assert failure.value.message.what.endswith(told)
