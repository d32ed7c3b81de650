# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions of ansible-core are supported, and what each is run with."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["VERSIONS", "Version"]


@dataclass(frozen=True)
class Version:
    """A line of ansible-core, as `NAME.in` beside this file pins it.

    :param pythons: the interpreters that it runs on, the preferred one first.
    :param collections: the line whose kubernetes.core it takes, as its own package `ansible` has one that is too old.
    """

    name: str
    pythons: tuple[str, ...]
    collections: str = ""


OLD, NEW, NEWEST = ("python3.11",), ("python3.12", "python3.13"), ("python3.13", "python3.12")
VERSIONS = (
    Version("2.16", OLD, "2.18"),
    Version("2.17", OLD, "2.18"),
    Version("2.18", OLD),
    Version("2.19", OLD),
    Version("2.20", NEW),
    Version("2.21", NEWEST),
)
