# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""D: whole runs over three clusters, one of which lies, withholds or is away; the others get what is theirs.

The liar is the cluster that comes first, which tasks that run once are about.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from cryptography import x509

from tests.hostile.memory import Memory, StatusError
from tests.hostile.scenery import CLIENT, CLUSTERS, HONEST, HOSTILE, LINKS, SERVER, fresh
from tests.hostile.server import Answer, Asked
from tests.hostile.stage import Ended, Stage, State, staged
from tests.unit.pki.support import PASSPHRASE
from tests.unit.support import Json

pytestmark = pytest.mark.slow

Liar = Callable[[Asked, Answer], Answer]
GATEWAYS = "istio-system"
SECRETS = {SERVER: "mysql-credential", CLIENT: "client-credential", HOSTILE: "client-credential"}
# Seconds: what no run of this file takes, and every one that is not ended takes longer.
ENOUGH = 200
FORCE: Json = {"mesh_rotate_force": True}
WITHOUT_HOSTILE = [{**link, "clients": [CLIENT]} for link in LINKS if HOSTILE not in link["servers"]]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage"), PASSPHRASE) as stage:
        yield stage


@pytest.fixture(scope="module")
def settled(stage: Stage) -> State:
    """All links are joined."""
    stage.put(State({name: fresh(name) for name in CLUSTERS}, {}))
    ended = stage.play("site", {})
    assert ended.run.ok, ended.run.output
    return kept(ended.state)


def kept(state: State) -> State:
    return State({name: memory.copy() for name, memory in state.memories.items()}, state.store)


@dataclass(frozen=True)
class Told:
    """One run, and what it began with."""

    before: State
    ended: Ended

    @property
    def output(self) -> str:
        return self.ended.run.output

    def renewed(self, cluster: str) -> bool:
        return serial(self.before, cluster) != serial(self.ended.state, cluster)


def told(stage: Stage, before: State, playbook: str, liars: Mapping[str, Liar], variables: Json) -> Told:
    """A run in which these clusters lie."""
    stage.put(before)
    honest = {name: server.liar for name, server in stage.servers.items()}
    try:
        for name, liar in liars.items():
            stage.servers[name].liar = liar
        ended = stage.play(playbook, variables)
    finally:
        for name, liar in honest.items():
            stage.servers[name].liar = liar
    return Told(before, replace(ended, state=kept(ended.state)))


def held(memory: Memory, cluster: str, key: str) -> bytes:
    return base64.b64decode(memory.get("Secret", GATEWAYS, SECRETS[cluster])["data"].get(key, ""))


def leaf(state: State, cluster: str) -> x509.Certificate:
    return x509.load_pem_x509_certificates(held(state.memories[cluster], cluster, "tls.crt"))[0]


def serial(state: State, cluster: str) -> int:
    return leaf(state, cluster).serial_number


def uid(state: State, cluster: str) -> str:
    return str(state.memories[cluster].get("Namespace", "", "kube-system")["metadata"]["uid"])


def refuses(state: State, cluster: str) -> set[int]:
    """Serials that a cluster's gateway refuses."""
    pem = held(state.memories[cluster], cluster, "ca.crl")
    return {item.serial_number for item in x509.load_pem_x509_crl(pem)} if pem else set()


# -- the lies ------------------------------------------------------------------------------------------------------


def withholds(asked: Asked, answer: Answer) -> Answer:
    """No Secret may be written."""
    if "secrets" not in asked.kind or asked.kind.startswith("GET"):
        return answer
    error = StatusError(403, "Forbidden", "forbidden")
    return Answer(403, {"kind": "Status", "status": "Failure", "code": 403, "reason": error.reason, "message": "no"})


def withholds_in_earnest(asked: Asked, answer: Answer) -> Answer:
    return answer if "(dry)" in asked.kind else withholds(asked, answer)


