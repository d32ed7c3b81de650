# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of a run, for programs: of each cluster and link the checks that the run has made, and how each ended.

PRIVATE to the collection. The JSON Schema is derived from these types and their words (M(_typed_json)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils._typed_json import json_schema_of

__all__ = ["VERSION", "Case", "Counts", "Results", "Status", "Subject", "Suite", "counted", "results_schema"]

# Of the JSON: a field that changes its meaning or goes makes it another one.
VERSION = 1

Status = Literal["passed", "failed", "error", "skipped"]
Subject = Literal["run", "cluster", "link"]


@dataclass(frozen=True)
class Case:
    """One check."""

    name: Annotated[str, "What was checked; docs/results.md lists the checks."]
    status: Annotated[Status, "error: the run ended before it was known; skipped: not covered by this run."]
    code: Annotated[str, "Code of the first message, where it has one; docs/messages.md lists them."]
    messages: Annotated[tuple[str, ...], "What is wrong, or why it was skipped; of a check that passed, what was done."]


@dataclass(frozen=True)
class Suite:
    """The checks of one cluster, of one link, or of the run as a whole."""

    subject: Annotated[Subject, "What the checks are about."]
    name: Annotated[str, "Name of the cluster or link; of the run, that of the playbook."]
    cases: Annotated[tuple[Case, ...], "Each check once."]


@dataclass(frozen=True)
class Counts:
    """How many checks ended how."""

    passed: int
    failed: int
    error: int
    skipped: int


@dataclass(frozen=True)
class Results:
    """What became of one run of one playbook."""

    version: Annotated[int, "Version of this format."]
    playbook: Annotated[str, "Its name, without the collection's."]
    instance: Annotated[str, "mesh_instance."]
    at: Annotated[str, "When this was written, ISO 8601, UTC."]
    run: Annotated[str, "Which run it was, as the audit journal has it."]
    check_mode: Annotated[bool, "Whether the run only said what it would do (--check)."]
    finished: Annotated[bool, "false: the run is still going on, or ended before its results were known."]
    passed: Annotated[bool, "Whether it has finished, and no check failed."]
    counts: Annotated[Counts, "The checks in numbers."]
    suites: Annotated[tuple[Suite, ...], "The run first, then clusters and links, by name."]


def counted(suites: Sequence[Suite]) -> Counts:
    found: list[Status] = [case.status for suite in suites for case in suite.cases]
    return Counts(found.count("passed"), found.count("failed"), found.count("error"), found.count("skipped"))


def results_schema() -> dict[str, Any]:
    """The schema that every file of results holds to."""
    identity = f"https://github.com/crossmesh/crossmesh.mtls/results-v{VERSION}"
    return json_schema_of(Results, identity, "Results of a playbook of crossmesh.mtls")
