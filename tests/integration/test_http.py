# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links that carry requests: the same three hops, routed by host, with HTTP/2 and gRPC from end to end."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.support.foreign_certificates import Issuer, custom_ca_issuer
from tests.integration.support.gateway_handshakes import client_context
from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.integration.support.web_servers import curl, failing_requests_seen, running_web_servers, web_link
from tests.lab import Lab
from tests.lab.wait import eventually

PRIOR = "--http2-prior-knowledge"
# Three on one port, told apart by their host, beside the database.
LINKS = [web_link("web", "http", 13080), web_link("h2", "http2", 13081), web_link("grpc", "grpc", 13082), MYSQL]


@pytest.fixture(scope="module")
def web_mesh(shared_mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    found = shared_mesh.with_changes(links=LINKS)
    with running_web_servers(found, tmp_path_factory.mktemp("web")):
        run = found.site()
        assert run.ok, run.output
        eventually(lambda: "200" in curl(found, "web.server.example.com").stdout)
        yield found


def with_web(web_mesh: Mesh, **changes: Any) -> Mesh:
    """The same with the HTTP link changed, in place."""
    changed = web_mesh.with_changes(links=[{**LINKS[0], **changes}, *LINKS[1:]])
    run = changed.site()
    assert run.ok, run.output
    return changed


def test_the_host_header_arrives(web_mesh: Mesh) -> None:
    answer = curl(web_mesh, "web.server.example.com").stdout
    assert answer.startswith("HTTP/1.1 200"), answer
    assert answer.endswith("web.server.example.com HTTP/1.1\n")


def test_http_2_arrives_as_such(web_mesh: Mesh) -> None:
    answer = curl(web_mesh, "h2.server.example.com", "/", PRIOR).stdout
    assert answer.startswith("HTTP/2 200"), answer
    assert "h2.server.example.com HTTP/2.0" in answer


def test_the_status_of_a_grpc_call_comes_back_as_a_trailer(web_mesh: Mesh) -> None:
    call = ("-X", "POST", "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "")
    answer = curl(web_mesh, "grpc.server.example.com", "/service/Method", PRIOR, *call).stdout
    assert answer.startswith("HTTP/2 200"), answer
    assert "grpc-status: 5" in answer


def test_a_tcp_link_goes_on_beside_them_and_a_second_run_changes_nothing(web_mesh: Mesh) -> None:
    assert web_mesh.carries()
    again = web_mesh.site()
    assert again.ok, again.output
    assert again.changed == 0
    verified = web_mesh.play("verify")
    assert verified.ok, verified.output


def greeting(lab: Lab, context: ssl.SSLContext) -> bytes:
    """What the ingress gateway answers to a request by TLS, without an egress gateway before it."""
    address = lab.pod("cluster-b", "istio-ingressgateway-0").address
    try:
        with (
            socket.create_connection((address, 13080), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname="web.server.example.com") as session,
        ):
            session.sendall(b"GET / HTTP/1.1\r\nHost: web.server.example.com\r\nConnection: close\r\n\r\n")
            return session.recv(1024)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_only_who_has_a_certificate_that_names_the_link_is_served(web_mesh: Mesh) -> None:
    ca: Issuer = custom_ca_issuer(web_mesh.store, web_mesh.passphrase)
    assert greeting(web_mesh.lab, client_context(ca.leaf("client", ["web.link.crossmesh.internal"]))).startswith(
        b"HTTP/1.1 200"
    )
    assert greeting(web_mesh.lab, client_context(ca.leaf("client", ["h2.link.crossmesh.internal"]))) == b""
    assert greeting(web_mesh.lab, client_context(None)) == b""


def test_a_request_that_takes_too_long_is_ended(web_mesh: Mesh) -> None:
    assert "HTTP/1.1 200" in curl(web_mesh, "web.server.example.com", "/slow").stdout
    bounded = with_web(web_mesh, timeout="500ms")
    eventually(lambda: "HTTP/1.1 504" in curl(bounded, "web.server.example.com", "/slow").stdout)
    assert "HTTP/1.1 200" in curl(bounded, "web.server.example.com").stdout


@pytest.mark.parametrize("attempts", [0, 3])
def test_a_request_is_tried_again_as_often_as_was_asked_for_and_no_more(web_mesh: Mesh, attempts: int) -> None:
    """Three proxies on the way, and none of them adds attempts of its own."""
    counted = with_web(web_mesh, retries={"attempts": attempts, "retry_on": "503"})

    def made() -> bool:
        failing_requests_seen(counted)
        answer = curl(counted, "web.server.example.com", "/fails").stdout
        assert "HTTP/1.1 503" in answer, answer
        return failing_requests_seen(counted) == attempts + 1

    eventually(made)


@pytest.mark.slow
def test_a_link_can_become_one_of_another_protocol(web_mesh: Mesh) -> None:
    changed = with_web(web_mesh, protocol="tcp", port=8088)
    eventually(lambda: "web.server.example.com:8088" in curl(changed, "web.server.example.com", port=8088).stdout)
    back = with_web(web_mesh)
    eventually(lambda: "HTTP/1.1 200" in curl(back, "web.server.example.com").stdout)
