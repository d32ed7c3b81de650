# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few requests that the collection sends to an API server itself.

PRIVATE to the collection. Plain JSON over what the C(kubernetes) package makes of a connection. An error is told by
status, reason and field, never by the server's message: that can hold the value that was sent.

A server that is busy is obeyed: what it answers with 429, or with 503 and a time to come back, it has not done
(L(API Priority and Fairness,https://kubernetes.io/docs/concepts/cluster-administration/flow-control/)). Nothing is
waited for beyond the limits of a call, however it comes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ssl import SSLCertVerificationError
from typing import Any
from urllib.parse import quote, unquote, urlencode

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.bounded import (
    TooMuchError,
    open_socket,
    with_bounded_sockets,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import Connection, refuse
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import ACCESS_REVIEW, USER_REVIEW, hold
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.kubeconfig import configuration
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.limits import Limits
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.refusal import Refusal, read_refusal
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.session import ERRORS, OUTCOME, OUTPUT, Session
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.tls import with_one_context
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.transport import causes, reason_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import parse_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

try:
    from kubernetes.client.rest import RESTClientObject
    from urllib3 import Timeout
    from urllib3.exceptions import HTTPError, ReadTimeoutError
    from websocket import WebSocketBadStatusException, WebSocketException

    KUBERNETES_IMPORT_ERROR: ImportError | None = None
except ImportError as error:
    KUBERNETES_IMPORT_ERROR = error

__all__ = [
    "CONFLICT",
    "KUBERNETES_IMPORT_ERROR",
    "METADATA_OF_ONE",
    "METADATA_ONLY",
    "MISSING",
    "PARALLEL",
    "Api",
    "ApiError",
    "Executed",
    "RefusedError",
    "object_path",
    "out_of_time",
]

# Requests that one API server is sent at once, by whoever has several.
PARALLEL = 8
# Seconds; bounds what an unreachable cluster costs.
CONNECT_TIMEOUT = 10.0
# What one request waits for a busy server, all in all; and where that does not say how long.
BUSY_LIMIT, BUSY_WAIT = 60.0, 1.0
# Bytes that are read at once: a length that a server names is no reason to reserve that much.
PIECE = 1024 * 1024

# OpenSSL's codes of what it asks for with X509_V_FLAG_X509_STRICT alone (x509_vfy.h), which Python sets from 3.13 on.
STRICT_ONLY = range(80, 94)

# Seconds, until a command runs.
SESSION_TIMEOUT = 15.0

APPLY = "application/apply-patch+yaml"
JSON = "application/json"
MERGE = "application/merge-patch+json"
# Of a list, and of a single object. What does not know the form must not answer with the whole Secret in its place.
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
# HTTP status codes: somebody else was there first, or there is nothing.
CONFLICT, MISSING = 409, 404
METADATA_OF_ONE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


class ApiError(CrossmeshError):
    """An API server answered a request with an error.

    :param refusal: what its answer tells.
    """

    def __init__(self, message: Message, *, refusal: Refusal) -> None:
        super().__init__(message)
        self.refusal = refusal

    @property
    def status(self) -> int:
        """HTTP status code."""
        return self.refusal.status


class RefusedError(CrossmeshError):
    """A command could not be run in a pod.

    :param forbidden: the API server does not permit it, so asking again is no use.
    """

    def __init__(self, message: Message, *, forbidden: bool = False) -> None:
        super().__init__(message)
        self.forbidden = forbidden


@dataclass(frozen=True)
class Answer:
    """What an API server has answered a request with."""

    status: int
    headers: Mapping[str, str]
    data: bytes


@dataclass(frozen=True)
class Executed:
    """What became of a command in a pod.

    :param output: of its standard output, as much as was asked for.
    :param finished: whether it came to an end in time, or wrote more than that.
    :param succeeded: whether it could be started there, and ended with 0.
    """

    output: str
    finished: bool
    succeeded: bool


class Api:
    """One cluster's API server.

    C(clock_ahead) tells by how many seconds this machine's clock is ahead of the server's, once something was asked.

    :param limits: of all that is asked of it; the time of the cluster begins here.
    :param clock: seconds; with C(sleep) for tests.
    :raises CrossmeshError: when the connection cannot be used.
    """

    def __init__(
        self,
        connection: Connection,
        limits: Limits = Limits(),  # noqa: B008 (a value that nothing can change)
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.where = connection.where
        self._clock, self._sleep = clock, sleep
        self._limits, self._until = limits, clock() + limits.cluster
        self._configuration = configuration(connection, limits)
        self._configuration.retries = False
        self.clock_ahead = 0.0
        self._pool = self._opened()

    def _opened(self) -> Any:
        try:
            return with_bounded_sockets(with_one_context(RESTClientObject(self._configuration).pool_manager))
        # A proxy whose address is none.
        except (HTTPError, OSError, ValueError) as error:
            raise CrossmeshError(_unreached(error, self._place)) from None

    @property
    def address(self) -> str:
        """URL of the API server."""
        return str(self._configuration.host)

    @property
    def _place(self) -> str:
        return f"{self.where}, {self.address}"

    def _left(self, limit: float) -> float:
        """What is left of a time limit, for as long as the cluster has any left itself.

        :raises CrossmeshError: it has none.
        """
        left = self._until - self._clock()
        if left <= 0:
            raise CrossmeshError(out_of_time(self._place, self._limits.cluster))
        return min(limit, left)

    # -- requests --------------------------------------------------------------------------------------------------

    def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json") -> Any:
        return self._request("GET", path, query or {}, None, {"Accept": accept})

    def review(self, attributes: Mapping[str, str]) -> bool:
        """Whether the user of this context may do something (SelfSubjectAccessReview); nothing is stored for it."""
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": dict(attributes)},
        }
        path = object_path("authorization.k8s.io", "v1", "selfsubjectaccessreviews")
        answer = self._request("POST", path, {}, body, {"Content-Type": JSON})
        return bool(hold(answer, ACCESS_REVIEW, f"{self.where}, {path}")["status"].get("allowed"))

    def whoami(self) -> str:
        """The user whom the API server takes us for (SelfSubjectReview); nothing is stored for it."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = object_path("authentication.k8s.io", "v1", "selfsubjectreviews")
        answer = self._request("POST", path, {}, body, {"Content-Type": JSON})
        status = hold(answer, USER_REVIEW, f"{self.where}, {path}")["status"]
        return str(status.get("userInfo", {}).get("username", ""))

    @property
    def nobody(self) -> bool:
        """Whether requests bear no credential."""
        return not (self._authentication() or self._configuration.cert_file)

    def apply(self, path: str, body: Mapping[str, Any], manager: str, *, force: bool, dry: bool = False) -> Any:
        """Server-side apply.

        :param dry: everything but the write itself; so for the others.
        """
        query = {"fieldManager": manager, "force": "true" if force else "false", **_dry(dry)}
        return self._request("PATCH", path, query, body, {"Content-Type": APPLY})

    def merge(self, path: str, body: Mapping[str, Any], manager: str, *, dry: bool = False) -> Any:
        """JSON merge patch (RFC 7386)."""
        return self._request("PATCH", path, {"fieldManager": manager, **_dry(dry)}, body, {"Content-Type": MERGE})

    def create(self, path: str, body: Mapping[str, Any], manager: str, *, dry: bool = False) -> Any:
        """POST to a collection; refused (409) where there is an object of this name."""
        return self._request("POST", path, {"fieldManager": manager, **_dry(dry)}, body, {"Content-Type": JSON})

    def replace(self, path: str, body: Mapping[str, Any], manager: str) -> Any:
        """PUT: refused (409) where the object has another C(resourceVersion) than the body by now."""
        return self._request("PUT", path, {"fieldManager": manager}, body, {"Content-Type": JSON})

    def delete(self, path: str, *, version: str = "", dry: bool = False) -> Any:
        """:param version: C(resourceVersion) that the object has to have (409); empty for any."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"resourceVersion": version}}
        body, headers = (options, {"Content-Type": JSON}) if version else (None, {})
        return self._request("DELETE", path, _dry(dry), body, headers)

    def _request(self, method: str, path: str, query: Mapping[str, str], body: Any, headers: Mapping[str, str]) -> Any:
        begun = self._clock()
        while True:
            answer = self._send(method, path, query, body, headers)
            if not self._waited(answer.status, answer.headers.get("Retry-After"), begun):
                break
        if answer.status >= 300:
            raise self._error(method, path, answer.status, answer.data)
        try:
            return parse_json(answer.data)
        except ValueError:
            raise CrossmeshError(
                Message.error(
                    "no-api-server",
                    where=self._place,
                    what="this is not an API server: its answer is not JSON",
                    fix="correct the server's address in the kubeconfig, or the proxy in front of it",
                )
            ) from None

    def _send(self, method: str, path: str, query: Mapping[str, str], body: Any, headers: Mapping[str, str]) -> Answer:
        url = self._configuration.host + path + (f"?{urlencode(query)}" if query else "")
        limit = self._left(self._limits.answer)
        try:
            found = self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers={"Accept": "application/json", **headers, **self._authentication()},
                timeout=Timeout(connect=min(CONNECT_TIMEOUT, limit), read=limit),
                retries=False,
                preload_content=False,
            )
            # What the clock of the server says does not grow old while the rest of the answer comes.
            self._compare_clocks(found.headers.get("Date", ""))
            answer = Answer(found.status, found.headers, _whole(found, self._limits.size))
        except ReadTimeoutError as error:
            self._left(limit)
            raise CrossmeshError(_too_slow(self._place, limit)) from error
        except TooMuchError as error:
            raise CrossmeshError(_too_large(self._place, self._limits.size)) from error
        except (HTTPError, OSError) as error:
            raise CrossmeshError(_unreached(error, self._place)) from None
        except ValueError:
            # It quotes the header that cannot be sent, and so the credential.
            what = "a request cannot be sent: its credential holds a character that has no place in a header"
            raise refuse(self.where, what, "correct the credential of this connection") from None
        return answer

    def _waited(self, status: int, retry_after: str | None, begun: float) -> bool:
        """Whether to ask again, after the time that a busy server has asked for; longer than the limit is too long."""
        if status != 429 and not (status == 503 and retry_after):
            return False
        wait = _seconds(retry_after)
        if self._clock() + wait > min(begun + BUSY_LIMIT, self._until):
            return False
        self._sleep(wait)
        return True

    def _error(self, method: str, path: str, status: int, data: bytes) -> ApiError:
        attributes = _attributes(method, path)
        refusal = read_refusal(status, data, attributes.get("namespace", ""))
        if refusal.cause == "forbidden" and self._lacks_permission(attributes):
            refusal = replace(refusal, cause="permission", who=attributes.get("verb", ""))
        message = refusal.message(self.where, f"the API server refused {method} {path}")
        return ApiError(message, refusal=refusal)

    def _lacks_permission(self, attributes: Mapping[str, str]) -> bool:
        """Who has refused something without a word; asked of the API server, which may not say."""
        if attributes.get("resource", "") in ("", "selfsubjectaccessreviews"):
            return True
        try:
            return not self.review(attributes)
        except CrossmeshError:
            return True

    def _compare_clocks(self, date: str) -> None:
        """RFC 9110 section 6.6.1: the moment at which the server answered, to the second."""
        try:
            there = parsedate_to_datetime(date)
        except (ValueError, OverflowError):
            return
        self.clock_ahead = -_from_now(there)

    def _authentication(self) -> dict[str, str]:
        settings: Any = self._configuration.auth_settings()
        return {
            setting["key"]: setting["value"]
            for setting in settings.values()
            if setting["in"] == "header" and setting["value"]
        }

    # -- commands in pods ------------------------------------------------------------------------------------------

    def proxy_request(self, namespace: str, pod: str, path: str, timeout: float) -> str:
        """GET of Envoy's admin interface by C(pilot-agent request), the one program that every proxy image has.

        :param timeout: seconds.
        :raises RefusedError: when the command cannot be run there, or fails.
        """
        command = ["pilot-agent", "request", "GET", path]
        done = self.execute(namespace, pod, "istio-proxy", command, timeout)
        if not done.finished:
            raise _refused(namespace, pod, f"no answer within {timeout:.0f} s")
        if not done.succeeded:
            raise _refused(namespace, pod, f"{' '.join(command)} failed there")
        return done.output

    def execute(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: Sequence[str],
        timeout: float,
        limit: float | None = None,
    ) -> Executed:
        """Run a command in a container, without a shell but the one that it may name itself.

        :param timeout: seconds.
        :param limit: characters of its output; what writes more is not waited for. Without one it is an error.
        :raises RefusedError: when the API server does not let us, or the connection breaks.
        """
        query = [("container", container), ("stdout", "true"), ("stderr", "true")]
        query += [("command", word) for word in command]
        url = self._configuration.host + object_path("", "v1", "pods", namespace, pod) + f"/exec?{urlencode(query)}"
        try:
            with closing(self._session(url)) as session:
                output = _read(session, self._left(timeout), self._limits.size if limit is None else limit)
                finished, outcome = not session.is_open(), session.read_channel(OUTCOME)
        except WebSocketBadStatusException as error:
            forbidden = error.status_code == 403
            why = "exec is forbidden (403)" if forbidden else f"exec was refused ({error.status_code})"
            raise _refused(namespace, pod, why, forbidden=forbidden) from None
        except TooMuchError:
            raise RefusedError(_too_large(f"{self.where}, pod {namespace}/{pod}", self._limits.size)) from None
        except (WebSocketException, HTTPError, OSError, ValueError) as error:
            raise _refused(namespace, pod, reason_of(error)) from None
        return Executed(output, finished, '"Success"' in outcome)

    def _session(self, url: str) -> Any:
        begun = self._clock()
        while True:
            limit = self._left(SESSION_TIMEOUT)
            found = open_socket(self._pool, url, min(CONNECT_TIMEOUT, limit))
            found.settimeout(limit)
            try:
                return Session(found, url, self._authentication(), self._limits.size)
            except WebSocketBadStatusException as error:
                headers = error.resp_headers or {}
                if not self._waited(error.status_code, headers.get("retry-after"), begun):
                    raise


def _whole(found: Any, size: int) -> bytes:
    """The body of an answer, to its end.

    :param found: an answer of urllib3.
    :raises TooMuchError: it has more bytes.
    """
    pieces, left = [], size
    try:
        # We asked for no compression: who sends some all the same could let a few bytes become any number.
        while piece := found.read(min(PIECE, left + 1), decode_content=False):
            pieces.append(piece)
            left -= len(piece)
            if left < 0:
                raise TooMuchError
    except BaseException:
        # Whatever else it holds is no answer to the next request.
        found.close()
        raise
    found.release_conn()
    return b"".join(pieces)


def _read(session: Any, timeout: float, limit: float) -> str:
    """Standard output until its end; no more than a little over the limit is ever held."""
    pieces, length = list[str](), 0
    until = time.monotonic() + timeout
    while session.is_open() and length <= limit and (left := until - time.monotonic()) > 0:
        session.update(timeout=left)
        pieces.append(session.read_channel(OUTPUT))
        length += len(pieces[-1])
        session.read_channel(ERRORS)
    # What came with the end itself.
    pieces.append(session.read_channel(OUTPUT))
    output = "".join(pieces)
    return output if len(output) <= limit else output[: int(limit)]


def _refused(namespace: str, pod: str, why: str, *, forbidden: bool = False) -> RefusedError:
    fix = "allow get and create on pods/exec, or check that the pod runs istio-proxy"
    message = Message.error("proxy-silent", where=f"pod {namespace}/{pod}", what=why, fix=fix)
    return RefusedError(message, forbidden=forbidden)


def object_path(group: str, version: str, plural: str, namespace: str = "", name: str = "") -> str:
    """Path of a resource; the core group is the empty string."""
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    if namespace:
        path += f"/namespaces/{quote(namespace, safe='')}"
    return f"{path}/{plural}" + (f"/{quote(name, safe='')}" if name else "")


def _dry(dry: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry else {}


def _seconds(retry_after: str | None) -> float:
    """RFC 9110 section 10.2.3: seconds, or a date; never so short that a busy server gets busier."""
    given = (retry_after or "").strip()
    try:
        wait = float(given) if given.isdecimal() else _from_now(parsedate_to_datetime(given))
    except (ValueError, OverflowError):
        wait = BUSY_WAIT
    return max(BUSY_WAIT, wait)


def _from_now(moment: datetime) -> float:
    # A date of HTTP is always in UTC, said or not.
    return (moment.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()


_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def _attributes(method: str, path: str) -> dict[str, str]:
    """What a request does, in the words of a SelfSubjectAccessReview; empty where it is about no resource."""
    parts = [unquote(part) for part in path.split("/")[1:]]
    if parts[0] not in ("api", "apis"):
        return {}
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource, name = [*rest, "", ""][:2]
    verb = _VERBS.get(method, "get" if name else "list")
    given = {"verb": verb, "group": group, "resource": resource, "namespace": namespace, "name": name}
    return {key: value for key, value in given.items() if value}


def _too_slow(where: str, seconds: float) -> Message:
    what = f"the API server gave no whole answer within {seconds:g} s"
    fix = "find out what holds up the API server, or the proxy in front of it; mesh_api_timeout sets how long to wait"
    return Message.error("api-too-slow", where=where, what=what, fix=fix)


def _too_large(where: str, size: int) -> Message:
    fix = "check that this is the cluster's API server; if it holds as much, set mesh_api_max_bytes to more"
    return Message.error("answer-too-large", where=where, what=f"the answer has more than {size} bytes", fix=fix)


def out_of_time(where: str, seconds: float) -> Message:
    """The error where a cluster has no time left.

    :param seconds: that it had.
    """
    what = f"the cluster took more than {seconds:g} s to answer, over all that it was asked"
    fix = "find out what holds up the API server; mesh_cluster_timeout sets how long to wait"
    return Message.error("cluster-too-slow", where=where, what=what, fix=fix)


def _unreached(error: Exception, where: str) -> Message:
    fault = next((item for item in causes(error) if isinstance(item, SSLCertVerificationError)), None)
    if fault is None:
        what = f"cannot reach the API server: {reason_of(error)}"
        fix = "check the address, the network and that the server is up; then run again"
        return Message.error("api-unreachable", where=where, what=what, fix=fix)
    if fault.verify_code in STRICT_ONLY:
        what = f"Python {sys.version_info.major}.{sys.version_info.minor} refuses the certificates of the API server: "
        what += f"{fault.verify_message} (RFC 5280). Older versions of Python, kubectl and browsers accept them"
        fix = "let Ansible run with Python 3.12 or earlier, or give the cluster's CA certificates as RFC 5280 asks for"
        return Message.error("strict-x509", where=where, what=what, fix=fix)
    what = f"the certificate of the API server is not accepted: {fault.verify_message}"
    fix = "correct certificate-authority, server or tls-server-name in the kubeconfig, or renew the certificate"
    return Message.error("api-certificate", where=where, what=what, fix=fix)
