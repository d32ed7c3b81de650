# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in two places says the same: schema and docs, defaults and specs, arguments and documentation."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.doc_fragments.cluster import ModuleDocFragment
from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.ca import POLICY
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import report as credentials_report
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight import report, rows
from ansible_collections.crossmesh.mtls.plugins.plugin_utils.cluster_action import CLUSTER, ClusterAction, lacks
from tests.tools import inventory_docs
from tests.unit.plan.test_plan import plan_of, settled_reading
from tests.unit.support import CHECKOUT, Json

COLLECTION = "ansible_collections.crossmesh.mtls.plugins"


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


# -- the docs of the schema ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", inventory_docs.PAGES)
def test_a_page_about_the_inventory_is_what_the_code_says(name: str) -> None:
    assert (CHECKOUT / "docs" / name).read_text() == inventory_docs.PAGES[name](), "run tests/tools/inventory_docs.py"


ALL_FIELDS = [field for _title, _text, fields in inventory_docs.TABLES for field in fields]


@pytest.mark.parametrize("field", ALL_FIELDS, ids=lambda field: field.name)
def test_an_example_is_what_its_field_takes(field: schema.Field) -> None:
    if not field.example:
        assert field.name == "mesh_links"
        return
    example = yaml.safe_load(field.example)
    types = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
    assert type(example) is types[field.type]
    assert not field.choices or example in field.choices


@pytest.mark.parametrize("field", ALL_FIELDS, ids=lambda field: field.name)
def test_a_field_is_either_required_or_may_be_left_out(field: schema.Field) -> None:
    assert not (field.required and field.default is not None)
    assert field.default is None or not field.choices or field.default in field.choices


def test_the_docs_of_a_field_are_no_markup_that_markdown_does_not_know() -> None:
    assert re.findall(r"\b[A-Z]\(", "".join(page() for page in inventory_docs.PAGES.values())) == []


def test_what_counts_where_the_ca_is_not_set_is_its_roles_default() -> None:
    defaults = loaded(CHECKOUT / "roles/custom_ca/defaults/main.yml")
    assert {name: defaults[name] for name in POLICY} == POLICY


# -- roles ---------------------------------------------------------------------------------------------------------

