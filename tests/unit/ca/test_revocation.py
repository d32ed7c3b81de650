# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an entry of custom_ca_revoked may be, what it revokes, and when lists are due."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import (
    ALARM,
    LARGE,
    LARGEST,
    RENEW,
    VALIDITY,
    Entry,
    alarms,
    are_wrong,
    awaited,
    check_size,
    given_up,
    let_in_again,
    revoked_serials,
    unmatched,
    wanted_lists,
    why_due,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import BACKDATING
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import show
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.revoked import (
    check_revoked,
    entries_of,
    entries_or_refusal,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import REASONS, Crl, Revoked, issue_crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp
from tests.unit.pki.support import DAY, NOW, Root, make_root
from tests.unit.support import refused

SECOND = timedelta(seconds=1)
OLD, NEW = "0" * 64, "1" * 64
PRESENT = "2026-06-01T12:00:00Z"


def entry(**changes: Any) -> dict[str, Any]:
    """What a user writes, with some keys changed; None takes one away."""
    wanted = {"cluster": "cluster-a", "date": "2026-05-20T08:00:00Z", **changes}
    return {key: value for key, value in wanted.items() if value is not None}


def record(serial: str, **changes: Any) -> Record:
    made = Record(
        serial=serial,
        fingerprint=serial.rjust(64, "f"),
        sans=("cluster-a.cluster.crossmesh.internal",),
        instance="default",
        cluster="cluster-a",
        side="client",
        links=("mysql", "redis"),
        secret="client-credential",
        not_before="2026-05-01T00:00:00Z",
        not_after="2026-08-01T00:00:00Z",
        issuer=OLD,
        issued_at="2026-05-01T00:00:00Z",
    )
    return replace(made, **changes)


# -- what a user wrote ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sound",
    [
        entry(),
        entry(reason="keyCompromise"),
        entry(date="2026-05-31"),
        entry(date=date(2026, 5, 31)),
        entry(date=datetime(2026, 6, 1, 12, 0, 0)),  # noqa: DTZ001 - what YAML makes of a time without a zone
        entry(date=PRESENT),
        entry(date="2026-06-01T14:00:00+02:00"),
        entry(cluster=None, link="mysql"),
        entry(cluster=None, serial="0A:BC"),
        entry(cluster=None, serial="f" * 40),
        entry(cluster=None, fingerprint="AB:" * 31 + "CD"),
    ],
    ids=str,
)
def test_a_sound_entry_has_no_findings(sound: dict[str, Any]) -> None:
    assert check_revoked([sound], NOW) == []


FAULTS: list[tuple[Any, str, str, str, str]] = [
    ("cluster-a", "entry", "type", "is not a mapping", "{cluster: NAME"),
    (entry(clsuter="x"), "clsuter", "unknown-key", "unknown key", "write cluster"),
    (entry(zzz="x"), "zzz", "unknown-key", "unknown key", "write one of cluster, link"),
    (entry(cluster=None), "entry", "revoked-what", "nothing", "serial or fingerprint"),
    (entry(link="mysql"), "cluster, link", "revoked-what", "more than one thing", "separate entries"),
    (entry(cluster=""), "cluster", "revoked-cluster", "is empty", "remove the entry"),
    (entry(cluster=None, link=" "), "link", "revoked-link", "is empty", "remove the entry"),
    (entry(cluster=None, serial=1234), "serial", "type", "is not text", "put it in quotes"),
    (entry(cluster=None, serial="xyz"), "serial", "revoked-serial", "hexadecimal", "openssl x509 -noout -serial"),
    (entry(cluster=None, serial="00"), "serial", "revoked-serial", "positive", "-serial"),
    (entry(cluster=None, serial="f" * 41), "serial", "revoked-serial", "longer", "as fingerprint"),
    (entry(cluster=None, serial="٣"), "serial", "revoked-serial", "hexadecimal", "-serial"),
    (entry(cluster=None, fingerprint="ab" * 20), "fingerprint", "revoked-fingerprint", "SHA-256", "-sha256"),
    (entry(cluster=None, fingerprint="zz" * 32), "fingerprint", "revoked-fingerprint", "SHA-256", "-sha256"),
    (entry(reason="keycompromise"), "reason", "revoked-reason", "is not a reason", "write keyCompromise"),
    (entry(reason="certificateHold"), "reason", "revoked-reason", "RFC 5280", "one of unspecified, key"),
    (entry(reason=["superseded"]), "reason", "revoked-reason", "is not a reason", "write"),
    (entry(date=None), "date", "revoked-date", "required", PRESENT),
    (entry(date="yesterday"), "date", "revoked-date", "ISO 8601", f"e.g. {PRESENT}"),
    (entry(date="2026-02-30"), "date", "revoked-date", "ISO 8601", f"e.g. {PRESENT}"),
    (entry(date=20260520), "date", "revoked-date", "ISO 8601", f"e.g. {PRESENT}"),
    (entry(date="0001-01-01T00:00:00+14:00"), "date", "revoked-date", "ISO 8601", f"e.g. {PRESENT}"),
    (entry(date="1949-12-31"), "date", "revoked-date", "earlier", PRESENT),
    (entry(date="2026-06-01T12:00:01Z"), "date", "revoked-date", "in the future", PRESENT),
    (entry(date="2026-06-01"), "date", "revoked-date", "end of that day", PRESENT),
    (entry(date=date(2026, 6, 1)), "date", "revoked-date", "2026-06-01T23:59:59Z, which is", PRESENT),
]


