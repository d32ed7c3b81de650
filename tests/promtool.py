# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus says of our metrics, alarms and expressions, by its own promtool; `make promtool` builds it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from tests.lab.build import tool
from tests.lab.settings import CHECKOUT, load_settings

RULES = CHECKOUT / "extensions/prometheus/crossmesh.rules.yml"
# Longer than the longest time for which an alarm has to hold before it is told.
_WATCHED, _ENDS = 65, 10
_SERIES = re.compile(r"(?P<series>\w+(?:\{.*\})?) (?P<value>\S+)")


@dataclass(frozen=True)
class Situation:
    """What Prometheus scrapes, again and again the same, from a moment on, and what has to come of it.

    :param series: values by series, as the exposition format writes them.
    :param alarms: how many of each have to be firing in the end; no others may.
    :param annotations: one that has to be told, by its alarm.
    :param gone: series of which there is no more after ten minutes, as where a machine has ended.
    """

    start: datetime
    series: Mapping[str, float]
    alarms: Mapping[str, int]
    annotations: Mapping[str, Mapping[str, Any]]
    gone: Collection[str] = ()

    def as_test(self) -> dict[str, Any]:
        """As C(promtool test rules) takes it."""
        firing = 'count by (alertname) (ALERTS{alertstate="firing"})'
        expected = [{"labels": f'{{alertname="{name}"}}', "value": count} for name, count in self.alarms.items()]
        return {
            "start_timestamp": int(self.start.timestamp()),
            "interval": "1m",
            "input_series": [
                {"series": series, "values": f"{value}+0x{f'{_ENDS} stale' if series in self.gone else _WATCHED}"}
                for series, value in self.series.items()
            ],
            "promql_expr_test": [{"expr": firing, "eval_time": f"{_WATCHED}m", "exp_samples": expected}],
            "alert_rule_test": [
                {"alertname": name, "eval_time": f"{_WATCHED}m", "exp_alerts": [told]}
                for name, told in self.annotations.items()
            ],
        }


def situation(
    start: datetime,
    series: Mapping[str, float],
    *alarms: str,
    annotations: Mapping[str, Mapping[str, Any]] | None = None,
    gone: Collection[str] = (),
) -> Situation:
    """:param alarms: names, once for each that has to fire."""
    return Situation(start, series, {name: alarms.count(name) for name in alarms}, annotations or {}, gone)


def judged(folder: Path, *situations: Situation) -> str:
    """What promtool has against it that alarms are as each situation says; empty for nothing.

    :param folder: for what promtool reads.
    """
    path = folder / "alarms.test.yml"
    tests = [item.as_test() for item in situations]
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    return complaints("test", "rules", str(path))


def complaints(*arguments: str, text: str = "") -> str:
    """What promtool prints where it does not end well; empty where it does.

    :param text: for its standard input.
    """
    command = [str(tool(load_settings(), "promtool")), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr or f"code {done.returncode}") if done.returncode else ""


def scraped(text: str) -> dict[str, float]:
    """The series of a text in the exposition format, with their values."""
    return dict(_scraped(text))


def _scraped(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        if not line.startswith("#"):
            found = _SERIES.fullmatch(line)
            assert found, line
            yield found["series"], int(found["value"])
