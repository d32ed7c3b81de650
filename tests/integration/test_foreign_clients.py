# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of others: an identity beside the link's own, and no other one."""

from __future__ import annotations

from tests.integration.support.foreign_certificates import custom_ca_issuer
from tests.integration.support.gateway_handshakes import GREETING, client_context, gateway_answer
from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.lab.wait import eventually

PARTNER, OTHER = "billing.partner.example", "sales.partner.example"


def test_a_client_of_others_is_served_once_the_link_names_it_and_refused_before_and_after(linked_mesh: Mesh) -> None:
    ca = custom_ca_issuer(linked_mesh.store, linked_mesh.passphrase)
    partner, other = (client_context(ca.leaf("client", [name])) for name in (PARTNER, OTHER))
    assert GREETING not in gateway_answer(linked_mesh, partner)
    naming = linked_mesh.with_changes(links=[{**MYSQL, "foreign_clients": [PARTNER]}])
    run = naming.site()
    assert run.ok, run.output
    eventually(lambda: GREETING in gateway_answer(linked_mesh, partner))
    assert GREETING not in gateway_answer(linked_mesh, other)
    assert linked_mesh.carries()
    assert linked_mesh.site().ok
    eventually(lambda: GREETING not in gateway_answer(linked_mesh, partner))
