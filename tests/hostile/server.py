# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One cluster's API server on loopback: HTTPS for one Memory, threads of this process."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import yaml

from . import envoy
from .memory import KINDS, Kind, Memory, StatusError

__all__ = ["Answer", "ApiServer", "Asked", "serving"]

Json = dict[str, Any]
Key = tuple[str, str, str]

_WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_STDOUT, _ERROR = 1, 3
_METADATA = "as=PartialObjectMetadata"
_REVIEWS = {
    "selfsubjectaccessreviews": {"allowed": True},
    "selfsubjectreviews": {"userInfo": {"username": "lab-admin", "groups": ["system:masters"]}},
}


class Asked(NamedTuple):
    """A request, as what it is about: what is asked of each kind of path is one kind of answer.

    :param kind: of the answer, for a table.
    :param key: of this request among those of one run.
    """

    kind: str
    key: str


@dataclass(frozen=True)
class Answer:
    """:param body: JSON; of a command in a pod what it printed, if that is JSON.
    :param trickle: seconds between two bytes.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    trickle: float = 0.0
    cut: bool = False

    @property
    def content(self) -> bytes:
        return json.dumps(self.body).encode() if self.raw is None else self.raw


def _as_it_is(_asked: Asked, answer: Answer) -> Answer:
    return answer


@dataclass
class ApiServer:
    """:param memory: what it holds; replaced between two runs.
    :param liar: changes an answer.
    :param credentials: those that came and are not this server's.
    :param tokens: what came as a credential, by requests that bore one.
    """

    token: str
    memory: Memory = field(default_factory=Memory)
    liar: Callable[[Asked, Answer], Answer] = _as_it_is
    lock: threading.RLock = field(default_factory=threading.RLock)
    url: str = ""
    credentials: list[str] = field(default_factory=list)

    # -- resources ------------------------------------------------------------------------------------------------

    def handle(self, method: str, target: str, accept: str, content: bytes) -> tuple[Asked, Answer]:
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        try:
            with self.lock:
                name, body = self._answer(method, url.path, query, accept, content)
            answer = Answer(201 if method == "POST" else 200, body)
        except StatusError as error:
            name, answer = _name_of(method, url.path), Answer(error.code, _status(error))
        about = " by label" if "labelSelector" in query else ""
        about += " (metadata)" if _METADATA in accept else ""
        about += " (dry)" if "dryRun" in query else ""
        return Asked(f"{name}{about}", f"{method} {target} {_METADATA in accept}"), answer

    def _answer(self, method: str, path: str, query: Mapping[str, str], accept: str, content: bytes) -> tuple[str, Any]:
        if (found := _discovery(path)) is not None:
            return f"GET {'/version' if path == '/version' else 'discovery'}", found
        if method == "POST" and (review := _REVIEWS.get(path.rpartition("/")[2])):
            return f"POST {path.rpartition('/')[2]}", {**json.loads(content), "metadata": {}, "status": review}
        kind, key = _place(path)
        name = f"{method} {kind.plural}"
        if not key[2]:
            return f"{name} list", self._list(kind, key[1], query, accept)
        if method == "GET":
            item = _with_type(kind, self.memory.get(*key))
            return name, _metadata_of(item) if _METADATA in accept else item
        return name, _with_type(kind, self._write(method, key, query, content))

    def _list(self, kind: Kind, namespace: str, query: Mapping[str, str], accept: str) -> Json:
        labels, fields = (_pairs(query.get(name, "")) for name in ("labelSelector", "fieldSelector"))
        items = self.memory.list(kind.name, namespace, labels, fields)
        metadata = {"resourceVersion": str(self.memory.version)}
        if _METADATA in accept:
            partial = [_metadata_of(item) for item in items] or None
            return {
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": partial,
            }
        # As an API server does: in a list the items do not say what they are.
        bare = [{name: value for name, value in item.items() if name not in ("kind", "apiVersion")} for item in items]
        return {"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": metadata, "items": bare}

    def _write(self, method: str, key: Key, query: Mapping[str, str], content: bytes) -> Json:
        dry, manager = "dryRun" in query, query.get("fieldManager", "OpenAPI-Generator")
        if method == "DELETE":
            return self.memory.delete(key, dry=dry)
        body = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        if method == "APPLY":
            return self.memory.apply(key, body, manager, force=query.get("force") == "true", dry=dry)
        return self.memory.merge(key, body, manager, dry=dry)

    # -- commands in pods -----------------------------------------------------------------------------------------

    def execute(self, target: str) -> tuple[Asked, Answer]:
        url = urlsplit(target)
        words = [value for name, value in parse_qsl(url.query) if name == "command"]
        namespace, name = url.path.split("/")[4], url.path.split("/")[6]
        try:
            with self.lock:
                pod = self.memory.get("Pod", namespace, name)
                if words[:1] != ["pilot-agent"]:
                    return Asked("exec probe", f"EXEC {name} {words[-1]}"), Answer(raw=envoy.probed(self.memory, words))
                found = json.loads(envoy.answer(self.memory, pod, words[-1]))
        except StatusError as error:
            return Asked("exec", f"EXEC {name}"), Answer(error.code, _status(error))
        return Asked(f"exec {words[-1].partition('?')[0]}", f"EXEC {name} {words[-1]}"), Answer(body=found)


def _place(path: str) -> tuple[Kind, Key]:
    parts = [unquote(part) for part in path.strip("/").split("/")]
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    for kind in KINDS:
        if (kind.group, kind.version, kind.plural) == (group, version, rest[0]):
            return kind, (kind.name, namespace, rest[1] if len(rest) > 1 else "")
    raise StatusError(404, "NotFound", "the server could not find the requested resource")


def _name_of(method: str, path: str) -> str:
    try:
        kind, key = _place(path)
    except (StatusError, IndexError):
        return f"{method} something else"
    return f"{method} {kind.plural}{'' if key[2] else ' list'}"


def _discovery(path: str) -> Json | None:
    groups = sorted({(kind.group, kind.version) for kind in KINDS if kind.group})
    if path == "/version":
        return {"major": "1", "minor": "34", "gitVersion": "v1.34.4", "platform": "linux/amd64"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        found: dict[str, list[Json]] = {}
        for group, version in groups:
            found.setdefault(group, []).append({"groupVersion": f"{group}/{version}", "version": version})
        listed = [{"name": group, "versions": all_, "preferredVersion": all_[0]} for group, all_ in found.items()]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
    kinds = [kind for kind in KINDS if path == f"/api{'s' if kind.group else ''}/{kind.api_version}"]
    if not kinds:
        return None
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    resources = [
        {"name": k.plural, "singularName": k.name.lower(), "namespaced": k.namespaced, "kind": k.name, "verbs": verbs}
        for k in kinds
    ]
    return {"kind": "APIResourceList", "groupVersion": kinds[0].api_version, "resources": resources}


def _with_type(kind: Kind, item: Json) -> Json:
    return {"apiVersion": kind.api_version, "kind": kind.name, **item}


def _metadata_of(item: Json) -> Json:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}


def _pairs(selector: str) -> dict[str, str]:
    return {name: value for name, _equals, value in (pair.partition("=") for pair in selector.split(",") if pair)}


def _status(error: StatusError) -> Json:
    causes = [{"reason": "FieldManagerConflict", "field": name} for name in error.causes]
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
        "reason": error.reason,
        "details": {"causes": causes},
        "code": error.code,
    }


# -- HTTP ----------------------------------------------------------------------------------------------------------


@contextmanager
def serving(server: ApiServer, context: ssl.SSLContext) -> Iterator[ApiServer]:
    """Listen on a free port of loopback until the block ends."""
    listener = _Listener(("127.0.0.1", 0), _handler_for(server))
    listener.socket = context.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
    server.url = f"https://localhost:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is none of our business."""


