# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live traffic beside a test: MySQL connections from the client pod, new ones at a steady rate and established ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.support.pod_dialler import PATIENCE, Attempt
from tests.lab import Lab

DIALLER = Path(__file__).with_name("pod_dialler.py")


@dataclass
class Traffic:
    """Filled when its `with` block ends, however it does.

    :param attempts: every new connection, in the order in which they were opened.
    :param seconds: how long new ones were opened.
    :param sessions: what became of each established one: why it broke, or nothing.
    """

    attempts: list[Attempt] = field(default_factory=list)
    seconds: float = 0.0
    sessions: list[str] = field(default_factory=list)

    @property
    def lost(self) -> list[str]:
        return self.lost_from(0.0)

    def lost_from(self, moment: float) -> list[str]:
        """Those that were begun at or after that moment.

        :param moment: of time.monotonic().
        """
        return [made.error for made in self.attempts if made.error and made.began >= moment]

    @property
    def broken_sessions(self) -> list[str]:
        return [error for error in self.sessions if error]

    @property
    def rate(self) -> float:
        return len(self.attempts) / self.seconds

    @property
    def slowest(self) -> float:
        """Seconds that a connection took to its answer; nothing was lost by it."""
        return max((made.seconds for made in self.attempts if not made.error), default=0.0)


@contextmanager
def live_traffic(
    lab: Lab,
    rate: float,
    *,
    held: int = 1,
    fqdn: str = "mysql.server.example.com",
    port: int = 3306,
    pages: bool = False,
    client: str = "mysql-client",
) -> Iterator[Traffic]:
    """Connections for the length of the block; when it begins, the held ones stand and a new one was answered.

    :param rate: new connections a second.
    :param held: sessions with a database that are kept, and ask every half second.
    :param pages: ask a web server, not a database.
    :param client: the pod that dials.
    """
    dials, server = lab.description.find_pod(client), lab.description.find_pod("mysql-0")
    assert server.mariadb
    user, password = ("", "") if pages else (server.mariadb.user, server.mariadb.password)
    argv = [sys.executable, str(DIALLER), fqdn, str(port), user, password, str(rate), str(held)]
    # A slow machine may let many wait at a time; that is not what a test is about.
    lab.mysql_local("SET GLOBAL max_connections = 4000")
    process = lab.popen(dials.cluster, dials.name, argv)
    traffic = Traffic()
    assert process.stdout
    first = process.stdout.readline()
    try:
        assert json.loads(first or b"null") == {"first": ""}, first
        yield traffic
    finally:
        output, errors = process.communicate(timeout=4 * PATIENCE)
        if process.returncode == 0:
            last = json.loads(output)
            traffic.attempts = [Attempt(**made) for made in last["attempts"]]
            traffic.seconds, traffic.sessions = last["seconds"], last["sessions"]
    assert process.returncode == 0, errors.decode()
