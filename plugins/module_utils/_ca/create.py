# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the authority into being, or take it away. What the clusters have in service is heard first.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.files import reported
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.trial import Uses, try_root
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed, short
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.pkcs8 import load_private_key, require_passphrase
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    LONGEST_ROOT_NAME,
    MOST_DAYS,
    CertificateView,
    PrivateKey,
    check_root,
    new_root,
    parse_certificates,
    timestamp,
)

__all__ = [
    "ROOT_NAME",
    "Import",
    "Outcome",
    "Wanted",
    "ensure_absent",
    "ensure_present",
    "ensure_usable",
    "make_root",
    "no_ca",
    "public_of",
]

# Ends with digits of its own in each root: two roots of one name are not told apart.
ROOT_NAME = "Crossmesh Root CA"


@dataclass(frozen=True)
class Import:
    """A root of the user's own: PEM files, read once. An empty passphrase stands for a key that is not encrypted.

    :param uses: what it is to issue, for which it is tried.
    """

    certificate: str
    key: str
    passphrase: str
    uses: Uses


@dataclass(frozen=True)
class Wanted:
    """The root that is made where there is none, or brought in."""

    common_name: str
    key_type: str
    validity_days: int
    source: Import | None = None


@dataclass(frozen=True)
class Outcome:
    """What a module call reports: public facts only."""

    changed: bool
    message: str
    authority: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]


def ensure_present(
    store: CaStore, wanted: Wanted, *, passphrase: str, expected: Sequence[str], now: datetime, check_mode: bool
) -> Outcome:
    """Keep the authority of the store, or make one."""
    authority = store.public()
    if authority is not None:
        refuse_unknown_roots(store, authority.known, expected)
        public = public_of(store, authority)
        return Outcome(False, f"kept: {_subject(authority)}", public, before=public, after=public)
    if wanted.source is None:
        refuse_unknown_roots(store, (), expected)
    store.refuse_unwritable()
    require_passphrase(passphrase)
    key, certificate = make_root(wanted, now, in_service=expected)
    root = parse_certificates(certificate)[0]
    # A root of the user's own is in service where its store was lost: then this is how it comes back.
    refuse_unknown_roots(store, (root.fingerprint,), expected)
    if check_mode:
        after = _prediction(store, wanted, root)
        return Outcome(True, "would be created", public_of(store, None), before={}, after=after)
    authority = store.create(passphrase, key, certificate, imported=wanted.source is not None)
    public = public_of(store, authority)
    return Outcome(True, f"created: {_subject(authority)}", public, before={}, after=public)


def ensure_usable(
    store: CaStore, wanted: Wanted, *, passphrase: str, expected: Sequence[str], now: datetime
) -> Outcome:
    """Whether a run could issue: the key of the authority opens, or one can be made. Writes nothing.

    :raises CrossmeshError: it could not.
    """
    store.refuse_unwritable()
    authority = store.public()
    if authority is None or authority.issuing is None:
        made = ensure_present(store, wanted, passphrase=passphrase, expected=expected, now=now, check_mode=True)
        return Outcome(False, "there is no CA yet, and one can be created", made.authority, before={}, after={})
    refuse_unknown_roots(store, authority.known, expected)
    require_passphrase(passphrase)
    store.signer(passphrase)
    until = timestamp(authority.issuing.not_after)
    if authority.issuing.not_after <= now:
        raise CrossmeshError(
            Message.error(
                "root-expired",
                where=store.where,
                what=f"the root {_subject(authority)} expired at {until}",
                fix="replace it (playbook rotate_ca)",
            )
        )
    public = public_of(store, authority)
    message = f"usable: {_subject(authority)}, until {until}, phase {authority.phase}"
    return Outcome(False, message, public, before=public, after=public)


def ensure_absent(store: CaStore, *, expected: Sequence[str], check_mode: bool) -> Outcome:
    """Remove the store, damaged or whole, unless somebody still relies on it."""
    if expected:
        raise CrossmeshError(
            Message.error(
                "ca-in-service",
                where=store.where,
                what=f"the CA is not removed: clusters trust its root {listed(map(short, expected))}",
                fix="remove the links from the clusters first (playbook teardown)",
            )
        )
    nothing = public_of(store, None)
    before = _readable(store)
    if not (store.occupied() if check_mode else store.destroy()):
        return Outcome(False, "there is no CA", nothing, before={}, after={})
    return Outcome(True, "would be removed" if check_mode else "removed", nothing, before=before, after={})


