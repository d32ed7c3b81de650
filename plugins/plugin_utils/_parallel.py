# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several calls at once, each in a process of its own.

PRIVATE to the collection. Not threads: what Ansible keeps for a task is not made for them. Not C(async): such calls
would go on after a run that was killed.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

__all__ = ["FEWEST", "Call", "at_once", "shares"]

# More would wait for the API server, and for a processor.
MOST = 4
# Fewer are written sooner than another call has started: that takes Python a second.
FEWEST = 120

Item = TypeVar("Item")
Result = dict[str, Any]
Call = Callable[[], Result]


def shares(items: Sequence[Item]) -> list[Sequence[Item]]:
    """Deal a list out as cards are: calls begun at once are at the same place of it. One part where it is short."""
    parts = min(MOST, -(-len(items) // FEWEST))
    return [items[first::parts] for first in range(parts)]


def at_once(calls: Sequence[Call]) -> Iterator[Result]:
    """What the calls return, as they end; a call that raises returns a failure.

    To its end, whoever fails: a call cannot be stopped without what it has started itself going on.
    """
    if len(calls) < 2:
        yield from (_answer(call) for call in calls)
        return
    # A closure reaches a child by fork alone, and Ansible's own workers are made so.
    context = multiprocessing.get_context("fork")
    running: dict[Connection, Any] = {}
    for call in calls:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_send, args=(sender, call))
        process.start()
        sender.close()
        running[receiver] = process
    while running:
        ended = wait(list(running))
        for receiver in [item for item in running if item in ended]:
            yield _received(receiver)
            running.pop(receiver).join()


def _received(receiver: Any) -> Result:
    try:
        result: Result = receiver.recv()
    except EOFError:
        return {"failed": True, "msg": "the process that made the call has died"}
    return result


def _send(sender: Connection, call: Call) -> None:
    sender.send(_answer(call))


def _answer(call: Call) -> Result:
    try:
        return call()
    except Exception as error:
        # Its words may quote what the call was given.
        return {"failed": True, "msg": f"the call ended with {type(error).__name__}"}
