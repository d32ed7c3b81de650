# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a kubeconfig's login plugin is asked for a credential: not without end, and no more is kept than one has.

PRIVATE to the collection. The package waits for a plugin for as long as that runs, and keeps all that it prints. A
plugin cannot ask the operator anything: from ansible-core 2.19 on, what runs a task has no terminal.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

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
    :param seconds: in which the plugin has to end, else its process group is ended.
    :raises LoginError: it gave none.
    :raises OSError: it cannot be started.
    """
    spec: dict[str, Any] = {"interactive": False}
    if provider.cluster:
        spec["cluster"] = _described(provider.cluster.value)
    question = {"apiVersion": provider.api_version, "kind": "ExecCredential", "spec": spec}
    environment = {**provider.env, "KUBERNETES_EXEC_INFO": json.dumps(question)}
    code, output = asyncio.run(_run(provider.args, provider.cwd, environment, seconds))
    if code:
        raise LoginError("failed")
    return _status(output, provider.api_version)


def _described(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """A cluster as C(provideClusterInfo) tells it, with what its extension holds for plugins."""
    known = {item["name"]: item["extension"] for item in cluster.get("extensions") or ()}
    own = known.get("client.authentication.k8s.io/exec")
    return {**cluster, "config": own} if own else dict(cluster)


class _Output(asyncio.SubprocessProtocol):
    """What a plugin prints.

    :ivar whole: is done when it has ended and has closed its output, or has printed too much.
    :ivar ended: is done when it has ended.
    :ivar closed: it has ended, and nothing that it has started holds its output.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.printed = bytearray()
        self.whole: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.closed = False

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.printed += data
        if len(self.printed) > LARGEST:
            self._complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._complete()

    def process_exited(self) -> None:
        self.ended.set_result(None)

    def _complete(self) -> None:
        if not self.whole.done():
            self.whole.set_result(None)


async def _run(
    command: Sequence[str], folder: str | None, environment: Mapping[str, str], seconds: float
) -> tuple[int | None, bytes]:
    """A plugin's exit code, and what it printed.

    :raises LoginError: that is too much, or it does not end.
    :raises OSError: it cannot be started.
    """
    loop = asyncio.get_running_loop()
    process, output = await loop.subprocess_exec(
        lambda: _Output(loop),
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
        env=environment,
        process_group=0,
    )
    try:
        await asyncio.wait_for(output.whole, seconds)
    except TimeoutError:
        raise _late(seconds) from None
    finally:
        # What has ended well may leave a program behind, such as one that keeps its cache.
        if not output.closed:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.get_pid(), signal.SIGKILL)
        process.close()
        await output.ended
    if len(output.printed) > LARGEST:
        raise LoginError(f"printed more than {LARGEST} bytes")
    return process.get_returncode(), bytes(output.printed)


def _late(seconds: float) -> LoginError:
    return LoginError(f"gave no answer within {seconds:g} s (mesh_api_timeout)", _TOO_LATE)


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
