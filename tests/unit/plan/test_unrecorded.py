# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster holds that the CA's records do not know there; what attackers make of it is in tests/attacks."""

from __future__ import annotations

import re

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record, record_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import LiveSecret
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.revoked import check_revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf, timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.unrecorded import Unrecorded, unrecorded_in
from tests.unit.pki.support import NOW
from tests.unit.plan.test_plan import AUTHORITY, ROOT, leaf_of, secret
from tests.unit.support import SERVER, codes_of, link, view


def recorded(leaf: Leaf, cluster: str = "cluster-b") -> Record:
    return record_of(
        leaf.view,
        issuer=ROOT.view,
        instance="default",
        cluster=cluster,
        side="server",
        links=["mysql"],
        secret="istio-system/mysql-credential",
        now=NOW,
    )


def found(held: LiveSecret, *records: Record, links: tuple[str, ...] = ("mysql",)) -> list[Unrecorded]:
    wanted = view([link(name=name) for name in links], SERVER)
    return unrecorded_in([held], {"server": wanted["server"], "client": wanted["client"]}, records, AUTHORITY, NOW)


def test_what_is_recorded_of_the_cluster_is_no_stray() -> None:
    leaf = leaf_of()
    assert found(secret(leaf), recorded(leaf)) == []
    assert codes_of([stray.alarm for stray in found(secret(leaf))]) == ["unrecorded-certificate"], "the control"


def test_a_stray_is_recorded_as_what_it_is() -> None:
    leaf = leaf_of()
    (stray,) = found(secret(leaf))
    assert stray.record
    assert (stray.side, stray.record.side, stray.record.cluster) == ("server", "server", "cluster-b")
    assert (stray.record.serial, stray.record.links) == (leaf.view.serial, ("mysql",))
    assert stray.record.issued_at == timestamp(leaf.view.not_before), "no entry that is later than it misses it"


def test_a_secret_that_no_link_needs_any_more_is_looked_at_too() -> None:
    (stray,) = found(
        secret(leaf_of(), name="old-credential", labels=Owner("default", "cluster-b", "server").labels("old"))
    )
    assert stray.alarm.where == "Secret istio-system/old-credential"
    assert found(secret(leaf_of(), name="old-credential", labels={})) == []


def test_a_certificate_of_another_cluster_is_told_as_a_copy() -> None:
    leaf = leaf_of()
    (stray,) = found(secret(leaf), recorded(leaf, "cluster-c"))
    assert codes_of([stray.alarm]) == ["copied-certificate"]
    assert stray.record is None


def test_a_serial_that_is_recorded_of_another_certificate_replaces_no_record() -> None:
    leaf, other = leaf_of(), recorded(leaf_of())
    same = recorded(leaf)
    taken = Record(**{**other.__dict__, "serial": same.serial})
    (stray,) = found(secret(leaf), taken)
    assert codes_of([stray.alarm]) == ["unrecorded-certificate"]
    assert stray.record is None


@pytest.mark.parametrize("holders", [(), ("cluster-c",)])
def test_the_entry_of_a_fix_is_one_as_it_stands(holders: tuple[str, ...]) -> None:
    """Its date stood for one that an operator had to write himself."""
    leaf = leaf_of()
    (stray,) = found(secret(leaf), *(recorded(leaf, holder) for holder in holders))
    (entry,) = re.findall(r"\{.*?\}", stray.alarm.fix)
    assert check_revoked([yaml.safe_load(entry)], NOW) == []
    assert check_revoked([{"cluster": "cluster-c", "date": "NOW"}], NOW) != [], "the control"
