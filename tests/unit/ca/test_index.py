# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index as it is written: stores that exist have to be read, and older runs read what newer ones write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Index, index_from_json, index_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Change
from tests.unit.pki.support import Root

OLD, NEW, GONE, LOST = ("1" * 64, "2" * 64, "3" * 64, "4" * 64)
FULL = Index(OLD, (OLD, NEW), NEW, retiring=(LOST,), retired=(GONE,), keyless=(LOST,), lists={OLD: 7}, last_number=9)


def read(content: dict[str, object]) -> Index:
    return index_from_json(content, name="authority.json", where="store", damaged=lambda why: pytest.fail(why))


@pytest.mark.parametrize("index", [Index(OLD, (OLD,)), FULL])
def test_comes_back_as_it_was(index: Index) -> None:
    assert read(json.loads(json.dumps(index_to_json(index)))) == index


def test_an_index_of_the_first_releases_is_read() -> None:
    assert read({"version": 1, "issuing": OLD, "trusted": [OLD]}) == Index(OLD, (OLD,))


def test_the_file_is_byte_for_byte_what_it_always_was(tmp_path: Path, root: Root) -> None:
    fingerprint = root.view.fingerprint
    change = Change(Index(fingerprint, (fingerprint,)), roots=(root.view,), keys={fingerprint: "a key"})
    FileStorage(tmp_path / "ca").commit(change, None)
    assert (tmp_path / "ca" / "authority.json").read_text(encoding="ascii") == (
        f'{{\n  "issuing": "{fingerprint}",\n  "keyless": [],\n  "last_number": 0,\n  "lists": {{}},\n'
        f'  "prepared": "",\n  "retired": [],\n  "retiring": [],\n'
        f'  "trusted": [\n    "{fingerprint}"\n  ],\n  "version": 1\n}}\n'
    )
    assert (tmp_path / "ca" / "roots" / f"{fingerprint}.crt").read_text(encoding="ascii") == root.view.pem


def test_what_is_named_and_which_keys_are_needed() -> None:
    assert FULL.roots == {OLD, NEW, GONE, LOST}
    assert FULL.needed_keys == {OLD, NEW}
    assert Index(LOST, (LOST, NEW), prepared=NEW, keyless=(LOST,)).needed_keys == {NEW}
