# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Beside random objects of others, what a run ends with 0 for is TLS between clusters: a part of tests.wire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.support.lab_mesh import Mesh, cleared_afterwards
from tests.integration.support.standing_link import StandingLink
from tests.lab import Lab
from tests.precedence.generate import Generator
from tests.wire import sets
from tests.wire.stage import Seen, Stage

pytestmark = pytest.mark.slow
LINKS = 6
SEED = 1


@pytest.fixture(scope="module")
def stage(lab: Lab, standing_link: StandingLink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("mesh")
    with cleared_afterwards(Mesh(lab, folder, standing_link.passphrase)) as mesh:
        found = Stage(mesh, LINKS)
        with found.standing(folder):
            yield found


@pytest.fixture(scope="module")
def seen(stage: Stage) -> list[Seen]:
    return stage.batch(sets.batch(Generator(SEED), SEED, range(1, LINKS + 1), LINKS))


def test_what_a_run_ends_with_0_for_is_tls_between_the_clusters(seen: list[Seen]) -> None:
    assert [fault for found in seen for fault in found.faults] == []
    ran = [found for found in seen if not found.code]
    assert any(found.answered for found in ran)
    assert {found.connections > 0 for found in ran if found.answered} == {True}


def test_the_same_search_reads_each_request_in_the_plain_leg(seen: list[Seen]) -> None:
    answered = [found for found in seen if found.answered]
    assert [found for found in answered if not found.control] == []


def test_the_control_is_read_between_the_clusters_and_is_refused(stage: Stage) -> None:
    (found,) = stage.batch([sets.control()])
    assert found.code != 0
    assert "the egress gateway" in found.readable
