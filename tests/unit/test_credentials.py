# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Issuing into Secrets: what is written by whom in which order, and that no key is told."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils.credentials import Credential, Work, ensure, report
from ansible_collections.crossmesh.mtls.plugins.module_utils.errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils.names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils.plan import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils.store import FileStore
from ansible_collections.crossmesh.mtls.plugins.module_utils.x509 import key_matches, parse_certificates
from tests.unit.fake_api import Call, FakeApi
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, Root, make_leaf, make_root
from tests.unit.support import SERVER, Json, link, numbered, view

OWNER = Owner("default", "cluster-b", "server")
PATH = "/api/v1/namespaces/istio-system/secrets/mysql-credential"
IDENTITY, TRUST = OWNER.identity_manager, OWNER.trust_manager


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store; encrypting its key takes longer than all else here."""
    path = tmp_path_factory.mktemp("template") / "ca"
    FileStore(path).create(PASSPHRASE, common_name="Test Root CA", key_type="P-256", validity=3650 * DAY, now=NOW)
    return path


@pytest.fixture
def store(tmp_path: Path, template: Path) -> FileStore:
    return FileStore(shutil.copytree(template, tmp_path / "ca"))


def work(
    links: Sequence[Json] | None = None, *, check: bool = False, passphrase: str = PASSPHRASE, **policy: Any
) -> Work:
    side = view(links or [link()], SERVER)["server"]
    return Work(
        owner=OWNER,
        namespace=side["namespace"],
        wanted=side["secrets"],
        links=[item["name"] for item in side["links"]],
        policy=Policy(key_type="P-256", renew_before=30 * DAY, **policy),
        validity=90 * DAY,
        passphrase=passphrase,
        check=check,
    )


def done(
    api: FakeApi, store: FileStore, task: Work | None = None, *, later: timedelta = timedelta()
) -> list[Credential]:
    return ensure(cast(Api, api), store, task or work(), NOW + later)


def as_object(*calls: Call, **changes: Any) -> Json:
    """The Secret that an API server has after these writes."""
    data: Json = {}
    for call in calls:
        data |= call.body["data"]
    metadata = {"name": "mysql-credential", "namespace": "istio-system", "labels": OWNER.labels("mysql")}
    return {"kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data, **changes}


def made(store: FileStore) -> Json:
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


def test_a_new_secret_is_written_whole_in_one_request(store: FileStore) -> None:
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
    public = store.public()
    assert public is not None
    assert decoded(call, "ca.crt").decode() == public.issuing.pem


def test_what_is_right_is_kept_and_the_passphrase_is_not_needed(store: FileStore) -> None:
    api = FakeApi([made(store)])
    result = report(done(api, store, work(passphrase="")))
    assert api.calls == []
    assert result["changed"] is False
    assert result["diff"] == []
    assert len(result["serials"]) == 1


def test_a_renewal_gives_trust_its_owner_first_and_makes_a_new_key(store: FileStore) -> None:
    before = made(store)
    api = FakeApi([before])
    done(api, store, later=61 * DAY)
    assert summary(api.calls) == [("apply", TRUST, ["ca.crt"]), ("apply", IDENTITY, ["tls.crt", "tls.key"])]
    assert api.calls[1].body["data"]["tls.key"] != before["data"]["tls.key"]


def test_a_type_is_kept_because_it_cannot_change(store: FileStore) -> None:
    api = FakeApi([made(store) | {"type": "Opaque"}])
    done(api, store, work(force=True))
    assert api.calls[-1].body["type"] == "Opaque"


def test_changed_trust_is_written_without_the_key(store: FileStore) -> None:
    found = made(store)
    found["data"]["ca.crt"] = ""
    api = FakeApi([found])
    done(api, store, work(passphrase=""))
    assert summary(api.calls) == [("apply", TRUST, ["ca.crt"])]


def test_what_others_added_is_taken_out_and_labels_are_put_back(store: FileStore) -> None:
    found = made(store)
    found["data"]["extra"] = "eA=="
    found["metadata"]["labels"]["crossmesh/link"] = "redis"
    api = FakeApi([found])
    done(api, store)
    (_trust, merge) = api.calls
    assert (merge.verb, merge.body["data"]) == ("merge", {"extra": None})
    assert merge.body["metadata"]["labels"] == {"crossmesh/link": "mysql"}


def test_a_certificate_is_recorded_before_it_is_used(store: FileStore) -> None:
    class Watching(FakeApi):
        def _write(self, verb: str, path: str, body: Any, manager: str) -> Json:
            recorded.append([record.secret for record in store.records(NOW)])
            return super()._write(verb, path, body, manager)

    recorded: list[list[str]] = []
    done(Watching(), store)
    assert recorded == [["istio-system/mysql-credential"]]
    (record,) = store.records(NOW)
    assert (record.cluster, record.side, record.links) == ("cluster-b", "server", ("mysql",))


def test_check_mode_decides_the_same_and_writes_nothing(store: FileStore) -> None:
    api = FakeApi()
    result = report(done(api, store, work(check=True, passphrase="")))
    assert api.calls == []
    assert store.records(NOW) == []
    assert result["changed"] is True
    (credential,) = result["credentials"]
    assert (credential["action"], credential["reason"], credential["certificate"]) == ("issue", "missing", None)
    assert "mysql.server.example.com" in json.dumps(result["diff"])


def test_check_mode_without_a_ca_predicts_that_all_is_issued(tmp_path: Path) -> None:
    result = report(done(FakeApi(), FileStore(tmp_path / "none"), work([link(), numbered(1)], check=True)))
    assert [item["action"] for item in result["credentials"]] == ["issue", "issue"]


def test_results_hold_no_key(store: FileStore) -> None:
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


def test_a_diff_shows_before_after_and_the_reason(store: FileStore) -> None:
    before = parse_certificates(base64.b64decode((found := made(store))["data"]["tls.crt"]))[0]
    (diff,) = report(done(FakeApi([found]), store, work([link(fqdn="new.example.com")])))["diff"]
    assert diff["before"]["certificate"]["serial"] == before.serial
    assert diff["after"]["certificate"]["sans"] == ["new.example.com"]
    assert diff["after"]["reason"] == "SAN changed: had mysql.server.example.com, want new.example.com"


# -- what forbids it -----------------------------------------------------------------------------------------------


def test_a_secret_of_others_is_refused_before_anything_is_written(store: FileStore) -> None:
    api = FakeApi([by_hand(make_root())])
    with pytest.raises(CrossmeshError, match=r"istio-system/mysql-credential.*mesh_adopt=true"):
        done(api, store, work([numbered(1), link()]))
    assert api.calls == []
    assert store.records(NOW) == []


def test_a_store_that_does_not_know_what_is_in_service_is_refused(store: FileStore) -> None:
    found = by_hand(make_root())
    found["metadata"]["labels"] = OWNER.labels("mysql")
    api = FakeApi([found])
    with pytest.raises(CrossmeshError, match=r"is in service with root"):
        done(api, store)
    assert api.calls == []


def test_without_a_ca_nothing_is_issued(tmp_path: Path) -> None:
    with pytest.raises(CrossmeshError, match=r"there is no CA"):
        done(FakeApi(), FileStore(tmp_path / "none"))


def test_an_adoption_adds_trust_then_issues_then_takes_the_old_trust_away(store: FileStore) -> None:
    theirs = make_root()
    public = store.public()
    assert public is not None
    ours = public.issuing

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


def test_an_error_of_one_write_is_the_error_of_all(store: FileStore) -> None:
    api = FakeApi(statuses={PATH.replace("mysql", "link-1"): 403})
    with pytest.raises(CrossmeshError, match=r"link-1-credential"):
        done(api, store, work([link(), numbered(1)]))


def test_policies_reach_the_decision(store: FileStore) -> None:
    api = FakeApi([made(store)])
    task = work()
    task = replace(task, policy=replace(task.policy, key_type="P-384"))
    (credential,) = done(api, store, task)
    assert credential.decision.reason == "key-type-changed"
    assert credential.after is not None
    assert credential.after.key_type == "P-384"
