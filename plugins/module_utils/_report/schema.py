# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as JSON, and the JSON Schema (draft 2020-12) of it, derived from the types of the model. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import inspect
import types
from dataclasses import asdict, fields, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import VERSION, Report

__all__ = ["SCHEMA_ID", "json_schema", "to_json"]

Json = dict[str, Any]

SCHEMA_ID = f"https://github.com/crossmesh/crossmesh.mtls/report-v{VERSION}"
_PLAIN = {str: "string", int: "integer", bool: "boolean", type(None): "null"}


def to_json(report: Report) -> Json:
    """Plain values; tuples are lists."""
    found: Json = _plain(asdict(report))
    return found


def json_schema() -> Json:
    """The schema that every report holds to; what a type does not have, no report has."""
    definitions: Json = {}
    _define(Report, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Report of crossmesh.mtls",
        "$ref": "#/$defs/Report",
        "$defs": dict(sorted(definitions.items())),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _define(kind: type, definitions: Json) -> None:
    if kind.__name__ in definitions:
        return
    definitions[kind.__name__] = {}
    hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in fields(kind)]
    definitions[kind.__name__] = {
        "type": "object",
        "description": inspect.getdoc(kind),
        "properties": {name: _described(hints[name], definitions) for name in names},
        "required": names,
        "additionalProperties": False,
    }


def _described(hint: Any, definitions: Json) -> Json:
    if get_origin(hint) is Annotated:
        inner, words = get_args(hint)
        return {**_schema(inner, definitions), "description": words}
    return _schema(hint, definitions)


def _schema(hint: Any, definitions: Json) -> Json:
    origin, inner = get_origin(hint), get_args(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        _define(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if origin is tuple:
        return {"type": "array", "items": _schema(inner[0], definitions)}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin is types.UnionType:
        return {"type": [_PLAIN[item] for item in inner]}
    return {"type": _PLAIN[hint]}