@pytest.mark.parametrize(("spoiled", "field", "rule", "message", "fix"), FAULTS)
def test_each_fault_is_found_and_its_fix_told(spoiled: Any, field: str, rule: str, message: str, fix: str) -> None:
    (found,) = check_revoked([entry(), spoiled], NOW)
    assert (found.subject, found.field, found.code) == ("custom_ca_revoked[1]", field, rule)
    assert message in found.what
    assert fix in found.fix


@pytest.mark.parametrize("value", [None, {}, "cluster-a", entry()], ids=str)
def test_what_is_no_list_is_told_so(value: Any) -> None:
    (found,) = check_revoked(value, NOW)
    assert (found.code, found.where, found.value) == ("type", "custom_ca_revoked", show(value))


def test_all_faults_come_at_once() -> None:
    spoiled = {"serial": 12, "reason": "because", "why": "so", "date": "soon"}
    found = check_revoked(["x", entry(), spoiled], NOW)
    assert [(item.subject, item.field) for item in found] == [
        ("custom_ca_revoked[0]", "entry"),
        ("custom_ca_revoked[2]", "why"),
        ("custom_ca_revoked[2]", "serial"),
        ("custom_ca_revoked[2]", "reason"),
        ("custom_ca_revoked[2]", "date"),
    ]


def test_a_list_that_nobody_has_checked_is_read_or_refused() -> None:
    assert entries_or_refusal([entry()], NOW) == entries_of([entry()])
    with refused("revoked-date", "unknown-key") as caught:
        entries_or_refusal([entry(), entry(date="2026-06-01"), entry(why="so")], NOW)
    assert [message.where for message in caught.value.messages] == [
        "custom_ca_revoked[1]: date",
        "custom_ca_revoked[2]: why",
    ]


def test_the_fix_for_a_future_date_is_a_date_that_is_taken() -> None:
    (found,) = check_revoked([entry(date="2026-06-01")], NOW)
    written = found.fix.removeprefix("write the current time, ").partition("; ")[0]
    assert check_revoked([entry(date=written)], NOW) == []


