# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a report in folders of the controller, and the one that was there before.

PRIVATE to the collection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import parse_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, one_line, shown_path
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.audit import to_csv
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.cbom import to_cbom
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.exposition import exposition
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.metrics import samples_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import VERSION, Report
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.schema import json_schema, to_json
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.page import render
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._whole_files import SHARED, write_whole_file

__all__ = ["previous_report", "write_metrics", "write_report"]

Json = Mapping[str, Any]
_DATA = "report.json"
# A report of ten thousand links has less.
_MOST_BYTES = 256 * 1024 * 1024
# Of the metrics: node exporter runs as another user.
_READABLE = 0o644


def previous_report(folder: Path, instance: str) -> tuple[Json, Message | None]:
    """What the last run has left there; empty where there is none, with a warning where it cannot be used."""
    path = folder / _DATA
    try:
        if not path.exists():
            return {}, None
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("is far too large")
        found = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        return {}, _unreadable(path, one_line(error))
    if not isinstance(found, dict) or found.get("version") != VERSION:
        return {}, _unreadable(path, f"is no report of version {VERSION}")
    if found.get("instance") != instance:
        return {}, _unreadable(path, f"is not a report of instance {instance}; set mesh_report_dir for each instance")
    return found, None


def write_report(folder: Path, report: Report) -> list[Path]:
    """Write all of it; each file is replaced as a whole.

    :returns: what was written; the page first.
    """
    contents = {
        "report.html": render(report),
        _DATA: _document(to_json(report)),
        "report.schema.json": _document(json_schema()),
        "certificates.csv": to_csv(report),
        "cbom.json": _document(to_cbom(report)),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_whole_file(folder / name, content.encode(), SHARED)
    except OSError as error:
        raise CrossmeshError(_unwritable(folder, error)) from None
    return [folder / name for name in contents]


def write_metrics(folder: Path, report: Report) -> Path:
    """Write what node exporter's textfile collector reads, which may come at any moment, and as another user.

    The folder is not made: one that nobody reads is a mistake.
    """
    path, content = folder / f"crossmesh.{report.instance}.prom", exposition(samples_of(report)).encode()
    try:
        # Under way it has a name that the collector does not look for.
        write_whole_file(path, content, _READABLE, exact=True)
    except OSError as error:
        raise CrossmeshError(_unwritable_metrics(folder, error)) from None
    return path


def _document(content: Json) -> str:
    return json.dumps(content, indent=1) + "\n"


def _unreadable(path: Path, why: str) -> Message:
    what = f"what has changed since the last report is not told: {why}"
    return Message.warning("previous-report", where=str(path), what=what)


def _unwritable(folder: Path, error: OSError) -> Message:
    return Message.error(
        "report-not-written",
        where=f"mesh_report_dir: {shown_path(str(folder))}",
        what=f"cannot write the report: {error.strerror}",
        fix="set mesh_report_dir to a folder that can be made and written to",
    )


def _unwritable_metrics(folder: Path, error: OSError) -> Message:
    return Message.error(
        "metrics-not-written",
        where=f"mesh_metrics_dir: {shown_path(str(folder))}",
        what=f"cannot write the metrics there: {error.strerror}",
        fix="set mesh_metrics_dir to the folder that node exporter reads, and let this user write there",
    )
