# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make release-check`: the package of the last commit, its bill of materials and its signatures."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.tools import package
from tests.tools.package import CHECKOUT

from .bill import bill_of, fault_of
from .signature import manifest_of, throwaway, verifies
from .tampering import with_another_byte, with_another_manifest


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        made = _built(scratch / "first", CHECKOUT)
        findings = [*_rebuilt(made, scratch), *package.misplaced(made), *_billed(made), *_signed(made, scratch)]
        for finding in findings:
            print(f"release-check: {finding}", file=sys.stderr)
        if findings:
            return 1
        print(f"{made.name}: sha256 {hashlib.sha256(made.read_bytes()).hexdigest()}")
    return 0


def _built(destination: Path, repository: Path) -> Path:
    destination.mkdir()
    return package.build(repository, destination)


def _rebuilt(made: Path, scratch: Path) -> Iterator[str]:
    """A clone of its own, as somebody else would build it."""
    clone = scratch / "clone"
    subprocess.run(["git", "clone", "--quiet", CHECKOUT, clone], check=True)
    if _built(scratch / "second", clone).read_bytes() != made.read_bytes():
        yield "a second build of the same commit has other bytes"


def _billed(made: Path) -> Iterator[str]:
    bill = bill_of(made)
    if fault := fault_of(bill):
        yield f"the bill of materials is not as CycloneDX wants it: {fault}"
    if bill != bill_of(made):
        yield "the bill of materials is another one each time"


def _signed(made: Path, scratch: Path) -> Iterator[str]:
    """What is signed is taken, and what was changed afterwards is not."""
    with throwaway() as keyring:
        whole, listed = keyring.sign(made), keyring.sign(manifest_of(made, scratch))
        if not keyring.vouches(made, whole):
            yield "gpg does not take the signature that it made"
        if keyring.vouches(with_another_byte(made, scratch), whole):
            yield "gpg takes the signature for a package of which one byte was changed"
        if not verifies(made, listed, keyring, scratch / "installed"):
            yield "ansible-galaxy does not verify the signed package"
        if verifies(with_another_manifest(made, scratch), listed, keyring, scratch / "other"):
            yield "ansible-galaxy verifies a package whose MANIFEST.json was changed after it was signed"


if __name__ == "__main__":
    sys.exit(main())
