# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories for external servers: what stands in them, who may read it, and that no key is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import Entry
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import blockers, sight_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.handshake import Endpoint
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import failure
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ExternalServer
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.external import (
    Kept,
    Outcome,
    Request,
    keep,
    report,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import Work, ensure
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    PrivateKey,
    key_matches,
    parse_certificates,
    verify_issued_by,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.report import external_rows
from tests.unit.ca.support import file_store, folder
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, make_root
from tests.unit.support import SERVER, codes_of, link, refused, view

FQDN = "db.example.net"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, root = tmp_path_factory.mktemp("template") / "ca", make_root()
    file_store(path).create(PASSPHRASE, root.key, root.view.pem)
    return path


@pytest.fixture
def store(tmp_path: Path, template: Path) -> CaStore:
    return file_store(shutil.copytree(template, tmp_path / "ca"))


@pytest.fixture
def server(tmp_path: Path) -> ExternalServer:
    return ExternalServer("mysql", tmp_path / "external" / "mysql", FQDN, "203.0.113.9", 13306)


def nobody(_endpoint: Endpoint) -> str | None:
    return None


def outcome(
    store: CaStore,
    *servers: ExternalServer,
    look: bool = False,
    shake: Callable[[Endpoint], str | None] = nobody,
    now: datetime = NOW,
    revoked: Sequence[Entry] = (),
    **policy: Any,
) -> Outcome:
    request = Request(
        servers=servers,
        instance="default",
        policy=Policy(key_type="P-256", renew_before=30 * DAY, **policy),
        validity_days=90,
        passphrase=PASSPHRASE,
        revoked=revoked,
    )
    return keep(store, request, now, look=look, shake=shake)


def serving(shown: str) -> Callable[[Endpoint], str | None]:
    return lambda _endpoint: shown


def kept(store: CaStore, server: ExternalServer, **options: Any) -> Kept:
    found = outcome(store, server, **options)
    if found.errors:
        raise found.errors[0]
    return found.kept[0]


def report_of(store: CaStore, server: ExternalServer, step: str = "", **options: Any) -> dict[str, Any]:
    found = outcome(store, server, **options)
    assert found.errors == []
    return report(found, step)


def public_of(store: CaStore) -> Authority:
    found = store.public()
    assert found is not None
    return found


def leaf_in(server: ExternalServer) -> CertificateView:
    return parse_certificates((server.directory / "tls.crt").read_text(), where="directory")[0]


def roots_in(server: ExternalServer) -> set[str]:
    return {view.fingerprint for view in parse_certificates((server.directory / "ca.crt").read_text(), where="ca.crt")}


def test_a_new_directory_holds_a_certificate_of_the_ca_its_key_and_the_roots(
    store: CaStore, server: ExternalServer
) -> None:
    found = kept(store, server)
    authority = public_of(store)
    assert found.credential.decision.reason == "missing"
    assert authority.issuing
    leaf = leaf_in(server)
    assert (leaf.sans, verify_issued_by(leaf, authority.issuing)) == ((FQDN,), True)
    assert key_matches(leaf.pem, (server.directory / "tls.key").read_text())
    assert roots_in(server) == {authority.issuing.fingerprint}
    assert not (server.directory / "ca.crl").exists()


def test_nobody_else_can_read_it(store: CaStore, server: ExternalServer) -> None:
    kept(store, server)
    assert server.directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in server.directory.iterdir()} == {0o600}


def test_a_second_call_changes_nothing_and_says_so(store: CaStore, server: ExternalServer) -> None:
    kept(store, server)
    before = {path.name: path.read_bytes() for path in server.directory.iterdir()}
    again = report_of(store, server)
    assert {path.name: path.read_bytes() for path in server.directory.iterdir()} == before
    assert again["changed"] is False


