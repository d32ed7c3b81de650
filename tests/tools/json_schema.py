# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of an inventory as a JSON Schema (draft 2020-12), for editors and for checks in CI.

It asks for what the rules ask for of a single value: names of keys, types, choices, what is required. What depends on
other values is for a run to tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema

__all__ = ["FILE", "document"]

Json = dict[str, Any]

FILE = "inventory.schema.json"
_TYPES = {"str": "string", "int": "integer", "bool": "boolean", "list": "array", "dict": "object"}
# Any value may be a template; what it gives is for a run to judge.
_TEMPLATE = r"\{[{%]"
# No value: the key counts as not given.
_NOTHING = r"^\s*$"
_NUMBER = rf"^\s*{schema.WHOLE_NUMBER.pattern}\s*$"


def document() -> Json:
    others = f"^(?!{'|'.join(schema.PREFIXES)})"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://raw.githubusercontent.com/crossmesh/crossmesh.mtls/main/docs/{FILE}",
        "$comment": "Made of module_utils/_inventory/schema.py by tests/tools/inventory_docs.py: edit that, run this.",
        "title": "Variables of crossmesh.mtls in group_vars and host_vars",
        "type": ["object", "null"],
        "properties": _properties(schema.VARIABLES),
        "patternProperties": {others: {}},
        "additionalProperties": False,
    }


def _properties(fields: Iterable[schema.Field]) -> Json:
    return {field.name: _property(field) for field in fields}


def _property(field: schema.Field) -> Json:
    described = {"description": re.sub(r"[CV]\(([^)]*)\)", r"`\1`", field.description), **_value(field)}
    return described if field.default is None else {**described, "default": field.default}


def _value(field: schema.Field) -> Json:
    """What may stand in the place of the value; a keyword of another type than its own does not concern it."""
    nothing = [] if field.required else [None]
    if field.choices:
        return {"anyOf": [{"enum": [*field.choices, *nothing]}, {"type": "string", "pattern": _TEMPLATE}]}
    types = [_TYPES[field.type], *("null" for _none in nothing)]
    if field.type == "str":
        return {"type": types}
    if field.type == "bool":
        return {
            "type": [*types, "integer", "string"],
            "minimum": 0,
            "maximum": 1,
            "pattern": _pattern(_switches(), field),
        }
    if field.type == "int":
        return {"type": [*types, "string"], "pattern": _pattern(_NUMBER, field)}
    if field.single:
        return {"type": [*types, "string", "integer"]}
    inner = _entries(field) if field.type == "list" else _mapping(field)
    return {"type": [*types, "string"], "pattern": _TEMPLATE, **inner}


def _pattern(text: str, field: schema.Field) -> str:
    return "|".join((text, _TEMPLATE, *([] if field.required else [_NOTHING])))


def _switches() -> str:
    """Words in any case; JSON Schema has no flag for that."""
    words = ("".join(f"[{letter.upper()}{letter}]" for letter in word) for word in sorted(schema.TRUE | schema.FALSE))
    return rf"^\s*({'|'.join(words)})\s*$"


def _entries(field: schema.Field) -> Json:
    if not field.keys:
        return {"items": _element(field.elements)}
    # Beside mappings a string, as the name of a cluster; where there are none but mappings, it is a template.
    text = {} if field.elements == "str" else {"pattern": _TEMPLATE}
    return {"items": {"type": ["object", "string"], **text, **_mapping(field)}}


def _mapping(field: schema.Field) -> Json:
    if not field.keys:
        return {"additionalProperties": _element(field.elements)}
    always = [key.name for key in field.keys if key.required and not key.instead]
    found: Json = {"properties": _properties(field.keys), "additionalProperties": False, "required": always}
    return {**found, **_instead(field)}


def _element(kind: str) -> Json:
    return {"type": "string"} if kind == "str" else {"type": [_TYPES[kind], "string"], "pattern": _TEMPLATE}


def _instead(field: schema.Field) -> Json:
    """Keys that are required where another one is not given."""
    left_out = [key for key in field.keys if key.required and key.instead]
    if not left_out:
        return {}
    (other,) = {key.instead for key in left_out}
    given = {"required": [other], "properties": {other: {"not": {"type": "null"}}}}
    return {"if": given, "else": {"required": [key.name for key in left_out]}}
