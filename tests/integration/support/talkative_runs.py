# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings with which Ansible tells and keeps all that it can, and what it then leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CALLBACKS = Path(__file__).with_name("callback")
TALKATIVE = ("-vvvvv", "--diff")


@dataclass(frozen=True)
class Traces:
    """What is left of a run in a folder of its own: home, temporary files, the log and what callbacks wrote."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """For the run; the folder is made for it."""
        for name in ("home", "tmp", "junit", "tree"):
            (self.folder / name).mkdir(parents=True)
        return {
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "home/local"),
            # Its default is in the home that the system knows, whatever HOME says.
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "home/remote"),
            "ANSIBLE_LOG_PATH": str(self.folder / "log"),
            "ANSIBLE_DEBUG": "1",
            "ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "1",
            "ANSIBLE_KEEP_REMOTE_FILES": "1",
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "junit,tree,witness",
            "ANSIBLE_CALLBACK_TREE_DIR": str(self.folder / "tree"),
            "JUNIT_OUTPUT_DIR": str(self.folder / "junit"),
            "JUNIT_HIDE_TASK_ARGUMENTS": "false",
            "JUNIT_INCLUDE_SETUP_TASKS_IN_REPORT": "true",
            "CROSSMESH_WITNESS": str(self.folder / "witness"),
        }

    def left(self) -> dict[str, bytes]:
        """The contents of all files there are now, by their paths."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}
