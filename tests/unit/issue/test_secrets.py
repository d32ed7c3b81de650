# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Issuing into Secrets: what is written by whom in which order, and that no key is told."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import Entry
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import BACKDATING
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, UnfinishedError
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import Credential, Work, ensure, report
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    key_matches,
    parse_certificates,
    verify_issued_by,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from tests.unit.ca.support import file_store
from tests.unit.cluster.fake_api import Call, FakeApi, api_error
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, Root, make_leaf, make_root
from tests.unit.support import SERVER, Json, link, numbered, refused, view

OWNER = Owner("default", "cluster-b", "server")
PATH = "/api/v1/namespaces/istio-system/secrets/mysql-credential"
IDENTITY, TRUST = OWNER.identity_manager, OWNER.trust_manager


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "ca"
    root = make_root()
    file_store(path).create(PASSPHRASE, root.key, root.view.pem)
    return path


def issuing(store: CaStore) -> CertificateView:
    authority = store.public()
    assert authority is not None
    assert authority.issuing is not None
    return authority.issuing


@pytest.fixture
def store(tmp_path: Path, template: Path) -> CaStore:
    return file_store(shutil.copytree(template, tmp_path / "ca"))


def work(
    links: Sequence[Json] | None = None, *, check: bool = False, passphrase: str = PASSPHRASE, **policy: Any
) -> Work:
    side = view(links or [link()], SERVER)["server"]
    return Work(
        owner=OWNER,
        namespace=side["namespace"],
        wanted=side["secrets"],
        policy=Policy(key_type="P-256", renew_before=30 * DAY, **policy),
        validity=90 * DAY,
        passphrase=passphrase,
        check=check,
    )


def done(api: FakeApi, store: CaStore, task: Work | None = None, *, later: timedelta = timedelta()) -> list[Credential]:
    return ensure(cast(Api, api), store, task or work(), NOW + later)


