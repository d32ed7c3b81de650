# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links to external servers, with certificates of the custom CA or of their owner's CA."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.support.external_machine import DATABASE_PORT, WEB_PORT, Machine, running_machine
from tests.integration.support.foreign_certificates import custom_ca_issuer, untrusted_issuer
from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.integration.support.web_servers import curl
from tests.lab.wait import eventually

HOST = "legacy.example.org"


@pytest.fixture
def external_machine(mesh: Mesh, tmp_path: Path) -> Iterator[Machine]:
    with running_machine(mesh, tmp_path) as found:
        yield found


def external_link(name: str, port: int, protocol: str, tls_port: int, **external: Any) -> dict[str, Any]:
    return {
        "name": name,
        "fqdn": f"{name}.{HOST}",
        "port": port,
        "protocol": protocol,
        "external": {"address": HOST, "port": tls_port, **external},
    }


def owners(folder: Path, sans: list[str]) -> str:
    """A certificate of the machine's owner, in a directory as the collection keeps them; returns the owner's root."""
    folder.mkdir()
    ca = untrusted_issuer()
    leaf = ca.leaf("server", sans)
    for name, content in (("tls.crt", leaf.certificate_pem), ("tls.key", leaf.key_pem.decode())):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(content, encoding="utf-8")
    return ca.certificate.pem


def trusted(mesh: Mesh, path: Path) -> Path:
    """The custom CA's root, as its owner hands it to others."""
    path.write_text(custom_ca_issuer(mesh.store, mesh.passphrase).certificate.pem, encoding="utf-8")
    return path


def reaches(mesh: Mesh, fqdn: str) -> bool:
    """Whether it is the machine's database that answers."""
    found = mesh.lab.mysql_from("cluster-a", "mysql-client", "SELECT @@port, @@bind_address", fqdn=fqdn, port=3310)
    return found.stdout.split() == ["3306", "127.0.0.1"]


def test_a_database_and_a_web_server_with_certificates_of_the_custom_ca(mesh: Mesh, external_machine: Machine) -> None:
    kept = mesh.folder / "external"
    sql = external_link("sql", 3310, "tcp", DATABASE_PORT, ca=str(kept), sni=HOST)
    web = external_link("web", 80, "http", WEB_PORT, ca=str(kept), sni=HOST)
    mesh.links = [MYSQL, sql, web]
    run = mesh.site()
    assert run.ok, run.output
    assert run.reports("external-to-load")
    external_machine.load(kept, kept / "ca.crt")
    eventually(lambda: reaches(mesh, f"sql.{HOST}"))
    eventually(lambda: f"web.{HOST} CN=cluster-a" in curl(mesh, f"web.{HOST}").stdout)
    assert mesh.carries()
    again = mesh.site()
    assert again.ok, again.output
    assert again.changed == 0
    verified = mesh.play("verify")
    assert verified.ok, verified.output


@pytest.mark.slow
def test_a_database_and_a_web_server_with_certificates_of_their_owner(mesh: Mesh, external_machine: Machine) -> None:
    roots = owners(mesh.folder / "owner", [HOST])
    mesh.links = [
        MYSQL,
        external_link("sql", 3310, "tcp", DATABASE_PORT, trust=roots, sni=HOST),
        external_link("web", 80, "http", WEB_PORT, trust=roots, sni=HOST),
    ]
    run = mesh.site()
    assert run.ok, run.output
    external_machine.load(mesh.folder / "owner", trusted(mesh, mesh.folder / "clients.pem"))
    eventually(lambda: reaches(mesh, f"sql.{HOST}"))
    eventually(lambda: "CN=cluster-a" in curl(mesh, f"web.{HOST}").stdout)
    assert mesh.carries()
    again = mesh.site()
    assert again.ok, again.output
    assert again.changed == 0


def test_a_server_of_another_ca_or_with_another_name_is_refused(mesh: Mesh, external_machine: Machine) -> None:
    """The same machine passes with the right one."""
    roots = owners(mesh.folder / "owner", [HOST])
    owners(mesh.folder / "stranger", [HOST])
    mesh.links = [external_link("sql", 3310, "tcp", DATABASE_PORT, trust=roots, sni=HOST)]
    run = mesh.site()
    assert run.ok, run.output
    clients = trusted(mesh, mesh.folder / "clients.pem")
    external_machine.load(mesh.folder / "owner", clients)
    eventually(lambda: reaches(mesh, f"sql.{HOST}"))
    external_machine.load(mesh.folder / "stranger", clients)
    # nginx takes some of them with what it had before, for a moment.
    eventually(lambda: not any(reaches(mesh, f"sql.{HOST}") for _ in range(5)))
    renamed = mesh.with_changes(
        links=[external_link("sql", 3310, "tcp", DATABASE_PORT, trust=roots, sni="other.example.org")]
    )
    external_machine.load(mesh.folder / "owner", clients)
    eventually(lambda: reaches(mesh, f"sql.{HOST}"))
    assert renamed.site().ok
    eventually(lambda: not reaches(mesh, f"sql.{HOST}"))