ROLES = sorted(path.parent.parent for path in CHECKOUT.glob("roles/*/meta/argument_specs.yml"))
OPTIONS = [
    pytest.param(role, name, option, id=name)
    for role in ROLES
    for name, option in loaded(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"].items()
]


def test_every_role_with_options_is_looked_at() -> None:
    with_defaults = {path.parent.parent.name for path in CHECKOUT.glob("roles/*/defaults/main.yml")}
    assert with_defaults == {role.name for role in ROLES} >= {"custom_ca", "mesh_egress_client", "mesh_ingress_server"}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_documents_exactly_the_variables_that_it_has(role: Path) -> None:
    options = loaded(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert set(loaded(role / "defaults/main.yml")) == set(options)
    assert [name for name in options if not name.startswith(f"{role.name}_")] == []


def literal(default: Any) -> tuple[bool, Any]:
    """What a default says where nobody sets a variable: of ``{{ name | default(value) }}`` the value."""
    if not isinstance(default, str) or "{{" not in default:
        return True, default
    match = re.fullmatch(r"\{\{ \w+ \| default\((.+)\) \}\}", default)
    if not match or match[1] in ("inventory_hostname", "none"):
        return False, None
    return True, yaml.safe_load(match[1])


@pytest.mark.parametrize(("role", "name", "option"), OPTIONS)
def test_a_default_is_documented_as_it_is(role: Path, name: str, option: Json) -> None:
    known, value = literal(loaded(role / "defaults/main.yml")[name])
    if known:
        assert option.get("default", "" if option["type"] in ("str", "path") else None) == value
    else:
        assert "default" not in option


SHARED_FIELDS = {field.name: field for field in (*schema.CLUSTER, *schema.SHARED)}


@pytest.mark.parametrize(("role", "name", "option"), OPTIONS)
def test_an_option_that_hands_on_a_variable_of_the_contract_has_its_type_and_default(
    role: Path, name: str, option: Json
) -> None:
    handed_on = re.match(r"\{\{ (\w+) \|", str(loaded(role / "defaults/main.yml")[name]))
    field = SHARED_FIELDS.get(handed_on[1]) if handed_on else None
    if field is None:
        return
    assert option["type"] == field.type or (option["type"], field.type) == ("path", "str")
    # A role's option always has a value: an empty one stands for none.
    assert tuple(choice for choice in option.get("choices", ()) if choice) == field.choices
    # Gateways are filled in key by key, and what has no default is told apart from an empty value.
    if field.type != "dict" and field.default is not None:
        assert option["default"] == field.default


def handed_on_by(role: str) -> set[str]:
    found = re.findall(r"\{\{ (\w+) \|", (CHECKOUT / "roles" / role / "defaults/main.yml").read_text())
    return {name for name in found if name in SHARED_FIELDS}


@pytest.mark.parametrize("role", ["mesh_egress_client", "mesh_ingress_server"])
def test_a_role_hands_on_every_variable_of_the_contract(role: str) -> None:
    # Only a run over a part of the inventory needs to be told of all clusters, and no role does.
    assert handed_on_by(role) == set(SHARED_FIELDS) - {"mesh_clusters"}


def test_both_sides_have_the_same_options() -> None:
    def options(role: str) -> dict[str, Any]:
        found = loaded(CHECKOUT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
        return {name.removeprefix(f"{role}_"): {**option, "description": ""} for name, option in found.items()}

    assert options("mesh_egress_client") == options("mesh_ingress_server")


# -- modules -------------------------------------------------------------------------------------------------------

MODULES = sorted(path.stem for path in CHECKOUT.glob("plugins/modules/*.py"))
ACTIONS = sorted(path.stem for path in CHECKOUT.glob("plugins/action/*.py"))


def documentation(module: str) -> Json:
    found = importlib.import_module(f"{COLLECTION}.modules.{module}")
    loaded_docs: Json = yaml.safe_load(found.DOCUMENTATION)
    if "crossmesh.mtls.cluster" in loaded_docs.get("extends_documentation_fragment", []):
        loaded_docs["options"] |= yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    return loaded_docs


def as_argument_spec(options: Json) -> Json:
    """What documentation says of the options, in the words of an argument spec."""
    keys = ("type", "elements", "required", "default", "choices")
    return {
        name: {key: option[key] for key in keys if key in option}
        | ({"options": as_argument_spec(option["suboptions"])} if "suboptions" in option else {})
        for name, option in options.items()
    }


def without_no_log(specification: Json) -> Json:
    return {
        name: {
            key: without_no_log(value) if key == "options" else value
            for key, value in option.items()
            if key != "no_log"
        }
        for name, option in specification.items()
    }


def test_every_action_is_documented_as_a_module() -> None:
    assert set(ACTIONS) <= set(MODULES)
    assert ACTIONS


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_takes_what_its_module_documents(action: str) -> None:
    found = importlib.import_module(f"{COLLECTION}.action.{action}").ActionModule
    of_cluster = CLUSTER if issubclass(found, ClusterAction) else {}
    specification = json.loads(json.dumps({**of_cluster, **found.ARGUMENTS}))
    assert without_no_log(specification) == as_argument_spec(documentation(action)["options"])


def secret_options(specification: Json) -> Iterator[str]:
    for name, option in specification.items():
        if option.get("no_log"):
            yield name
        yield from secret_options(option.get("options", {}))


def test_passphrases_are_never_logged() -> None:
    for action in ACTIONS:
        found = importlib.import_module(f"{COLLECTION}.action.{action}").ActionModule
        named = [name for name in found.ARGUMENTS if "passphrase" in name]
        assert named == list(secret_options(found.ARGUMENTS))


@pytest.mark.parametrize("path", sorted(CHECKOUT.glob("plugins/filter/*.yml")), ids=lambda path: path.stem)
def test_a_filter_is_documented_under_its_own_name(path: Path) -> None:
    found = importlib.import_module(f"{COLLECTION}.filter.{path.stem}").FilterModule().filters()
    assert set(found) == {path.stem} == {loaded(path)["DOCUMENTATION"]["name"]}


def parameters(path: Path) -> list[str]:
    """What a filter takes beside its input."""
    found = importlib.import_module(f"{COLLECTION}.filter.{path.stem}").FilterModule().filters()[path.stem]
    _input, *others = inspect.signature(found).parameters
    return others


@pytest.mark.parametrize("path", sorted(CHECKOUT.glob("plugins/filter/*.py")), ids=lambda path: path.stem)
def test_a_filter_documents_what_it_takes(path: Path) -> None:
    options = loaded(path.with_suffix(".yml"))["DOCUMENTATION"]["options"]
    assert list(options) == ["_input", *parameters(path)]


def told_of(text: str) -> set[str]:
    """The names that a filter's documentation says its result has."""
    return set(re.findall(r"C\((\w+)\)", text))


def test_every_part_of_a_plan_is_documented() -> None:
    returned = loaded(CHECKOUT / "plugins/filter/plan.yml")["RETURN"]["_value"]["description"]
    assert told_of(returned) == set(plan_of(settled_reading()))


def test_every_part_of_a_policy_is_documented() -> None:
    options = loaded(CHECKOUT / "plugins/filter/plan.yml")["DOCUMENTATION"]["options"]
    own = {field.name for field in fields(Policy)} - {"renew_before"}
    assert told_of(options["policy"]["description"]) == own | {"renew_before_days"}


def test_every_part_of_what_credentials_report_is_documented() -> None:
    module = importlib.import_module(f"{COLLECTION}.modules.mesh_credentials")
    # Every module's result has these.
    assert set(credentials_report([])) - {"changed", "diff"} == set(yaml.safe_load(module.RETURN))


# -- the preflight -------------------------------------------------------------------------------------------------


def test_every_check_is_explained_and_no_other() -> None:
    _before, _title, section = (CHECKOUT / "docs/preflight.md").read_text().partition("## What is checked")
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(rows.CHECKS)


def test_every_part_of_a_report_is_documented() -> None:
    returned = loaded(CHECKOUT / "plugins/filter/preflight_report.yml")["RETURN"]["_value"]["description"]
    assert told_of(returned) == set(report.report([]))


def test_every_part_of_a_row_is_documented() -> None:
    module = importlib.import_module(f"{COLLECTION}.modules.mesh_preflight")
    assert list(yaml.safe_load(module.RETURN)["rows"]["contains"]) == [field.name for field in fields(rows.Row)]


# -- names ---------------------------------------------------------------------------------------------------------


def test_the_longest_names_fit_into_what_kubernetes_allows() -> None:
    longest = names.Owner("i" * 30, "c" * 63, "server")
    assert len(longest.identity_manager) <= 128
    assert all(len(value) <= 63 for value in longest.labels("l" * 40).values())
    for objects in (names.server_objects("l" * 40), names.client_objects("l" * 40)):
        assert all(len(name) <= 253 for found in objects.values() for name in found)
    assert len(names.service_port_name(65535)) <= 15


def test_a_package_that_the_controller_lacks_is_named() -> None:
    (message,) = lacks("kubernetes").messages
    assert (message.code, "kubernetes" in message.what) == ("missing-package", True)
