# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in memory, for libraries that take a secret from nothing but a file.

PRIVATE to the collection. A temporary file would stay where a run is killed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["has_memory_files", "memory_file"]


def has_memory_files() -> bool:
    """Whether this operating system has any; Linux does."""
    return hasattr(os, "memfd_create")


@contextmanager
def memory_file(name: str, content: str) -> Iterator[str]:
    """Its path, which leads to it for as long as the block lasts."""
    with os.fdopen(os.memfd_create(name), "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        yield f"/proc/{os.getpid()}/fd/{file.fileno()}"
