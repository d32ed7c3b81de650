# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A link's name changes: certificates follow, and nothing of the old name stays anywhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.x509 import DNSName, SubjectAlternativeName, load_pem_x509_certificate

from tests.integration.support.lab_mesh import MYSQL, Mesh, Run
from tests.lab.wait import eventually

OLD, NEW = MYSQL["fqdn"], "orders.server.example.com"
PROXIES = (
    ("cluster-a", "mysql-client"),
    ("cluster-a", "istio-egressgateway-0"),
    ("cluster-b", "istio-ingressgateway-0"),
)


@pytest.fixture(scope="module")
def serials_before(shared_mesh: Mesh) -> dict[str, int]:
    """Serials of the certificates under the old name."""
    assert eventually(shared_mesh.carries)
    return _serials(shared_mesh)


@pytest.fixture(scope="module")
def renamed_link(shared_mesh: Mesh, serials_before: dict[str, int]) -> tuple[Mesh, Run]:
    mesh = shared_mesh.with_changes(links=[{**MYSQL, "fqdn": NEW}])
    run = mesh.site()
    assert run.ok, run.output
    return mesh, run


def test_the_server_certificate_is_issued_anew_and_the_run_says_why(
    renamed_link: tuple[Mesh, Run], serials_before: dict[str, int]
) -> None:
    mesh, run = renamed_link
    assert run.says(f"SAN changed: had {OLD}, want {NEW}")
    after = _serials(mesh)
    assert after["mysql-credential"] != serials_before["mysql-credential"]
    assert _names(mesh, "cluster-b", "mysql-credential") == [NEW]
    # It names links, not hosts.
    assert after["client-credential"] == serials_before["client-credential"]


def test_the_new_name_carries_and_a_second_run_changes_nothing(renamed_link: tuple[Mesh, Run]) -> None:
    mesh, _run = renamed_link
    assert eventually(lambda: mesh.carries(fqdn=NEW))
    assert mesh.site().changed == 0


def test_no_object_holds_the_old_name(renamed_link: tuple[Mesh, Run]) -> None:
    mesh, _run = renamed_link
    everything = {cluster: json.dumps([*_decoded(mesh, cluster)]) for cluster in mesh.hosts}
    for text in everything.values():
        assert OLD not in text
        assert NEW in text


@pytest.mark.parametrize(("cluster", "pod"), PROXIES, ids=[pod for _cluster, pod in PROXIES])
def test_no_proxy_holds_the_old_name(renamed_link: tuple[Mesh, Run], cluster: str, pod: str) -> None:
    mesh, _run = renamed_link

    def configuration() -> str:
        dump = json.dumps(_in_force(json.loads(mesh.lab.envoy(cluster, pod, "config_dump"))))
        return dump + mesh.lab.envoy(cluster, pod, "certs")

    assert eventually(lambda: OLD not in configuration())
    assert NEW in configuration()


def _in_force(dump: Any) -> Any:
    """Without listeners that drain: they take no new connection.

    Where istiod pushes between the writing of a Gateway and that of its VirtualService, the new name has no route yet:
    Envoy gives the listener up, and ends for 45 s (--drain-time-s) what it has.
    """
    if isinstance(dump, dict):
        return {key: _in_force(value) for key, value in dump.items() if key != "draining_state"}
    return [_in_force(item) for item in dump] if isinstance(dump, list) else dump


def _decoded(mesh: Mesh, cluster: str) -> Iterator[str]:
    """Our objects and the Services, as text; Secrets with what their certificates say."""
    for item in [*mesh.objects(cluster), *mesh.get(cluster, "services", "-A")["items"]]:
        if item["kind"] == "Secret":
            item["data"] = _names(mesh, cluster, item["metadata"]["name"])
        yield json.dumps(item)


def _certificate(mesh: Mesh, cluster: str, secret: str) -> bytes:
    found = mesh.get(cluster, "secret", secret, "-n", "istio-system")
    return base64.b64decode(found["data"]["tls.crt"])


def _serials(mesh: Mesh) -> dict[str, int]:
    places = {"mysql-credential": "cluster-b", "client-credential": "cluster-a"}
    return {
        name: load_pem_x509_certificate(_certificate(mesh, place, name)).serial_number for name, place in places.items()
    }


def _names(mesh: Mesh, cluster: str, secret: str) -> list[str]:
    view = load_pem_x509_certificate(_certificate(mesh, cluster, secret))
    return view.extensions.get_extension_for_class(SubjectAlternativeName).value.get_values_for_type(DNSName)
