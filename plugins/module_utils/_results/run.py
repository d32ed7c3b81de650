# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of a run as a whole, and all of its results put together. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast, get_args

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import Json, mappings, text
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, MessageJson, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import NOBODY, Row
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.attempts import attempt_of, case_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.clusters import ClusterRun, Scope
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.model import (
    VERSION,
    Case,
    Results,
    Status,
    Subject,
    Suite,
    counted,
)

__all__ = ["EXTERNAL", "Heading", "Lists", "coverage", "crls", "made", "of_rows", "tasks", "unfinished"]

EXTERNAL = "external"
_SUBJECTS: tuple[Subject, ...] = get_args(Subject)
# In the order in which one of them decides how several of one check end.
_WORST: tuple[Status, ...] = ("error", "failed", "skipped", "passed")
_OF_ROW: Mapping[str, Status] = {"ok": "passed", "warning": "passed", "failed": "failed", "unknown": "skipped"}


@dataclass(frozen=True)
class Heading:
    """:param run: which run it is, as the audit journal has it."""

    playbook: str
    instance: str
    at: str
    run: str
    check_mode: bool


def made(heading: Heading, suites: Sequence[Suite], *, finished: bool) -> Results:
    counts = counted(suites)
    return Results(
        version=VERSION,
        playbook=heading.playbook,
        instance=heading.instance,
        at=heading.at,
        run=heading.run,
        check_mode=heading.check_mode,
        finished=finished,
        passed=finished and not counts.failed and not counts.error,
        counts=counts,
        suites=tuple(suites),
    )


def unfinished(playbook: str) -> Case:
    """What is left where a run is killed, or Ansible ends it because every cluster has failed."""
    message = Message.error(
        "run-unfinished",
        where=f"playbook {playbook}",
        what="it is still running, or ended before its results were known",
        fix="see what it printed last",
    )
    return case_of("run", "error", [str(message)])


def tasks(results: Mapping[str, Json], scope: Scope) -> Iterator[Case]:
    """A case for each task of the run as a whole that was run.

    :param results: by the name of the check; external servers have a case each.
    """
    for check, result in results.items():
        attempt = attempt_of(result)
        if attempt.end != "none" and not (check == EXTERNAL and attempt.end == "done"):
            yield case_of(check, "failed" if attempt.end == "failed" else "passed", attempt.told)
        if check == EXTERNAL:
            yield from (_external_case(server, scope) for server in mappings(result.get("servers")))


def _external_case(server: Json, scope: Scope) -> Case:
    told = [str(Message.from_json(cast(MessageJson, message))) for message in mappings(server.get("messages"))]
    # What will be due soon is for the next rotation.
    due = scope.strict and server.get("action") != "keep" and server.get("reason") != "expires"
    words = [*told, *([text(server.get("message"))] if due else [])]
    failed = scope.strict and bool(words)
    return case_of(names.external(text(server.get("link"))), "failed" if failed else "passed", words)


@dataclass(frozen=True)
class Lists:
    """:param due: why CRLs are to be made anew, as looks have told it.
    :param wrong: whether gateways accept meanwhile what is revoked.
    """

    due: Sequence[str] = ()
    wrong: bool = False


def crls(lists: Lists, withheld: Json, scope: Scope) -> Case:
    """:param withheld: the result of the task that refuses to publish them where that would cut somebody off."""
    refused = attempt_of(withheld)
    if refused.end == "failed":
        return case_of("crls", "failed", refused.told)
    failed = scope.strict and lists.wrong
    # What is due without being wrong waits for the next run that may publish.
    return case_of("crls", "failed" if failed else "passed", lists.due if scope.strict else ())


def coverage(clusters: Sequence[ClusterRun], links: Iterable[str], scope: Scope, error: str) -> Case:
    """Which clusters and links the run was not about.

    :param links: all of the inventory.
    :param error: for clusters that this inventory lacks; empty where there are none, or that is no failure.
    """
    if error:
        return case_of("coverage", "failed", [error])
    away = listed((found.name for found in clusters if found.look.end == "none"), "")
    left = listed((name for name in links if scope.only and name not in scope.only), "")
    told = [f"not looked at in this run: {away}"] if away else []
    told += [f"links not in mesh_only_links: {left}"] if left else []
    return case_of("coverage", "skipped" if told else "passed", told)


def of_rows(rows: Sequence[Row], playbook: str) -> list[Suite]:
    """The rows of a preflight: a suite for those of nobody, for each cluster and for each link."""
    places: dict[tuple[Subject, str], dict[str, list[Row]]] = {}
    for row in rows:
        place, check = _place(row, playbook)
        places.setdefault(place, {}).setdefault(check, []).append(row)
    return [
        Suite(subject, name, tuple(_row_case(check, found) for check, found in checks.items()))
        for (subject, name), checks in sorted(
            places.items(), key=lambda item: (_SUBJECTS.index(item[0][0]), item[0][1])
        )
    ]


def _place(row: Row, playbook: str) -> tuple[tuple[Subject, str], str]:
    """The suite of a row, and the name of its case there."""
    if row.link != NOBODY:
        return ("link", row.link), row.check if row.cluster == NOBODY else f"{row.check} in {row.cluster}"
    return ("run", playbook) if row.cluster == NOBODY else ("cluster", row.cluster), row.check


def _row_case(check: str, rows: Sequence[Row]) -> Case:
    status = min((_OF_ROW[row.status] for row in rows), key=_WORST.index)
    first = [row for row in rows if _OF_ROW[row.status] == status]
    ordered = [*first, *(row for row in rows if row not in first)]
    return case_of(check, status, [_words(row) for row in ordered])


def _words(row: Row) -> str:
    fix, code = (f" Fix: {row.fix}." if row.fix else ""), (f" [{row.code}]" if row.code else "")
    return f"{row.seen}{'.' if fix else ''}{fix}{code}"
