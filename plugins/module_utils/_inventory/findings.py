# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check of an inventory reports, and the checks that all of them are made of. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = [
    "LABEL",
    "LONGEST_LABEL",
    "LONGEST_NAME",
    "Finding",
    "another_port",
    "check_port",
    "check_shape",
    "check_value",
    "holds_private_key",
    "is_dns_name",
    "is_host",
    "is_ip",
    "is_label",
    "is_port",
    "nearest",
    "not_a_port",
    "show",
    "wrong_type",
]


@dataclass(frozen=True)
class Finding(Message):
    """One thing that is wrong in an inventory.

    :param subject: the link's or cluster's name, or the variable, that it stands in.
    """

    subject: str = ""
    field: str = ""
    value: str = ""

    @classmethod
    def of(cls, code: str, subject: str, field: str, value: str, what: str, fix: str) -> Finding:
        # Names of links, clusters and keys are what somebody wrote, too.
        parts = (subject, field, value, what, fix)
        subject, field, value, what, fix = (A_KEY if holds_private_key(part) else part for part in parts)
        where = field if field == subject else f"{subject}: {field}"
        return cls(code, "error", where, f"{value}: {what}" if value else what, fix, subject, field, value)


def nearest(given: object, known: Iterable[str], otherwise: str = "") -> str:
    """The fix for a word that may be misspelt.

    :param otherwise: the fix where no known word is like it; without it, all of them are named.
    """
    words = {word.lower(): word for word in known}
    close = difflib.get_close_matches(str(given).lower(), words, n=1)
    return f"write {words[close[0]]}" if close else otherwise or f"write one of {', '.join(words.values())}"


# RFC 1035, section 2.3.4.
LONGEST_LABEL, LONGEST_NAME = 63, 253
LABEL = re.compile(rf"[a-z0-9]([a-z0-9-]{{0,{LONGEST_LABEL - 2}}}[a-z0-9])?")
# What is shown in the place of a private key.
A_KEY = "a private key, not shown"
# True and False are whole numbers as well, for Python.
_NAMES = {"str": "a string", "bool": "true or false", "int": "a whole number", "list": "a list", "dict": "a mapping"}
_TYPES: dict[str, type] = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
# Envoy's and istio-agent's own ports on a gateway pod (istio.io, Application Requirements).
PROXY_PORTS = frozenset({15000, 15001, 15004, 15006, 15008, 15020, 15021, 15053, 15090})


def check_shape(
    subject: str, path: str, value: Mapping[str, object], fields: tuple[schema.Field, ...]
) -> Iterator[Finding]:
    """Unknown, missing and mistyped keys of one mapping."""
    known = {item.name: item for item in fields}
    for key in value:
        if key not in known:
            fix = nearest(key, known, f"remove it; known keys: {', '.join(known)}")
            yield Finding.of("unknown-key", subject, f"{path}{key}", "", "unknown key", fix)
    for item in fields:
        if value.get(item.name) is None:
            if item.required:
                fix = f"write it, e.g. {item.name}: {item.example}"
                yield Finding.of("missing", subject, path + item.name, "missing", "this key is required", fix)
            continue
        yield from check_value(subject, path + item.name, value[item.name], item)


def check_value(subject: str, path: str, value: object, item: schema.Field) -> Iterator[Finding]:
    expected = _TYPES[item.type]
    if not isinstance(value, expected) or (isinstance(value, bool) and item.type != "bool"):
        yield wrong_type(subject, path, value, item.type, item.example)
    elif item.choices and value not in item.choices:
        fix = nearest(value, item.choices)
        yield Finding.of("choice", subject, path, show(value), f"unknown {item.name}", fix)


def wrong_type(subject: str, path: str, value: object, kind: str, example: str = "") -> Finding:
    fix = f"write {_NAMES[kind]}" + (f", e.g. {example}" if example else "")
    if kind == "int" and isinstance(value, str):
        fix += "; without quotes"
    return Finding.of("type", subject, path, show(value), f"is not {_NAMES[kind]}", fix)


def show(value: object) -> str:
    """A value in short, without secrets: no private key, and nothing of what stands in a mapping but its keys."""
    text = _text(value)
    if holds_private_key(text):
        return A_KEY
    return text if len(text) <= 80 else text[:77] + "..."


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: ..." for key in value) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_text, value)) + "]"
    return repr(value)


def holds_private_key(text: str) -> bool:
    return "PRIVATE KEY" in text


def is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # A zone (fe80::1%eth0) means something on one machine only.
    return "%" not in text


def check_port(subject: str, path: str, value: int) -> Iterator[Finding]:
    """A port that a gateway is to listen on."""
    if not is_port(value):
        yield not_a_port(subject, path, value)
    elif value in PROXY_PORTS:
        yield Finding.of(
            "proxy-port", subject, path, show(value), "is used by the Istio proxy itself", "choose another port"
        )


def another_port(port: int) -> int:
    """A port to propose: 13306 for 3306, and for 15000 what is still a port."""
    return port + (10000 if port < 10000 else 1)


def is_port(value: int) -> bool:
    return 1 <= value <= 65535


def not_a_port(subject: str, path: str, value: object) -> Finding:
    return Finding.of("port", subject, path, show(value), "is not a port", "write a number from 1 to 65535")


def is_host(value: str, *, address: bool) -> bool:
    if is_ip(value):
        return address
    # Istio refuses an all-numeric last label: 203.0.113.777 is an address with a fault, not a name.
    return is_dns_name(value) and not value.rpartition(".")[2].isdigit()


def is_dns_name(value: str) -> bool:
    return not is_ip(value) and len(value) <= LONGEST_NAME and all(map(LABEL.fullmatch, value.split(".")))


def is_label(value: object, longest: int = LONGEST_LABEL) -> bool:
    return isinstance(value, str) and len(value) <= longest and bool(LABEL.fullmatch(value))
