# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifests of clusters as the files of a tree for GitOps: the same bytes for the same inventory. Pure.

PRIVATE to the collection. Each file is of one link, so a change of the inventory is a small difference:

    CLUSTER/kustomization.yaml                  what is below links
    CLUSTER/links/LINK.yaml                     all objects of the link; of lock-downs the link is C(client)
    CLUSTER/gateway-ports/kustomization.yaml    apart, since the gateways' Services belong to somebody else
    CLUSTER/gateway-ports/services.yaml         the ports that the links need on them
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Manifest
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import key_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import Desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.difference import service_manifest, service_port
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._manifests import render

__all__ = ["PATTERNS", "tree_of"]

# Where files of the tree stand.
PATTERNS = ("*/kustomization.yaml", "*/links/*.yaml", "*/gateway-ports/*.yaml")
_ORDER = {kind.kind: number for number, kind in enumerate(names.KINDS)}


def tree_of(clusters: Iterable[Desired]) -> dict[str, str]:
    """The text of every file, by its path; of a cluster without links and lock-downs there is none."""
    found: dict[str, str] = {}
    for view in clusters:
        found |= _of_cluster(view)
    return dict(sorted(found.items()))


def _of_cluster(view: Desired) -> dict[str, str]:
    cluster = view["request"]["cluster"]
    links = {f"links/{name}.yaml": _text(*found) for name, found in _by_link(view).items()}
    ports = _services(view)
    files = {**_folder("", links), **(_folder("gateway-ports/", {"services.yaml": _text(*ports)}) if ports else {})}
    return {f"{cluster}/{path}": text for path, text in files.items()}


def _folder(prefix: str, files: Mapping[str, str]) -> dict[str, str]:
    """Files with the kustomization that names them; nothing where there are none."""
    if not files:
        return {}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(files),
    }
    named = {"kustomization.yaml": _text(kustomization), **files}
    return {f"{prefix}{path}": text for path, text in named.items()}


def _by_link(view: Desired) -> dict[str, list[Manifest]]:
    found: dict[str, list[Manifest]] = defaultdict(list)
    for side in names.SIDES:
        for manifest in render(side, view[side]):
            found[manifest["metadata"]["labels"][names.LABEL_LINK]].append(manifest)
    return {link: sorted(manifests, key=_place) for link, manifests in found.items()}


def _place(manifest: Manifest) -> tuple[int, tuple[str, str, str]]:
    return _ORDER[manifest["kind"]], key_of(manifest)


def _services(view: Desired) -> Sequence[Manifest]:
    """The ports that site opens on the gateways' Services; both gateways may be one."""
    ports: dict[tuple[str, str], set[int]] = defaultdict(set)
    for side in (view[name] for name in names.SIDES):
        ports[side["namespace"], side["service"]] |= set(side["ports"])
    return [
        service_manifest({"namespace": namespace, "name": name}, [service_port(number) for number in sorted(numbers)])
        for (namespace, name), numbers in sorted(ports.items())
        if numbers
    ]


def _text(*documents: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True, width=120)
    return text
