# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certificates outlast: who is told, until when, and what is revoked by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.holdings import (
    REASON,
    Grants,
    Removal,
    nothing_given,
    still_valid,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import Entry, revoked_serials
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.grants import grants_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.revoked import entries_or_refusal
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, Revoked, issue_crl
from tests.unit.pki.support import NOW, make_root
from tests.unit.support import CLIENT, SERVER, Json, link, numbered, refused

DOMAIN = "crossmesh.internal"
MYSQL, BANK = link(), numbered(1, name="bank", fqdn="bank.server.example.com")
ROOT = make_root()


def record(serial: str, cluster: str = "cluster-a", links: Sequence[str] = ("mysql",), **changes: Any) -> Record:
    """A client's certificate, as a store keeps it."""
    made = Record(
        serial=serial,
        fingerprint=serial.rjust(64, "f"),
        sans=(f"{cluster}.cluster.{DOMAIN}", *(f"{name}.link.{DOMAIN}" for name in links)),
        instance="default",
        cluster=cluster,
        side="client",
        links=tuple(links),
        secret="istio-system/client-credential",
        not_before="2026-05-01T00:00:00Z",
        not_after="2026-08-01T00:00:00Z",
        issuer=ROOT.view.fingerprint,
        issued_at="2026-05-01T00:00:00Z",
    )
    return replace(made, **changes)


def server_record(serial: str, name: str = "mysql", cluster: str = "cluster-b") -> Record:
    return record(serial, cluster, [name], side="server", sans=(f"{name}.server.example.com",), secret="x/y")


def grants(links: Sequence[Json], *clusters: Json, **shared: Any) -> Grants:
    """What an inventory of these clusters gives."""
    everywhere = {"mesh_instance": "default", "mesh_links": list(links), "mesh_clusters": None, **shared}
    return grants_of({item["mesh_cluster_name"]: item for item in clusters}, everywhere)


OTHER: Json = {"mesh_cluster_name": "cluster-c", "groups": ["mesh_clients"]}
WITHOUT_C = {**MYSQL, "clients": ["cluster-a"]}


def told(records: Sequence[Record], given: Grants, *, revoked: Sequence[str] = (), removal: bool = False) -> Any:
    return still_valid(records, given, revoked, NOW, removal=removal)


def shown_entries(message: Message, records: Sequence[Record]) -> set[str]:
    """What the entries that a message shows revoke, once they are in custom_ca_revoked."""
    found = [yaml.safe_load(entry) for entry in re.findall(r"\{[^}]*\}", message.fix)]
    return set(revoked_serials(entries_or_refusal(found, NOW), records))


# -- what outlasts -------------------------------------------------------------------------------------------------


def test_nothing_is_told_of_who_is_given_what_its_certificate_names() -> None:
    records = [record("1"), server_record("2")]
    assert told(records, grants([MYSQL], CLIENT, SERVER)) == []
    # The control: the same records, once the link is gone.
    assert [item.where for item in told(records, grants([BANK], CLIENT, SERVER))] == [
        "cluster cluster-a",
        "cluster cluster-b",
    ]


@pytest.mark.parametrize(
    ("given", "why", "entry"),
    [
        (grants([WITHOUT_C], CLIENT, SERVER, OTHER), "it is given no link any more", "{cluster: 'cluster-c'"),
        (grants([MYSQL], CLIENT, SERVER), "it is not in this inventory any more", "{cluster: 'cluster-c'"),
        (
            grants([MYSQL], CLIENT, SERVER, {**OTHER, "mesh_cluster_state": "absent"}),
            "it is given no link any more",
            "{cluster: 'cluster-c'",
        ),
        (
            grants([{**MYSQL, "state": "absent"}, BANK], CLIENT, SERVER, OTHER),
            "it is not given link mysql any more",
            "{link: 'mysql'",
        ),
        (grants([WITHOUT_C, BANK], CLIENT, SERVER, OTHER), "it is not given link mysql any more", "{serial: '7'"),
    ],
    ids=["client", "cluster", "absent", "link", "narrowed"],
)
def test_who_was_taken_out_is_told_with_the_entry_that_ends_it(given: Grants, why: str, entry: str) -> None:
    mine = record("7", "cluster-c")
    (message,) = [item for item in told([record("1"), server_record("2"), mine], given) if "-c" in item.where]
    assert (message.code, message.level, message.where) == ("removed-still-valid", "warning", "cluster cluster-c")
    assert message.what.startswith(f"{why}; gateways accept its certificates until 2026-08-01T00:00:00Z: 7 (client: ")
    assert "mysql.link.crossmesh.internal" in message.what
    assert entry in message.fix
    assert "7" in shown_entries(message, [mine])


def test_each_holder_is_told_of_once_and_of_many_certificates_by_their_number() -> None:
    records = [record(f"{number:x}", "cluster-c") for number in range(1, 8)]
    (message,) = told([record("aa"), *records], grants([WITHOUT_C], CLIENT, SERVER, OTHER))
    assert "; 4 more" in message.what
    assert shown_entries(message, records) == {item.serial for item in records}


