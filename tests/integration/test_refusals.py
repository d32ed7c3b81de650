# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may not use a link: clients at the ingress gateway, servers at the egress gateway."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf
from tests.integration.support.foreign_certificates import (
    LINK,
    Issuer,
    custom_ca_issuer,
    put_into_server_secret,
    untrusted_issuer,
)
from tests.integration.support.gateway_handshakes import GREETING, client_context, gateway_answer
from tests.integration.support.lab_mesh import MYSQL, Mesh


@pytest.fixture
def custom_ca(shared_mesh: Mesh) -> Issuer:
    return custom_ca_issuer(shared_mesh.store, shared_mesh.passphrase)


def test_a_client_with_a_certificate_that_names_the_link_is_served(shared_mesh: Mesh, custom_ca: Issuer) -> None:
    assert GREETING in gateway_answer(shared_mesh, client_context(custom_ca.leaf("client", [LINK])))


REFUSED: dict[str, Callable[[Issuer], Leaf | None]] = {
    "no certificate": lambda _ca: None,
    "a certificate of another CA": lambda _ca: untrusted_issuer().leaf("client", [LINK]),
    "a certificate that names another link": lambda ca: ca.leaf("client", ["other.link.crossmesh.internal"]),
    "an expired certificate": lambda ca: ca.leaf("client", [LINK], age=timedelta(days=2)),
    "a server's certificate": lambda ca: ca.leaf("server", [LINK]),
}


@pytest.mark.parametrize("presented", REFUSED)
def test_a_client_is_refused_that_presents(shared_mesh: Mesh, custom_ca: Issuer, presented: str) -> None:
    assert gateway_answer(shared_mesh, client_context(REFUSED[presented](custom_ca))) == b""


def test_a_server_is_refused_whose_certificate_names_another_host(restored_mesh: Mesh, custom_ca: Issuer) -> None:
    # Another hand's certificate does no harm as long as it names the host: it is the name that decides.
    put_into_server_secret(restored_mesh, custom_ca.leaf("server", [MYSQL["fqdn"]]))
    assert restored_mesh.carries()
    put_into_server_secret(restored_mesh, custom_ca.leaf("server", ["other.server.example.com"]))
    assert not restored_mesh.carries()
