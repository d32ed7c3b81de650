# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's side of tests/integration/support/stepped_runs.py: asks before each task whether it may begin."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: boundaries
type: aggregate
short_description: Waits at every task boundary
description: Tells a test, over the socket that the environment names, which task comes next, and waits for its answer.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "boundaries"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._play = ""
        self._test = socket.socket(socket.AF_UNIX)
        self._test.connect(os.environ["CROSSMESH_BOUNDARIES"])

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._play = play.get_name()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._ask(task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._ask(task)

    def _ask(self, task: Any) -> None:
        self._test.sendall(json.dumps([self._play, task.get_name()]).encode() + b"\n")
        self._test.recv(1)
