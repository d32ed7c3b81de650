# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of a gateway's Service that belongs to somebody else: opened, used as they are, shared, taken back."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.managed_fields import (
    Writer,
    field_owners,
    owners_of,
    port_owners,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Service, ServicePort
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.difference import compare_ports
from tests.unit.support import Json

OWNER = Owner("default", "cluster-b", "server")
OURS = OWNER.manager
OTHER_SIDE = Owner("default", "cluster-b", "client").manager
OTHER_INSTANCE = Owner("blue", "cluster-b", "server").manager
TITLE = "Service istio-system/istio-ingressgateway"


def port(number: int, **changes: Any) -> ServicePort:
    """As an API server gives a port that we opened."""
    given = {
        "name": f"tls-{number}",
        "port": number,
        "protocol": "TCP",
        "targetPort": number,
        "nodePort": 31000,
        **changes,
    }
    return cast(ServicePort, given)


HTTPS = port(443, name="https", targetPort=8443)


def service(*ports: ServicePort, **owners: list[str]) -> Service:
    """The reading of a Service; the owners by port number, such as ``tcp_443``."""
    return {
        "namespace": "istio-system",
        "name": "istio-ingressgateway",
        "type": "LoadBalancer",
        "selector": {},
        "addresses": [],
        "ports": list(ports),
        "owners": {f"{key[4:]}/{key[:3].upper()}": managers for key, managers in owners.items()},
        "written": {"erin": "2026-11-30T06:42:10Z"},
    }


def manifest(*numbers: int) -> Json:
    spec = {"ports": [{"name": f"tls-{n}", "port": n, "protocol": "TCP", "targetPort": n} for n in numbers]}
    metadata = {"name": "istio-ingressgateway", "namespace": "istio-system"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, **({"spec": spec} if numbers else {})}


OPEN_443 = {"tcp_443": ["helm"]}

CASES: list[tuple[str, list[int], Service, Json | None, list[str]]] = [
    (
        "a port that is not there is opened",
        [13306],
        service(HTTPS, **OPEN_443),
        manifest(13306),
        [f"open port 13306 on {TITLE}"],
    ),
    ("our own port is left", [13306], service(HTTPS, port(13306), **OPEN_443, tcp_13306=[OURS]), None, []),
    ("a port of others is used as it is", [443], service(HTTPS, **OPEN_443), None, []),
    ("a port that nobody is known to own is used as it is", [443], service(HTTPS), None, []),
    (
        "a port of others beside one of ours",
        [443, 13306],
        service(HTTPS, port(13306), **OPEN_443, tcp_13306=[OURS]),
        None,
        [],
    ),
    (
        "a port of our other side is owned with it",
        [15443],
        service(port(15443), tcp_15443=[OTHER_SIDE]),
        manifest(15443),
        [f"open port 15443 on {TITLE}"],
    ),
    (
        "a port of another instance is owned with it",
        [13306],
        service(port(13306), tcp_13306=[OTHER_INSTANCE]),
        manifest(13306),
        [f"open port 13306 on {TITLE}"],
    ),
    ("a port that we own with others is kept", [13306], service(port(13306), tcp_13306=["helm", OURS]), None, []),
    (
        "a port of others and of our other side is used as it is",
        [15443],
        service(port(15443), tcp_15443=["helm", OTHER_SIDE]),
        None,
        [],
    ),
    (
        "a port that is not wanted is taken back",
        [13306],
        service(port(13306), port(13307), tcp_13306=[OURS], tcp_13307=[OURS]),
        manifest(13306),
        [f"remove port 13307 from {TITLE}"],
    ),
    (
        "the last port is taken back",
        [],
        service(HTTPS, port(13306), **OPEN_443, tcp_13306=[OURS]),
        manifest(),
        [f"remove port 13306 from {TITLE}"],
    ),
    (
        "a changed number is opened and the old one taken back",
        [13307],
        service(port(13306), tcp_13306=[OURS]),
        manifest(13307),
        [f"open port 13307 on {TITLE}", f"remove port 13306 from {TITLE}"],
    ),
    ("nothing wanted, nothing held", [], service(HTTPS, **OPEN_443), None, []),
    (
        "UDP beside our TCP",
        [13306],
        service(port(13306), port(13306, name="quic", protocol="UDP"), tcp_13306=[OURS], udp_13306=["helm"]),
        None,
        [],
    ),
]