def test_many_certificates_of_who_is_still_a_client_are_revoked_by_its_cluster() -> None:
    """Its present one is among them, and is issued anew in the same run."""
    records = [record(f"{number:x}", "cluster-c") for number in range(1, 8)]
    (message,) = told(records, grants([WITHOUT_C, BANK], CLIENT, SERVER, OTHER))
    assert message.fix.count("{") == 1
    assert shown_entries(message, records) == {item.serial for item in records}


def test_an_entry_that_is_shown_cuts_off_no_other_instance() -> None:
    """E4, a sibling: entries of a cluster or a link mean every instance on the store."""
    mine, others = record("7", "cluster-c"), record("8", "cluster-c", instance="blue")
    (message,) = told([mine, others], grants([WITHOUT_C], CLIENT, SERVER, OTHER))
    assert shown_entries(message, [mine, others]) == {"7"}
    (alone,) = told([mine], grants([WITHOUT_C], CLIENT, SERVER, OTHER))
    assert shown_entries(alone, [mine, others]) == {"7", "8"}, "the control: what is shown without another instance"


def test_what_gateways_refuse_already_is_not_told() -> None:
    given = grants([WITHOUT_C], CLIENT, SERVER, OTHER)
    assert told([record("7", "cluster-c")], given, revoked=["7"]) == []
    assert len(told([record("7", "cluster-c")], given, revoked=["8"])) == 1


def test_a_name_in_the_certificate_counts_whatever_its_record_says() -> None:
    """A1, what is left of it: a certificate that names more links than its record."""
    forged = replace(record("7", "cluster-c", ["mysql", "bank"]), links=("mysql",))
    (message,) = told([forged], grants([MYSQL, {**BANK, "clients": ["cluster-a"]}], CLIENT, SERVER, OTHER))
    assert "it is not given link bank any more" in message.what
    entry = Entry("link", "bank", "keyCompromise", NOW)
    assert revoked_serials([entry], [forged]) == {"7"}
    assert revoked_serials([entry], [replace(forged, sans=forged.sans[:-1])]) == set()


def test_an_external_server_is_told_of_when_its_link_goes() -> None:
    inside = {key: value for key, value in MYSQL.items() if key not in ("backend", "tls_port")}
    external = {**inside, "external": {"address": "db.example.com", "port": 13306, "ca": "/srv/db"}}
    held = record("7", "external:mysql", ["mysql"], side="server", sans=("mysql.server.example.com",))
    assert told([held], grants([external], CLIENT, SERVER)) == []
    (message,) = told([held], grants([MYSQL], CLIENT, SERVER))
    assert message.where == "external server of link mysql"
    assert shown_entries(message, [held]) == {"7"}


def test_a_teardown_tells_of_the_sides_that_it_takes_away() -> None:
    given = nothing_given("default", "cluster-a", ["client"])
    records = [record("1"), server_record("2", cluster="cluster-a"), record("3", "cluster-c")]
    (message,) = told(records, given)
    assert message.where == "cluster cluster-a"
    assert "1 (client: " in message.what
    assert "2 (server: " not in message.what


# -- what this part of an inventory cannot tell ----------------------------------------------------------------------


def test_nothing_is_judged_of_another_instance() -> None:
    gone = grants([WITHOUT_C], CLIENT, SERVER)
    assert told([record("7", "cluster-c", instance="blue")], gone) == []
    assert len(told([record("7", "cluster-c")], gone)) == 1


