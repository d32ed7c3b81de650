# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA store in Secrets: stopped at every request, written by several at once, grown large."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import cast

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import secret_layout as layout
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Event
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.ledger import record_to_text
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.secret_layout import Place
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.secret_storage import SecretStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import LABEL_MANAGED_BY
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf
from tests.store.secret_stopping import SECRET_FAULTS, SECRET_WORKS, Fault, KilledError, secret_points
from tests.store.work import Work
from tests.unit.ca.fake_cluster import PLACE, FakeCluster
from tests.unit.ca.secret_stores import all_of, lived, made, publish
from tests.unit.ca.support import quick, record
from tests.unit.pki.support import NOW, PASSPHRASE, Root, make_leaf, make_root
from tests.unit.support import CHECKOUT, refused


class StoppedError(Exception):
    """The process was killed here."""


def stopping(at: int) -> Callable[[str, str], None]:
    """:param at: which request that writes is the last one."""
    left = iter(range(at))

    def stop(verb: str, _path: str) -> None:
        if verb != "get" and next(left, None) is None:
            raise StoppedError

    return stop


def unlocked(cluster: FakeCluster) -> None:
    """Take the Lease away: a holder that was killed is waited for, which other tests do."""
    cluster.objects = {path: item for path, item in cluster.objects.items() if item["kind"] != "Lease"}


def pieces(cluster: FakeCluster) -> set[str]:
    return cluster.secrets().keys() - {PLACE.name}


class TestStopped:
    STEPS: dict[str, Callable[[CaStore, Root, Leaf], object]] = {  # noqa: RUF012 (of a test)
        "record": lambda store, root, leaf: store.record([record(leaf)], root.key, NOW),
        "publish": lambda store, _root, _leaf: publish(store, "b2"),
        "note": lambda store, _root, _leaf: store.note(Event("refused", {"code": "y"})),
        "destroy": lambda store, _root, _leaf: store.destroy(),
    }

    @pytest.mark.parametrize("step", STEPS)
    def test_a_step_is_done_or_not_and_can_be_done_again(self, step: str, root: Root, leaf: Leaf) -> None:
        further, stops = make_leaf(root), 0
        for at in range(40):
            cluster = FakeCluster()
            store = lived(cluster, root, leaf)
            before = all_of(store)
            for hook in ("before", "after"):
                setattr(cluster, hook, stopping(at))
                try:
                    self.STEPS[step](quick(cluster.storage()), root, further)
                except StoppedError:
                    stops += 1
                setattr(cluster, hook, lambda _verb, _path: None)
                unlocked(cluster)
            fresh = quick(cluster.storage())
            if step == "destroy":
                assert fresh.public() is None or all_of(fresh) == before
                fresh.destroy()
                assert cluster.objects == {}
            else:
                self.STEPS[step](fresh, root, further)
                assert all_of(fresh)[:1] == before[:1]
                fresh.record([], root.key, NOW)
                named = json.loads(base64.b64decode(cluster.secrets()[PLACE.name]["data"]["pieces.json"]))
                assert pieces(cluster) == {f"{PLACE.name}-{piece}" for ids in named.values() for piece in ids}
            if stops < 2 * (at + 1):
                break
        assert stops > 4

    def test_a_ca_that_is_half_made_is_none_and_the_next_run_makes_one(self, root: Root) -> None:
        other = make_root()
        for at in range(1, 20):
            cluster = FakeCluster(before=stopping(at))
            try:
                made(cluster, root)
            except StoppedError:
                cluster.before = lambda _verb, _path: None
                unlocked(cluster)
                found = quick(cluster.storage())
                if found.public() is None:
                    assert made(cluster, other).public()
                assert found.check_journal().signed
            else:
                break
        assert at > 4

    def test_an_answer_that_was_lost_is_no_failure_where_the_head_stands(self, root: Root, leaf: Leaf) -> None:
        cluster = FakeCluster()
        store = lived(cluster, root, leaf)

        def lose(verb: str, path: str) -> None:
            if verb == "update" and path == PLACE.path():
                raise CrossmeshError(Message.error("api-unreachable", where="x", what="x", fix="x"))

        cluster.after = lose
        further = make_leaf(root)
        assert store.record([record(further)], root.key, NOW)
        assert [item.serial for item in store.records(NOW)] == sorted([leaf.view.serial, further.view.serial])


# One request in so many; the rest takes minutes.
SAMPLE = 9