@pytest.mark.parametrize(
    ("wanted", "found", "written", "lines"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_ports(wanted: list[int], found: Service, written: Json | None, lines: list[str]) -> None:
    result = compare_ports(wanted, found, OWNER)
    assert result.errors == []
    assert result.service == ([written] if written else [])
    assert result.lines == lines


def test_a_port_that_others_made_udp_is_refused() -> None:
    result = compare_ports([13306], service(port(13306, protocol="UDP"), udp_13306=["helm"]), OWNER)
    assert result.service == []
    (error,) = result.errors
    assert (error.code, error.where) == ("port-not-tcp", f"{TITLE}, port 13306")
    assert "13306/UDP" in error.what


def test_our_port_that_others_lead_elsewhere_is_refused_with_their_name() -> None:
    result = compare_ports([13306], service(port(13306, targetPort=8443), tcp_13306=[OURS, "kubectl-edit"]), OWNER)
    assert result.service == []
    (error,) = result.errors
    assert (error.code, error.where) == ("port-changed", f"{TITLE}, port 13306")
    assert error.what.startswith("targetPort of our port was changed (the port's managers: kubectl-edit)")
    assert "targetPort 13306" in error.fix


RENAMED = port(13306, name="mysql")


@pytest.mark.parametrize("managers", [[OURS], [OURS, "helm"], ["helm"], []])
def test_a_port_under_another_name_is_the_same_port(managers: list[str]) -> None:
    """Nothing is to do for it; and where another one is opened, it keeps the name that it has."""
    assert compare_ports([13306], service(RENAMED, tcp_13306=managers), OWNER).empty
    held = OURS in managers
    (written,) = compare_ports([13306, 13307], service(RENAMED, tcp_13306=managers), OWNER).service
    named = [(item["port"], item["name"]) for item in written["spec"]["ports"]]
    assert named == [*([(13306, "mysql")] if held else []), (13307, "tls-13307")]


def test_a_service_with_a_port_that_has_no_name_takes_no_second_one() -> None:
    unnamed = cast(ServicePort, {"port": 443, "protocol": "TCP", "targetPort": 8443})
    result = compare_ports([13306], service(unnamed, **OPEN_443), OWNER)
    assert [(error.code, error.where) for error in result.errors] == [("port-unnamed", f"{TITLE}, port 443")]
    assert result.service == []
    assert compare_ports([13306], service(HTTPS, **OPEN_443), OWNER).service == [manifest(13306)]
    assert compare_ports([443], service(unnamed, **OPEN_443), OWNER).errors == []


def test_nothing_is_written_while_one_port_is_refused() -> None:
    found = service(port(13306, protocol="UDP"), udp_13306=["helm"])
    assert compare_ports([13306, 13307], found, OWNER).service == []


def test_both_sides_keep_their_ports_on_a_shared_service() -> None:
    """One applies, then the other: neither's manifest holds the other's port, and neither takes it back."""
    client = Owner("default", "cluster-b", "client")
    shared = service(port(13306), port(15443), tcp_13306=[OWNER.manager], tcp_15443=[client.manager])
    assert compare_ports([13306], shared, OWNER).empty
    assert compare_ports([15443], shared, client).empty


# -- who owns what: metadata.managedFields as an API server writes them --------------------------------------------

FIELDS: Json = {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}}


def entry(manager: str, *ports: tuple[int, str], **other: Any) -> Json:
    keys = {f"k:{json.dumps({'port': n, 'protocol': p}, separators=(',', ':'))}": FIELDS for n, p in ports}
    return {
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:ports": keys, "f:selector": {}, "f:type": {}}},
        "manager": manager,
        "operation": "Apply",
        "time": "2026-11-23T08:55:56Z",
        **other,
    }


MANAGED: list[Any] = [
    entry("helm", (80, "TCP"), (443, "TCP"), (15021, "TCP")),
    entry(OURS, (13306, "TCP"), (443, "TCP")),
    entry("kubectl-patch", (53, "UDP"), operation="Update"),
    {
        "manager": "cloud-controller",
        "operation": "Update",
        "subresource": "status",
        "fieldsV1": {"f:status": {"f:loadBalancer": {"f:ingress": {}}}},
    },
    # Before its first server-side apply an object's ports can be held as a whole.
    {"manager": "kubectl-create", "operation": "Update", "fieldsV1": {"f:spec": {"f:ports": {}}}},
]


def test_owners_of_ports() -> None:
    assert port_owners(MANAGED) == {
        "80/TCP": ["helm"],
        "443/TCP": ["helm", OURS],
        "15021/TCP": ["helm"],
        "13306/TCP": [OURS],
        "53/UDP": ["kubectl-patch"],
    }


def test_no_managed_fields_no_owners() -> None:
    assert port_owners([]) == {}
    assert field_owners([], "spec") == {}


def test_who_wrote_a_status_owns_nothing_of_the_spec() -> None:
    """istiod writes the status of every ServiceEntry."""
    status: Any = {"manager": "pilot-discovery", "operation": "Update", "fieldsV1": {"f:status": {"f:addresses": {}}}}
    assert field_owners([status], "spec") == {}
    # The control: who holds the whole of it.
    assert field_owners([{"manager": "edit", "fieldsV1": {"f:spec": {}}}], "spec") == {"spec": [Writer("edit")]}


VIRTUAL_SERVICE: list[Any] = [
    {"manager": OURS, "fieldsV1": {"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:hosts": {}, "f:tcp": {}}}},
    {"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:tcp": {}, "f:exportTo": {}}}},
    {"manager": "helm", "fieldsV1": {"f:spec": {"f:tls": {"f:mode": {}, "f:sni": {}}}}},
]


