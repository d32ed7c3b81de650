# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Foreign JSON: whatever its shape, it is read or left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.findings import described
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import NOT_YET, Meta, Settings
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.parsing import KINDS, parse_mesh, parse_settings
from tests.unit.istio.objects import GATE, HOST, Object, made, rule, service

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3),
    max_leaves=8,
)
# Names that the parser looks for, so that it goes deeper than the first level.
FIELDS = st.sampled_from(
    [
        *("hosts", "host", "ports", "servers", "port", "tls", "number", "egress", "selector", "matchLabels", "rules"),
        *("from", "source", "subsets", "trafficPolicy", "portLevelSettings", "http", "tcp", "match", "route"),
        *("destination", "mtls", "portLevelMtls", "endpoints", "addresses", "exportTo", "workloadSelector", "labels"),
        *("targetRefs", "configPatches"),
    ]
)
SPEC = st.recursive(
    ANYTHING, lambda inner: st.dictionaries(FIELDS, inner | st.lists(inner, max_size=2), max_size=4), max_leaves=20
)


@given(kind=st.sampled_from(sorted(KINDS)), spec=SPEC, metadata=ANYTHING)
def test_no_shape_of_an_object_is_too_odd(kind: str, spec: Any, metadata: Any) -> None:
    good = {"namespace": "a", "name": "b", "managedFields": metadata, "labels": metadata, "annotations": metadata}
    found = parse_mesh([{"kind": kind, "metadata": good, "spec": spec, "status": spec}])
    assert isinstance(found, Mesh)
    assert parse_mesh([{"kind": kind, "metadata": metadata, "spec": spec}]) == Mesh()


@given(found=ANYTHING)
def test_no_shape_of_the_meshs_settings_is_too_odd(found: Any) -> None:
    assert isinstance(parse_settings(found), Settings)


def test_the_meshs_settings() -> None:
    found = {"rootNamespace": "istio-config", "trustDomain": "example.org", "defaultServiceExportTo": ["."]}
    assert parse_settings({**found, "enableAutoMtls": False}) == Settings(
        "istio-config", "example.org", services=frozenset({"."}), auto_mtls=False
    )


def test_kinds_that_decide_nothing_are_left_out() -> None:
    assert parse_mesh([made("ConfigMap", "a/b"), made("Secret", "a/b")]) == Mesh()
    assert parse_mesh([rule("a/b")]).destination_rules


def owned(**metadata: Any) -> str:
    item = rule("a/b")
    item["metadata"].update(metadata)
    (found,) = parse_mesh([item]).destination_rules
    return found.meta.owner


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        ({}, ""),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "managed-by Helm"),
        ({"annotations": {"meta.helm.sh/release-name": "shop"}}, "release-name shop"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:x"}}, "tracking-id shop:x"),
        ({"managedFields": [{"manager": "kubectl-edit"}]}, "field manager kubectl-edit"),
        ({"managedFields": [{"manager": 1}, "x", {}]}, ""),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}, "managedFields": [{"manager": "x"}]}, "managed-by Helm"),
    ],
)
def test_who_owns_an_object(metadata: Object, owner: str) -> None:
    assert owned(**metadata) == owner


def test_an_object_is_described_as_far_as_it_is_known() -> None:
    assert described(Meta("Gateway", "a", "b")) == "Gateway a/b"
    known = Meta("Gateway", "a", "b", "2026-01-01T00:00:00Z", "managed-by Helm")
    assert described(known) == "Gateway a/b (managed-by Helm, since 2026-01-01T00:00:00Z)"


def test_what_is_still_to_be_made_is_younger_than_all() -> None:
    item = rule(f"{GATE}/ours")
    del item["metadata"]["creationTimestamp"]
    (found,) = parse_mesh([item], ours=lambda _item: True).destination_rules
    assert found.meta == Meta("DestinationRule", GATE, "ours", NOT_YET, ours=True)


@pytest.mark.parametrize(
    ("port", "protocol"),
    [
        ({"name": "http"}, "http"),
        ({"name": "http-web"}, "http"),
        ({"name": "grpc-web-x"}, "grpc-web"),
        ({"name": "web", "appProtocol": "http"}, "http"),
        ({"name": "tls-x", "protocol": "UDP"}, "udp"),
        ({"name": "web"}, ""),
        ({"name": "db", "port": 3306}, "tcp"),
        ({"name": "http-db", "port": 3306}, "http"),
    ],
)
def test_the_protocol_of_a_services_port(port: Object, protocol: str) -> None:
    item = service("a/b")
    item["spec"]["ports"] = [{"port": 8000, **port}]
    (found,) = parse_mesh([item]).services
    assert found.ports[0].protocol == protocol


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("mesh", "mesh"),
        ("gate", "shop/gate"),
        ("gates/gate", "gates/gate"),
        ("./gate", "shop/gate"),
        ("gate.gates.svc.cluster.local", "gates/gate"),
        ("gate.gates", "gates/gate"),
    ],
)
def test_the_name_of_a_gateway(name: str, read: str) -> None:
    (found,) = parse_mesh([made("VirtualService", "shop/v", hosts=[HOST], gateways=[name])]).virtual_services
    assert found.gateways == {read}