@pytest.mark.slow
def test_a_directory_that_is_refused_stops_no_cluster(mesh: Mesh) -> None:
    """The run fails for it, at its end; without what somebody else keeps there it does not."""
    kept = mesh.folder / "external"
    owners(kept, [HOST])
    mesh.links = [MYSQL, external_link("sql", 3310, "tcp", DATABASE_PORT, ca=str(kept), sni=HOST)]
    for playbook in ("site", "verify"):
        run = mesh.play(playbook)
        assert run.code != 0
        assert run.reports("foreign-directory", str(kept)), run.output
        assert {host: counts["failed"] for host, counts in run.recap.items() if counts["failed"]} == {"localhost": 1}
    assert mesh.carries()
    for name in ("tls.crt", "tls.key"):
        (kept / name).unlink()
    assert mesh.site().ok


PARTNER, SHOP = "shop.partner.example", "shop.server.example.com"


def partners_gateway(mesh: Mesh) -> str:
    """What a partner has set up in its mesh: MUTUAL, for clients of the custom CA. Returns the partner's root."""
    ca = untrusted_issuer()
    leaf = ca.leaf("server", [PARTNER])
    root = custom_ca_issuer(mesh.store, mesh.passphrase).certificate.pem
    data = {"tls.crt": leaf.certificate_pem.encode(), "tls.key": leaf.key_pem, "ca.crt": root.encode()}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "partner", "namespace": "istio-system"},
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }
    documents = yaml.safe_dump(secret) + "---" + PARTNERS_ROUTE
    mesh.lab.kubectl("cluster-b", "apply", "--server-side", "-f", "-", stdin=documents)
    return ca.certificate.pem


PARTNERS_ROUTE = f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: partner, namespace: istio-system}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - port: {{number: 443, name: tls, protocol: TLS}}
      tls: {{mode: MUTUAL, credentialName: partner}}
      hosts: [{PARTNER}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: partner, namespace: istio-system}}
spec:
  hosts: [{PARTNER}]
  gateways: [partner]
  tcp:
    - route: [{{destination: {{host: mysql.default.svc.cluster.local, port: {{number: 3306}}}}}}]
"""


def test_a_partners_ingress_gateway(linked_mesh: Mesh) -> None:
    lab = linked_mesh.lab
    try:
        # The lab has no load balancer: the gateway's pod listens on the targetPort of its Service's port 443.
        theirs = {"address": "partner.server.example.com", "port": 8443, "sni": PARTNER}
        shop = {
            "name": "shop",
            "fqdn": SHOP,
            "port": 3310,
            "external": {**theirs, "trust": partners_gateway(linked_mesh)},
        }
        run = linked_mesh.with_changes(links=[MYSQL, shop]).site()
        assert run.ok, run.output
        ask = partial(lab.mysql_from, "cluster-a", "mysql-client", "SELECT @@socket", fqdn=SHOP, port=3310)
        eventually(lambda: "/mysql-0/" in ask().stdout)
        assert linked_mesh.carries()
    finally:
        kinds = ("secret", "gateways.networking.istio.io", "virtualservice")
        for kind in kinds:
            lab.kubectl("cluster-b", "-n", "istio-system", "delete", kind, "partner", "--ignore-not-found")


@pytest.mark.slow
def test_a_root_is_replaced_phase_by_phase_where_a_server_is_external(mesh: Mesh, external_machine: Machine) -> None:
    kept = mesh.folder / "external"
    mesh.links = [MYSQL, external_link("sql", 3310, "tcp", DATABASE_PORT, ca=str(kept), sni=HOST)]
    assert mesh.site().ok
    external_machine.load(kept, kept / "ca.crt")
    eventually(lambda: reaches(mesh, f"sql.{HOST}"))
    root = (kept / "ca.crt").read_text(encoding="utf-8")
    at_once = mesh.play("rotate_ca")
    assert not at_once.ok
    assert at_once.reports("external-needs-phases", "sql")
    for phase in ("prepare", "switch", "retire"):
        run = mesh.play("rotate_ca", "-e", f"mesh_rotate_phase={phase}")
        assert run.ok, run.output
        assert reaches(mesh, f"sql.{HOST}"), phase
        external_machine.load(kept, kept / "ca.crt")
        eventually(lambda: reaches(mesh, f"sql.{HOST}"))
    assert (kept / "ca.crt").read_text(encoding="utf-8") != root
    assert mesh.carries()
