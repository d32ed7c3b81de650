# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the audit journal tells of credentials that are written, and when it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import journal_writing
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ExternalServer
from tests.unit.ca.support import file_store, journal_of
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.issue.test_external import kept
from tests.unit.issue.test_secrets import PATH, as_object, done, issuing, made, work
from tests.unit.pki.support import NOW, PASSPHRASE, Root, make_root
from tests.unit.support import refused


@pytest.fixture
def store(tmp_path: Path) -> CaStore:
    made_store, root = file_store(tmp_path / "ca"), make_root()
    made_store.create(PASSPHRASE, root.key, root.view.pem)
    return made_store


def after(store: CaStore, number: int) -> list[dict[str, Any]]:
    return journal_of(store)[number:]


def prepare(store: CaStore, root: Root) -> None:
    authority = store.public()
    assert authority is not None
    store.prepare(PASSPHRASE, root.key, root.view.pem, seen=authority.state, now=NOW)


def test_a_first_secret_is_a_certificate_and_a_bundle(store: CaStore) -> None:
    before = len(journal_of(store))
    made(store)
    issued, bundle = after(store, before)
    assert (issued["kind"], issued["place"]) == ("issued", "istio-system/mysql-credential")
    assert (bundle["kind"], bundle["added"], bundle["removed"]) == ("bundle", [issuing(store).fingerprint], [])
    assert (bundle["cluster"], bundle["side"], bundle["links"]) == ("cluster-b", "server", ["mysql"])
    assert store.check_journal().unsigned == 0


def test_a_run_that_changes_nothing_writes_no_entry(store: CaStore) -> None:
    secret = made(store)
    before = journal_of(store)
    done(FakeApi([secret]), store)
    assert journal_of(store) == before


@pytest.mark.parametrize(("passphrase", "key", "waiting"), [(PASSPHRASE, "open", 0), ("", "closed", 1)])
def test_a_root_that_is_dropped_waits_for_a_signature_only_without_the_passphrase(
    store: CaStore, passphrase: str, key: str, waiting: int
) -> None:
    secret, old, new = made(store), issuing(store).fingerprint, make_root()
    prepare(store, new)
    before, api = len(journal_of(store)), FakeApi([secret])
    done(api, store)
    (added,) = after(store, before)
    assert (added["kind"], added["added"], added["key"]) == ("bundle", [new.view.fingerprint], "open")
    wider = as_object(*api.calls)
    wider["data"] = {**secret["data"], **wider["data"]}
    authority = store.public()
    assert authority is not None
    store.abandon(PASSPHRASE, seen=authority.state)
    before = len(journal_of(store))
    done(FakeApi([wider]), store, work(passphrase=passphrase))
    (dropped,) = after(store, before)
    assert (dropped["kind"], dropped["removed"], dropped["key"]) == ("bundle", [new.view.fingerprint], key)
    assert old not in dropped["removed"]
    assert store.check_journal().unsigned == waiting


def test_a_rotation_of_a_mesh_of_any_size_fills_nothing(store: CaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Secret that drops the old root has an entry; without the key there was room for some 1,200 of them."""
    api, new = FakeApi([made(store)]), make_root()
    monkeypatch.setattr(journal_writing, "_MOST_UNSIGNED", 1000)
    prepare(store, new)
    done(api, store)
    wider = api.objects[0]
    authority = store.public()
    assert authority is not None
    store.abandon(PASSPHRASE, seen=authority.state)
    for _secret in range(5):
        done(FakeApi([wider]), store)
    assert store.check_journal().unsigned == 0
    with refused("journal-full"):
        for _secret in range(5):
            done(FakeApi([wider]), store, work(passphrase=""))


def test_an_entry_is_there_before_its_secret_is_written(store: CaStore) -> None:
    before = len(journal_of(store))
    with pytest.raises(CrossmeshError):
        done(FakeApi(forbidden_writes={PATH}), store)
    assert [entry["kind"] for entry in after(store, before)] == ["issued", "bundle"]


def test_files_for_an_external_server_are_an_export(store: CaStore, tmp_path: Path) -> None:
    server = ExternalServer("mysql", tmp_path / "external/mysql", "mysql.server.example.com", "203.0.113.9", 13306)
    before = len(journal_of(store))
    leaf = kept(store, server).credential.leaf
    assert leaf is not None
    issued, exported = after(store, before)
    assert (issued["kind"], exported["kind"]) == ("issued", "exported")
    assert (exported["place"], exported["serial"]) == (str(server.directory), leaf.view.serial)
    before = len(journal_of(store))
    kept(store, server)
    assert after(store, before) == [], "what is kept is no export"
