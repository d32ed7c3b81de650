# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""max_connection_duration: no connection of the link lasts longer; without it one lasts as long as its ends want."""

from __future__ import annotations

import pytest

from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.lab.wait import eventually

FQDN = MYSQL["fqdn"]
# One query, busy for seconds; the client has its answer only if its connection lasts as long.
LONG = "SELECT SLEEP(5)"
WRITE = "crossmesh.mtls.mesh_side : Write the manifests"


def answered(mesh: Mesh) -> bool:
    return mesh.lab.mysql(LONG, fqdn=FQDN, check=False).strip() == "0"


@pytest.mark.slow
def test_an_established_connection_ends_when_its_time_is_up(restored_mesh: Mesh) -> None:
    assert answered(restored_mesh)
    run = restored_mesh.with_changes(links=[{**MYSQL, "max_connection_duration": "2s"}]).site()
    assert run.ok, run.output
    assert run.changes() == {"localhost": [], "cluster-a": [WRITE], "cluster-b": []}
    eventually(lambda: not answered(restored_mesh))
    # New ones are welcome all the time.
    assert restored_mesh.carries()
    assert restored_mesh.site().ok
    eventually(lambda: answered(restored_mesh))
