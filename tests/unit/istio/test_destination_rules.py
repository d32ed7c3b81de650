# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DestinationRules: where Istio looks, what it merges, and with which TLS a proxy goes out."""

from __future__ import annotations

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import clusters, scopes
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.clusters import Cluster
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Proxy
from tests.unit.istio.objects import (
    GATE,
    HOST,
    ROOT,
    SHOP,
    TEAM,
    Object,
    entry,
    gateway,
    mesh_of,
    rule,
    subset,
    workload,
)

OURS = rule(f"{GATE}/ours", 5, subsets=[subset("link", "MUTUAL", credentialName="ours")])
EVERYBODY = rule(f"{ROOT}/all", 1, host="*.example.com", trafficPolicy={"tls": {"mode": "SIMPLE"}})


def cluster(proxy: Proxy, *objects: Object, name: str = "link", host: str = HOST) -> Cluster | None:
    scope = scopes.scope_of(mesh_of(entry(f"{GATE}/entry"), *objects), proxy)
    return clusters.outbound(scope, host, 3306, name)


def socket(proxy: Proxy, *objects: Object, name: str = "link") -> str:
    """How a proxy goes out; nothing where it has no such cluster."""
    found = cluster(proxy, *objects, name=name)
    return found.socket if found else ""


def test_a_subset_carries_its_own_tls() -> None:
    assert socket(gateway(), OURS) == "mutual"
    assert socket(gateway(), OURS, name="") == "plain"


@pytest.mark.parametrize("host", [HOST, "*.example.com", "*"])
def test_a_rule_in_the_workloads_namespace_hides_ours_whatever_its_age(host: str) -> None:
    """Ours is in the Service's namespace, which is looked into only after the proxy's own."""
    theirs = rule(f"{SHOP}/theirs", 9, host=host)
    assert socket(workload(SHOP), OURS, theirs) == ""
    assert socket(workload(TEAM), OURS, theirs) == "plain"


def test_a_wider_host_in_our_namespace_does_not_count_beside_ours() -> None:
    assert socket(gateway(), OURS, rule(f"{GATE}/theirs", 1, host="*.example.com")) == "mutual"


def test_the_root_namespace_comes_last() -> None:
    assert socket(workload(TEAM), EVERYBODY, name="") == "simple"
    assert socket(workload(TEAM), EVERYBODY, OURS, name="") == "plain"


def test_a_proxy_of_the_root_namespace_takes_what_is_private_there_first() -> None:
    private = rule(f"{ROOT}/own", 9, exportTo=["."], trafficPolicy={"tls": {"mode": "SIMPLE"}})
    assert socket(gateway(ROOT), OURS, private) == ""
    assert socket(gateway(ROOT), OURS, EVERYBODY) == "mutual"


def test_rules_of_one_host_and_namespace_are_one() -> None:
    theirs = rule(f"{GATE}/theirs", 1, subsets=[subset("v1")])
    assert socket(gateway(), OURS, theirs) == "mutual"
    assert socket(gateway(), OURS, theirs, name="v1") == "plain"


def test_of_two_subsets_of_one_name_the_older_one_counts() -> None:
    theirs = [subset("link", "DISABLE")]
    assert socket(gateway(), OURS, rule(f"{GATE}/theirs", 1, subsets=theirs)) == "plain"
    assert socket(gateway(), OURS, rule(f"{GATE}/theirs", 9, subsets=theirs)) == "mutual"


def test_of_one_second_the_name_decides() -> None:
    theirs = [subset("link", "DISABLE")]
    assert socket(gateway(), OURS, rule(f"{GATE}/before", 5, subsets=theirs)) == "plain"
    assert socket(gateway(), OURS, rule(f"{GATE}/zebra", 5, subsets=theirs)) == "mutual"


def test_another_export_is_not_merged_and_the_last_one_counts() -> None:
    """The rule that comes last stands alone, so that the subset of the first is not there."""
    younger = rule(f"{GATE}/theirs", 9, exportTo=["*"])
    assert socket(gateway(), OURS, younger) == ""
    older = rule(f"{GATE}/theirs", 1, exportTo=["*"])
    assert socket(gateway(), OURS, older) == "mutual"