@pytest.mark.parametrize("serial", ["serial: 1234", "serial: 0777", "serial: 12:34:56"])
def test_a_serial_that_yaml_takes_for_a_number_is_refused(serial: str) -> None:
    text = "- {date: 2026-05-20, " + serial + "}"
    (found,) = check_revoked(yaml.safe_load(text), NOW)
    assert (found.field, found.fix) == ("serial", "put it in quotes")
    quoted = text.replace("serial: ", "serial: '").replace("}", "'}")
    assert check_revoked(yaml.safe_load(quoted), NOW) == []


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A controller in another time zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("written", "until"),
    [
        ("2026-05-20", datetime(2026, 5, 20, 23, 59, 59, tzinfo=UTC)),
        (" 2026-05-20 ", datetime(2026, 5, 20, 23, 59, 59, tzinfo=UTC)),
        (date(2026, 5, 20), datetime(2026, 5, 20, 23, 59, 59, tzinfo=UTC)),
        ("2026-05-20T08:00:00", datetime(2026, 5, 20, 8, tzinfo=UTC)),
        ("2026-05-20T08:00:00.9Z", datetime(2026, 5, 20, 8, tzinfo=UTC)),
        (datetime(2026, 5, 20, 8), datetime(2026, 5, 20, 8, tzinfo=UTC)),  # noqa: DTZ001 - as above
        (datetime(2026, 5, 20, 8, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 5, 20, 6, tzinfo=UTC)),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_a_date_is_read_to_its_last_second_in_utc(written: Any, until: datetime) -> None:
    assert entries_of([entry(date=written)])[0].until == until


def test_serials_and_fingerprints_are_read_however_openssl_writes_them() -> None:
    written = [
        entry(cluster=None, serial="00:0A:BC"),
        entry(cluster=None, fingerprint="0A:" * 31 + "CD", reason="superseded"),
        entry(),
    ]
    assert [(item.kind, item.value, item.reason) for item in entries_of(written)] == [
        ("serial", "abc", "unspecified"),
        ("fingerprint", "0a" * 31 + "cd", "superseded"),
        ("cluster", "cluster-a", "unspecified"),
    ]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(["cluster", "link", "serial", "fingerprint", "reason", "date"])
plausible = st.sampled_from(["cluster-a", "0A:bc", "ab" * 32, "keyCompromise", "2026-05-20", PRESENT])


@given(value=st.lists(st.dictionaries(keys | st.text(), plausible | anything, max_size=4), max_size=3))
def test_whatever_is_written_is_a_finding_or_can_be_used(root: Root, value: list[Any]) -> None:
    if check_revoked(value, NOW):
        return
    entries = entries_of(value)
    assert all(item.until <= NOW and item.reason in REASONS and item.value for item in entries)
    for lists in wanted_lists(entries, [record("1")], [OLD]).values():
        assert issue_crl(root=root.view, key=root.key, revoked=lists, number=1, validity=VALIDITY, now=NOW).revoked


# -- what follows from it ------------------------------------------------------------------------------------------


def revoking(kind: Any, value: str, until: str = "2026-05-20T00:00:00Z", reason: str = "unspecified") -> Entry:
    return Entry(kind, value, reason, datetime.fromisoformat(until))


def serials_by_root(lists: dict[str, tuple[Revoked, ...]]) -> dict[str, list[str]]:
    return {root: [item.serial for item in revoked] for root, revoked in lists.items()}


RECORDS = [
    record("a1"),
    record("a2", issued_at="2026-05-20T00:00:00Z"),
    record("a3", issued_at="2026-05-20T00:00:01Z"),
    record("b1", cluster="cluster-b", side="server", links=("mysql",)),
    record("c1", cluster="cluster-c", links=("redis",), issuer=NEW),
]


@pytest.mark.parametrize(
    ("given_entry", "old", "new"),
    [
        (revoking("cluster", "cluster-a"), ["a1", "a2"], []),
        (revoking("cluster", "cluster-c"), [], ["c1"]),
        (revoking("link", "mysql"), ["a1", "a2", "b1"], []),
        (revoking("link", "redis"), ["a1", "a2"], ["c1"]),
        (revoking("serial", "a1"), ["a1"], []),
        (revoking("serial", "d00d"), ["d00d"], ["d00d"]),
        (revoking("fingerprint", "b1".rjust(64, "f")), ["b1"], []),
    ],
    ids=str,
)
def test_an_entry_revokes_what_was_issued_up_to_its_date(given_entry: Entry, old: list[str], new: list[str]) -> None:
    lists = wanted_lists([given_entry], RECORDS, [OLD, NEW])
    assert serials_by_root(lists) == {OLD: old, NEW: new}
    assert revoked_serials([given_entry], RECORDS) == {*old, *new}
    told = unmatched([given_entry], RECORDS)
    unrecorded = given_entry.kind == "serial" and not any(item.serial == given_entry.value for item in RECORDS)
    assert [message.code for message in told] == ["unrecorded-serial"] * unrecorded


@pytest.mark.parametrize(
    "given_entry",
    [
        revoking("cluster", "mysql"),
        revoking("link", "cluster-a"),
        revoking("serial", "a3"),
        revoking("fingerprint", "e" * 64),
        revoking("cluster", "cluster-b", until="2026-04-30T23:59:59Z"),
    ],
    ids=str,
)
def test_where_nothing_is_revoked_there_are_no_lists(given_entry: Entry) -> None:
    assert wanted_lists([given_entry], RECORDS, [OLD, NEW]) == {}
    assert revoked_serials([given_entry], RECORDS) == frozenset()
    assert len(unmatched([given_entry], RECORDS)) == 1


def test_an_entry_that_revokes_nothing_is_told_with_the_cause() -> None:
    found = unmatched([revoking("cluster", "cluster-x"), revoking("serial", "a3")], RECORDS)
    assert [(warning.code, warning.where) for warning in found] == [
        ("revokes-nothing", "custom_ca_revoked: cluster cluster-x up to 2026-05-20T00:00:00Z"),
        ("revokes-nothing", "custom_ca_revoked: serial a3 up to 2026-05-20T00:00:00Z"),
    ]
    assert "no matching certificate is recorded" in found[0].what
    assert "issued at 2026-05-20T00:00:01Z" in found[1].what


def test_certificates_of_roots_that_are_trusted_no_more_stand_in_no_list() -> None:
    entries = [revoking("cluster", "cluster-a")]
    assert wanted_lists(entries, RECORDS, [NEW]) == {}
    assert serials_by_root(wanted_lists(entries, RECORDS, [OLD])) == {OLD: ["a1", "a2"]}


def test_of_two_entries_for_one_certificate_the_earlier_counts() -> None:
    entries = [
        revoking("cluster", "cluster-b", until="2026-05-20T00:00:00Z", reason="superseded"),
        revoking("serial", "b1", until="2026-05-02T00:00:00Z", reason="keyCompromise"),
        revoking("link", "mysql", until="2026-05-10T00:00:00Z"),
    ]
    wanted = Revoked("b1", datetime(2026, 5, 2, tzinfo=UTC), "keyCompromise")
    for order in (entries, entries[::-1]):
        assert wanted in wanted_lists(order, RECORDS, [OLD])[OLD]


entries_strategy = st.lists(
    st.builds(
        Entry,
        kind=st.sampled_from(["cluster", "link"]),
        value=st.sampled_from(["a", "b", "c"]),
        reason=st.sampled_from(REASONS),
        until=st.integers(0, 20).map(lambda days: NOW - days * DAY),
    )
    | st.builds(
        Entry,
        kind=st.just("serial"),
        value=st.sampled_from(["1", "2", "3", "dead"]),
        reason=st.sampled_from(REASONS),
        until=st.integers(0, 20).map(lambda days: NOW - days * DAY),
    ),
    max_size=5,
)
records_strategy = st.lists(
    st.builds(
        record,
        serial=st.sampled_from(["1", "2", "3", "4"]),
        cluster=st.sampled_from(["a", "b", "c"]),
        links=st.sets(st.sampled_from(["a", "b", "c"])).map(tuple),
        issuer=st.sampled_from([OLD, NEW, "2" * 64]),
        issued_at=st.integers(0, 20).map(lambda days: timestamp(NOW - days * DAY)),
    ),
    max_size=6,
    unique_by=lambda item: item.serial,
)


@given(entries=entries_strategy, records=records_strategy)
def test_there_is_a_list_for_every_root_or_none_at_all(entries: list[Entry], records: list[Record]) -> None:
    lists = wanted_lists(entries, records, [OLD, NEW])
    assert set(lists) in (set(), {OLD, NEW})
    assert not lists or any(lists.values())


@given(entries=entries_strategy, records=records_strategy)
def test_lists_hold_what_is_revoked_and_nothing_else(entries: list[Entry], records: list[Record]) -> None:
    lists = wanted_lists(entries, records, [OLD, NEW])
    revoked = revoked_serials(entries, records)
    for item in records:
        held = {root for root, listed in lists.items() if item.serial in {one.serial for one in listed}}
        wanted = {item.issuer} & {OLD, NEW} if item.serial in revoked else set()
        assert held == wanted


@given(entries=entries_strategy, records=records_strategy, seed=st.randoms())
def test_the_order_of_entries_and_records_means_nothing(
    entries: list[Entry], records: list[Record], seed: random.Random
) -> None:
    """Else one list after the other would be published though nothing has changed."""
    distinct = list({item.until: item for item in entries}.values())
    shuffled_entries, shuffled_records = list(distinct), list(records)
    seed.shuffle(shuffled_entries)
    seed.shuffle(shuffled_records)
    assert wanted_lists(distinct, records, [OLD, NEW]) == wanted_lists(shuffled_entries, shuffled_records, [OLD, NEW])


# -- when lists are due --------------------------------------------------------------------------------------------


def published(root: Root, revoked: Sequence[Revoked] = (), now: datetime = NOW) -> Crl:
    return issue_crl(root=root.view, key=root.key, revoked=revoked, number=1, validity=VALIDITY, now=now)


A1 = Revoked("a1", NOW - DAY, "keyCompromise")


def test_lists_that_are_as_they_should_be_stay(root: Root) -> None:
    assert why_due({}, {}, NOW) == ""
    assert why_due({OLD: (A1,), NEW: ()}, {OLD: published(root, [A1]), NEW: published(root)}, NOW) == ""


def test_a_date_that_was_written_otherwise_makes_no_new_list(root: Root) -> None:
    assert why_due({OLD: (replace(A1, date=NOW - 3 * DAY),)}, {OLD: published(root, [A1])}, NOW) == ""


@pytest.mark.parametrize(
    ("wanted", "held", "why"),
    [
        ((A1,), (), "had 0, want 1"),
        ((), (A1,), "had 1, want 0"),
        ((A1,), (replace(A1, serial="a2"),), "the revoked certificates have changed"),
        ((A1,), (replace(A1, reason="superseded"),), "the revoked certificates have changed"),
    ],
)
def test_other_content_makes_lists_due(
    root: Root, wanted: tuple[Revoked, ...], held: tuple[Revoked, ...], why: str
) -> None:
    assert why in why_due({OLD: wanted}, {OLD: published(root, held)}, NOW)


def test_a_root_without_a_list_makes_lists_due(root: Root) -> None:
    assert why_due({OLD: (A1,), NEW: ()}, {OLD: published(root, [A1])}, NOW) == f"root {NEW[:8]} has no CRL yet"


def test_lists_go_when_nothing_is_revoked(root: Root) -> None:
    assert why_due({}, {OLD: published(root, [A1])}, NOW) == "nothing is revoked any more"


def test_a_list_is_due_when_its_end_comes_near(root: Root) -> None:
    current = {OLD: published(root, [A1])}
    near = NOW + VALIDITY - RENEW
    assert why_due({OLD: (A1,)}, current, near) == ""
    assert "the CRL expires at 2027-06-01T12:00:00Z" in why_due({OLD: (A1,)}, current, near + SECOND)


@pytest.mark.parametrize("left", [VALIDITY - SECOND, VALIDITY - BACKDATING, RENEW, 10 * DAY, DAY])
def test_a_list_that_ends_with_its_root_is_soon_made_no_more(left: timedelta) -> None:
    """However near the end: else every run would make a new one that ends no later."""
    root = make_root(validity=left)
    now, made = NOW, 0
    current = {OLD: published(root, [A1])}
    while now < root.view.not_after - DAY:
        if why_due({OLD: (A1,)}, current, now):
            current, made = {OLD: published(root, [A1], now)}, made + 1
        now += DAY
    assert made <= 1
    assert current[OLD].next_update == root.view.not_after


@pytest.mark.parametrize(
    ("wanted", "held", "recorded", "wrong"),
    [
        ((A1,), (A1,), ["a1"], False),
        ((A1,), (), ["a1"], True),
        ((), (A1,), ["a1"], True),
        ((), (A1,), [], False),
        ((A1,), (A1, replace(A1, serial="a2")), ["a1"], False),
    ],
    ids=["as it should be", "not revoked yet", "revoked no more", "expired since", "one of two has expired since"],
)
def test_lists_are_wrong_for_what_they_let_in_or_keep_out(
    root: Root, wanted: tuple[Revoked, ...], held: tuple[Revoked, ...], recorded: list[str], wrong: bool
) -> None:
    records = [record(serial=serial) for serial in recorded]
    lists = {OLD: wanted} if wanted else {}
    assert are_wrong(lists, {OLD: published(root, held)}, records) is wrong


def of(kind: Any, value: str) -> Entry:
    return Entry(kind, value, "keyCompromise", NOW)


HELD = [
    record("a1"),
    record("b1", cluster="cluster-b", side="server"),
    record("c1", cluster="cluster-c", links=("bank",)),
]


@pytest.mark.parametrize(
    ("entries", "waits_for"),
    [
        ([], []),
        ([of("link", "mysql")], ["cluster-a", "cluster-b"]),
        ([of("cluster", "cluster-a")], []),
        ([of("serial", "a1")], []),
        ([of("fingerprint", "a1".rjust(64, "f"))], []),
        ([of("link", "mysql"), of("cluster", "cluster-a")], ["cluster-b"]),
        ([replace(of("link", "mysql"), until=NOW - 100 * DAY)], []),
    ],
    ids=[
        "nothing",
        "a link",
        "a cluster",
        "a serial",
        "a fingerprint",
        "a link and a cluster",
        "before they were issued",
    ],
)
def test_who_is_named_himself_is_not_waited_for(entries: list[Entry], waits_for: list[str]) -> None:
    assert awaited(entries, HELD, {}) == waits_for


def test_what_gateways_refuse_already_is_not_waited_for(root: Root) -> None:
    entries = [of("link", "mysql")]
    assert awaited(entries, HELD, {OLD: published(root, [A1])}) == ["cluster-b"]


def test_who_keeps_links_by_what_is_revoked_without_an_entry_is_waited_for() -> None:
    assert awaited([], HELD, {}, {"c1"}) == ["cluster-c"]
    assert awaited([of("cluster", "cluster-c")], HELD, {}, {"c1"}) == []


def test_who_is_given_up_has_nothing_that_no_entry_names() -> None:
    later = record("a2", issued_at=timestamp(NOW + DAY))
    assert given_up([of("cluster", "cluster-a")], HELD) == {"cluster-a"}
    assert given_up([of("cluster", "cluster-a")], [*HELD, later]) == frozenset(), "it has got another one since"
    assert given_up([of("serial", "a1"), of("serial", "c1")], HELD) == {"cluster-a", "cluster-c"}
    assert given_up([of("link", "mysql")], HELD) == frozenset(), "some holder of the link is meant"


def test_what_an_entry_was_taken_away_from_too_early_is_named(root: Root) -> None:
    held = {OLD: published(root, [A1, replace(A1, serial="a2"), replace(A1, serial="a3")])}
    records = [record(serial="a1"), record(serial="a2", cluster="cluster-b")]
    (found,) = let_in_again({OLD: (A1,)}, held, records)
    assert (found.code, found.level) == ("valid-again", "warning")
    assert found.where == "certificate a2 (cluster cluster-b, client, until 2026-08-01T00:00:00Z)"
    assert let_in_again({OLD: (A1, replace(A1, serial="a2"))}, held, records) == []


def test_lists_that_are_missing_are_wrong() -> None:
    assert are_wrong({OLD: (A1,)}, {}, [record(serial="a1")])
    assert not are_wrong({}, {}, [])


def test_a_list_near_its_end_is_an_alarm_that_names_root_and_time(root: Root) -> None:
    crl = published(root)
    assert alarms([crl], crl.next_update - ALARM) == []
    (near,) = alarms([crl], crl.next_update - ALARM + SECOND)
    assert (near.code, near.level, near.where) == ("crl-expires", "alarm", root.view.subject)
    assert near.what.startswith("the CRL expires at 2027-06-01T12:00:00Z; from then on")
    (past,) = alarms([crl], crl.next_update)
    assert past.code == "crl-expires"
    assert past.what.startswith("the CRL expired at 2027-06-01T12:00:00Z;")


def test_a_missed_schedule_is_told_long_before_anybody_is_refused() -> None:
    """Four months for runs to be missed, and four more for somebody to look."""
    assert VALIDITY > RENEW > ALARM
    assert min(RENEW - ALARM, ALARM) >= 120 * DAY


@pytest.mark.parametrize(("size", "warned"), [(0, False), (LARGE, False), (LARGE + 1, True), (LARGEST, True)])
def test_the_size_of_lists_is_watched(size: int, warned: bool) -> None:
    found = check_size("x" * size, where="the store")
    if not warned:
        assert found is None
        return
    assert found is not None
    assert (found.code, found.level, found.where) == ("crl-large", "warning", "the store")
    assert str(size) in found.what


def test_lists_that_no_secret_can_hold_are_refused() -> None:
    with refused("crl-too-large") as caught:
        check_size("x" * (LARGEST + 1), where="the store")
    assert caught.value.message.where == "the store"


def test_what_is_refused_leaves_room_for_the_rest_of_a_secret() -> None:
    """Kubernetes counts all values together: 1 MiB."""
    largest_certificate_and_bundle = 50_000
    assert LARGEST + largest_certificate_and_bundle < 1024 * 1024
