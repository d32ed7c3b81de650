# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public part of a CA store, and the phase of a root rotation that it is in. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypedDict

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.witness import Witness
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, parse_crls
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView, parse_certificates

__all__ = [
    "Authority",
    "AuthorityJson",
    "MovedOnError",
    "Phase",
    "authority_from_json",
    "authority_to_json",
    "moved_on",
    "state_of",
]

Phase = Literal["absent", "steady", "prepared", "switched", "retiring"]


@dataclass(frozen=True)
class Authority:
    """Which root issues and which are trusted.

    :param path: of the store, for messages.
    :param issuing: None where the root is still to be made.
    :param prepared: the root that will issue next; trusted already.
    :param retiring: fingerprints of roots that are trusted no more, but may still stand in a cluster.
    :param retired: fingerprints of roots before those: of a cluster that was away for a whole rotation.
    :param lists: one revocation list for every trusted root, or none at all.
    :param shared: fingerprints of trusted roots that have issued for other instances as well.
    :param signer: the root whose key has signed all this; None where nothing is there, or where that is not told.
    :param witness: of the signed index that says all this; None likewise. Two that say the same are equal without it.
    """

    path: str
    issuing: CertificateView | None
    trusted: tuple[CertificateView, ...]
    prepared: CertificateView | None = None
    retiring: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    lists: tuple[Crl, ...] = ()
    shared: tuple[str, ...] = ()
    signer: CertificateView | None = None
    witness: Witness | None = field(default=None, compare=False)

    @property
    def phase(self) -> Phase:
        """How far a root rotation has come; each phase is safe to stay in."""
        if self.issuing is None:
            return "absent"
        if self.prepared is not None:
            return "prepared"
        if len(self.trusted) > 1:
            return "switched"
        return "retiring" if self.retiring else "steady"

    @property
    def rotates(self) -> bool:
        """Whether a root rotation is in progress."""
        return self.phase not in ("absent", "steady")

    @property
    def state(self) -> str:
        """Tells one state of the roots from another: a run that has seen one does not act on the next."""
        return state_of(self.phase, (root.fingerprint for root in self.trusted), self.retiring)

    @property
    def known(self) -> frozenset[str]:
        """Fingerprints of all roots that may stand in a cluster."""
        return frozenset({*self.retiring, *self.retired, *(root.fingerprint for root in self.trusted)})

    def continues(self, other: Authority) -> bool:
        """Whether this is the store that was read before, its roots as they were, and no older copy of it."""
        if self.witness is None or other.witness is None:
            return False
        same = (self.witness.identity, self.state) == (other.witness.identity, other.state)
        return same and self.witness.generation >= other.witness.generation

    def listed(self, now: datetime) -> list[str]:
        """Fingerprints of the roots that a revocation list is for: of an expired one everything is refused anyway."""
        return [root.fingerprint for root in self.trusted if now < root.not_after]

    def lists_for(self, trust: Iterable[CertificateView]) -> tuple[Crl, ...]:
        """The lists that go with a bundle: all or none.

        A verifier that has a list for one root refuses every certificate of a root that it has none for. The roots of
        others, which an adoption keeps for a while, have none here.
        """
        ours = {root.fingerprint for root in self.trusted}
        return self.lists if ours.issuperset(root.fingerprint for root in trust) else ()


def state_of(phase: Phase, trusted: Iterable[str], retiring: Iterable[str]) -> str:
    """The state of roots that are given by their fingerprints."""
    return hashlib.sha256(" ".join([phase, *trusted, *retiring]).encode()).hexdigest()[:16]


class MovedOnError(CrossmeshError):
    """The store is not the one any more that something was decided with: nothing of that may be written."""


def moved_on(path: str) -> MovedOnError:
    """:param path: of the store."""
    return MovedOnError(
        Message.error(
            "another-run",
            where=path,
            what="the CA is not as this run has read it: another run has changed its issuing or trusted roots, or "
            "somebody has put another copy of the store in its place",
            fix="wait for the other run, then run again; where there is none, find out who can write to the store",
        )
    )


class AuthorityJson(TypedDict):
    """The same in plain values: a root is its PEM, empty where there is none."""

    path: str
    issuing: str
    trusted: list[str]
    prepared: str
    retiring: list[str]
    retired: list[str]
    shared: list[str]
    lists: str


def authority_to_json(authority: Authority) -> AuthorityJson:
    """Plain values for a reading."""
    return {
        "path": authority.path,
        "issuing": authority.issuing.pem if authority.issuing else "",
        "trusted": [root.pem for root in authority.trusted],
        "prepared": authority.prepared.pem if authority.prepared else "",
        "retiring": list(authority.retiring),
        "retired": list(authority.retired),
        "shared": list(authority.shared),
        "lists": "".join(item.pem for item in authority.lists),
    }


def authority_from_json(found: AuthorityJson) -> Authority:
    """The same read back."""
    path = found["path"]
    return Authority(
        path=path,
        issuing=_root(found["issuing"], path),
        trusted=tuple(parse_certificates(pem, where=path)[0] for pem in found["trusted"]),
        prepared=_root(found["prepared"], path),
        retiring=tuple(found["retiring"]),
        retired=tuple(found["retired"]),
        shared=tuple(found["shared"]),
        lists=parse_crls(found["lists"], where=path) if found["lists"] else (),
    )


def _root(pem: str, path: str) -> CertificateView | None:
    return parse_certificates(pem, where=path)[0] if pem else None
