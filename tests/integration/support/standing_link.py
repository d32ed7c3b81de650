# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tutorial's MySQL link as a run of site makes it, put back without another run: what most tests begin with."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.integration.support import cluster_objects, credential_secrets
from tests.integration.support.cluster_objects import Written
from tests.integration.support.lab_mesh import CLUSTERS, Mesh
from tests.lab import Lab
from tests.lab.wait import eventually


class StandingLink:
    """What the first mesh had, in its CA store and in the clusters; every later one has the same passphrase."""

    def __init__(self, lab: Lab, store: Path, passphrase: str) -> None:
        self.passphrase = passphrase
        self._lab, self._store = lab, store
        self._written: dict[str, list[Written]] = {}

    def put_in_place(self, mesh: Mesh) -> None:
        if not self._written:
            self._make(mesh)
        self._put_back(mesh)

    def _make(self, mesh: Mesh) -> None:
        run = mesh.site()
        assert run.ok, run.output
        written = {cluster: cluster_objects.written_by_runs(self._lab, cluster) for cluster in CLUSTERS}
        shutil.copytree(mesh.store, self._store)
        self._written = written

    def _put_back(self, mesh: Mesh) -> None:
        if mesh.store.exists():
            shutil.rmtree(mesh.store)
        shutil.copytree(self._store, mesh.store)
        for cluster, written in self._written.items():
            cluster_objects.put_back(self._lab, cluster, written)
        eventually(lambda: credential_secrets.arrived_at_gateways(mesh))
        eventually(mesh.carries)
