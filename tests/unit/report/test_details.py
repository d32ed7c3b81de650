# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look hands on for a report: certificates alone, and what gateways offer, out of answers of real ones."""

from __future__ import annotations

import json

from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.details import (
    ClusterDetails,
    details_of,
    stored_in,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.negotiation import negotiated
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import Offer
from tests.unit.plan.test_plan import leaf_of, reading, secret
from tests.unit.proxy.test_judge import DUMPS, pod_of, service_of
from tests.unit.support import CLIENT, SERVER, link, view


def offers(side: Side) -> list[Offer]:
    """Of the link mysql, by a gateway that answered so."""
    wanted = view([link()], SERVER if side == "server" else CLIENT)[side]
    found = reading(pods={side: [pod_of(side, DUMPS[side])]}, services={side: service_of(side)})
    return details_of(found, {side: wanted})["offers"][side]["mysql"]


def test_real_gateways_of_istio_negotiate_both_versions() -> None:
    client, server = offers("client"), offers("server")
    assert {offer["minimum"] for offer in (*client, *server)} == {"TLSv1_2"}
    assert negotiated(client, server).versions == ("TLSv1.2", "TLSv1.3")


def test_the_way_out_counts_and_not_the_way_in() -> None:
    """An egress gateway takes workloads with the mesh's own TLS, which is another hop."""
    assert len(offers("client")) == 1


def test_a_gateway_that_was_not_read_offers_nothing() -> None:
    wanted = view([link()], SERVER)["server"]
    assert details_of(reading(), {"server": wanted})["offers"] == {"server": {}}


def test_certificates_are_handed_on_by_place_and_read_back() -> None:
    leaf = leaf_of()
    found = reading(secrets=[secret(leaf)])
    details: ClusterDetails = json.loads(json.dumps(details_of(found, {"server": view([link()], SERVER)["server"]})))
    ((place, stored),) = stored_in(details, "cluster-b").items()
    assert place == ("server", "mysql-credential")
    assert (stored.view, stored.location) == (leaf.view, "Secret istio-system/mysql-credential in cluster cluster-b")


def test_what_is_no_certificate_any_more_is_left_out() -> None:
    details: ClusterDetails = {"certificates": {"server": {"istio-system/mysql-credential": "cut off"}}, "offers": {}}
    assert stored_in(details, "cluster-b") == {}
