# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two rotations: how they are run, where their phases begin, and how it is seen that they are through."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from tests.integration.support import credential_secrets
from tests.integration.support.credential_secrets import BOTH
from tests.integration.support.lab_mesh import Mesh, Run


@dataclass(frozen=True)
class Rotation:
    """A playbook with its options.

    :param phases: a part of the name of the play with which each phase begins.
    """

    name: str
    playbook: str
    options: tuple[str, ...]
    phases: dict[str, str]

    def run(self, mesh: Mesh, *options: str) -> Run:
        return mesh.play(self.playbook, *self.options, *options)

    def go_on(self, mesh: Mesh) -> None:
        """Run it again: it must finish, whatever it has found."""
        run = self.run(mesh)
        assert run.ok, f"the run that goes on has failed: {last_words(run)}"
        assert_settled(mesh)


LEAVES = Rotation(
    "leaf rotation",
    "rotate_certificates",
    ("-e", "mesh_rotate_force=true"),
    {"servers": "Rotate the servers' certificates", "clients": "Rotate the clients' certificates"},
)
ROOT = Rotation(
    "root rotation",
    "rotate_ca",
    (),
    {
        "prepare": "Prepare, trust both roots everywhere",
        "switch": "Switch, serve certificates of the new root everywhere",
        "retire": "Drop the root that leaves, trust it nowhere",
    },
)
ROTATIONS = (LEAVES, ROOT)


def settle(mesh: Mesh) -> None:
    """Bring the link in place, and to its end what may have been left of a rotation."""
    run = mesh.site()
    assert run.ok, f"site has failed: {last_words(run)}"
    if run.reports("rotation-under-way"):
        ROOT.go_on(mesh)
    assert_settled(mesh)


def assert_settled(mesh: Mesh) -> None:
    """One root, which all trust and whose certificates all have: no rotation is under way."""
    roots = {frozenset(credential_secrets.trusted_roots(mesh, secret)) for secret in BOTH}
    assert len(roots) == 1, f"the clusters trust different roots: {roots}"
    assert len(next(iter(roots))) == 1, f"more than one root is trusted: {roots}"
    assert len(credential_secrets.issuers(mesh)) == 1, (
        f"certificates are of different roots: {credential_secrets.issuers(mesh)}"
    )


def last_words(run: Run) -> str:
    """Why a run has failed, in one line."""
    _before, failed, rest = run.output.rpartition("fatal: [")
    if not failed:
        return (run.output.splitlines() or [""])[-1]
    about = " ".join(itertools.takewhile(str.strip, rest.splitlines()))
    host, message = about.partition("]")[0], about.partition(" msg: ")[2] or about
    return f"{host}: {' '.join(message.split())}"
