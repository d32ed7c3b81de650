# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that writes to a CA store: what it begins with, and how one sees that it is done."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import restoration
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import Import, Wanted, ensure_present
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Event
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked
from tests.unit.ca.support import (
    USES,
    as_earlier_release,
    file_store,
    folder,
    index_of,
    journal_of,
    keep,
    record,
    witness,
)
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, make_leaf, make_root

from .stopping import Fault, stopped

__all__ = ["FIRST", "NO_RECORDS", "WORKS", "Point", "Remains", "Work", "fault_of", "points", "public"]

FIRST, NEXT = make_root(), make_root()
HELD, ISSUED = record(make_leaf(FIRST)), record(make_leaf(FIRST))
HOME = ("cluster-a", "one")
TOLD = Event("bundle", {"cluster": "cluster-a", "removed": ["0" * 64]})


@dataclass(frozen=True)
class Work:
    """:param begin: makes what it begins with, in a folder.
    :param do: begins, or goes on with what somebody else has begun.
    :param of_files: it is about files that lie there, or did with earlier releases: no other place has them.
    """

    name: str
    begin: Callable[[CaStore], object]
    do: Callable[[CaStore], object]
    done: Callable[[CaStore], bool]
    of_files: bool = False


@dataclass(frozen=True)
class Remains:
    """What is left where a store is kept.

    :param anything: whether it holds anything of the store, once that was removed.
    :param leftovers: what no index names, and the next writer should have taken away.
    """

    anything: Callable[[], bool]
    leftovers: Callable[[], Sequence[str]]


@dataclass(frozen=True)
class Point:
    """One operation at which a work was stopped.

    :param fault: why the store was not whole then, or not finished by the next call; empty where it was.
    """

    work: str
    step: int
    fault: str


def points(work: Work, fault: Fault, folder_of_all: Path, *, every: int = 1) -> Iterator[Point]:
    """Stop it at its operations, one after the other, and see what the next call finds.

    :param every: 1 for each operation, more for one in so many.
    """
    begun, step = file_store(folder_of_all / "begun" / "ca"), 1
    folder(begun).parent.mkdir(parents=True)
    work.begin(begun)
    while True:
        place = shutil.copytree(folder_of_all / "begun", folder_of_all / "stopped")
        store = file_store(place / "ca")
        outcome = stopped(partial(work.do, store), place, step, fault)
        if outcome.reached:
            yield Point(work.name, step, outcome.fault or fault_of(work, store, _in_files(store)))
        shutil.rmtree(place)
        if not outcome.reached:
            break
        step += every
    shutil.rmtree(folder_of_all / "begun")


def fault_of(work: Work, store: CaStore, remains: Remains) -> str:
    """Why a store of which the work was stopped is not whole, or not finished by the next call; empty where it is."""
    try:
        kept = work.name not in NO_RECORDS
        if fault := _not_whole(store, kept):
            return fault
        if not work.done(store):
            work.do(store)
        if not work.done(store):
            return "the next call did not finish it"
        if work.name == "destroy":
            return "something is left" if remains.anything() else ""
        store.record([], store.signer(PASSPHRASE) if work.name != "recover" else NEXT.key, NOW)
        left = remains.leftovers()
        return _not_whole(store, kept) or (f"left over: {left}" if left else "")
    except CrossmeshError as error:
        return f"afterwards: {error}"


# That begin without any, or take them away.
NO_RECORDS = ("create", "import", "recover", "forget", "destroy")


def _not_whole(store: CaStore, kept: bool) -> str:
    if store.unsigned() or store.of_another():
        return ""
    store.check_journal()
    authority = store.public()
    if authority is None:
        return ""
    if len(authority.lists) not in (0, len(authority.trusted)):
        return "lists for some roots only"
    store.vouch(PASSPHRASE, authority)
    return "" if HELD in store.records(NOW) or not kept else "a record is lost"


def _in_files(store: CaStore) -> Remains:
    return Remains(
        lambda: any(path.is_file() for path in folder(store).rglob("*")),
        partial(_leftovers, store),
    )


def _leftovers(store: CaStore) -> list[str]:
    at = folder(store)
    known = {
        "roots": public(store).known,
        "lists": {f"{root}.{crl.number}" for root, crl in store.lists().items()},
        "issued": {item.serial for item in store.records(NOW)},
        "journal": _segments(store),
    }
    return [
        path.relative_to(at).as_posix()
        for path in at.rglob("*")
        if path.name.startswith(".crossmesh-")
        or path.name == "unfinished"
        or path.parent.name == "clusters"
        or (path.parent.name in known and path.suffix != ".ledger" and path.stem not in known[path.parent.name])
    ]


def _segments(store: CaStore) -> set[str]:
    """Names of the journal's files that count, without their ending."""
    head = index_of(store).journal
    closed = {path.stem for path in folder(store).glob("journal/*") if path.stem < f"{head.segment:012}"}
    return {*closed, f"{head.segment:012}-{head.digest}", f"after-{head.digest}"}


def public(store: CaStore) -> Authority:
    found = store.public()
    assert found is not None
    return found


# -- what writes ---------------------------------------------------------------------------------------------------


def _nothing(_store: CaStore) -> None:
    """It begins with nothing."""


def _create(store: CaStore) -> None:
    store.create(PASSPHRASE, FIRST.key, FIRST.view.pem)


def _in_use(store: CaStore) -> None:
    _create(store)
    keep(store, [HELD])
    _publish(store)


