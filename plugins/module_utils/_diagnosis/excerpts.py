# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an inventory, of a look and of a proof goes into a diagnosis: by name, nothing else. Pure.

PRIVATE to the collection. A variable that is not of the contract, or a key that the schema does not know, may hold
anything, and is not handed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import Json, mapping, mappings
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import shown_path

__all__ = ["of_external", "of_look", "of_proof", "of_variables", "picked"]

_FIELDS: Mapping[str, schema.Field] = {field.name: field for field in schema.CONTRACT}
# Of texts: paths, in whose place somebody may have pasted what the file holds.
_PATHS = frozenset(
    {
        "mesh_kubeconfig",
        "mesh_argocd_kubeconfig",
        "mesh_api_ca_cert",
        "custom_ca_dir",
        "custom_ca_store_kubeconfig",
        "custom_ca_import_certificate",
        "custom_ca_import_key",
        # Of an external server.
        "ca",
    }
)
_TRUST = "trust"
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----")
_NUMBER = re.compile(r"-?[0-9]{1,12}|true|false|yes|no", re.ASCII | re.IGNORECASE)
# Not manifests and details: the one is what the templates make of the inventory, the other what the report has.
_OF_LOOK = (
    "cluster",
    "instance",
    "identity",
    "presence",
    "phase",
    "state",
    "lists_due",
    "lists_wrong",
    "awaited",
    "clock_ahead",
    "rolled_back",
    "settled",
    "options",
    "warnings",
    "errors",
    "msg",
)
_OF_SIDE = (
    "side",
    "namespace",
    "service",
    "selector",
    "links",
    "status",
    "errors",
    "barring",
    "warnings",
    "notices",
    "alarms",
    "report",
    "renewals",
    "lines",
    "faults",
    "changed",
    "drifted",
    "served",
    "proven",
    "settled",
    "judged",
    "moved",
    "issuers",
    "surplus",
    "expected",
    "endpoints",
    "unbacked",
)
_OF_SERVER = ("link", "action", "reason", "message", "messages")
_OF_EXTERNAL = ("failed", "msg", "errors", "alarms", "not_loaded", "waiting")
_OF_PROOF = ("failed", "unreachable", "msg", "errors", "faults", "warnings", "not_asked", "report", "links")


def of_variables(given: Mapping[str, Any]) -> dict[str, Any]:
    """The contract's variables among these, as far as the schema knows them."""
    return {name: _of_field(_FIELDS[name], value) for name, value in given.items() if name in _FIELDS}


def of_look(look: Json) -> dict[str, Any]:
    """:param look: the result of mesh_cluster_info, or why there is none."""
    sides = {name: picked(mapping(side), _OF_SIDE) for name, side in mapping(look.get("sides")).items()}
    return {**picked(look, _OF_LOOK), "sides": sides}


def of_proof(proof: Json) -> dict[str, Any]:
    """:param proof: the result of mesh_probe."""
    return picked(proof, _OF_PROOF)


def of_external(found: Json) -> dict[str, Any]:
    """:param found: the result of custom_ca_external."""
    servers = [picked(server, _OF_SERVER) for server in mappings(found.get("servers"))]
    return {**picked(found, _OF_EXTERNAL), "servers": servers}


def picked(found: Json, names: Sequence[str]) -> dict[str, Any]:
    """What stands under these names."""
    return {name: found[name] for name in names if name in found}


def _of_field(field: schema.Field, value: Any) -> Any:
    """What a user has written, as far as it is what the schema knows: all else may hold anything."""
    if isinstance(value, Mapping) and field.keys:
        known = {key: _of_field(field.by_key[key], item) for key, item in value.items() if key in field.by_key}
        unknown = len(value) - len(known)
        return {**known, "(keys that the schema does not know)": unknown} if unknown else known
    if isinstance(value, Mapping) and field.type == "dict" and field.elements:
        return {key: _of_element(field, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and field.type == "list":
        return [_of_field(field, item) if isinstance(item, Mapping) else _of_element(field, item) for item in value]
    if field.single and not isinstance(value, Mapping):
        return _of_element(field, value)
    return _of_type(field.type, field.name, value)


def _of_element(field: schema.Field, value: Any) -> Any:
    if field.elements == "list" and isinstance(value, (list, tuple)):
        return [_of_type("str", field.name, item) for item in value]
    return _of_type(field.elements, field.name, value)


def _of_type(wanted: str, name: str, value: Any) -> Any:
    """A plain value of its type; Ansible makes texts of numbers."""
    if value is None or (wanted in ("int", "bool", "str") and isinstance(value, (bool, int))):
        return value
    if not isinstance(value, str) or not (wanted == "str" or _NUMBER.fullmatch(value)):
        return f"not shown: {type(value).__name__} in place of {wanted or 'what is known'}"
    if name == _TRUST:
        return f"{len(_CERTIFICATE.findall(value))} certificates"
    return shown_path(value) if name in _PATHS else value
