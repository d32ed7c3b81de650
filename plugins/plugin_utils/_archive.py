# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as one archive in a folder of the controller, which only its owner may read.

PRIVATE to the collection.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from ansible_collections.crossmesh.mtls.plugins.plugin_utils._whole_files import PRIVATE, write_whole_file

__all__ = ["write_archive"]


def write_archive(path: Path, folder: str, files: Mapping[str, str], at: datetime) -> None:
    """Put a tar.gz in place as a whole: the same files at the same time are the same bytes.

    :param folder: the one in the archive that holds them.
    :raises OSError: it cannot be written.
    """
    packed = io.BytesIO()
    # Neither the name of a temporary file nor the user of this machine is part of it.
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=int(at.timestamp())) as pressed,
        tarfile.open(fileobj=pressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode, member.mtime = len(content), PRIVATE, int(at.timestamp())
            archive.addfile(member, io.BytesIO(content))
    write_whole_file(path, packed.getvalue(), PRIVATE)
