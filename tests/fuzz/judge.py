# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a parser of foreign bytes may do: give a value, or say in one coded message what is wrong with them."""

from __future__ import annotations

import signal
import traceback
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._catalogue import CODES, RULES
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["Target", "judge", "obeyed"]

# Seconds of this process's own work, as machines differ in what else they do.
LIMIT = 8.0
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True)
class Target:
    """One place at which foreign bytes come in.

    :param seeds: makes what is edited: bytes, or plain documents.
    :param read: as a run reads them, up to the values that it goes on with.
    :param by_contract: errors that its callers expect, beside coded ones.
    :param secrets: what no message may hold; they stand in the seeds.
    """

    seeds: Callable[[], Sequence[Any]]
    read: Callable[[Any], object]
    by_contract: tuple[type[Exception], ...] = ()
    secrets: tuple[str, ...] = ()


class _LateError(BaseException):
    """No time for more: nothing that catches exceptions may take it for one of its own."""


def judge(target: Target, given: Any) -> None:
    """:raises AssertionError: says what the parser did that it may not."""
    try:
        with _bounded():
            target.read(given)
    except CrossmeshError as error:
        _judge_messages(error.messages, target.secrets)
    except target.by_contract:
        return
    except _LateError:
        raise AssertionError(f"no end within {LIMIT:.0f} s") from None
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise AssertionError(f"{type(error).__name__} at {place.filename}:{place.lineno}: {error}"[:600]) from error


def _judge_messages(messages: Sequence[Message], secrets: Sequence[str]) -> None:
    for message in messages:
        assert message.code in CODES or message.code in RULES, f"no such code: {message.code}"
        assert message.where or message.what, f"{message.code} names neither object nor field"
        assert not obeyed(str(message)), f"{message.code} is shown as it came: {str(message)!r}"
        told = repr(message.to_json())
        assert not [secret for secret in secrets if secret in told], f"{message.code} quotes a secret"


def obeyed(text: str) -> list[str]:
    """What of a text a terminal may obey, or nobody sees."""
    return [letter for letter in text if unicodedata.category(letter) in UNSEEN]


@contextmanager
def _bounded() -> Iterator[None]:
    def late(_signal: int, _frame: object) -> None:
        raise _LateError

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
