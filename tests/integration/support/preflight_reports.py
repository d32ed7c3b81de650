"""A preflight as machines see it: its rows, beside its exit code and what it printed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.integration.support.lab_mesh import Mesh, Run

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
        """Rows of these statuses by cluster, link and check; several of one place are one."""
        found = [row for row in self.report["rows"] if row["status"] in statuses]
        return {(row["cluster"], row["link"], row["check"]): row for row in found}

    def says(self, place: Place, status: str, seen: str, cure: str = "") -> bool:
        """Whether one of the rows of this place says so."""
        return any(
            (row["cluster"], row["link"], row["check"]) == place
            and row["status"] == status
            and seen in row["seen"]
            and cure in row["cure"]
            for row in self.report["rows"]
        )


def run_preflight(mesh: Mesh, *arguments: str) -> Preflight:
    path = mesh.folder / "preflight.json"
    path.unlink(missing_ok=True)
    run = mesh.play("preflight", "-e", f"mesh_preflight_report={path}", *arguments)
    assert path.exists(), run.output
    return Preflight(run, json.loads(path.read_text(encoding="utf-8")))
