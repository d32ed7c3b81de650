# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lists of collections ask: this checkout has it, and a checkout that lacks it is told so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools import publication
from tests.tools.publication import Check
from tests.unit.support import CHECKOUT

HELD = (".github", "changelogs", "docs", "inventories", "meta", "playbooks", "plugins", "roles")
ALONE = ("COPYING", "Makefile", "README.md", "REUSE.toml", "SECURITY.md", "galaxy.yml", "requirements.txt")
LINKED = (
    "examples/awx/README.md",
    "extensions/grafana/crossmesh.json",
    "extensions/prometheus/crossmesh.rules.yml",
    "tests/bench/README.md",
    "tests/lab/README.md",
)
INFO = "plugins/modules/custom_ca_info.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the checks read, to plant faults in; links into the repository have to lead somewhere in it."""
    for name in HELD:
        shutil.copytree(CHECKOUT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ALONE:
        shutil.copy(CHECKOUT / name, tmp_path)
    for linked in LINKED:
        (tmp_path / linked).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / linked).touch()
    return tmp_path


def edit(name: str, before: str, after: str) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        text = (folder / name).read_text()
        assert before in text
        (folder / name).write_text(text.replace(before, after, 1))

    return plant


def add(name: str, text: str = "") -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("a") as file:
            file.write(text)

    return plant


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def renamed(before: str, after: str) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        (folder / before).rename(folder / after)

    return plant


FAULTS: dict[str, tuple[Check, Callable[[Path], None], str]] = {
    "public code": (publication.public_names, add("plugins/module_utils/handy.py"), "handy.py: is public"),
    "an _info that changes": (
        publication.info_modules,
        edit(INFO, "attributes.reads", "attributes.changes"),
        "custom_ca_info: is named _info and may change something",
    ),
    "a look by another name": (
        publication.info_modules,
        renamed(INFO, "plugins/modules/custom_ca_look.py"),
        "custom_ca_look: changes nothing",
    ),
    "a query": (
        publication.queries,
        edit("plugins/modules/custom_ca.py", "choices: [present, absent]", "choices: [present, absent, usable]"),
        "custom_ca: state=usable",
    ),
    "a plugin of no version": (
        publication.versions,
        edit("plugins/filter/same_cluster.yml", "  version_added: 0.1.0\n", ""),
        "same_cluster.yml: has no version_added",
    ),
    "a role of the future": (
        publication.versions,
        edit("roles/custom_ca/meta/argument_specs.yml", "version_added: 0.1.0", "version_added: 9.1.0"),
        "argument_specs.yml, main: version_added 9.1.0 is later",
    ),
    "an option of the future": (
        publication.versions,
        edit(
            "plugins/modules/custom_ca.py", "    choices: [present", "    version_added: 9.2.0\n    choices: [present"
        ),
        "custom_ca.py.state: version_added 9.2.0 is later",
    ),
    "a module in no group": (
        publication.action_groups,
        edit("meta/runtime.yml", "    - mesh_proof\n", ""),
        "differ about mesh_proof",
    ),
    "no tracker": (publication.about, edit("galaxy.yml", "issues:", "labels:"), "galaxy.yml: issues is missing"),
    "an address that is none": (
        publication.about,
        edit("galaxy.yml", "homepage: https:", "homepage: ftp:"),
        "homepage is no https address",
    ),
    "a version that orders nowhere": (
        publication.about,
        edit("galaxy.yml", "version: 0.1.0", "version: 0.1"),
        "no semantic version",
    ),
    "a relative address below the README": (
        publication.links,
        add("README.md", "\n[rotation]: docs/rotation.md\n"),
        "README.md: docs/rotation.md: is relative",
    ),
    "a relative link in the README": (
        publication.links,
        add("README.md", "[rotation](docs/rotation.md)\n"),
        "README.md: docs/rotation.md: is relative",
    ),
    "a relative link in a role's": (
        publication.links,
        add("roles/custom_ca/README.md", "[links](../../docs/links.md)\n"),
        "roles/custom_ca/README.md: ../../docs/links.md: is relative",
    ),
    "an address of a page that went": (
        publication.links,
        remove("docs/rotation.md"),
        "blob/main/docs/rotation.md: there is no docs/rotation.md in the repository",
    ),
    "a page that is not shipped": (
        publication.links,
        add("docs/security.md", "[policy](../SECURITY.md)\n"),
        "docs/security.md: ../SECURITY.md: is not in the package; give SECURITY.md's address",
    ),
    "an ignore of sanity": (
        publication.exceptions,
        add("tests/sanity/ignore-2.18.txt", "plugins/x.py shebang\n"),
        "ignore-2.18.txt: lets ansible-test look away",
    ),
    "a noqa": (
        publication.exceptions,
        add("playbooks/site.yml", "# noqa: no-handler\n"),
        "playbooks/site.yml: noqa lets ansible-lint look away",
    ),
    "an action that can change": (
        publication.workflows,
        add(".github/workflows/more.yml", "jobs: {x: {steps: [\n  uses: actions/checkout@v4\n]}}\n"),
        "more.yml: actions/checkout@v4: give the hash",
    ),
    "a target that is none": (
        publication.workflows,
        edit(".github/workflows/checks.yml", "run: make release-check", "run: make release-cheque"),
        "checks.yml: the Makefile has no target release-cheque",
    ),
}


def test_nothing_is_amiss(folder: Path) -> None:
    assert [finding for check in publication.CHECKS for finding in check(folder)] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, folder: Path) -> None:
    check, plant, said = FAULTS[fault]
    plant(folder)
    assert said in "\n".join(check(folder))


def test_every_check_has_a_fault_that_it_finds() -> None:
    assert {check for check, _plant, _said in FAULTS.values()} == set(publication.CHECKS)