@pytest.mark.parametrize(
    ("path", "others"),
    [
        ("spec.tcp", ["kubectl-edit"]),
        ("spec.exportTo", ["kubectl-edit"]),
        ("spec.hosts", []),
        ("spec.tls", ["helm"]),
        ("spec.tls.mode", ["helm"]),
        ("spec.exportTo.deeper.still", ["kubectl-edit"]),
        ("spec.unknown", []),
    ],
)
def test_other_managers_of_a_path(path: str, others: list[str]) -> None:
    found = owners_of(field_owners(VIRTUAL_SERVICE, "spec"), path, (OURS,))
    assert [writer.manager for writer in found] == others


def test_a_manager_is_named_with_the_time_of_its_last_write() -> None:
    timed: list[Any] = [{**item, "time": "2026-11-30T06:42:10Z"} for item in VIRTUAL_SERVICE]
    (writer,) = owners_of(field_owners(timed, "spec"), "spec.tcp", (OURS,))
    assert str(writer) == "kubectl-edit at 2026-11-30T06:42:10Z"
    (untimed,) = owners_of(field_owners(VIRTUAL_SERVICE, "spec"), "spec.tcp", (OURS,))
    assert str(untimed) == "kubectl-edit"


@pytest.mark.parametrize(("manager", "told"), [("erin", "erin at 2026-11-30T06:42:10Z"), ("helm", "helm")])
def test_a_port_of_ours_that_others_changed_tells_who_and_when(manager: str, told: str) -> None:
    changed = service(port(13306, targetPort=9999), tcp_13306=[OURS, manager])
    (error,) = compare_ports([13306], changed, OWNER).errors
    assert error.code == "port-changed"
    assert f"(the port's managers: {told})" in error.what
