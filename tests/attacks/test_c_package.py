# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part C: what a package takes along out of the folder that it is built in, and whether anybody can build it again."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.release.signature import manifest_of, throwaway, verifies
from tests.release.tampering import with_another_byte, with_another_manifest
from tests.tools import package
from tests.unit.support import CHECKOUT

SECRET = b"hunter2-hunter2-hunter2"
PLANTED = (
    ".crossmesh/ca/roots/x.key",
    "vault-password",
    # Siblings: a store beside the example's inventory, where it stands by default; and what people leave in folders.
    "inventories/example/.crossmesh/ca/roots/x.key",
    "inventories/example/group_vars/vault.yml",
    "inventories/example/kubeconfig",
    "roles/custom_ca/files/root.pem",
    "docs/.vault-password",
    "playbooks/group_vars/all.yml",
    "id_ed25519",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this one, with secrets in it."""
    folder = tmp_path / "checkout"
    subprocess.run([CHECKOUT / "tests/tools/copy-checkout", folder], check=True)
    for name in PLANTED:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(SECRET)
    return folder


def holding_the_secret(built: Path) -> set[str]:
    with tarfile.open(built) as archive:
        return {member.name for member in archive if (file := archive.extractfile(member)) and file.read() == SECRET}


@pytest.mark.slow
def test_what_lies_in_the_folder_is_not_packed(checkout: Path, tmp_path: Path) -> None:
    """C8: ansible-galaxy collection build packed root keys and the vault's password of the checkout."""
    assert holding_the_secret(package.galaxy_build(checkout, tmp_path / "made")) == set()
    settings = yaml.safe_load((checkout / "galaxy.yml").read_text())
    (checkout / "galaxy.yml").write_text(yaml.safe_dump({**settings, "build_ignore": []}))
    assert holding_the_secret(package.galaxy_build(checkout, tmp_path / "control")) == set(PLANTED), "the control"


@pytest.mark.slow
def test_a_release_holds_what_the_list_names_and_is_the_same_for_everybody(checkout: Path, tmp_path: Path) -> None:
    """C8: two builds differed, so nobody could tell whether a package was built of this repository.

    The secrets are committed here, by mistake: that a file is known to git is not enough to be packed.
    """
    link = checkout / "docs/link.md"
    link.symlink_to("../vault-password")
    commit(checkout, tmp_path)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    one = package.build(checkout, first)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", checkout, clone], check=True)
    (clone / "docs/of-nobody.md").write_bytes(SECRET)
    before = os.umask(0o077)
    try:
        other = package.build(clone, second)
    finally:
        os.umask(before)
    assert one.read_bytes() == other.read_bytes()
    assert (holding_the_secret(one), list(package.misplaced(one))) == (set(), [])
    assert list(package.missing(one, CHECKOUT)) == []
    # The control: ansible-galaxy's own differ, by the times of the files.
    made = [package.galaxy_build(folder, tmp_path / f"galaxy-{folder.name}") for folder in (checkout, clone)]
    assert made[0].read_bytes() != made[1].read_bytes()


def commit(folder: Path, home: Path) -> None:
    who = {f"GIT_{role}_{part}": "nobody" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    environment = {**os.environ, **who, "HOME": str(home)}
    for arguments in (["init", "--quiet"], ["add", "--force", "."], ["commit", "--quiet", "--message", "all"]):
        subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True)


@pytest.mark.parametrize("name", PLANTED)
def test_no_planted_name_is_on_the_list(name: str) -> None:
    """C8: the list itself; what is shipped is its control."""
    assert not package.SHIPPED.fullmatch(name)
    assert package.SHIPPED.fullmatch("plugins/action/custom_ca.py")


def test_a_signature_is_of_these_very_bytes_and_of_this_key(tmp_path: Path) -> None:
    """C8: releases had none."""
    made = tmp_path / "crossmesh-mtls-0.1.0.tar.gz"
    made.write_bytes(SECRET)
    with throwaway() as keyring, throwaway() as other:
        signature = keyring.sign(made)
        assert keyring.vouches(made, signature), "the control"
        assert not keyring.vouches(with_another_byte(made, tmp_path), signature)
        assert not other.vouches(made, signature)


@pytest.mark.slow
def test_a_package_that_was_changed_after_it_was_signed_is_not_verified(tmp_path: Path) -> None:
    """C8: ansible-galaxy asks for the signature of MANIFEST.json, which holds the checksums of all else."""
    built = package.build(CHECKOUT, tmp_path)
    with throwaway() as keyring, throwaway() as other:
        signature = keyring.sign(manifest_of(built, tmp_path))
        assert verifies(built, signature, keyring, tmp_path / "signed"), "the control"
        assert not verifies(with_another_manifest(built, tmp_path), signature, keyring, tmp_path / "changed")
        assert not verifies(built, signature, other, tmp_path / "of-another-key")
