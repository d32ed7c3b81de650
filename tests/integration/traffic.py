"""Live traffic beside a test: MySQL connections from the client pod, opened at a steady rate."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import Lab

DIALLER = Path(__file__).with_name("dialler.py")


@dataclass
class Traffic:
    """Filled when its `with` block ends: every connection's error, empty where it got its answer."""

    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    broken_session: str = ""

    @property
    def lost(self) -> list[str]:
        return [error for error in self.errors if error]

    @property
    def rate(self) -> float:
        return len(self.errors) / self.seconds


@contextmanager
def dialling(lab: Lab, rate: float, *, fqdn: str = "mysql.server.example.com", port: int = 3306) -> Iterator[Traffic]:
    """New connections for the length of the block; the first was answered before it begins."""
    client, server = lab.description.find_pod("mysql-client"), lab.description.find_pod("mysql-0")
    assert server.mariadb
    argv = [sys.executable, str(DIALLER), fqdn, str(port), server.mariadb.user, server.mariadb.password, str(rate)]
    # A slow machine may let many wait at a time; that is not what a test is about.
    lab.mysql_local("SET GLOBAL max_connections = 2000")
    process = lab.popen(client.cluster, client.name, argv)
    traffic = Traffic()
    assert process.stdout
    first = process.stdout.readline()
    try:
        assert json.loads(first) == {"first": ""}
        yield traffic
    finally:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    last = json.loads(output)
    traffic.errors, traffic.seconds, traffic.broken_session = last["errors"], last["seconds"], last["session"]
