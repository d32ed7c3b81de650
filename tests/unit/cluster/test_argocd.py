# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that Argo CD keeps: what is followed of it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.argocd import connection_to_registered
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.kubeconfig import configuration
from tests.unit.registries import SECRETS, TOKEN, Hub, argocd_secret, config
from tests.unit.support import Json, refused

PLACE = "argocd/cluster-cluster-b"


def hub(secret: Json) -> Any:
    return Hub(**{f"{SECRETS}/{secret['metadata']['name']}": secret})


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_token_a_ca_and_the_name_of_the_server_are_followed() -> None:
    tls = {"insecure": False, "caData": in_base64("CERTIFICATE"), "serverName": "kubernetes"}
    given = argocd_secret("cluster-b", config=config(tlsClientConfig=tls, disableCompression=True))
    connection = connection_to_registered(hub(given), PLACE)
    found = configuration(connection)
    assert (found.host, found.tls_server_name) == ("https://cluster-b.example:6443", "kubernetes")
    assert f"Bearer {TOKEN}" in found.api_key.values()
    assert Path(str(found.ssl_ca_cert)).read_text() == "CERTIFICATE"
    assert found.verify_ssl
    assert connection.where.startswith(f"Secret {PLACE} of Argo CD, context hub")
    # What is private goes to kubernetes.core by a file in memory.
    assert connection.private
    assert TOKEN not in repr(connection)


def test_a_certificate_is_followed() -> None:
    tls = {"certData": in_base64("CERTIFICATE"), "keyData": in_base64("KEY")}
    given = argocd_secret("cluster-b", config=config(bearerToken="", tlsClientConfig=tls))
    found = configuration(connection_to_registered(hub(given), PLACE))
    assert [Path(str(path)).read_text() for path in (found.cert_file, found.key_file)] == ["CERTIFICATE", "KEY"]


@pytest.mark.parametrize("place", ["cluster-b", "argocd/../x", "argocd/a/b", "/x", "argocd/", "a b/c"])
def test_a_place_that_is_none_is_refused(place: str) -> None:
    with refused("connection") as caught:
        connection_to_registered(hub(argocd_secret("cluster-b")), place)
    assert "NAMESPACE/NAME" in caught.value.message.what


def test_two_ways_at_once_are_refused() -> None:
    with refused("connection") as caught:
        connection_to_registered(hub(argocd_secret("cluster-b")), PLACE, "", "cluster-b")
    assert "mesh_context" in caught.value.message.what
