# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each judgement of a run that was lied to finds what is planted for it, and nothing where nothing is."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf
from tests.hostile.judge import Expected, judge, signature
from tests.hostile.memory import Memory
from tests.hostile.scenery import CLUSTERS, HONEST, HOSTILE, LINKS, fresh
from tests.hostile.stage import Ended, State
from tests.integration.support.lab_mesh import Run
from tests.unit.pki.support import Root, make_leaf, make_root

Json = dict[str, Any]

PASSPHRASE = b"correct horse battery staple"
COUNTS = {"ok": 3, "changed": 1, "unreachable": 0, "failed": 0, "skipped": 0, "rescued": 0, "ignored": 0}
OUTPUT = "ok: [server]\n\nPLAY RECAP ****\nserver : ok=3\n"
GATEWAYS = "istio-system"


@dataclass
class Case:
    """A run as it should be, to be spoilt in one place."""

    before: State
    ended: Ended
    expected: Expected
    root: Root
    leaves: dict[str, Leaf]

    def kinds(self) -> set[str]:
        return {found.kind for found in judge(self.before, self.ended, self.expected)}

    def says(self, output: str) -> None:
        self.ended = replace(self.ended, run=replace(self.ended.run, output=output + OUTPUT))

    def memory(self, cluster: str) -> Memory:
        return self.ended.state.memories[cluster]

    def item(self, cluster: str, kind: str, namespace: str, name: str) -> Json:
        return self.memory(cluster).objects[kind, namespace, name]

    def data(self, cluster: str, name: str) -> Json:
        found: Json = self.item(cluster, "Secret", GATEWAYS, name)["data"]
        return found


def encoded(*texts: str | bytes) -> str:
    return base64.b64encode(b"".join(text.encode() if isinstance(text, str) else text for text in texts)).decode()


def secret(name: str, leaf: Leaf, root: Root) -> Json:
    data = {
        "tls.crt": encoded(leaf.certificate_pem),
        "tls.key": encoded(leaf.key_pem),
        "ca.crt": encoded(root.view.pem),
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": GATEWAYS, "name": name},
        "type": "Opaque",
        "data": data,
    }


@pytest.fixture
def case(root: Root) -> Case:
    leaves = {name: make_leaf(root, sans=(f"{name}.example.com",)) for name in ("server", "client", "hostile")}
    places = {"server": "mysql-credential", "client": "client-credential", "hostile": "client-credential"}
    memories = {name: fresh(name) for name in CLUSTERS}
    for cluster, name in places.items():
        memories[cluster].put(secret(name, leaves[cluster], root))
    store = {f"roots/{root.view.fingerprint}.crt": root.view.pem.encode()}
    before = State(memories, store)
    after = State(copy.deepcopy(memories), dict(store))
    for memory in (*memories.values(), *after.memories.values()):
        memory.seen.clear()
    expected = Expected(
        names={name: frozenset({f"{name}.example.com"}) for name in CLUSTERS},
        roots=frozenset({root.view.fingerprint}),
        liars=frozenset(),
        signatures={cluster: signature(before, after, cluster) for cluster in HONEST},
        objects=frozenset(memories[HOSTILE].objects),
        ports=frozenset({15443, LINKS[0]["tls_port"]}),
        secrets=[PASSPHRASE],
        waits=False,
        limit=60.0,
    )
    run = Run(0, OUTPUT, {cluster: dict(COUNTS) for cluster in CLUSTERS})
    return Case(before, Ended(run, 1.0, False, after, []), expected, root, leaves)


def test_nothing_is_found_where_nothing_is_wrong(case: Case) -> None:
    assert case.kinds() == set()


# -- what is planted -----------------------------------------------------------------------------------------------


def name_in_a_secret(case: Case) -> None:
    leaf = make_leaf(case.root, sans=("hostile.example.com", "bank.link.crossmesh.internal"))
    case.data(HOSTILE, "client-credential")["tls.crt"] = encoded(leaf.certificate_pem)


def name_that_was_only_sent(case: Case) -> None:
    leaf = make_leaf(case.root, sans=("bank.link.crossmesh.internal",))
    data = {"tls.crt": encoded(leaf.certificate_pem)}
    case.memory(HOSTILE).seen.append({"namespace": GATEWAYS, "name": "x", "data": data})


def name_on_record(case: Case) -> None:
    record = {"cluster": HOSTILE, "sans": ["hostile.example.com", "server.example.com"]}
    stored = {**case.ended.state.store, "issued/1.json": json.dumps(record).encode()}
    case.ended = replace(case.ended, state=replace(case.ended.state, store=stored))


def root_in_an_honest_cluster(case: Case) -> None:
    case.data("server", "mysql-credential")["ca.crt"] = encoded(case.root.view.pem, make_root().view.pem)