def test_nothing_is_judged_of_a_cluster_in_another_slice() -> None:
    """Its groups are known to its own slice only: `clients` may name one of them."""
    declared = {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"], "cluster-c": ["mesh_clients"]}
    links = [{**MYSQL, "clients": ["europe"]}]
    held = [record("7", "cluster-c")]
    assert told(held, grants(links, CLIENT, SERVER, mesh_clusters=declared)) == []
    removed = {name: groups for name, groups in declared.items() if name != "cluster-c"}
    assert len(told(held, grants(links, CLIENT, SERVER, mesh_clusters=removed))) == 1


def test_a_slice_that_nobody_told_of_the_others_says_how_to() -> None:
    (message,) = told([record("7", "cluster-c")], grants([MYSQL], CLIENT, SERVER))
    assert message.fix.startswith("if it was removed, add {cluster: 'cluster-c'")
    assert message.fix.endswith("set mesh_clusters")


def test_a_link_that_is_not_sound_is_not_taken_for_one_that_is_gone() -> None:
    with refused("missing"):
        grants([{key: value for key, value in MYSQL.items() if key != "port"}], CLIENT, SERVER)


# -- revoked by itself ---------------------------------------------------------------------------------------------


def removed(
    records: Sequence[Record], given: Grants, lists: Sequence[Crl] = (), *entries: Entry, **changes: bool
) -> dict[str, Entry]:
    options = {"limited": False, "foreseen": False, **changes}
    return {item.value: item for item in Removal(given, **options).entries(entries, records, lists, NOW)}


def listing(*serials: str) -> Crl:
    revoked = [Revoked(serial, NOW - timedelta(days=3), REASON) for serial in serials]
    return issue_crl(root=ROOT.view, key=ROOT.key, revoked=revoked, number=1, now=NOW, validity=timedelta(days=365))


def test_who_is_given_nothing_is_revoked_at_once() -> None:
    records = [record("1"), server_record("2"), record("7", "cluster-c")]
    given = grants([WITHOUT_C], CLIENT, SERVER, OTHER)
    found = removed(records, given)
    assert set(found) == {"7"}
    assert revoked_serials(found.values(), records) == {"7"}
    assert found["7"].reason == REASON
    assert set(removed(records, grants([MYSQL], CLIENT, SERVER, OTHER))) == set(), "the control: it is a client"


def test_a_certificate_that_is_in_use_is_revoked_once_there_is_another_one() -> None:
    """Its holder is still a client of the other link: until it has the next certificate it would be cut off there."""
    given = grants([WITHOUT_C, BANK], CLIENT, SERVER, OTHER)
    old = record("7", "cluster-c", ["mysql", "bank"])
    new = record("8", "cluster-c", ["bank"], issued_at="2026-06-01T00:00:00Z")
    assert set(removed([old], given)) == set()
    assert set(removed([old], given, foreseen=True)) == {"7"}
    assert set(removed([old, new], given)) == {"7"}
    assert set(removed([old, replace(new, issued_at="2026-04-01T00:00:00Z")], given)) == set(), "an older one"
    assert set(removed([old, replace(new, cluster="cluster-a")], given)) == set(), "somebody else's"
    wider = record("9", "cluster-c", ["mysql"], issued_at="2026-06-02T00:00:00Z")
    assert set(removed([old, wider], given)) == {"9"}, "one that is itself to go is none"


def test_who_keeps_a_link_by_what_is_revoked_is_told_from_who_keeps_nothing() -> None:
    given = grants([WITHOUT_C, BANK], CLIENT, SERVER, OTHER)
    records = [record("7", "cluster-c", ["mysql", "bank"]), record("8", "cluster-c", ["mysql"])]
    removal = Removal(given, limited=False, foreseen=True)
    found = removal.entries((), records, (), NOW)
    assert {entry.value for entry in found} == {"7", "8"}
    assert removal.keeping(found, records) == {"7"}
    assert removal.keeping((), records) == frozenset()


def test_a_run_on_some_links_takes_nothing_new_for_removed_and_keeps_what_was() -> None:
    given = grants([WITHOUT_C], CLIENT, SERVER, OTHER)
    records = [record("7", "cluster-c"), record("8", "cluster-c")]
    assert set(removed(records, given, limited=True)) == set()
    assert set(removed(records, given, [listing("8")], limited=True)) == {"8"}
    assert set(removed(records, given)) == {"7", "8"}


def test_a_cluster_that_no_host_has_is_revoked_where_all_are_declared() -> None:
    """A job slice shows nobody that it is one: what it lacks is not removed."""
    held, declared = [record("7", "cluster-c")], {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"]}
    assert set(removed(held, grants([MYSQL], CLIENT, SERVER))) == set()
    assert set(removed(held, grants([MYSQL], CLIENT, SERVER, mesh_clusters=declared))) == {"7"}
    away = {**declared, "cluster-c": ["mesh_clients"]}
    assert set(removed(held, grants([MYSQL], CLIENT, SERVER, mesh_clusters=away))) == set()
    assert set(removed(held, grants([MYSQL], CLIENT, SERVER), [listing("7")])) == {"7"}, "it was absent before"


def test_what_is_on_a_list_keeps_its_date_and_goes_when_it_is_given_again() -> None:
    records, lists = [record("7", "cluster-c")], [listing("7")]
    kept = removed(records, grants([WITHOUT_C], CLIENT, SERVER, OTHER), lists)
    assert kept["7"].until == NOW - timedelta(days=3)
    assert set(removed(records, grants([MYSQL], CLIENT, SERVER, OTHER), lists)) == set()


def test_what_an_entry_revokes_is_left_to_the_entry() -> None:
    given, entry = grants([WITHOUT_C], CLIENT, SERVER, OTHER), Entry("cluster", "cluster-c", "keyCompromise", NOW)
    assert removed([record("7", "cluster-c")], given, (), entry) == {}
    late = replace(entry, until=NOW - timedelta(days=300))
    assert set(removed([record("7", "cluster-c")], given, (), late)) == {"7"}


def test_nothing_of_another_instance_is_revoked() -> None:
    given = grants([WITHOUT_C], CLIENT, SERVER, OTHER)
    assert removed([record("7", "cluster-c", instance="blue")], given) == {}
