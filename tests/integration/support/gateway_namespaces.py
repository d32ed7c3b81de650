# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clusters on the lab's API servers: each has the gateway of a namespace of its own, a Service without a pod."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from cryptography import x509

from tests.integration.support import cluster_objects
from tests.integration.support.lab_mesh import MYSQL, Mesh

Json = dict[str, Any]

GATEWAY = "gateway"
# Servers on the one API server, clients on the other.
SIDES = (("mesh_servers", "cluster-b"), ("mesh_clients", "cluster-a"))
_HOUSEKEEPING = ("creationTimestamp", "resourceVersion", "uid", "generation", "managedFields")
# Whose content differs with each certificate and each state of the CA store.
_OF_ITS_TIME = "crossmesh/ca-store"


def many_clusters(mesh: Mesh, count: int) -> Mesh:
    """A mesh of so many clusters, two by two with a link; all of them are named in mesh_clusters."""
    hosts: dict[str, Json] = {}
    groups: dict[str, list[str]] = {"mesh_servers": [], "mesh_clients": []}
    for number in range(1, count + 1):
        group, context = SIDES[(number - 1) % 2]
        gateway = {"namespace": f"gw{number}", "service": GATEWAY, "selector": {"istio": f"gw{number}"}}
        places = {"mesh_ingress_gateway": gateway, "mesh_egress_gateway": gateway}
        hosts[f"c{number}"] = {"mesh_context": context, **places}
        groups[group].append(f"c{number}")
    links = [_link(number) for number in range(1, count, 2)]
    named = {host: [group] for group, members in groups.items() for host in members}
    return replace(mesh, hosts=hosts, groups=groups, links=links, variables={**mesh.variables, "mesh_clusters": named})


def _link(number: int) -> Json:
    """From the client c<number + 1> to the server c<number>."""
    places = {"servers": [f"c{number}"], "clients": [f"c{number + 1}"]}
    return {**MYSQL, "name": f"link-{number}", "fqdn": f"link-{number}.server.example.com", **places}


@contextmanager
def gateway_namespaces(mesh: Mesh) -> Iterator[None]:
    """The namespaces, for the length of the block."""
    _remove(mesh)
    for _group, context in SIDES:
        items = [item for host in mesh.hosts.values() if host["mesh_context"] == context for item in _gateway(host)]
        made = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        mesh.lab.kubectl(context, "apply", "-f", "-", stdin=made)
    try:
        yield
    finally:
        _remove(mesh)


def state_of_clusters(mesh: Mesh) -> dict[str, Json]:
    """All objects of ours, as a second run over other clusters would have written them.

    Of a Secret only what tells who may use it: the certificate's names and issuer, and the roots that it trusts.
    """
    found = {}
    for _group, context in SIDES:
        for item in cluster_objects.objects_of_ours(mesh.lab, context):
            found[f"{context} {cluster_objects.object_title(item)}"] = _lasting(item)
    return found


def _lasting(item: Json) -> Json:
    metadata = {key: value for key, value in item["metadata"].items() if key not in _HOUSEKEEPING}
    notes = {key: value for key, value in metadata.pop("annotations", {}).items() if key != _OF_ITS_TIME}
    rest = {key: value for key, value in item.items() if key not in ("metadata", "data", "status")}
    secret = _identity(item["data"]) if item["kind"] == "Secret" else {}
    return {**rest, "metadata": metadata, "annotations": notes, "identity": secret}


def _identity(data: Json) -> Json:
    leaf = x509.load_pem_x509_certificates(base64.b64decode(data["tls.crt"]))[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {
        "subject": leaf.subject.rfc4514_string(),
        "sans": sorted(names.get_values_for_type(x509.DNSName)),
        "issuer": leaf.issuer.rfc4514_string(),
        "trusted": data["ca.crt"],
        "keys": sorted(data),
    }


def _remove(mesh: Mesh) -> None:
    for _group, context in SIDES:
        names = [
            host["mesh_ingress_gateway"]["namespace"] for host in mesh.hosts.values() if host["mesh_context"] == context
        ]
        mesh.lab.kubectl(context, "delete", "namespace", "--ignore-not-found", *names, timeout=600)


def _gateway(host: Json) -> Iterator[Json]:
    gateway = host["mesh_ingress_gateway"]
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": gateway["namespace"]}}
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": GATEWAY, "namespace": gateway["namespace"]},
        "spec": {"selector": gateway["selector"], "ports": [{"name": "https", "port": 443, "targetPort": 8443}]},
    }
