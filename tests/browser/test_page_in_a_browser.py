# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a report in Chromium: search, filters, what runs and what does not."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._report.assembly import report_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.page import render
from tests.browser.chromium import after_running
from tests.unit.report.estates import many_links, ten_links
from tests.unit.report.pages import HOSTILE, named_by_others

# Milliseconds, from a letter to the list as it is then.
QUICK = 100
LINKS = "[...document.querySelectorAll('#links .rows > details')]"
SEARCH = """
  const search = document.querySelector('#links input');
  const searched = (words) => {
    const begun = performance.now();
    search.value = words;
    search.dispatchEvent(new Event('input'));
    document.body.offsetHeight;
    return performance.now() - begun;
  };
"""
MARK = "<script>document.documentElement.dataset.ran = 'yes'</script></body>"


def without_policy(page: str) -> str:
    return re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)


def asked(page: str, script: str) -> Any:
    """What a script finds in the page: one that has its policy taken away, as that lets no other script in."""
    told = f"<script>{{ {script} document.documentElement.dataset.told = JSON.stringify(told); }}</script></body>"
    found = re.search(r'data-told="([^"]*)"', after_running(without_policy(page).replace("</body>", told)))
    assert found
    return json.loads(found[1].replace("&quot;", '"').replace("&amp;", "&"))


@pytest.fixture(scope="module")
def ten() -> str:
    return render(report_of(ten_links().sources()))


def test_search_among_three_hundred_links_answers_in_a_tenth_of_a_second() -> None:
    page = render(report_of(many_links().sources()))
    # The best of several: what a busy machine adds is not the page's.
    best = "const best = (words) => Math.min(...Array.from({length: 9}, () => searched(words)));"
    script = f"{SEARCH} {best} const times = ['m', 'my', 'mys', 'core-2 ledger', 'nothing', ''].map(best);"
    found = asked(page, f"{script} const told = {{times, rows: {LINKS}.length}};")
    assert found["rows"] == 300
    assert max(found["times"]) < QUICK, found["times"]


def test_a_search_leaves_what_has_all_its_words(ten: str) -> None:
    shown = f"const told = {LINKS}.filter((row) => !row.hidden).map((row) => row.id);"
    assert asked(ten, f"{SEARCH} searched('shop-us LEDGER-DR'); {shown}") == ["link-events", "link-payments"]
    assert len(asked(ten, f"{SEARCH} searched(''); {shown}")) == 10


def test_a_filter_leaves_what_stands_so(ten: str) -> None:
    script = f"""document.querySelector('#links button[data-tone=bad]').click();
      const told = {LINKS}.filter((row) => !row.hidden).map((row) => row.id);"""
    assert asked(ten, script) == ["link-catalogue", "link-orders"]


def test_a_link_to_a_folded_part_opens_it(ten: str) -> None:
    script = """location.hash = '#link-orders'; dispatchEvent(new HashChangeEvent('hashchange'));
      const told = [...document.querySelectorAll('#links details[open]')].map((part) => part.id);"""
    assert asked(ten, script) == ["link-orders"]


def test_no_other_script_runs_in_a_page(ten: str) -> None:
    assert 'data-ran="yes"' not in after_running(ten.replace("</body>", MARK))
    # The control: without the policy it does.
    assert 'data-ran="yes"' in after_running(without_policy(ten).replace("</body>", MARK))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_does_nothing_even_without_the_policy(name: str) -> None:
    report = report_of(ten_links().sources())
    script = "const told = {title: document.title, images: document.images.length, scripts: document.scripts.length};"
    sound, hostile = (asked(render(named_by_others(report, given)), script) for given in ("a-name", name))
    assert hostile == sound


def fits(page: str, width: int) -> bool:
    """Whether nothing makes a frame of this width scroll sideways: a window of its own is never so narrow."""
    measure = """onload = () => {
      const root = document.querySelector('iframe').contentDocument.documentElement;
      document.documentElement.dataset.told = String(root.scrollWidth <= root.clientWidth && root.clientWidth > 300);
    };"""
    frame = f'<iframe width="{width}" height="900" srcdoc="{html.escape(without_policy(page))}"></iframe>'
    found = after_running(f"<!doctype html><html><body>{frame}<script>{measure}</script></body></html>")
    assert "data-told=" in found
    return 'data-told="true"' in found


@pytest.mark.parametrize("width", [390, 1280])
def test_no_part_of_the_page_is_wider_than_the_window(ten: str, width: int) -> None:
    assert fits(ten, width)
    # The control.
    assert not fits(ten.replace("<main>", "<main><pre>" + "wide" * 600 + "</pre>"), width)
