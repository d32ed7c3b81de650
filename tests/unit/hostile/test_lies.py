# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lies can be told again by their names, and reach every kind of answer."""

from __future__ import annotations

from itertools import islice
from typing import Any

from tests.hostile.forged import Forged
from tests.hostile.lies import Liar, Lie, Recorded, World, draw
from tests.hostile.server import Answer, Asked

PODS = Asked("GET pods list", "GET /api/v1/pods")
USER = Asked("POST selfsubjectreviews", "POST /apis/x")
FORGED = Forged("pem", "pem", "pem", "pem", "pem", "pem", "7", "uid-of-another")
WORLD = World(FORGED, "hostile", "https://localhost:1", "token", "marker")


def recorded() -> list[Recorded]:
    pods = {"items": [{"metadata": {"name": "a", "labels": {"app": "b"}}}, {"metadata": {"name": "c"}}]}
    return [Recorded(PODS, Answer(body=pods)), Recorded(USER, Answer(body={"status": {"userInfo": {"username": "x"}}}))]


def some(seed: int = 1) -> list[Lie]:
    return list(islice(draw("site", recorded(), seed), 200))


def told(lie: Lie, body: Any) -> Any:
    return Liar([lie], WORLD)(lie.asked, Answer(body=body)).body


def test_the_same_seed_gives_the_same_lies_and_another_one_others() -> None:
    assert some() == some()
    assert [lie.change for lie in some()] != [lie.change for lie in some(2)]


def test_every_kind_of_answer_and_of_field_is_lied_in() -> None:
    assert {lie.asked for lie in some()} == {PODS, USER}
    assert {lie.field for lie in some()} >= {"", "items", "items/*/metadata/name", "status/userInfo/username"}
    assert {lie.sort for lie in some()} >= {"sly", "rude"}


def test_one_field_is_changed_and_nothing_else() -> None:
    lie = Lie("x-1-1", "rude", PODS, ("items", 1, "metadata", "name"), "null", once=False)
    changed = told(lie, recorded()[0].answer.body)
    assert changed["items"][1]["metadata"] == {"name": None}
    assert changed["items"][0] == recorded()[0].answer.body["items"][0]


def test_a_field_that_is_not_there_is_not_lied_in() -> None:
    liar = Liar([Lie("x-1-1", "rude", PODS, ("items", 7, "metadata"), "null", once=False)], WORLD)
    assert liar(PODS, Answer(body={"items": []})) == Answer(body={"items": []})
    assert not liar.told


def test_a_lie_that_is_told_once_is_not_told_again() -> None:
    liar = Liar([Lie("x-1-1", "sly", USER, ("username",), "nobody", once=True)], WORLD)
    answers = [liar(USER, Answer(body={"username": "x"})).body["username"] for _time in range(2)]
    assert answers == ["system:anonymous", "x"]
