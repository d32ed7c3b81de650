# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CA store in a folder. Nothing else in the collection touches that folder.

::

    authority.json        which root issues and which are trusted; written last, so what it names is whole
    roots/<fingerprint>.crt and .key (encrypted)
    issued/<serial>.json  one public record for every certificate that has not expired
    lock                  held for one call by whoever writes the authority
    unfinished            the authority is being made or removed: no root that the index does not name was ever used

PRIVATE to the collection.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils.errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils.pkcs8 import decrypt_private_key, encrypt_private_key
from ansible_collections.crossmesh.mtls.plugins.module_utils.records import Record, record_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils.x509 import (
    CertificateView,
    PrivateKey,
    key_signs_for,
    new_root,
    parse_certificates,
)

__all__ = ["Authority", "FileStore"]

_VERSION = 1
_INDEX, _LOCK, _UNFINISHED = "authority.json", "lock", "unfinished"
_ROOTS, _ISSUED = "roots", "issued"
# What destroy() may remove: the store's own names, and temporary files that an interrupted write left.
_OWN_FILES = re.compile(
    rf"({re.escape(_INDEX)}|{_LOCK}|{_UNFINISHED}|{_ROOTS}/[0-9a-f]{{64}}\.(crt|key)|{_ISSUED}/[0-9a-f]+\.json)"
)
_TEMPORARY = re.compile(r"(.*/)?\.crossmesh-[0-9a-f]{16}\.tmp")

_RESTORE = "restore the folder from a backup, or point custom_ca_dir at the right one"


@dataclass(frozen=True)
class Authority:
    """The public part of the store: the root that issues and every root that is trusted."""

    issuing: CertificateView
    trusted: tuple[CertificateView, ...]


