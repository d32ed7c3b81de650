# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody in between could do to a package."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

__all__ = ["with_another_byte", "with_another_manifest"]


def with_another_byte(package: Path, folder: Path) -> Path:
    """A copy whose middle byte is another one."""
    held = bytearray(package.read_bytes())
    held[len(held) // 2] ^= 1
    changed = folder / "another-byte.tar.gz"
    changed.write_bytes(held)
    return changed


def with_another_manifest(package: Path, folder: Path) -> Path:
    """A copy that is sound in itself, under a MANIFEST.json that tells something else."""
    changed = folder / "another-manifest.tar.gz"
    with tarfile.open(package) as given, tarfile.open(changed, "w:gz") as taken:
        for member in given.getmembers():
            content = _content(given, member)
            if member.name == "MANIFEST.json":
                content = content.replace(b'"description": "', b'"description": "Not ')
                member.size = len(content)
            taken.addfile(member, io.BytesIO(content) if member.isfile() else None)
    return changed


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member) if member.isfile() else None
    return file.read() if file else b""
