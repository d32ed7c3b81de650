"""Builds the collection from what git knows, and checks what would leave this checkout: names, contents, playbooks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGED = re.compile(
    r"(MANIFEST\.json|FILES\.json|CHANGELOG\.md|COPYING|README\.md|requirements\.txt|inventories"
    r"|(changelogs|docs|inventories/example|meta|playbooks|plugins|roles)(/.*)?)"
)
UNPACKAGED_TYPES = re.compile(r".*(\.(pyc|pem|key|crt|kubeconfig|log|tar\.gz|bak|orig|swp)|~|/\.[^/]*)")
# Split by brackets, so that this file does not find itself.
FORBIDDEN = {
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE [K]EY-----"),
    "a package registry": re.compile(rb"p[y]pi\.org|pythonho[s]ted\.org|(proxy|sum)\.go[l]ang\.org|deb\.deb[i]an\.org"),
    "a path of this machine": re.compile(re.escape(str(CHECKOUT).encode()) + rb"\b|/tmp/bas[h]_jobs"),
}


def misplaced(names: list[str]) -> Iterator[str]:
    """What the package holds and should not."""
    for name in names:
        if not PACKAGED.fullmatch(name) or UNPACKAGED_TYPES.fullmatch(name):
            yield f"{name}: does not belong into the package; list it under build_ignore in galaxy.yml"


def unfit(folder: Path) -> Iterator[str]:
    """What no file of the repository may hold, and does."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            for what, pattern in FORBIDDEN.items():
                if pattern.search(content):
                    yield f"{path.relative_to(folder)}: holds {what}"


def run(*command: str | Path, cwd: Path, **environment: str) -> None:
    subprocess.run(command, cwd=cwd, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)


def check_playbooks(package: Path, scratch: Path) -> None:
    """Installs the package as a user would and lets Ansible parse its playbooks from there."""
    collections = scratch / "installed"
    here = {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    run("ansible-galaxy", "collection", "install", "--offline", "--no-deps", package, cwd=scratch, **here)
    playbooks = sorted((collections / "ansible_collections/crossmesh/mtls/playbooks").glob("*.yml"))
    names = [f"crossmesh.mtls.{playbook.stem}" for playbook in playbooks]
    if names:
        run("ansible-playbook", "--syntax-check", "-i", "localhost,", *names, cwd=scratch, **here)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        source = scratch / "source"
        run(CHECKOUT / "tests/tools/copy-checkout", source, cwd=CHECKOUT)
        run("ansible-galaxy", "collection", "build", "--output-path", scratch, cwd=source)
        (package,) = scratch.glob("*.tar.gz")
        with tarfile.open(package) as archive:
            findings = [*misplaced(archive.getnames()), *unfit(source)]
        for finding in findings:
            print(finding, file=sys.stderr)
        if findings:
            return 1
        check_playbooks(package, scratch)
        print(f"{package.name}: holds what it should and installs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
