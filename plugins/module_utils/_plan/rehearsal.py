# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a plan is tried before the first write, and what follows from the answers. Pure.

PRIVATE to the collection. A Secret is tried with data of the right keys and a similar length that holds nothing.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import Outcome, Quota, Trial
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import (
    LiveObject,
    LiveSecret,
    Manifest,
    Spec,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import Key, key_of, place_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.refusal import Cause, Refusal
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import WantedSecret
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import strays
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.comparison import differing

__all__ = ["NOTHING_TRIED", "Rehearsal", "as_kept", "judge", "trials_of_objects", "trials_of_secrets"]

# Characters, about as many as a certificate, an encrypted key and a root have.
_LENGTHS: Mapping[str, tuple[str, int]] = {
    "tls.crt": ("CERTIFICATE", 1000),
    "tls.key": ("PRIVATE KEY", 240),
    "ca.crt": ("CERTIFICATE", 800),
}


@dataclass(frozen=True)
class Rehearsal:
    """What was found.

    :param errors: what the API server would refuse, but for Secrets that are there.
    :param held: of Secrets that are there, by name.
    :param denied: what the user may not try, and so not write.
    :param admitted: objects that are as admission makes them: to write them would change nothing.
    :param kept: the specs of what admission adds to, as they would be kept.
    :param spared: what the user may not delete, and may not be ours to delete; with the warning.
    """

    tried: int = 0
    errors: Sequence[Message] = ()
    held: Mapping[str, Message] = field(default_factory=dict)
    denied: Message | None = None
    warnings: Sequence[Message] = ()
    notices: Sequence[Message] = ()
    admitted: frozenset[Key] = frozenset()
    kept: Mapping[Key, Spec] = field(default_factory=dict)
    spared: Mapping[Key, Message] = field(default_factory=dict)


NOTHING_TRIED = Rehearsal()


# -- what is tried -------------------------------------------------------------------------------------------------


def trials_of_objects(
    written: Iterable[Manifest],
    stripped: Iterable[Manifest],
    deleted: Iterable[Manifest],
    live: Iterable[LiveObject],
    owner: names.Owner,
) -> Iterator[Trial]:
    """The manifests of a plan: what is missing and the gateway's Service as kubernetes.core.k8s applies them, the rest
    by one merge patch that does all that the run does to the object.
    """
    there = {key_of(item) for item in live}
    extra = {key_of(item): item.get("spec", {}) for item in stripped}
    for manifest in written:
        key = key_of(manifest)
        if key not in there:
            yield _trial("apply", manifest, manifest, owner.manager, new=manifest["kind"] != "Service")
        else:
            spec = _with_nulls(manifest.get("spec", {}), extra.get(key, {}))
            yield _trial("merge", manifest, {**manifest, "spec": spec}, owner.manager)
    for manifest in deleted:
        yield _trial("delete", manifest, {}, "")


def trials_of_secrets(
    due: Iterable[WantedSecret], live: Mapping[str, LiveSecret], namespace: str, owner: names.Owner
) -> Iterator[Trial]:
    for wanted in due:
        secret = live.get(wanted["name"])
        metadata = {"name": wanted["name"], "namespace": namespace, "labels": wanted["labels"]}
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
        if secret is None:
            # Of one that is there, what it holds is left: who looks into certificates would refuse these.
            body |= {"type": "kubernetes.io/tls", "data": {key: _nothing(key) for key in _LENGTHS}}
        place: Manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": wanted["name"], "namespace": namespace},
        }
        verb = "apply" if secret is None else "merge"
        yield _trial(verb, place, body, owner.identity_manager, new=secret is None, force=True)


def _trial(
    verb: Any, manifest: Manifest, body: Mapping[str, Any], manager: str, *, new: bool = False, force: bool = False
) -> Trial:
    return Trial(verb, place_of(manifest), body, manager, new, force)


