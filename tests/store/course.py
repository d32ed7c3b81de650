# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rotation of the root, phase by phase: what keeps the store, what its key had signed, and what a gateway had."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Event
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import Work, ensure
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from tests.unit.ca.fake_cluster import FakeCluster, Objects
from tests.unit.ca.support import file_store, folder, keep, quick, record
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, make_leaf, make_root
from tests.unit.support import SERVER, Json, link, view

from .work import public

__all__ = [
    "OWNER",
    "PHASES",
    "UID",
    "Course",
    "Vouched",
    "course_in",
    "course_in_secrets",
    "run",
    "vouched",
    "work",
]

# What keeps a store: a folder, or the objects of a cluster.
Keeper = TypeVar("Keeper", Path, Objects)

PHASES = ("steady", "prepared", "switched", "retiring", "finished")
OWNER = Owner("default", "cluster-b", "server")
UID = "uid-of-cluster-b"
# Something that waits in the journal for a signature.
REFUSED = Event("refused", {"action": "custom_ca_rotation", "codes": ["rotation-blocked"]})


@dataclass(frozen=True)
class Vouched:
    """What a key has signed for at one time."""

    roots: tuple[str, ...]
    lists: dict[str, Crl]
    records: tuple[Record, ...]
    clusters: dict[str, str]


def vouched(store: CaStore) -> Vouched:
    trusted = tuple(root.fingerprint for root in public(store).trusted)
    return Vouched(trusted, store.lists(), tuple(store.records(NOW)), store.clusters())


def work(passphrase: str = PASSPHRASE, **policy: Any) -> Work:
    """What every playbook does that writes the credentials of one link's server."""
    side = view([link()], SERVER)["server"]
    return Work(
        owner=OWNER,
        namespace=side["namespace"],
        wanted=side["secrets"],
        policy=Policy(key_type="P-256", renew_before=30 * DAY, **policy),
        validity=90 * DAY,
        passphrase=passphrase,
        check=False,
        uid=UID,
    )


def run(api: FakeApi, store: CaStore, passphrase: str = PASSPHRASE) -> None:
    ensure(cast(Api, api), store, work(passphrase), NOW)


@dataclass(frozen=True)
class Course(Generic[Keeper]):
    """:param kept: a copy of what keeps the store, at each phase.
    :param found: what it holds there.
    :param states: everything that the key has ever signed for, those between the phases too.
    :param secrets: what the cluster had at each phase.
    :param other: what keeps another instance's store.
    """

    kept: Mapping[str, Keeper]
    found: Mapping[str, Vouched]
    states: Sequence[Vouched]
    secrets: Mapping[str, Sequence[Json]]
    other: Keeper


@dataclass
class _Walk(Generic[Keeper]):
    """:param copied: what keeps the store now, for a phase."""

    store: CaStore
    copied: Callable[[str], Keeper]
    api: FakeApi = field(default_factory=FakeApi)
    copies: dict[str, Keeper] = field(default_factory=dict)
    found: dict[str, Vouched] = field(default_factory=dict)
    states: list[Vouched] = field(default_factory=list)
    secrets: dict[str, Sequence[Json]] = field(default_factory=dict)

    def signed(self) -> None:
        self.states.append(vouched(self.store))

    def kept(self, phase: str) -> None:
        run(self.api, self.store)
        self.store.note(REFUSED)
        self.signed()
        self.copies[phase] = self.copied(phase)
        self.found[phase] = self.states[-1]
        self.secrets[phase] = copy.deepcopy(self.api.objects)

    @property
    def seen(self) -> str:
        return public(self.store).state


def course_in(path: Path) -> Course[Path]:
    """Go through a whole rotation, with a gateway that gets what each phase gives it."""
    store, other = file_store(path / "ca"), file_store(path / "other")
    _live(other)
    return _gone_through(_Walk(store, lambda phase: shutil.copytree(folder(store), path / phase)), folder(other))


def course_in_secrets() -> Course[Objects]:
    """The same in a cluster's Secrets."""
    cluster, others = FakeCluster(), FakeCluster()
    _live(quick(others.storage()))
    return _gone_through(
        _Walk(quick(cluster.storage()), lambda _phase: copy.deepcopy(cluster.objects)),
        others.objects,
    )


def _gone_through(walk: _Walk[Keeper], other: Keeper) -> Course[Keeper]:
    store, old, new = walk.store, make_root(), make_root()
    store.create(PASSPHRASE, old.key, old.view.pem)
    walk.signed()
    keep(store, [record(make_leaf(old))])
    walk.signed()
    _revoke(store, "ab")
    walk.kept("steady")
    store.prepare(PASSPHRASE, new.key, new.view.pem, seen=walk.seen, now=NOW)
    walk.kept("prepared")
    store.switch(PASSPHRASE, seen=walk.seen)
    walk.signed()
    walk.kept("switched")
    store.retire(PASSPHRASE, seen=walk.seen)
    walk.signed()
    walk.kept("retiring")
    store.finish(PASSPHRASE, seen=walk.seen, keep_keys=False)
    walk.kept("finished")
    return Course(walk.copies, walk.found, walk.states, walk.secrets, other)


def _live(store: CaStore) -> None:
    root = make_root()
    store.create(PASSPHRASE, root.key, root.view.pem)
    keep(store, [record(make_leaf(root))])
    _revoke(store, "cd")
    store.note(REFUSED)


def _revoke(store: CaStore, serial: str) -> None:
    revoked = (Revoked(serial, NOW, "keyCompromise"),)
    store.publish(PASSPHRASE, lambda found: {root.fingerprint: revoked for root in found.trusted}, now=NOW)
