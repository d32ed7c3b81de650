# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import Finding
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.ca import (
    POLICY,
    check_passphrase,
    check_policy,
    check_store,
    job_folder,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.clusters import check_trust_domain
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._variables import store_folder

SOUND: dict[str, Any] = {"trust_domain": "crossmesh.internal", "passphrase_length": 20}
SOUND |= {"store": "kubernetes", "store_namespace": "crossmesh", "store_name": ""}
SOUND |= {name.removeprefix("custom_ca_"): value for name, value in POLICY.items()}


def check_ca_settings(settings: dict[str, Any]) -> list[Finding]:
    """As the action does that makes the CA."""
    policy = {f"custom_ca_{name}": value for name, value in settings.items() if f"custom_ca_{name}" in POLICY}
    return [
        *check_trust_domain("custom_ca", settings["trust_domain"]),
        *check_policy(policy),
        *check_passphrase(settings["passphrase_length"]),
        *check_store({f"custom_ca_{name}": settings[name] for name in settings if name.startswith("store")}),
    ]


def test_the_defaults_are_sound() -> None:
    assert check_ca_settings(SOUND) == []
    assert check_ca_settings({**SOUND, "passphrase_length": 0}) == []


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
    ({"store": "vault"}, "custom_ca_store"),
    ({"store_namespace": "Upper"}, "custom_ca_store_namespace"),
    ({"store_name": "a" * 64}, "custom_ca_store_name"),
    ({"store_name": "a/b"}, "custom_ca_store_name"),
]


@pytest.mark.parametrize(("changes", "field"), FAULTS)
def test_each_fault_is_found_with_value_and_fix(changes: dict[str, Any], field: str) -> None:
    (finding,) = check_ca_settings({**SOUND, **changes})
    assert finding.field == field
    # One line, and not a long one, whatever was written.
    assert repr(next(iter(changes.values()))).strip("'")[:60] in finding.what
    assert finding.fix


def test_all_faults_come_at_once() -> None:
    found = check_ca_settings(
        {
            **SOUND,
            "trust_domain": "-",
            "key_type": "DSA",
            "validity_days": 0,
            "leaf_validity_days": 0,
            "renew_before_days": 0,
            "passphrase_length": 1,
        }
    )
    assert len(found) == 6


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
    given = {"ansible_inventory_sources": [source.format(**places) for source in sources]}
    found = store_folder(given, value)
    assert found == expected.format(**places)
    assert store_folder(given, found) == found


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        # As ansible-runner sets it in an execution environment, and AWX beside it; as it sets it without one.
        ({"AWX_ISOLATED_DATA_DIR": "/runner/artifacts/61", "AWX_PRIVATE_DATA_DIR": "/tmp/awx_61_if"}, "/runner"),
        ({"AWX_ISOLATED_DATA_DIR": "/runner/artifacts/61"}, "/runner"),
        ({"AWX_PRIVATE_DATA_DIR": "/runner"}, "/runner"),
        ({}, ""),
        ({"AWX_ISOLATED_DATA_DIR": "/elsewhere/artifacts/61", "AWX_PRIVATE_DATA_DIR": ""}, ""),
        ({"AWX_ISOLATED_DATA_DIR": "/runner"}, ""),
    ],
)
def test_a_folder_that_a_job_takes_with_it_is_known(environ: dict[str, str], expected: str) -> None:
    assert job_folder(Path("/runner/inventory/.crossmesh/ca"), environ) == expected
    assert job_folder(Path("/runner-of-somebody/ca"), environ) == ""
