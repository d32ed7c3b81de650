# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A preflight as machines see it: its rows, beside its exit code and what it printed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.integration.support.lab_mesh import Mesh, Run

BESIDE_MESH_CA = "gateway-beside-mesh-ca"
# The columns of a row by which tests tell it from others.
Place = tuple[str, str, str]


@dataclass(frozen=True)
class Preflight:
    run: Run
    report: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Exit code, verdict and recap say the same."""
        assert "Traceback" not in self.run.output
        assert self.run.changed == 0
        assert self.run.ok == self.report["passed"], self.run.output
        return self.run.ok

    def rows(self, *statuses: str) -> dict[Place, dict[str, str]]:
        """Rows of these statuses by cluster, link and check; several of one place are one.

        Without the one that every preflight of the lab has: its gateways are where the defaults are, beside istiod.
        """
        found = [row for row in self.report["rows"] if row["status"] in statuses and row["code"] != BESIDE_MESH_CA]
        return {(row["cluster"], row["link"], row["check"]): row for row in found}

    def says(self, place: Place, status: str, seen: str) -> bool:
        """Whether one of the rows of this place says so."""
        return any(row["status"] == status and seen in row["seen"] for row in self._of(place))

    def reports(self, place: Place, code: str, *parts: str) -> bool:
        """Whether one of the rows of this place is made of a message of this code that holds these parts."""
        return any(
            row["code"] == code and all(part in f"{row['seen']} {row['fix']}" for part in parts)
            for row in self._of(place)
        )

    def _of(self, place: Place) -> list[dict[str, str]]:
        return [row for row in self.report["rows"] if (row["cluster"], row["link"], row["check"]) == place]


def run_preflight(mesh: Mesh, *arguments: str) -> Preflight:
    path = mesh.folder / "preflight.json"
    path.unlink(missing_ok=True)
    run = mesh.play("preflight", "-e", f"mesh_preflight_report={path}", *arguments)
    assert path.exists(), run.output
    return Preflight(run, json.loads(path.read_text(encoding="utf-8")))