def test_a_wider_export_is_merged_into_an_older_narrower_one() -> None:
    narrow = rule(f"{GATE}/narrow", 1, exportTo=["."], trafficPolicy={"tls": {"mode": "SIMPLE"}})
    wide = rule(f"{GATE}/wide", 9, exportTo=[".", SHOP], subsets=[subset("v1")])
    assert socket(gateway(), narrow, wide, name="v1") == "simple"
    # To others the narrow one is not exported, so that there is nothing to be merged into.
    assert socket(workload(SHOP), narrow, wide, name="v1") == "plain"


def test_a_rule_that_is_not_exported_to_us_still_stands_before_the_root_namespace() -> None:
    hidden = rule(f"{GATE}/hidden", 5, exportTo=[TEAM])
    assert socket(workload(SHOP), EVERYBODY, hidden, name="") == "simple"
    assert socket(workload(TEAM), EVERYBODY, hidden, name="") == "plain"


def test_a_selector_is_for_proxies_of_its_own_namespace() -> None:
    chosen = rule(f"{GATE}/chosen", 9, workloadSelector={"matchLabels": {"istio": "egress"}}, subsets=[subset("link")])
    assert socket(gateway(istio="egress"), OURS, chosen) == "plain"
    assert socket(gateway(istio="other"), OURS, chosen) == "mutual"
    assert socket(workload(SHOP, istio="egress"), OURS, chosen) == "plain"


def test_a_selector_that_fits_nobody_hides_rules_of_wider_hosts() -> None:
    nobody = rule(f"{SHOP}/nobody", 9, workloadSelector={"matchLabels": {"app": "nobody"}})
    assert socket(workload(SHOP), OURS, nobody) == ""


def test_a_private_rule_is_lost_in_one_with_a_selector() -> None:
    """Istio takes it in there, as the two have one exportTo, and nobody without the labels gets it."""
    chosen = rule(f"{SHOP}/chosen", 1, workloadSelector={"matchLabels": {"app": "nobody"}})
    private = rule(f"{SHOP}/private", 5, exportTo=["."], trafficPolicy={"tls": {"mode": "SIMPLE"}})
    assert socket(workload(SHOP), chosen, private, name="") == "plain"
    assert socket(workload(SHOP), private, name="") == "simple"


def test_a_credential_counts_in_sidecars_only_with_a_selector() -> None:
    tls = {"tls": {"mode": "SIMPLE", "credentialName": "c"}}
    assert socket(workload(SHOP), rule(f"{SHOP}/r", trafficPolicy=tls), name="") == "plain"
    chosen = rule(f"{SHOP}/r", workloadSelector={"matchLabels": {}}, trafficPolicy=tls)
    assert socket(workload(SHOP), chosen, name="") == "simple"


def test_a_port_takes_nothing_over_from_the_rule() -> None:
    settings = [{"port": {"number": 3306}, "connectionPool": {}}]
    wide = {"tls": {"mode": "SIMPLE"}}
    assert socket(gateway(), rule(f"{GATE}/r", trafficPolicy=wide), name="") == "simple"
    assert (
        socket(gateway(), rule(f"{GATE}/r", trafficPolicy={**wide, "portLevelSettings": settings}), name="") == "plain"
    )
    subsets = [{"name": "link", "trafficPolicy": {"portLevelSettings": settings}}]
    assert socket(gateway(), rule(f"{GATE}/r", trafficPolicy=wide, subsets=subsets)) == "plain"


def test_mutual_without_a_credential_or_files_is_plain_text() -> None:
    assert socket(gateway(), rule(f"{GATE}/r", subsets=[subset("link", "MUTUAL")])) == "plain"
    files = subset("link", "MUTUAL", clientCertificate="/c", privateKey="/k")
    assert socket(gateway(), rule(f"{GATE}/r", subsets=[files])) == "mutual"


def test_a_subset_by_dns_that_nothing_belongs_to_is_not_there() -> None:
    labelled = {"name": "link", "labels": {"version": "v1"}}
    assert socket(gateway(), rule(f"{GATE}/r", subsets=[labelled])) == ""
    found = entry(f"{GATE}/more", 9, endpoints=[{"address": "x", "labels": {"version": "v1"}}])
    assert socket(gateway(), rule(f"{GATE}/r", subsets=[labelled]), found) == "plain"


def test_inside_the_mesh_tls_goes_by_the_other_side() -> None:
    own = entry(f"{TEAM}/own", host="in.example.com", location="MESH_INTERNAL")
    found = cluster(gateway(), own, name="", host="in.example.com")
    assert found is not None
    assert found.socket == "auto"