def ahead(hours: float) -> Liar:
    """A clock that is wrong by so much."""

    def lie(_asked: Asked, answer: Answer) -> Answer:
        then = datetime.now(UTC) + timedelta(hours=hours)
        return replace(answer, headers={**answer.headers, "Date": format_datetime(then, usegmt=True)})

    return lie


def away(_asked: Asked, answer: Answer) -> Answer:
    return replace(answer, cut=True)


def lost_on_the_way() -> Liar:
    """It answers the first look, and nothing that comes after."""
    looks = list[str]()

    def lie(asked: Asked, answer: Answer) -> Answer:
        looks.extend([asked.key] if asked.kind == "POST selfsubjectreviews" else [])
        return answer if len(looks) < 2 else Answer(500, {"kind": "Status", "code": 500, "reason": "InternalError"})

    return lie


def shows_an_old_list(asked: Asked, answer: Answer) -> Answer:
    """It has no list, however often one is written."""
    if asked.kind != "GET secrets" or answer.status != 200:
        return answer
    data = {key: value for key, value in (answer.body.get("data") or {}).items() if key != "ca.crl"}
    return replace(answer, body={**answer.body, "data": data})


def serves_another(asked: Asked, answer: Answer) -> Answer:
    """Its pods serve a certificate that nobody knows, whatever is written."""
    if asked.kind != "exec certs":
        return answer
    found = json.loads(answer.content)
    for entry in found["certificates"]:
        for item in entry["cert_chain"]:
            item["serial_number"] = "1" * 32
    return Answer(body=found)


def drips_writes(asked: Asked, answer: Answer) -> Answer:
    if "virtualservices" not in asked.kind or asked.kind.startswith("GET") or "(dry)" in asked.kind:
        return answer
    return replace(answer, trickle=0.5)


def is_the_server(state: State) -> Liar:
    """It shows the uid of the server's cluster."""
    shown = uid(state, SERVER)

    def lie(asked: Asked, answer: Answer) -> Answer:
        if "namespaces" not in asked.kind or answer.body["metadata"].get("name") != "kube-system":
            return answer
        return replace(answer, body={**answer.body, "metadata": {**answer.body["metadata"], "uid": shown}})

    return lie


# -- D1: nobody holds back his own revocation ------------------------------------------------------------------------