def test_check_mode_and_a_look_write_nothing_not_even_the_directory(store: CaStore, server: ExternalServer) -> None:
    found = report_of(store, server, "look", look=True)
    assert (found["changed"], found["servers"][0]["action"]) == (False, "issue")
    assert "is out of date" in found["warnings"][0]
    assert report_of(store, server, look=True)["changed"] is True
    assert not server.directory.exists()


def test_a_name_that_changed_is_a_new_certificate_with_a_new_key(store: CaStore, server: ExternalServer) -> None:
    kept(store, server)
    key = (server.directory / "tls.key").read_text()
    renamed = ExternalServer("mysql", server.directory, "sql.example.net", server.address, server.port)
    assert kept(store, renamed).credential.decision.reason == "san-changed"
    assert leaf_in(server).sans == ("sql.example.net",)
    assert (server.directory / "tls.key").read_text() != key


def test_force_renews_what_is_still_good(store: CaStore, server: ExternalServer) -> None:
    kept(store, server)
    assert kept(store, server, force=True).credential.decision.reason == "forced"


def test_the_certificate_is_recorded_with_its_link(store: CaStore, server: ExternalServer) -> None:
    kept(store, server)
    (record,) = store.records(NOW)
    assert (record.cluster, record.side, record.links) == ("external:mysql", "server", ("mysql",))
    assert record.secret == str(server.directory)
    assert record.serial == leaf_in(server).serial


def test_no_key_is_in_the_result(store: CaStore, server: ExternalServer) -> None:
    text = json.dumps(report_of(store, server))
    assert "PRIVATE KEY" not in text
    assert FQDN in text


def test_a_key_that_others_can_read_is_refused(store: CaStore, server: ExternalServer) -> None:
    kept(store, server)
    (server.directory / "tls.key").chmod(0o644)
    with refused("open-to-others"):
        kept(store, server)


def test_without_a_ca_nothing_is_made_and_a_look_tells_what_would_be(tmp_path: Path, server: ExternalServer) -> None:
    missing = file_store(tmp_path / "nothing")
    with refused("no-ca"):
        kept(missing, server)
    assert not server.directory.exists()
    assert kept(missing, server, look=True).credential.decision.reason == "missing"


def test_a_directory_of_another_ca_is_refused(store: CaStore, server: ExternalServer) -> None:
    kept(store, server)
    (server.directory / "ca.crt").write_text(make_root().view.pem)
    with refused("wrong-store") as failure:
        kept(store, server)
    # It is a directory, and is called so.
    assert f"directory {server.directory} uses root" in failure.value.message.what
    assert "Secret" not in str(failure.value)


def test_one_wrong_directory_is_one_row_of_the_preflight_and_is_called_what_it_is(
    store: CaStore, server: ExternalServer
) -> None:
    kept(store, server)
    (server.directory / "ca.crt").write_text(make_root().view.pem)
    found = outcome(store, server, look=True)
    # As the module returns it, through Ansible.
    result = json.loads(json.dumps({**failure(*found.errors), **report(found, "look")}))
    (row,) = external_rows(result)
    assert (row.status, row.code) == ("failed", "wrong-store")
    assert f"directory {server.directory} uses root" in row.seen
    assert "Secret" not in row.seen
    assert "restore that store from a backup; if it is lost for good" in row.fix


@pytest.mark.parametrize("left", ["tls.key", "tls.crt", "ca.crl"])
def test_what_somebody_else_put_there_is_not_overwritten(store: CaStore, server: ExternalServer, left: str) -> None:
    server.directory.mkdir(parents=True, mode=0o700)
    (server.directory / left).touch(mode=0o600)
    (server.directory / left).write_text("theirs")
    with refused("foreign-directory"):
        kept(store, server)
    assert (server.directory / left).read_text() == "theirs"


def test_a_run_that_was_killed_is_finished_by_the_next_and_leaves_no_key(
    store: CaStore, server: ExternalServer
) -> None:
    kept(store, server)
    (server.directory / "tls.crt").unlink()
    left = server.directory / ".crossmesh-0123456789abcdef.tmp"
    left.write_text("a part of a key")
    assert kept(store, server).credential.decision.action == "issue"
    assert not left.exists()
    assert key_matches(leaf_in(server).pem, (server.directory / "tls.key").read_text())


