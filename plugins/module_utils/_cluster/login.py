# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a kubeconfig's login plugin is asked for a credential: not without end, and no more is kept than one has.

PRIVATE to the collection. The package waits for a plugin for as long as that runs, and keeps all that it prints. A
plugin cannot ask the operator anything: from ansible-core 2.19 on, what runs a task has no terminal.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO, Any, Final, TypeVar, cast

__all__ = ["LARGEST", "LOG_IN", "LoginError", "asked", "within"]

# Bytes; a token or a certificate has some thousand.
LARGEST: Final = 1024 * 1024

LOG_IN: Final = (
    "run kubectl with this context, as the user and with the environment that Ansible has: it shows what the plugin "
    "says; then log in as it asks, or give the job the credential of the cloud that it lacks"
)
_EXPIRED = (
    "log in again, as the plugin asks when kubectl is run with this context; if it has just been done, compare this "
    "machine's clock, and empty the plugin's cache"
)
_TOO_LATE = (
    "run kubectl with this context: a plugin that asks for a password, or opens a browser, waits in vain in a job, so "
    "log in before or use an account for machines; if it is merely slow, set a larger mesh_api_timeout"
)

Result = TypeVar("Result")


class LoginError(Exception):
    """Why there is no credential, after the name of what was asked; nothing of what it printed.

    :param fix: what to do.
    """

    def __init__(self, why: str, fix: str = LOG_IN) -> None:
        super().__init__(why)
        self.fix = fix


def asked(provider: Any, seconds: float) -> Mapping[str, Any]:
    """The C(status) of what a plugin answers.

    :param provider: an ExecProvider of the package, which knows the command and its environment.
    :param seconds: in which the plugin has to end; then its process group is ended.
    :raises LoginError: it gave none.
    :raises OSError: it cannot be started.
    """
    spec: dict[str, Any] = {"interactive": False}
    if provider.cluster:
        spec["cluster"] = _described(provider.cluster.value)
    question = {"apiVersion": provider.api_version, "kind": "ExecCredential", "spec": spec}
    process = subprocess.Popen(
        provider.args,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=provider.cwd,
        env={**provider.env, "KUBERNETES_EXEC_INFO": json.dumps(question)},
        process_group=0,
    )
    until = time.monotonic() + seconds
    try:
        output = _read(cast("IO[bytes]", process.stdout), until)
        code = process.wait(max(0.0, until - time.monotonic()))
    except (subprocess.TimeoutExpired, TimeoutError):
        raise _late(seconds) from None
    finally:
        _end(process)
    if code:
        raise LoginError("failed")
    return _status(output, provider.api_version)


def _described(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """A cluster as C(provideClusterInfo) tells it, with what its extension holds for plugins."""
    known = {item["name"]: item["extension"] for item in cluster.get("extensions") or ()}
    own = known.get("client.authentication.k8s.io/exec")
    return {**cluster, "config": own} if own else dict(cluster)


def _read(stream: IO[bytes], until: float) -> bytes:
    """All that a plugin prints.

    :raises LoginError: that is too much.
    :raises TimeoutError: it does not end.
    """
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while selector.select(max(0.0, until - time.monotonic())):
            piece = os.read(stream.fileno(), 65536)
            if not piece:
                return bytes(output)
            output += piece
            if len(output) > LARGEST:
                raise LoginError(f"printed more than {LARGEST} bytes")
    raise TimeoutError


def _late(seconds: float) -> LoginError:
    return LoginError(f"gave no answer within {seconds:g} s (mesh_api_timeout)", _TOO_LATE)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdout:
        process.stdout.close()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _status(output: bytes, version: str) -> Mapping[str, Any]:
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        raise LoginError("failed") from None
    if not isinstance(found, dict) or found.get("apiVersion") != version or not isinstance(found.get("status"), dict):
        raise LoginError("failed")
    status: Mapping[str, Any] = found["status"]
    _refuse_expired(str(status.get("expirationTimestamp") or ""))
    return status


def _refuse_expired(until: str) -> None:
    """Stop at a credential that a plugin has kept for too long: the API server would only say that it knows nobody.

    :param until: in the form of RFC 3339; what has another form says nothing, nor does the zero of Go, the year 1.
    """
    try:
        ends = datetime.fromisoformat(until)
    except ValueError:
        return
    if ends.tzinfo and ends.year > 1 and ends <= datetime.now(UTC):
        raise LoginError(f"gave a credential that expired at {ends.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", _EXPIRED)


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """What a call returns, or raises, that nobody can end: such as one of a library that asks somebody's server.

    :raises LoginError: it takes longer; it is left alone, and ends with this process at the latest.
    """
    found, raised = list[Result](), list[BaseException]()

    def work() -> None:
        try:
            found.append(call())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not found:
        raise _late(seconds)
    return found[0]
