# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read of the audit journal: every entry, of what it is, and whether it can be believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.events import refused
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.history import (
    NO_ENTRY,
    Entry,
    History,
    Names,
    about,
    last_of_links,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Author
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal_check import Checked
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Storage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked
from tests.unit.ca.fake_cluster import FakeCluster
from tests.unit.ca.support import keep, record
from tests.unit.pki.support import NOW, PASSPHRASE, Root, make_leaf, make_root
from tests.unit.support import refused as refusing

KIM = Author("job 4711", "kim", "crossmesh.mtls.site")
LEE = Author("job 4712", "lee", "crossmesh.mtls.rotate_certificates")


@pytest.fixture(scope="module")
def own() -> Root:
    return make_root()


@pytest.fixture(params=["file", "kubernetes"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Each place that keeps a store."""
    return FileStorage(tmp_path / "ca") if request.param == "file" else FakeCluster().storage()


def store_of(storage: Storage, author: Author = KIM) -> CaStore:
    return CaStore(storage, iterations=1000, author=author)


def revoke(store: CaStore, serial: str) -> None:
    gone = (Revoked(serial, NOW, "keyCompromise"),)
    store.publish(PASSPHRASE, lambda authority: {root.fingerprint: gone for root in authority.trusted}, now=NOW)


@pytest.fixture
def mysql(own: Root) -> Any:
    return replace(record(make_leaf(own)), issuer=own.view.fingerprint)


@pytest.fixture
def orders(own: Root) -> Any:
    found = replace(record(make_leaf(own)), issuer=own.view.fingerprint)
    return replace(found, cluster="cluster-c", links=("orders",), secret="istio-system/orders-credential")


@pytest.fixture
def written(storage: Storage, own: Root, mysql: Any, orders: Any) -> CaStore:
    """Two links' certificates by one operator, a revocation and a refusal by another."""
    store = store_of(storage)
    store.create(PASSPHRASE, own.key, own.view.pem)
    keep(store, [mysql, orders])
    other = store_of(storage, LEE)
    revoke(other, mysql.serial)
    error = CrossmeshError(Message.error("rotation-blocked", where="ca", what="blocked"))
    other.note(refused("custom_ca_rotation", error, instance="default", cluster="cluster-c"))
    return store


def told(entries: tuple[Entry, ...]) -> list[tuple[str, str]]:
    return [(item.kind, item.operator) for item in entries]


class TestAWholeJournal:
    def test_every_entry_says_who_did_what_in_which_run(self, written: CaStore) -> None:
        history = written.history()
        assert told(history.entries) == [
            *[(kind, "kim") for kind in ("begun", "created", "root-trusted", "issued", "issued")],
            *[(kind, "lee") for kind in ("crl", "revoked", "refused")],
        ]
        issued = history.entries[3]
        assert (issued.run, issued.playbook, issued.signed) == ("job 4711", "crossmesh.mtls.site", True)
        assert [item.number for item in history.entries] == list(range(1, 9))
        assert (history.checked, history.problem) == (Checked(7, 1), None)

    def test_what_waits_for_a_signature_is_marked(self, written: CaStore) -> None:
        assert [item.signed for item in written.history().entries] == [True] * 7 + [False]

    def test_it_is_about_a_certificate_in_words(self, written: CaStore, mysql: Any, own: Root) -> None:
        assert written.history().entries[3].which == (
            f"certificate {mysql.serial}, server side, cluster cluster-b, link mysql, istio-system/mysql-credential, "
            f"root {own.view.fingerprint[:8]}, until {mysql.not_after}"
        )
        revoked = next(item for item in written.history().entries if item.kind == "revoked")
        assert revoked.which == (
            f"certificate {mysql.serial}, root {own.view.fingerprint[:8]}, keyCompromise, since 2026-06-01T10:00:00Z"
        )

    def test_without_a_ca_there_is_none(self, storage: Storage) -> None:
        assert store_of(storage).history() == History()


class TestOneThing:
    @pytest.mark.parametrize(
        ("name", "kinds"),
        [
            ("mysql", ["issued", "revoked"]),
            ("orders", ["issued"]),
            ("cluster-b", ["issued", "revoked"]),
            ("cluster-c", ["issued", "refused"]),
            ("istio-system/mysql-credential", ["issued", "revoked"]),
            ("orders-credential", ["issued"]),
            ("mysql.server.example.com", ["issued", "revoked"]),
        ],
    )
    def test_by_its_name(self, written: CaStore, name: str, kinds: list[str]) -> None:
        names = Names(aliases={"mysql.server.example.com": ["mysql"]})
        assert [item.kind for item in about(written.history(), name, names)] == kinds

    @pytest.mark.parametrize(
        "form", [str, str.upper, lambda serial: serial[:8], lambda serial: f"0{serial}"], ids=["", "upper", "8", "0"]
    )
    def test_a_certificate_by_its_serial_number(self, written: CaStore, mysql: Any, form: Callable[[str], str]) -> None:
        found = about(written.history(), form(mysql.serial), Names())
        assert [item.kind for item in found] == ["issued", "revoked"]

    def test_a_certificate_by_its_fingerprint_as_openssl_writes_it(self, written: CaStore, mysql: Any) -> None:
        pairs = zip(mysql.fingerprint[::2], mysql.fingerprint[1::2], strict=True)
        written_out = ":".join(f"{one}{two}" for one, two in pairs).upper()
        assert [item.kind for item in about(written.history(), written_out, Names())] == ["issued", "revoked"]

    def test_a_root_with_all_that_it_has_issued(self, written: CaStore, own: Root) -> None:
        found = about(written.history(), own.view.fingerprint[:8], Names())
        assert [item.kind for item in found] == ["created", "root-trusted", "issued", "issued", "crl", "revoked"]

    def test_a_link_of_which_there_is_no_entry_yet_has_no_history(self, written: CaStore) -> None:
        assert about(written.history(), "ledger", Names(known={"ledger"})) == ()

    def test_a_name_that_nobody_knows_is_refused_with_those_that_are_like_it(
        self, written: CaStore, mysql: Any
    ) -> None:
        with refusing("history-unknown") as failure:
            about(written.history(), "mysqll", Names(known={"mysql-eu"}))
        assert failure.value.message.where == "mesh_history_of: mysqll"
        assert failure.value.message.fix == "write mysql, mysql-eu"
        with refusing("history-unknown") as failure:
            about(written.history(), mysql.serial[:6] + "0" * 30, Names())
        assert mysql.serial in failure.value.message.fix
        with refusing("history-unknown") as failure:
            about(written.history(), "0" * 8, Names())
        assert "leave mesh_history_of out" in failure.value.message.fix

    def test_the_last_ones_of_each_link(self, written: CaStore) -> None:
        found = last_of_links(written.history(), 1)
        assert {link: [item.kind for item in last.entries] for link, last in found.items()} == {
            "mysql": ["revoked"],
            "orders": ["issued"],
        }
        assert {link: last.count for link, last in found.items()} == {"mysql": 2, "orders": 1}


def rewritten(store: CaStore, change: Callable[[bytes], bytes]) -> History:
    """The history after somebody has edited the journal's only segment."""
    (segment,) = (path for path in (Path(store.where) / "journal").iterdir() if not path.name.startswith("after"))
    segment.write_bytes(change(segment.read_bytes()))
    return store.history()


class TestAJournalThatWasChanged:
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return FileStorage(tmp_path / "ca")

    def test_it_is_shown_all_the_same_and_where_it_is_broken_is_told(self, written: CaStore) -> None:
        history = rewritten(written, lambda data: data.replace(b'"root-trusted"', b'"root-removed"'))
        assert history.problem is not None
        assert history.problem.code == "journal-changed"
        assert "entry 3 was edited" in history.problem.what
        assert [item.kind for item in history.entries][1:4] == ["created", "root-removed", "issued"]
        assert not any(item.signed for item in history.entries)

    def test_a_line_that_is_no_entry_is_shown_as_none(self, written: CaStore) -> None:
        history = rewritten(written, lambda data: b"\x1b[2Jgone\n" + data.partition(b"\n")[2])
        assert (history.entries[0].kind, history.entries[0].number, history.entries[0].which) == (NO_ENTRY, 0, "")
        assert history.entries[1].kind == "created"

    @pytest.mark.parametrize(
        "value", [None, 1.5, True, {"a": "b"}, [1], ["a", {}], [["a"]], "\x1b]0;owned\x07", ["\x1b[2J"], 10**40]
    )
    def test_an_entry_of_whatever_form_stops_nothing_and_nothing_that_a_terminal_obeys_is_in_it(
        self, written: CaStore, value: Any
    ) -> None:
        keys = ("operator", "kind", "run", "time", "links", "serial", "root", "cluster", "number", "place", "added")
        forged = json.dumps({"entry": value, **dict.fromkeys(keys, value), "\x1b[2J": "x"}).encode()
        history = rewritten(written, lambda data: forged + b"\n" + data.partition(b"\n")[2])
        entry = history.entries[0]
        words = (entry.kind, entry.operator, entry.run, entry.time, entry.which, *entry.fields)
        assert all(map(str.isprintable, words))
        assert history.problem is not None
        last_of_links(history, 5)
        about(history, "orders", Names())


def test_fields_are_told_in_one_order_and_many_names_as_a_number() -> None:
    root = "ab" * 32
    fields: dict[str, Any] = {
        "added": [root],
        "removed": [root, "cd" * 32],
        "clusters": ["a", "b"],
        "links": ["one", "two", "three", "four"],
        "from": "/srv/ca",
        "number": 7,
        "revoked": 2,
        "cluster": "external:mysql",
    }
    entry = Entry(1, "", "", "", "", "x", True, fields)
    assert entry.which == (
        "external server of link mysql, cluster a, b, 4 links, added root abababab, removed root abababab, cdcdcdcd, "
        "number 7, 2 revoked, from /srv/ca"
    )
