# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that come out of a container, sound and otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.answer import Answer, read_answer, shown


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("", Answer()),
        ("tool none\n", Answer("none")),
        ("tool python3\nname\n", Answer("python3", frozenset())),
        ("name\n", Answer(names=frozenset())),
        (
            "tool python3\nname 240.0.0.1 fd00::1\nport open\nbytes 4a00\nbytes 01\nend open\n",
            Answer("python3", frozenset({"240.0.0.1", "fd00::1"}), "open", b"\x4a\x00\x01", "open"),
        ),
        # getent has a line for each, and od puts spaces between.
        (
            "name 240.0.0.1\nname 240.0.0.1\ntool bash\nport open\nbytes 4a 00\nend closed\n",
            Answer("bash", frozenset({"240.0.0.1"}), "open", b"\x4a\x00", "closed"),
        ),
        ("tool python3\nname 1.2.3.4\nport late\n", Answer("python3", frozenset({"1.2.3.4"}), "late")),
        # It was ended while it still connected.
        ("tool bash\n", Answer("bash", port="late")),
        ("tool nc\nend closed\n", Answer("nc", end="closed")),
        ("tool curl\nstatus 200\nconnected 0.001\ncurl 0\n", Answer("curl", port="open", status=200)),
        ("tool curl\nstatus 000\ncurl 6\n", Answer("curl", frozenset())),
        ("tool curl\nstatus 000\ncurl 7\n", Answer("curl", port="closed")),
        ("tool curl\nstatus 000\nconnected 0.000000\ncurl 28\n", Answer("curl", port="late")),
        # A sidecar has taken the connection, and nobody has answered.
        ("tool curl\nstatus 000\nconnected 0.000412\ncurl 28\n", Answer("curl", port="open")),
        ("tool curl\nstatus 000\nconnected 0.000412\ncurl 52\n", Answer("curl", port="open", end="closed")),
        # One that does not know an option, or is none.
        ("tool curl\ncurl 2\n", Answer("none")),
        ("tool curl\ncurl 127\n", Answer("none")),
        ("shell sh\ntool nc\n", Answer("nc", begun=True)),
        ("tool wget\nstatus 503\n", Answer("wget", status=503)),
        # Cut off in the middle of a byte.
        ("tool python3\nbytes 4a0", Answer("python3", data=b"\x4a")),
        ("tool python3\nname fe80::1%eth0 not-an-address\n", Answer("python3", frozenset({"fe80::1"}))),
        # What is no word of ours.
        ("tool rm\nport wide open\nbytes zz\nend never\nstatus 2000\ncurl x\n\x00\n", Answer()),
    ],
)
def test_a_line_is_read_or_counts_as_not_there(output: str, answer: Answer) -> None:
    assert read_answer(output) == answer


@given(
    st.lists(
        st.sampled_from(["tool", "name", "port", "bytes", "end", "status", "curl"]).flatmap(
            lambda key: st.text(max_size=12).map(lambda text: f"{key} {text}")
        )
    )
)
def test_nothing_that_comes_back_breaks_the_reading(lines: list[str]) -> None:
    assert len(read_answer("\n".join(lines)).data) <= 6 * len(lines)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"SSH-2.0", "'SSH-2.0'"),
        (b"\x1b[2J\r\n\x00", r"'\x1b[2J\r\n\x00'"),
        ("\u00e4\u202e".encode(), r"'\xc3\xa4\xe2\x80\xae'"),
        (b"a" * 121, f"'{'a' * 120}' and 1 bytes more"),
    ],
)
def test_what_is_shown_holds_nothing_that_a_terminal_obeys(data: bytes, text: str) -> None:
    assert shown(data) == text