class FileStore:
    """One CA store, opened by its path in every call."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def public(self) -> Authority | None:
        """Read the authority: no key, no passphrase, nothing written. None where there is none yet."""
        with _reported(self.path, "read"):
            if not self.path.exists():
                return None
            _refuse_open(self.path)
            return self._authority() if self._has_index() else None

    def create(
        self, passphrase: str, *, common_name: str, key_type: str, validity: timedelta, now: datetime
    ) -> Authority:
        """Make the authority, or return the one that somebody quicker has made."""
        existing = self.public()
        if existing is not None and not (self.path / _UNFINISHED).exists():
            return existing
        # Made before anything is written, so that a refused setting leaves no trace and the lock is held briefly.
        key, certificate = new_root(common_name=common_name, key_type=key_type, validity=validity, now=now)
        encrypted = encrypt_private_key(key, passphrase)
        with _reported(self.path, "written"), self._locked():
            authority = self.public() or self._make(certificate, encrypted)
            (self.path / _UNFINISHED).unlink(missing_ok=True)
            return authority

    def signer(self, passphrase: str) -> PrivateKey:
        """Load the key of the issuing root."""
        with _reported(self.path, "read"):
            authority = self.public()
            if authority is None:
                raise self._damaged("it holds no authority")
            path = self._key(authority.issuing.fingerprint)
            key = decrypt_private_key(_text(path), passphrase, where=str(path))
            if not key_signs_for(authority.issuing, key):
                raise self._damaged(f"{path.name} is not the key of its certificate")
            return key

    def record(self, records: Iterable[Record], now: datetime) -> None:
        """Keep the records of certificates that are about to be used, and drop those of expired ones."""
        with _reported(self.path, "written"):
            folder = self._folder(_ISSUED)
            for record in records:
                _write(folder / f"{record.serial}.json", _json(record.to_json()), sync_folder=False)
            _sync_folder(folder)
            for path, record in self._records():
                if record.expired(now):
                    path.unlink(missing_ok=True)

    def records(self, now: datetime) -> list[Record]:
        """Return what is recorded of certificates that have not expired, oldest first."""
        with _reported(self.path, "read"):
            unexpired = [record for _path, record in self._records() if not record.expired(now)]
        return sorted(unexpired, key=lambda record: (record.issued_at, record.serial))

    def occupied(self) -> bool:
        """Tell whether there is anything that destroy() would remove, whole or damaged."""
        with _reported(self.path, "read"):
            return any(path.name != _LOCK for path in self._own_files())

    def destroy(self) -> bool:
        """Remove the store's own files, and the folder where nothing else is in it. Tell whether there was anything."""
        if not self.occupied():
            return False
        with _reported(self.path, "removed"):
            with self._locked():
                self._mark_unfinished()
                for path in sorted(self._own_files(), key=_removal_order):
                    path.unlink(missing_ok=True)
            for folder in (self.path / _ROOTS, self.path / _ISSUED, self.path):
                with suppress(OSError):
                    folder.rmdir()
            return True

    def _make(self, certificate: str, encrypted_key: str) -> Authority:
        root = parse_certificates(certificate)[0]
        self._mark_unfinished()
        for leftover in self._own_files():
            if leftover.parent.name == _ROOTS:
                leftover.unlink()
        _write(self._certificate(root.fingerprint), certificate)
        _write(self._key(root.fingerprint), encrypted_key)
        self._write_index(issuing=root, trusted=(root,))
        return Authority(issuing=root, trusted=(root,))

    def _authority(self) -> Authority:
        index = self._read_index()
        trusted = tuple(self._root(fingerprint) for fingerprint in index["trusted"])
        issuing = {root.fingerprint: root for root in trusted}.get(index["issuing"])
        if issuing is None:
            raise self._damaged(f"{_INDEX} trusts other roots than the one that issues")
        key = self._key(issuing.fingerprint)
        if not key.is_file():
            raise self._damaged(f"{key} is missing")
        _refuse_open(key)
        return Authority(issuing=issuing, trusted=trusted)

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

    def _read_index(self) -> dict[str, Any]:
        index = self._json_object(self.path / _INDEX)
        version = index.get("version")
        if version != _VERSION:
            raise CrossmeshError(
                what="The CA store has an unknown version",
                where=str(self.path / _INDEX),
                why=f"it says {version!r}; this collection reads {_VERSION}",
                cure="use the version of the collection that wrote it, or a newer one",
            )
        trusted = index.get("trusted")
        if not isinstance(trusted, list) or not trusted or not all(map(_is_fingerprint, trusted)):
            raise self._damaged(f"{_INDEX} does not list the trusted roots")
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
            raise self._damaged(f"{path} holds the certificate {root.fingerprint}")
        return root

    def _records(self) -> Iterator[tuple[Path, Record]]:
        for path in sorted((self.path / _ISSUED).glob("*.json")):
            # Another run may drop an expired record between the listing and the reading.
            try:
                content = self._json_object(path)
            except FileNotFoundError:
                continue
            yield path, record_from_json(content, where=str(path))

    def _write_index(self, *, issuing: CertificateView, trusted: tuple[CertificateView, ...]) -> None:
        index = {
            "version": _VERSION,
            "issuing": issuing.fingerprint,
            "trusted": [root.fingerprint for root in trusted],
        }
        _write(self.path / _INDEX, _json(index))

    def _mark_unfinished(self) -> None:
        _write(self.path / _UNFINISHED, "")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other writers of the authority out; the kernel lets go when the process ends, however it ends."""
        descriptor = self._lock()
        try:
            yield
        finally:
            os.close(descriptor)

    def _lock(self) -> int:
        while True:
            self._folder(_ROOTS)
            descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # destroy() may have removed the file while this call waited for it: that lock keeps nobody out.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), (self.path / _LOCK).stat()):
                    return descriptor
            os.close(descriptor)

    def _folder(self, name: str) -> Path:
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
        _refuse_open(self.path)
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

    def _damaged(self, why: str) -> CrossmeshError:
        return CrossmeshError(what="The CA store is damaged", where=str(self.path), why=why, cure=_RESTORE)


def _refuse_open(path: Path) -> None:
    mode = path.stat().st_mode & 0o777
    if not mode & 0o077:
        return
    private = 0o700 if path.is_dir() else 0o600
    raise CrossmeshError(
        what="The CA store is open to other users",
        where=str(path),
        why=f"its mode is {mode:04o}",
        cure=f"see who could read it, then: chmod {private:04o} {path}",
    )


@contextmanager
def _reported(path: Path, verb: str) -> Iterator[None]:
    """Turn what the operating system refuses into the one error type."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a file in it is not text"
        name = error.filename if isinstance(error, OSError) else None
        raise CrossmeshError(
            what=f"The CA store cannot be {verb}",
            where=str(name or path),
            why=str(reason),
            cure="see to the folder's file system, owner and permissions, then run again",
        ) from error


def _write(path: Path, text: str, *, sync_folder: bool = True) -> None:
    """Put a file in place as a whole, or not at all; it outlasts a power cut once this returns."""
    temporary = path.with_name(f".crossmesh-{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync_folder:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _removal_order(path: Path) -> tuple[int, str]:
    """First what names the roots, last what says that the removal is under way."""
    first_to_last = {_INDEX: 0, _LOCK: 2, _UNFINISHED: 3}
    return first_to_last.get(path.name, 1), str(path)


def _is_fingerprint(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
