# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One writer at a time, and what those are told who wait for it in vain."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.lock import locked
from tests.unit.support import refused


def nothing() -> None:
    """The folder is there."""


@contextmanager
def held(path: Path, word: bytes = b"") -> Iterator[None]:
    """By somebody who has said this of himself."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, word)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def test_who_waits_in_vain_is_told_who_holds_it_and_gets_it_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, nothing), refused("lock-held") as failure, locked(path, nothing, patience=0.05):
        pytest.fail("two hold it")
    message = failure.value.message
    assert f"process {os.getpid()} on {socket.gethostname()}, since 20" in message.what
    assert (message.where, "mesh_api_timeout" in message.fix) == (str(path), True)
    with locked(path, nothing, patience=0):
        pass
    assert path.read_bytes() == b"", "nobody holds it"


def test_who_waits_gets_it_when_the_other_one_lets_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, asked, inside = tmp_path / "lock", threading.Event(), threading.Event()

    def waiting(_seconds: float) -> None:
        asked.set()

    monkeypatch.setattr(time, "sleep", waiting)

    def wait() -> None:
        with locked(path, nothing):
            inside.set()

    other = threading.Thread(target=wait)
    with locked(path, nothing):
        other.start()
        assert asked.wait(60)
        assert not inside.is_set()
    other.join(60)
    assert inside.is_set()


@pytest.mark.parametrize("word", [b"", b"\xff", b"[]", b'{"pid": 1}', b"[" * 4000, b'{"pid": 1, "host": '])
def test_a_holder_that_says_nothing_of_use_is_only_called_one(tmp_path: Path, word: bytes) -> None:
    with held(tmp_path / "lock", word), refused("lock-held") as failure, locked(tmp_path / "lock", nothing, patience=0):
        pytest.fail("two hold it")
    assert "a process that has left no word" in failure.value.message.what


def test_a_word_that_cannot_be_left_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with locked(tmp_path / "lock", nothing):
        assert (tmp_path / "lock").read_bytes() == b""


def test_a_lock_that_was_removed_meanwhile_keeps_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path), locked(path, lambda: path.unlink(missing_ok=True), patience=0):
        assert path.exists()