def _handler_for(server: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        api = server

    return Handler


class _Handler(BaseHTTPRequestHandler):
    api: ApiServer
    protocol_version = "HTTP/1.1"
    # A client that keeps its connection and says nothing.
    timeout = 120

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _take(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self._command()
            return
        method = self.command
        if method == "PATCH" and "apply-patch" in self.headers.get("Content-Type", ""):
            method = "APPLY"
        credential = self.headers.get("Authorization", "")
        if credential != f"Bearer {self.api.token}":
            self.api.credentials += [credential] if credential else []
            nobody = StatusError(401, "Unauthorized", "Unauthorized")
            self._send(Answer(401, _status(nobody)))
            return
        asked, answer = self.api.handle(method, self.path, self.headers.get("Accept", ""), content)
        self._send(self.api.liar(asked, answer))

    # As http.server asks for them.
    do_GET = do_POST = do_PATCH = do_DELETE = _take  # noqa: N815

    def _send(self, answer: Answer) -> None:
        content = answer.content
        headers = {
            "Date": formatdate(usegmt=True),
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **answer.headers,
        }
        head = f"HTTP/1.1 {answer.status} Said\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        sent = content[: len(content) // 2] if answer.cut else content
        self._out(head.encode("latin-1", "replace") + b"\r\n", sent, answer.trickle)
        self.close_connection = answer.cut

    def _out(self, head: bytes, content: bytes, trickle: float) -> None:
        if not trickle:
            self.wfile.write(head + content)
            return
        self.wfile.write(head)
        pause = threading.Event()
        for place in range(len(content)):
            # Ends with the client, who sees that there is no end.
            self.wfile.write(content[place : place + 1])
            pause.wait(trickle)

    # -- websockets (RFC 6455), as far as a command without input needs them ----------------------------------------

    def _command(self) -> None:
        asked, answer = self.api.execute(self.path)
        answer = self.api.liar(asked, answer)
        self.close_connection = True
        if answer.status != 200:
            self._send(answer)
            return
        accepted = base64.b64encode(hashlib.sha1((self.headers["Sec-WebSocket-Key"] + _WEBSOCKET).encode()).digest())
        head = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accepted.decode()}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n"
        )
        ended = json.dumps({"metadata": {}, "status": "Success"}).encode()
        frames = _frame(0x2, bytes([_STDOUT]) + answer.content) + _frame(0x2, bytes([_ERROR]) + ended)
        frames += _frame(0x8, struct.pack("!H", 1000))
        self._out(head.encode(), frames[: len(frames) // 2] if answer.cut else frames, answer.trickle)


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    length = (
        bytes([size])
        if size < 126
        else b"\x7e" + struct.pack("!H", size)
        if size < 1 << 16
        else b"\x7f" + struct.pack("!Q", size)
    )
    return bytes([0x80 | opcode]) + length + payload
