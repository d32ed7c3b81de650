# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts that run in a container, run here by its programs, each alone: what they find is the same."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.answer import Answer, read_answer
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.question import LIMIT, commands
from tests.unit.probe.support import GREETING, probed_link, server

# What each way to ask needs in a container, beside sh and getent.
TOOLS = {
    "python3": ("python3",),
    "bash": ("bash", "timeout", "dd", "od"),
    "nc": ("nc", "od", "sleep", "date", "head"),
    "curl": ("curl",),
    "wget": ("wget",),
}
# In the place of a netcat, which need not be here: its options are those of all of them.
NETCAT = """
import socket, sys, threading
_w, seconds, host, port = sys.argv[1:]
way = socket.create_connection((host, int(port)), float(seconds))
def send():
    while data := sys.stdin.buffer.raw.read(512):
        way.sendall(data)
threading.Thread(target=send, daemon=True).start()
try:
    while data := way.recv(512):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
except socket.timeout:
    pass
import os; os._exit(0)
"""
WAIT = 1


@pytest.fixture
def container(tmp_path: Path) -> Path:
    """A folder of programs: the whole of a PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def install(folder: Path, *programs: str) -> None:
    for program in programs:
        if program == "nc":
            (folder / "netcat.py").write_text(NETCAT)
            script = f'#!/bin/sh\nexec {sys.executable} {folder}/netcat.py "$@"\n'
            (folder / "nc").write_text(script)
            (folder / "nc").chmod(0o755)
            continue
        found = sys.executable if program == "python3" else shutil.which(program)
        if found is None:
            pytest.skip(f"{program} is not on this machine")
        (folder / program).symlink_to(found)


def asked(
    folder: Path, kind: str, port: int, *, fqdn: str = "localhost", tool: str = "", wait: int = WAIT, **probe: str
) -> Answer:
    """What the first command of a probe finds with these programs.

    :param wait: seconds for each wait.
    """
    protocol = {"http": "http", "grpc": "grpc"}.get(kind, "tcp")
    found, question = probed_link(kind, protocol=protocol, PORT=port, **probe)
    found["fqdn"] = fqdn
    shell, _python = commands(found, question)
    shell[shell.index("crossmesh-probe") + 6] = str(wait)
    return read_answer(run(folder, ["/bin/sh", *shell[1:]]))


def run(folder: Path, command: Sequence[str]) -> str:
    environment = {"PATH": str(folder), "http_proxy": "http://127.0.0.1:1", "LD_LIBRARY_PATH": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert len(done.stdout) < LIMIT
    assert "not found" not in done.stderr, done.stderr
    return done.stdout


BY_BYTES = pytest.mark.parametrize("tool", ["python3", "bash", "nc"])


@BY_BYTES
def test_a_server_that_speaks_first_is_heard(container: Path, tool: str) -> None:
    install(container, "getent", *TOOLS[tool])
    with server(GREETING) as (port, _heard):
        answer = asked(container, "mysql", port)
    assert (answer.tool, answer.data, answer.end) == (tool, GREETING, "open")
    assert answer.names is not None
    assert "127.0.0.1" in answer.names
    # nc does not tell a port that is closed from a server that closes.
    assert answer.port == ("" if tool == "nc" else "open")


@BY_BYTES
def test_a_connection_that_stays_open_is_told_from_one_that_is_closed(container: Path, tool: str) -> None:
    install(container, "getent", *TOOLS[tool])
    with server() as (port, _heard):
        assert asked(container, "tcp", port).end == "open"
    # With nc, what ends before the wait does was closed; on a busy machine a second is over before nc has begun.
    with server(closes=True) as (port, _heard):
        assert asked(container, "tcp", port, wait=5 * WAIT).end == "closed"


@BY_BYTES
def test_what_is_sent_comes_as_it_is_whatever_stands_in_it(container: Path, tool: str) -> None:
    install(container, "getent", *TOOLS[tool])
    path = "/a%b?c=$(touch${IFS}x)&d=`e`;'\"\\n*~"
    with server(answers=b"HTTP/1.1 204 No Content\r\n\r\n", closes=True) as (port, heard):
        answer = asked(container, "http", port, path=path)
    assert heard[0].startswith(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n".encode())
    assert answer.data.startswith(b"HTTP/1.1 204 ")
    # Also bytes that are no text.
    with server(answers=b"\x00\xff", closes=True) as (port, heard):
        assert asked(container, "grpc", port).data == b"\x00\xff"
    assert heard[0].startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00")


@pytest.mark.parametrize("tool", ["curl", "wget"])
def test_a_status_is_found_by_what_speaks_http_itself(container: Path, tool: str) -> None:
    install(container, "getent", *TOOLS[tool])
    for status in ("200 OK", "503 Service Unavailable"):
        with server(answers=f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode(), closes=True) as (port, heard):
            answer = asked(container, "http", port, path="/a[1]{b}?c=$(d)")
        assert (answer.tool, answer.status) == (tool, int(status[:3]))
        assert heard[0].split(b"\r\n")[0].startswith(b"GET /a"), heard


@pytest.mark.parametrize("tool", ["python3", "bash", "curl"])
def test_a_port_that_is_closed(container: Path, tool: str) -> None:
    install(container, "getent", *TOOLS[tool])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    answer = asked(container, "http", port)
    assert (answer.tool, answer.port, answer.data) == (tool, "closed", b"")


@pytest.mark.parametrize("tool", TOOLS)
def test_a_name_that_does_not_resolve(container: Path, tool: str) -> None:
    install(container, "getent", *TOOLS[tool])
    assert asked(container, "http", 80, fqdn="nothing.invalid").names == frozenset()


def test_a_name_that_nothing_can_look_up_is_not_unknown(container: Path) -> None:
    install(container, *TOOLS["bash"])
    with server(GREETING) as (port, _heard):
        answer = asked(container, "mysql", port)
    assert (answer.names, answer.data) == (None, GREETING)


def test_a_container_without_a_program_that_asks(container: Path) -> None:
    install(container, "getent")
    assert asked(container, "mysql", 3306).tool == "none"
    # What speaks HTTP alone is none for a database.
    install(container, "curl", "wget")
    assert asked(container, "mysql", 3306).tool == "none"


def test_no_shell_is_needed_where_there_is_python(container: Path) -> None:
    install(container, "python3")
    found, question = probed_link("mysql")
    with server(GREETING) as (port, _heard):
        found["fqdn"], found["port"] = "localhost", port
        _shell, python = commands(found, question)
        answer = read_answer(run(container, [os.path.join(container, "python3"), *python[1:]]))
    assert (answer.tool, answer.data) == ("python3", GREETING)


def test_words_of_an_inventory_are_arguments_and_in_no_text() -> None:
    first, second = (
        commands(*probed_link("http", protocol="http", FQDN=fqdn, path=path))
        for fqdn, path in (("a.example.com", "/one"), ("b.example.com", "/$(two)"))
    )
    for one, other in zip(first, second, strict=True):
        texts = [index for index, word in enumerate(one) if "\n" in word]
        assert texts
        assert [one[index] for index in texts] == [other[index] for index in texts]
    assert "/$(two)" in second[0], "the probe finds it as an argument"
