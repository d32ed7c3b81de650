# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubernetes.core that is missing, or too old, is told of in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.plugin_utils._collections import OLDEST_MAJOR, lacking_collection
from tests.unit.support import CHECKOUT


def with_version(root: Path, version: str) -> str:
    folder = root / "kubernetes/core"
    folder.mkdir(parents=True)
    (folder / "MANIFEST.json").write_text(json.dumps({"collection_info": {"version": version}}))
    return str(root)


@pytest.mark.parametrize(("version", "told"), [("2.4.2", True), ("3.2.0", True), ("5.0.0", False), ("10.1.0", False)])
def test_an_old_one_is_told_of_with_its_version_and_place(tmp_path: Path, version: str, told: bool) -> None:
    found = lacking_collection([with_version(tmp_path, version)])
    assert (found is not None) == told
    if found:
        assert found.code == "missing-collection"
        assert version in found.what
        assert found.where == str(tmp_path / "kubernetes/core")


def test_where_there_is_none_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    found = lacking_collection([str(tmp_path)])
    assert found is not None
    assert "ansible-galaxy collection install" in found.fix


def test_the_first_that_ansible_finds_counts(tmp_path: Path) -> None:
    old, new = (with_version(tmp_path / version, version) for version in ("3.2.0", "5.0.0"))
    assert lacking_collection([str(tmp_path), new, old]) is None
    assert lacking_collection([old, new]) is not None


def test_a_checkout_says_no_version(tmp_path: Path) -> None:
    (tmp_path / "kubernetes/core").mkdir(parents=True)
    assert lacking_collection([str(tmp_path)]) is None


def test_the_one_that_the_tests_run_with_is_new_enough() -> None:
    assert lacking_collection() is None


def test_galaxy_is_asked_for_the_same() -> None:
    wanted = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())["dependencies"]["kubernetes.core"]
    assert wanted == f">={OLDEST_MAJOR}.0.0"