def test_one_server_that_fails_stops_no_other(store: CaStore, server: ExternalServer, tmp_path: Path) -> None:
    blocked = ExternalServer("first", tmp_path / "file" / "below", FQDN, "203.0.113.8", 13306)
    (tmp_path / "file").write_text("no directory")
    found = outcome(store, blocked, server)
    assert [item.server.link for item in found.kept] == ["mysql"]
    assert len(found.errors) == 1


def test_check_mode_tries_the_passphrase_as_the_run_would(store: CaStore, server: ExternalServer) -> None:
    request = Request([server], "default", Policy("P-256", 30 * DAY), 90, "not the passphrase", [], try_key=True)
    found = keep(store, request, NOW, look=True, shake=nobody)
    assert found.kept == []
    assert codes_of(found.errors[0].messages) == ["wrong-passphrase"]


def test_a_certificate_that_ends_unrenewed_is_an_alarm(store: CaStore, server: ExternalServer) -> None:
    kept(store, server)
    for days, alarmed in ((50, False), (65, False), (75, True), (120, True)):
        found = report_of(store, server, "look", look=True, now=NOW + days * DAY)
        assert bool(found["alarms"]) == alarmed, days
        assert [item["code"] for item in found["servers"][0]["messages"]] == ["certificate-overdue"] * alarmed, days


def test_a_place_that_cannot_be_written_is_one_clear_error(store: CaStore, server: ExternalServer) -> None:
    server.directory.parent.parent.joinpath("external").write_text("a file")
    with refused("file-error"):
        kept(store, server)


SEEN: list[tuple[str, Callable[[ExternalServer], str | None], str]] = [
    ("no way to it", lambda _server: None, ""),
    ("it asks for a certificate first", lambda _server: "", ""),
    ("the one of the directory", lambda server: leaf_in(server).serial, ""),
    ("another one", lambda _server: "ab12", "serves certificate ab12"),
]


@pytest.mark.parametrize(("seen", "said"), [row[1:] for row in SEEN], ids=[row[0] for row in SEEN])
def test_a_server_that_has_not_loaded_its_certificate_is_told_of(
    store: CaStore, server: ExternalServer, seen: Callable[[ExternalServer], str | None], said: str
) -> None:
    kept(store, server)
    found = report_of(
        store, server, shake=lambda endpoint: seen(server) if endpoint.fqdn == FQDN else "asked for another"
    )
    (warning,) = found["warnings"] or [""]
    assert bool(warning) == bool(said)
    assert said in warning


def test_what_was_written_has_to_be_loaded(store: CaStore, server: ExternalServer) -> None:
    (warning,) = report_of(store, server)["warnings"]
    assert warning.endswith("[external-to-load]")


# -- what is revoked -----------------------------------------------------------------------------------------------

REVOKED = [Entry("link", "mysql", "keyCompromise", NOW)]
LATER: dict[str, Any] = {"now": NOW + timedelta(hours=1), "revoked": REVOKED}
WAITS = ["external:mysql"]


def without_certificate(server: ExternalServer) -> None:
    for path in server.directory.glob("tls.*"):
        path.unlink()


REPLACED: list[tuple[str, Callable[[ExternalServer], object], dict[str, Any], str]] = [
    ("revoked alone", lambda _server: None, {}, "revoked"),
    ("with another reason that is told first", lambda _server: None, {"sni": "sql.example.net"}, "san-changed"),
    ("gone from the directory", without_certificate, {}, "missing"),
    ("damaged", lambda server: (server.directory / "tls.crt").write_text("nothing"), {}, "unreadable"),
]


