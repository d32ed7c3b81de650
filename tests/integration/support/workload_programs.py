# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container has beside the lab's own commands: `kubectl exec` finds a shell, and in it these programs alone."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import Lab

# What each way to ask needs, beside sh and getent.
PYTHON, BASH, CURL = ("python3",), ("bash", "timeout", "dd", "od"), ("curl",)


@contextmanager
def programs(lab: Lab, folder: Path, *names: str) -> Iterator[None]:
    """In every pod, for the length of the block; they run in the pod's network."""
    found = folder / "programs"
    found.mkdir()
    for name in ("getent", *names):
        own = sys.executable if name == "python3" else shutil.which(name)
        assert own, f"{name} is not on this machine"
        (found / name).symlink_to(own)
    ip = shlex.quote(shutil.which("ip") or "ip")
    script = lab.settings.exec_bin / "sh"
    try:
        script.write_text(f'#!/bin/sh\nexec {ip} netns exec "$NETNS" /usr/bin/env PATH={found} /bin/sh "$@"\n')
        script.chmod(0o755)
        yield
    finally:
        script.unlink()
        shutil.rmtree(found)
