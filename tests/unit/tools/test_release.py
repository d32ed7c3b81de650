# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release comes with and is held to; its signatures are attacked in tests/attacks/test_c_package.py."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.release.bill import WANTED, bill_of, fault_of
from tests.release.tampering import with_another_manifest
from tests.tools import package
from tests.unit.support import CHECKOUT

INFO = {
    "namespace": "crossmesh",
    "name": "mtls",
    "version": "9.8.7",
    "description": "Joins.",
    "license": ["GPL-3.0-or-later"],
    "dependencies": {"kubernetes.core": ">=5.0.0"},
}
HELD = {
    "MANIFEST.json": json.dumps({"collection_info": INFO}),
    "meta/runtime.yml": "requires_ansible: '>=2.16.0'\n",
    "requirements.txt": "# Imported.\ncryptography>=43\nkubernetes>=24.2\n",
}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A package as far as its bill asks."""
    path = tmp_path / "crossmesh-mtls-9.8.7.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in HELD.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(text), 1_800_000_000
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def wanted(bill: dict[str, Any]) -> dict[str, str]:
    (only,) = {len(component["properties"]) for component in bill["components"]}
    assert only == 1
    return {
        component["name"]: component["properties"][0]["value"]
        for component in bill["components"]
        if component["version"] and component["properties"][0]["name"] == WANTED
    }


def test_a_bill_names_the_package_and_all_that_it_asks_for(made: Path) -> None:
    text = bill_of(made)
    bill = json.loads(text)
    assert fault_of(text) == ""
    root = bill["metadata"]["component"]
    assert (root["group"], root["name"], root["version"]) == ("crossmesh", "mtls", "9.8.7")
    assert root["licenses"] == [{"license": {"id": "GPL-3.0-or-later"}}]
    assert wanted(bill) == {
        "ansible-core": ">=2.16.0",
        "kubernetes.core": ">=5.0.0",
        "cryptography": ">=43",
        "kubernetes": ">=24.2",
    }


def test_a_bill_is_of_these_bytes_and_the_same_each_time(made: Path, tmp_path: Path) -> None:
    assert bill_of(made) == bill_of(made)
    assert bill_of(with_another_manifest(made, tmp_path)) != bill_of(made)


def test_a_bill_that_is_none_is_found(made: Path) -> None:
    bill = json.loads(bill_of(made))
    del bill["components"][0]["name"]
    assert "'name' is a required property" in fault_of(json.dumps(bill))


@pytest.mark.slow
def test_what_galaxy_only_warns_of_fails(tmp_path: Path) -> None:
    """The control of `make galaxy`: a collection that says nothing of what it runs on."""
    folder = tmp_path / "checkout"
    subprocess.run([CHECKOUT / "tests/tools/copy-checkout", folder], check=True)
    (folder / "meta/runtime.yml").write_text("---\n{}\n")
    made = package.galaxy_build(folder, tmp_path / "made")
    done = subprocess.run([CHECKOUT / "tests/tools/galaxy", made], capture_output=True, text=True)
    assert done.returncode == 1
    assert "requires_ansible" in done.stdout


def licensed(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["reuse", "--root", folder, "lint", "--lines"], capture_output=True, text=True)


def test_a_file_of_nobody_is_found(tmp_path: Path) -> None:
    shutil.copy(CHECKOUT / "REUSE.toml", tmp_path)
    (tmp_path / "LICENSES").mkdir()
    shutil.copy(CHECKOUT / "COPYING", tmp_path / "LICENSES/GPL-3.0-or-later.txt")
    plugin = tmp_path / "plugins/filter/handy.py"
    plugin.parent.mkdir(parents=True)
    shutil.copy(CHECKOUT / "plugins/filter/same_cluster.py", plugin)
    assert licensed(tmp_path).returncode == 0, licensed(tmp_path).stdout
    plugin.write_text("def handy(): ...\n")
    done = licensed(tmp_path)
    assert done.returncode != 0
    assert "plugins/filter/handy.py" in done.stdout
