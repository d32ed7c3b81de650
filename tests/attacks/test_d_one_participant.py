# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""D: what one participant shows, says or withholds costs him his turn, and nobody else's."""

from __future__ import annotations

import base64
import gzip
import os
import re
import socket
import ssl
import sys
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from kubernetes.client import Configuration

from ansible_collections.crossmesh.mtls.plugins.action import mesh_schedule
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import RefusedError
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import connection_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.kubeconfig import configuration
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.limits import Limits
from tests.attacks.server import END, OK, Wire, api_at, message, serving
from tests.unit.pki.support import make_leaf, make_root
from tests.unit.support import Json, ends, is_running, refused, run_action

BODY = b'{"items": []}'


@pytest.fixture
def server_context(tmp_path: Path) -> ssl.SSLContext:
    leaf = make_leaf(make_root(now=datetime.now(UTC)), now=datetime.now(UTC))
    (tmp_path / "server.pem").write_text(leaf.key_pem.decode() + leaf.certificate_pem)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(tmp_path / "server.pem")
    return found


# Seconds; in a test "in time" is within the second one, however slow the machine.
SOON, IN_TIME = 0.3, 10.0


class Clock:
    """How long something took."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    @property
    def in_time(self) -> bool:
        return time.monotonic() - self._begun < IN_TIME


# -- D2: an API server that answers slowly, or without end ----------------------------------------------------------


def slow_body(wire: Wire, _request: bytes) -> None:
    wire.send(OK + b"Content-Length: 1000000\r\n\r\n")
    wire.drip(b" " * 1000)


def slow_headers(wire: Wire, _request: bytes) -> None:
    wire.drip(OK + b"X-Word: " + b"x" * 1000)


def slow_chunks(wire: Wire, _request: bytes) -> None:
    wire.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    wire.drip(b"1\r\n \r\n" * 1000)


def endless_interim(wire: Wire, _request: bytes) -> None:
    while not wire.stopped.wait(0.001):
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")


def endless_trailer(wire: Wire, _request: bytes) -> None:
    wire.send(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    while not wire.stopped.wait(0.001):
        wire.send(b"X-Word: x\r\n")


@pytest.mark.parametrize("behave", [slow_body, slow_headers, slow_chunks, endless_interim, endless_trailer])
def test_an_answer_byte_by_byte_ends_in_time(tmp_path: Path, behave: Callable[[Wire, bytes], None]) -> None:
    """D2: verify waited for ever [run]; siblings: headers, chunks, interim answers and trailers without end."""
    clock = Clock()
    with serving(behave) as server, refused("api-too-slow") as failure:
        api_at(tmp_path, server, answer=SOON).get("/version")
    assert clock.in_time
    assert "mesh_api_timeout" in failure.value.message.fix


def test_a_proxy_that_agrees_byte_by_byte_ends_in_time(tmp_path: Path) -> None:
    """D2, sibling: the answer to CONNECT was waited for as long as the proxy liked."""

    def behave(wire: Wire, _request: bytes) -> None:
        wire.drip(b"HTTP/1.1 200 OK\r\nX-Word: " + b"x" * 1000)

    clock = Clock()
    with serving(behave) as server:
        proxied = {"proxy-url": f"http://127.0.0.1:{server.port}", "insecure-skip-tls-verify": True}
        with refused("api-too-slow"):
            api_at(tmp_path, server, proxied, answer=SOON).get("/version")
        assert server.requests[0].startswith(b"CONNECT "), "the control: it was asked"
    assert clock.in_time


def test_a_tls_handshake_byte_by_byte_ends_in_time(tmp_path: Path) -> None:
    """D2, sibling: the first message of a handshake that never ends."""

    def behave(wire: Wire, _request: bytes) -> None:
        wire.drip(b"\x16\x03\x03\x40\x00" + b"\x02" * 1000)

    clock = Clock()
    with serving(behave, greets=True) as server, refused("api-too-slow"):
        api_at(tmp_path, server, {"insecure-skip-tls-verify": True}, answer=SOON).get("/version")
    assert clock.in_time


def answer_inside(wire: Wire, context: ssl.SSLContext, data: bytes, pause: float) -> None:
    """Speak TLS as a server inside of a connection, byte by byte."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    inner = context.wrap_bio(incoming, outgoing, server_side=True)
    for step in (inner.do_handshake, inner.read, lambda: inner.write(data)):
        while True:
            with suppress(ssl.SSLWantReadError):
                step()
                break
            wire.drip(outgoing.read(), pause)
            if not (piece := wire.peer.recv(65536)):
                return
            incoming.write(piece)
    wire.drip(outgoing.read(), pause)
    wire.peer.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("pause", [0.0, 0.01], ids=["control", "attack"])
