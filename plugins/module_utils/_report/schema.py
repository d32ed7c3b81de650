# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as JSON, and the JSON Schema of it. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import VERSION, Report
from ansible_collections.crossmesh.mtls.plugins.module_utils._typed_json import json_schema_of, plain_json

__all__ = ["SCHEMA_ID", "json_schema", "to_json"]

Json = dict[str, Any]

SCHEMA_ID = f"https://github.com/crossmesh/crossmesh.mtls/report-v{VERSION}"


def to_json(report: Report) -> Json:
    """Plain values; tuples are lists."""
    return plain_json(report)


def json_schema() -> Json:
    """The schema that every report holds to; what a type does not have, no report has."""
    return json_schema_of(Report, SCHEMA_ID, "Report of crossmesh.mtls")
