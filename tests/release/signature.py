# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detached signatures, by GnuPG, and what ansible-galaxy makes of them."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Keyring", "manifest_of", "throwaway", "verifies"]


class Keyring:
    """A home of GnuPG that holds one key."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @property
    def public(self) -> Path:
        """The file that ansible-galaxy takes as `--keyring`."""
        return self.home / "pubring.kbx"

    def sign(self, path: Path) -> Path:
        """Write a file's signature beside it, and say where."""
        self._run("--armor", "--yes", "--detach-sign", str(path)).check_returncode()
        return path.with_name(f"{path.name}.asc")

    def vouches(self, path: Path, signature: Path) -> bool:
        """Whether the signature is this key's, and of these very bytes."""
        return self._run("--verify", str(signature), str(path)).returncode == 0

    def make_key(self) -> None:
        self._run(
            "--passphrase", "", "--quick-generate-key", "release check", "ed25519", "sign", "1d"
        ).check_returncode()

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = ["gpg", "--batch", "--no-tty", "--quiet", "--homedir", str(self.home), *arguments]
        return subprocess.run(command, capture_output=True)


@contextmanager
def throwaway() -> Iterator[Keyring]:
    """A key that is made now, signs for a day at most and is kept nowhere."""
    # Not below a test's own folder: the agent's socket takes a path of 107 characters.
    with tempfile.TemporaryDirectory() as home:
        keyring = Keyring(Path(home))
        keyring.make_key()
        try:
            yield keyring
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True)


def manifest_of(package: Path, folder: Path) -> Path:
    """The part of a package that Galaxy has signatures of: it holds the checksum of the list of all other files."""
    with tarfile.open(package) as archive:
        archive.extract("MANIFEST.json", folder, filter="data")
    return folder / "MANIFEST.json"


def verifies(package: Path, signature: Path, keyring: Keyring, collections: Path) -> bool:
    """Whether ansible-galaxy finds what it has installed of a package to be what was signed.

    It verifies what comes from a server while it installs that, and a package that is a file only afterwards.
    """
    install = ["install", "--no-deps", "--force", str(package)]
    _galaxy(keyring, collections, *install).check_returncode()
    wanted = ["--keyring", str(keyring.public), "--signature", f"file://{signature}"]
    wanted += ["--required-valid-signature-count", "+all"]
    return _galaxy(keyring, collections, "verify", *wanted, "crossmesh.mtls").returncode == 0


def _galaxy(keyring: Keyring, collections: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = ["ansible-galaxy", "collection", *arguments, "--offline", "--collections-path", str(collections)]
    environment = os.environ | {"GNUPGHOME": str(keyring.home)}
    return subprocess.run(command, env=environment, cwd=collections.parent, capture_output=True)
