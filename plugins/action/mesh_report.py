# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_report; documented in plugins/modules/mesh_report.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from ansible.utils.display import Display

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import listed, visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.assembly import report_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Report
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.schema import to_json
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables, lacks
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import LOOKS
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.files import (
    previous_report,
    write_metrics,
    write_report,
)
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.gathering import Given, sources_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.query import HAS_JMESPATH, answer
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._schedule import jobs_of

Json = Mapping[str, Any]
DEFAULT_FOLDER = "crossmesh-report"
# More links that are not up are told by the page.
MOST_LINES = 20


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        **LOOKS,
        "dir": {"type": "path", "default": ""},
        "query": {"type": "str", "default": ""},
        "metrics_dir": {"type": "path", "default": ""},
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        if params["query"] and not HAS_JMESPATH:
            raise lacks("jmespath")
        # A question alone leaves nothing behind.
        writes = bool(params["dir"] or not params["query"])
        folder = Path(params["dir"] or DEFAULT_FOLDER)
        before, unreadable = previous_report(folder, str(variables.filled["mesh_instance"]))
        report = report_of(sources_of(variables, _given(variables, params), before))
        content = to_json(report)
        answered = answer(params["query"], content) if params["query"] else None
        _show(json.dumps(answered, indent=2).splitlines() if params["query"] else _lines(report))
        written = _written(report, folder, params["metrics_dir"]) if writes else []
        return {
            "changed": False,
            "summary": content["summary"],
            "answer": answered,
            "files": written,
            "warnings": [str(unreadable)] if unreadable else [],
        }


def _given(variables: Variables, params: dict[str, Any]) -> Given:
    jobs = jobs_of(variables.of_playbook("mesh_schedule"))
    return Given(params["looks"], params["proofs"], params["names"], jobs, metrics=bool(params["metrics_dir"]))


def _written(report: Report, folder: Path, metrics: str) -> list[str]:
    """Every file, the page first; the metrics last, since they say that a report was made."""
    paths = write_report(folder, report)
    _show([f"written: {paths[0]}"])
    return list(map(str, [*paths, *([write_metrics(Path(metrics), report)] if metrics else [])]))


def _show(lines: Iterable[str]) -> None:
    """By itself, not as a result: a callback would quote and fold the lines."""
    Display().display("\n".join(map(visible, lines)))


def _lines(report: Report) -> list[str]:
    """For people: how many are up, what is not, what is not known, and which scheduled runs failed or did not come."""
    told = [f"{link.name}: {link.state} in {listed(link.where)}" for link in report.links if link.state != "up"]
    more = [f"and {len(told) - MOST_LINES} more"] if len(told) > MOST_LINES else []
    unseen = [f"not looked at: {item.cluster}: {item.why}" for item in report.coverage.unseen]
    runs = [f"scheduled run of {run.playbook}: {run.state}" for run in report.runs if run.state != "good"]
    return [f"{report.summary.up} of {report.summary.links} links are up", *told[:MOST_LINES], *more, *unseen, *runs]
