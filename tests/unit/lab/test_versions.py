# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sets of versions that a lab is built from, and that none is taken for another."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import build
from tests.lab.errors import LabError
from tests.lab.lifecycle import programs_of_running
from tests.lab.settings import VERSIONS, Settings, load_settings

AskFor = Callable[[str], Settings]


@pytest.fixture
def ask_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AskFor:
    """Settings as an environment that names these versions gives them, with nothing built or started."""
    monkeypatch.setenv("CROSSMESH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CROSSMESH_LAB_STATE", str(tmp_path / "state"))

    def ask(versions: str) -> Settings:
        monkeypatch.setenv("CROSSMESH_LAB_VERSIONS", versions)
        return load_settings()

    return ask


def test_every_set_has_programs_of_its_own(ask_for: AskFor) -> None:
    places = {build.place_of_programs(ask_for(versions)) for versions in VERSIONS}
    assert len(places) == len(VERSIONS)


def test_who_names_no_set_gets_the_first(ask_for: AskFor, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ask_for("newest")
    assert ask_for("") == first
    monkeypatch.delenv("CROSSMESH_LAB_VERSIONS")
    assert load_settings() == first


def test_a_set_that_is_not_there_is_refused(ask_for: AskFor) -> None:
    with pytest.raises(LabError, match="CROSSMESH_LAB_VERSIONS='newer': give one of newest, older"):
        ask_for("newer")


def test_a_lab_of_another_set_is_refused(ask_for: AskFor) -> None:
    newest, older = (ask_for(versions) for versions in ("newest", "older"))
    for settings in (newest, older):
        build.place_of_programs(settings).mkdir(parents=True)
    newest.state.mkdir()
    newest.programs_mark.write_text(build.place_of_programs(newest).name)
    assert programs_of_running(newest) == build.place_of_programs(newest)
    with pytest.raises(LabError, match="runs other programs than the older ones of this checkout"):
        programs_of_running(older)


@pytest.mark.parametrize("versions", VERSIONS)
def test_what_the_programs_say_of_themselves_is_what_they_are_compiled_from(ask_for: AskFor, versions: str) -> None:
    told = build.pinned_versions(ask_for(versions))
    folder = Path(build.__file__).parent / "build" / versions
    assert _required(folder / "kube/go.mod", "k8s.io/kubernetes") == told.kubernetes
    assert _required(folder / "istio/go.mod", "istio.io/istio").rsplit("-", 1)[1] == told.istio.rsplit(".", 1)[1]


def _required(module: Path, path: str) -> str:
    found = re.search(rf"^(?:require)?\s+{re.escape(path)} (\S+)", module.read_text(), re.MULTILINE)
    assert found, f"{module} does not require {path}"
    return found[1]