@pytest.mark.parametrize("every", [SAMPLE, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("fault", SECRET_FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("work", SECRET_WORKS, ids=lambda work: work.name)
def test_whatever_happens_at_a_request_the_next_call_finds_a_whole_store_and_ends_the_work(
    work: Work, fault: Fault, every: int
) -> None:
    found = list(secret_points(work, fault, every=every))
    assert [point for point in found if point.fault] == []
    assert found


def test_a_work_that_leaves_half_of_itself_is_noticed() -> None:
    """The control: one that takes no notice of who was quicker."""

    def careless(store: CaStore) -> None:
        storage = cast(SecretStorage, store._storage)
        head = storage._secret()
        assert head is not None
        store.record([], store.signer(PASSPHRASE), NOW)
        later = storage._secret()
        assert later is not None
        storage._put(replace(head, version=later.version), head.contents)

    begin = next(work.begin for work in SECRET_WORKS if work.name == "issue")
    work = Work("careless", begin, careless, lambda _store: True)
    (overtaken,) = (fault for fault in SECRET_FAULTS if fault.name == "overtaken")
    faults = [point.fault for point in secret_points(work, overtaken)]
    assert any("is missing" in fault or "is lost" in fault for fault in faults)


def test_a_work_sees_the_faults() -> None:
    """The control of what happens: a work that is stopped, and one that is told why not."""
    seen = list[type[BaseException]]()

    def work(store: CaStore) -> None:
        try:
            store.note(Event("refused", {"code": "y"}))
        except (KilledError, CrossmeshError) as error:
            seen.append(type(error))
            raise

    begin = next(found.begin for found in SECRET_WORKS if found.name == "note")
    for fault in SECRET_FAULTS:
        list(secret_points(Work(fault.name, begin, work, lambda _store: True), fault))
    assert set(seen) >= {KilledError, CrossmeshError}


class TestAtOnce:
    def test_eight_writers_lose_nothing(self, root: Root) -> None:
        cluster = FakeCluster()
        made(cluster, root)
        leaves = [[make_leaf(root) for _ in range(3)] for _ in range(8)]

        def work(mine: list[Leaf]) -> None:
            store = quick(cluster.storage())
            for leaf in mine:
                assert store.record([record(leaf)], root.key, NOW)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, leaves))
        store = quick(cluster.storage())
        assert {item.serial for item in store.records(NOW)} == {leaf.view.serial for mine in leaves for leaf in mine}
        assert store.check_journal().signed >= 24

    def test_who_is_overtaken_leaves_no_piece_and_decides_again(self, root: Root, leaf: Leaf) -> None:
        cluster = FakeCluster()
        store, quicker, turns = made(cluster, root), quick(cluster.storage()), iter([make_leaf(root)])

        def overtake(verb: str, path: str) -> None:
            if verb == "update" and path == PLACE.path() and (other := next(turns, None)):
                # As where its Lease was lost.
                unlocked(cluster)
                quicker.record([record(other)], root.key, NOW)

        cluster.before = overtake
        store.record([record(leaf)], root.key, NOW)
        assert len(store.records(NOW)) == 2
        named = json.loads(base64.b64decode(cluster.secrets()[PLACE.name]["data"]["pieces.json"]))
        assert len(pieces(cluster)) == sum(map(len, named.values()))


class TestSizes:
    @staticmethod
    def sizes(cluster: FakeCluster) -> Iterator[int]:
        for item in cluster.secrets().values():
            yield sum(len(base64.b64decode(value)) for value in item["data"].values())

    def test_no_secret_nears_what_one_holds(self, root: Root, leaf: Leaf) -> None:
        cluster = FakeCluster()
        store, one = made(cluster, root), record(leaf)
        records = [replace(one, serial=f"{number:040x}", links=("mysql",) * 150) for number in range(600)]
        assert store.record(records, root.key, NOW)
        publish(store, *(f"{number:040x}" for number in range(1, 4500)))
        for number in range(3):
            store.note(Event("bundle", {"secrets": ["x" * 900] * 150, "number": number}))
        assert len(store.records(NOW)) == 600
        assert store.check_journal().signed > 600
        assert sum(self.sizes(cluster)) > 2 * 1024 * 1024
        assert max(self.sizes(cluster)) <= layout.LARGEST < 1024 * 1024
        cluster.writes.clear()
        further: list[Record] = [replace(one, serial="f" * 40)]
        assert store.record(further, root.key, NOW)
        # The last chunk, the ledger and the last segment, whatever there is beside them.
        assert len([verb for verb, _path in cluster.writes if verb == "create"]) < 8

    def test_a_record_longer_than_a_piece_is_read_back(self, root: Root, leaf: Leaf) -> None:
        store = lived(FakeCluster(), root, leaf)
        long = replace(record(leaf), serial="e" * 40, links=tuple(f"link-{number:034}" for number in range(8000)))
        assert len(record_to_text(long)) > layout.LARGEST_PIECE
        assert store.record([long], root.key, NOW)
        assert long in store.records(NOW)

    def test_a_record_that_no_secret_holds_is_refused_before_the_head_names_it(self, root: Root, leaf: Leaf) -> None:
        store = lived(FakeCluster(), root, leaf)
        before = all_of(store)
        long = replace(record(leaf), serial="e" * 40, links=tuple(f"link-{number:034}" for number in range(20000)))
        with refused("store-too-large"):
            store.record([long], root.key, NOW)
        assert all_of(store) == before

    def test_a_head_that_would_be_too_large_is_refused_and_nothing_is_left(self, root: Root, leaf: Leaf) -> None:
        cluster = FakeCluster()
        store = lived(cluster, root, leaf)
        before, there = all_of(store), set(cluster.secrets())
        names = [replace(record(leaf), cluster="cluster-b")]
        with pytest.MonkeyPatch.context() as patch, refused("store-too-large"):
            patch.setattr(layout, "LARGEST", 4096)
            store.record(names, root.key, NOW, home=("x" * 63, "y" * 3000))
        assert (all_of(store), set(cluster.secrets())) == (before, there)


class TestPlace:
    def test_everything_is_labelled_and_only_what_never_changes_is_immutable(self, root: Root, leaf: Leaf) -> None:
        cluster = FakeCluster()
        lived(cluster, root, leaf)
        for item in cluster.objects.values():
            assert item["metadata"]["labels"][LABEL_MANAGED_BY] == "crossmesh"
            assert item["metadata"]["labels"]["crossmesh/instance"] == "default"
            # What belongs to a cluster of the mesh has a side.
            assert "crossmesh/side" not in item["metadata"]["labels"]
        found = cluster.secrets()
        assert {name for name, item in found.items() if not item.get("immutable")} == {PLACE.name}
        assert {item["type"] for item in found.values()} == {"crossmesh/ca-store"}

    def test_keys_stand_there_encrypted_only(self, root: Root, leaf: Leaf) -> None:
        cluster = FakeCluster()
        lived(cluster, root, leaf)
        begin = "-----BEGIN "
        whole = "".join(
            base64.b64decode(value).decode() for item in cluster.secrets().values() for value in item["data"].values()
        )
        kinds = [line for line in whole.splitlines() if line.startswith(begin) and "KEY" in line]
        assert kinds == [f"{begin}ENCRYPTED PRIVATE KEY-----"]

    def test_two_stores_in_one_namespace_do_not_meet(self, root: Root) -> None:
        cluster = FakeCluster()
        made(cluster, root)
        other = quick(cluster.storage(Place(PLACE.namespace, f"{PLACE.name}-blue")))
        assert other.public() is None
        other.create(PASSPHRASE, (second := make_root()).key, second.view.pem)
        before = set(cluster.secrets())
        publish(other, "a")
        assert quick(cluster.storage()).destroy()
        assert all_of(other)[0] == [second.view.fingerprint]
        assert len(before) > 3

    def test_what_the_user_may_not_do_is_told_before_anything_is_written(self) -> None:
        with refused("no-namespace"):
            FakeCluster(namespaces=frozenset()).storage().refuse_unwritable()
        denied = frozenset({("create", "secrets"), ("update", "secrets"), ("get", "leases")})
        with refused("store-not-permitted") as caught:
            FakeCluster(denied=denied).storage().refuse_unwritable()
        assert "may not create secrets, update secrets, get leases" in caught.value.message.what
        cluster = FakeCluster()
        cluster.storage().refuse_unwritable()
        assert cluster.objects == {}

    def test_the_documented_role_is_what_is_asked_for(self) -> None:
        text = (CHECKOUT / "docs/permissions.md").read_text(encoding="utf-8").partition("## The CA's Secrets\n")[2]
        role, _binding = yaml.safe_load_all(text.partition("```yaml\n")[2].partition("```")[0])
        rules = [(rule["apiGroups"], rule["resources"], rule["verbs"]) for rule in role["rules"]]
        assert rules == [([group], [resource], [*verbs]) for group, resource, verbs in layout.RIGHTS]

    def test_a_missing_namespace_is_told_where_a_ca_is_made(self, root: Root) -> None:
        with refused("no-namespace"):
            made(FakeCluster(namespaces=frozenset()), root)
