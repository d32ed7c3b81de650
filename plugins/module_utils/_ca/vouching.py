# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a store believable to somebody who has no key: signatures, made and checked. Pure.

::

    the root that issues  ── signs ──►  index  ── names ──►  roots, CRLs, ledger of records
            ▲
         endorses
            │
    the root before it  ◄── endorses ──  ...

Whoever can write to the store, and has no key of it, can put an older store or one of his own in its place, whole. An
own one does not open with the operator's passphrase: nothing new is trusted in a run that has not opened it.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Endorsement, Index, statement_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Change, Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed, short
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.signature import sign, signed
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView, PrivateKey, root_faults

__all__ = ["endorsed", "inheriting", "refuse_unbelievable", "refuse_unfit", "refuse_unvouched", "sealed"]

# Characters of a name that whoever can write to the store may have put there.
_LONGEST_PLACE = 500
_FIND_OUT = "restore the store from a backup, and find out who can write to it"


def sealed(index: Index, key: PrivateKey, *, after: int) -> Index:
    """The index as it is written: counted and signed.

    :param key: of C(index.signer).
    :param after: the generation that it follows on.
    """
    counted = replace(index, generation=after + 1, signature="")
    return replace(counted, signature=sign(key, statement_of(counted)))


def endorsed(index: Index, root: str, key: PrivateKey, *, by: str) -> Index:
    """The index with the word of one root that another may follow it.

    :param key: of the root C(by).
    """
    endorsement = Endorsement(by, sign(key, _succession(root, by)))
    return replace(index, endorsements={**index.endorsements, root: endorsement})


def inheriting(index: Index) -> Index:
    """The index with every root of which no endorsement tells where it came from, as one that is believed without."""
    # What was inherited before is to be told again: a store can be taken over more than once.
    bare = replace(index, inherited=())
    return replace(index, inherited=tuple(sorted(root for root in index.roots if not _connected(bare, root))))


def refuse_unvouched(snapshot: Snapshot) -> None:
    """Stop at a store that its own keys do not vouch for, or that has moved to another place."""
    if snapshot.moved:
        raise CrossmeshError(_moved(snapshot))
    if not snapshot.index.generation:
        raise CrossmeshError(_unsigned(snapshot))
    if fault := _fault(snapshot):
        what = f"the CA store is not as its key has signed it: {fault}"
        raise CrossmeshError(Message.error("store-unvouched", where=snapshot.where, what=what, fix=_FIND_OUT))


def refuse_unbelievable(change: Change, before: Snapshot | None) -> None:
    """Stop before an index is written that no later run would believe.

    :param change: with its index as it is signed.
    :raises RuntimeError: a fault of this collection, which would else cost the store.
    """
    index = change.index
    known = {root.fingerprint: root for root in change.roots}
    known |= {**before.endorsers, **before.roots} if before else {}
    lists = {**(before.lists if before else {}), **change.lists}
    trusted = {root: known[root] for root in index.trusted}
    after = Snapshot("", "", index, trusted, {root: lists[root] for root in index.lists}, endorsers=known)
    if fault := _fault(after):
        raise RuntimeError(f"this index would not be believed: {fault}")


def refuse_unfit(roots: Collection[CertificateView], where: str) -> None:
    """Stop before something is trusted that could not have been imported."""
    if fault := _unfit(roots):
        what = f"a root that is to be trusted is none: {fault}"
        fix = "remove it from the ca.crt that it comes from, or point custom_ca_dir or custom_ca_store_* elsewhere"
        raise CrossmeshError(Message.error("root-unfit", where=where, what=what, fix=fix))


def _fault(snapshot: Snapshot) -> str:
    index, roots = snapshot.index, {**snapshot.endorsers, **snapshot.roots}
    if fault := _unfit(roots.values()):
        return fault
    if not signed(roots[index.signer], statement_of(index), index.signature):
        return f"root {short(index.signer)} did not sign its index"
    for root, endorsement in index.endorsements.items():
        if not signed(roots[endorsement.by], _succession(root, endorsement.by), endorsement.signature):
            return f"root {short(endorsement.by)} did not endorse root {short(root)}"
    if strangers := sorted(root for root in index.roots if not _connected(index, root)):
        return f"no endorsement leads to root {listed(map(short, strangers))}"
    for root, crl in snapshot.lists.items():
        if crl.number != index.lists[root]:
            return f"the CRL of root {short(root)} has number {crl.number}, and the index names {index.lists[root]}"
    return ""


def _connected(index: Index, root: str) -> bool:
    """Whether a root is in the line of the one that signs, was endorsed by one of that line, or came without a word."""
    line = (*index.line, *index.inherited)
    endorsement = index.endorsements.get(root)
    return root in line or (endorsement is not None and endorsement.by in line)


def _unfit(roots: Collection[CertificateView]) -> str:
    for root in roots:
        if faults := root_faults(root):
            return f"root {short(root.fingerprint)} ({root.subject}): {'; '.join(faults)}"
    return ""


def _succession(root: str, by: str) -> str:
    return f"CA store, root {root} may follow root {by}"


def _moved(snapshot: Snapshot) -> Message:
    return Message.error(
        "store-moved",
        where=snapshot.where,
        what=f"the CA is not kept here any more: it was moved to {snapshot.moved[:_LONGEST_PLACE]}",
        fix="set custom_ca_store, and what goes with it, to that place; where the move was not completed, run playbook "
        "crossmesh.mtls.move_ca again, or with custom_ca_store as before to take it back",
    )


def _unsigned(snapshot: Snapshot) -> Message:
    index = snapshot.index
    trusted = ",".join(index.trusted)
    former = (*index.retiring, *index.retired)
    roots = listed(_described(root, index) for root in snapshot.roots.values())
    known = f", and counts root {listed(former)} as replaced" if former else ""
    return Message.error(
        "store-unsigned",
        where=snapshot.where,
        what="the index of the CA store has the format of an earlier release, which no key has signed: whoever could "
        f"write to the folder could have changed it. It trusts {roots}{known}",
        fix="if this release has used the store before, restore it from a backup. Otherwise compare these roots with "
        "ca.crt in the Secrets of the clusters, then run playbook crossmesh.mtls.take_over_ca once with "
        f"-e custom_ca_take_over={trusted}",
    )


def _described(root: CertificateView, index: Index) -> str:
    lost = ", whose key it calls lost" if root.fingerprint in index.keyless else ""
    return f"root {root.fingerprint} ({root.subject}{lost})"
