# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A link that has every key that one of protocol http can have."""

from __future__ import annotations

from tests.unit.support import link

__all__ = ["HTTP", "POD"]

POD = {"namespace": "shop", "selector": {"app": "web"}, "container": "web"}
HTTP = link(
    name="web",
    fqdn="web.server.example.com",
    port=80,
    tls_port=13380,
    protocol="http",
    timeout="15s",
    retries={"attempts": 2, "per_try_timeout": "2s", "retry_on": "503"},
    max_connection_duration="1h",
    servers=[{"name": "cluster-b", "address": "203.0.113.7", "locality": "europe/b"}],
    clients=["cluster-a"],
    foreign_clients=["billing.partner.example"],
    workloads={"namespaces": ["shop"], "service_accounts": ["billing/reports"]},
    addresses=["240.0.0.10"],
    strict_backend=True,
    allow_backend_port=True,
    probe={"type": "http", "from": POD, "path": "/x", "status": "204", "required": True},
    state="present",
)