def refuse_unknown_roots(store: CaStore, held: Collection[str], expected: Sequence[str]) -> None:
    """Stop before a second root comes up beside the one that the clusters already trust."""
    unknown = [fingerprint for fingerprint in expected if fingerprint not in held]
    if not unknown:
        return
    raise CrossmeshError(
        Message.error(
            "wrong-store",
            where=f"CA store {store.where}",
            what=f"the clusters trust root {listed(map(short, unknown))}, but the store holds "
            f"{listed(map(short, held), 'no root')}",
            fix="point custom_ca_dir or custom_ca_store_* at the store that holds the root in service, or restore it "
            "from a backup; if it is lost for good, run playbook rotate_ca with -e custom_ca_lost=true",
        )
    )


def no_ca(path: str) -> Message:
    """The error where there has to be a CA already."""
    return Message.error(
        "no-ca",
        where=path,
        what="there is no CA: the store does not exist",
        fix="run playbook crossmesh.mtls.site, or role crossmesh.mtls.custom_ca, which create it",
    )


def make_root(wanted: Wanted, now: datetime, *, in_service: Collection[str] = ()) -> tuple[PrivateKey, str]:
    """A new root's key and certificate, or the ones that the user brings in.

    :param in_service: fingerprints of roots that clusters trust: of these even the last days are of use.
    :raises CrossmeshError: nothing that it issued would be accepted everywhere. Nothing is written yet.
    """
    if wanted.source is None:
        _refuse_unfit(wanted)
        validity = timedelta(days=wanted.validity_days)
        return new_root(common_name=wanted.common_name, key_type=wanted.key_type, validity=validity, now=now)
    return _brought_in(wanted.source, now, in_service)


def _brought_in(source: Import, now: datetime, in_service: Collection[str]) -> tuple[PrivateKey, str]:
    certificate, key = Path(source.certificate), Path(source.key)
    with reported(certificate, "read"):
        found, *more = parse_certificates(certificate.read_bytes(), where=str(certificate))
    with reported(key, "read"):
        loaded = load_private_key(key.read_text(encoding="utf-8"), source.passphrase, where=str(key))
    needed = timedelta(0) if found.fingerprint in in_service else source.uses.validity
    faults = [*(["it holds more than one certificate"] if more else []), *check_root(found, loaded, now, needed)]
    if faults:
        fix = "import a self-signed CA certificate with its key, or let the run create one"
        raise CrossmeshError(_not_imported("root-import", certificate, "this root cannot be imported", faults, fix))
    if refusals := try_root(found, loaded, source.uses, now):
        what = "certificates of this root would be refused"
        fix = "import a root that may issue for both roles and all of these names, or let the run create one"
        raise CrossmeshError(_not_imported("root-refused", certificate, what, refusals, fix))
    return loaded, found.pem


def _not_imported(code: str, where: Path, what: str, why: Sequence[str], fix: str) -> Message:
    return Message.error(code, where=str(where), what=f"{what}: {'; '.join(why)}", fix=fix)


def _subject(authority: Authority) -> str:
    return authority.issuing.subject if authority.issuing else "none"


def _refuse_unfit(wanted: Wanted) -> None:
    for where, value, unit, longest in (
        ("common_name", len(wanted.common_name), "characters", LONGEST_ROOT_NAME),
        ("validity_days", wanted.validity_days, "days", MOST_DAYS),
    ):
        if not 1 <= value <= longest:
            raise CrossmeshError(
                Message.error(
                    "root-out-of-range",
                    where=where,
                    what=f"{value} {unit} are out of range for a root certificate: 1 to {longest}",
                    fix="choose another value",
                )
            )


def _readable(store: CaStore) -> dict[str, Any]:
    try:
        authority = store.public()
    except CrossmeshError:
        authority = None
    return public_of(store, authority)


def public_of(store: CaStore, authority: Authority | None) -> dict[str, Any]:
    """What results and diffs show of a store."""
    return {
        "path": store.where,
        "issuing": authority.issuing.public() if authority and authority.issuing else None,
        "trusted": [root.public() for root in authority.trusted] if authority else [],
    }


def _prediction(store: CaStore, wanted: Wanted, root: CertificateView) -> dict[str, Any]:
    """Of a root that is made in the run itself all but its settings will be another."""
    made = {"common_name": wanted.common_name, "key_type": wanted.key_type, "validity_days": wanted.validity_days}
    return {"path": store.where, "issuing": root.public() if wanted.source else made}