def _nothing(key: str) -> str:
    """In the form of PEM, which some look for."""
    what, length = _LENGTHS[key]
    lines = "\n".join(["A" * 64] * (length // 64))
    return base64.b64encode(f"-----BEGIN {what}-----\n{lines}\n-----END {what}-----\n".encode()).decode()


def _with_nulls(wanted: Spec, nulls: Spec) -> Spec:
    """A merge patch (RFC 7386) that writes one and takes out the other."""
    merged = dict(wanted)
    for key, value in nulls.items():
        merged[key] = _with_nulls(wanted[key], value) if isinstance(value, dict) and key in wanted else value
    return merged


# -- what follows --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Group:
    """What is refused, or had no answer, for one reason."""

    reason: Refusal | Message
    trials: Sequence[Trial]

    @property
    def cause(self) -> Cause | None:
        return self.reason.cause if isinstance(self.reason, Refusal) else None

    @property
    def why(self) -> str:
        return self.reason.why if isinstance(self.reason, Refusal) else self.reason.what

    def message(self) -> Message:
        where = _where(self.trials)
        if isinstance(self.reason, Refusal):
            return self.reason.message(where, "the API server would refuse this")
        what = f"it could not be tried ({self.why}), though the API server answers other requests"
        fix = "see which admission webhook for this kind takes so long, or what breaks the connection; then run again"
        return Message.error("dry-run-unanswered", where=where, what=what, fix=fix)


def judge(
    outcomes: Sequence[Outcome], quotas: Iterable[Quota], wanted: Iterable[Manifest], live: Iterable[LiveObject]
) -> Rehearsal:
    """:param wanted: the manifests of the side."""
    spared = {item.trial.place.key: _spared(item) for item in outcomes if _is_spared(item)}
    tried = len(outcomes)
    outcomes = [item for item in outcomes if item.trial.place.key not in spared]
    groups = _groups(outcomes)
    effects = list(_effects(outcomes, wanted))
    refusing = [group for group in groups if group.cause not in ("permission", "webhook-never-dry")]
    told = {outcome.refusal.who for outcome in outcomes if outcome.refusal and outcome.refusal.cause == "quota"}
    return Rehearsal(
        tried=tried,
        errors=[
            *(group.message() for group in refusing if not all(map(_is_there, group.trials))),
            *_beyond(outcomes, quotas, told),
            *(_changed(effect) for effect in effects if effect.changed),
        ],
        held={trial.place.name: group.message() for group in refusing for trial in group.trials if _is_there(trial)},
        denied=_denied(outcomes),
        warnings=[_not_tried(group) for group in groups if group.cause == "webhook-never-dry"],
        notices=[_added(effect) for effect in effects if effect.added and not effect.changed],
        admitted=frozenset(_admitted(effects, live)),
        kept={effect.key: effect.spec for effect in effects if effect.added and not effect.changed},
        spared=spared,
    )


def as_kept(manifests: Sequence[Manifest], kept: Mapping[Key, Spec]) -> list[Manifest]:
    return [{**item, "spec": kept.get(key_of(item), item.get("spec", {}))} for item in manifests]


def _is_spared(outcome: Outcome) -> bool:
    """Whether it is about an object that anybody in its namespace can have made, and that may not be deleted there."""
    deleted = outcome.trial.verb == "delete" and outcome.trial.place.kind in names.WORKLOAD_KINDS
    return deleted and outcome.refusal is not None and outcome.refusal.cause == "permission"


def _spared(outcome: Outcome) -> Message:
    return strays.left_behind(outcome.trial.place.key, "the user of this context may not delete it")


def _groups(outcomes: Iterable[Outcome]) -> list[_Group]:
    """By the reason alone: twenty objects that one quota refuses are told once."""
    found: dict[Refusal | Message, list[Trial]] = {}
    for outcome in outcomes:
        reason = outcome.lost or (outcome.refusal and _alike(outcome.refusal))
        if reason:
            found.setdefault(reason, []).append(outcome.trial)
    return [_Group(reason, trials) for reason, trials in found.items()]


def _alike(refusal: Refusal) -> Refusal:
    of_namespace = refusal.cause in ("namespace", "terminating")
    return refusal if of_namespace else replace(refusal, subject="")


def _denied(outcomes: Iterable[Outcome]) -> Message | None:
    """All that the user lacks, in the words of a role."""
    found = [(item.trial, item.refusal) for item in outcomes if item.refusal and item.refusal.cause == "permission"]
    if not found:
        return None
    _trial, refusal = found[0]
    lacking = listed({_permission(trial, refusal.who) for trial, refusal in found})
    what = (
        f"the API server would refuse this: {refusal.status} {refusal.reason}; the user of this context lacks {lacking}"
    )
    return Message.error(refusal.code, where=_where([denied for denied, _refusal in found]), what=what, fix=refusal.fix)


def _permission(trial: Trial, verb: str) -> str:
    verb = verb or ("delete" if trial.verb == "delete" else "patch")
    return f"{verb} on {trial.place.resource} in namespace {trial.place.namespace}"


def _where(trials: Sequence[Trial]) -> str:
    first, more = trials[0].place.title, len(trials) - 1
    return f"{first} and {more} more objects" if more else first


def _is_there(trial: Trial) -> bool:
    """Whether it is about a Secret that there is: what holds it up holds up no other."""
    return trial.place.kind == "Secret" and trial.verb == "merge"


def _not_tried(group: _Group) -> Message:
    return replace(group.message(), level="warning", what=f"not known beforehand: {group.why}")


def _beyond(outcomes: Iterable[Outcome], quotas: Iterable[Quota], told: Collection[str]) -> Iterator[Message]:
    """Quotas with room for one object and not for all; those that have refused one are told already."""
    new = Counter(
        (outcome.trial.place.namespace, outcome.trial.place.resource) for outcome in outcomes if outcome.trial.new
    )
    for quota in quotas:
        for (namespace, resource), count in sorted(new.items()):
            rooms = [quota.room[key] for key in (resource, f"count/{resource}") if key in quota.room]
            if namespace == quota.namespace and quota.name not in told and rooms and count > min(rooms):
                yield Message.error(
                    "quota-exceeded",
                    where=f"ResourceQuota {namespace}/{quota.name}",
                    what=f"it has room for {max(0, min(rooms))} more {resource}, and {count} would be made",
                    fix=f"raise ResourceQuota {quota.name}, or free some of it",
                )


@dataclass(frozen=True)
class _Effect:
    """What admission does to an object.

    :param added: paths of fields that we do not send; so C(changed) of those that come back as something else.
    """

    key: Key
    spec: Spec
    labels: Mapping[str, str]
    added: Sequence[str]
    changed: Sequence[str]


def _effects(outcomes: Iterable[Outcome], wanted: Iterable[Manifest]) -> Iterator[_Effect]:
    manifests = {key_of(item): item for item in wanted}
    for outcome in outcomes:
        manifest = manifests.get(outcome.trial.place.key)
        if manifest is not None and outcome.spec is not None:
            found = list(differing(manifest.get("spec", {}), outcome.spec, "spec", in_lists=True))
            added, changed = [path for path, more in found if more], [path for path, more in found if not more]
            yield _Effect(key_of(manifest), outcome.spec, manifest["metadata"]["labels"], added, changed)


def _changed(effect: _Effect) -> Message:
    what = f"{listed(effect.changed)} would not be kept as written, so the link would not be what the inventory says"
    fix = "let the mutating webhook or policy that does it leave objects with label "
    fix += f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY} alone; where there is none, update Istio's CRDs"
    return Message.error("admission-changes", where="{} {}/{}".format(*effect.key), what=what, fix=fix)


def _added(effect: _Effect) -> Message:
    what = f"admission adds {listed(effect.added)}; it would come again, so it stays"
    fix = "see that the link may have these fields, or let the mutating webhook or policy leave the object alone"
    return Message.notice("admission-adds", where="{} {}/{}".format(*effect.key), what=what, fix=fix)


def _admitted(effects: Iterable[_Effect], live: Iterable[LiveObject]) -> Iterator[Key]:
    """What is there as it would be kept, if it were written again."""
    there = {key_of(item): item for item in live}
    for effect in effects:
        item = there.get(effect.key)
        if item and not effect.changed and item.get("spec", {}) == effect.spec:
            labels = item["metadata"]["labels"]
            if all(labels.get(key) == value for key, value in effect.labels.items()):
                yield effect.key
