# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of a CA store: which root issues and which are trusted, which lists, records and clusters count. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import DEFAULT_INSTANCE

__all__ = [
    "Damaged",
    "Endorsement",
    "Head",
    "Index",
    "digest_of_index",
    "index_from_json",
    "index_to_json",
    "statement",
    "statement_of",
]

VERSION = 2
# What earlier releases wrote: no key has signed it, so nothing is believed of it but by the step that takes it over.
UNSIGNED = 1

_UNSIGNED_KEYS = frozenset({"issuing", "trusted", "prepared", "retiring", "retired", "keyless", "lists", "last_number"})

Damaged = Callable[[str], CrossmeshError]


@dataclass(frozen=True)
class Endorsement:
    """The word of the root that issued, that another may follow it.

    :param by: its fingerprint.
    :param signature: in base64.
    """

    by: str
    signature: str


@dataclass(frozen=True)
class Head:
    """The last entry of the audit journal that counts.

    :param entries: its number; 0 before the first one.
    :param digest: its hash.
    :param segment: number of the first entry of the segment that it is in.
    """

    entries: int = 0
    digest: str = "0" * 64
    segment: int = 1


@dataclass(frozen=True)
class Index:
    """Fingerprints of roots, each in the order in which they came.

    :param keyless: roots of a lost store, of which only the certificate was found in the clusters.
    :param retired: roots that were trusted once; of them the certificate is kept, and the key if that was asked for.
    :param lists: the number of the revocation list that counts, by root.
    :param last_number: of any list ever made (RFC 5280 section 5.2.3: numbers only grow).
    :param endorsements: of each root that came after another one, by its fingerprint.
    :param inherited: roots of a store that was lost or taken over: no endorsement leads from them to the issuing one.
    :param instance: whose CA it is; names in certificates tell links and clusters apart, and no instances.
    :param shared: trusted roots that have issued for other instances as well.
    :param issued: SHA-256 of the ledger of all records; empty where nothing was issued.
    :param identity: random, given to each store that is begun, and kept by its copies: a root can sign for two stores.
    :param clusters: the uid of the cluster that got certificates under a name, by that name.
    :param journal: its last entry; what follows on that is not signed yet.
    :param observed: SHA-256 of what runs have seen of clusters; empty where nothing is kept.
    :param generation: counts the changes of the store; 0 in what no key has signed.
    :param signature: of C(signer) over all the rest, in base64.
    """

    issuing: str
    trusted: tuple[str, ...]
    prepared: str = ""
    retiring: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    keyless: tuple[str, ...] = ()
    lists: Mapping[str, int] = field(default_factory=dict)
    last_number: int = 0
    endorsements: Mapping[str, Endorsement] = field(default_factory=dict)
    inherited: tuple[str, ...] = ()
    instance: str = DEFAULT_INSTANCE
    shared: tuple[str, ...] = ()
    issued: str = ""
    identity: str = ""
    clusters: Mapping[str, str] = field(default_factory=dict)
    journal: Head = Head()
    observed: str = ""
    generation: int = 0
    signature: str = ""

    @property
    def signer(self) -> str:
        """The root whose key signs the index: the one that issues, or where its key was lost, the one that will."""
        return self.prepared if self.issuing in self.keyless else self.issuing

    @property
    def line(self) -> tuple[str, ...]:
        """The signer, the root that endorsed it, and so on to the first."""
        found = [self.signer]
        while (endorsement := self.endorsements.get(found[-1])) and endorsement.by not in found:
            found.append(endorsement.by)
        return tuple(found)

    @property
    def roots(self) -> frozenset[str]:
        """All that are named: what else a storage holds was never used, or is needed no more."""
        return frozenset({*self.trusted, *self.retiring, *self.retired})

    @property
    def needed_keys(self) -> frozenset[str]:
        """Roots without whose key the store is damaged."""
        return frozenset({self.issuing, self.prepared} - {"", *self.keyless})


def index_to_json(index: Index) -> dict[str, Any]:
    """Plain values for a storage."""
    values = {"version": VERSION, **asdict(index)}
    # A store that keeps no observations is the same, with the same signature, as before there were any.
    return values if index.observed else {key: value for key, value in values.items() if key != "observed"}


