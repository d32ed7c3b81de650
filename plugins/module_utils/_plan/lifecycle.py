# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is about to end, or can no longer be changed, among what is ours or is to be taken over. Pure.

PRIVATE to the collection. What a run is to delete may end as it likes; whether it is gone is looked at after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import (
    Life,
    LiveObject,
    LiveSecret,
    Manifest,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import key_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy

__all__ = ["immutable_secrets", "object_faults", "secret_faults", "still_there"]


def object_faults(
    wanted: Iterable[Manifest], live: Sequence[LiveObject], owner: names.Owner, policy: Policy
) -> list[Message]:
    """Of the objects that are wanted and there."""
    works_on = [item for item in wanted if policy.works_on(item["metadata"]["labels"][names.LABEL_LINK])]
    keys = set(map(key_of, works_on))
    return [
        fault
        for item in live
        if key_of(item) in keys and _is_to_be_ours(item["metadata"]["labels"], owner, policy)
        for fault in _faults("{} {}/{}".format(*key_of(item)), item["metadata"])
    ]


def secret_faults(
    wanted: Collection[str], live: Iterable[LiveSecret], owner: names.Owner, policy: Policy
) -> list[Message]:
    """Of the Secrets that are wanted and there. They can be written all the same.

    :param live: of the side's namespace.
    """
    ours = _worked_on(wanted, live, owner, policy)
    return [fault for secret in ours for fault in _faults(_title(secret), secret)]


def immutable_secrets(
    wanted: Collection[str], live: Iterable[LiveSecret], owner: names.Owner, policy: Policy
) -> dict[str, Message]:
    """Those of them that cannot be written, by their names."""
    ours = _worked_on(wanted, live, owner, policy)
    return {secret["name"]: _immutable(secret) for secret in ours if secret.get("immutable")}


def _worked_on(
    wanted: Collection[str], live: Iterable[LiveSecret], owner: names.Owner, policy: Policy
) -> Iterator[LiveSecret]:
    for secret in live:
        link = secret["labels"].get(names.LABEL_LINK, names.CLIENT_LINK)
        if secret["name"] in wanted and _is_to_be_ours(secret["labels"], owner, policy) and policy.works_on(link):
            yield secret


def still_there(title: str, life: Life) -> Message:
    """The error where an object goes on though it was deleted."""
    since, finalizers = life.get("deletionTimestamp", ""), life.get("finalizers") or ()
    what = f"it is being deleted since {since}" + (f", and waits for finalizer {listed(finalizers)}" * bool(finalizers))
    fix = "let whoever set the finalizer finish, or take it out of metadata.finalizers; then run again"
    return Message.error("under-deletion", where=title, what=what, fix=fix)


def _is_to_be_ours(labels: dict[str, str], owner: names.Owner, policy: Policy) -> bool:
    return policy.adopt or owner.labelled(labels)


def _faults(title: str, life: Life) -> Iterator[Message]:
    if life.get("deletionTimestamp"):
        yield still_there(title, life)
    if owners := life.get("ownerReferences"):
        named = listed(f"{owner['kind']} {owner['name']}" for owner in owners)
        what = f"it belongs to {named} (metadata.ownerReferences), and Kubernetes deletes it together with that"
        fix = "take the reference out of the object, and see that nothing puts it back; then run again"
        yield Message.error("owned-by-others", where=title, what=what, fix=fix)


def _immutable(secret: LiveSecret) -> Message:
    what = "it is immutable, so no run can renew its certificate, or what it trusts"
    fix = "delete it, see that nothing sets immutable again, and run playbook site at once: it issues another one"
    return Message.error("immutable-secret", where=_title(secret), what=what, fix=fix)


def _title(secret: LiveSecret) -> str:
    return f"Secret {secret['namespace']}/{secret['name']}"
