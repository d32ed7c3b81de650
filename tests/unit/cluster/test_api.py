# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to an API server, here a small one on loopback, and how its errors are told."""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from pathlib import Path
from typing import NamedTuple, cast

import pytest
import urllib3
import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import (
    BUSY_LIMIT,
    BUSY_WAIT,
    Api,
    ApiError,
    RefusedError,
    _read,
    object_path,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import connection_of
from tests.unit.support import Json, refused

SECRETS = "/api/v1/namespaces/istio-system/secrets"


class Seen(NamedTuple):
    method: str
    path: str
    kind: str
    authorization: str
    body: Json


@dataclass
class Server:
    port: int
    status: int = 200
    date: str | None = None
    busy: list[tuple[int, str | None]] = field(default_factory=list)
    answer: Json | str = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind, authorization = self.headers.get("Content-Type") or "", self.headers.get("Authorization") or ""
            told.seen.append(Seen(self.command, self.path, kind, authorization, json.loads(body or b"{}")))
            status, retry_after = told.busy.pop(0) if told.busy else (told.status, None)
            content = (told.answer if isinstance(told.answer, str) else json.dumps(told.answer)).encode()
            self.send_response_only(status)
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            if told.date is not None:
                self.send_header("Date", told.date)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_GET = do_PATCH = do_POST = do_DELETE = answer  # noqa: N815 (the base class looks for these names)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing of a test belongs on its terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        told = Server(http.server_port)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield told
        http.shutdown()
        thread.join()


def kubeconfig(folder: Path, port: int) -> str:
    path = folder / "kubeconfig"
    content = {
        "current-context": "cluster-b",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "a-token"}}],
        "contexts": [{"name": "cluster-b", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)


def api_of(kubeconfig: str, context: str = "") -> Api:
    return Api(connection_of(kubeconfig, context, {}, Path("/")))


@pytest.fixture
def api(server: Server, tmp_path: Path) -> Api:
    return api_of(kubeconfig(tmp_path, server.port), "cluster-b")


@pytest.mark.parametrize("token", ["hidden\n", "hidd\u20acn"])
def test_a_header_that_cannot_be_sent_is_told_without_a_word_of_it(
    api: Api, server: Server, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """Such as one of a token that was renewed while the run went on."""
    headers = {"authorization": f"Bearer {token}"}
    monkeypatch.setattr(api, "_authentication", lambda: headers)
    with refused("connection") as failure:
        api.get(SECRETS)
    assert "hidd" not in "".join(traceback.format_exception(failure.value)) + str(failure.value)
    # The control: it is what would be quoted.
    with pytest.raises(ValueError, match=r"Invalid header|codec") as quoted:
        api._pool.request("GET", f"http://127.0.0.1:{server.port}", headers=headers, retries=False)
    assert "hidd" in repr(quoted.value)


def test_reading_and_applying(api: Api, server: Server) -> None:
    server.answer = {"items": []}
    assert api.get(SECRETS, {"labelSelector": "a=b,c=d"}) == {"items": []}
    api.apply(f"{SECRETS}/x", {"a": 1}, "crossmesh-x", force=True)
    api.merge(f"{SECRETS}/x", {"a": None}, "crossmesh-x")
    api.delete(f"{SECRETS}/x")
    assert [(seen.method, seen.path) for seen in server.seen] == [
        ("GET", f"{SECRETS}?labelSelector=a%3Db%2Cc%3Dd"),
        ("PATCH", f"{SECRETS}/x?fieldManager=crossmesh-x&force=true"),
        ("PATCH", f"{SECRETS}/x?fieldManager=crossmesh-x"),
        ("DELETE", f"{SECRETS}/x"),
    ]
    assert [seen.kind for seen in server.seen][1:3] == ["application/apply-patch+yaml", "application/merge-patch+json"]
    assert {seen.authorization for seen in server.seen} == {"Bearer a-token"}
    assert server.seen[1].body == {"a": 1}


@pytest.mark.parametrize(
    ("status", "reason", "code", "fix"),
    [
        (401, "Unauthorized", "login-refused", "renew the credentials"),
        (404, "NotFound", "api-refused", "namespace exists"),
        (409, "Conflict", "conflict", "managedFields"),
        (422, "Invalid", "invalid-object", "Istio's CRDs"),
        (500, "InternalError", "api-refused", "API server's log"),
    ],
)
def test_an_error_is_told_by_status_reason_and_field_never_by_the_servers_message(
    api: Api, server: Server, status: int, reason: str, code: str, fix: str
) -> None:
    server.status = status
    server.answer = {
        "kind": "Status",
        "reason": reason,
        "message": "data: Invalid value: a-secret-value",
        "details": {"causes": [{"field": "data[tls.key]", "message": "a-secret-value"}, {"message": "a-secret-value"}]},
    }
    with pytest.raises(ApiError) as failure:
        api.apply(f"{SECRETS}/x", {}, "crossmesh-x", force=True)
    assert failure.value.status == status
    assert failure.value.message.code == code
    assert failure.value.message.what.endswith(f": {status} {reason} in data[tls.key]")
    assert fix in failure.value.message.fix
    assert "a-secret-value" not in str(failure.value) + repr(failure.value)


@pytest.mark.parametrize(("allowed", "code"), [(False, "not-permitted"), (True, "admission-refused")])
def test_who_forbids_without_a_word_is_asked_of_the_api_server(
    api: Api, server: Server, allowed: bool, code: str
) -> None:
    server.answer = {"reason": "Forbidden", "status": {"allowed": allowed}}
    server.busy = [(403, None)]
    with refused(code) as failure:
        api.apply(f"{SECRETS}/x", {}, "crossmesh-x", force=True)
    assert cast(ApiError, failure.value).refusal.who == ("" if allowed else "patch")
    asked = server.seen[-1].body["spec"]["resourceAttributes"]
    assert asked == {"verb": "patch", "resource": "secrets", "namespace": "istio-system", "name": "x"}


def test_where_that_is_not_told_either_it_is_the_permission(api: Api, server: Server) -> None:
    server.status, server.answer = 403, {"reason": "Forbidden"}
    with refused("not-permitted"):
        api.get(SECRETS)
    with refused("not-permitted"):
        api.review({"verb": "get", "resource": "pods"})


# -- a server that is busy -----------------------------------------------------------------------------------------


@dataclass
class Time:
    """A clock that moves where somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def patient(server: Server, tmp_path: Path) -> tuple[Api, Time]:
    time = Time()
    connection = connection_of(kubeconfig(tmp_path, server.port), "cluster-b", {}, Path("/"))
    return Api(connection, clock=lambda: time.now, sleep=time.sleep), time


@pytest.mark.parametrize("verb", ["get", "apply", "merge", "delete", "review"])
def test_a_busy_server_is_asked_again_when_it_says(patient: tuple[Api, Time], server: Server, verb: str) -> None:
    api, time = patient
    server.busy, server.answer = [(429, "2"), (429, "7"), (503, "1"), (429, None)], {"status": {"allowed": True}}
    asks: dict[str, Callable[[], object]] = {
        "get": lambda: api.get(SECRETS),
        "apply": lambda: api.apply(f"{SECRETS}/x", {"a": 1}, "crossmesh-x", force=True),
        "merge": lambda: api.merge(f"{SECRETS}/x", {"a": 1}, "crossmesh-x"),
        "delete": lambda: api.delete(f"{SECRETS}/x"),
        "review": lambda: api.review({"verb": "get", "resource": "pods"}),
    }
    asks[verb]()
    assert time.slept == [2.0, 7.0, 1.0, BUSY_WAIT]
    assert len({(seen.method, seen.path, json.dumps(seen.body)) for seen in server.seen}) == 1


def test_a_date_to_come_back_at_is_obeyed_too(patient: tuple[Api, Time], server: Server) -> None:
    api, waited = patient
    server.busy = [(429, formatdate(time.time() + 20, usegmt=True)), (429, "soon"), (429, "0")]
    api.get(SECRETS)
    assert 15 < waited.slept[0] <= 20
    assert waited.slept[1:] == [BUSY_WAIT, BUSY_WAIT]


@pytest.mark.parametrize("retry_after", ["9" * 400, "9" * 5000, f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT"])
def test_a_time_to_come_back_that_is_no_time_is_an_answer_like_others(
    patient: tuple[Api, Time], server: Server, retry_after: str
) -> None:
    api, _time = patient
    server.status, server.busy = 429, [(429, retry_after)] * 100
    with refused("api-busy"):
        api.get(SECRETS)


def test_its_patience_has_an_end(patient: tuple[Api, Time], server: Server) -> None:
    api, time = patient
    server.status, server.busy = 429, [(429, "10")] * 100
    with refused("api-busy") as failure:
        api.get(SECRETS)
    assert sum(time.slept) == BUSY_LIMIT
    assert "429" in failure.value.message.what
    time.slept.clear()
    server.busy = [(429, "3600")]
    with refused("api-busy"):
        api.get(SECRETS)
    assert time.slept == []


def test_a_server_that_does_not_say_when_to_come_back_is_not_asked_again(
    patient: tuple[Api, Time], server: Server
) -> None:
    api, time = patient
    server.status = 503
    with refused("api-busy"):
        api.get(SECRETS)
    assert (len(server.seen), time.slept) == (1, [])


def test_a_command_in_a_pod_waits_as_well(patient: tuple[Api, Time], server: Server) -> None:
    api, time = patient
    server.status, server.busy = 404, [(429, "3")]
    with pytest.raises(RefusedError, match="404"):
        api.proxy_request("istio-system", "pod-0", "certs", 5)
    assert time.slept == [3.0]


def test_what_is_made_replaced_and_deleted_is_the_version_that_was_meant(api: Api, server: Server) -> None:
    api.create(SECRETS, {"a": 1}, "m")
    api.create(SECRETS, {"a": 1}, "m", dry=True)
    api.replace(f"{SECRETS}/x", {"a": 2}, "m")
    api.delete(f"{SECRETS}/x", version="7")
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"resourceVersion": "7"}}
    assert [(seen.method, seen.path, seen.kind, seen.body) for seen in server.seen] == [
        ("POST", f"{SECRETS}?fieldManager=m", "application/json", {"a": 1}),
        ("POST", f"{SECRETS}?fieldManager=m&dryRun=All", "application/json", {"a": 1}),
        ("PUT", f"{SECRETS}/x?fieldManager=m", "application/json", {"a": 2}),
        ("DELETE", f"{SECRETS}/x", "application/json", options),
    ]


def test_a_dry_run_is_said_to_be_one(api: Api, server: Server) -> None:
    api.apply(f"{SECRETS}/x", {}, "m", force=False, dry=True)
    api.merge(f"{SECRETS}/x", {}, "m", dry=True)
    api.delete(f"{SECRETS}/x", dry=True)
    assert ["dryRun=All" in seen.path for seen in server.seen] == [True, True, True]


def test_an_answer_that_is_no_status_is_an_error_all_the_same(api: Api, server: Server) -> None:
    server.status, server.answer = 502, {}
    with pytest.raises(ApiError, match="502 error"):
        api.get(SECRETS)


def test_a_server_that_is_down_is_one_line_with_its_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with refused("api-unreachable") as failure:
        api_of(kubeconfig(tmp_path, port)).get(SECRETS)
    assert f"http://127.0.0.1:{port}" in failure.value.message.where
    assert failure.value.message.what.endswith("Failed to establish a new connection: [Errno 111] Connection refused")
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("content", "context"),
    [(None, ""), ("", ""), ("{", ""), ("[]", ""), ("contexts: 5", ""), ("{}", "cluster-b")],
    ids=["missing", "empty", "no YAML", "a list", "nonsense", "no such context"],
)
def test_a_kubeconfig_that_cannot_be_used(tmp_path: Path, content: str | None, context: str) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    with refused("kubeconfig") as failure:
        api_of(str(path), context)
    assert str(path) in failure.value.message.where
    assert failure.value.message.what.endswith("there is no such file") == (content is None)
    assert "\n" not in str(failure.value)


def test_several_kubeconfigs_are_looked_for_one_by_one(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, 1)
    with refused("kubeconfig") as failure:
        api_of(f"{tmp_path / 'none'}:{path}", "cluster-x")
    assert "cluster-x" in failure.value.message.what


def test_a_context_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with refused("kubeconfig") as failure:
        api_of(kubeconfig(tmp_path, 1), "cluster-x")
    assert failure.value.message.where.startswith("context cluster-x of ")


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize("zone", ["GMT", "", "-0000"])
@pytest.mark.parametrize("ahead", [7200, 0, -7200])
def test_how_far_this_clock_is_ahead_of_the_servers_is_told_with_any_answer(
    api: Api, server: Server, ahead: int, zone: str, status: int
) -> None:
    server.status = status
    # The header has no fractions of a second.
    before = int(time.time())
    server.date = formatdate(before - ahead, usegmt=True).replace("GMT", zone)
    with contextlib.suppress(ApiError):
        api.get(SECRETS)
    assert ahead <= api.clock_ahead <= ahead + time.time() - before


@pytest.mark.parametrize(
    "date", [None, "", "yesterday", "Mon, 99 Nov 2026 22:54:28 GMT", f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT"]
)
def test_a_server_that_does_not_tell_the_time_is_as_good_as_one_that_agrees(
    api: Api, server: Server, date: str | None
) -> None:
    server.date = date
    assert api.get(SECRETS) == {}
    assert api.clock_ahead == 0


def test_paths() -> None:
    assert object_path("", "v1", "secrets", "a", "b") == "/api/v1/namespaces/a/secrets/b"
    assert object_path("networking.istio.io", "v1", "gateways") == "/apis/networking.istio.io/v1/gateways"
    assert object_path("", "v1", "secrets", "a/../b", "c?d") == "/api/v1/namespaces/a%2F..%2Fb/secrets/c%3Fd"


def test_what_answers_without_json_is_no_api_server(server: Server, tmp_path: Path) -> None:
    server.answer = "<html>Please log in</html>"
    with refused("no-api-server"):
        api_of(kubeconfig(tmp_path, server.port)).get("/version")


@pytest.mark.parametrize("allowed", [True, False])
def test_an_access_review_asks_for_what_is_given_and_nothing_else(
    server: Server, tmp_path: Path, allowed: bool
) -> None:
    server.answer = {"status": {"allowed": allowed}}
    asked = {"verb": "patch", "resource": "services", "namespace": "istio-system"}
    assert api_of(kubeconfig(tmp_path, server.port)).review(asked) is allowed
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    assert seen.body["spec"] == {"resourceAttributes": asked}


def test_who_asks_is_told_by_the_api_server(api: Api, server: Server) -> None:
    server.answer = {"status": {"userInfo": {"username": "ops@example.com", "groups": ["system:authenticated"]}}}
    assert api.whoami() == "ops@example.com"
    assert (server.seen[0].method, server.seen[0].path) == (
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    )
    assert not api.nobody


# -- commands in pods ----------------------------------------------------------------------------------------------


class Session:
    """A command's connection that hands out what came, in turns; each turn a piece of both outputs, or nothing more."""

    def __init__(self, turns: list[tuple[str, str]], *, ends: bool = True) -> None:
        self._turns, self._ends = turns, ends
        self._held: dict[int, str] = {}
        self.asked = 0
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def is_open(self) -> bool:
        return bool(self._turns) or not self._ends

    def update(self, timeout: float) -> None:
        self.asked += 1
        for channel, text in enumerate(self._turns.pop(0) if self._turns else (), start=1):
            self._held[channel] = self._held.get(channel, "") + text

    def read_channel(self, channel: int) -> str:
        # As the package has it: whoever finds nothing looks once more.
        if channel not in self._held and self.is_open() and self._turns:
            self.update(0)
        return self._held.pop(channel, "")


@pytest.mark.parametrize("pieces", [["a"], ["a", "b"], ["a", "b", "c"], ["", "ab", "", "c"]])
def test_a_commands_output_is_read_to_its_end_however_it_comes(pieces: list[str]) -> None:
    turns = [(piece, "x" * 100 if number % 2 else "") for number, piece in enumerate(pieces)]
    assert _read(Session(turns), 5, inf) == "".join(pieces)


def test_a_command_that_writes_without_end_is_cut_off() -> None:
    session = Session([("y" * 1000, "z" * 1000)] * 10_000)
    assert _read(session, 60, 4096) == "y" * 4096
    assert session.asked < 20


@pytest.mark.parametrize("fault", [None, OSError("Connection reset by peer"), KeyboardInterrupt()])
def test_a_commands_connection_is_closed_however_it_ends(
    api: Api, monkeypatch: pytest.MonkeyPatch, fault: BaseException | None
) -> None:
    class Broken(Session):
        def update(self, timeout: float) -> None:
            if fault:
                raise fault
            super().update(timeout)

    session = Broken([("a", "")])
    monkeypatch.setattr(api, "_session", lambda _url: session)
    with contextlib.suppress(RefusedError, KeyboardInterrupt):
        assert api.execute("istio-system", "pod-0", "istio-proxy", ["true"], 5).output == "a"
        assert fault is None
    assert session.closed


def test_a_command_that_does_not_end_is_given_up_in_time() -> None:
    begun = time.monotonic()
    assert _read(Session([("a", "")], ends=False), 0.2, inf) == "a"
    assert time.monotonic() - begun < 5


# -- certificates of the API server --------------------------------------------------------------------------------


def rejected(code: int, words: str) -> Exception:
    """As urllib3 tells of a handshake that OpenSSL has broken off."""
    fault = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {words}")
    fault.verify_code, fault.verify_message = code, words
    return urllib3.exceptions.SSLError(fault)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (rejected(92, "CA cert does not include key usage extension"), "strict-x509", "Python 3.12 or earlier"),
        (rejected(85, "Missing Authority Key Identifier"), "strict-x509", "Missing Authority Key Identifier"),
        (rejected(10, "certificate has expired"), "api-certificate", "certificate-authority"),
        (rejected(79, "invalid CA certificate"), "api-certificate", "invalid CA certificate"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "api-unreachable", "No route to host"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_not_blamed_on_the_network(
    api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, words: str
) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(urllib3.PoolManager, "request", broken)
    with refused(code) as failure:
        api.get("/version")
    assert words in str(failure.value)
