# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reports make of estates, and what the dashboard asks, as Prometheus itself reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._report.assembly import report_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.exposition import exposition
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.metrics import samples_of
from tests.lab.settings import CHECKOUT
from tests.promtool import complaints, scraped
from tests.unit.report.estates import Estate, many_links, one_link, ten_links
from tests.unit.report.test_metrics import HOSTILE

DASHBOARD = CHECKOUT / "extensions/grafana/crossmesh.json"


@pytest.mark.parametrize("estate", [one_link, ten_links, many_links])
def test_prometheus_reads_what_a_report_says_and_has_nothing_against_its_names(estate: Callable[[], Estate]) -> None:
    text = exposition(samples_of(report_of(estate().sources())))
    assert complaints("check", "metrics", text=text) == ""
    assert len(scraped(text)) > len(estate().links)
    assert complaints("check", "metrics", text=text.replace("# TYPE", "# HELP", 1)), "the control"


def test_names_that_would_end_a_line_or_a_label_stay_names() -> None:
    report = report_of(one_link().sources())
    hostile = replace(report, links=tuple(replace(report.links[0], name=name) for name in HOSTILE))
    assert complaints("check", "metrics", text=exposition(samples_of(hostile))) == ""


def test_prometheus_takes_every_question_of_the_dashboard(tmp_path: Path) -> None:
    """As recording rules, which is how it is asked without a server."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = [{"record": f"asked:{number}", "expr": expr} for number, expr in enumerate(asked)]
    path = tmp_path / "asked.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert complaints("check", "rules", str(path)) == ""
    path.write_text(path.read_text().replace("count by", "count bye", 1))
    assert complaints("check", "rules", str(path)), "the control"