def test_tls_through_a_proxy_with_tls_ends_in_time(
    tmp_path: Path, server_context: ssl.SSLContext, pause: float
) -> None:
    """D2, sibling: TLS inside of TLS is read piece by piece, each with the time limit anew, by urllib3 itself."""

    def behave(wire: Wire, _request: bytes) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        length = b"Content-Length: %d\r\n" % len(BODY)
        answer_inside(wire, server_context, OK + length + b"Connection: close\r\n\r\n" + BODY, pause)

    clock = Clock()
    with serving(behave, server_context) as server:
        proxied = {"proxy-url": f"https://127.0.0.1:{server.port}", "insecure-skip-tls-verify": True}
        api = api_at(tmp_path, server, proxied, answer=SOON if pause else IN_TIME)
        if not pause:
            assert api.get("/version") == {"items": []}
            return
        with refused("api-too-slow"):
            api.get("/version")
        assert server.requests[0].startswith(b"CONNECT "), "the control: it was asked"
    assert clock.in_time


def test_an_answer_that_comes_in_pieces_but_in_time_is_taken(tmp_path: Path) -> None:
    """The control of D2: it is the limit that ends it, and nothing that the client cannot read."""

    def behave(wire: Wire, _request: bytes) -> None:
        wire.drip(OK + b"Transfer-Encoding: chunked\r\n\r\nd\r\n" + BODY + b"\r\n0\r\n\r\n", pause=0.001)

    with serving(behave) as server:
        assert api_at(tmp_path, server, answer=IN_TIME).get("/version") == {"items": []}


def endless_body(wire: Wire, _request: bytes) -> None:
    wire.send(OK + b"Connection: close\r\n\r\n[")
    while not wire.stopped.is_set():
        wire.send(b" " * 65536)


def long_body(wire: Wire, _request: bytes) -> None:
    wire.answer(b"[" + b" " * 2_000_000 + b"]")


@pytest.mark.parametrize("behave", [endless_body, long_body])
def test_an_answer_without_end_is_not_kept(tmp_path: Path, behave: Callable[[Wire, bytes], None]) -> None:
    """D2: an endless answer took 5.9 GB in 33 s [run]."""
    tracemalloc.start()
    try:
        with serving(behave) as server, refused("answer-too-large") as failure:
            api_at(tmp_path, server, size=1_000_000).get("/version")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000
    assert "mesh_api_max_bytes" in failure.value.message.fix
    with serving(long_body) as server:
        assert api_at(tmp_path, server, size=3_000_000).get("/version") == [], "the control"


def test_a_length_that_is_named_is_not_reserved(tmp_path: Path) -> None:
    """D2, sibling: a Content-Length of a terabyte, of which nothing comes."""

    def behave(wire: Wire, _request: bytes) -> None:
        wire.send(OK + b"Content-Length: 1099511627776\r\n\r\n{")

    tracemalloc.start()
    try:
        with serving(behave) as server, refused("api-too-slow"):
            api_at(tmp_path, server, answer=SOON).get("/version")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_what_was_compressed_is_not_unpacked(tmp_path: Path) -> None:
    """D2, sibling: 50 kB that become 50 MB."""
    packed = gzip.compress(b" " * 50_000_000)

    def behave(wire: Wire, _request: bytes) -> None:
        wire.answer(packed, b"Content-Encoding: gzip")

    assert len(packed) < 200_000
    tracemalloc.start()
    try:
        with serving(behave) as server, refused("no-api-server"):
            api_at(tmp_path, server, size=200_000).get("/version")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_what_is_nested_without_end_is_an_error_like_others(tmp_path: Path) -> None:
    """D2, sibling: a megabyte of opening brackets is more than a parser can follow."""
    with serving(lambda wire, _request: wire.answer(b"[" * 1_000_000)) as server, refused("no-api-server"):
        api_at(tmp_path, server).get("/version")


