# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps follow from where a rotation stands, what each of them waits for, and that no way through them ever
leaves a peer that is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ansible_collections.crossmesh.mtls.plugins.filter.rotation_steps import rotation_steps
from ansible_collections.crossmesh.mtls.plugins.filter.rotation_stop import rotation_stop
from ansible_collections.crossmesh.mtls.plugins.filter.rotation_view import rotation_view
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority, Phase
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import (
    ASKED,
    Sight,
    blockers,
    refusal,
    sight_from_json,
    steps,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from tests.unit.pki.support import make_root
from tests.unit.support import Json

ROOTS = [make_root().view for _ in range(3)]
OLD, NEW, OTHER = ROOTS
PHASES: dict[Phase, Authority] = {
    "absent": Authority("/srv/ca", None, ()),
    "steady": Authority("/srv/ca", OLD, (OLD,)),
    "prepared": Authority("/srv/ca", OLD, (OLD, NEW), prepared=NEW),
    "switched": Authority("/srv/ca", NEW, (OLD, NEW)),
    "retiring": Authority("/srv/ca", NEW, (NEW,), retiring=(OLD.fingerprint,)),
}

# What a run does, or why it does nothing: every phase with everything that can be asked for.
TABLE: dict[tuple[Phase, str], str] = {
    ("absent", ""): "refused: no-ca",
    ("absent", "prepare"): "refused: no-ca",
    ("absent", "switch"): "refused: no-ca",
    ("absent", "retire"): "refused: no-ca",
    ("absent", "abandon"): "refused: no-ca",
    ("steady", ""): "prepare trust switch leaves retire drop finish",
    ("steady", "prepare"): "prepare trust",
    ("steady", "switch"): "refused: phase-impossible",
    ("steady", "retire"): "",
    ("steady", "abandon"): "",
    ("prepared", ""): "trust switch leaves retire drop finish",
    ("prepared", "prepare"): "trust",
    ("prepared", "switch"): "look switch leaves",
    ("prepared", "retire"): "refused: phase-impossible",
    ("prepared", "abandon"): "look abandon drop finish",
    ("switched", ""): "leaves retire drop finish",
    ("switched", "prepare"): "refused: phase-impossible",
    ("switched", "switch"): "leaves",
    ("switched", "retire"): "look retire drop finish",
    ("switched", "abandon"): "refused: phase-impossible",
    ("retiring", ""): "drop finish",
    ("retiring", "prepare"): "refused: phase-impossible",
    ("retiring", "switch"): "refused: phase-impossible",
    ("retiring", "retire"): "drop finish",
    ("retiring", "abandon"): "drop finish",
}


def test_the_table_is_complete() -> None:
    assert set(TABLE) == {(phase, asked) for phase in get_args(Phase) for asked in ASKED}
    assert {phase: authority.phase for phase, authority in PHASES.items()} == {phase: phase for phase in PHASES}


@pytest.mark.parametrize(("phase", "asked"), TABLE, ids=lambda value: value or "all")
def test_what_follows_from_a_phase_and_what_is_asked_for(phase: Phase, asked: str) -> None:
    expected = TABLE[phase, asked]
    why = refusal(phase, asked)
    if expected.startswith("refused: "):
        assert why is not None
        assert (why.code, why.level) == (expected.removeprefix("refused: "), "error")
        assert why.fix
        assert steps(phase, asked) == ()
    else:
        assert (why, " ".join(steps(phase, asked))) == (None, expected)
    told = rotation_steps(phase, asked)
    assert (told["refusal"], told["steps"]) == (str(why or ""), list(steps(phase, asked)))
    assert len(told["words"].split("; ")) == max(1, len(told["steps"]))


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_that_there_is_not_is_refused_with_those_that_there_are(phase: Phase) -> None:
    found = refusal(phase, "finish")
    assert found is not None
    assert (found.code, found.where) == ("unknown-phase", "mesh_rotate_phase")
    assert "prepare, switch, retire, abandon" in found.fix


def test_a_lost_store_begins_anew_and_goes_to_the_end() -> None:
    found = rotation_steps("absent", lost=True)
    assert (found["refusal"], found["steps"]) == (
        "",
        ["recover", "trust", "switch", "leaves", "retire", "drop", "finish"],
    )
    refused = rotation_steps("absent", "switch", lost=True)
    assert refused["refusal"].endswith("[lost-ca-phase]")
    assert refused["steps"] == []
    # The control: where there is a store, it counts.
    assert rotation_steps("prepared", lost=True) == rotation_steps("prepared")


# -- what a step waits for -----------------------------------------------------------------------------------------


def sight(cluster: str, side: str = "server", **changes: Any) -> Sight:
    both = frozenset({OLD.fingerprint, NEW.fingerprint})
    found = Sight(cluster, side, "trust", "exec", (both,), frozenset({OLD.fingerprint}))
    return replace(found, **changes)


def seen(**changes: Any) -> list[Sight]:
    """Two clusters at the step before, a server and a client; each has one side without a credential."""
    nothing = {"trust": (), "issuers": frozenset(), "method": "none"}
    step = changes.get("step", "trust")
    return [
        sight("cluster-a", "client", **changes),
        sight("cluster-a", "server", step=step, **nothing),
        sight("cluster-b", "server", **changes),
        sight("cluster-b", "client", step=step, **nothing),
    ]


AT: dict[str, tuple[Authority, dict[str, Any]]] = {
    "switch": (PHASES["prepared"], {}),
    "retire": (PHASES["switched"], {"step": "leaves", "issuers": frozenset({NEW.fingerprint})}),
    "finish": (PHASES["retiring"], {"step": "drop", "trust": (frozenset({NEW.fingerprint}),)}),
}


def waits_for(
    step: str,
    sights: Sequence[Sight],
    *,
    clusters: Collection[str] = ("cluster-a", "cluster-b"),
    records: Iterable[Record] = (),
    revoked: Collection[str] = (),
) -> list[Message]:
    return blockers(step, AT[step][0], sights, clusters, records, revoked, "default")


def record(cluster: str, serial: str = "1") -> Record:
    return Record(serial, "", (), "default", cluster, "client", (), "", "", "", "", "")


@pytest.mark.parametrize("step", AT)
def test_a_gate_is_open_when_every_side_of_every_cluster_is_ready(step: str) -> None:
    assert waits_for(step, seen(**AT[step][1])) == []


@pytest.mark.parametrize("step", AT)
def test_a_cluster_that_was_not_seen_is_named(step: str) -> None:
    found = [item for item in seen(**AT[step][1]) if item.cluster != "cluster-b"]
    (error,) = waits_for(step, found)
    assert (error.code, error.where) == ("cluster-unseen", "cluster cluster-b")


@pytest.mark.parametrize("step", AT)
@pytest.mark.parametrize("side", ["server", "client"])
def test_one_side_of_a_cluster_says_nothing_of_the_other(step: str, side: str) -> None:
    """The gate of a client's egress fails after its server's side, which has nothing, was passed."""
    found = [item for item in seen(**AT[step][1]) if (item.cluster, item.side) != ("cluster-a", side)]
    (error,) = waits_for(step, found)
    assert (error.code, error.where) == ("cluster-unseen", "cluster cluster-a")


@pytest.mark.parametrize("step", AT)
def test_what_was_seen_at_another_step_does_not_count(step: str) -> None:
    found = seen(**{**AT[step][1], "step": "prepare"})
    assert [(error.code, error.where) for error in waits_for(step, found)] == [
        ("cluster-unseen", "cluster cluster-a"),
        ("cluster-unseen", "cluster cluster-b"),
    ]


@pytest.mark.parametrize("step", AT)
def test_who_holds_a_certificate_counts_even_where_nobody_names_the_cluster(step: str) -> None:
    found = seen(**AT[step][1])
    (error,) = waits_for(step, found, records=[record("cluster-a", "2"), record("cluster-z")])
    assert (error.code, error.where) == ("left-inventory", "cluster cluster-z")
    assert waits_for(step, found, records=[record("cluster-z")], revoked={"1"}) == []


@pytest.mark.parametrize("step", AT)
@pytest.mark.parametrize("method", ["handshake", "wait", "none"])
def test_only_what_the_pods_themselves_were_asked_opens_a_gate(step: str, method: str) -> None:
    errors = waits_for(step, seen(**{**AT[step][1], "method": method}))
    assert [(error.code, error.where) for error in errors] == [
        ("not-asked", "cluster cluster-a, client's side"),
        ("not-asked", "cluster cluster-b, server's side"),
    ]


ONLY_OLD, ONLY_NEW = frozenset({OLD.fingerprint}), frozenset({NEW.fingerprint})
# Of each: the code, and the root that is named by the first digits of its fingerprint.
BEHIND: list[tuple[str, dict[str, Any], str, str]] = [
    ("switch", {"trust": (ONLY_OLD,)}, "root-not-trusted", NEW.fingerprint),
    ("switch", {"trust": (ONLY_OLD | ONLY_NEW, ONLY_OLD)}, "root-not-trusted", NEW.fingerprint),
    ("switch", {"trust": (ONLY_NEW,)}, "root-not-trusted", OLD.fingerprint),
    ("retire", {"issuers": ONLY_OLD}, "serves-old-root", ""),
    ("retire", {"issuers": ONLY_OLD | ONLY_NEW}, "serves-old-root", ""),
    ("retire", {"issuers": frozenset({""})}, "serves-old-root", ""),
    ("finish", {"trust": (ONLY_NEW, ONLY_NEW | ONLY_OLD)}, "root-still-trusted", OLD.fingerprint),
]


@pytest.mark.parametrize(("step", "changes", "code", "root"), BEHIND, ids=map(str, range(len(BEHIND))))
def test_a_side_that_is_behind_is_named_with_what_it_lacks(
    step: str, changes: dict[str, Any], code: str, root: str
) -> None:
    first, *others = seen(**AT[step][1])
    (error,) = waits_for(step, [replace(first, **changes), *others])
    assert (error.code, error.where) == (code, "cluster cluster-a, client's side")
    assert error.fix
    assert root[:8] in error.what
    assert not root or root not in error.what


@pytest.mark.parametrize("step", AT)
def test_a_secret_that_no_link_needs_is_in_the_way_for_it_may_be_in_use(step: str) -> None:
    first, second, *others = seen(**AT[step][1])
    (error,) = waits_for(step, [first, replace(second, surplus=("gone-credential",)), *others])
    assert (error.code, error.where) == ("surplus-secret", "cluster cluster-a, server's side")
    assert "gone-credential" in error.what


@pytest.mark.parametrize("step", AT)
def test_what_another_instance_had_of_the_same_ca_is_not_in_the_way(step: str) -> None:
    """It has a CA of its own by now, and its gateways go on with the root that this one drops."""
    fine = seen(**AT[step][1])
    assert waits_for(step, fine, records=[replace(record("cluster-z"), instance="blue")]) == []
    # The control: a cluster of this instance that nobody has seen.
    (error,) = waits_for(step, fine, records=[record("cluster-z")])
    assert (error.code, error.where) == ("left-inventory", "cluster cluster-z")


def test_a_prepared_root_that_issues_already_is_not_taken_back() -> None:
    """A store that was restored from a backup is older than its clusters."""
    serving = seen(step="look", issuers=frozenset({NEW.fingerprint}))[:1]
    (error,) = blockers("abandon", PHASES["prepared"], serving, ["cluster-z"], [record("cluster-y")], (), "default")
    assert (error.code, error.where) == ("serves-prepared-root", "cluster cluster-a, client's side")
    # The control: of the root that issues, whoever else was not seen.
    fine = seen(step="look")[:1]
    assert blockers("abandon", PHASES["prepared"], fine, ["cluster-z"], [record("cluster-y")], (), "default") == []


@pytest.mark.parametrize("step", ["prepare", "abandon", "publish", "recover"])
def test_other_steps_wait_for_nobody(step: str) -> None:
    assert blockers(step, PHASES["prepared"], [], ["cluster-a"], [record("cluster-z")], (), "default") == []


def test_all_that_is_missing_is_told_at_once() -> None:
    found = seen(trust=(ONLY_OLD,))[:2]
    assert len(waits_for("switch", found, records=[record("cluster-z")])) == 3


# -- how it is handed over -----------------------------------------------------------------------------------------


def test_where_a_server_is_external_a_run_takes_one_phase() -> None:
    found = refusal("steady", "", ["sql"])
    assert found is not None
    assert (found.code, "sql" in found.what) == ("external-needs-phases", True)
    assert [refusal("steady", "prepare", ["sql"]), refusal("steady", "")] == [None, None]
    lost = rotation_steps("absent", "", True, [at_the_database("sql", ca="/srv/sql")])
    assert (lost["refusal"], lost["steps"]) == ("", ["recover", "trust"])
    assert "finish" in rotation_steps("absent", "", True)["steps"]


@pytest.mark.parametrize(("step", "waiting"), [("switch", 0), ("retire", 1)])
def test_a_side_that_trusts_other_cas_alone_is_held_to_whose_certificates_it_serves(step: str, waiting: int) -> None:
    client, *others = seen(**AT[step][1])
    foreign = replace(client, trust=(), issuers=frozenset({OLD.fingerprint}))
    assert len(waits_for(step, [foreign, *others])) == waiting


def test_a_sight_is_read_as_a_task_handed_it_over() -> None:
    found = {
        "cluster": "cluster-a",
        "side": "client",
        "step": "trust",
        "method": "exec",
        "trust": [
            {"secret": "client-credential", "roots": [OLD.fingerprint, NEW.fingerprint], "lists": [], "own": True},
            {"secret": "partner-client-credential", "roots": ["f" * 64], "lists": [], "own": False},
        ],
        "issuers": [OLD.fingerprint],
        "surplus": [],
    }
    assert sight_from_json(found) == sight("cluster-a", "client")


def rotation_of(
    hosts: dict[str, Json],
    *,
    external: Json | None = None,
    links: Any = (),
    clusters: Json | None = None,
    hosts_of_run: Sequence[str] = ("a",),
    still_there: Sequence[str] = ("a",),
) -> Json:
    """The view that a playbook gets.

    :param hosts: of each C(look), C(name), C(sights) and C(left_out), as far as there are any.
    :param external: what localhost saw of external servers.
    """
    return rotation_view(
        {host: facts.get("look", {}) for host, facts in hosts.items()},
        [facts.get("name", "") for facts in hosts.values()],
        [{"sights": facts.get("sights", [])} for facts in hosts.values()],
        [facts.get("left_out", "") for facts in hosts.values()],
        external or {},
        links,
        clusters or {},
        hosts_of_run,
        still_there,
    )


def test_the_view_of_a_rotation_holds_every_cluster_all_that_was_seen_and_whom_the_run_leaves_out() -> None:
    hosts: dict[str, Json] = {
        "a": {"name": "cluster-a", "sights": [{"n": 1}, {"n": 2}]},
        "b": {"sights": [{"n": 3}]},
        "c": {},
    }
    seen = ("a", "c")
    found = rotation_of(hosts, clusters={"cluster-z": ["mesh_clients"]}, hosts_of_run=seen, still_there=seen)
    assert found["clusters"] == ["b", "c", "cluster-a", "cluster-z"]
    assert found["left_out"] == ["b", "cluster-z"]
    assert [item["n"] for item in found["sights"]] == [1, 2, 3]


READ: Json = {"look": {"sides": {}, "awaited": ["a", "external:other"]}}


@pytest.mark.parametrize(
    ("facts", "still_there", "left_out"),
    [
        (READ, True, []),
        # Nothing can be done for a cluster that is down; it must not keep others from being safe.
        ({}, False, []),
        ({"look": {"failed": True}}, False, []),
        (READ, False, ["a"]),
        ({**READ, "left_out": "why"}, True, ["a"]),
        # Who is not waited for could otherwise put off what is to be revoked.
        ({"look": {"sides": {}, "awaited": ["b"]}}, False, []),
        ({"look": {"sides": {}, "awaited": ["b"]}, "left_out": "why"}, True, []),
    ],
    ids=[
        "all is well",
        "unreachable",
        "not read",
        "failed after it was read",
        "left out after it was read",
        "failed and not waited for",
        "left out and not waited for",
    ],
)
def test_who_could_be_read_and_has_failed_since_is_left_out(
    facts: Json, still_there: bool, left_out: list[str]
) -> None:
    assert rotation_of({"a": facts}, still_there=["a"] if still_there else [])["left_out"] == left_out


def test_whom_one_look_waits_for_is_waited_for() -> None:
    """Each sees what lies in its own cluster and no record knows."""
    hosts: dict[str, Json] = {
        "a": {"look": {"sides": {}, "awaited": []}},
        "b": {"look": {"sides": {}, "awaited": ["a"]}},
    }
    both = ("a", "b")
    assert rotation_of(hosts, hosts_of_run=both, still_there=["b"])["left_out"] == ["a"]
    assert rotation_of({**hosts, "b": hosts["a"]}, hosts_of_run=both, still_there=["b"])["left_out"] == []


@pytest.mark.parametrize(
    ("ahead", "agreed"),
    [
        ([], 0),
        ([7200], 7200),
        ([7200, 0], 0),
        ([7200, -7200], 0),
        ([7200, 7300], 7200),
        ([7200, 5, 3], 5),
        ([7200, 7300, 5], 7200),
        ([7200, 7300, 5, 3], 5),
        ([-86400, 30, 40], 30),
    ],
)
def test_the_clock_is_what_most_clocks_say(ahead: list[int], agreed: int) -> None:
    """The controller's own is one of them."""
    hosts: dict[str, Json] = {str(n): {"look": {"clock_ahead": seconds}} for n, seconds in enumerate(ahead)}
    assert rotation_of({**hosts, "away": {}})["clock_ahead"] == agreed


def at_the_database(name: str, **external: Any) -> Json:
    address = {"address": "db.example.net", "port": 13306}
    return {"name": name, "fqdn": f"{name}.example.net", "port": 3306, "external": {**address, **external}}


EXTERNAL = [at_the_database("sql", ca="/srv/sql"), at_the_database("theirs", trust="a partner's root")]


@pytest.mark.parametrize(
    ("external", "links", "left_out"),
    [
        ({"waiting": []}, EXTERNAL, []),
        ({"waiting": ["external:other"], "failed": True}, EXTERNAL, ["external:other"]),
        ({"waiting": ["external:sql"]}, EXTERNAL, []),
        ({}, EXTERNAL, ["external:sql"]),
        ({"failed": True, "msg": "the CA store is damaged"}, EXTERNAL, ["external:sql"]),
        ({}, [], []),
        ({}, None, []),
    ],
    ids=[
        "all is well",
        "one waits",
        "one is named itself",
        "localhost not in the run",
        "nothing was looked at",
        "no servers",
        "no links",
    ],
)
def test_external_servers_are_left_out_unless_localhost_saw_that_they_need_not_wait(
    external: Json, links: Any, left_out: list[str]
) -> None:
    assert rotation_of({"a": READ}, external=external, links=links)["left_out"] == left_out


# -- any way through -----------------------------------------------------------------------------------------------


@dataclass
class Side:
    """One side of one cluster: what its Secret holds, and what its pods have loaded of it."""

    trust: frozenset[str] = frozenset()
    leaf: str = ""
    loaded_trust: frozenset[str] = frozenset()
    loaded_leaf: str = ""
    # No link needs it any more, and it is in use until somebody takes it away.
    surplus: bool = False

    def load(self, trust: bool = True, leaf: bool = True) -> None:
        self.loaded_trust = self.trust if trust else self.loaded_trust
        self.loaded_leaf = self.leaf if leaf else self.loaded_leaf


Place = tuple[str, str]
CLUSTERS = ("cluster-a", "cluster-b", "cluster-c")
PLACES: tuple[Place, ...] = tuple((cluster, side) for cluster in CLUSTERS for side in ("server", "client"))
SOME = st.sets(st.sampled_from(PLACES))
# Rather few: a run that reaches hardly anybody changes hardly anything.
FEW = st.sets(st.sampled_from(PLACES), max_size=2)


@dataclass
class Run:
    """One run of rotate_ca: what it has seen, and whom it has lost on its way."""

    sights: dict[Place, Sight] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)


