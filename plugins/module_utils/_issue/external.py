# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of the custom CA for external servers: each in a directory of the controller.

PRIVATE to the collection. The same decisions as on Secrets. Whoever runs the server takes the files from there; what it
has loaded shows in a handshake, where the controller can reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import no_ca
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.files import (
    TEMPORARY,
    refuse_open,
    reported,
    write_whole,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.lock import PATIENCE, locked
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import serial
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.handshake import Endpoint, presented
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import LiveSecret
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ExternalServer, WantedSecret
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import (
    Credential,
    Work,
    authority_of,
    decide_credential,
    diff_of,
    issue,
    needs_key,
    public,
    trust_after,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner, external
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.credential import read_live
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    bundle,
    parse_certificates,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.notices import overdue
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.refusals import not_permitted, wrong_store
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import trust_of, trust_shown

__all__ = ["Kept", "Outcome", "Request", "certificate_in", "keep", "report"]

Json = dict[str, Any]
WHAT = "the directory of an external server"
FILES = ("tls.crt", "tls.key", "ca.crt", "ca.crl")
LOCK = ".lock"


@dataclass(frozen=True)
class Request:
    """What one call is about.

    :param try_key: open the issuing key where something would be issued, as check mode does.
    :param patience: seconds to wait for another run that writes to the same directory.
    """

    servers: Sequence[ExternalServer]
    instance: str
    policy: Policy
    validity_days: int
    passphrase: str
    revoked: Sequence[revocation.Entry]
    try_key: bool = False
    patience: float = PATIENCE


@dataclass(frozen=True)
class Kept:
    """One server's directory after a call.

    :param looked: nothing was written, whatever was decided.
    :param shown: serial of the certificate that the server was seen with; empty where it was not seen.
    :param problem: the server was seen to have another certificate than its directory: the condition.
    :param alarms: that the certificate expires, and no run has renewed it in time.
    """

    server: ExternalServer
    credential: Credential
    looked: bool
    shown: str
    problem: str
    alarms: list[Message]

    @property
    def warnings(self) -> list[Message]:
        """What the server's owner has to do, as far as it can be seen."""
        decision, directory = self.credential.decision, self.server.directory
        load = f"make the server load the files of {directory}"
        if decision.action == "keep":
            return [_not_loaded(self.server, self.problem)] if self.problem else []
        state, fix = ("has new files", load)
        if self.looked:
            state, fix = ("is out of date", f"run playbook site, then {load}")
        what = f"{directory} {state}: {decision.message}"
        return [Message.warning("external-to-load", where=_place(self.server), what=what, fix=fix)]


@dataclass(frozen=True)
class Outcome:
    """All directories after a call.

    :param waiting: the servers that may still have a certificate which is revoked, as records name them: its list must
        not come out before it is gone.
    :param errors: what failed for one server, and stopped no other.
    """

    kept: list[Kept]
    waiting: list[str]
    errors: list[CrossmeshError]


def keep(
    store: CaStore,
    request: Request,
    now: datetime,
    *,
    look: bool,
    shake: Callable[[Endpoint], str | None] = presented,
) -> Outcome:
    """Keep every certificate, or issue it; the trust follows the CA's. What fails for one server stops no other.

    :param look: write nothing, and tell what is there.
    :param shake: asks a server which certificate it has.
    """
    outcome = Outcome([], [], [])
    # Once for all servers: whatever this call issues is not revoked.
    records = store.records(now) if request.revoked else []
    revoked = revocation.revoked_serials(request.revoked, records)
    holders = {record.cluster for record in records if record.serial in revoked and record.instance == request.instance}
    for server in request.servers:
        kept: Kept | None = None
        try:
            kept = _keep(store, request, server, revoked, now, look, shake)
            outcome.kept.append(kept)
        except CrossmeshError as error:
            outcome.errors.append(error)
        if _waits(kept, external(server.link) in holders, revoked):
            outcome.waiting.append(external(server.link))
    return outcome


def _waits(kept: Kept | None, recorded: bool, revoked: frozenset[str]) -> bool:
    """Whether a server may still have a certificate that is revoked.

    One that cannot be seen counts as having what its directory held before this call: between two runs its owner had
    the time to load it.

    :param kept: None where its directory failed.
    :param recorded: a certificate of this server is revoked.
    """
    if kept and kept.shown:
        return kept.shown in revoked
    before = kept.credential.before if kept else None
    return before.serial in revoked if before else recorded


def _keep(
    store: CaStore,
    request: Request,
    server: ExternalServer,
    revoked: frozenset[str],
    now: datetime,
    look: bool,
    shake: Callable[[Endpoint], str | None],
) -> Kept:
    work = _work(request, server, look)
    if not look and authority_of(store).issuing is None:
        raise CrossmeshError(no_ca(store.where))
    with reported(server.directory, "used", WHAT), _locked(server.directory, request, look):
        live = _live(server, work.owner)
        authority = authority_of(store)
        _refuse(live, server, authority)
        credential = decide_credential(work.wanted[0], live, authority, work, now, revoked)
        if credential.decision.action == "issue" and (faults := not_permitted(authority, {"server": [server.sni]})):
            raise CrossmeshError(*faults.values())
        if not look:
            (credential,), _after = issue([credential], store, authority, work, now)
            _write(server.directory, credential)
        elif request.try_key and needs_key(credential, authority) and authority.issuing and work.passphrase:
            # The run would stop at a wrong passphrase, or at a key that was lost.
            store.signer(work.passphrase)
    written = credential.decision.action != "keep" and not look
    # What is new it cannot have yet; what is revoked it may have all the same.
    shown = shake(Endpoint(server.address, server.port, server.sni)) if revoked or not written else None
    problem = "" if written else _problem(server, credential.before, shown)
    return Kept(server, credential, look, shown or "", problem, _alarms(server, credential, work, now))


def _work(request: Request, server: ExternalServer, look: bool) -> Work:
    owner = Owner(request.instance, external(server.link), "server")
    wanted: WantedSecret = {
        "name": server.directory.name,
        "link": server.link,
        "labels": owner.labels(server.link),
        "role": "server",
        "common_name": server.link,
        "sans": [server.sni],
        "trust": "",
    }
    return Work(
        owner=owner,
        namespace=str(server.directory.parent),
        wanted=[wanted],
        policy=request.policy,
        validity=timedelta(days=request.validity_days),
        passphrase=request.passphrase,
        check=look,
    )


@contextmanager
def _locked(directory: Path, request: Request, look: bool) -> Iterator[None]:
    """One writer at a time; what a killed one has left is removed."""
    if look:
        yield
        return

    def made() -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    with locked(directory / LOCK, made, patience=request.patience, what=WHAT):
        for left in directory.glob(TEMPORARY):
            left.unlink()
        yield


def _live(server: ExternalServer, owner: Owner) -> LiveSecret | None:
    """The directory as a reading tells of a Secret, without its key; None where nothing is there."""
    files = {name: server.directory / name for name in FILES}
    found = {name: path.read_text(encoding="utf-8") for name, path in files.items() if path.exists()}
    if not found:
        return None
    if files["tls.key"].exists():
        refuse_open(files["tls.key"], WHAT)
    certificate = found.get("tls.crt", "")
    live = read_live(certificate, found.get("tls.key", ""), where=str(server.directory))
    return {
        "name": server.directory.name,
        "namespace": str(server.directory.parent),
        "labels": owner.labels(server.link),
        "keys": sorted(found),
        "certificate": certificate,
        "trust": found.get("ca.crt", ""),
        "lists": found.get("ca.crl", ""),
        "key_matches": live.key_matches,
        "type": "",
        "managedFields": [],
        "version": "",
        "witness": "",
    }


def _refuse(live: LiveSecret | None, server: ExternalServer, authority: Authority) -> None:
    """What is there has to be of this CA: a key that somebody else put there would be gone for good."""
    if live is None or authority.issuing is None:
        return
    roots = trust_of(live)
    for root in roots:
        if root.fingerprint not in authority.known:
            raise CrossmeshError(wrong_store(authority, root.fingerprint, f"directory {server.directory}"))
    if not roots:
        raise CrossmeshError(
            Message.error(
                "foreign-directory",
                where=f"directory {server.directory}",
                what=f"it contains {', '.join(live['keys'])}, but no ca.crt of this CA",
                fix="set external.ca to an empty directory, or empty this one if its files are not needed",
            )
        )


def _write(directory: Path, item: Credential) -> None:
    if item.decision.action == "keep":
        return
    # First, as it tells whose directory this is.
    write_whole(directory / "ca.crt", bundle(view.pem for view in item.trust))
    if item.leaf is not None:
        # The key first: a server that starts in between finds a pair that does not match, and says so.
        write_whole(directory / "tls.key", item.leaf.key_pem.decode())
        write_whole(directory / "tls.crt", item.leaf.certificate_pem)
    if item.lists:
        write_whole(directory / "ca.crl", "".join(found.pem for found in item.lists))
    else:
        (directory / "ca.crl").unlink(missing_ok=True)


def _problem(server: ExternalServer, before: CertificateView | None, shown: str | None) -> str:
    """Whether the server has another certificate than its directory: the condition, or nothing."""
    wanted = serial(before.serial) if before else ""
    if not wanted or not shown or shown == wanted:
        return ""
    return f"{server.address}:{server.port} serves certificate {shown}, but {server.directory} contains {wanted}"


def _not_loaded(server: ExternalServer, problem: str) -> Message:
    fix = f"make the server load the files of {server.directory}"
    return Message.warning("external-behind", where=f"link {server.link}", what=problem, fix=fix)


def _alarms(server: ExternalServer, item: Credential, work: Work, now: datetime) -> list[Message]:
    leaf = item.after or item.before
    title = f"{_place(server)}, the certificate in {server.directory}"
    return overdue(title, leaf, work.policy.renew_before, now) if leaf else []


def _place(server: ExternalServer) -> str:
    return f"link {server.link}: {server.address}:{server.port}"


def certificate_in(directory: Path) -> CertificateView | None:
    """The certificate that stands in a server's directory, without a look at its key; None where none can be read."""
    try:
        return parse_certificates((directory / "tls.crt").read_bytes(), where=str(directory))[0]
    except (OSError, CrossmeshError):
        return None


def report(outcome: Outcome, step: str) -> Json:
    """A module's result: what was decided, a diff without a key, and what a root rotation asks for.

    :param step: at which this was seen; C(look) never changes anything.
    """
    kept = outcome.kept
    changed = [item for item in kept if item.credential.decision.action != "keep" and step != "look"]
    return {
        "changed": bool(changed),
        "servers": [_server(item) for item in kept],
        "warnings": [str(warning) for item in kept for warning in item.warnings],
        "alarms": [str(alarm) for item in kept for alarm in item.alarms],
        "not_loaded": [str(_not_loaded(item.server, item.problem)) for item in kept if item.problem],
        "waiting": outcome.waiting,
        "sights": [_sight(item, step) for item in kept],
        "diff": [diff_of(item.credential, f"directory {item.server.directory}") for item in changed],
    }


def _server(item: Kept) -> Json:
    messages = [*([_not_loaded(item.server, item.problem)] if item.problem else []), *item.alarms]
    return {
        "link": item.server.link,
        **public(item.credential),
        "messages": [message.to_json() for message in messages],
    }


def _sight(item: Kept, step: str) -> Json:
    """Nobody can ask such a server what it trusts: what stands in its directory counts, once its owner goes on."""
    there = {item.server.directory.name: item.credential.secret} if item.credential.secret else {}
    return {
        "cluster": external(item.server.link),
        "side": "server",
        "step": step,
        "method": "directory",
        "trust": trust_shown(there) if item.looked else [trust_after(item.credential)],
        "issuers": [item.credential.issuer],
        "surplus": [],
        "problem": item.problem,
    }