def _import(store: CaStore) -> None:
    beside = folder(store).parent
    source = Import(str(beside / "root.crt"), str(beside / "root.key"), "", USES)
    wanted = Wanted("Test Root CA", "P-256", 3650, source)
    ensure_present(store, wanted, passphrase=PASSPHRASE, expected=[], now=NOW, check_mode=False)


def _files_to_import(store: CaStore) -> None:
    beside = folder(store).parent
    (beside / "root.crt").write_text(FIRST.view.pem, encoding="ascii")
    plain = FIRST.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (beside / "root.key").touch(mode=0o600)
    (beside / "root.key").write_bytes(plain)


def _publish(store: CaStore, serial: str = "a") -> None:
    revoked = (Revoked(serial, NOW, "superseded"),)
    store.publish(PASSPHRASE, lambda found: {root.fingerprint: revoked for root in found.trusted}, now=NOW)


def _revoked(store: CaStore) -> set[str]:
    return {item.serial for crl in store.lists().values() for item in crl.revoked}


def _step(store: CaStore) -> None:
    """The next one of a rotation."""
    authority = public(store)
    if authority.phase == "steady":
        store.prepare(PASSPHRASE, NEXT.key, NEXT.view.pem, seen=authority.state, now=NOW)
    elif authority.phase == "prepared":
        store.switch(PASSPHRASE, seen=authority.state)
    elif authority.phase == "switched":
        store.retire(PASSPHRASE, seen=authority.state)
    else:
        store.finish(PASSPHRASE, seen=authority.state, keep_keys=False)


def _rotated(store: CaStore) -> bool:
    authority = public(store)
    return authority.issuing == NEXT.view and authority.phase == "steady"


def _rotate(store: CaStore) -> None:
    while not _rotated(store):
        _step(store)


def _after(steps: int) -> Callable[[CaStore], None]:
    def begin(store: CaStore) -> None:
        _in_use(store)
        for step in [_step] * steps:
            step(store)

    return begin


def _in(phase: str) -> Callable[[CaStore], bool]:
    return lambda store: public(store).phase == phase


def _earlier(store: CaStore) -> None:
    _after(1)(store)
    as_earlier_release(store, clusters={HOME[0]: HOME[1]})


def _of_another(store: CaStore) -> None:
    root = CaStore(FileStorage(folder(store)), "two", iterations=1000)
    root.create(PASSPHRASE, FIRST.key, FIRST.view.pem)
    keep(root, [HELD])


def _reconcile(store: CaStore) -> None:
    """After a backup from a rotation that was given up since: no cluster trusts the prepared root."""
    held = restoration.Held(HELD.cluster, "", frozenset([FIRST.view.fingerprint]), ())
    found = restoration.Found([held], [ISSUED], [HELD.cluster], HELD.instance, [])
    store.reconcile(PASSPHRASE, found, confirmed=witness(store).split()[0], now=NOW)


def _is_told(store: CaStore) -> bool:
    return any(entry["kind"] == TOLD.kind for entry in journal_of(store))


WORKS = (
    Work("create", _nothing, _create, lambda store: store.public() is not None),
    Work("import", _files_to_import, _import, lambda store: store.public() is not None, of_files=True),
    Work(
        "recover",
        _nothing,
        lambda store: store.recover(PASSPHRASE, NEXT.key, NEXT.view.pem, [FIRST.view]),
        lambda store: store.public() is not None,
    ),
    Work("issue", _in_use, lambda store: keep(store, [ISSUED]), lambda store: ISSUED in store.records(NOW)),
    Work(
        "forget",
        _in_use,
        lambda store: keep(store, [], NOW + 100 * DAY),
        lambda store: not store.records(NOW),
    ),
    Work(
        "a cluster",
        _in_use,
        lambda store: store.record([ISSUED], store.signer(PASSPHRASE), NOW, home=HOME),
        lambda store: store.clusters() == dict([HOME]),
    ),
    Work("revoke", _in_use, lambda store: _publish(store, "b"), lambda store: _revoked(store) == {"b"}),
    Work(
        "revoke nothing",
        _in_use,
        lambda store: store.publish(PASSPHRASE, lambda _found: {}, now=NOW),
        lambda store: not store.lists(),
    ),
    Work("prepare", _in_use, _step, _in("prepared")),
    Work("switch", _after(1), _step, _in("switched")),
    Work("retire", _after(2), _step, _in("retiring")),
    Work("finish", _after(3), _step, _rotated),
    Work(
        "abandon",
        _after(1),
        lambda store: store.abandon(PASSPHRASE, seen=public(store).state),
        _in("retiring"),
    ),
    Work("rotate", _in_use, _rotate, _rotated),
    Work(
        "take over",
        _earlier,
        lambda store: store.take_over(PASSPHRASE, [FIRST.view.fingerprint, NEXT.view.fingerprint]),
        lambda store: not store.unsigned() and store.clusters() == dict([HOME]),
        of_files=True,
    ),
    Work(
        "take over a copy",
        _of_another,
        lambda store: store.take_over(PASSPHRASE, [FIRST.view.fingerprint]),
        lambda store: not store.of_another(),
        of_files=True,
    ),
    Work("note", _in_use, lambda store: store.note(TOLD), _is_told),
    Work("vouch", _in_use, lambda store: store.vouch(PASSPHRASE, public(store), TOLD), _is_told),
    Work(
        "reconcile",
        _after(1),
        _reconcile,
        lambda store: _in("retiring")(store) and ISSUED.serial in {item.serial for item in store.records(NOW)},
    ),
    Work("destroy", _in_use, lambda store: store.destroy(), lambda store: not store.occupied()),
)
