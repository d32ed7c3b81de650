# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One writer at a time, by a Lease of an API server (coordination.k8s.io/v1), and no wait without end.

PRIVATE to the collection. As leader election of client-go does it: no two clocks are compared. A holder that has not
renewed its Lease for as long as one is given, by the clock of whoever waits, has lost it. One that was only slow may go
on after that, so what it writes has to be held against the version that it has read all the same.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import (
    CONFLICT,
    MISSING,
    Api,
    ApiError,
    object_path,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import Item, get_object, version_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["DURATION", "Lease"]

# Seconds; what client-go takes unless it is told otherwise.
DURATION = 15.0
# Seconds between two looks at a Lease that somebody else holds.
PAUSE = 0.2
# Characters of what a holder says of itself: whoever can write the Lease could say more.
LONGEST = 200


@dataclass
class Lease:
    """One Lease, held inside of a C(with) block.

    :param labels: of the object.
    :param manager: field manager.
    :param patience: seconds to wait for another holder; one that has died is waited for in any case.
    :param what: it keeps other writers from, for messages.
    :param clock: seconds; with C(sleep) for tests.
    """

    api: Api
    namespace: str
    name: str
    labels: Mapping[str, str]
    manager: str
    patience: float
    what: str
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    _version: str = field(default="", init=False)
    _renewed: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        # Two threads of one process are two holders.
        self._holder = f"process {os.getpid()} on {socket.gethostname()} ({secrets.token_hex(4)})"

    def __enter__(self) -> Lease:
        self._acquire()
        return self

    def __exit__(self, *_error: object) -> None:
        """Let go, at once where the API server can be asked; else it is lost in time."""
        if self._version:
            with suppress(CrossmeshError):
                self.api.replace(self._path, self._body("", self._version), self.manager)

    def keep(self) -> None:
        """Renew it where that is due: to be called between the writes that it is held for.

        :raises CrossmeshError: it is another one's by now.
        """
        if self.clock() - self._renewed < DURATION / 3:
            return
        try:
            self._write(self._version)
        except ApiError as error:
            if error.status not in (CONFLICT, MISSING):
                raise
            self._version = ""
            raise CrossmeshError(self._lost()) from None

    def remove(self) -> None:
        """Delete it in place of letting it go."""
        with suppress(ApiError):
            self.api.delete(self._path, version=self._version)
        self._version = ""

    @property
    def where(self) -> str:
        return f"{self.api.where}, Lease {self.namespace}/{self.name}"

    @property
    def _longest(self) -> float:
        """Seconds to wait."""
        return max(self.patience, 2 * DURATION)

    @property
    def _collection(self) -> str:
        return object_path("coordination.k8s.io", "v1", "leases", self.namespace)

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self.name}"

    def _acquire(self) -> None:
        until = self.clock() + self._longest
        version, since = "", 0.0
        while True:
            found = self._found()
            if found["metadata"].get("resourceVersion", "") != version:
                version, since = found["metadata"].get("resourceVersion", ""), self.clock()
            holder = found.get("spec", {}).get("holderIdentity", "")
            if (not holder or self.clock() - since > DURATION) and self._taken(version):
                return
            if self.clock() > until:
                raise CrossmeshError(self._held(holder))
            if holder:
                self.sleep(PAUSE)

    def _found(self) -> Item:
        """The Lease as it is; nobody's where there is none yet."""
        try:
            return get_object(self.api, "Lease", self._path)
        except ApiError as error:
            if error.status != MISSING:
                raise
            return {"metadata": {}}

    def _taken(self, version: str) -> bool:
        """Whether it could be taken, as it was seen."""
        try:
            self._write(version)
        except ApiError as error:
            # Gone meanwhile, or somebody was quicker; a namespace that is not there is no such thing.
            if error.status == CONFLICT or (error.status == MISSING and version):
                return False
            raise
        return True

    def _write(self, version: str) -> None:
        begun, body = self.clock(), self._body(self._holder, version)
        if version:
            answer = self.api.replace(self._path, body, self.manager)
        else:
            answer = self.api.create(self._collection, body, self.manager)
        self._version, self._renewed = version_of(answer, self.where), begun

    def _body(self, holder: str, version: str) -> dict[str, Any]:
        metadata = {"name": self.name, "namespace": self.namespace, "labels": dict(self.labels)}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        # For people: nobody compares it with a clock.
        spec: dict[str, Any] = {"acquireTime": now, "renewTime": now, "leaseDurationSeconds": int(DURATION)}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {**metadata, "resourceVersion": version} if version else metadata,
            "spec": {"holderIdentity": holder, **spec} if holder else spec,
        }

    def _held(self, holder: str) -> Message:
        return Message.error(
            "lock-held",
            where=self.where,
            what=f"{self.what} was held by another writer for {self._longest:g} s: "
            f"{holder[:LONGEST] or 'one that has left no word'}",
            fix="wait until that run has ended, then run again; if it hangs, end that process, and its Lease is lost "
            f"after {DURATION:g} s. mesh_api_timeout sets how long to wait",
        )

    def _lost(self) -> Message:
        return Message.error(
            "lease-lost",
            where=self.where,
            what=f"another writer took the Lease over, as this run did not renew it within {DURATION:g} s: what it was "
            "about to write counts for nothing",
            fix="find out what held up this run or the API server, then run again",
        )
