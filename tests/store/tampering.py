# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that somebody can do to one file of a store without its passphrase, and what a run makes of it.

Files are found by listing the store: one of a kind that comes later is among them.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import parse_crls
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    parse_certificates,
    verify_issued_by,
)
from tests.unit.ca.support import file_store
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.pki.support import PASSPHRASE

from .course import OWNER, UID, Course, Vouched, run, vouched

__all__ = ["UNTOUCHED", "Case", "Told", "cases", "edits", "flipped", "judged", "told"]

SOMEBODY = 4711
UNTOUCHED = "as it is"
Attack = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """:param name: of the file or folder, or of what stands in Secrets, in the store of that phase."""

    phase: str
    name: str
    attack: str


@dataclass(frozen=True)
class Told:
    """:param codes: of the errors that each of the runs ended in; empty where none did.
    :param ends: C(error), C(healed), or C(older): another state that the key has signed.
    :param violations: what went through, or was not told as it should be.
    """

    case: Case
    codes: tuple[str, ...]
    ends: str
    violations: tuple[str, ...]


def cases(course: Course[Path], phase: str) -> Iterator[Case]:
    """Each thing that can be done to each file and folder of the store at that phase."""
    store = course.kept[phase]
    for path in sorted([store, *store.rglob("*")]):
        for attack in _attacks(course, phase, path.relative_to(store)):
            yield Case(phase, path.relative_to(store).as_posix(), attack)
    for name in _names_elsewhere(course, phase):
        yield Case(phase, name, "put in")


def told(course: Course[Path], case: Case, place: Path) -> Told:
    """Do it to a copy of the store at a place, and see what runs make of that."""
    shutil.copytree(course.kept[case.phase], place)
    try:
        _attack(course, case)(place / case.name)
        return judged(course, case, partial(file_store, place))
    finally:
        _remove(place)


def _remove(place: Path) -> None:
    if place.is_symlink():
        shutil.rmtree(place.resolve())
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)


# -- what is done ----------------------------------------------------------------------------------------------------


def _attack(course: Course[Path], case: Case) -> Attack:
    if case.attack == "put in":
        return _put_in(course, case)
    if case.attack == UNTOUCHED:
        return lambda target: target.stat()
    return _attacks(course, case.phase, Path(case.name))[case.attack]


