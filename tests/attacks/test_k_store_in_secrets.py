# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who writes to the namespace of the CA's Secrets, without the passphrase: nothing is trusted, issued or forgotten."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import secret_layout as layout
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf
from tests.store.course import PHASES, Course, course_in_secrets
from tests.store.secret_tampering import HEAD, secret_cases, told_of_secrets
from tests.store.tampering import UNTOUCHED, Case
from tests.unit.ca.fake_cluster import PLACE, FakeCluster, Objects
from tests.unit.ca.secret_stores import all_of, lived, made, publish
from tests.unit.ca.support import quick, record
from tests.unit.pki.support import NOW, PASSPHRASE, Root, make_root
from tests.unit.support import Json


def _head(cluster: FakeCluster) -> Json:
    return cluster.secrets()[PLACE.name]


def _edited(item: Json, key: str, change: Callable[[bytes], bytes]) -> Json:
    found = copy.deepcopy(item)
    found["data"][key] = base64.b64encode(change(base64.b64decode(found["data"][key]))).decode()
    return found


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.fixture
def cluster(root: Root, leaf: Leaf) -> FakeCluster:
    found = FakeCluster()
    lived(found, root, leaf)
    return found


def told_by(cluster: FakeCluster) -> tuple[object, ...] | str:
    """What runs go by, or what they are told in its place."""
    try:
        return all_of(quick(cluster.storage()))
    except CrossmeshError as error:
        return error.message.code if error.message.fix else "nothing to do"


def test_untouched_it_is_what_it_was(cluster: FakeCluster, root: Root) -> None:
    found = told_by(cluster)
    assert isinstance(found, tuple)
    assert found[0] == [root.view.fingerprint]


def test_each_secret_that_is_missing_is_told(cluster: FakeCluster) -> None:
    names = sorted(cluster.secrets())
    assert len(names) == 5
    for name in names:
        path = f"{PLACE.collection}/{name}"
        gone = cluster.objects.pop(path)
        assert told_by(cluster) in ("store-damaged", "journal-changed")
        cluster.objects[path] = gone
    assert isinstance(told_by(cluster), tuple)


def test_each_value_that_is_edited_is_told_or_counts_for_nothing(cluster: FakeCluster) -> None:
    true, told = told_by(cluster), list[object]()
    for path, item in list(cluster.objects.items()):
        for key in item.get("data", {}):
            for change in (_flipped, lambda data: data[: len(data) // 2], lambda _data: b""):
                cluster.objects[path] = _edited(item, key, change)
                told.append(found := told_by(cluster))
                # What nobody has signed yet can be taken away unnoticed, as in a folder.
                emptied = key == layout.UNSIGNED and not cluster.objects[path]["data"][key]
                assert found == true if emptied else isinstance(found, str), (path, key)
        cluster.objects[path] = item
    assert [code for code in ("store-damaged", "journal-changed") if code not in told] == []
    assert told_by(cluster) == true


def test_a_record_that_is_edited_is_told(cluster: FakeCluster) -> None:
    edited = 0
    for path, item in list(cluster.objects.items()):
        if b"mysql-credential" in base64.b64decode(item.get("data", {}).get("content", "")):
            cluster.objects[path] = _edited(item, "content", lambda data: data.replace(b"cluster-b", b"cluster-c"))
            edited += told_by(cluster) == "record-changed"
            cluster.objects[path] = item
    assert edited == 1


def test_an_older_head_leads_to_nothing_and_an_older_store_to_what_was_signed(root: Root, leaf: Leaf) -> None:
    cluster = FakeCluster()
    store = made(cluster, root)
    older = copy.deepcopy(cluster.objects)
    then = all_of(store)
    store.record([record(leaf)], root.key, NOW)
    head = _head(cluster)
    cluster.put(older[PLACE.path()])
    assert told_by(cluster) == "journal-changed"
    cluster.put(head)
    assert isinstance(told_by(cluster), tuple)
    # Whole, it is a copy that its key has signed: which later state clusters have seen is asked elsewhere.
    cluster.objects = older
    assert told_by(cluster) == then


def test_that_of_another_instance_is_refused(cluster: FakeCluster) -> None:
    other = FakeCluster()
    root = make_root()
    CaStore(other.storage(), "blue", iterations=1000).create(PASSPHRASE, root.key, root.view.pem)
    cluster.objects = other.objects
    assert told_by(cluster) == "ca-of-another-instance"


def test_a_head_leads_to_no_other_secret(cluster: FakeCluster) -> None:
    head = _head(cluster)
    for forged in ({"records": ["../other"]}, {"records": "x"}, ["x"], {"records": [1]}):
        document = base64.b64encode(json.dumps(forged).encode()).decode()
        cluster.put({**head, "data": {**head["data"], "pieces.json": document}})
        cluster.reads.clear()
        assert told_by(cluster) == "store-damaged"
        assert {path for path in cluster.reads if path.startswith(PLACE.collection)} == {PLACE.path()}


def test_our_label_on_a_secret_of_others_makes_it_not_ours(cluster: FakeCluster, root: Root) -> None:
    labels = _head(cluster)["metadata"]["labels"]
    for name in ("database", f"{PLACE.name}-password", f"{PLACE.name}-0123456789abcdef0"):
        item = {"kind": "Secret", "metadata": {"name": name, "namespace": "crossmesh", "labels": labels}}
        cluster.put({**item, "data": {}})
    # As a run was stopped at.
    cluster.put(PLACE.piece("0" * 16, b"left"))
    store = quick(cluster.storage())
    store.record([], root.key, NOW)
    publish(store, "c3")
    assert {"database", f"{PLACE.name}-password", f"{PLACE.name}-0123456789abcdef0"} <= set(cluster.secrets())
    assert f"{PLACE.name}-{'0' * 16}" not in cluster.secrets()
    store.destroy()
    assert set(cluster.secrets()) == {"database", f"{PLACE.name}-password", f"{PLACE.name}-0123456789abcdef0"}


# -- every Secret, each thing that can be done to it, in each phase of a rotation ------------------------------------


@pytest.fixture(scope="module")
def course() -> Course[Objects]:
    return course_in_secrets()


# One case in so many; the rest takes minutes.
SAMPLE = 12


@pytest.mark.parametrize("every", [SAMPLE, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("phase", PHASES)
def test_nothing_gets_through_that_the_key_has_not_vouched_for(phase: str, every: int, course: Course[Objects]) -> None:
    """Whatever is done to a Secret, gateways get what was signed; a run ends well or in one error."""
    chosen = list(secret_cases(course, phase))
    names = {case.name.partition(" ")[0].partition("/")[0] for case in chosen}
    assert names >= {HEAD, "journal", "ledger", "records"}
    assert ("crl" in names) == bool(course.found[phase].lists)
    attacks = {case.attack for case in chosen}
    assert attacks >= {"removed", "truncated", "edited", "another instance's", "issuing changed"}
    outcomes = [told_of_secrets(course, case) for case in chosen[::every]]
    assert [(found.case, found.violations) for found in outcomes if found.violations] == []
    ends = [found.ends for found in outcomes]
    assert ends.count("error") > len(ends) // 3, "the control: most is noticed; the rest has no effect, or was once"


@pytest.mark.parametrize("phase", PHASES)
def test_a_store_that_nobody_touched_is_used_without_an_error(phase: str, course: Course[Objects]) -> None:
    """The control of the one above: what it calls an error is the attacker's work."""
    found = told_of_secrets(course, Case(phase, HEAD, UNTOUCHED))
    assert (found.ends, found.codes, found.violations) == ("healed", (), ())
