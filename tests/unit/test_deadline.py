# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A call that does not end is ended, with all that it has started, and nothing else is."""

from __future__ import annotations

import signal
import subprocess
import threading
from pathlib import Path

from ansible_collections.crossmesh.mtls.plugins.plugin_utils._deadline import in_time
from tests.unit.support import Json, ends, is_running

LONG = 60


def test_a_call_that_ends_in_time_is_left_alone() -> None:
    assert in_time(LONG, lambda: {"changed": True}) == {"changed": True}


def test_a_call_that_does_not_end_is_ended_with_what_it_has_started(tmp_path: Path) -> None:
    begun = tmp_path / "pids"
    with subprocess.Popen(["sleep", str(LONG)]) as other:

        def call() -> Json:
            # Its output is held by the last of them, as that of a module is.
            script = f"sleep {LONG} & echo $$ $! > {begun}; wait"
            return {"code": subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=False).returncode}

        result = in_time(2, call)
        assert (result["failed"], result["late"]) == (True, True)
        assert [ends(int(process)) for process in begun.read_text().split()] == [True, True]
        assert is_running(other.pid), "the control: what others have started goes on"
        other.kill()


def test_a_process_that_is_started_once_the_time_is_over_is_ended_too() -> None:
    def call() -> Json:
        over.wait()
        return {"code": subprocess.run(["sleep", "10"], check=False).returncode}

    over = threading.Event()
    threading.Timer(1, over.set).start()
    assert in_time(0.1, call).get("late")


def test_a_process_that_follows_one_that_was_ended_is_ended_too() -> None:
    codes = list[int]()

    def call() -> Json:
        codes.extend(subprocess.run(["sleep", "10"], check=False).returncode for _number in range(3))
        return {}

    assert in_time(0.3, call).get("late")
    assert codes == [-signal.SIGKILL] * 3


def test_what_is_started_after_a_late_call_goes_on() -> None:
    assert in_time(0.1, lambda: {"code": subprocess.run(["sleep", "10"], check=False).returncode}).get("late")
    with subprocess.Popen(["sleep", "0.5"]) as other:
        assert other.wait() == 0


def test_nothing_begins_where_no_time_is_left() -> None:
    begun = list[bool]()

    def call() -> Json:
        begun.append(True)
        return {}

    assert in_time(0, call)["failed"]
    assert begun == []
    assert in_time(LONG, call) == {}
    assert begun, "the control"
