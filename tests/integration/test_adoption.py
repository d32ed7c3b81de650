# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A link that was made by hand, as in the tutorial, is refused by name, then taken over without a lost connection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.support.handmade_tutorial import CLIENT, OBJECTS, SECRETS, SERVER, Tutorial
from tests.integration.support.lab_mesh import Mesh
from tests.integration.support.live_traffic import live_traffic
from tests.integration.support.state_snapshots import versions_everywhere
from tests.integration.support.stepped_runs import stepped_run
from tests.lab.wait import eventually

ADOPT = ("-e", "mesh_adopt=true")
RATE = 25.0
# At the second of these boundaries both roots are trusted, and the new one has not issued.
TRUSTED = ("Wait until every ready gateway pod is at this stage", "Look at the credentials")
# At the second of these boundaries both roots are trusted, and the new one has not issued.


@pytest.fixture
def tutorial_link(mesh: Mesh, tmp_path: Path) -> Iterator[Tutorial]:
    """The tutorial's link, carrying queries."""
    found = Tutorial(mesh.lab, tmp_path / "tutorial")
    try:
        found.make()
        eventually(mesh.carries)
        yield found
    finally:
        found.remove()


def test_objects_made_by_hand_are_refused_by_name_and_left_as_they_are(mesh: Mesh, tutorial_link: Tutorial) -> None:
    before = versions_everywhere(mesh)
    run = mesh.site()
    assert not run.ok
    for cluster in (CLIENT, SERVER):
        assert run.recap[cluster]["changed"] == 0
        for item in OBJECTS[cluster]:
            assert run.reports("not-ours", f"{item['kind']} istio-system/{item['metadata']['name']}", "made by kubectl")
        assert run.reports("not-ours", f"Secret istio-system/{SECRETS[cluster]}", "made by kubectl-create")
    assert run.says("mesh_adopt=true")
    assert versions_everywhere(mesh) == before


def test_a_link_made_by_hand_is_adopted_without_a_lost_connection(mesh: Mesh, tutorial_link: Tutorial) -> None:
    with live_traffic(mesh.lab, RATE) as traffic:
        run = mesh.site(*ADOPT)
    assert run.ok, run.output
    assert traffic.rate >= 20
    assert traffic.lost == []
    assert run.changed > 0
    assert {f"{item['kind']}/{item['metadata']['name']}" for item in OBJECTS[CLIENT]} <= mesh.names(CLIENT)
    assert {f"{item['kind']}/{item['metadata']['name']}" for item in OBJECTS[SERVER]} <= mesh.names(SERVER)
    again = mesh.site()
    assert again.ok, again.output
    assert again.changed == 0
    assert mesh.carries()


@pytest.mark.slow
@pytest.mark.parametrize("reached", [TRUSTED, ("Join the meshes",)])
def test_an_adoption_that_was_killed_between_its_stages_is_continued(
    mesh: Mesh, tutorial_link: Tutorial, reached: tuple[str, ...]
) -> None:
    with live_traffic(mesh.lab, RATE) as traffic:
        with stepped_run(mesh, "site", *ADOPT) as steps:
            for boundary in reached:
                steps.reach(boundary)
        assert mesh.carries()
        run = mesh.site(*ADOPT)
    assert run.ok, run.output
    assert traffic.lost == []
    again = mesh.site()
    assert again.ok, again.output
    assert again.changed == 0
