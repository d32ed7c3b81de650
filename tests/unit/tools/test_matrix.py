# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the matrix runs is what the collection says that it runs on."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.matrix.environment import wanted_of
from tests.matrix.errors import MatrixError
from tests.matrix.interpreters import interpreter
from tests.matrix.versions import VERSIONS
from tests.unit.support import CHECKOUT

ENVIRONMENT = "execution-environment.yml"
PINS = {version.name: wanted_of(version).with_suffix(".txt") for version in VERSIONS if wanted_of(version).exists()}


def core_in(text: str) -> str:
    (found,) = re.findall(r"^ansible-core==(\d+\.\d+)\.", text, re.MULTILINE)
    return str(found)


def test_the_oldest_is_what_ansible_is_told() -> None:
    oldest = VERSIONS[0].name
    runtime, image = (yaml.safe_load((CHECKOUT / name).read_text()) for name in ("meta/runtime.yml", ENVIRONMENT))
    assert runtime["requires_ansible"] == f">={oldest}.0"
    major, newest = VERSIONS[-1].name.split(".")
    wanted = f"ansible-core>={oldest},<{major}.{int(newest) + 1}"
    assert image["dependencies"]["ansible_core"]["package_pip"] == wanted
    for role in CHECKOUT.glob("roles/*/meta/main.yml"):
        assert yaml.safe_load(role.read_text())["galaxy_info"]["min_ansible_version"] == oldest, role


def test_all_ask_for_the_same_kubernetes_core() -> None:
    galaxy, required, image = (
        yaml.safe_load((CHECKOUT / name).read_text()) for name in ("galaxy.yml", "requirements.yml", ENVIRONMENT)
    )
    lists = (required["collections"], image["dependencies"]["galaxy"]["collections"])
    asked = [item["version"] for found in lists for item in found if item["name"] == "kubernetes.core"]
    assert asked == [galaxy["dependencies"]["kubernetes.core"]] * len(lists)


def test_the_readme_names_the_oldest_and_the_newest() -> None:
    assert f"ansible-core {VERSIONS[0].name} to {VERSIONS[-1].name}" in (CHECKOUT / "README.md").read_text()


@pytest.mark.parametrize("name", PINS)
def test_pins_are_of_that_line_and_hashed(name: str) -> None:
    text = PINS[name].read_text()
    assert core_in(text) == name
    assert re.findall(r"^[a-z][^\n]*==[^\n]*[^\\]$", text, re.MULTILINE) == [], "each goes on with its hashes"
    assert re.findall(r"^-", text, re.MULTILINE) == [], "no option, so no index"


def test_the_one_without_pins_is_what_all_else_runs_on() -> None:
    (name,) = {version.name for version in VERSIONS} - set(PINS)
    assert core_in((CHECKOUT / "tests/requirements.txt").read_text()) == name


def test_a_python_that_the_machine_lacks_is_one_line() -> None:
    with pytest.raises(MatrixError, match=r"no python9\.8 or python9\.9 with venv") as caught:
        interpreter(["python9.8", "python9.9"])
    assert "\n" not in str(caught.value)


def test_one_that_it_has_is_found() -> None:
    """The control: it is what runs the tests, or another of the same version."""
    assert interpreter(["python9.9", "python3.11", "python3.12", "python3.13"])


# Packages whose names are not those of their modules.
NAMED = {"yaml": "pyyaml", "websocket": "websocket-client", "ansible": "ansible-core"}
OURS = {"tests", "ansible_collections"}


def modules_in(path: Path) -> Iterator[str]:
    """Top-level names of what a file imports that is neither Python's nor ours."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        else:
            found = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        for name in (name.partition(".")[0] for name in found):
            if name not in OURS and name not in sys.stdlib_module_names:
                yield NAMED.get(name, name)


@pytest.mark.parametrize("name", PINS)
def test_what_its_tests_import_is_pinned_for_it(name: str) -> None:
    """Else the matrix, which takes an hour and is run before a release, is the first to say so."""
    files = [path for folder in ("unit", "attacks") for path in (CHECKOUT / "tests" / folder).rglob("*.py")]
    shipped = [path for path in files if "tools" not in path.parts]
    imported = {package for path in shipped for package in modules_in(path)}
    assert {"pytest", "pyyaml", "kubernetes"} <= imported, "the probe finds them"
    pinned = set(re.findall(r"^([a-z0-9-]+)==", PINS[name].read_text(), re.MULTILINE))
    assert imported - pinned == set()
