# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a report: whole, small, without a network, and the same page whatever names it is given."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._report.assembly import report_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Report
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.pictures import (
    MOST_PILLS,
    Box,
    Pill,
    time_line,
    topology_picture,
)
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.page import render
from tests.unit.report.estates import Estate, many_links, one_link, ten_links
from tests.unit.report.pages import Page

MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def ten() -> Report:
    return report_of(ten_links().sources())


@pytest.fixture(scope="module")
def many() -> Report:
    return report_of(many_links().sources())


def reaching_out(page: str) -> list[str]:
    """What a browser would load, or lead to, outside of the page."""
    found = Page(page)
    places = [
        value
        for _tag, given in found.elements
        for name, value in given.items()
        if name in ("src", "href", "xlink:href", "action", "data", "srcset") and not value.startswith("#")
    ]
    return [*places, *re.findall(r"url\((?!#)[^)]*\)|@import", page)]


def test_a_page_loads_nothing_and_leads_nowhere(ten: Report) -> None:
    page = render(ten)
    assert reaching_out(page) == []
    assert reaching_out(page.replace("<main>", '<main><img src="https://example.com/x.png">')) != []


def test_only_the_pages_own_script_and_style_may_be_used(ten: Report) -> None:
    found = Page(render(ten))
    (policy,) = (
        given["content"]
        for tag, given in found.elements
        if tag == "meta" and "content" in given
        if given.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert (found.tags().count("script"), found.tags().count("style")) == (1, 1)
    # An attribute cannot do either, with this policy or without.
    assert [name for _tag, given in found.elements for name in given if name == "style" or name.startswith("on")] == []


def test_every_link_has_a_row_a_page_of_life_and_a_place_in_the_picture(ten: Report) -> None:
    found = Page(render(ten))
    rows = [given["id"] for tag, given in found.elements if tag == "details" and "id" in given]
    assert rows == [f"link-{item.name}" for item in ten.links]
    targets = {given["href"] for tag, given in found.elements if tag == "a"}
    assert {f"#{row}" for row in rows} <= targets
    ids = {given["id"] for _tag, given in found.elements if "id" in given}
    assert {target[1:] for target in targets} - ids == set()


def test_what_was_not_looked_at_is_said_at_the_top(ten: Report) -> None:
    words = " ".join(Page(render(ten)).words)
    assert "archive was not looked at:" in words
    assert "was not looked at:" not in " ".join(Page(render(report_of(one_link().sources()))).words)


def test_a_journal_is_whole_or_changed_or_there_is_none(ten: Report) -> None:
    changed = replace(ten, journal=replace(ten.journal, problems=("entry 7 is missing",)))
    for report, words in (
        (ten, "whole audit journal · 214 entries signed"),
        (changed, "changed audit journal · 214 entries signed"),
        (replace(ten, phase="absent"), "none audit journal · no CA yet"),
    ):
        assert words in " ".join(Page(render(report)).words)


def test_a_links_page_tells_its_history_and_whether_it_can_be_believed(ten: Report) -> None:
    words = " ".join(Page(render(ten)).words)
    assert "rotation-timer" in words
    assert "-e mesh_history_of=orders" in words
    assert "what follows may be forged" not in words
    changed = replace(ten, journal=replace(ten.journal, problems=("entry 7 is missing",)))
    assert " ".join(Page(render(changed)).words).count("what follows may be forged") == len(ten.links)


def test_three_hundred_links_make_a_page_of_less_than_two_megabytes(many: Report) -> None:
    page = render(many)
    assert len(many.links) == 300
    assert page.count('<details id="link-') == 300
    assert len(page.encode()) < MOST_BYTES


# -- pictures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [980, 372])
@pytest.mark.parametrize("estate", [one_link, ten_links, many_links], ids=lambda make: make.__name__)
def test_nothing_lies_over_something_else_or_outside(estate: Callable[[], Estate], width: int) -> None:
    picture = topology_picture(report_of(estate().sources()), width)
    shapes: list[Box | Pill] = [*picture.boxes, *picture.pills]
    areas = [(item.x, item.y, item.x + item.width, item.y + item.height) for item in shapes]
    assert all(x >= 0 and y >= 0 and x2 <= width and y2 <= picture.height for x, y, x2, y2 in areas)
    over = [
        (one, other)
        for index, one in enumerate(areas)
        for other in areas[index + 1 :]
        if one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
    ]
    assert over == []


def test_many_links_are_drawn_as_bundles_and_what_is_not_up_stays_apart(many: Report) -> None:
    pills = topology_picture(many, 980).pills
    assert sum(len(pill.links) for pill in pills) == len(many.links)
    assert len(pills) < MOST_PILLS * 2
    bad = {name for pill in pills if pill.tone == "bad" for name in pill.links}
    assert bad == {link.name for link in many.links if link.state != "up"}
    assert bad


def test_the_next_days_have_the_most_room_on_the_time_line(ten: Report) -> None:
    ruler = time_line(ten, 850)
    places = {word: place for place, word in ruler.ticks}
    assert places["today"] == 0
    assert places["7 d"] / 7 > places["30 d"] / 30 > places["1 y"] / 365
    assert [lane.title for lane in ruler.lanes if lane.bars] == ["Certificates", "CRLs", "Roots"]
    assert sum(bar.count for lane in ruler.lanes for bar in lane.bars) == len(ten.timeline)
