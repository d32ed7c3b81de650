# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a lab lives, as its environment says."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError

CHECKOUT = Path(__file__).resolve().parents[2]
# Names of network interfaces hold 15 characters: the lab's name, two numbers and two dashes must fit.
_LAB_NAME = re.compile(r"[a-z][a-z0-9]{0,7}")
# A folder of build/ each; the first is the one that is meant where nothing is said.
VERSIONS = ("newest", "older")


@dataclass(frozen=True)
class Settings:
    name: str
    offset: int
    cache: Path
    state: Path
    versions: str = VERSIONS[0]

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def exec_bin(self) -> Path:
        """The commands that `kubectl exec` finds in a pod."""
        return self.state / "exec-bin"

    @property
    def description(self) -> Path:
        """The description that the running lab was started from; it alone tells `down` what is its own."""
        return self.state / "lab.yml"

    @property
    def offset_mark(self) -> Path:
        return self.state / "offset"

    @property
    def programs_mark(self) -> Path:
        """Says which programs the running lab was started with."""
        return self.state / "programs"

    @property
    def ready_mark(self) -> Path:
        return self.state / "ready"

    def cluster_dir(self, cluster: str) -> Path:
        return self.state / cluster

    def pod_dir(self, cluster: str, pod: str) -> Path:
        return self.cluster_dir(cluster) / "pods" / pod


def load_settings() -> Settings:
    name = os.environ.get("CROSSMESH_LAB", "lab")
    if not _LAB_NAME.fullmatch(name):
        raise LabError(f"CROSSMESH_LAB={name!r}: a lab's name is a letter and up to 7 letters or digits, in lower case")
    offset = os.environ.get("CROSSMESH_LAB_OFFSET", "0")
    if not offset.isdecimal() or int(offset) > 240:
        raise LabError(f"CROSSMESH_LAB_OFFSET={offset!r}: give a number from 0 to 240")
    versions = os.environ.get("CROSSMESH_LAB_VERSIONS") or VERSIONS[0]
    if versions not in VERSIONS:
        raise LabError(f"CROSSMESH_LAB_VERSIONS={versions!r}: give one of {', '.join(VERSIONS)}")
    state = os.environ.get("CROSSMESH_LAB_STATE")
    return Settings(
        name=name,
        offset=int(offset),
        cache=_cache(),
        state=Path(state).resolve() if state else Path("/var/lib/crossmesh-lab") / name,
        versions=versions,
    )


def _cache() -> Path:
    given = os.environ.get("CROSSMESH_CACHE")
    if given:
        return Path(given).resolve()
    return Path("/var/cache/crossmesh") if os.geteuid() == 0 else Path.home() / ".cache" / "crossmesh"
