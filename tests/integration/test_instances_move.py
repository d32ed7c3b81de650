# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two instances that ran with one CA get one each, while the links of the one that moves carry."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from tests.integration.support.cluster_objects import clear_clusters
from tests.integration.support.foreign_certificates import LINK, custom_ca_issuer
from tests.integration.support.gateway_handshakes import GREETING, client_context, gateway_answer
from tests.integration.support.lab_mesh import MYSQL, Mesh, passed
from tests.integration.support.live_traffic import live_traffic
from tests.lab.wait import eventually
from tests.unit.ca.support import as_earlier_release

SECOND: dict[str, Any] = {"mesh_instance": "default-2", "mesh_client_credential_prefix": "second-credential"}
ORDERS: dict[str, Any] = {**MYSQL, "name": "orders", "fqdn": "orders.server.example.com", "port": 3307}
ORDERS_LINK = "orders.link.crossmesh.internal"


@dataclass(frozen=True)
class Pair:
    """Two inventories with a link each.

    :param root: fingerprint of the root that both have certificates of.
    """

    first: Mesh
    second: Mesh
    root: str

    def let_in(self, mesh: Mesh, link: str, fqdn: str) -> bool:
        """Whether the gateway of a link serves who has a certificate for it of the CA of this inventory."""
        instance = str(mesh.variables.get("mesh_instance", "default"))
        leaf = custom_ca_issuer(mesh.store, mesh.passphrase, instance).leaf("client", [link])
        return GREETING in gateway_answer(self.first, client_context(leaf), fqdn)

    def asked(self) -> tuple[bool, bool, bool, bool]:
        """Who is let in: at the first one's gateway the first's and the second's, at the second one's likewise."""
        mysql, orders = (LINK, MYSQL["fqdn"]), (ORDERS_LINK, ORDERS["fqdn"])
        return (
            self.let_in(self.first, *mysql),
            self.let_in(self.second, *mysql),
            self.let_in(self.first, *orders),
            self.let_in(self.second, *orders),
        )


@pytest.fixture
def sharing(restored_mesh: Mesh, tmp_path: Path) -> Iterator[Pair]:
    """What stands after an earlier release: one store without signatures or owner, from which both have issued."""
    second = restored_mesh.with_changes(folder=tmp_path, variables=SECOND, links=[ORDERS])
    shutil.copytree(restored_mesh.store, second.store)
    store = CaStore(FileStorage(second.store), SECOND["mesh_instance"])
    (root,) = (item.stem for item in (second.store / "roots").glob("*.crt"))
    store.take_over(second.passphrase, [root])
    passed(second.site())
    as_earlier_release(store)
    shutil.rmtree(restored_mesh.store)
    second.store.rename(restored_mesh.store)
    try:
        yield Pair(restored_mesh, second, root)
    finally:
        clear_clusters(second.lab, second.hosts)


@pytest.mark.slow
def test_an_instance_is_moved_to_a_ca_of_its_own_without_a_lost_connection(sharing: Pair) -> None:
    """As docs/rotation.md has it: copy, take over, rotate phase by phase."""
    first, second = sharing.first, sharing.second
    with live_traffic(first.lab, 20, held=3, fqdn=ORDERS["fqdn"], port=ORDERS["port"]) as traffic:
        assert first.site().reports("store-unsigned", sharing.root)
        shutil.copytree(first.store, second.store)
        for mesh in (first, second):
            assert passed(mesh.play("take_over_ca", "-e", f"custom_ca_take_over={sharing.root}")).changed == 1
            assert passed(mesh.site()).reports("shared-root", sharing.root[:8], "rotate_ca")
        assert sharing.asked() == (True, True, True, True), "that is the fault, until the root is replaced"

        for phase in ("prepare", "switch", "retire"):
            run = passed(second.play("rotate_ca", "-e", f"mesh_rotate_phase={phase}"))
            assert run.says({"prepare": "phase prepared", "switch": "phase switched", "retire": "phase steady"}[phase])
        eventually(lambda: sharing.asked() == (True, False, False, True))
    assert traffic.lost == []
    assert traffic.broken_sessions == []

    after = passed(second.play("verify"))
    assert not after.reports("shared-root")
    assert passed(second.site()).changed == 0
    # The first one's own root is the one that was shared: it goes on with it, and is told.
    assert passed(first.site()).changed == 0
    assert first.play("verify").reports("shared-root"), "the control"
    assert first.carries()


def test_an_instance_that_is_pointed_at_the_ca_of_another_is_refused_before_anything_is_written(
    restored_mesh: Mesh, tmp_path: Path
) -> None:
    second = restored_mesh.with_changes(
        folder=tmp_path, variables={**SECOND, "custom_ca_dir": str(restored_mesh.store)}, links=[ORDERS]
    )
    for playbook in ("preflight", "site", "verify"):
        run = second.play(playbook)
        assert run.code != 0
        assert run.reports("ca-of-another-instance", "instance default", "custom_ca_dir"), run.output
    assert [second.objects(cluster, instance="default-2") for cluster in second.hosts] == [[], []]
    assert restored_mesh.site().changed == 0
    assert restored_mesh.carries()