@pytest.mark.parametrize(
    ("change", "renamed", "reason"), [row[1:] for row in REPLACED], ids=[row[0] for row in REPLACED]
)
def test_a_list_waits_for_a_server_whose_certificate_was_replaced_just_now(
    store: CaStore,
    server: ExternalServer,
    change: Callable[[ExternalServer], object],
    renamed: dict[str, Any],
    reason: str,
) -> None:
    kept(store, server)
    change(server)
    server = replace(server, **renamed)
    found = report_of(store, server, **LATER)
    assert (found["servers"][0]["reason"], found["waiting"]) == (reason, WAITS)
    assert report_of(store, server, **LATER)["waiting"] == [], "it was to be loaded before the next run"


def test_a_list_waits_for_a_server_whose_directory_fails(
    store: CaStore, server: ExternalServer, tmp_path: Path
) -> None:
    other = ExternalServer("other", tmp_path / "external" / "other", FQDN, "203.0.113.8", 13306)
    outcome(store, server, other)
    for found in (server, other):
        (found.directory / "tls.key").chmod(0o644)
    failed = outcome(store, server, other, **LATER)
    assert (len(failed.errors), failed.waiting) == (2, WAITS), "nothing of the other one is revoked"
    assert report(failed, "")["waiting"] == WAITS


@pytest.mark.parametrize(
    "policy", [{}, {"force": True}], ids=["its directory is kept", "its directory is renewed again"]
)
def test_a_list_waits_until_a_server_was_seen_with_another_certificate(
    store: CaStore, server: ExternalServer, policy: dict[str, Any]
) -> None:
    kept(store, server)
    old = leaf_in(server).serial
    kept(store, server, **LATER)
    new = leaf_in(server).serial
    for shown, waiting in (old, WAITS), (new, []), ("ab12", []):
        assert report_of(store, server, shake=serving(shown), **LATER, **policy)["waiting"] == waiting, shown


def test_a_certificate_that_no_record_names_is_waited_for_as_well(store: CaStore, server: ExternalServer) -> None:
    """The store came back from a backup."""
    backup = shutil.copytree(folder(store), folder(store).with_name("backup"))
    kept(store, server)
    shutil.rmtree(folder(store))
    backup.rename(folder(store))
    assert store.records(NOW) == []
    entry = Entry("serial", leaf_in(server).serial, "keyCompromise", NOW)
    assert report_of(store, server, revoked=[entry])["waiting"] == WAITS


def test_a_list_waits_for_no_server_of_which_nothing_is_revoked(store: CaStore, server: ExternalServer) -> None:
    kept(store, server)
    other = [Entry("cluster", "cluster-a", "keyCompromise", NOW)]
    for revoked in ([], other):
        assert report_of(store, server, shake=serving("ab12"), revoked=revoked)["waiting"] == []


def test_another_instance_s_server_of_that_name_is_not_waited_for(store: CaStore, server: ExternalServer) -> None:
    kept(store, server)
    (server.directory / "tls.key").chmod(0o644)
    request = Request([server], "second", Policy("P-256", 30 * DAY), 90, PASSPHRASE, REVOKED)
    for instance, waiting in (("second", []), ("default", WAITS)):
        found = keep(store, replace(request, instance=instance), LATER["now"], look=False, shake=nobody)
        assert (len(found.errors), found.waiting) == (1, waiting)


# -- another run that rotates the root meanwhile -------------------------------------------------------------------


def rotate(store: CaStore) -> None:
    prepared(store)
    store.switch(PASSPHRASE, seen=public_of(store).state)
    store.retire(PASSPHRASE, seen=public_of(store).state)
    store.finish(PASSPHRASE, seen=public_of(store).state, keep_keys=False)


class RotatedBefore(CaStore):
    """Another run has put the next root in the place of the one that was read, when its key is asked for."""

    turns = 1

    def signer(self, passphrase: str) -> PrivateKey:
        if self.turns:
            self.turns -= 1
            rotate(file_store(self.where))
        return super().signer(passphrase)


class RotatedAfter(CaStore):
    """The same once the certificate is issued and recorded."""

    turns = 1

    def record(self, *given: Any, **more: Any) -> Authority | None:
        recorded = super().record(*given, **more)
        if self.turns:
            self.turns -= 1
            rotate(file_store(self.where))
        return recorded


