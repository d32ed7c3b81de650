# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks that scheduled runs leave on a controller: which files they are, and what they say of each playbook.

PRIVATE to the collection. A mark is an empty file that a run touches when it has ended: its time is the run's. So a run
that never came is known by the age of the last one, and nothing has to be running for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Run, RunState

__all__ = ["Awaited", "failed_mark", "good_mark", "marks_folder", "runs_of"]


@dataclass(frozen=True)
class Awaited:
    """A playbook that is to run again and again.

    :param within_minutes: how old its last good run may be.
    """

    playbook: str
    within_minutes: int


def marks_folder(instance: str) -> str:
    """Where runs of an instance leave their marks: systemd's C(StateDirectory) is below there."""
    return f"/var/lib/crossmesh-{instance}"


def good_mark(folder: str, playbook: str) -> str:
    """The file whose time is that of the last run that ended well."""
    return f"{folder}/{playbook}.good"


def failed_mark(folder: str, playbook: str) -> str:
    """The file whose time is that of the last run that did not."""
    return f"{folder}/{playbook}.failed"


def runs_of(awaited: Iterable[Awaited], folder: str, now: datetime) -> Iterator[Run]:
    """What the marks in a folder say of each playbook, in their order; one without any was missed."""
    for job in awaited:
        good, failed = (_time_of(mark(folder, job.playbook)) for mark in (good_mark, failed_mark))
        yield Run(
            playbook=job.playbook,
            state=_state(good, failed, now - timedelta(minutes=job.within_minutes)),
            last_good=timestamp(good) if good else "",
            last_failed=timestamp(failed) if failed else "",
            missed_after_minutes=job.within_minutes,
        )


def _state(good: datetime | None, failed: datetime | None, oldest: datetime) -> RunState:
    if failed and (good is None or failed > good):
        return "failed"
    return "missed" if good is None or good < oldest else "good"


def _time_of(path: str) -> datetime | None:
    """None where there is no such file, or none that can be seen: both are no sign of a run."""
    try:
        return datetime.fromtimestamp(Path(path).stat().st_mtime, UTC)
    except OSError:
        return None
