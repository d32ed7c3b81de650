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
from tempfile import NamedTemporaryFile

__all__ = ["has_memory_files", "memory_file", "private_file"]


def has_memory_files() -> bool:
    """Whether this operating system has any; Linux does."""
    return hasattr(os, "memfd_create")


@contextmanager
def memory_file(name: str, content: str | bytes) -> Iterator[str]:
    """Its path, which leads to it for as long as the block lasts."""
    with os.fdopen(os.memfd_create(name), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        yield f"/proc/{os.getpid()}/fd/{file.fileno()}"


@contextmanager
def private_file(name: str, content: bytes) -> Iterator[str]:
    """The same; where there are none, a temporary file that nobody else can read, and that goes with the block."""
    if has_memory_files():
        with memory_file(name, content) as path:
            yield path
        return
    with NamedTemporaryFile(prefix=f"{name}-") as file:
        file.write(content)
        file.flush()
        yield file.name
