# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that writes to a CA store, in Secrets: stopped at the n-th request, or what becomes of it is not told.

Requests are counted where the API server gets them, so that whatever a storage comes to ask is among them. After a kill
the Lease is taken away, in place of the time in which it is lost; that it is, is tested where Leases are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from tests.unit.ca.fake_cluster import PLACE, FakeCluster, named_pieces, nothing
from tests.unit.ca.support import keep, quick, record
from tests.unit.cluster.fake_api import api_error
from tests.unit.pki.support import NOW, make_leaf

from .work import FIRST, NO_RECORDS, WORKS, Point, Remains, Work, fault_of

__all__ = ["SECRET_FAULTS", "SECRET_WORKS", "Fault", "KilledError", "secret_points"]

# Of another run.
RIVAL = record(make_leaf(FIRST))
SECRET_WORKS = tuple(work for work in WORKS if not work.of_files)


class KilledError(BaseException):
    """The process ended here: nobody catches it."""


@dataclass(frozen=True)
class Fault:
    """:param happens: at a request to a path of a cluster; it may raise.
    :param reads: at requests that only read, too.
    :param done: the request is done before it happens.
    :param lasting: it happens at every later request as well, before that is done.
    """

    name: str
    happens: Callable[[FakeCluster, str], None]
    reads: bool = True
    done: bool = False
    lasting: bool = False


def _killed(_cluster: FakeCluster, _path: str) -> None:
    raise KilledError


def _unreachable(_cluster: FakeCluster, path: str) -> None:
    raise CrossmeshError(Message.error("api-unreachable", where=path, what="no answer", fix="ask again"))


def _conflict(_cluster: FakeCluster, path: str) -> None:
    raise api_error(path, 409)


def _overtaken(cluster: FakeCluster, _path: str) -> None:
    """Another run commits, as where this one has lost its Lease."""
    unlocked(cluster)
    other = quick(cluster.storage())
    # There is none while it is made or removed, and no key to sign with where it was lost.
    with suppress(CrossmeshError):
        if other.public() is not None:
            keep(other, [RIVAL])


SECRET_FAULTS = (
    Fault("killed", _killed, lasting=True),
    Fault("killed, the request done", _killed, reads=False, done=True, lasting=True),
    Fault("unreachable", _unreachable, lasting=True),
    Fault("unreachable once", _unreachable),
    Fault("answer lost", _unreachable, reads=False, done=True, lasting=True),
    Fault("answer lost once", _unreachable, reads=False, done=True),
    Fault("conflict", _conflict, reads=False),
    Fault("overtaken", _overtaken),
)


def secret_points(work: Work, fault: Fault, *, every: int = 1) -> Iterator[Point]:
    """Let the fault happen at its requests, one after the other, and see what the next call finds.

    :param every: 1 for each request, more for one in so many.
    """
    begun, step = FakeCluster(), 1
    work.begin(quick(begun.storage()))
    while True:
        cluster = FakeCluster(objects=copy.deepcopy(begun.objects))
        stepper = _Stepper(cluster, step, fault)
        ended = stepper.ended(partial(work.do, quick(cluster.storage())))
        if not stepper.met:
            return
        yield Point(work.name, step, ended or _fault(work, cluster))
        step += every


def unlocked(cluster: FakeCluster) -> None:
    """Take the Lease away."""
    cluster.objects = {path: item for path, item in cluster.objects.items() if item["kind"] != "Lease"}


def _fault(work: Work, cluster: FakeCluster) -> str:
    unlocked(cluster)
    store = quick(cluster.storage())
    with_rival = _has_rival(store)
    fault = fault_of(work, store, Remains(lambda: bool(cluster.secrets()), partial(_leftovers, cluster)))
    if not fault and with_rival and work.name not in NO_RECORDS and not _has_rival(store):
        return "what another run has written is lost"
    return fault


def _has_rival(store: CaStore) -> bool:
    try:
        return store.public() is not None and RIVAL in store.records(NOW)
    except CrossmeshError:
        # It is told of by the judgement of the whole.
        return False


def _leftovers(cluster: FakeCluster) -> list[str]:
    found = cluster.secrets()
    named = {f"{PLACE.name}-{piece}" for ids in named_pieces(found[PLACE.name]).values() for piece in ids}
    return sorted(found.keys() - named - {PLACE.name})


class _Stepper:
    """Counts the requests of a work, and lets the fault happen."""

    def __init__(self, cluster: FakeCluster, step: int, fault: Fault) -> None:
        self._cluster, self._step, self._fault = cluster, step, fault
        self._count, self._happened = 0, False

    @property
    def met(self) -> bool:
        return self._count >= self._step

    def ended(self, work: Callable[[], object]) -> str:
        """Do the work; how it ended beside what was meant to, empty where it did not."""
        self._cluster.before, self._cluster.after = self._before, self._after
        try:
            work()
        except (KilledError, CrossmeshError) as error:
            return "" if self.met else f"without a fault: {error}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self._cluster.before = self._cluster.after = nothing
        return ""

    def _before(self, verb: str, path: str) -> None:
        if self._happened and self._fault.lasting:
            self._happen(path)
        if verb == "get" and not self._fault.reads:
            return
        self._count += 1
        if self._count == self._step and not self._fault.done:
            self._happen(path)

    def _after(self, _verb: str, path: str) -> None:
        if self._count == self._step and self._fault.done and not self._happened:
            self._happen(path)

    def _happen(self, path: str) -> None:
        self._happened = True
        with self._unwatched():
            self._fault.happens(self._cluster, path)

    @contextmanager
    def _unwatched(self) -> Iterator[None]:
        """What happens asks on its own."""
        self._cluster.before = self._cluster.after = nothing
        try:
            yield
        finally:
            self._cluster.before, self._cluster.after = self._before, self._after
