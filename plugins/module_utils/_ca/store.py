# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CA store in a folder. Nothing else in the collection touches that folder.

::

    authority.json        which root issues, which are trusted, which lists count; written last: what it
                          names is whole
    roots/<fingerprint>.crt and .key (encrypted)
    lists/<fingerprint>.<number>.crl
    issued/<serial>.json  one public record for every certificate that has not expired
    lock                  held for one call by whoever writes the authority
    unfinished            the authority is being made or removed: no root that the index does not name was ever used

PRIVATE to the collection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority, Phase
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.files import (
    locked,
    refuse_open,
    reported,
    sync_folder,
    write_whole,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record, record_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, short
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import (
    Crl,
    Revoked,
    issue_crl,
    parse_crls,
    signed_by,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.pkcs8 import decrypt_private_key, encrypt_private_key
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    PrivateKey,
    key_signs_for,
    parse_certificates,
)

__all__ = ["FileStore"]

Found = TypeVar("Found")

_VERSION = 1
_INDEX, _LOCK, _UNFINISHED = "authority.json", "lock", "unfinished"
_ROOTS, _ISSUED, _LISTS = "roots", "issued", "lists"
# What destroy() may remove: the store's own names, and temporary files that an interrupted write left.
_OWN_FILES = re.compile(
    rf"({re.escape(_INDEX)}|{_LOCK}|{_UNFINISHED}|{_ROOTS}/[0-9a-f]{{64}}\.(crt|key)|{_ISSUED}/[0-9a-f]+\.json"
    rf"|{_LISTS}/[0-9a-f]{{64}}\.[0-9]+\.crl)"
)
_TEMPORARY = re.compile(r"(.*/)?\.crossmesh-[0-9a-f]{16}\.tmp")

_RESTORE = "restore the folder from a backup, or point custom_ca_dir at the right one"


@dataclass(frozen=True)
class _Index:
    """The content of authority.json: fingerprints of roots.

    :param keyless: roots of a lost store, of which only the certificate was found in the clusters.
    :param retired: roots that were trusted once; of them the certificate is kept, and the key if that was asked for.
    :param lists: the number of the revocation list that counts, by root.
    :param last_number: of any list ever made (RFC 5280 section 5.2.3: numbers only grow).
    """

    issuing: str
    trusted: tuple[str, ...]
    prepared: str = ""
    retiring: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    keyless: tuple[str, ...] = ()
    lists: Mapping[str, int] = field(default_factory=dict)
    last_number: int = 0


class FileStore:
    """One CA store, opened by its path in every call."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def public(self) -> Authority | None:
        """Read the authority: no key, no passphrase, nothing written. None where there is none yet."""
        with reported(self.path, "read"):
            if not self.path.exists():
                return None
            refuse_open(self.path)
            return self._authority() if self._has_index() else None

    def create(self, passphrase: str, key: PrivateKey, certificate: str) -> Authority:
        """Make this root the authority, or return the one that somebody quicker has made."""
        # Before anything is written, so that a refused passphrase leaves no trace and the lock is held briefly.
        encrypted = encrypt_private_key(key, passphrase)
        existing = self.public()
        if existing is not None and not (self.path / _UNFINISHED).exists():
            return existing
        with reported(self.path, "written"), self._locked():
            authority = self.public() or self._make(certificate, encrypted)
            (self.path / _UNFINISHED).unlink(missing_ok=True)
            return authority

    # -- rotation of the root: each step once, from the state that the caller has seen ---------------------------------

    def prepare(self, passphrase: str, key: PrivateKey, certificate: str, *, seen: str, now: datetime) -> Authority:
        """Trust a root that is to issue next."""
        encrypted = encrypt_private_key(key, passphrase)

        def step(index: _Index) -> _Index:
            if index.issuing not in index.keyless:
                # Another passphrase than the store's would lock its owner out later.
                self._load_key(index.issuing, passphrase)
            root = self._keep_root(certificate, encrypted)
            added = replace(index, trusted=(*index.trusted, root.fingerprint), prepared=root.fingerprint)
            if not index.lists:
                return added
            return self._listed(added, {root.fingerprint: (root, key, ())}, now)

        return self._step(seen, step, phase="steady")

    def switch(self, passphrase: str, *, seen: str) -> Authority:
        """Let the prepared root issue, if its key can be used: there is no way back from a root that cannot."""

        def step(index: _Index) -> _Index:
            self._load_key(index.prepared, passphrase)
            return replace(index, issuing=index.prepared, prepared="")

        return self._step(seen, step, phase="prepared")

    def retire(self, *, seen: str) -> Authority:
        """Trust the issuing root only; a list in which nothing is left goes with the old one."""

        def step(index: _Index) -> _Index:
            dropped = _dropped(index, [item for item in index.trusted if item != index.issuing])
            revoked = any(item.revoked for item in self._lists_by_root(dropped).values())
            return dropped if revoked else replace(dropped, lists={})

        return self._step(seen, step, phase="switched")

    def abandon(self, *, seen: str) -> Authority:
        """Trust the prepared root no more; nothing was ever issued from it."""

        def step(index: _Index) -> _Index:
            if index.keyless:
                raise self._error(
                    "abandon-impossible",
                    "the prepared root cannot be taken back: the key of the root that it replaces was lost, and "
                    "nothing could ever be issued again",
                    "finish the rotation (playbook rotate_ca without a phase)",
                )
            return replace(_dropped(index, [index.prepared]), prepared="")

        return self._step(seen, step, phase="prepared")

    def finish(self, *, seen: str, keep_keys: bool) -> Authority:
        """Forget the roots that no cluster trusts any more, and destroy their keys."""

        def step(index: _Index) -> _Index:
            if not keep_keys:
                for fingerprint in index.retiring:
                    self._key(fingerprint).unlink(missing_ok=True)
            retired = (*index.retired, *index.retiring)
            return replace(index, retiring=(), retired=retired, keyless=())

        return self._step(seen, step, phase="retiring")

    def recover(self, passphrase: str, key: PrivateKey, certificate: str, lost: Sequence[CertificateView]) -> Authority:
        """Begin anew where the store was lost: trust the roots that the clusters hold, and prepare another one.

        Of the lost roots there is no key: nothing can be issued before the prepared one has taken over.
        """
        encrypted = encrypt_private_key(key, passphrase)
        with reported(self.path, "written"), self._locked():
            if self.public() is not None:
                raise self._error(
                    "ca-exists",
                    "the store holds a CA, so none was lost",
                    "run without custom_ca_lost, or point custom_ca_dir at an empty folder",
                )
            self._mark_unfinished()
            root = self._keep_root(certificate, encrypted)
            for view in lost:
                write_whole(self._certificate(view.fingerprint), view.pem)
            gone = tuple(view.fingerprint for view in lost)
            self._write_index(
                _Index(gone[0], trusted=(*gone, root.fingerprint), prepared=root.fingerprint, keyless=gone)
            )
            (self.path / _UNFINISHED).unlink()
            return self._authority()

    def publish(
        self, passphrase: str, wanted: Callable[[Authority], Mapping[str, tuple[Revoked, ...]]], *, now: datetime
    ) -> Authority:
        """Make the revocation lists that are due, of all trusted roots at once.

        :param wanted: what is to be revoked, by fingerprint of the root; empty takes all lists away.
        """

        def step(index: _Index) -> _Index:
            authority = self._authority()
            lists = wanted(authority)
            if not revocation.why_due(lists, self._lists_by_root(index), now):
                return index
            if not lists:
                return replace(index, lists={})
            roots = {root.fingerprint: root for root in authority.trusted}
            return self._listed(
                index,
                {
                    fingerprint: (roots[fingerprint], self._load_key(fingerprint, passphrase), revoked)
                    for fingerprint, revoked in lists.items()
                },
                now,
            )

        return self._step(None, step)

    def lists(self) -> dict[str, Crl]:
        """The revocation list of every trusted root, by fingerprint; empty where nothing is revoked."""
        with reported(self.path, "read"):
            return self._consistent(self._lists_by_root) if self.public() else {}

    def signer(self, passphrase: str) -> PrivateKey:
        """Load the key of the issuing root."""
        with reported(self.path, "read"):
            if self.public() is None:
                raise self._damaged("it holds no authority")
            return self._consistent(lambda index: self._load_key(index.issuing, passphrase))

    def record(self, records: Iterable[Record], now: datetime) -> None:
        """Keep the records of certificates that are about to be used, and drop those of expired ones."""
        with reported(self.path, "written"):
            folder = self._folder(_ISSUED)
            for record in records:
                write_whole(folder / f"{record.serial}.json", _json(record.to_json()), durable=False)
            sync_folder(folder)
            for path, record in self._records():
                if record.expired(now):
                    path.unlink(missing_ok=True)

    def records(self, now: datetime) -> list[Record]:
        """Return what is recorded of certificates that have not expired, oldest first."""
        with reported(self.path, "read"):
            unexpired = [record for _path, record in self._records() if not record.expired(now)]
        return sorted(unexpired, key=lambda record: (record.issued_at, record.serial))

    def occupied(self) -> bool:
        """Tell whether there is anything that destroy() would remove, whole or damaged."""
        with reported(self.path, "read"):
            return any(path.name != _LOCK for path in self._own_files())

    def destroy(self) -> bool:
        """Remove the store's own files, and the folder where nothing else is in it. Tell whether there was anything."""
        if not self.occupied():
            return False
        with reported(self.path, "removed"):
            with self._locked():
                self._mark_unfinished()
                for path in sorted(self._own_files(), key=_removal_order):
                    path.unlink(missing_ok=True)
            for folder in (self.path / _ROOTS, self.path / _ISSUED, self.path / _LISTS, self.path):
                with suppress(OSError):
                    folder.rmdir()
            return True

    def _make(self, certificate: str, encrypted_key: str) -> Authority:
        self._mark_unfinished()
        for leftover in self._own_files():
            if leftover.parent.name == _ROOTS:
                leftover.unlink()
        root = self._keep_root(certificate, encrypted_key)
        self._write_index(_Index(issuing=root.fingerprint, trusted=(root.fingerprint,)))
        return self._authority()

    def _keep_root(self, certificate: str, encrypted_key: str) -> CertificateView:
        root = parse_certificates(certificate)[0]
        write_whole(self._certificate(root.fingerprint), certificate)
        write_whole(self._key(root.fingerprint), encrypted_key)
        return root

    def _step(self, seen: str | None, step: Callable[[_Index], _Index], *, phase: Phase | None = None) -> Authority:
        """Change the index from the state that was seen and the phase that the step belongs to, or from any."""
        with reported(self.path, "written"), self._locked():
            authority = self.public()
            if authority is None or (seen is not None and authority.state != seen):
                raise self._error(
                    "another-run",
                    f"another run has changed the CA; its phase is now {authority.phase if authority else 'absent'}",
                    "wait for the other run, then run again: it continues from there",
                )
            if phase is not None and authority.phase != phase:
                raise self._error(
                    "wrong-phase",
                    f"this step of a rotation belongs to phase {phase}, and the phase is {authority.phase}",
                    "run playbook rotate_ca, which takes the steps in their order",
                )
            index = self._read_index()
            changed = step(index)
            if changed != index:
                self._write_index(changed)
                self._drop_leftovers(changed)
            return self._authority()

    def _listed(
        self,
        index: _Index,
        roots: Mapping[str, tuple[CertificateView, PrivateKey, Sequence[Revoked]]],
        now: datetime,
    ) -> _Index:
        # The clock keeps numbers growing even where the store came back from an old backup.
        number = max(index.last_number + 1, int(now.timestamp()))
        made = {
            fingerprint: issue_crl(
                root=root, key=key, revoked=revoked, number=number, validity=revocation.VALIDITY, now=now
            )
            for fingerprint, (root, key, revoked) in roots.items()
        }
        whole = {**self._lists_by_root(index), **made}
        revocation.check_size("".join(item.pem for item in whole.values()), where=str(self.path))
        self._folder(_LISTS)
        for fingerprint, item in made.items():
            write_whole(self._list(fingerprint, number), item.pem)
        return replace(index, lists={**index.lists, **dict.fromkeys(roots, number)}, last_number=number)

    def _drop_leftovers(self, index: _Index) -> None:
        """Remove what no index names: lists that were replaced, roots that an interrupted step made."""
        lists = {self._list(fingerprint, number) for fingerprint, number in index.lists.items()}
        roots = {*index.trusted, *index.retiring, *index.retired}
        for path in [*(self.path / _LISTS).glob("*.crl"), *self._root_files()]:
            if path not in lists and path.stem not in roots:
                path.unlink(missing_ok=True)

    def _authority(self) -> Authority:
        return self._consistent(self._read_authority)

    def _consistent(self, read: Callable[[_Index], Found]) -> Found:
        """Read what the index names, again where another run has replaced it meanwhile."""
        while True:
            index = self._read_index()
            try:
                return read(index)
            except (CrossmeshError, FileNotFoundError):
                if self._read_index() == index:
                    raise

    def _read_authority(self, index: _Index) -> Authority:
        trusted = tuple(self._root(fingerprint) for fingerprint in index.trusted)
        by_fingerprint = {root.fingerprint: root for root in trusted}
        issuing = by_fingerprint.get(index.issuing)
        if issuing is None or (index.prepared and index.prepared not in by_fingerprint):
            raise self._damaged(f"{_INDEX} trusts other roots than the one that issues")
        for fingerprint in {index.issuing, index.prepared} - {"", *index.keyless}:
            key = self._key(fingerprint)
            if not key.is_file():
                raise self._damaged(f"{key} is missing")
            refuse_open(key)
        return Authority(
            path=str(self.path),
            issuing=issuing,
            trusted=trusted,
            prepared=by_fingerprint.get(index.prepared),
            retiring=index.retiring,
            retired=index.retired,
            lists=tuple(self._lists_by_root(index).values()),
        )

    def _load_key(self, fingerprint: str, passphrase: str) -> PrivateKey:
        if fingerprint in self._read_index().keyless:
            raise self._error(
                "key-lost",
                "the key of the issuing root was lost: only its certificate was found in the clusters, and nothing "
                "can be issued or revoked with it",
                "finish the rotation that replaces it (playbook rotate_ca)",
            )
        path = self._key(fingerprint)
        key = decrypt_private_key(_text(path), passphrase, where=str(path))
        if not key_signs_for(self._root(fingerprint), key):
            raise self._damaged(f"{path.name} is not the key of its certificate")
        return key

    def _lists_by_root(self, index: _Index) -> dict[str, Crl]:
        found = {}
        for fingerprint, number in index.lists.items():
            path = self._list(fingerprint, number)
            if not path.is_file():
                raise self._damaged(f"{path} is missing")
            found[fingerprint] = parse_crls(path.read_bytes(), where=str(path))[0]
            if not signed_by(found[fingerprint], self._root(fingerprint)):
                raise self._damaged(f"{path} is not a list of its root")
        return found

    def _has_index(self) -> bool:
        """Tell whether there is an authority; roots without an index are no authority but a loss."""
        index = self.path / _INDEX
        if index.exists():
            return True
        orphaned = any(self._root_files()) and not (self.path / _UNFINISHED).exists()
        # Looked at again: a creation may have ended in between.
        if orphaned and not index.exists():
            raise self._damaged(f"it holds roots, but {_INDEX} is missing")
        return orphaned

    def _read_index(self) -> _Index:
        content = self._json_object(self.path / _INDEX)
        version = content.pop("version", None)
        if version != _VERSION:
            raise self._error(
                "store-version",
                f"{_INDEX} has version {version!r}; this collection reads {_VERSION}",
                "use the version of the collection that wrote it, or a newer one",
            )
        for name in ("trusted", "retiring", "retired", "keyless"):
            listed = content.get(name, [])
            if not isinstance(listed, list) or not all(map(_is_fingerprint, listed)):
                raise self._damaged(f"{_INDEX} does not list the {name} roots")
            content[name] = tuple(listed)
        try:
            index = _Index(**content)
        except TypeError as error:
            raise self._damaged(f"{_INDEX} has not the keys that it should have") from error
        if not index.trusted:
            raise self._damaged(f"{_INDEX} does not list the trusted roots")
        if not _is_fingerprint(index.issuing) or not (index.prepared == "" or _is_fingerprint(index.prepared)):
            raise self._damaged(f"{_INDEX} does not name the root that issues")
        if not isinstance(index.lists, dict) or not all(map(_is_number, [*index.lists.values(), index.last_number])):
            raise self._damaged(f"{_INDEX} does not tell the numbers of the lists")
        # Which of them need one depends on the clock: an expired root has none.
        if not set(index.lists) <= set(index.trusted):
            raise self._damaged(f"{_INDEX} has a list for a root that is not trusted")
        return index

    def _json_object(self, path: Path) -> dict[str, Any]:
        try:
            content = json.loads(_text(path))
        except ValueError as error:
            raise self._damaged(f"{path} is not JSON") from error
        if not isinstance(content, dict):
            raise self._damaged(f"{path} holds no JSON object")
        return content

    def _root(self, fingerprint: str) -> CertificateView:
        path = self._certificate(fingerprint)
        if not path.is_file():
            raise self._damaged(f"{path} is missing")
        root = parse_certificates(path.read_bytes(), where=str(path))[0]
        if root.fingerprint != fingerprint:
            raise self._damaged(f"{path} holds the certificate {short(root.fingerprint)}")
        return root

    def _records(self) -> Iterator[tuple[Path, Record]]:
        for path in sorted((self.path / _ISSUED).glob("*.json")):
            # Another run may drop an expired record between the listing and the reading.
            try:
                content = self._json_object(path)
            except FileNotFoundError:
                continue
            yield path, record_from_json(content, where=str(path))

    def _write_index(self, index: _Index) -> None:
        write_whole(self.path / _INDEX, _json({"version": _VERSION, **asdict(index)}))

    def _mark_unfinished(self) -> None:
        write_whole(self.path / _UNFINISHED, "")

    def _locked(self) -> AbstractContextManager[None]:
        """Keep other writers of the authority out."""
        return locked(self.path / _LOCK, lambda: self._folder(_ROOTS))

    def _folder(self, name: str) -> Path:
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
        refuse_open(self.path)
        folder = self.path / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _root_files(self) -> Iterator[Path]:
        return (path for path in (self.path / _ROOTS).glob("*") if path.suffix in (".crt", ".key"))

    def _own_files(self) -> Iterator[Path]:
        for path in self.path.glob("**/*"):
            name = path.relative_to(self.path).as_posix()
            if _OWN_FILES.fullmatch(name) or _TEMPORARY.fullmatch(name):
                yield path

    def _certificate(self, fingerprint: str) -> Path:
        return self.path / _ROOTS / f"{fingerprint}.crt"

    def _key(self, fingerprint: str) -> Path:
        return self.path / _ROOTS / f"{fingerprint}.key"

    def _list(self, fingerprint: str, number: int) -> Path:
        return self.path / _LISTS / f"{fingerprint}.{number}.crl"

    def _damaged(self, why: str) -> CrossmeshError:
        return self._error("store-damaged", f"the CA store is damaged: {why}", _RESTORE)

    def _error(self, code: str, what: str, fix: str) -> CrossmeshError:
        return CrossmeshError(Message.error(code, where=str(self.path), what=what, fix=fix))


def _dropped(index: _Index, roots: Sequence[str]) -> _Index:
    return replace(
        index,
        trusted=tuple(item for item in index.trusted if item not in roots),
        retiring=(*index.retiring, *roots),
        lists={root: number for root, number in index.lists.items() if root not in roots},
    )


def _removal_order(path: Path) -> tuple[int, str]:
    """First what names the roots, last what says that the removal is under way."""
    first_to_last = {_INDEX: 0, _LOCK: 2, _UNFINISHED: 3}
    return first_to_last.get(path.name, 1), str(path)


def _is_fingerprint(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
