# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index as it is written: stores that exist have to be read, and older runs read what newer ones write."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import (
    Endorsement,
    Head,
    Index,
    index_from_json,
    index_to_json,
    statement_of,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Change
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from tests.unit.pki.support import Root

OLD, NEW, GONE, LOST = ("1" * 64, "2" * 64, "3" * 64, "4" * 64)
SIGNED = Index(OLD, (OLD,), generation=1, signature="a signature")
FULL = replace(
    SIGNED,
    trusted=(OLD, NEW),
    prepared=NEW,
    retiring=(LOST,),
    retired=(GONE,),
    keyless=(LOST,),
    lists={OLD: 7},
    last_number=9,
    endorsements={NEW: Endorsement(OLD, "a word"), OLD: Endorsement(GONE, "another")},
    inherited=(LOST,),
    instance="blue",
    shared=(OLD,),
    issued="5" * 64,
    identity="6" * 32,
    clusters={"cluster-a": "one"},
    journal=Head(3, "8" * 64, 2),
)


def read(content: dict[str, object]) -> Index:
    return index_from_json(content, name="authority.json", where="store", damaged=lambda why: pytest.fail(why))


@pytest.mark.parametrize("index", [SIGNED, FULL])
def test_comes_back_as_it_was(index: Index) -> None:
    assert read(json.loads(json.dumps(index_to_json(index)))) == index


def test_an_index_of_the_first_releases_is_read() -> None:
    assert read({"version": 1, "issuing": OLD, "trusted": [OLD]}) == Index(OLD, (OLD,))


def test_the_file_is_byte_for_byte_what_it_is_to_be(tmp_path: Path, root: Root) -> None:
    fingerprint = root.view.fingerprint
    index = Index(fingerprint, (fingerprint,), generation=1, signature="a signature")
    change = Change(index, roots=(root.view,), keys={fingerprint: "a key"})
    FileStorage(tmp_path / "ca").commit(change, None)
    assert (tmp_path / "ca" / "authority.json").read_text(encoding="ascii") == (
        f'{{\n  "clusters": {{}},\n  "endorsements": {{}},\n  "generation": 1,\n  "identity": "",\n  "inherited": [],\n'
        f'  "instance": "default",\n  "issued": "",\n'
        f'  "issuing": "{fingerprint}",\n'
        f'  "journal": {{\n    "digest": "{"0" * 64}",\n    "entries": 0,\n    "segment": 1\n  }},\n'
        f'  "keyless": [],\n  "last_number": 0,\n  "lists": {{}},\n'
        f'  "prepared": "",\n  "retired": [],\n  "retiring": [],\n  "shared": [],\n  "signature": "a signature",\n'
        f'  "trusted": [\n    "{fingerprint}"\n  ],\n  "version": 2\n}}\n'
    )
    assert (tmp_path / "ca" / "roots" / f"{fingerprint}.crt").read_text(encoding="ascii") == root.view.pem


def test_what_is_named_and_which_keys_are_needed() -> None:
    assert FULL.roots == {OLD, NEW, GONE, LOST}
    assert FULL.needed_keys == {OLD, NEW}
    assert Index(LOST, (LOST, NEW), prepared=NEW, keyless=(LOST,)).needed_keys == {NEW}


def test_each_of_its_keys_is_in_what_is_signed() -> None:
    changes: dict[str, Any] = {
        "issuing": NEW,
        "trusted": (NEW, OLD),
        "prepared": "",
        "retiring": (),
        "retired": (),
        "keyless": (),
        "lists": {OLD: 8},
        "last_number": 10,
        "endorsements": {},
        "inherited": (),
        "instance": "green",
        "shared": (),
        "issued": "",
        "identity": "7" * 32,
        "clusters": {},
        "journal": Head(3, "8" * 64, 1),
        "generation": 2,
    }
    statements = {statement_of(replace(FULL, **{key: value})) for key, value in changes.items()}
    assert len({*statements, statement_of(FULL)}) == len(changes) + 1
    assert {*changes, "signature", "version"} == set(index_to_json(FULL))
    assert statement_of(replace(FULL, signature="another")) == statement_of(FULL)


def test_a_journal_without_an_entry_has_no_segment() -> None:
    """The signature held for any, and a journal that began there was as if it had been changed."""
    with pytest.raises(ValueError, match="names a segment of a journal that has no entry"):
        index_from_json(
            {
                **json.loads(json.dumps(index_to_json(SIGNED))),
                "journal": {"entries": 0, "digest": "1" * 64, "segment": 7},
            },
            name="authority.json",
            where="store",
            damaged=lambda why: cast(CrossmeshError, ValueError(why)),
        )
    moved = replace(SIGNED, journal=Head(segment=7))
    assert statement_of(moved) != statement_of(SIGNED)