def revoking(**entry: str) -> Json:
    return {"custom_ca_revoked": [{**entry, "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}]}


@pytest.mark.parametrize(
    ("playbook", "lies"),
    [
        ("site", lambda: withholds),
        ("site", lambda: ahead(3)),
        ("site", lambda: away),
        ("rotate_certificates", lambda: ahead(-3)),
        ("rotate_certificates", lost_on_the_way),
        ("rotate_certificates", lambda: shows_an_old_list),
    ],
    ids=["withholds", "clock ahead", "away", "clock behind", "lost on the way", "shows an old list"],
)
def test_a_revocation_goes_out_whatever_the_revoked_cluster_does(
    stage: Stage, settled: State, playbook: str, lies: Callable[[], Liar]
) -> None:
    """D1: a 403 on his Secret, or a Date three hours ahead, and lists were published for nobody [lab]."""
    stolen = serial(settled, SERVER)
    assert not refuses(settled, CLIENT), "the control: no list yet"
    run = told(stage, settled, playbook, {SERVER: lies()}, revoking(cluster=SERVER))
    for cluster in (CLIENT, HOSTILE):
        assert stolen in refuses(run.ended.state, cluster), run.output
    assert "[crl-withheld]" not in run.output


@pytest.mark.parametrize(
    ("playbook", "lies"),
    [("site", lambda: withholds), ("rotate_certificates", lost_on_the_way)],
    ids=["withholds", "lost on the way"],
)
def test_what_one_cluster_alone_shows_is_revoked_though_that_one_fails(
    stage: Stage, settled: State, playbook: str, lies: Callable[[], Liar]
) -> None:
    """D1, sibling: a certificate that no record knows, of who is revoked: nobody else shows that lists are due."""
    before, revoked, stolen = holding_what_no_record_knows(stage, settled)
    for cluster in (CLIENT, HOSTILE):
        assert refuses(before, cluster), "the control: of what is recorded there are lists"
        assert stolen not in refuses(before, cluster)
    run = told(stage, before, playbook, {SERVER: lies()}, revoked)
    assert run.ended.run.recap[SERVER]["failed"] >= 1
    assert not run.renewed(SERVER)
    for cluster in (CLIENT, HOSTILE):
        assert stolen in refuses(run.ended.state, cluster), run.output


def holding_what_no_record_knows(stage: Stage, settled: State) -> tuple[State, Json, int]:
    """All that is recorded of the server is revoked everywhere, and it holds one more certificate of this CA.

    :returns: that, the entry, and the serial.
    """
    forked = told(stage, settled, "rotate_certificates", {}, FORCE).ended.state
    entry = revoking(cluster=SERVER)
    published = told(stage, settled, "site", {}, entry).ended.state
    name = SECRETS[SERVER]
    more = forked.memories[SERVER].get("Secret", GATEWAYS, name)["data"]
    # Beside the trust of before, and its witness of the store.
    held_now = published.memories[SERVER].objects["Secret", GATEWAYS, name]["data"]
    held_now.update({key: more[key] for key in ("tls.crt", "tls.key")})
    return published, entry, serial(published, SERVER)


def test_who_is_to_be_kept_can_still_get_another_certificate_first(stage: Stage, settled: State) -> None:
    """The control of D1: an entry for a link is about some holder of it, and the others are not cut off."""
    run = told(stage, settled, "site", {SERVER: withholds}, revoking(link="mysql"))
    assert "this run leaves out server" in run.output
    assert not refuses(run.ended.state, CLIENT)


# -- D1: the clock is what most clocks say ---------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [3, -3])
def test_one_clock_that_is_wrong_costs_its_cluster_its_turn_alone(stage: Stage, settled: State, hours: float) -> None:
    """D1: the clock of the cluster that came first was everybody's; nor does anybody get a certificate by it."""
    run = told(stage, settled, "rotate_certificates", {SERVER: ahead(hours)}, FORCE)
    assert [run.renewed(cluster) for cluster in CLUSTERS] == [False, True, True]
    assert "[clock-wrong]" in run.output
    for cluster in (CLIENT, HOSTILE):
        held_before, held_now = (leaf(state, cluster) for state in (settled, run.ended.state))
        since = held_now.not_valid_before_utc - held_before.not_valid_before_utc
        assert timedelta(0) <= since < timedelta(hours=1), "dated by the controller's clock"


def test_a_clock_that_most_call_wrong_publishes_nothing(stage: Stage, settled: State) -> None:
    """The control of D1: where two of three clusters say that the controller's clock is wrong, it is."""
    liars = {SERVER: ahead(3), CLIENT: ahead(3.1), HOSTILE: ahead(3.2)}
    run = told(stage, settled, "site", liars, revoking(cluster=SERVER))
    assert "[clock-wrong]" in run.output
    assert [refuses(run.ended.state, cluster) for cluster in CLUSTERS] == [set(), set(), set()]


# -- D3: who serves what nobody expects costs himself his turn -------------------------------------------------------


def test_one_gateway_that_lies_of_serials_ends_no_other_turn(stage: Stage, settled: State) -> None:
    """D3: one gateway that shows other serials ended rotate_certificates for all after it."""
    run = told(stage, settled, "rotate_certificates", {SERVER: serves_another}, FORCE)
    assert [run.renewed(cluster) for cluster in CLUSTERS] == [True, True, True]
    assert run.output.count("[rotation-unproven]") >= 1
    assert "[rotation-stopped]" not in run.output
    assert {host: run.ended.run.recap[host]["failed"] for host in CLUSTERS} == {SERVER: 1, CLIENT: 0, HOSTILE: 0}


def test_a_write_that_is_refused_half_way_ends_no_other_turn(stage: Stage, settled: State) -> None:
    """D3, sibling: an API server that takes what is tried, and refuses the write itself."""
    run = told(stage, settled, "rotate_certificates", {SERVER: withholds_in_earnest}, FORCE)
    assert [run.renewed(cluster) for cluster in CLUSTERS] == [False, True, True]
    assert {host: run.ended.run.recap[host]["failed"] for host in CLUSTERS} == {SERVER: 1, CLIENT: 0, HOSTILE: 0}


def test_a_rotation_stops_where_more_fail_than_succeed(stage: Stage, settled: State) -> None:
    """The control of D3: what goes wrong with most of them is no matter of one."""
    liars = {SERVER: serves_another, HOSTILE: serves_another}
    run = told(stage, settled, "rotate_certificates", liars, FORCE)
    # Of the hostile one it is the server's certificate that was issued.
    assert [run.renewed(cluster) for cluster in CLUSTERS] == [True, False, False]
    assert run.output.count("[rotation-unproven]") >= 2
    assert "of 2 clusters that got new ones, 2 were not seen to serve them" in " ".join(run.output.split())
    assert run.ended.run.recap[CLIENT]["failed"] == 1


# -- D2, sibling: a write that is answered byte by byte --------------------------------------------------------------


def test_a_write_that_is_answered_byte_by_byte_ends_with_the_clusters_time(stage: Stage, settled: State) -> None:
    """D2: kubernetes.core waits for each byte anew, without end."""
    memories = {name: memory.copy() for name, memory in settled.memories.items()}
    for cluster, name in ((SERVER, "mysql-virtual-service"), (CLIENT, "direct-mysql-through-egress-gateway")):
        memories[cluster].delete(("VirtualService", GATEWAYS, name), dry=False)
    begun = time.monotonic()
    variables: Json = {"mesh_cluster_timeout": 20, "mesh_api_timeout": 10}
    run = told(stage, State(memories, settled.store), "site", {SERVER: drips_writes}, variables)
    assert not run.ended.late
    assert time.monotonic() - begun < ENOUGH
    assert "[cluster-too-slow]" in run.output
    assert {host: run.ended.run.recap[host]["failed"] for host in CLUSTERS} == {SERVER: 1, CLIENT: 0, HOSTILE: 0}
    assert run.ended.state.memories[CLIENT].get("VirtualService", GATEWAYS, "direct-mysql-through-egress-gateway")


# -- D, sibling: who shows the uid of another cluster ----------------------------------------------------------------


@pytest.mark.parametrize("playbook", ["site", "rotate_certificates"])
def test_a_newcomer_that_shows_the_uid_of_another_is_refused_alone(stage: Stage, settled: State, playbook: str) -> None:
    """Before, hosts that turned out to be one cluster stopped the run for all of them."""
    stage.put(State({name: fresh(name) for name in CLUSTERS}, {}))
    ended = stage.play("site", {}, links=WITHOUT_HOSTILE)
    assert ended.run.ok, ended.run.output
    before = kept(ended.state)
    assert uid(before, SERVER).encode() in b"".join(before.store.values())
    assert uid(before, HOSTILE).encode() not in b"".join(before.store.values()), "it is a newcomer"
    due: Json = {"custom_ca_renew_before_days": 100, "custom_ca_leaf_validity_days": 120}
    run = told(stage, before, playbook, {HOSTILE: is_the_server(before)}, due)
    assert "[same-cluster]" in run.output
    assert [run.renewed(cluster) for cluster in HONEST] == [True, True]
    assert run.ended.state.memories[HOSTILE].objects == before.memories[HOSTILE].objects
    assert {host: run.ended.run.recap[host]["failed"] for host in CLUSTERS} == {SERVER: 0, CLIENT: 0, HOSTILE: 1}