@pytest.mark.parametrize(("overtaken", "recorded"), [(RotatedBefore, 0), (RotatedAfter, 1)])
def test_a_run_that_was_overtaken_by_a_rotation_writes_nothing_and_says_so(
    store: CaStore, server: ExternalServer, overtaken: type[CaStore], recorded: int
) -> None:
    with refused("another-run"):
        kept(file_store(store.where, overtaken), server)
    assert [path.name for path in server.directory.iterdir()] == [".lock"]
    assert len(store.records(NOW)) == recorded
    kept(store, server)
    (root,) = public_of(store).trusted
    assert verify_issued_by(leaf_in(server), root)
    assert roots_in(server) == {root.fingerprint}


def test_a_secret_is_decided_on_again_where_a_rotation_has_taken_the_key_away(store: CaStore) -> None:
    api = FakeApi()
    side = view([link()], SERVER)["server"]
    work = Work(
        owner=Owner("default", "cluster-b", "server"),
        namespace=side["namespace"],
        wanted=side["secrets"],
        policy=Policy("P-256", 30 * DAY),
        validity=90 * DAY,
        passphrase=PASSPHRASE,
        check=False,
    )
    (credential,) = ensure(cast(Api, api), file_store(store.where, RotatedBefore), work, NOW)
    assert credential.leaf
    (root,) = public_of(store).trusted
    assert verify_issued_by(credential.leaf.view, root)
    assert [record.serial for record in store.records(NOW)] == [credential.leaf.view.serial]
    assert len(api.calls) == 1


# -- a root rotation -----------------------------------------------------------------------------------------------


def waits(store: CaStore, step: str, found: Kept, at: str) -> list[Message]:
    sights = [sight_from_json(item) for item in report(Outcome([found], [], []), at)["sights"]]
    return blockers(step, public_of(store), sights, [], store.records(NOW), [], "default")


def prepared(store: CaStore) -> None:
    root = make_root()
    store.prepare(PASSPHRASE, root.key, root.view.pem, seen=public_of(store).state, now=NOW)


def test_a_root_is_replaced_step_by_step_in_the_directory_too(store: CaStore, server: ExternalServer) -> None:
    kept(store, server)
    prepared(store)
    assert waits(store, "switch", kept(store, server, look=True), "look"), "the directory has the old root alone"
    assert kept(store, server).credential.decision.action == "write"
    assert len(roots_in(server)) == 2
    assert waits(store, "switch", kept(store, server, look=True), "look") == []
    store.switch(PASSPHRASE, seen=public_of(store).state)
    assert waits(store, "retire", kept(store, server, look=True), "look"), "its certificate is of the old root"
    assert kept(store, server).credential.decision.reason == "issuer-changed"
    assert waits(store, "retire", kept(store, server, look=True), "look") == []
    store.retire(PASSPHRASE, seen=public_of(store).state)
    assert kept(store, server).credential.decision.action == "write"
    assert len(roots_in(server)) == 1


def test_a_server_that_serves_the_old_certificate_stops_the_rotation(store: CaStore, server: ExternalServer) -> None:
    kept(store, server)
    prepared(store)
    kept(store, server)
    store.switch(PASSPHRASE, seen=public_of(store).state)
    old = leaf_in(server).serial
    kept(store, server)
    (error,) = waits(store, "retire", kept(store, server, look=True, shake=serving(old)), "look")
    assert (error.code, error.where) == ("external-behind", "external server of link mysql")
    assert f"serves certificate {old}" in error.what


def test_a_server_that_was_not_looked_at_stops_the_rotation(store: CaStore, server: ExternalServer) -> None:
    kept(store, server)
    prepared(store)
    (error,) = blockers("switch", public_of(store), [], [], store.records(NOW), [], "default")
    assert (error.code, error.where) == ("external-unseen", "external server of link mysql")
    assert "external:mysql" in error.fix
