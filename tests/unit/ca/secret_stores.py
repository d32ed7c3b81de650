# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CA stores in Secrets that have lived: with records, a CRL, and entries of the journal that nobody has signed yet."""

from __future__ import annotations

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Event
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf
from tests.unit.ca.fake_cluster import FakeCluster
from tests.unit.ca.support import quick, record
from tests.unit.pki.support import NOW, PASSPHRASE, Root


def made(cluster: FakeCluster, root: Root) -> CaStore:
    store = quick(cluster.storage())
    store.create(PASSPHRASE, root.key, root.view.pem)
    return store


def publish(store: CaStore, *serials: str) -> None:
    revoked = tuple(Revoked(serial, NOW, "superseded") for serial in serials)

    def wanted(authority: Authority) -> dict[str, tuple[Revoked, ...]]:
        return {root.fingerprint: revoked for root in authority.trusted}

    store.publish(PASSPHRASE, wanted, now=NOW)


def lived(cluster: FakeCluster, root: Root, leaf: Leaf) -> CaStore:
    """With everything that a store can have."""
    store = made(cluster, root)
    store.record([record(leaf)], root.key, NOW, home=("cluster-b", "uid"))
    publish(store, "a1")
    store.note(Event("refused", {"code": "x"}))
    return store


def all_of(store: CaStore) -> tuple[object, ...]:
    """What runs go by, with the journal held against its end."""
    authority = store.public()
    assert authority is not None
    assert store.check_journal().signed
    known = [item.fingerprint for item in authority.trusted], [item.pem for item in authority.lists]
    return *known, store.records(NOW), store.clusters(), store.signer(PASSPHRASE).private_numbers()