def test_many_answers_that_are_each_in_time_end_with_the_clusters_time(tmp_path: Path) -> None:
    """D2, sibling: a cluster that is asked 400 things and takes its time for each."""

    def behave(wire: Wire, _request: bytes) -> None:
        wire.stopped.wait(0.1)
        wire.answer(BODY)

    with serving(behave) as server:
        api, clock = api_at(tmp_path, server, answer=5, cluster=0.5), Clock()
        with refused("cluster-too-slow") as failure:
            for _number in range(400):
                api.get("/version")
        assert clock.in_time
        assert "mesh_cluster_timeout" in failure.value.message.fix
        assert 1 <= len(server.requests) < 20, "the control: it was answered until then"


def test_a_server_that_is_busy_without_end_is_left_with_the_clusters_time(tmp_path: Path) -> None:
    """D2: 429 and Retry-After are obeyed, inside the limit."""

    def behave(wire: Wire, _request: bytes) -> None:
        wire.send(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}")

    clock = Clock()
    with serving(behave) as server, refused("api-busy"):
        api_at(tmp_path, server, cluster=0.8).get("/version")
    assert clock.in_time


# -- D4: a login plugin of a kubeconfig --------------------------------------------------------------------------------

CREDENTIAL = (
    '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "a-token"}}'
)


def logged_in(folder: Path, script: str, seconds: float = SOON, user: Json | None = None) -> Configuration:
    """What the client has of a kubeconfig that names a plugin, or another way to log in."""
    plugin = folder / "login"
    plugin.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    plugin.chmod(0o755)
    entry = user or {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}
    content = {
        "current-context": "cluster-b",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": entry}],
        "contexts": [{"name": "cluster-b", "context": {"cluster": "c", "user": "u"}}],
    }
    (folder / "config").write_text(yaml.safe_dump(content), encoding="utf-8")
    return configuration(connection_of(str(folder / "config"), "", {}, Path("/")), Limits(answer=seconds))


@pytest.mark.parametrize(
    "script",
    ["sleep 60", "while :; do echo; sleep 0.01; done", "exec 1>&-; sleep 60", "sleep 60 &"],
    ids=["says nothing", "says something now and then", "ends its output alone", "what it has started holds it"],
)
def test_a_login_plugin_that_does_not_end_is_ended(tmp_path: Path, script: str) -> None:
    """D4: it was waited for without end [lab]."""
    clock = Clock()
    with refused("credential-plugin") as failure:
        logged_in(tmp_path, f"{script}\necho '{CREDENTIAL}'" if "&" not in script[-1] else script)
    assert clock.in_time
    assert failure.value.message.what.endswith("login gave no answer within 0.3 s (mesh_api_timeout)")


def test_a_login_plugin_that_prints_without_end_is_not_kept(tmp_path: Path) -> None:
    """D4, sibling: all that it printed was kept."""
    tracemalloc.start()
    try:
        with refused("credential-plugin") as failure:
            logged_in(tmp_path, "exec yes", seconds=60)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000
    assert "printed more than" in failure.value.message.what


