# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one form of everything that the collection reports: errors, warnings, notices and alarms. Pure.

PRIVATE to the collection. A message becomes text once, where it is shown; until then it travels as it is, between
tasks as a plain dict. Its code stands in M(_catalogue) and ends its text, so that it can be searched for.

What clusters, stores and files say is foreign: C(visible) is the one way in which it becomes something to be shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

__all__ = [
    "Level",
    "Message",
    "MessageJson",
    "is_path",
    "listed",
    "one_line",
    "short",
    "shown",
    "shown_path",
    "visible",
]

Level = Literal["error", "warning", "notice", "alarm"]

_FEW_DIGITS = 8
# Of code points that four hexadecimal digits can hold.
_LONGEST_SHORT = 0xFFFF


class MessageJson(TypedDict):
    """A message in plain values, to pass through Ansible."""

    code: str
    level: Level
    where: str
    what: str
    fix: str


@dataclass(frozen=True)
class Message:
    """One thing to report.

    :param code: stable identifier, in kebab-case.
    :param where: the object, file, variable or cluster in which it was seen; empty where C(what) names it.
    :param what: the condition, with the values that were seen (never a secret one).
    :param fix: what to do about it, in the imperative; empty where there is nothing to do.
    """

    code: str
    level: Level
    where: str
    what: str
    fix: str = ""

    def __post_init__(self) -> None:
        for part in ("where", "what", "fix"):
            object.__setattr__(self, part, visible(getattr(self, part)))

    @classmethod
    def error(cls, code: str, *, where: str, what: str, fix: str = "") -> Message:
        """What forbids to go on."""
        return Message(code, "error", where, what, fix)

    @classmethod
    def warning(cls, code: str, *, where: str, what: str, fix: str = "") -> Message:
        """What works, and may not be what was meant."""
        return Message(code, "warning", where, what, fix)

    @classmethod
    def notice(cls, code: str, *, where: str, what: str, fix: str = "") -> Message:
        """What another playbook has still to do."""
        return Message(code, "notice", where, what, fix)

    @classmethod
    def alarm(cls, code: str, *, where: str, what: str, fix: str = "") -> Message:
        """What will fail soon, although scheduled runs should have seen to it."""
        return Message(code, "alarm", where, what, fix)

    @property
    def seen(self) -> str:
        """Where and what, without the fix."""
        return f"{self.where}: {self.what}" if self.where else self.what

    def __str__(self) -> str:
        fix = [_sentence(f"Fix: {self.fix}")] if self.fix else []
        return " ".join([_sentence(self.seen), *fix, f"[{self.code}]"])

    def to_json(self) -> MessageJson:
        return {"code": self.code, "level": self.level, "where": self.where, "what": self.what, "fix": self.fix}

    @staticmethod
    def from_json(found: MessageJson) -> Message:
        """The same read back."""
        return Message(found["code"], found["level"], found["where"], found["what"], found["fix"])


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}."


def visible(text: str) -> str:
    r"""With what does not print written out, such as C(\u001b).

    That is what Unicode calls Other (Cc with C1, Cf with marks that turn the direction of text, Cs, Co, Cn) and
    separators but the space (Zl, Zp, Zs): a terminal or a table obeys some of it, and people see none of it.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _written_out(letter) for letter in text)


def _written_out(letter: str) -> str:
    code = ord(letter)
    return f"\\u{code:04x}" if code <= _LONGEST_SHORT else f"\\U{code:08x}"


# RFC 7468, section 3, in its strict form.
_CERTIFICATES = re.compile(
    r"(?:-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{1,64}={0,2}\n-----END CERTIFICATE-----\n)+"
)


def shown(value: Any, *, lines: bool = False) -> Any:
    """A plain value, such as a result, with every text in it made visible.

    Certificates stay as they are, since a later task reads them: their lines hold nothing but base64.

    :param lines: whether a text may be of several lines, as one that was put together of them.
    """
    if isinstance(value, str):
        if _CERTIFICATES.fullmatch(value):
            return value
        return "\n".join(map(visible, value.split("\n"))) if lines else visible(value)
    if isinstance(value, Mapping):
        return {visible(key) if isinstance(key, str) else key: shown(item, lines=lines) for key, item in value.items()}
    return [shown(item, lines=lines) for item in value] if isinstance(value, (list, tuple)) else value


def short(fingerprint: str) -> str:
    """As many digits of a root's fingerprint as tell it from others at a glance."""
    return fingerprint[:_FEW_DIGITS]


def listed(values: Iterable[str], nothing: str = "nothing") -> str:
    """Values in order, with commas."""
    return ", ".join(sorted(values)) or nothing


# The longest path that Linux takes (PATH_MAX).
_LONGEST_PATH = 4096


def is_path(text: str) -> bool:
    """Whether it may be one; what somebody has pasted in its place, a kubeconfig or a key, is never repeated."""
    return text.isprintable() and len(text) < _LONGEST_PATH and not any(mark in text for mark in ('{"', "-----"))


def shown_path(text: str) -> str:
    """A path as messages name it."""
    return text if is_path(text) else "what is no path, and so not shown"


def one_line(error: object) -> str:
    """What an error of a library says, cut to what a person reads."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