class AnyWay(RuleBasedStateMachine):
    """Runs that lose clusters, are killed and asked for any phase; between them, site runs, clusters that come and go
    and pods that lag. Two sides that are in service always accept each other."""

    @initialize()
    def begin(self) -> None:
        first = ROOTS[0]
        self.authority = Authority("/srv/ca", first, (first,))
        self.sides: dict[Place, Side] = {}
        self.inventory: set[str] = set()
        self.held: set[str] = set()
        # What runs over slices have kept of their clusters.
        self.kept: dict[str, list[Sight]] = {}
        self.rotations = 0
        self.join("cluster-a", {"client"})
        self.join("cluster-b", {"server"})
        self.pods_load(set(PLACES), trust=True, leaf=True)

    @rule(cluster=st.sampled_from(CLUSTERS), sides=st.sets(st.sampled_from(["server", "client"]), min_size=1))
    def join(self, cluster: str, sides: set[str]) -> None:
        self.inventory.add(cluster)
        for side in sides:
            self.sides.setdefault((cluster, side), Side()).surplus = False
        self._reach({(cluster, side) for side in sides}, trust=True, leaf=True)

    @rule(cluster=st.sampled_from(CLUSTERS))
    def leave(self, cluster: str) -> None:
        """It is taken out of the inventory and works on."""
        self.inventory.discard(cluster)

    @rule(place=st.sampled_from(PLACES))
    def drop_link(self, place: Place) -> None:
        """It is taken out of the inventory, and site has not run yet."""
        if place in self.sides:
            self.sides[place].surplus = True

    @rule(reached=SOME)
    def site(self, reached: set[Place]) -> None:
        for place in reached:
            if place[0] in self.inventory and place in self.sides and self.sides[place].surplus:
                del self.sides[place]
        self._reach(reached, trust=True, leaf=True)

    @rule(places=SOME, trust=st.booleans(), leaf=st.booleans())
    def pods_load(self, places: set[Place], trust: bool, leaf: bool) -> None:
        for place in places & self.sides.keys():
            self.sides[place].load(trust, leaf)

    @rule(asked=st.sampled_from(ASKED), data=st.data())
    def rotate(self, asked: str, data: st.DataObject) -> None:
        run = Run()
        for step in steps(self.authority.phase, asked):
            if data.draw(st.integers(0, 9), label="killed before the step") == 9:
                return
            if step in ("look", "trust", "leaves", "drop"):
                reached = set(PLACES) - data.draw(FEW, label="not reached")
                self._work(run, step, reached, data.draw(FEW, label="not proven"))
            elif not self._move(run, step):
                return

    @rule(asked=st.sampled_from(ASKED[1:]), cluster=st.sampled_from(CLUSTERS), data=st.data())
    def rotate_slice(self, asked: str, cluster: str, data: st.DataObject) -> None:
        """A run that sees one cluster, and counts what runs over the others have kept, however old."""
        run = Run()
        for step in steps(self.authority.phase, asked):
            if data.draw(st.integers(0, 9), label="killed before the step") == 9:
                return
            if step in ("look", "trust", "leaves", "drop"):
                reached = {place for place in PLACES if place[0] == cluster} - data.draw(FEW, label="not reached")
                self._work(run, step, reached, data.draw(FEW, label="not proven"), slice_={cluster})
                self.kept.pop(cluster, None)
                seen = [sight for sight in run.sights.values() if sight.step == step]
                if len(seen) == 2:
                    self.kept[cluster] = seen
            elif not self._move(run, step, others=self.inventory - {cluster}):
                return

    @rule()
    def rotate_undisturbed(self) -> None:
        run = Run()
        for step in steps(self.authority.phase, ""):
            if step in ("look", "trust", "leaves", "drop"):
                self._work(run, step, set(PLACES), set())
            elif not self._move(run, step):
                # Nothing but a cluster that has left can be in the way, or a link that is still to be taken away.
                assert self.held - self.inventory or any(side.surplus for side in self.sides.values())
                return
        assert self.authority.phase == "steady"

    def _reach(self, places: set[Place], *, trust: bool, leaf: bool) -> None:
        issuing = self.authority.issuing
        assert issuing is not None
        for place in places & self.sides.keys():
            side = self.sides[place]
            if place[0] not in self.inventory or side.surplus:
                continue
            if trust:
                side.trust = frozenset(root.fingerprint for root in self.authority.trusted)
            if leaf:
                side.leaf = issuing.fingerprint
                self.held.add(place[0])

    def _work(
        self,
        run: Run,
        step: str,
        reached: set[Place],
        not_proven: set[Place],
        slice_: Collection[str] = CLUSTERS,
    ) -> None:
        present = {place for place in PLACES if place[0] in self.inventory.intersection(slice_) - run.lost}
        self._reach(reached & present, trust=step != "look", leaf=step == "leaves")
        for place in present:
            held = self.sides.get(place)
            side = None if held and held.surplus else held
            if place not in reached or (side and place in not_proven):
                run.lost.add(place[0])
                continue
            if side:
                side.load()
            run.sights[place] = Sight(
                *place,
                step,
                "exec" if side else "none",
                (side.trust,) if side else (),
                frozenset({side.leaf}) if side else frozenset(),
                ("stray",) if held and held.surplus else (),
                state=self.authority.state,
            )

    def _move(self, run: Run, step: str, others: Collection[str] = ()) -> bool:
        """:param others: clusters of other slices."""
        records = [record(cluster, cluster) for cluster in self.held]
        now = self.authority
        theirs = [sight for cluster in others for sight in self.kept.get(cluster, ()) if sight.state == now.state]
        if blockers(step, now, [*run.sights.values(), *theirs], self.inventory, records, (), "default"):
            return False
        if step == "prepare":
            self.rotations += 1
            root = ROOTS[self.rotations % len(ROOTS)]
            self.authority = replace(now, trusted=(*now.trusted, root), prepared=root)
        elif step == "switch":
            self.authority = replace(now, issuing=now.prepared, prepared=None)
        elif step in ("retire", "abandon"):
            gone = {root.fingerprint for root in now.trusted if root != now.issuing}
            kept = tuple(root for root in now.trusted if root == now.issuing)
            self.authority = replace(now, trusted=kept, prepared=None, retiring=(*now.retiring, *gone))
        else:
            self.authority = replace(now, retiring=())
        return True

    @invariant()
    def everybody_accepts_everybody(self) -> None:
        if not hasattr(self, "sides"):
            return
        for place, side in self.sides.items():
            for other, peer in self.sides.items():
                if side.loaded_leaf and peer.loaded_trust:
                    assert side.loaded_leaf in peer.loaded_trust, f"{other} refuses {place}"


