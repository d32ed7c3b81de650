# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Issue what is due and write it into Secrets.

PRIVATE to the collection. A key is made in memory here and leaves the process only into its Secret.

Two field managers share a Secret (Kubernetes, Server-Side Apply): one owns the certificate and its key, the other the
trust. Either can be written without the other. A new Secret is written whole in one request, so that no gateway ever
sees half of one.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority, MovedOnError, moved_on
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import no_ca
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.holdings import Removal
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record, record_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.witness import witness_to_text
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import refuse_clock
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import PARALLEL, Api, ApiError, object_path
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import Item, version_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import serial
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import LiveSecret
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import secret_view
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.secrets import get_secret
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, UnfinishedError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import WantedSecret
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue import events
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    Leaf,
    bundle,
    issue_leaf,
    key_signs_for,
    subject_of,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.credentials import (
    LISTS_KEY,
    decide_secret,
    surplus_keys,
    wanted_lists,
    wanted_trust,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.refusals import meshs_own, unknown_roots, wrong_store
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.renewal import Decision
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import (
    ShownTrust,
    is_ours,
    issuer_of,
    lists_of,
    live_credential,
    trust_of,
    witnesses_of,
)

__all__ = [
    "Credential",
    "Work",
    "authority_of",
    "decide_credential",
    "diff_of",
    "ensure",
    "issue",
    "needs_key",
    "public",
    "report",
    "trust_after",
]

# How often a call starts over because somebody else has changed a Secret or the CA meanwhile.
ATTEMPTS = 5

Json = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """What one call is about.

    :param wanted: the view's C(secrets) of one side.
    :param uid: of the cluster, where what is issued shows that it is the one of this name; empty where it does not.
    :param revoked: what custom_ca_revoked lists.
    :param mesh_roots: SHA-256 of the public keys of the roots of the cluster's own mesh.
    :param unrecorded: what a look has seen in the cluster and the store has no record of.
    :param removal: how far what was taken away is revoked; None where it is not.
    :param witness: of the state of the store that the trust is written from.
    """

    owner: names.Owner
    namespace: str
    wanted: Sequence[WantedSecret]
    policy: Policy
    validity: timedelta
    passphrase: str
    check: bool
    uid: str = ""
    revoked: Sequence[revocation.Entry] = ()
    mesh_roots: Collection[str] = ()
    removal: Removal | None = None
    unrecorded: Sequence[Record] = ()
    witness: str = ""


@dataclass(frozen=True)
class Credential:
    """What was decided about one Secret, and what it holds before and after."""

    wanted: WantedSecret
    secret: LiveSecret | None
    decision: Decision
    trust: tuple[CertificateView, ...]
    lists: tuple[Crl, ...]
    issuer: str
    validity: timedelta
    leaf: Leaf | None = None

    @property
    def before(self) -> CertificateView | None:
        live = live_credential(self.secret)
        return live.leaf if live else None

    @property
    def after(self) -> CertificateView | None:
        """None where a certificate would be issued, in check mode."""
        if self.decision.action == "issue":
            return self.leaf.view if self.leaf else None
        return self.before


def authority_of(store: CaStore) -> Authority:
    """The store's public part; without a root where there is none yet."""
    return store.public() or _none_yet(store)


def _none_yet(store: CaStore) -> Authority:
    return Authority(path=store.where, issuing=None, trusted=())


class _OvertakenError(CrossmeshError):
    """Somebody else has changed a Secret that a decision was made on."""


def ensure(api: Api, store: CaStore, work: Work, now: datetime) -> list[Credential]:
    """Decide on every wanted Secret, issue and write what is due.

    Runs may overlap. A Secret is written only as it was read, and the CA is read after the Secrets: what another run
    has done meanwhile is seen, and the call starts over.

    :raises UnfinishedError: when something was written already.
    :raises CrossmeshError: before anything is written, when the store or a Secret forbids it.
    """
    written: dict[str, Credential] = {}
    for _attempt in range(ATTEMPTS):
        try:
            return [_as_written(item, written) for item in _ensure(api, store, work, now, written)]
        except (_OvertakenError, MovedOnError):
            continue
        except CrossmeshError as error:
            if written:
                raise UnfinishedError(*error.messages) from error
            raise
    raise UnfinishedError(
        Message.error(
            "secrets-contested",
            where=f"{api.where}, namespace {work.namespace}",
            what=f"others keep changing our Secrets: {ATTEMPTS} attempts met a conflict",
            fix="find out who writes them (metadata.managedFields), and check that no other run is under way; then run "
            "again",
        )
    )


def _as_written(item: Credential, written: Mapping[str, Credential]) -> Credential:
    """What an earlier attempt has written is no longer due; the call has changed it all the same."""
    earlier = written.get(item.wanted["name"])
    return earlier if earlier and item.decision.action == "keep" else item


def _ensure(api: Api, store: CaStore, work: Work, now: datetime, written: dict[str, Credential]) -> list[Credential]:
    secrets = _live(api, work)
    authority = _newest(store, secrets, work)
    _refuse(secrets, authority, work)
    asks = authority.witness and (work.revoked or work.removal or authority.lists)
    records = store.records(now, after=authority) if asks else []
    removed = work.removal.entries(work.revoked, records, authority.lists, now) if work.removal else ()
    asked = [*work.revoked, *removed]
    records = [*records, *work.unrecorded]
    revoked = revocation.revoked_serials(asked, records)
    decided = [
        decide_credential(wanted, secrets.get(wanted["name"]), authority, work, now, revoked) for wanted in work.wanted
    ]
    if work.check:
        if authority.issuing and work.passphrase and any(needs_key(item, authority) for item in decided):
            # The run would stop at a wrong passphrase, or at a key that was lost.
            store.signer(work.passphrase)
        wanted = revocation.wanted_lists(asked, records, authority.listed(now))
        due = work.policy.stage == "bundle" and revocation.why_due(wanted, store.lists(), now)
        return [_with_lists_to_come(item) for item in decided] if due else decided
    if any(item.decision.action == "issue" for item in decided):
        refuse_clock(api.clock_ahead)
    issued, after = issue(decided, store, authority, work, now)
    if any(item.decision.action != "keep" for item in issued):
        witness = witness_to_text(after.witness) if after.witness else ""
        _write_all(api, replace(work, witness=witness), issued, written)
    return issued


def _with_lists_to_come(item: Credential) -> Credential:
    """In check mode the lists that the run would have published are not there to compare with."""
    if item.secret is None or item.decision.action != "keep" or item.wanted["trust"]:
        return item
    return replace(item, decision=Decision("write", "lists-changed", "the CRLs would be renewed"))


def _write_all(api: Api, work: Work, issued: Sequence[Credential], written: dict[str, Credential]) -> None:
    with ThreadPoolExecutor(PARALLEL) as pool:
        outcomes = [pool.submit(_write, api, work, credential) for credential in issued]
    done = (item for item, outcome in zip(issued, outcomes, strict=True) if not outcome.exception())
    written |= {item.wanted["name"]: item for item in done if item.decision.action != "keep"}
    failures = [failure for outcome in outcomes if (failure := outcome.exception())]
    for failure in failures:
        if isinstance(failure, ApiError) and failure.status == 409:
            raise _OvertakenError(*failure.messages)
        if isinstance(failure, CrossmeshError):
            raise UnfinishedError(*failure.messages)
        raise failure


def _live(api: Api, work: Work) -> dict[str, LiveSecret]:
    path = object_path("", "v1", "secrets", work.namespace)
    wanted = [item["name"] for item in work.wanted]
    with ThreadPoolExecutor(PARALLEL) as pool:
        found = list(pool.map(lambda name: get_secret(api, f"{path}/{name}"), wanted))
    return {name: secret_view(item) for name, item in zip(wanted, found, strict=True) if item is not None}


def _newest(store: CaStore, secrets: Mapping[str, LiveSecret], work: Work) -> Authority:
    """Nothing is issued, trusted or written from a store that is older than what is here."""
    authority, found = store.look({work.owner.cluster: witnesses_of(secrets.values())})
    if found.rolled_back:
        raise CrossmeshError(found.rolled_back)
    return authority or _none_yet(store)


def _refuse(secrets: Mapping[str, LiveSecret], authority: Authority, work: Work) -> None:
    """What must not be touched; looked at again here, because a plan may be older than what is live."""
    if not work.policy.adopt:
        unknown = unknown_roots(list(secrets.values()), work.owner, authority)
        foreign = [
            wanted["name"]
            for wanted in work.wanted
            if (secret := secrets.get(wanted["name"])) and not is_ours(secret, work.owner)
        ]
        errors = [
            *(wrong_store(authority, fingerprint, f"Secret {name}") for fingerprint, name in unknown.items()),
            *(_foreign_secret(f"Secret {work.namespace}/{name}") for name in foreign),
        ]
        if errors:
            raise CrossmeshError(*errors)
    # A root that was brought in after the plan was made.
    if joined := meshs_own(authority, work.mesh_roots):
        raise CrossmeshError(*joined)
    if authority.issuing is None and not work.check:
        raise CrossmeshError(no_ca(authority.path))


def _foreign_secret(where: str) -> Message:
    return Message.error(
        "not-ours",
        where=where,
        what="it exists without the labels of this instance, cluster and side",
        fix="check it, then run with -e mesh_adopt=true to take it over, or rename the link",
    )


def decide_credential(
    wanted: WantedSecret,
    secret: LiveSecret | None,
    authority: Authority,
    work: Work,
    now: datetime,
    revoked: frozenset[str],
) -> Credential:
    """Hold what is there against what is wanted.

    :param secret: what a reading tells of it; None where it does not exist.
    :param revoked: serials.
    """
    decision = decide_secret(wanted, secret, authority, work.policy, now, work.owner, revoked)
    trust = wanted_trust(wanted, secret, authority, work.policy.stage)
    live = live_credential(secret)
    issuer = issuer_of(live.leaf, authority) if live and live.leaf else ""
    lists = wanted_lists(wanted, authority, trust)
    return Credential(wanted, secret, decision, trust, lists, issuer, work.validity)


def issue(
    decided: Sequence[Credential], store: CaStore, authority: Authority, work: Work, now: datetime
) -> tuple[list[Credential], Authority]:
    """Issue what is due; recorded before it is used.

    :returns: these, and the authority afterwards.
    :raises MovedOnError: the store does not continue the authority: nothing of it may be written.
    :raises CrossmeshError: the passphrase does not open the key that vouches for what is to be trusted: neither may it.
    """
    issued, signed = list(decided), None
    entries = tuple(events.written(decided, work))
    if authority.issuing is not None and any(item.decision.action == "issue" for item in decided):
        issued, signed = _issued(decided, store, authority, authority.issuing, work, now)
    # What is dropped needs no key; its entry is signed at once all the same, where there is a passphrase.
    elif any(needs_key(item, authority) for item in decided) or (entries and work.passphrase):
        signed = store.vouch(work.passphrase, authority, *entries)
    after = store.follow(signed or authority)
    if signed is None:
        store.note(*entries)
    return issued, after


def needs_key(item: Credential, authority: Authority) -> bool:
    """Whether the CA's key has to be opened before this is written: for a certificate, and for what widens trust.

    The store is files that somebody may have put there; the passphrase is what he does not have. So no root of the CA
    is added, and no CRL given up or replaced by an older one, on the word of files alone.
    """
    if item.decision.action != "write":
        return item.decision.action == "issue"
    held = {view.fingerprint for view in trust_of(item.secret)} if item.secret else set()
    wanted = {view.fingerprint for view in item.trust}
    if (wanted - held) & {root.fingerprint for root in authority.trusted}:
        return True
    issuers = {view.subject for view in item.trust if view.fingerprint in held}
    numbers = {crl.issuer: crl.number for crl in item.lists}
    before = lists_of(item.secret) if item.secret else ()
    return any(crl.issuer in issuers and numbers.get(crl.issuer, -1) < crl.number for crl in before)


def _issued(
    decided: Sequence[Credential],
    store: CaStore,
    authority: Authority,
    root: CertificateView,
    work: Work,
    now: datetime,
) -> tuple[list[Credential], Authority]:
    key = store.signer(work.passphrase)
    # The store gives the next root's where another run has taken this one's away meanwhile.
    if not key_signs_for(root, key):
        raise moved_on(store.where)
    issued = []
    for item in decided:
        if item.decision.action != "issue":
            issued.append(item)
            continue
        leaf = issue_leaf(
            root_certificate=root,
            root_key=key,
            role=item.wanted["role"],
            sans=item.wanted["sans"],
            common_name=item.wanted["common_name"],
            key_type=work.policy.key_type,
            validity=work.validity,
            now=now,
        )
        issued.append(replace(item, leaf=leaf, issuer=root.fingerprint))
    # What the store has no record of is recorded as soon as its key is open.
    known = {record.serial for record in store.records(now)} if work.unrecorded else set()
    lost = [record for record in work.unrecorded if record.serial not in known]
    made = [_record(item, item.leaf, root, work, now) for item in issued if item.leaf]
    home = (work.owner.cluster, work.uid) if work.uid else None
    after = store.record([*lost, *made], key, now, *events.written(issued, work), home=home, after=authority)
    if after is None:
        raise moved_on(store.where)
    return issued, after


def _record(item: Credential, leaf: Leaf, issuer: CertificateView, work: Work, now: datetime) -> Record:
    return record_of(
        leaf.view,
        issuer=issuer,
        instance=work.owner.instance,
        cluster=work.owner.cluster,
        side=work.owner.side,
        links=_served(item.wanted, leaf),
        secret=f"{work.namespace}/{item.wanted['name']}",
        now=now,
    )


def _served(wanted: WantedSecret, leaf: Leaf) -> list[str]:
    """The links that a certificate is good for: a client's for those that it names, whatever was to be in it."""
    if wanted["role"] == "server":
        return [wanted["link"]]
    return [link for san in leaf.view.sans if (link := names.link_of(san))]


# -- writing -------------------------------------------------------------------------------------------------------


def _write(api: Api, work: Work, item: Credential) -> None:
    if item.decision.action == "keep":
        return
    path = object_path("", "v1", "secrets", work.namespace, item.wanted["name"])
    trust = {"ca.crt": _encode(bundle(view.pem for view in item.trust))}
    if item.lists:
        trust[LISTS_KEY] = _encode("".join(found.pem for found in item.lists))
    if item.leaf is None:
        _write_trust(api, path, work, item, trust)
        return
    identity = {"tls.crt": _encode(item.leaf.certificate_pem), "tls.key": _encode(item.leaf.key_pem)}
    if item.secret is None:
        _apply_identity(api, path, work, item, {**identity, **trust}, version="")
        return
    # The trust gets its own owner first: what the identity's manager leaves out next would else be deleted.
    version = _write_trust(api, path, work, item, trust)
    _apply_identity(api, path, work, item, identity, version=version)


def _apply_identity(
    api: Api, path: str, work: Work, item: Credential, data: Mapping[str, str], *, version: str
) -> None:
    # With this type the API server itself refuses a Secret without certificate or key; a type can never change.
    kind = item.secret["type"] if item.secret else "kubernetes.io/tls"
    body = {**_secret(work, item, data, item.wanted["labels"], version), "type": kind}
    api.apply(path, body, work.owner.identity_manager, force=True)


def _write_trust(api: Api, path: str, work: Work, item: Credential, trust: Mapping[str, str]) -> str:
    """Write what is trusted; returns the version of the Secret after it."""
    secret = item.secret
    read = secret["version"] if secret else ""
    answer = api.apply(path, _secret(work, item, trust, {}, read), work.owner.trust_manager, force=True)
    version = version_of(answer, f"{api.where}, {path}")
    if secret is None:
        return version
    surplus, labels = surplus_keys(secret, lists=bool(item.lists)), _labels_to_put_back(item)
    if work.policy.stage in ("trust", "bundle"):
        # A list that stays behind, whoever owns it, refuses every certificate of a root that has none.
        surplus, labels = [key for key in surplus if key == LISTS_KEY], {}
    if surplus or labels:
        body = _secret(work, item, dict.fromkeys(surplus), labels, version)
        version = version_of(api.merge(path, body, work.owner.identity_manager), f"{api.where}, {path}")
    return version


def _labels_to_put_back(item: Credential) -> dict[str, str]:
    held = item.secret["labels"] if item.secret else {}
    return {key: value for key, value in item.wanted["labels"].items() if held.get(key) != value}


def _secret(
    work: Work, item: Credential, data: Mapping[str, str | None], labels: Mapping[str, str], version: str
) -> Item:
    metadata: Item = {"name": item.wanted["name"], "namespace": work.namespace}
    if labels:
        metadata["labels"] = dict(labels)
    if "ca.crt" in data and work.witness:
        metadata["annotations"] = {names.ANNOTATION_WITNESS: work.witness}
    if version:
        # The API server refuses the request when somebody has written in between.
        metadata["resourceVersion"] = version
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": dict(data)}


def _encode(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


# -- results -------------------------------------------------------------------------------------------------------


def report(credentials: Sequence[Credential]) -> Json:
    """A module's result: decisions, public facts, and a diff without a key."""
    changed = [item for item in credentials if item.decision.action != "keep"]
    return {
        "changed": bool(changed),
        "credentials": [public(item) for item in credentials],
        "serials": sorted(serial(item.after.serial) for item in credentials if item.after),
        "trust": [trust_after(item) for item in credentials],
        "issuers": sorted({item.issuer for item in credentials if item.after}),
        "diff": [diff_of(item, f"Secret {item.wanted['name']}") for item in changed],
    }


def trust_after(item: Credential) -> ShownTrust:
    """What a gateway is told to trust."""
    return {
        "secret": item.wanted["name"],
        "roots": [view.fingerprint for view in item.trust],
        "lists": [found.identity for found in item.lists],
        "own": not item.wanted["trust"],
    }


def public(item: Credential) -> Json:
    """What was decided, and the certificate."""
    return {
        "name": item.wanted["name"],
        "action": item.decision.action,
        "reason": item.decision.reason,
        "message": item.decision.message + (f"; {item.leaf.note}" if item.leaf and item.leaf.note else ""),
        "certificate": item.after.public() if item.after else None,
        "trusted": [view.fingerprint for view in item.trust],
    }


def diff_of(item: Credential, name: str) -> Json:
    """Before and after, without a key.

    :param name: of what was written.
    """
    before = {
        "certificate": item.before.public() if item.before else "none",
        "trusted": [view.fingerprint for view in trust_of(item.secret)] if item.secret else [],
        "lists": [found.identity for found in lists_of(item.secret)] if item.secret else [],
    }
    after = {
        "certificate": item.after.public() if item.after else _promise(item),
        "trusted": [view.fingerprint for view in item.trust],
        "lists": [found.identity for found in item.lists],
        "reason": item.decision.message,
    }
    return {"before_header": name, "after_header": name, "before": before, "after": after}


def _promise(item: Credential) -> Json:
    """What check mode can tell of a certificate that is not made."""
    return {
        "subject": f"CN={subject_of(item.wanted['sans'], item.wanted['common_name'])}",
        "sans": list(item.wanted["sans"]),
        "serial": "a random one",
        "validity": f"{item.validity.days} days",
    }
