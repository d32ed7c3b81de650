# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frozen values of a model as JSON and back, and the JSON Schema (draft 2020-12), derived from the model's types. Pure.

PRIVATE to the collection. A field is described where it is declared, by C(Annotated[TYPE, "words"]).
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Hashable, Mapping
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

__all__ = ["flat_value", "json_schema_of", "plain_json"]

Json = dict[str, Any]
T = TypeVar("T")

_PLAIN = {str: "string", int: "integer", bool: "boolean", type(None): "null"}


def plain_json(value: Any) -> Json:
    """A dataclass in plain values; tuples are lists."""
    found: Json = _plain(asdict(value))
    return found


def flat_value(kind: type[T], found: Mapping[str, Any]) -> T | None:
    """The value of a dataclass of texts, numbers and tuples of texts; None where the JSON has not its form."""
    values = {}
    for name, hint in _hints(cast(Hashable, kind)).items():
        value = found.get(name)
        if hint == tuple[str, ...]:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                return None
            value = tuple(value)
        elif not isinstance(value, hint) or isinstance(value, bool) != (hint is bool):
            return None
        values[name] = value
    return kind(**values) if found.keys() == values.keys() else None


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


def json_schema_of(kind: type, identity: str, title: str) -> Json:
    """The schema that every value of a dataclass holds to; what a type does not have, no value has.

    :param identity: the schema's C($id).
    """
    definitions: Json = {}
    _define(kind, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": identity,
        "title": title,
        "$ref": f"#/$defs/{kind.__name__}",
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