TestAnyWay = AnyWay.TestCase
TestAnyWay.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_a_rotation_of_certificates_whose_clients_all_fail_reaches_two_though_all_servers_were_proven() -> None:
    """Ten clusters with both sides, one after the other."""
    outcomes: list[dict[str, str]] = [{"server": "proven"} for _ in range(10)]
    reached = 0
    for outcome in outcomes:
        if not rotation_stop(outcomes, "cluster"):
            outcome["client"] = "unproven"
            reached += 1
    assert reached == 2


@pytest.mark.parametrize(
    ("servers", "clients", "stopped"),
    [
        ("", "", ""),
        ("u", "", ""),
        ("uu", "", "of 2 clusters that got new ones, 2 were not seen to serve them on the server's side"),
        ("uup", "", "of 3 clusters that got new ones, 2 were not seen to serve them on the server's side"),
        ("uupp", "", ""),
        ("u", "u", ""),
        ("uuppp", "uu", "of 2 clusters that got new ones, 2 were not seen to serve them on the client's side"),
        # What has stopped for servers begins with no client either.
        ("uu", "ppp", "of 2 clusters that got new ones, 2 were not seen to serve them on the server's side"),
    ],
)
def test_a_rotation_of_certificates_stops_once_most_of_one_side_fail(servers: str, clients: str, stopped: str) -> None:
    words = {"u": "unproven", "p": "proven"}
    outcomes = [{"server": words[found]} for found in servers] + [{"client": words[found]} for found in clients]
    told = rotation_stop(outcomes, "cluster-a")
    assert stopped in told
    assert bool(told) is bool(stopped)
    assert told.endswith("[rotation-stopped]") or not told
    assert told.startswith("cluster-a keeps its certificates: ") or not told
