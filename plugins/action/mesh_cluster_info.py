# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_cluster_info; documented in plugins/modules/mesh_cluster_info.py."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils import revocation
from ansible_collections.crossmesh.mtls.plugins.module_utils.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils.authority import Authority, authority_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils.credentials import authority_of
from ansible_collections.crossmesh.mtls.plugins.module_utils.reading import Request, read_cluster
from ansible_collections.crossmesh.mtls.plugins.module_utils.store import FileStore
from ansible_collections.crossmesh.mtls.plugins.module_utils.watch import clock_warnings
from ansible_collections.crossmesh.mtls.plugins.plugin_utils.cluster_action import (
    GATEWAY,
    REVOKED,
    ClusterAction,
    gateway,
    revoked,
)

REQUEST = (
    "instance",
    "cluster",
    "ingress_gateway",
    "egress_gateway",
    "links",
    "client_credential",
    "backends",
    "lockdown",
)


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "instance": {"type": "str", "default": "default"},
        "cluster": {"type": "str", "required": True},
        "ingress_gateway": GATEWAY,
        "egress_gateway": GATEWAY,
        "links": {"type": "list", "elements": "str", "default": []},
        "client_credential": {"type": "str", "default": "client-credential"},
        "backends": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "service": {"type": "str", "required": True},
                "namespace": {"type": "str", "required": True},
            },
        },
        "lockdown": {"type": "list", "elements": "str", "default": []},
        "ca_dir": {"type": "path", "required": True},
        "revoked": REVOKED,
    }

    def work(self, api: Api, params: dict[str, Any]) -> dict[str, Any]:
        store = FileStore(params["ca_dir"])
        authority, entries = authority_of(store), revoked(params)
        request = Request(
            instance=params["instance"],
            cluster=params["cluster"],
            ingress=gateway(params["ingress_gateway"]),
            egress=gateway(params["egress_gateway"]),
            links=params["links"],
            client_credential=params["client_credential"],
            backends=[(item["service"], item["namespace"]) for item in params["backends"]],
            lockdown=params["lockdown"],
        )
        # Beyond serials only where trust is on the move, or something is revoked: each pod is one more question.
        reading = read_cluster(api, request, trust=bool(authority.lists) or authority.phase not in ("absent", "steady"))
        reading["authority"] = authority_to_json(authority)
        reading.update(_revocation(store, authority, entries, datetime.now(UTC)))
        return {
            "changed": False,
            "warnings": [f"{params['cluster']}: {line}" for line in clock_warnings(reading["clock_ahead"])],
            "id": uuid.uuid4().hex,
            "request": {key: params[key] for key in REQUEST},
            "phase": authority.phase,
            "state": authority.state,
            "lists_due": reading["lists_due"],
            "lists_wrong": reading["lists_wrong"],
            "clock_ahead": int(reading["clock_ahead"]),
            # As one text: Ansible would otherwise look into each of its thousands of values whenever it is handed on.
            "reading": json.dumps(reading),
        }


def _revocation(
    store: FileStore, authority: Authority, entries: Sequence[revocation.Entry], now: datetime
) -> dict[str, Any]:
    """What is revoked, what no certificate answers to, and why lists are to be made anew."""
    if not entries and not authority.lists:
        return {"revoked": [], "unmatched": [], "lists_due": "", "lists_wrong": False}
    records = store.records(now)
    wanted, lists = revocation.wanted_lists(entries, records, authority.listed(now)), store.lists()
    return {
        "revoked": sorted(revocation.revoked_serials(entries, records)),
        "unmatched": [
            *revocation.unmatched(entries, records),
            *revocation.let_in_again(wanted, lists, records),
        ],
        "lists_due": revocation.why_due(wanted, lists, now),
        "lists_wrong": revocation.are_wrong(wanted, lists, records),
    }
