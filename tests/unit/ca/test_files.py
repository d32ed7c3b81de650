# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else could have put it there: owner, mode, the folders above, links and pipes. One error each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from tests.unit.ca.support import file_store, folder, keep, record
from tests.unit.pki.support import NOW, PASSPHRASE, make_leaf, make_root
from tests.unit.support import refused

SOMEBODY = 4711


@pytest.fixture
def store(tmp_path: Path) -> CaStore:
    made, root = file_store(tmp_path / "above" / "ca"), make_root()
    made.create(PASSPHRASE, root.key, root.view.pem)
    keep(made, [record(make_leaf(root))])
    return made


def first(path: Path, pattern: str) -> Path:
    return next(path.glob(pattern))


def linked(path: Path) -> None:
    """The same content, somewhere else."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def given_away(path: Path) -> None:
    os.chown(path, SOMEBODY, -1)


FAULTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("authority.json", lambda path: path.chmod(0o666), "open-to-others"),
    ("authority.json", linked, "not-a-file"),
    ("authority.json", piped, "not-a-file"),
    ("roots/*.crt", linked, "not-a-file"),
    ("roots/*.crt", piped, "not-a-file"),
    ("roots/*.key", linked, "not-a-file"),
    ("issued/*.json", piped, "not-a-file"),
    ("issued/*.ledger", linked, "not-a-file"),
    ("roots", linked, "not-a-file"),
    ("issued", linked, "not-a-file"),
    ("../ca", lambda path: path.parent.chmod(0o777), "folder-open-to-others"),
    ("../ca", lambda path: path.chmod(0o770), "open-to-others"),
]
NEEDS_ROOT: list[tuple[str, Callable[[Path], object], str]] = [
    ("authority.json", given_away, "owned-by-another"),
    ("roots/*.crt", given_away, "owned-by-another"),
    ("roots/*.key", given_away, "owned-by-another"),
    ("issued/*.json", given_away, "owned-by-another"),
    ("../ca", given_away, "owned-by-another"),
]
if os.geteuid() == 0:
    FAULTS += NEEDS_ROOT


def use(store: CaStore) -> None:
    store.records(NOW)
    store.signer(PASSPHRASE)


@pytest.mark.parametrize(("pattern", "spoil", "code"), FAULTS)
def test_each_is_one_error_that_names_the_path(
    store: CaStore, pattern: str, spoil: Callable[[Path], object], code: str
) -> None:
    use(store)
    spoil(first(folder(store), pattern))
    with refused(code) as failure:
        use(store)
    assert str(folder(store).parent) in failure.value.message.where


@pytest.mark.parametrize("spoil", [linked, piped])
def test_a_lock_that_is_somebodys_link_is_not_followed(store: CaStore, spoil: Callable[[Path], object]) -> None:
    spoil(folder(store) / "lock")
    with refused("not-a-file") as failure:
        keep(store, [])
    assert failure.value.message.where.endswith("/lock")


def test_a_folder_above_that_is_for_everybody_but_sticky_or_for_a_group_is_no_fault(store: CaStore) -> None:
    for mode in (0o1777, 0o2775):
        folder(store).parent.chmod(mode)
        use(store)


def test_a_store_that_is_called_by_a_link_is_looked_at_where_it_lies(store: CaStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder(store))
    use(file_store(tmp_path / "link"))
    folder(store).parent.chmod(0o777)
    with refused("folder-open-to-others"):
        use(file_store(tmp_path / "link"))
