# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names read back: which could be those of a link, whichever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side

LINKS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True).filter(
    lambda name: not names.is_reserved(name)
)
PREFIX = "client-credential"


@given(LINKS, st.sampled_from(names.SIDES))
def test_every_name_that_is_given_is_known_again(link: str, side: Side) -> None:
    for kind, given_names in names.OBJECTS[side](link).items():
        assert [name for name in given_names if not names.gives_object(side, kind, name)] == []
    secrets = {"server": [names.server_secret(link)], "client": [names.client_secret_of_link(link, PREFIX), PREFIX]}
    assert [name for name in secrets[side] if not names.gives_secret(side, name, PREFIX)] == []


@pytest.mark.parametrize(
    ("side", "kind", "name"),
    [
        ("server", "Gateway", "shop"),
        ("server", "Gateway", "gateway-"),
        ("server", "Gateway", "gateway-.x"),
        ("server", "Gateway", "gateway-Mysql"),
        ("server", "Gateway", "gateway-client"),
        ("server", "Gateway", "egressgateway-mysql"),
        ("client", "Gateway", "gateway-mysql"),
        ("server", "VirtualService", "virtual-service"),
        ("server", "VirtualService", "-virtual-service"),
        ("server", "Sidecar", "egress-lockdown"),
        ("client", "Sidecar", "default"),
        ("server", "Secret", "mysql-credential"),
    ],
)
def test_others_names_are_not(side: Side, kind: str, name: str) -> None:
    assert not names.gives_object(side, kind, name)


@pytest.mark.parametrize(
    ("side", "name"),
    [
        ("server", "credential"),
        ("server", "client-credential"),
        ("server", "mysql-client-credential"),
        ("server", "mysql-credential-cacert"),
        ("client", "mysql-credential"),
        ("client", "egress-credential"),
    ],
)
def test_a_secret_of_others_or_of_the_other_side_is_not(side: Side, name: str) -> None:
    assert not names.gives_secret(side, name, PREFIX)


@pytest.mark.parametrize(
    ("identity", "link"),
    [
        (names.link_identity("mysql", "crossmesh.internal"), "mysql"),
        (names.link_identity("mysql", "mesh.example.com"), "mysql"),
        (names.cluster_identity("mysql", "crossmesh.internal"), ""),
        (names.cluster_identity("link", "link.example.com"), ""),
        ("mysql.server.example.com", ""),
        ("mysql.link", ""),
    ],
)
def test_a_client_certificates_name_tells_its_link(identity: str, link: str) -> None:
    assert names.link_of(identity) == link
