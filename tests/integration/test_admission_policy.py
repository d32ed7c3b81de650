# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy of docs/admission.md refuses to tenants what would take a link's host or credential, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.integration.support.service_accounts import documented_account
from tests.lab.settings import CHECKOUT
from tests.lab.wait import eventually

Json = dict[str, Any]
CLUSTER = "cluster-a"
PAGE = (CHECKOUT / "docs/admission.md").read_text(encoding="utf-8")
POLICY = PAGE.partition("```yaml\n")[2].partition("```")[0]
TLS = {"mode": "MUTUAL", "credentialName": "client-credential"}
PORTS = [{"number": 3306, "name": "tcp", "protocol": "TCP"}]
ROUTE = [{"route": [{"destination": {"host": "elsewhere.example.com", "port": {"number": 1}}}]}]


def server(host: str, **tls: str) -> list[Json]:
    return [{"port": {"number": 8443, "name": "tls", "protocol": "TLS"}, "hosts": [host], "tls": tls}]


REFUSED: dict[str, tuple[str, Json]] = {
    "a rule for a link's host": ("DestinationRule", {"host": MYSQL["fqdn"]}),
    "a rule for a wildcard of it": ("DestinationRule", {"host": "*.server.example.com"}),
    "a rule with the link's credential": (
        "DestinationRule",
        {"host": "elsewhere.example.com", "trafficPolicy": {"tls": TLS}},
    ),
    "one of a port with it": (
        "DestinationRule",
        {
            "host": "elsewhere.example.com",
            "trafficPolicy": {"portLevelSettings": [{"port": {"number": 1}, "tls": TLS}]},
        },
    ),
    "one of a subset with it": (
        "DestinationRule",
        {"host": "elsewhere.example.com", "subsets": [{"name": "v1", "trafficPolicy": {"tls": TLS}}]},
    ),
    "a route for its host": ("VirtualService", {"hosts": [MYSQL["fqdn"]], "tcp": ROUTE}),
    "a route for every host in sidecars": ("VirtualService", {"hosts": ["*"], "tcp": ROUTE}),
    "one in sidecars and at its own gateway": (
        "VirtualService",
        {"hosts": ["*"], "gateways": ["mesh", "shop/own"], "tcp": ROUTE},
    ),
    "a route for a wildcard of its host at its own gateway": (
        "VirtualService",
        {"hosts": ["*.server.example.com"], "gateways": ["shop/own"], "tcp": ROUTE},
    ),
    "an entry for its host": ("ServiceEntry", {"hosts": [MYSQL["fqdn"]], "ports": PORTS, "resolution": "DNS"}),
    "a Gateway for its host": (
        "Gateway",
        {"selector": {"istio": "x"}, "servers": server(f"./{MYSQL['fqdn']}", mode="PASSTHROUGH")},
    ),
    "a Gateway with its credential": (
        "Gateway",
        {
            "selector": {"istio": "x"},
            "servers": server("own.example.com", mode="SIMPLE", credentialName="client-credential"),
        },
    ),
}
ALLOWED: dict[str, tuple[str, Json]] = {
    "a rule for another host": ("DestinationRule", {"host": "elsewhere.example.com"}),
    "a rule with another credential": (
        "DestinationRule",
        {"host": "elsewhere.example.com", "trafficPolicy": {"tls": {**TLS, "credentialName": "own"}}},
    ),
    "a route for another host": ("VirtualService", {"hosts": ["elsewhere.example.com"], "tcp": ROUTE}),
    "a route for every host at its own gateway": (
        "VirtualService",
        {"hosts": ["*"], "gateways": ["shop/own"], "tcp": ROUTE},
    ),
    "an entry for another host": (
        "ServiceEntry",
        {"hosts": ["elsewhere.example.com"], "ports": PORTS, "resolution": "DNS"},
    ),
    "a Gateway for every host": ("Gateway", {"selector": {"istio": "x"}, "servers": server("*", mode="PASSTHROUGH")}),
}


def tenants_object(kind: str, spec: Json) -> str:
    metadata = {"name": "of-a-tenant", "namespace": "shop"}
    return json.dumps({"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec})


@contextmanager
def policy_in_force(mesh: Mesh) -> Iterator[None]:
    mesh.lab.kubectl(CLUSTER, "apply", "-f", "-", stdin=POLICY)
    try:
        # An API server takes a moment to go by a new policy.
        assert eventually(lambda: is_refused(mesh, *REFUSED["a rule for a link's host"]))
        yield
    finally:
        mesh.lab.kubectl(CLUSTER, "delete", "--ignore-not-found", "-f", "-", stdin=POLICY)


def is_refused(mesh: Mesh, kind: str, spec: Json) -> bool:
    arguments = ("apply", "--dry-run=server", "-f", "-")
    run = mesh.lab.kubectl(CLUSTER, *arguments, stdin=tenants_object(kind, spec), check=False)
    assert run.returncode == 0 or "crossmesh-links" in run.stderr, run.stderr
    return run.returncode != 0


@pytest.fixture(scope="module")
def kept(shared_mesh: Mesh) -> Iterator[Mesh]:
    with policy_in_force(shared_mesh):
        yield shared_mesh


@pytest.mark.parametrize("name", REFUSED)
def test_a_tenant_may_not(kept: Mesh, name: str) -> None:
    assert is_refused(kept, *REFUSED[name])


@pytest.mark.parametrize("name", ALLOWED)
def test_a_tenant_may(kept: Mesh, name: str) -> None:
    assert not is_refused(kept, *ALLOWED[name])


def test_hosts_may_stand_one_a_line(kept: Mesh) -> None:
    """In a value by C(|), each of them ends in a line end."""
    last = "last.example.com"
    by_lines = POLICY.replace("  hosts: ", "  hosts: |\n    ", 1).replace(
        "\n  credentials:", f"\n    {last}\n  credentials:"
    )
    assert not is_refused(kept, "DestinationRule", {"host": last}), "the control: it is none of the links' yet"
    kept.lab.kubectl(CLUSTER, "apply", "-f", "-", stdin=by_lines)
    try:
        assert eventually(lambda: is_refused(kept, "DestinationRule", {"host": last}))
        assert is_refused(kept, *REFUSED["a rule for a link's host"])
    finally:
        kept.lab.kubectl(CLUSTER, "apply", "-f", "-", stdin=POLICY)


@pytest.mark.slow
def test_a_run_writes_as_the_user_that_is_named_and_another_is_told_why_not(kept: Mesh, tmp_path: Path) -> None:
    more = {**MYSQL, "name": "more", "fqdn": "more.server.example.com", "port": 3321, "tls_port": 13321}
    with documented_account(kept.lab, tmp_path, links=("mysql", "more")) as kubeconfig:
        mesh = kept.with_changes(links=[MYSQL, more], variables={"mesh_kubeconfig": str(kubeconfig)})
        run = mesh.site()
        assert run.ok, run.output
    # The control: with the hosts of the new link in the list, an administrator's run is refused before it writes.
    kept.lab.kubectl(CLUSTER, "apply", "-f", "-", stdin=POLICY.replace("mysql.server", "more.server", 1))
    kept.lab.kubectl(CLUSTER, "delete", "destinationrule/originate-mtls-for-more", "-n", "istio-system")
    run = kept.with_changes(links=[MYSQL, more]).site()
    assert not run.ok
    assert run.reports("admission-refused", "crossmesh-links"), run.output