def root_of_the_liar_in_the_store(case: Case) -> None:
    liar = make_root().view
    stored = {**case.ended.state.store, f"roots/{liar.fingerprint}.crt": liar.pem.encode()}
    case.ended = replace(case.ended, state=replace(case.ended.state, store=stored))
    case.expected = replace(case.expected, liars=frozenset({liar.fingerprint}))


def object_of_others_deleted(case: Case) -> None:
    del case.memory(HOSTILE).objects["VirtualService", "tenant", "x"]


def object_of_others_changed(case: Case) -> None:
    case.item("client", "Secret", GATEWAYS, "cacerts")["data"]["tls.key"] = "eA=="


def object_that_nobody_asked_for(case: Case) -> None:
    case.memory(HOSTILE).objects["Secret", "tenant", "new"] = secret("new", case.leaves["hostile"], case.root)


def port_that_no_link_has(case: Case) -> None:
    case.item(HOSTILE, "Service", GATEWAYS, "istio-ingressgateway")["spec"]["ports"].append({"port": 22})


def port_of_others_lost(case: Case) -> None:
    case.item(HOSTILE, "Service", GATEWAYS, "istio-ingressgateway")["spec"]["ports"].clear()


def passphrase_in_the_output(case: Case) -> None:
    case.says(f"custom_ca_passphrase: {PASSPHRASE.decode()}\n")


def key_in_the_output(case: Case) -> None:
    case.says(case.leaves["client"].key_pem.decode())


def middle_of_a_key_in_base64(case: Case) -> None:
    lines = case.leaves["client"].key_pem.decode().splitlines()
    case.says(f"data: {encoded(lines[1])}\n")


def credential_elsewhere(case: Case) -> None:
    case.ended = replace(case.ended, led_astray=["Bearer x"])


def failed_in_an_honest_cluster(case: Case) -> None:
    case.ended.run.recap["server"]["failed"] = 1


def unreachable_honest_cluster(case: Case) -> None:
    case.ended.run.recap["client"]["unreachable"] = 1


def honest_cluster_without_its_turn(case: Case) -> None:
    case.ended.run.recap.pop("client")


def certificate_that_is_not_trusted(case: Case) -> None:
    case.data("client", "client-credential")["ca.crt"] = encoded("")


def traceback(case: Case) -> None:
    case.says("Traceback (most recent call last):\n  File x\n")


def error_without_a_code(case: Case) -> None:
    case.says("[ERROR]: Task failed: 'str' object has no attribute 'get'\n\n")


def escape_sequence(case: Case) -> None:
    case.says("\x1b[2JALL CLUSTERS OK\n")


def bidi_override(case: Case) -> None:
    case.says("name: \u202eKO\n")


def key_in_a_file(case: Case) -> None:
    case.ended = replace(case.ended, files=case.leaves["client"].key_pem.decode())


def escape_sequence_in_a_file(case: Case) -> None:
    case.ended = replace(case.ended, files="\x1b[2JALL CLUSTERS OK\n")


def late(case: Case) -> None:
    case.ended = replace(case.ended, late=True)


def error_that_nobody_foresaw(case: Case) -> None:
    case.says("[ERROR]: Task failed: reading.py, line 9: internal error: KeyError. [internal-error]\n\n")


PLANTED: list[tuple[Callable[[Case], None], str]] = [
    (name_in_a_secret, "names"),
    (name_that_was_only_sent, "names"),
    (name_on_record, "names"),
    (root_in_an_honest_cluster, "roots"),
    (root_of_the_liar_in_the_store, "roots"),
    (object_of_others_deleted, "others"),
    (object_of_others_changed, "others"),
    (object_that_nobody_asked_for, "others"),
    (port_that_no_link_has, "others"),
    (port_of_others_lost, "others"),
    (passphrase_in_the_output, "secrets"),
    (key_in_the_output, "secrets"),
    (middle_of_a_key_in_base64, "secrets"),
    (key_in_a_file, "secrets"),
    (credential_elsewhere, "secrets"),
    (failed_in_an_honest_cluster, "stopped"),
    (unreachable_honest_cluster, "stopped"),
    (honest_cluster_without_its_turn, "stopped"),
    (certificate_that_is_not_trusted, "broken"),
    (traceback, "crash"),
    (error_that_nobody_foresaw, "crash"),
    (error_without_a_code, "bare"),
    (escape_sequence, "control"),
    (bidi_override, "control"),
    (escape_sequence_in_a_file, "control"),
    (late, "time"),
]


@pytest.mark.parametrize(("plant", "kind"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_planted_is_found(case: Case, plant: Callable[[Case], None], kind: str) -> None:
    plant(case)
    assert kind in case.kinds()


def test_a_run_that_has_to_see_all_clusters_may_be_held(case: Case) -> None:
    failed_in_an_honest_cluster(case)
    case.expected = replace(case.expected, waits=True)
    assert case.kinds() == {"held"}
