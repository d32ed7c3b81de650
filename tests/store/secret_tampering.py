# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that somebody can do to one Secret of a store without its passphrase, and what a run makes of it.

He can write to the namespace, and knows what was in it before. Secrets and their keys are found by looking at them: one
of a kind that comes later is among them.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import secret_layout as layout
from tests.unit.ca.fake_cluster import PLACE, FakeCluster, Objects, named_pieces
from tests.unit.ca.support import quick
from tests.unit.support import Json

from .course import Course
from .tampering import UNTOUCHED, Case, Told, edits, flipped, judged

__all__ = ["secret_cases", "told_of_secrets"]

HEAD = "head"
Attack = Callable[[Objects], object]


def secret_cases(course: Course[Objects], phase: str) -> Iterator[Case]:
    """Each thing that can be done to each Secret of the store at that phase, and to each key of the head."""
    for name in _names(course, phase):
        for attack in _attacks(course, phase, name):
            yield Case(phase, name, attack)


def told_of_secrets(course: Course[Objects], case: Case) -> Told:
    """Do it to a copy of the store, and see what runs make of that."""
    cluster = FakeCluster(objects=copy.deepcopy(course.kept[case.phase]))
    _attack(course, case)(cluster.objects)
    return judged(course, case, lambda: quick(cluster.storage()))


# -- what there is ---------------------------------------------------------------------------------------------------


def _names(course: Course[Objects], phase: str) -> list[str]:
    """The head, its keys, those that other phases had, and what stands in pieces."""
    had = {key for objects in (*course.kept.values(), course.other) for key in _data(objects[PLACE.path()])}
    return [HEAD, *(f"{HEAD}/{key}" for key in sorted(had)), *_things(course.kept[phase])]


def _things(objects: Objects) -> dict[str, str]:
    """The path of each piece, by what stands in it and which part of that it is."""
    found = named_pieces(objects[PLACE.path()])
    return {f"{thing} {part}": PLACE.path(piece) for thing, ids in found.items() for part, piece in enumerate(ids)}


def _data(item: Json) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in item["data"].items()}


# -- what is done ----------------------------------------------------------------------------------------------------


def _attack(course: Course[Objects], case: Case) -> Attack:
    if case.attack == UNTOUCHED:
        return lambda objects: objects[PLACE.path()]
    return _attacks(course, case.phase, case.name)[case.attack]


def _attacks(course: Course[Objects], phase: str, name: str) -> dict[str, Attack]:
    if name == HEAD:
        return _on_the_head(course, phase)
    if name.startswith(f"{HEAD}/"):
        return _on_a_key(course, phase, name.removeprefix(f"{HEAD}/"))
    return _on_a_piece(course, phase, name)


def _on_the_head(course: Course[Objects], phase: str) -> dict[str, Attack]:
    path = PLACE.path()
    older = {
        f"as in {other}": partial(_exchanged, path, objects[path]["data"])
        for other, objects in course.kept.items()
        if other != phase
    }
    return {
        "removed": lambda objects: objects.pop(path),
        "without data": partial(_exchanged, path, {}),
        "another instance's": partial(_exchanged, path, course.other[path]["data"]),
        "being made": partial(_exchanged, path, {layout.UNFINISHED: base64.b64encode(b"x").decode()}),
        **older,
    }


def _on_a_key(course: Course[Objects], phase: str, key: str) -> dict[str, Attack]:
    path = PLACE.path()
    found = _data(course.kept[phase][path])
    others = {other: _data(objects[path]) for other, objects in course.kept.items() if other != phase}
    attacks: dict[str, Attack] = {
        f"as in {other}": partial(_set, path, key, data[key])
        for other, data in others.items()
        if key in data and data[key] != found.get(key)
    }
    attacks |= {
        f"another instance's {other[:20]}": partial(_set, path, key, content)
        for other, content in _data(course.other[path]).items()
        if other.rpartition(".")[2] == key.rpartition(".")[2]
    }
    if key not in found:
        return attacks
    return {
        **attacks,
        "removed": partial(_unset, path, key),
        "not base64": lambda objects: objects[path]["data"].update({key: "*"}),
        **_on_content(path, key, found[key]),
    }


def _on_a_piece(course: Course[Objects], phase: str, name: str) -> dict[str, Attack]:
    objects = course.kept[phase]
    path, content = _things(objects)[name], layout.CONTENT
    found = _data(objects[path])[content]
    others = {
        **{f"in {other}": kept for other, kept in course.kept.items() if other != phase},
        "of another instance": course.other,
    }
    like = {
        f"as {where}, {thing}": partial(_set, path, content, data)
        for where, kept in others.items()
        for thing, place in _things(kept).items()
        if _kind(thing) == _kind(name) and (data := _data(kept[place])[content]) != found
    }
    beside = {
        f"{thing} in its place": partial(_set, path, content, _data(objects[place])[content])
        for thing, place in _things(objects).items()
        if thing != name
    }
    return {
        "removed": lambda objects: objects.pop(path),
        "without data": partial(_exchanged, path, {}),
        "without labels": lambda objects: objects[path]["metadata"].pop("labels"),
        "not base64": lambda objects: objects[path]["data"].update({content: "*"}),
        **like,
        **beside,
        **_on_content(path, content, found),
    }


def _kind(thing: str) -> str:
    """What stands in a piece, whatever its numbers."""
    return thing.partition("/")[0].partition(" ")[0]


def _on_content(path: str, key: str, data: bytes) -> dict[str, Attack]:
    return {
        "truncated": partial(_set, path, key, data[: len(data) // 2]),
        "emptied": partial(_set, path, key, b""),
        "edited": partial(_set, path, key, flipped(data)),
        **{how: partial(_set, path, key, changed) for how, changed in edits(data)},
    }


def _set(path: str, key: str, content: bytes, objects: Objects) -> None:
    objects[path]["data"][key] = base64.b64encode(content).decode()


def _unset(path: str, key: str, objects: Objects) -> None:
    del objects[path]["data"][key]


def _exchanged(path: str, data: Mapping[str, str], objects: Objects) -> None:
    objects[path]["data"] = dict(data)