def as_object(*calls: Call, **changes: Any) -> Json:
    """The Secret that an API server has after these writes."""
    data: Json = {}
    for call in calls:
        data |= call.body["data"]
    metadata = {"name": "mysql-credential", "namespace": "istio-system", "labels": OWNER.labels("mysql")}
    return {"kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data, **changes}


def made(store: CaStore) -> Json:
    """The Secret after a first run."""
    api = FakeApi()
    done(api, store)
    return as_object(*api.calls)


def by_hand(root: Root, **changes: Any) -> Json:
    """A Secret that somebody made of another root."""
    leaf = make_leaf(root)
    data = {"tls.crt": leaf.certificate_pem.encode(), "tls.key": leaf.key_pem, "ca.crt": root.view.pem.encode()}
    found = as_object(type="Opaque", data={key: base64.b64encode(value).decode() for key, value in data.items()})
    found["metadata"]["labels"] = {}
    return {**found, **changes}


def summary(calls: Sequence[Call]) -> list[tuple[str, str, list[str]]]:
    return [(call.verb, call.manager, sorted(call.body["data"])) for call in calls]


def decoded(call: Call, key: str) -> bytes:
    return base64.b64decode(call.body["data"][key])


def test_a_new_secret_is_written_whole_in_one_request(store: CaStore) -> None:
    api = FakeApi()
    done(api, store)
    (call,) = api.calls
    assert (call.verb, call.path, call.manager) == ("apply", PATH, IDENTITY)
    assert sorted(call.body["data"]) == ["ca.crt", "tls.crt", "tls.key"]
    assert call.body["type"] == "kubernetes.io/tls"
    assert call.body["metadata"]["labels"] == OWNER.labels("mysql")
    (leaf,) = parse_certificates(decoded(call, "tls.crt"))
    assert leaf.sans == ("mysql.server.example.com",)
    assert key_matches(leaf.pem, decoded(call, "tls.key"))
    assert decoded(call, "ca.crt").decode() == issuing(store).pem


def test_what_is_right_is_kept_and_the_passphrase_is_not_needed(store: CaStore) -> None:
    api = FakeApi([made(store)])
    result = report(done(api, store, work(passphrase="")))
    assert api.calls == []
    assert result["changed"] is False
    assert result["diff"] == []
    assert len(result["serials"]) == 1


def test_a_renewal_gives_trust_its_owner_first_and_makes_a_new_key(store: CaStore) -> None:
    before = made(store)
    api = FakeApi([before])
    done(api, store, later=61 * DAY)
    assert summary(api.calls) == [("apply", TRUST, ["ca.crt"]), ("apply", IDENTITY, ["tls.crt", "tls.key"])]
    assert api.calls[1].body["data"]["tls.key"] != before["data"]["tls.key"]


def test_a_type_is_kept_because_it_cannot_change(store: CaStore) -> None:
    api = FakeApi([made(store) | {"type": "Opaque"}])
    done(api, store, work(force=True))
    assert api.calls[-1].body["type"] == "Opaque"


def test_a_root_is_added_once_the_passphrase_has_opened_the_key_and_no_certificate_is_issued(store: CaStore) -> None:
    found = made(store)
    found["data"]["ca.crt"] = ""
    api = FakeApi([found])
    with refused("wrong-passphrase"):
        done(api, store, work(passphrase=""))
    assert api.calls == []
    done(api, store)
    assert summary(api.calls) == [("apply", TRUST, ["ca.crt"])]


def test_what_others_added_is_taken_out_and_labels_are_put_back(store: CaStore) -> None:
    found = made(store)
    found["data"]["extra"] = "eA=="
    found["metadata"]["labels"]["crossmesh/link"] = "redis"
    api = FakeApi([found])
    done(api, store)
    (_trust, merge) = api.calls
    assert (merge.verb, merge.body["data"]) == ("merge", {"extra": None})
    assert merge.body["metadata"]["labels"] == {"crossmesh/link": "mysql"}


def test_a_cluster_is_known_by_its_uid_once_a_certificate_was_issued_there(store: CaStore) -> None:
    done(FakeApi(), store, replace(work(check=True), uid="one"))
    assert store.clusters() == {}
    done(FakeApi(), store, replace(work(), uid="one"))
    assert store.clusters() == {OWNER.cluster: "one"}
    done(FakeApi(), store, work())
    assert store.clusters() == {OWNER.cluster: "one"}, "where it is not told, nothing is forgotten"


def test_a_certificate_is_recorded_before_it_is_used(store: CaStore) -> None:
    class Watching(FakeApi):
        def _write(self, verb: str, path: str, body: Any, manager: str) -> Json:
            recorded.append([record.secret for record in store.records(NOW)])
            return super()._write(verb, path, body, manager)

    recorded: list[list[str]] = []
    done(Watching(), store)
    assert recorded == [["istio-system/mysql-credential"]]
    (record,) = store.records(NOW)
    assert (record.cluster, record.side, record.links) == ("cluster-b", "server", ("mysql",))


def test_check_mode_decides_the_same_and_writes_nothing(store: CaStore) -> None:
    api = FakeApi()
    result = report(done(api, store, work(check=True, passphrase="")))
    assert api.calls == []
    assert store.records(NOW) == []
    assert result["changed"] is True
    (credential,) = result["credentials"]
    assert (credential["action"], credential["reason"], credential["certificate"]) == ("issue", "missing", None)
    assert "mysql.server.example.com" in json.dumps(result["diff"])


def test_check_mode_without_a_ca_predicts_that_all_is_issued(tmp_path: Path) -> None:
    result = report(done(FakeApi(), file_store(tmp_path / "none"), work([link(), numbered(1)], check=True)))
    assert [item["action"] for item in result["credentials"]] == ["issue", "issue"]


def test_results_hold_no_key(store: CaStore) -> None:
    api = FakeApi()
    issued = done(api, store, work([link(), numbered(1)]))
    told = json.dumps(report(issued)) + repr(issued)
    for call in api.calls:
        key = decoded(call, "tls.key").decode()
        body = "".join(key.splitlines()[1:-1])
        assert "PRIVATE KEY" in key
        assert call.body["data"]["tls.key"][:40] not in told
        assert [chunk for chunk in (body[i : i + 16] for i in range(0, len(body), 16)) if chunk in told] == []
    assert "PRIVATE KEY" not in told


def test_a_diff_shows_before_after_and_the_reason(store: CaStore) -> None:
    before = parse_certificates(base64.b64decode((found := made(store))["data"]["tls.crt"]))[0]
    (diff,) = report(done(FakeApi([found]), store, work([link(fqdn="new.example.com")])))["diff"]
    assert diff["before"]["certificate"]["serial"] == before.serial
    assert diff["after"]["certificate"]["sans"] == ["new.example.com"]
    assert diff["after"]["reason"] == "SAN changed: had mysql.server.example.com, want new.example.com"


# -- what forbids it -----------------------------------------------------------------------------------------------


def test_a_secret_of_others_is_refused_before_anything_is_written(store: CaStore) -> None:
    api = FakeApi([by_hand(make_root())])
    with refused("not-ours") as failure:
        done(api, store, work([numbered(1), link()]))
    assert failure.value.message.where == "Secret istio-system/mysql-credential"
    assert api.calls == []
    assert store.records(NOW) == []


def test_a_store_that_does_not_know_what_is_in_service_is_refused(store: CaStore) -> None:
    found = by_hand(make_root())
    found["metadata"]["labels"] = OWNER.labels("mysql")
    api = FakeApi([found])
    with refused("wrong-store"):
        done(api, store)
    assert api.calls == []


def test_without_a_ca_nothing_is_issued(tmp_path: Path) -> None:
    with refused("no-ca"):
        done(FakeApi(), file_store(tmp_path / "none"))


def test_an_adoption_adds_trust_then_issues_then_takes_the_old_trust_away(store: CaStore) -> None:
    theirs = make_root()
    ours = issuing(store)

    api = FakeApi([by_hand(theirs)])
    done(api, store, work(adopt=True, stage="trust"))
    assert summary(api.calls) == [("apply", TRUST, ["ca.crt"])]
    assert roots(api.calls[0]) == {theirs.view.fingerprint, ours.fingerprint}

    found = by_hand(theirs)
    found["data"] |= api.calls[0].body["data"]
    api = FakeApi([found])
    done(api, store, work(adopt=True, stage="leaves"))
    assert summary(api.calls)[-1] == ("apply", IDENTITY, ["tls.crt", "tls.key"])
    assert roots(api.calls[0]) == {theirs.view.fingerprint, ours.fingerprint}

    found = as_object(*api.calls)
    api = FakeApi([found])
    done(api, store, work(adopt=True, stage="all"))
    assert summary(api.calls) == [("apply", TRUST, ["ca.crt"])]
    assert roots(api.calls[0]) == {ours.fingerprint}


def roots(call: Call) -> set[str]:
    return {root.fingerprint for root in parse_certificates(decoded(call, "ca.crt"))}


def test_an_error_of_one_write_is_the_error_of_all(store: CaStore) -> None:
    api = FakeApi(forbidden_writes={PATH.replace("mysql", "link-1")})
    with refused("not-permitted", kind=UnfinishedError) as failure:
        done(api, store, work([link(), numbered(1)]))
    assert "link-1-credential" in str(failure.value)


def test_an_error_before_the_first_write_leaves_nothing_unfinished(store: CaStore) -> None:
    with pytest.raises(CrossmeshError) as failure:
        done(FakeApi([by_hand(make_root())]), store)
    assert not isinstance(failure.value, UnfinishedError)


@pytest.mark.parametrize(("direction", "word"), [(1, "ahead"), (-1, "behind")])
def test_with_a_clock_that_is_far_off_nothing_is_issued(store: CaStore, direction: int, word: str) -> None:
    api = FakeApi(clock_ahead=direction * (BACKDATING - timedelta(minutes=9)).total_seconds())
    with refused("clock-wrong") as failure:
        done(api, store)
    assert word in failure.value.message.what
    assert (api.calls, store.records(NOW)) == ([], [])
    # The control: what is not issued needs no clock, and a clock that is less off does no harm.
    done(FakeApi([made(store)], clock_ahead=direction * 7200), store)
    done(FakeApi(clock_ahead=direction * (BACKDATING - timedelta(minutes=11)).total_seconds()), store)


# -- beside others -------------------------------------------------------------------------------------------------


@dataclass
class Meddled(FakeApi):
    """Somebody else writes our Secret just before we do, for the given number of times."""

    meddling: int = 0

    def _write(self, verb: str, path: str, body: Any, manager: str) -> Json:
        if self.meddling:
            self.meddling -= 1
            super()._write("merge", path, {"kind": "Secret", "metadata": {}, "data": {"note": "eA=="}}, "kubectl-edit")
        return super()._write(verb, path, body, manager)

    @property
    def ours(self) -> list[Call]:
        return [call for call in self.calls if call.manager.startswith("crossmesh-")]


def test_a_secret_is_written_as_it_was_read_step_by_step(store: CaStore) -> None:
    api = FakeApi([made(store)])
    api.objects[0]["metadata"]["resourceVersion"] = "41"
    done(api, store, work(force=True))
    assert [call.body["metadata"].get("resourceVersion") for call in api.calls] == ["41", "1"]


def test_what_somebody_else_wrote_meanwhile_is_read_again_before_it_is_overwritten(store: CaStore) -> None:
    api = Meddled([made(store)], meddling=1)
    (credential,) = done(api, store, work(force=True))
    assert credential.secret is not None
    # Only after another look is it known that there is something to take out.
    assert "note" in credential.secret["keys"]
    assert sorted(api.objects[0]["data"]) == ["ca.crt", "tls.crt", "tls.key"]
    assert summary(api.ours)[-1] == ("apply", IDENTITY, ["tls.crt", "tls.key"])


def test_a_conflict_without_an_end_is_told_as_unfinished(store: CaStore) -> None:
    api = Meddled([made(store)], meddling=1000)
    with refused("secrets-contested", kind=UnfinishedError):
        done(api, store, work(force=True))
    assert api.ours == []


@dataclass
class OneIsContested(FakeApi):
    """Whoever writes the second Secret for the first time loses; after that, the API server may be gone."""

    contested: bool = True
    gone: bool = False

    def _write(self, verb: str, path: str, body: Any, manager: str) -> Json:
        if path.endswith("link-1-credential") and self.contested:
            self.contested = False
            raise api_error(path, 409)
        return super()._write(verb, path, body, manager)

    def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json") -> Json:
        if self.gone and not self.contested:
            raise CrossmeshError(Message.error("api-unreachable", where="here", what="refused"))
        return super().get(path, query, accept)


def test_what_a_call_wrote_before_it_started_over_is_told_as_changed(store: CaStore) -> None:
    result = report(done(OneIsContested(), store, work([link(), numbered(1)])))
    assert [item["action"] for item in result["credentials"]] == ["issue", "issue"]
    assert result["changed"]


def test_a_call_that_cannot_start_over_says_that_it_has_written(store: CaStore) -> None:
    with refused("api-unreachable", kind=UnfinishedError):
        done(OneIsContested(gone=True), store, work([link(), numbered(1)]))


class SwitchedMeanwhile(CaStore):
    """Another run prepares a root and lets it issue, between our decision and our writing."""

    switched = False

    def record(self, *given: Any, **more: Any) -> Authority | None:
        recorded = super().record(*given, **more)
        if not self.switched:
            self.switched = True
            prepare(self)
            self.switch(PASSPHRASE, seen=state(self))
        return recorded


def state(store: CaStore) -> str:
    authority = store.public()
    assert authority is not None
    return authority.state


def prepare(store: CaStore) -> None:
    root = make_root()
    store.prepare(PASSPHRASE, root.key, root.view.pem, seen=state(store), now=NOW)


def test_a_ca_that_has_moved_on_meanwhile_is_decided_on_again_and_nothing_of_before_is_written(
    store: CaStore,
) -> None:
    before = issuing(store)
    api = FakeApi()
    (credential,) = done(api, file_store(store.where, SwitchedMeanwhile), work())
    after = issuing(store)
    assert after != before
    assert credential.leaf is not None
    assert verify_issued_by(credential.leaf.view, after)
    (call,) = api.calls
    assert roots(call) == {before.fingerprint, after.fingerprint}


# -- revocation lists ----------------------------------------------------------------------------------------------


def revoke(store: CaStore, *serials: str) -> tuple[Crl, ...]:
    """Publish a list for every trusted root."""
    revoked = tuple(Revoked(serial, NOW, "keyCompromise") for serial in serials)

    def wanted(authority: Authority) -> dict[str, tuple[Revoked, ...]]:
        return {root.fingerprint: revoked for root in authority.trusted} if revoked else {}

    return store.publish(PASSPHRASE, wanted, now=NOW).lists


def test_lists_come_with_the_bundle_in_one_write_and_go_with_it(store: CaStore) -> None:
    prepare(store)
    lists = revoke(store, "a1")
    api = FakeApi()
    (credential,) = done(api, store)
    assert len(lists) == 2
    assert decoded(api.calls[0], "ca.crl").decode() == "".join(item.pem for item in lists)
    assert len(roots(api.calls[0])) == 2
    (trust,) = report([credential])["trust"]
    assert sorted(trust["lists"]) == sorted(item.identity for item in lists)

    revoke(store)
    with refused("wrong-passphrase"):
        done(api, store, work(passphrase=""))
    assert "ca.crl" in api.objects[0]["data"]
    (credential,) = done(api, store)
    assert credential.decision.reason == "lists-changed"
    assert sorted(api.objects[0]["data"]) == ["ca.crt", "tls.crt", "tls.key"]


@pytest.mark.parametrize("stage", ["bundle", "trust", "leaves", "all"])
def test_a_list_that_counts_no_more_goes_at_every_stage_whoever_owns_it(store: CaStore, stage: Any) -> None:
    """A list for one root refuses every certificate of a root that has none."""
    revoke(store, "a1")
    api = FakeApi()
    # In a new Secret the list belongs to the identity's manager: that the trust's manager leaves it out is not enough.
    done(api, store)
    assert "ca.crl" in api.objects[0]["data"]
    revoke(store)
    done(api, store, work(stage=stage))
    assert sorted(api.objects[0]["data"]) == ["ca.crt", "tls.crt", "tls.key"]


def test_a_new_list_is_written_without_a_new_certificate(store: CaStore) -> None:
    api = FakeApi([made(store)])
    revoke(store, "a1")
    (credential,) = done(api, store, work(passphrase=""))
    assert summary(api.calls) == [("apply", TRUST, ["ca.crl", "ca.crt"])]
    assert "CRLs changed: had none, want CN=Test Root CA" in credential.decision.message
    api.calls.clear()
    done(api, store, work(passphrase=""))
    assert api.calls == []


def test_beside_a_strangers_root_there_are_no_lists(store: CaStore) -> None:
    revoke(store, "a1")
    api = FakeApi([by_hand(make_root())])
    done(api, store, work(adopt=True, stage="trust"))
    assert sorted(api.calls[0].body["data"]) == ["ca.crt"]
    # The control: once the stranger's root has gone, the list comes.
    done(api, store, work(adopt=True, stage="all"))
    assert "ca.crl" in api.objects[0]["data"]


def test_who_is_revoked_and_still_wanted_gets_another_certificate(store: CaStore) -> None:
    api = FakeApi()
    (first,) = done(api, store)
    entry = Entry("cluster", "cluster-b", "keyCompromise", NOW)
    (second,) = done(api, store, replace(work(), revoked=(entry,)), later=timedelta(seconds=1))
    assert (second.decision.action, second.decision.reason) == ("issue", "revoked")
    (third,) = done(api, store, replace(work(), revoked=(entry,)), later=timedelta(seconds=2))
    assert third.decision.action == "keep"
    assert first.after is not None
    assert third.after is not None
    assert third.after.serial != first.after.serial


# -- what a rotation asks ------------------------------------------------------------------------------------------


def test_in_stage_bundle_trust_is_made_exactly_ours_and_no_leaf_is_written(store: CaStore) -> None:
    api = FakeApi([made(store)])
    leaf = api.objects[0]["data"]["tls.crt"]
    old = issuing(store)
    prepare(store)
    done(api, store, work(stage="bundle", force=True))
    assert summary(api.calls) == [("apply", TRUST, ["ca.crt"])]
    assert len(roots(api.calls[0])) == 2

    store.switch(PASSPHRASE, seen=state(store))
    store.retire(PASSPHRASE, seen=state(store))
    done(api, store, work(stage="bundle", passphrase=""))
    assert roots(api.calls[-1]) == {issuing(store).fingerprint} != {old.fingerprint}
    assert api.objects[0]["data"]["tls.crt"] == leaf


def test_in_stage_bundle_what_is_missing_waits(store: CaStore) -> None:
    api = FakeApi()
    (credential,) = done(api, store, work(stage="bundle"))
    assert (credential.decision.action, api.calls) == ("keep", [])


def test_between_the_phases_a_run_issues_from_the_root_in_service_and_trusts_both(store: CaStore) -> None:
    old = issuing(store)
    prepare(store)
    api = FakeApi()
    result = report(done(api, store))
    assert result["issuers"] == [old.fingerprint]
    assert len(roots(api.calls[0])) == 2
    # What is right in a phase stays right: a second run does nothing.
    assert report(done(api, store))["changed"] is False

    store.switch(PASSPHRASE, seen=state(store))
    result = report(done(api, store))
    assert result["credentials"][0]["reason"] == "issuer-changed"
    assert result["issuers"] == [issuing(store).fingerprint] != [old.fingerprint]


def test_policies_reach_the_decision(store: CaStore) -> None:
    api = FakeApi([made(store)])
    task = work()
    task = replace(task, policy=replace(task.policy, key_type="P-384"))
    (credential,) = done(api, store, task)
    assert credential.decision.reason == "key-type-changed"
    assert credential.after is not None
    assert credential.after.key_type == "P-384"
