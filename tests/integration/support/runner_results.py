# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a job of ansible-runner ended: by what it left, as exit codes do not always tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PRINTED = "what ansible-runner printed"


@dataclass(frozen=True)
class Job:
    """How a job ended, and all that ansible-runner left of it.

    :param rc: exit code of ansible-playbook; none where the job has not told its end.
    :param status: in ansible-runner's words, or what it printed where it left none.
    :param artifacts: contents of the files, by their paths.
    """

    number: int
    rc: int | None
    status: str
    output: str
    artifacts: Mapping[str, bytes] = field(repr=False)

    @property
    def ok(self) -> bool:
        return self.rc == 0 and self.status == "successful"

    @property
    def ended(self) -> bool:
        """Whether it is known how it ended: nothing is where a node died, or its stream was cut."""
        return self.rc is not None

    def says(self, *parts: str) -> bool:
        """Whether all of this stands in the output, however long lines were folded."""
        text = " ".join(self.output.split())
        return all(part in text for part in parts)


def result_of(number: int, folder: Path, printed: str) -> Job:
    """Read a job's folder of artifacts.

    C(ansible-runner process) exits 0 also after a failed play and a broken stream. The files C(rc) and C(status) come
    last, and only from a job that has ended.
    """
    artifacts = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    rc, status = (artifacts.get(name, b"").decode().strip() for name in ("rc", "status"))
    output = artifacts.get("stdout", b"").decode()
    artifacts[_PRINTED] = printed.encode()
    return Job(number, int(rc) if rc else None, status or f"ansible-runner: {printed[-2000:]}", output, artifacts)
