# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan says of roots that were not made here: the custom CA's own where it was brought in, and partners'."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from tests.unit.pki.strange_roots import excludes, permits, strange_root
from tests.unit.pki.support import DAY, NOW, Root, make_root
from tests.unit.plan.test_plan import AUTHORITY, POLICY, ROOT, leaf_of, plan_of, reading, secret, settled_reading
from tests.unit.support import CLIENT, Json, codes_of, link, numbered

BANK = link(name="bank", fqdn="bank.server.example.com", port=3307, tls_port=13307)


def authority(*roots: Root) -> Authority:
    """The first issues, the next one is prepared."""
    views = tuple(root.view for root in roots)
    return Authority("/srv/ca", views[0], views, prepared=views[1] if len(views) > 1 else None)


def bounded(root: Root, side: str = "server") -> Any:
    """A server's cluster whose link mysql is in order, and that is to get the link bank."""
    held = secret(leaf_of(root), root)
    if side == "client":
        return plan_of(reading(), [link(), BANK], authority=authority(root), variables=CLIENT, side="client")
    return plan_of(settled_reading(secrets=[held]), [link(), BANK], authority=authority(root))


@pytest.mark.parametrize("side", ["server", "client"])
def test_a_new_link_that_the_root_may_not_name_is_refused_on_both_sides(side: str) -> None:
    plan = bounded(strange_root(excludes("bank.server.example.com")), side)
    assert codes_of(plan.errors) == ["name-not-permitted"]
    assert str(plan.errors[0]).startswith("bank.server.example.com: the root CN=Somebody's Root allows no certificate")
    assert [item.wanted["name"] for item in plan.work.due] == []
    # The control: with a root without bounds, or with ones that leave the name in.
    for root in (strange_root(), strange_root(permits("example.com", "crossmesh.internal"))):
        sound = bounded(root, side)
        assert sound.errors == []
        assert sound.work.due


def test_a_clients_name_that_the_root_may_not_give_holds_its_certificate() -> None:
    plan = bounded(strange_root(permits("example.com")), "client")
    assert {error.where for error in plan.errors} == {
        "cluster-a.cluster.crossmesh.internal",
        "mysql.link.crossmesh.internal",
        "bank.link.crossmesh.internal",
    }
    assert plan.work.due == []


def test_the_root_that_is_to_issue_next_counts_too() -> None:
    next_one = strange_root(excludes("mysql.server.example.com"))
    plan = plan_of(settled_reading(), authority=authority(ROOT, next_one))
    assert codes_of(plan.errors) == ["name-not-permitted"]


def test_a_link_beyond_this_run_is_not_asked_for() -> None:
    root = strange_root(excludes("bank.server.example.com"))
    only = replace(POLICY, only=frozenset({"mysql"}))
    found = settled_reading(secrets=[secret(leaf_of(root), root)])
    assert plan_of(found, [link(), BANK], authority=authority(root), policy=only).errors == []


# -- partners' roots -----------------------------------------------------------------------------------------------


def partner(*roots: str) -> Json:
    external = {"address": "db.example.net", "port": 13306, "trust": "".join(roots)}
    return {"name": "partner", "fqdn": "db.example.net", "port": 5432, "external": external}


def dialled(*roots: str, **changes: Any) -> Any:
    return plan_of(reading(**changes), [partner(*roots), numbered(1)], variables=CLIENT, side="client")


def lasting(days: int) -> str:
    return strange_root(lasts=(days + 1) * DAY, subject=f"{days} days").view.pem


@pytest.mark.parametrize(
    ("roots", "warned", "alarmed"),
    [
        ([lasting(40)], [], []),
        ([lasting(20)], ["20 days ends at"], ["its last root ends at"]),
        ([lasting(20), lasting(25)], ["20 days ends at", "25 days ends at"], ["its last root ends at"]),
        ([lasting(20), lasting(400)], ["20 days ends at"], []),
        ([strange_root(lasts=timedelta(hours=1), subject="old").view.pem, lasting(400)], ["old ended at"], []),
    ],
)
def test_partners_roots_are_told_of_before_they_end(roots: list[str], warned: list[str], alarmed: list[str]) -> None:
    standing = dialled(*roots).standing
    warnings = [str(message) for message in standing.warnings if message.code == "external-root-ends"]
    alarms = [str(message) for message in standing.alarms if message.code == "external-trust-ends"]
    assert len(warnings) == len(warned)
    assert all(words in line for words, line in zip(warned, warnings, strict=True))
    assert len(alarms) == len(alarmed)
    assert all(words in line for words, line in zip(alarmed, alarms, strict=True))
    assert all(line.startswith("link partner: external.trust: ") for line in (*warnings, *alarms))


def test_a_root_that_is_given_twice_is_one() -> None:
    assert dialled(lasting(400), lasting(400)).errors == []


def test_a_partners_root_that_is_the_meshs_own_ca_is_refused() -> None:
    root = make_root()
    plan = dialled(root.view.pem, mesh_roots=[root.view.public_key_fingerprint])
    assert codes_of(plan.errors) == ["mesh-ca"]
    assert plan.errors[0].where == "link partner: external.trust"
    assert dialled(root.view.pem).errors == []


def test_a_partners_root_that_is_our_own_is_refused() -> None:
    plan = dialled(ROOT.view.pem)
    assert codes_of(plan.errors) == ["external-trust-ours"]
    assert "external.ca" in plan.errors[0].fix
    assert AUTHORITY.known == {ROOT.view.fingerprint}


def test_the_clock_of_the_tests() -> None:
    """The roots above are judged at the time of which they were made."""
    assert strange_root(lasts=41 * DAY).view.not_after - NOW == 40 * DAY