def statement_of(index: Index) -> str:
    """What the signature of an index is over."""
    return statement(index.identity, index.generation, digest_of_index(index))


def digest_of_index(index: Index) -> str:
    """SHA-256 of all of it but the signature, in hexadecimal."""
    body = {key: value for key, value in index_to_json(index).items() if key != "signature"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def statement(identity: str, generation: int, digest: str) -> str:
    """The same from its parts: short enough to be kept elsewhere as a witness."""
    return f"CA store {identity}, generation {generation}, index {digest}"


def index_from_json(content: Mapping[str, Any], *, name: str, where: str, damaged: Damaged) -> Index:
    """The same read back. Whether its signature holds is for C(vouching).

    :param name: of the document, for messages.
    :param where: of the store, for messages.
    :param damaged: makes the error of the storage that it was read from.
    """
    values = dict(content)
    version = values.pop("version", None)
    if version not in (UNSIGNED, VERSION):
        raise CrossmeshError(
            Message.error(
                "store-version",
                where=where,
                what=f"{name} has version {version!r}; this collection reads {VERSION}",
                fix="use the version of the collection that wrote it, or a newer one",
            )
        )
    if version == UNSIGNED and (foreign := values.keys() - _UNSIGNED_KEYS):
        raise damaged(f"{name} has {listed(sorted(foreign))}, which its format does not have")
    for key in ("trusted", "retiring", "retired", "keyless", "inherited", "shared"):
        roots = values.get(key, [])
        if not isinstance(roots, list) or not all(map(_is_fingerprint, roots)):
            raise damaged(f"{name} does not list the {key} roots")
        values[key] = tuple(roots)
    try:
        values["endorsements"] = _endorsements(values.get("endorsements", {}))
        values["journal"] = Head(**values.get("journal", {}))
        index = Index(**values)
    except (TypeError, AttributeError) as error:
        raise damaged(f"{name} has not the keys that it should have") from error
    fault = _fault(index) or _signed_fault(index, signed=version == VERSION)
    if fault:
        raise damaged(f"{name} {fault}")
    return index


def _endorsements(content: Mapping[str, Mapping[str, Any]]) -> dict[str, Endorsement]:
    return {root: Endorsement(**endorsement) for root, endorsement in content.items()}


def _fault(index: Index) -> str:
    if not index.trusted:
        return "does not list the trusted roots"
    if not _is_fingerprint(index.issuing) or not (index.prepared == "" or _is_fingerprint(index.prepared)):
        return "does not name the root that issues"
    if not isinstance(index.lists, dict) or not all(map(_is_number, [*index.lists.values(), index.last_number])):
        return "does not tell the numbers of the lists"
    # Which of them need one depends on the clock: an expired root has none.
    if not set(index.lists) <= set(index.trusted):
        return "has a list for a root that is not trusted"
    if not isinstance(index.clusters, dict) or not all(isinstance(uid, str) for uid in index.clusters.values()):
        return "does not tell the uids of the clusters"
    if not {index.issuing, index.prepared} - {""} <= set(index.trusted):
        return "trusts other roots than the one that issues"
    if not set(index.shared) <= set(index.trusted) or not isinstance(index.instance, str):
        return "does not tell whose CA it is"
    return ""


def _signed_fault(index: Index, *, signed: bool) -> str:
    if not _is_number(index.generation) or not all(isinstance(text, str) for text in (index.identity, index.signature)):
        return "has no generation, identity or signature"
    if signed and not (index.generation and index.signature):
        return "has no generation or no signature"
    if not all(named == "" or _is_fingerprint(named) for named in (index.issued, index.observed)):
        return "does not name the ledger of the records, or the observations"
    head = index.journal
    if not (_is_number(head.entries) and _is_number(head.segment) and _is_fingerprint(head.digest)):
        return "does not name the last entry of the journal"
    if not head.entries and head != Head():
        return "names a segment of a journal that has no entry"
    for root, endorsement in index.endorsements.items():
        if not _is_fingerprint(endorsement.by) or not isinstance(endorsement.signature, str):
            return "has an endorsement that is none"
        if not {root, endorsement.by} <= index.roots:
            return "has an endorsement of a root that it does not name"
    if signed and not index.signer:
        return "names no root that could sign it"
    return ""


def _is_fingerprint(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
