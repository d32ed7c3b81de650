# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the collection, and checks what would leave this checkout: names, contents, playbooks.

With --build it writes the package of the last commit into a folder. It holds what SHIPPED says and git knows, and is
the same byte for byte wherever and whenever it is built of that commit: times are the commit's (or SOURCE_DATE_EPOCH),
and owners and modes follow from nothing here. Another zlib may press it in another way; what is inside stays the same.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# An allow list: what no line here names does not leave the repository, whatever lies in the folder.
SHIPPED = re.compile(
    r"COPYING|README\.md|requirements\.txt"
    r"|inventories/example/(hosts|group_vars/all)\.yml"
    r"|changelogs/(fragments/[\w.-]+|\w+)\.ya?ml"
    r"|meta/[\w-]+\.yml"
    r"|playbooks/(tasks/)?\w+\.yml"
    r"|docs/[^.]+\.md|docs/(inventory|report|results)\.schema\.json"
    r"|extensions/eda/[^.]+\.(py|yml)|extensions/(prometheus/crossmesh\.rules\.yml|grafana/crossmesh\.json)"
    r"|plugins/[^.]+\.(py|yml)"
    r"|plugins/plugin_utils/_report/page\.(html\.j2|css|js)"
    r"|roles/[^.]+\.(md|yml|yaml\.j2)"
)
# What ansible-galaxy adds itself.
ADDED = frozenset({"MANIFEST.json", "FILES.json"})
# Split by brackets, so that this file does not find itself.
FORBIDDEN = {
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE [K]EY-----"),
    "a package registry": re.compile(rb"p[y]pi\.org|pythonho[s]ted\.org|(proxy|sum)\.go[l]ang\.org|deb\.deb[i]an\.org"),
    "a path of this machine": re.compile(re.escape(str(CHECKOUT).encode()) + rb"\b|/tmp/bas[h]_jobs"),
}


def misplaced(package: Path) -> Iterator[str]:
    """What the package holds and should not."""
    with tarfile.open(package) as archive:
        for member in archive:
            if not member.isdir() and member.name not in ADDED and not SHIPPED.fullmatch(member.name):
                yield f"{member.name}: does not belong into the package; list it under build_ignore in galaxy.yml"
            if not (member.isfile() or member.isdir()):
                yield f"{member.name}: is no file; a link can lead out of the repository"


def missing(package: Path, folder: Path) -> Iterator[str]:
    """What the package should hold and does not."""
    with tarfile.open(package) as archive:
        packed = set(archive.getnames())
    for name in shipped(folder):
        if name not in packed:
            yield f"{name}: is missing in the package; galaxy.yml leaves out too much"


def shipped(folder: Path) -> list[str]:
    """Names of the files below a folder that the allow list names."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(name for name in names if SHIPPED.fullmatch(name))


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


def output(*command: str | Path, cwd: Path) -> bytes:
    return subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE).stdout


def check_playbooks(package: Path, scratch: Path) -> None:
    """Installs the package as a user would and lets Ansible parse its playbooks from there."""
    collections = scratch / "installed"
    here = {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    run("ansible-galaxy", "collection", "install", "--offline", "--no-deps", package, cwd=scratch, **here)
    playbooks = sorted((collections / "ansible_collections/crossmesh/mtls/playbooks").glob("*.yml"))
    names = [f"crossmesh.mtls.{playbook.stem}" for playbook in playbooks]
    if names:
        run("ansible-playbook", "--syntax-check", "-i", "localhost,", *names, cwd=scratch, **here)


def galaxy_build(source: Path, destination: Path) -> Path:
    """What ansible-galaxy makes of a folder."""
    destination.mkdir()
    run("ansible-galaxy", "collection", "build", "--output-path", destination, cwd=source)
    (package,) = destination.glob("*.tar.gz")
    return package


def build(repository: Path, destination: Path) -> Path:
    """The package of the last commit, the same for everybody."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        source, chosen = scratch / "source", scratch / "chosen"
        source.mkdir()
        archived = output("git", "archive", "--format=tar", "HEAD", cwd=repository)
        with tarfile.open(fileobj=io.BytesIO(archived)) as archive:
            archive.extractall(source, filter="data")
        for name in [*shipped(source), "galaxy.yml"]:
            target = chosen / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (source / name).rename(target)
        made = galaxy_build(chosen, scratch / "made")
        moment = os.environ.get("SOURCE_DATE_EPOCH") or output("git", "log", "-1", "--format=%ct", cwd=repository)
        package = destination / made.name
        package.write_bytes(settled(made, int(moment)))
    return package


def settled(package: Path, moment: int) -> bytes:
    """A package without what its builder's machine and clock put into it.

    :param moment: seconds since 1970.
    """
    pressed = io.BytesIO()
    with (
        tarfile.open(package) as given,
        gzip.GzipFile("", "wb", compresslevel=9, fileobj=pressed, mtime=moment) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as taken,
    ):
        # The collection's own lists first, as Galaxy expects them.
        for member in sorted(given.getmembers(), key=lambda item: (item.name not in ADDED, item.name)):
            member.mtime, member.uid, member.gid, member.uname, member.gname = moment, 0, 0, "", ""
            member.mode, member.pax_headers = 0o755 if member.isdir() else 0o644, {}
            taken.addfile(member, given.extractfile(member) if member.isfile() else None)
    return pressed.getvalue()


def check() -> int:
    """Whether what would leave this checkout, as it is now, is fit to."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        source = scratch / "source"
        run(CHECKOUT / "tests/tools/copy-checkout", source, cwd=CHECKOUT)
        package = galaxy_build(source, scratch / "made")
        findings = [*misplaced(package), *missing(package, source), *unfit(source)]
        for finding in findings:
            print(finding, file=sys.stderr)
        if findings:
            return 1
        check_playbooks(package, scratch)
        print(f"{package.name}: holds what it should and installs")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, metavar="FOLDER", help="write the package of the last commit there")
    destination = parser.parse_args().build
    if destination is None:
        return check()
    print(build(CHECKOUT, destination))
    return 0


if __name__ == "__main__":
    sys.exit(main())
