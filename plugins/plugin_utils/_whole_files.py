# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a user asked for, each put in place as a whole: who reads one meanwhile has the old one or the new one.

PRIVATE to the collection.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["PRIVATE", "SHARED", "write_whole_file"]

# Modes; who may read others is for the umask.
PRIVATE, SHARED = 0o600, 0o666


def write_whole_file(path: Path, content: bytes, mode: int, *, exact: bool = False) -> None:
    """:param mode: of the file, from its first moment on.
    :param exact: whether it has that mode whatever the umask is.
    :raises OSError: it cannot be written; what was there before is there still.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            if exact:
                os.fchmod(file.fileno(), mode)
            file.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
