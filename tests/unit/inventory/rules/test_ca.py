# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.filter.ca_dir import ca_dir
from ansible_collections.crossmesh.mtls.plugins.filter.ca_problems import ca_problems
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.ca import CaSettings, check_ca_settings

ROLE = Path(__file__).parents[4] / "roles" / "custom_ca"

SOUND = CaSettings(
    trust_domain="crossmesh.internal",
    key_type="P-256",
    validity_days=3650,
    leaf_validity_days=90,
    renew_before_days=30,
    passphrase_length=20,
)


def test_the_defaults_are_sound() -> None:
    assert check_ca_settings(SOUND) == []
    assert check_ca_settings(replace(SOUND, passphrase_length=0)) == []


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"trust_domain": ""}, "custom_ca_trust_domain"),
    ({"trust_domain": "Upper.example"}, "custom_ca_trust_domain"),
    ({"trust_domain": "under_score.example"}, "custom_ca_trust_domain"),
    ({"trust_domain": "double..dot"}, "custom_ca_trust_domain"),
    ({"trust_domain": "end.example\n"}, "custom_ca_trust_domain"),
    ({"trust_domain": ".".join(["a" * 60] * 3)}, "custom_ca_trust_domain"),
    ({"key_type": "RSA-1024"}, "custom_ca_key_type"),
    ({"validity_days": 36501}, "custom_ca_validity_days"),
    ({"leaf_validity_days": 3650}, "custom_ca_leaf_validity_days"),
    ({"renew_before_days": 90}, "custom_ca_renew_before_days"),
    ({"renew_before_days": 0}, "custom_ca_renew_before_days"),
    ({"passphrase_length": 11}, "custom_ca_passphrase"),
]


@pytest.mark.parametrize(("changes", "field"), FAULTS)
def test_each_fault_is_found_with_value_and_fix(changes: dict[str, Any], field: str) -> None:
    (finding,) = check_ca_settings(replace(SOUND, **changes))
    assert finding.field == field
    # One line, and not a long one, whatever was written.
    assert repr(next(iter(changes.values()))).strip("'")[:60] in finding.value
    assert finding.fix


def test_all_faults_come_at_once() -> None:
    lines = ca_problems(
        {
            "trust_domain": "-",
            "key_type": "DSA",
            "validity_days": 0,
            "leaf_validity_days": 0,
            "renew_before_days": 0,
            "passphrase_length": 1,
        }
    )
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("sources", "value", "expected"),
    [
        (["{tmp}/inv/hosts.yml"], "", "{tmp}/inv/.crossmesh/ca"),
        (["{tmp}/inv"], "", "{tmp}/inv/.crossmesh/ca"),
        (["{tmp}/inv/hosts.yml", "{tmp}/other"], "", "{tmp}/inv/.crossmesh/ca"),
        (["{tmp}/inv/hosts.yml"], "../ca", "{tmp}/inv/../ca"),
        (["{tmp}/inv/hosts.yml"], "/srv/ca", "/srv/ca"),
        (["{tmp}/inv/hosts.yml"], "~/ca", "{home}/ca"),
        (["a,b,"], "", "{tmp}/.crossmesh/ca"),
        ([], "", "{tmp}/.crossmesh/ca"),
    ],
)
def test_the_folder_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[str], value: str, expected: str
) -> None:
    (tmp_path / "inv").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    places = {"tmp": str(tmp_path), "home": "/home/somebody"}
    found = ca_dir([source.format(**places) for source in sources], value)
    assert found == expected.format(**places)
    assert ca_dir(sources, found) == found


def test_the_roles_specification_matches_its_defaults() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
    text = (ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    options = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    computed = {"custom_ca_dir"}
    assert set(defaults) == set(options)
    assert {name: value for name, value in defaults.items() if name not in computed} == {
        name: option["default"] for name, option in options.items() if name not in computed
    }