def test_a_login_plugin_is_ended_with_what_it_has_started(tmp_path: Path) -> None:
    """D4, sibling: a child that goes on after the run."""
    with refused("credential-plugin"):
        logged_in(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; wait")
    child = int((tmp_path / "child").read_text())
    assert ends(child)
    assert is_running(os.getpid()), "the control"


def test_a_login_plugin_is_never_promised_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D4, sibling: where Ansible's output was a terminal's, a plugin ran in the run's own process group."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    # The fifth field is the process group; see proc_pid_stat(5).
    alone = 'set -- $(cat /proc/$$/stat); [ "$5" = $$ ] && ! read -r line'
    told = """case "$KUBERNETES_EXEC_INFO" in *'"interactive": false'*) true;; *) false;; esac"""
    found = logged_in(tmp_path, f"{alone} && {told} && echo '{CREDENTIAL}'", seconds=IN_TIME)
    assert found.api_key["BearerToken"] == "Bearer a-token"


def test_a_login_plugin_that_takes_its_time_is_waited_for(tmp_path: Path) -> None:
    """The control of D4."""
    found = logged_in(tmp_path, f"sleep 0.3\necho '{CREDENTIAL}'", seconds=IN_TIME)
    assert found.api_key["BearerToken"] == "Bearer a-token"


def test_an_issuer_of_tokens_that_answers_byte_by_byte_ends_in_time(tmp_path: Path) -> None:
    """D4, sibling: an expired OIDC token was renewed for as long as the issuer liked."""
    claims = base64.urlsafe_b64encode(b'{"exp": 1}').decode().rstrip("=")
    clock = Clock()
    with serving(slow_body) as server, refused("credential-plugin") as failure:
        config = {"id-token": f"e30.{claims}.c2ln", "idp-issuer-url": f"http://127.0.0.1:{server.port}"}
        logged_in(tmp_path, "", user={"auth-provider": {"name": "oidc", "config": config}})
    assert clock.in_time
    assert "the auth-provider oidc gave no answer within" in failure.value.message.what
    assert server.requests, "the control: it was asked"


# -- D5: a run of a schedule ----------------------------------------------------------------------------------------


def without_limit(schedule: str) -> list[str]:
    """Lines of a crontab that start Ansible and let it run for ever."""
    started = [line for line in schedule.splitlines() if "ansible-playbook" in line]
    return [line for line in started if not re.search(r"timeout --kill-after=60 \d+m \S*ansible-playbook", line)]


def test_each_run_of_the_schedule_has_a_time_limit(tmp_path: Path) -> None:
    """D5: the cron line had none, and what hung did so every night anew."""
    result = run_action(mesh_schedule, {"path": str(tmp_path), "command": ["/usr/bin/ansible-playbook"]}, {})
    (schedule,) = (
        (tmp_path / name).read_text(encoding="utf-8") for name in result["files"] if name.startswith("cron/")
    )
    assert schedule.count("ansible-playbook") == 2
    assert without_limit(schedule) == []
    # The control: as it stood in the documents.
    assert without_limit("PLAY=ansible-playbook -i /srv/meshes")


# -- D2: a command in a pod -----------------------------------------------------------------------------------------

POD = ("istio-system", "pod-0", "istio-proxy", ["pilot-agent"])


def slow_handshake(wire: Wire, request: bytes) -> None:
    wire.drip(wire.agreement(request).replace(b"\r\n\r\n", b"\r\nX-Word: " + b"x" * 1000))


def slow_frame(wire: Wire, request: bytes) -> None:
    wire.upgrade(request)
    wire.drip(message(1, b"x" * 1000))


def longest_frame(wire: Wire, request: bytes) -> None:
    """A message of 2^62 bytes, which begins."""
    wire.upgrade(request)
    wire.send(b"\x82\x7f\x40" + b"\x00" * 7 + b"\x01")
    while not wire.stopped.is_set():
        wire.send(b"x" * 65536)


def endless_output(wire: Wire, request: bytes) -> None:
    wire.upgrade(request)
    while not wire.stopped.is_set():
        wire.send(message(1, b"y" * 60_000))


def endless_errors(wire: Wire, request: bytes) -> None:
    wire.upgrade(request)
    while not wire.stopped.is_set():
        wire.send(message(2, b"y" * 60_000))


def endless_pings(wire: Wire, request: bytes) -> None:
    wire.upgrade(request)
    while not wire.stopped.wait(0.001):
        wire.send(b"\x89\x00")


def split_without_end(wire: Wire, request: bytes) -> None:
    """One message in parts of a byte, none of which is the last."""
    wire.upgrade(request)
    wire.send(b"\x02\x01\x01")
    while not wire.stopped.wait(0.001):
        wire.send(b"\x00\x01x")


@pytest.mark.parametrize("behave", [slow_handshake, slow_frame, endless_pings, split_without_end])
def test_a_command_byte_by_byte_ends_in_time(tmp_path: Path, behave: Callable[[Wire, bytes], None]) -> None:
    """D2: the time limit was that of one read; siblings: pings, and a message in parts, without end."""
    clock = Clock()
    with serving(behave) as server:
        api = api_at(tmp_path, server, cluster=0.8)
        with pytest.raises(RefusedError, match=r"timed out|no answer within|answer"):
            api.proxy_request("istio-system", "pod-0", "certs", SOON)
    assert clock.in_time


@pytest.mark.parametrize(("pause", "seconds"), [(0.1, 1.0), (0.001, IN_TIME)], ids=["attack", "control"])
def test_a_proxy_that_agrees_byte_by_byte_holds_up_no_command(tmp_path: Path, pause: float, seconds: float) -> None:
    """D2, sibling: the tunnel of a command; the control is a proxy that is slow, and in time."""

    def behave(wire: Wire, request: bytes) -> None:
        if request.startswith(b"CONNECT 127.0.0.2:8080 "):
            wire.drip(b"HTTP/1.1 200 OK\r\nX-Word: " + b"x" * 200 + b"\r\n\r\n", pause)
            return
        wire.upgrade(request)
        wire.send(message(1, b"done") + END)

    with serving(behave) as server:
        proxied = {"server": "http://127.0.0.2:8080", "proxy-url": f"http://127.0.0.1:{server.port}"}
        api, clock = api_at(tmp_path, server, proxied, cluster=seconds), Clock()
        if seconds == IN_TIME:
            assert api.execute(*POD, timeout=IN_TIME).output == "done"
            return
        with pytest.raises(RefusedError, match="timed out"):
            api.execute(*POD, timeout=IN_TIME)
        assert clock.in_time


@pytest.mark.parametrize("behave", [endless_output, endless_errors, longest_frame])
def test_a_command_that_writes_without_end_is_not_kept(tmp_path: Path, behave: Callable[[Wire, bytes], None]) -> None:
    """D2: the output of a command in a pod had no limit; siblings: its errors, and one message of 2^62 bytes."""
    tracemalloc.start()
    try:
        with serving(behave) as server:
            api, clock = api_at(tmp_path, server, size=1_000_000), Clock()
            with pytest.raises(RefusedError) as failure:
                api.proxy_request("istio-system", "pod-0", "certs", 60)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert failure.value.message.code == "answer-too-large"
    assert clock.in_time


def test_a_command_that_ends_is_read_to_its_end(tmp_path: Path) -> None:
    """The control of D2: the same server, the same client."""

    def behave(wire: Wire, request: bytes) -> None:
        wire.upgrade(request)
        for _number in range(100):
            wire.send(message(1, b"y" * 60_000) + b"\x89\x00" + message(2, b"z"))
        wire.send(END)

    with serving(behave) as server:
        done = api_at(tmp_path, server).execute(*POD, timeout=30)
    assert (len(done.output), set(done.output)) == (6_000_000, {"y"})
    assert (done.finished, done.succeeded) == (True, True)
    assert b"a-token" in server.requests[0]


def test_a_redirect_takes_no_credential_elsewhere(tmp_path: Path) -> None:
    """D2, sibling: a websocket was followed to wherever the server said, with the token."""
    with serving(lambda wire, request: wire.upgrade(request)) as elsewhere:

        def behave(wire: Wire, _request: bytes) -> None:
            place = b"ws://127.0.0.1:%d/api" % elsewhere.port
            wire.send(b"HTTP/1.1 302 Found\r\nLocation: " + place + b"\r\nContent-Length: 0\r\n\r\n")

        with serving(behave) as server, pytest.raises(RefusedError):
            api_at(tmp_path, server).execute(*POD, timeout=SOON)
        assert elsewhere.requests == []
        assert b"a-token" in server.requests[0], "the control: the token was there to be taken"
