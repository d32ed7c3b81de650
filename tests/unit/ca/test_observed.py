# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root rotation over slices of the inventory: what runs keep of what they have seen, and which gates it opens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.filter.rotation_view import rotation_view
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import Outcome, Wanted
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import index_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Author
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.move import Move, move
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.relocation import relocate
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import Sight, steps
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Storage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from tests.unit.ca.fake_cluster import FakeCluster
from tests.unit.ca.memory_storage import MemoryStorage
from tests.unit.ca.support import quick
from tests.unit.pki.support import NOW, PASSPHRASE, make_root
from tests.unit.support import refused

DAY = timedelta(days=1)
WANTED = Wanted("Test Root CA", "P-256", 3650)
STORAGES: dict[str, Callable[[Path], Storage]] = {
    "file": lambda path: FileStorage(path / "ca"),
    "memory": lambda _path: MemoryStorage(),
    "kubernetes": lambda _path: FakeCluster().storage(),
}
CLUSTERS = ("cluster-a", "cluster-b", "cluster-c")


@pytest.fixture(params=STORAGES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CaStore:
    made, root = quick(STORAGES[request.param](tmp_path)), make_root()
    made.create(PASSPHRASE, root.key, root.view.pem)
    return made


def public(store: CaStore) -> Authority:
    found = store.public()
    assert found is not None
    return found


def sights_of(cluster: str, step: str, authority: Authority, **changes: Any) -> list[Sight]:
    """Both sides of a cluster where all is as the store wants it: a server, and a client's side without a link."""
    trusted = frozenset(root.fingerprint for root in authority.trusted)
    issuers = frozenset({authority.issuing.fingerprint} if authority.issuing else ())
    there = Sight(cluster, "server", step, "exec", (trusted,), issuers, state=authority.state)
    return [replace(there, **changes), Sight(cluster, "client", step, "none", (), frozenset(), state=authority.state)]


@dataclass
class Slice:
    """A run of rotate_ca over a part of the clusters, as its playbook goes."""

    store: CaStore
    clusters: Sequence[str]
    asked: str
    age: timedelta = timedelta()
    behind: Sequence[str] = ()
    messages: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        before = public(self.store)
        self.seen, self.left = before.state, list(steps(before.phase, self.asked))
        self.sights: list[Sight] = []

    def step(self) -> None:
        """The next one: work on the clusters, after which what was seen is kept, or a step of the store."""
        name = self.left.pop(0)
        if name not in ("look", "trust", "leaves", "drop"):
            self.messages.append(self._moved(name).message)
            # As the playbook hands it on.
            self.seen = public(self.store).state
            return
        now = public(self.store)
        self.seen = now.state
        self.sights = [
            sight for cluster in self.clusters if cluster not in self.behind for sight in sights_of(cluster, name, now)
        ]
        self._work("observe", looked_at=self.clusters)

    def run(self) -> Slice:
        while self.left:
            self.step()
        return self

    def _moved(self, name: str) -> Outcome:
        return self._work(name, elsewhere=[cluster for cluster in CLUSTERS if cluster not in self.clusters])

    def _work(self, name: str, **more: Any) -> Outcome:
        work = Move(name, self.seen, PASSPHRASE, WANTED, self.sights, "default", CLUSTERS, [], [], keep_keys=False)
        return move(self.store, replace(work, longest=DAY, **more), now=NOW + self.age, check_mode=False)


def phase(store: CaStore, asked: str, order: Sequence[str] = CLUSTERS, **more: Any) -> list[Slice]:
    return [Slice(store, [cluster], asked, **more).run() for cluster in order]


PHASES = {"prepare": "prepared", "switch": "switched", "retire": "steady"}


@pytest.mark.parametrize("order", [*permutations(CLUSTERS)][::2], ids=" ".join)
def test_slices_that_run_one_after_another_rotate_the_root(store: CaStore, order: Sequence[str]) -> None:
    old = public(store).issuing
    for asked, reached in PHASES.items():
        for slice_ in phase(store, asked, order):
            # What a slice does of the store, it tells.
            assert all(slice_.messages)
        assert public(store).phase == reached
    assert public(store).trusted == (public(store).issuing,)
    assert public(store).issuing != old
    assert store.check_journal().signed


@pytest.mark.parametrize("turns", [*permutations(range(3))][::2], ids=str)
def test_slices_that_run_at_once_rotate_it_once(store: CaStore, turns: Sequence[int]) -> None:
    """They take turns, step by step; of each step of the store one does it, and the others go on with that."""
    for asked, reached in PHASES.items():
        slices = [Slice(store, [cluster], asked) for cluster in CLUSTERS]
        while any(item.left for item in slices):
            for turn in turns:
                if slices[turn].left:
                    slices[turn].step()
        assert public(store).phase == reached
    assert len(public(store).retired) == 1


def test_a_slice_goes_on_where_another_one_was_quicker_between_two_reads(
    store: CaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the step of the quicker one all that was seen is void; that is no cluster which nobody has seen."""
    phase(store, "prepare")
    slow, read = Slice(store, ["cluster-b"], "switch"), store.records

    def late(now: datetime) -> list[Record]:
        monkeypatch.undo()
        phase(store, "switch", ["cluster-a"])
        return read(now)

    while slow.left[0] != "switch":
        slow.step()
    monkeypatch.setattr(store, "records", late)
    slow.run()
    assert public(store).phase == "switched"
    assert set(store.observations(public(store))) == {"cluster-a", "cluster-b"}


def test_each_slice_may_run_twice_and_a_phase_again(store: CaStore) -> None:
    for asked, reached in PHASES.items():
        for cluster in (*CLUSTERS, *reversed(CLUSTERS)):
            if asked == "retire" and public(store).phase == "steady":
                assert steps("steady", asked) == ()
                continue
            Slice(store, [cluster], asked).run()
        assert public(store).phase == reached


def test_one_slice_alone_does_not_go_further_than_all_have_come(store: CaStore) -> None:
    phase(store, "prepare", ["cluster-a"])
    with refused("rotation-blocked", "cluster-unseen", "cluster-unseen") as failure:
        phase(store, "switch", ["cluster-a"])
    assert [item.where for item in failure.value.messages[1:]] == ["cluster cluster-b", "cluster cluster-c"]
    assert public(store).phase == "prepared"
    # The control: with the others it does.
    phase(store, "prepare", ["cluster-b", "cluster-c"])
    phase(store, "switch", ["cluster-a"])
    assert public(store).phase == "switched"


def test_a_slice_that_is_done_says_whom_the_last_step_waits_for_and_does_not_fail(store: CaStore) -> None:
    phase(store, "prepare")
    phase(store, "switch")
    (first, second, third) = phase(store, "retire")
    assert "cluster cluster-b, cluster cluster-c" in first.messages[-1]
    assert "cluster cluster-c" in second.messages[-1]
    assert "phase steady" in third.messages[-1]


def test_what_was_seen_too_long_ago_blocks_and_is_told_with_its_time(store: CaStore) -> None:
    phase(store, "prepare")
    for age in (DAY + timedelta(seconds=1), timedelta(hours=-2)):
        with refused("rotation-blocked", "cluster-seen-long-ago", "cluster-seen-long-ago") as failure:
            phase(store, "switch", ["cluster-a"], age=age)
        assert "2026" in failure.value.messages[1].what
        assert public(store).phase == "prepared"
    # The control, and what the message says to do.
    phase(store, "prepare", ["cluster-b"], age=DAY)
    phase(store, "switch", ["cluster-a"], age=DAY)
    assert public(store).phase == "switched"


def test_a_run_does_not_count_on_what_was_seen_earlier_of_its_own_clusters(store: CaStore) -> None:
    phase(store, "prepare")
    with refused("rotation-blocked", "cluster-unseen"):
        phase(store, "switch", ["cluster-a"], behind=["cluster-a"])
    assert public(store).phase == "prepared"


def test_what_a_later_run_could_not_see_counts_for_no_other_slice(store: CaStore) -> None:
    phase(store, "prepare")
    phase(store, "prepare", ["cluster-b"], behind=["cluster-b"])
    with refused("rotation-blocked", "cluster-unseen") as failure:
        phase(store, "switch", ["cluster-a"])
    assert failure.value.messages[1].where == "cluster cluster-b"


def test_what_was_seen_in_one_phase_opens_no_gate_of_another(store: CaStore) -> None:
    phase(store, "prepare")
    held = store.observations(public(store))
    assert set(held) == set(CLUSTERS)
    phase(store, "switch", ["cluster-a"])
    assert set(store.observations(public(store))) == {"cluster-a"}
    with refused("rotation-blocked", "cluster-unseen", "cluster-unseen"):
        phase(store, "retire", ["cluster-a"])


def keep(store: CaStore, sights: Sequence[Sight], *looked_at: str) -> set[str]:
    store.observe(PASSPHRASE, looked_at, sights, now=NOW)
    return set(store.observations(public(store)))


def test_nothing_is_kept_of_a_cluster_that_was_seen_in_part_or_of_another_state(store: CaStore) -> None:
    now = public(store)
    assert keep(store, sights_of("cluster-a", "look", now), "cluster-a") == {"cluster-a"}
    assert keep(store, sights_of("cluster-b", "look", now)[:1], "cluster-b") == {"cluster-a"}
    elsewhere = [replace(sight, state="0" * 16) for sight in sights_of("cluster-b", "look", now)]
    assert keep(store, elsewhere, "cluster-b") == {"cluster-a"}
    # Nor of one that the run has no part in.
    assert keep(store, sights_of("cluster-c", "look", now)) == {"cluster-a"}


def test_a_cluster_decides_nothing_of_what_is_kept_but_its_own_part_of_it(store: CaStore) -> None:
    """Neither how much it is, nor that a root counts which the store does not know."""
    shown = tuple(frozenset({f"{number:064x}"}) for number in range(1000))
    strange = sights_of("cluster-a", "look", public(store), trust=shown, issuers=frozenset({"a", "b"}))
    strange[0] = replace(strange[0], surplus=("one", "two", "three", "four"))
    keep(store, strange, "cluster-a")
    held = store.observations(public(store))["cluster-a"].sights
    server = next(sight for sight in held if sight.side == "server")
    assert (server.trust, server.issuers) == ((frozenset(),), frozenset({""}))
    assert server.surplus == ("one", "two", "three")


def test_what_is_kept_needs_the_passphrase_and_is_told_in_the_journal(store: CaStore) -> None:
    now = public(store)
    with refused("wrong-passphrase"):
        store.observe("another passphrase", ["cluster-a"], sights_of("cluster-a", "look", now), now=NOW)
    assert store.observations(now) == {}
    before = store.check_journal().signed
    assert keep(store, sights_of("cluster-a", "look", now), "cluster-a") == {"cluster-a"}
    assert store.check_journal().signed == before + 1


def test_a_store_that_keeps_nothing_of_clusters_is_signed_as_before(store: CaStore) -> None:
    before = store._storage.snapshot(records=True)
    assert before is not None
    assert "observed" not in index_to_json(before.index)
    keep(store, [], "cluster-a")
    assert store._storage.snapshot(records=True) == before
    # The control; and what is taken back is gone.
    assert keep(store, sights_of("cluster-a", "look", public(store)), "cluster-a") == {"cluster-a"}
    held = store._storage.snapshot(records=True)
    assert held is not None
    assert "observed" in index_to_json(held.index)
    assert keep(store, [], "cluster-a") == set()
    after = store._storage.snapshot(records=True)
    assert after is not None
    assert (after.observed, "observed" in index_to_json(after.index)) == (b"", False)


def test_it_moves_with_the_ca(tmp_path: Path) -> None:
    folder, secrets, root = FileStorage(tmp_path / "ca"), FakeCluster().storage(), make_root()
    there = quick(folder)
    there.create(PASSPHRASE, root.key, root.view.pem)
    keep(there, sights_of("cluster-a", "look", public(there)), "cluster-a")
    held = there.observations(public(there))
    assert relocate(folder, secrets, "default", author=Author(), check_mode=False).changed
    here = quick(secrets)
    assert here.observations(public(here)) == held


@pytest.mark.parametrize("where", STORAGES)
def test_slices_that_start_together_make_one_ca(where: str, tmp_path: Path) -> None:
    """Each process has a storage of its own, and a root that it has made."""
    cluster, memory = FakeCluster(), MemoryStorage()
    opened: dict[str, Callable[[], Storage]] = {
        "file": lambda: FileStorage(tmp_path / "ca"),
        "memory": lambda: memory,
        "kubernetes": cluster.storage,
    }

    def make(_number: int) -> str:
        root = make_root()
        made = quick(opened[where]()).create(PASSPHRASE, root.key, root.view.pem)
        assert made.issuing is not None
        return made.issuing.fingerprint

    with ThreadPoolExecutor(1 if where == "memory" else 4) as pool:
        assert len(set(pool.map(make, range(4)))) == 1


def test_a_slice_knows_whom_its_inventory_lacks_and_whom_it_has_looked_at() -> None:
    declared = {"cluster-a": ["mesh_servers"], "cluster-b": ["mesh_clients"], "cluster-c": None}
    looks: dict[str, dict[str, Any]] = {"cluster-a": {"failed": True}, "host-d": {"state": "now"}, "host-e": {}}
    proofs: list[dict[str, Any]] = [{}, {"sights": [{"cluster": "cluster-d"}]}, {}]
    view = rotation_view(looks, ["", "cluster-d", ""], proofs, ["", "", ""], {}, [], declared, ["host-d"], ["host-d"])
    assert view["elsewhere"] == ["cluster-b"]
    assert view["looked_at"] == ["cluster-a", "cluster-d"]
    assert view["sights"] == [{"cluster": "cluster-d", "state": "now"}]
