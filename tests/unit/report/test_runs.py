# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the marks of runs say: a good one, one that failed since, one that did not come."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Run
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.runs import (
    Awaited,
    failed_mark,
    good_mark,
    runs_of,
)
from tests.unit.pki.support import NOW


def seen(folder: Path, good: int | None = None, failed: int | None = None) -> Run:
    """The run of verify, which is to come every hour.

    :param good: minutes since a run ended well; None for never. So C(failed).
    """
    for path, age in ((good_mark(str(folder), "verify"), good), (failed_mark(str(folder), "verify"), failed)):
        if age is not None:
            Path(path).touch()
            then = (NOW - timedelta(minutes=age)).timestamp()
            os.utime(path, (then, then))
    (run,) = runs_of([Awaited("verify", 60)], str(folder), NOW)
    return run


@pytest.mark.parametrize(
    ("good", "failed", "state"),
    [
        (None, None, "missed"),
        (60, None, "good"),
        (61, None, "missed"),
        (30, 90, "good"),
        (90, 30, "failed"),
        (61, 90, "missed"),
        (None, 30, "failed"),
    ],
)
def test_the_last_mark_says_how_it_stands(tmp_path: Path, good: int | None, failed: int | None, state: str) -> None:
    run = seen(tmp_path, good, failed)
    assert run.state == state
    assert run.last_good == ("" if good is None else timestamp(NOW - timedelta(minutes=good)))
    assert run.last_failed == ("" if failed is None else timestamp(NOW - timedelta(minutes=failed)))
    assert run.missed_after_minutes == 60


def test_a_folder_that_is_not_there_or_closed_is_no_sign_of_a_run(tmp_path: Path) -> None:
    assert seen(tmp_path / "nowhere").state == "missed"
    (tmp_path / "file").touch()
    assert seen(tmp_path / "file").state == "missed"


def test_jobs_keep_their_order(tmp_path: Path) -> None:
    jobs = [Awaited("verify", 60), Awaited("rotate_certificates", 1440)]
    assert [run.playbook for run in runs_of(jobs, str(tmp_path), NOW)] == ["verify", "rotate_certificates"]
