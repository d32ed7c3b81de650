# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the CA's store, one edited at a time, of this format and the earlier one. Who wrote them is not known."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import index_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.ledger import (
    digest_of,
    ledger_from_text,
    record_from_text,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import record_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from tests.unit.ca.support import as_earlier_release, file_store, keep, record
from tests.unit.ca.test_take_over import at
from tests.unit.pki.support import NOW, PASSPHRASE, make_leaf, make_root

from .judge import Target

__all__ = ["TARGETS"]

Files = dict[str, bytes]
# In place of what a file is named after, which is another one in each process.
_INDEX, _CLUSTER, _KEY, _ROOT, _LIST, _RECORD = "authority.json", "clusters/*", "*.key", "*.crt", "*.crl", "*.json"
_JOURNAL = "*.jsonl"


@cache
def _files(*, earlier: bool) -> Files:
    """A store in the middle of a rotation, with lists, a record and a cluster."""
    with tempfile.TemporaryDirectory(prefix="crossmesh-fuzz-") as folder:
        store = at(Path(folder) / "ca", "switched")
        keep(store, [record(make_leaf(make_root()))])
        if earlier:
            as_earlier_release(store, {"cluster-b": "the-uid"})
        path = Path(folder) / "ca"
        return {str(item.relative_to(path)): item.read_bytes() for item in path.rglob("*") if item.is_file()}


def _named(files: Files, name: str) -> str:
    """The first file of a kind."""
    suffix = name.removeprefix("*")
    inside = {_CLUSTER: "clusters", _RECORD: "issued"}.get(name, "")
    if inside:
        return next(found for found in sorted(files) if found.startswith(inside) and found.endswith(".json"))
    return next(found for found in sorted(files) if found.endswith(suffix))


def _read(files: Files, *, earlier: bool) -> None:
    """All that a run reads of a store, each by itself: one error must hide no other."""
    with tempfile.TemporaryDirectory(prefix="crossmesh-fuzz-") as folder:
        path = Path(folder) / "ca"
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, mode=0o700, exist_ok=True)
            (path / name).write_bytes(content)
            (path / name).chmod(0o600)
        path.chmod(0o700)
        store = file_store(path)
        found = [_refusal(ask) for ask in _questions(store, earlier=earlier)]
    for error in filter(None, found):
        assert any(str(path) in message.where + message.what or message.where for message in error.messages)
    if refusal := next(filter(None, found), None):
        raise refusal


def _questions(store: CaStore, *, earlier: bool) -> list[Callable[[], object]]:
    if earlier:
        named = {root.fingerprint for root in (_refused_roots(store) or ())}
        return [store.unsigned, store.public, lambda: store.take_over(PASSPHRASE, named, look=True)]
    return [
        store.public,
        store.lists,
        lambda: store.records(NOW),
        store.clusters,
        lambda: store.secrets_of("default", "cluster-b", NOW),
        lambda: store.signer(PASSPHRASE),
        store.check_journal,
        store.history,
    ]


def _refused_roots(store: CaStore) -> Any:
    """Roots that an index of the earlier format trusts, as far as it can be read."""
    snapshot = _asked(lambda: store._storage.snapshot())
    return snapshot.roots.values() if snapshot else ()


def _asked(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except CrossmeshError:
        return None


def _refusal(ask: Callable[[], object]) -> CrossmeshError | None:
    try:
        ask()
    except CrossmeshError as error:
        return error
    return None


def _with(name: str, *, earlier: bool = False) -> Callable[[Any], None]:
    """The store in which one file is this, in bytes or as a document."""

    def read(content: Any) -> None:
        files = _files(earlier=earlier)
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        _read({**files, _named(files, name): data}, earlier=earlier)

    return read


def _bytes(name: str, *, earlier: bool = False) -> Target:
    def seeds() -> list[Any]:
        files = _files(earlier=earlier)
        return [files[_named(files, name)]]

    return Target(seeds, _with(name, earlier=earlier))


def _document(name: str, *, earlier: bool = False) -> Target:
    def seeds() -> list[Any]:
        files = _files(earlier=earlier)
        return [json.loads(files[_named(files, name)])]

    return Target(seeds, _with(name, earlier=earlier))


def _damaged(why: str) -> CrossmeshError:
    return CrossmeshError(Message.error("store-damaged", where="/srv/ca", what=why, fix="x"))


def _vouched(content: Any) -> None:
    """What has the digest that its index names: a store of a later release, or one that a key of ours has signed."""
    data = json.dumps(content).encode()
    found = [
        _refusal(lambda: record_from_json(content, where="x")),
        _refusal(lambda: record_from_text(data, digest_of(data), where="x")),
        _refusal(lambda: ledger_from_text(data, digest_of(data), where="x", damaged=_damaged)),
    ]
    if isinstance(content, dict):
        found.append(_refusal(lambda: index_from_json(content, name="x", where="x", damaged=_damaged)))
    if refusal := next(filter(None, found), None):
        raise refusal


def _documents() -> list[Any]:
    files = _files(earlier=False)
    ledger = next(name for name in files if name.endswith(".ledger"))
    return [json.loads(files[name]) for name in (_INDEX, _named(files, _RECORD), ledger)]


TARGETS: Mapping[str, Target] = {
    "index": _document(_INDEX),
    "index-bytes": _bytes(_INDEX),
    "cluster-of-the-earlier-format": _document(_CLUSTER, earlier=True),
    "cluster-bytes": _bytes(_CLUSTER, earlier=True),
    "root-of-a-store": _bytes(_ROOT),
    "key-of-a-store": _bytes(_KEY),
    "list-of-a-store": _bytes(_LIST),
    "record-bytes": _bytes(_RECORD),
    "journal": _bytes(_JOURNAL),
    "index-of-the-earlier-format": _document(_INDEX, earlier=True),
    "record-of-the-earlier-format": _document(_RECORD, earlier=True),
    "vouched-for": Target(_documents, _vouched),
}
