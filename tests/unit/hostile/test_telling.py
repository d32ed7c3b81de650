# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Violations of one cause are counted as one."""

from __future__ import annotations

from tests.hostile.judge import Violation
from tests.hostile.telling import likeness


def test_numbers_and_serials_tell_no_causes_apart() -> None:
    first, second = (Violation("names", f"a certificate holds {serial}") for serial in ("3af2", "99b1"))
    assert likeness(first) == likeness(second)


def test_judgements_tell_causes_apart() -> None:
    assert likeness(Violation("names", "x")) != likeness(Violation("roots", "x"))