def _attacks(course: Course[Path], phase: str, name: Path) -> dict[str, Attack]:
    path = course.kept[phase] / name
    found = _of_anything() if path.is_file() else {**_of_anything(), "open to all": _mode(0o777)}
    if not path.is_file():
        return found
    data = path.read_bytes()
    return {
        **found,
        "open to all": _mode(0o666),
        "truncated": lambda target: os.truncate(target, len(data) // 2),
        "emptied": lambda target: os.truncate(target, 0),
        "a pipe": _replaced(os.mkfifo),
        "a folder": _replaced(os.mkdir),
        **{f"as in {other}": partial(_copied, course.kept[other] / name) for other in _having(course, phase, name)},
        **{f"another instance's {item.name[:20]}": partial(_copied, item) for item in _like(course.other, name)},
        **_edited(path.suffix, data),
    }


def _of_anything() -> dict[str, Attack]:
    found: dict[str, Attack] = {"removed": _removed, "a link": _linked}
    # Who is not root gives nothing away.
    return {**found, "somebody's": lambda target: os.chown(target, SOMEBODY, -1)} if os.geteuid() == 0 else found


def _mode(mode: int) -> Attack:
    return lambda target: target.chmod(mode)


def _removed(target: Path) -> None:
    shutil.rmtree(target) if target.is_dir() else target.unlink()


def _replaced(make: Callable[[Path, int], object]) -> Attack:
    def replace(target: Path) -> None:
        target.unlink()
        make(target, 0o600)

    return replace


def _linked(target: Path) -> None:
    """The same content, somewhere else."""
    elsewhere = target.with_name(f"{target.name}-elsewhere")
    target.rename(elsewhere)
    target.symlink_to(elsewhere)


def _copied(source: Path, target: Path) -> None:
    shutil.copy(source, target)


def _having(course: Course[Path], phase: str, name: Path) -> list[str]:
    return [other for other, found in course.kept.items() if other != phase and (found / name).is_file()]


def _like(other: Path, name: Path) -> list[Path]:
    return [path for path in sorted(other.rglob("*")) if path.is_file() and _kind(path) == _kind(other / name)]


def _kind(path: Path) -> str:
    """Which file of a store it is, whatever its digits."""
    of_a_kind = path.parent.name in ("roots", "lists", "issued", "journal")
    return path.parent.name + path.suffix if of_a_kind else path.name


def _edited(suffix: str, data: bytes) -> dict[str, Attack]:
    if suffix not in (".json", ".ledger"):
        return {"edited": lambda target: target.write_bytes(flipped(data))} if data else {}
    return {how: partial(_written, changed) for how, changed in edits(data)}


def _written(content: bytes, target: Path) -> None:
    target.write_bytes(content)


def edits(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Each field of a JSON object changed in every way; nothing where it is none."""
    try:
        content = json.loads(data)
    except ValueError:
        return
    for key, value in content.items():
        for how, changed in _variants(content, key, value):
            yield f"{key} {how}", json.dumps(changed).encode()


def _variants(content: Mapping[str, Any], key: str, value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "left out", {name: item for name, item in content.items() if name != key}
    yield "null", {**content, key: None}
    for how, other in _others(value):
        yield how, {**content, key: other}


def _others(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield "with one more", {**value, "0" * 64: next(iter(value.values()), 1)}
        yield from (
            (f"without {key[:8]}", {name: item for name, item in value.items() if name != key}) for key in value
        )
    elif isinstance(value, list):
        yield "with one more", [*value, "0" * 64]
        yield from ((f"without {number}", value[:number] + value[number + 1 :]) for number in range(len(value)))
    elif isinstance(value, int):
        yield from (("more", value + 1), ("less", value - 1))
    else:
        yield from (("longer", f"{value}0"), ("empty", ""), ("changed", str(value)[::-1]))


def flipped(data: bytes) -> bytes:
    """With one bit changed."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _names_elsewhere(course: Course[Path], phase: str) -> list[str]:
    """Files that other phases had, and this one has not."""
    here = course.kept[phase]
    found = {
        path.relative_to(store).as_posix()
        for store in (*course.kept.values(), course.other)
        for path in store.rglob("*")
        if path.is_file()
    }
    return sorted(name for name in found if not (here / name).exists())


def _put_in(course: Course[Path], case: Case) -> Attack:
    source = next(store for store in (*course.kept.values(), course.other) if (store / case.name).exists())
    return partial(_copied, source / case.name)


# -- what becomes of it ----------------------------------------------------------------------------------------------


def judged(course: Course[Any], case: Case, opened: Callable[[], CaStore]) -> Told:
    """What runs make of a store, which was once the one of that phase.

    :param opened: opens it anew, as each run does.
    """
    runs: list[tuple[FakeApi, str]] = [
        (FakeApi(list(course.secrets[case.phase])), ""),
        (FakeApi(list(course.secrets[case.phase])), PASSPHRASE),
        (FakeApi(), PASSPHRASE),
    ]
    violations: list[str] = []
    codes: list[str] = []
    for api, passphrase in runs:
        try:
            run(api, opened(), passphrase)
        except CrossmeshError as error:
            violations += _untold(error)
            codes += [message.code for message in error.messages]
        except Exception as error:
            violations.append(f"{type(error).__name__}: {error}")
        violations += _through(course, case, api, passphrase)
    issued = {leaf.serial for api, _passphrase in runs for leaf in _leaves(api)}
    try:
        if opened().public() is None:
            return Told(case, tuple(codes), "error", tuple(violations))
        found = vouched(opened())
    except CrossmeshError as error:
        return Told(case, (*codes, *(message.code for message in error.messages)), "error", tuple(violations))
    return Told(case, tuple(codes), *_state(course, case, found, issued, codes, violations))


def _state(
    course: Course[Any], case: Case, found: Vouched, issued: Set[str], codes: Sequence[str], violations: list[str]
) -> tuple[str, tuple[str, ...]]:
    if not any(_goes_on_from(found, state, issued) for state in course.states):
        violations.append("a state that no key has signed")
    if codes:
        return "error", tuple(violations)
    true = course.found[case.phase]
    same = (found.roots, found.lists) == (true.roots, true.lists) and set(found.records) >= set(true.records)
    return ("healed" if same else "older"), tuple(violations)


def _goes_on_from(found: Vouched, state: Vouched, issued: Set[str]) -> bool:
    """Whether runs can have come from that state to this one: they add records of their own, and know the cluster."""
    added = {record.serial for record in found.records} - {record.serial for record in state.records}
    return (
        (found.roots, found.lists) == (state.roots, state.lists)
        and set(found.records) >= set(state.records)
        and added <= issued
        and found.clusters in (state.clusters, {**state.clusters, OWNER.cluster: UID})
    )


def _untold(error: CrossmeshError) -> Iterator[str]:
    # One line a root where the clusters trust several that are not there.
    if len(codes := {message.code for message in error.messages}) != 1:
        yield f"errors of several kinds for one fault: {codes}"
    yield from (
        f"an error without what to do: {message}"
        for message in error.messages
        if not (message.code and message.where and message.what and message.fix)
    )


def _through(course: Course[Any], case: Case, api: FakeApi, passphrase: str) -> Iterator[str]:
    """What a gateway has got, and no key has vouched for."""
    roots = {root for state in course.states for root in state.roots}
    lists = {crl.pem for state in course.states for crl in state.lists.values()}
    before = {item["metadata"]["name"]: item for item in course.secrets[case.phase]}
    for secret in api.objects:
        trust = parse_certificates(_text(secret, "ca.crt"))
        yield from (f"root {view.fingerprint}" for view in trust if view.fingerprint not in roots)
        crls = parse_crls(_text(secret, "ca.crl"), where="ca.crl") if "ca.crl" in secret["data"] else ()
        yield from (f"a CRL of {crl.issuer}" for crl in crls if crl.pem not in lists)
        leaf = _leaf(secret)
        if not any(verify_issued_by(leaf, root) for root in trust):
            yield f"a certificate of {leaf.issuer}"
        had = before.get(secret["metadata"]["name"])
        if not passphrase and had and secret["data"] != had["data"]:
            yield from _widened(had, secret)


def _widened(had: Mapping[str, Any], has: Mapping[str, Any]) -> Iterator[str]:
    """What must not come without the passphrase: a root more, a CRL less, a certificate."""
    if has["data"]["tls.crt"] != had["data"]["tls.crt"]:
        yield "a certificate without the passphrase"
    roots, before = ({view.fingerprint for view in parse_certificates(_text(item, "ca.crt"))} for item in (has, had))
    if roots - before:
        yield "a root without the passphrase"
    if "ca.crl" in had["data"] and "ca.crl" not in has["data"] and roots == before:
        yield "revocations undone without the passphrase"


def _leaves(api: FakeApi) -> list[CertificateView]:
    return [_leaf(secret) for secret in api.objects]


def _leaf(secret: Mapping[str, Any]) -> CertificateView:
    return parse_certificates(_text(secret, "tls.crt"))[0]


def _text(secret: Mapping[str, Any], key: str) -> str:
    return base64.b64decode(secret["data"][key]).decode()
