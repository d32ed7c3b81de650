# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in two places says the same: schema and docs, defaults and specs, arguments and documentation."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.action import mesh_cluster_info
from ansible_collections.crossmesh.mtls.plugins.doc_fragments import attributes as attribute_fragments
from ansible_collections.crossmesh.mtls.plugins.doc_fragments import looks as looks_fragments
from ansible_collections.crossmesh.mtls.plugins.doc_fragments import variables as variable_fragments
from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.external import Outcome
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.external import report as external_report
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import report as credentials_report
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import ca_in_cluster
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.status import LinkSide
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight import report, rows
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, ClusterAction, Variables, lacks
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._manifests import ROLES as ROLE_OF_SIDE
from tests.tools import inventory_docs
from tests.unit.plan.test_plan import AUTHORITY, plan_of, settled_reading
from tests.unit.support import CHECKOUT, SERVER, Json, link, view

COLLECTION = "ansible_collections.crossmesh.mtls.plugins"

FIELDS = {field.name: field for field in schema.CONTRACT}
# Read by actions beside the contract; never an argument, and in no result.
SECRETS = frozenset({"custom_ca_passphrase", "custom_ca_import_passphrase", "mesh_api_key"})


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def named_in(text: str) -> set[str]:
    """The contract's variables, and the secrets, that a text names."""
    return set(re.findall(r"\b(?:mesh|custom_ca)_\w+", text)) & (FIELDS.keys() | SECRETS)


# -- the docs of the schema ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", inventory_docs.PAGES)
def test_a_page_about_the_inventory_is_what_the_code_says(name: str) -> None:
    assert (CHECKOUT / "docs" / name).read_text() == inventory_docs.PAGES[name](), "run make docs"


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


def test_every_variable_of_the_contract_is_on_the_page_once() -> None:
    shown = [field.name for field in ALL_FIELDS if field.name.startswith(("mesh_", "custom_ca_"))]
    assert shown == list(dict.fromkeys(shown))
    assert set(shown) == FIELDS.keys() | {field.name for field in schema.PLAYBOOK}
    # Beside them those that have no place in a table of defaults and examples.
    assert named_in(inventory_docs.links_page()) == FIELDS.keys() | SECRETS


# -- roles ---------------------------------------------------------------------------------------------------------

ROLES = sorted(path.parent.parent for path in CHECKOUT.glob("roles/*/meta/argument_specs.yml"))
SIDE_ROLES = [CHECKOUT / "roles" / role for role in ROLE_OF_SIDE.values()]
# What it takes is between it and the playbooks.
INTERNAL = "mesh_side"


def options_of(role: Path) -> Json:
    found: Json = loaded(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return found


OPTIONS = [pytest.param(role, name, option, id=name) for role in ROLES for name, option in options_of(role).items()]


def test_every_role_with_options_is_looked_at() -> None:
    with_defaults = {path.parent.parent.name for path in CHECKOUT.glob("roles/*/defaults/main.yml")}
    assert with_defaults - {INTERNAL} == {role.name for role in ROLES} == {"custom_ca", *ROLE_OF_SIDE.values()}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_default_of_a_role_is_documented_as_it_is(role: Path) -> None:
    documented = {name: option["default"] for name, option in options_of(role).items() if "default" in option}
    assert loaded(role / "defaults/main.yml") == documented
    assert documented
    assert [name for name in options_of(role) if not name.startswith(f"{role.name}_")] == []


@pytest.mark.parametrize(("role", "name", "option"), OPTIONS)
def test_the_default_of_a_variable_stands_in_the_schema_alone(role: Path, name: str, option: Json) -> None:
    if "default" in option:
        assert name not in FIELDS.keys() | SECRETS
    elif name in SECRETS:
        assert (option["type"], option["no_log"]) == ("str", True)
    else:
        field = FIELDS[name]
        assert (option["type"], tuple(option.get("choices", ()))) == (field.type, field.choices)
        assert option.get("no_log", False) is False


@pytest.mark.parametrize("role", SIDE_ROLES, ids=lambda role: role.name)
def test_a_side_is_told_nothing_but_its_state(role: Path) -> None:
    assert list(options_of(role)) == [f"{role.name}_state"]


def test_both_sides_have_the_same_options() -> None:
    first, second = (
        {name.removeprefix(f"{role.name}_"): {**option, "description": ""} for name, option in options_of(role).items()}
        for role in SIDE_ROLES
    )
    assert first == second


# -- what tasks hand on --------------------------------------------------------------------------------------------

TASKS = sorted(
    path for part in ("playbooks", "roles") for path in CHECKOUT.glob(f"{part}/**/*.yml") if path.parent.name != "meta"
)
OURS = "crossmesh.mtls."


def calls(content: Any, prefix: str) -> Iterator[tuple[str, Json]]:
    """The modules of a collection that tasks call, wherever these stand, with their arguments."""
    if isinstance(content, dict):
        for key, value in content.items():
            if str(key).startswith(prefix):
                yield key.removeprefix(prefix), value or {}
            yield from calls(value, prefix)
    elif isinstance(content, list):
        for item in content:
            yield from calls(item, prefix)


def handed_on(content: Any) -> list[str]:
    """Arguments of our actions in which a variable stands that they read by themselves."""
    return [
        f"{module}: {name}"
        for module, arguments in calls(content, OURS)
        for name, value in arguments.items()
        if named_in(json.dumps(value))
    ]


@pytest.mark.parametrize("path", TASKS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_no_variable_is_handed_on_to_what_reads_it_by_itself(path: Path) -> None:
    content = loaded(path)
    assert handed_on(content) == []
    # mesh_manifests hands it the connection, and nobody else does.
    assert list(calls(content, "kubernetes.core.")) == []
    # Not in a condition or a text either.
    assert named_in(path.read_text()) & SECRETS == set()


def test_a_variable_that_is_handed_on_is_found() -> None:
    task = {"name": "Make the CA", "crossmesh.mtls.custom_ca": {"state": "present", "path": "{{ custom_ca_dir }}"}}
    assert handed_on([{"hosts": "localhost", "tasks": [{"block": [task]}]}]) == ["custom_ca: path"]
    assert handed_on([{"tasks": [{"crossmesh.mtls.custom_ca": {"state": "{{ custom_ca_state }}"}}]}]) == []


def test_every_action_is_called_by_a_playbook_or_a_role() -> None:
    called = {module for path in TASKS for module, _arguments in calls(loaded(path), OURS)}
    assert called == set(ACTIONS)


# -- actions -------------------------------------------------------------------------------------------------------

MODULES = sorted(path.stem for path in CHECKOUT.glob("plugins/modules/*.py"))
ACTIONS = sorted(path.stem for path in CHECKOUT.glob("plugins/action/*.py"))


def action_of(name: str) -> Any:
    return importlib.import_module(f"{COLLECTION}.action.{name}").ActionModule


def module_text(module: str, part: str) -> str:
    text: str = getattr(importlib.import_module(f"{COLLECTION}.modules.{module}"), part)
    return text


def documentation(module: str) -> Json:
    found: Json = yaml.safe_load(module_text(module, "DOCUMENTATION"))
    return found


def returned(module: str) -> Json:
    found: Json = yaml.safe_load(module_text(module, "RETURN"))
    return found


def fragments_of(module: str, file: str = "variables") -> list[str]:
    """The fragments of a file that a module's documentation extends, by the names of their attributes."""
    used: list[str] = documentation(module).get("extends_documentation_fragment", [])
    assert [name for name in used if name.split(".")[:2] != COLLECTION.split(".")[1:3]] == []
    parts = [name.split(".")[2:] for name in used]
    return [(names or ["documentation"])[0].upper() for found, *names in parts if found == file]


def as_argument_spec(options: Json) -> Json:
    """What documentation says of the options, in the words of an argument spec."""
    keys = ("type", "elements", "required", "default", "choices")
    return {
        name: {key: option[key] for key in keys if key in option}
        | ({"options": as_argument_spec(option["suboptions"])} if "suboptions" in option else {})
        for name, option in options.items()
    }


def documented_options(module: str) -> Json:
    """Its own, and those that it has in common with others."""
    shared = (getattr(looks_fragments.ModuleDocFragment, name) for name in fragments_of(module, "looks"))
    found: Json = documentation(module)["options"]
    for text in shared:
        found |= yaml.safe_load(text)["options"]
    return found


def test_every_action_is_documented_as_a_module() -> None:
    assert ACTIONS == MODULES
    assert ACTIONS


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_documentation_and_nothing_else(module: str) -> None:
    statements = ast.parse((CHECKOUT / f"plugins/modules/{module}.py").read_text()).body
    assert isinstance(statements[0], ast.ImportFrom)
    assert statements[0].module == "__future__"
    assert [ast.unparse(statement).split(" = ")[0] for statement in statements[1:]] == [
        "DOCUMENTATION",
        "EXAMPLES",
        "RETURN",
    ]
    assert documentation(module)["module"] == module


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_takes_what_its_module_documents(action: str) -> None:
    specification = json.loads(json.dumps(action_of(action).ARGUMENTS))
    assert specification == as_argument_spec(documented_options(action))


@pytest.mark.parametrize("action", ACTIONS)
def test_no_secret_and_no_variable_of_the_contract_is_an_option(action: str) -> None:
    text = json.dumps(action_of(action).ARGUMENTS)
    assert [word for word in ("no_log", "passphrase") if word in text] == []
    assert named_in(text) == set()


@pytest.mark.parametrize("module", MODULES)
def test_examples_give_an_action_what_it_takes(module: str) -> None:
    found = list(calls(yaml.safe_load(module_text(module, "EXAMPLES")), OURS))
    assert module in {name for name, _arguments in found}
    for name, arguments in found:
        specification = action_of(name).ARGUMENTS
        assert arguments.keys() <= specification.keys()
        assert {option for option, given in specification.items() if given.get("required")} <= arguments.keys()


# -- what actions read ---------------------------------------------------------------------------------------------


def source_of(member: Any) -> str:
    unwrapped = member.func if isinstance(member, cached_property) else getattr(member, "fget", member)
    return inspect.getsource(unwrapped)


MEMBERS = {
    name: source_of(member)
    for name, member in vars(Variables).items()
    if isinstance(member, (cached_property, property)) or inspect.isfunction(member)
    if not name.startswith("__")
}


def read_by(source: str) -> set[str]:
    """The variables that are named where they are read, in an action or in what it asks its variables for."""
    found = named_in(source)
    for name, of_member in MEMBERS.items():
        if re.search(rf"\b(?:variables|self)\.{name}\b", source) and of_member != source:
            found |= read_by(of_member)
    return found


def documented_reads(module: str) -> set[str]:
    """The variables that a module's documentation names; a reference to a table stands for all that are in it."""
    used = fragments_of(module)
    text = module_text(module, "DOCUMENTATION") + "".join(
        getattr(variable_fragments.ModuleDocFragment, name) for name in used
    )
    table = {field.name for field in (*schema.CLUSTER, *schema.SHARED)} if "DESIRED" in used else set()
    return named_in(text) | table


# It decides about directories as about Secrets, and what is in them is ours or refused.
MEANS_NOTHING = {"custom_ca_external": {"mesh_adopt"}}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_module_names_the_variables_that_its_action_reads(action: str) -> None:
    read = read_by((CHECKOUT / f"plugins/action/{action}.py").read_text())
    assert read - MEANS_NOTHING.get(action, set()) - documented_reads(action) == set()


def test_a_module_that_hands_limits_on_says_what_they_bound() -> None:
    """What all modules have in common speaks of answers to the collection itself."""
    handing = [name for name in ACTIONS if ".limits()" in (CHECKOUT / f"plugins/action/{name}.py").read_text()]
    assert handing
    for name in handing:
        assert named_in(module_text(name, "DOCUMENTATION")) >= {"mesh_api_timeout", "mesh_cluster_timeout"}


def test_reads_are_found_in_what_an_action_asks_for() -> None:
    of_both = {"custom_ca_store", "custom_ca_dir", "mesh_instance", "mesh_api_timeout"}
    of_secrets = {f"custom_ca_store_{name}" for name in ("namespace", "name", "kubeconfig", "context")}
    of_answers = {"mesh_api_max_bytes", "mesh_cluster_timeout"}
    # What programs that log in may not get is read as well: secrets, to be withheld.
    assert read_by("variables.store()") - SECRETS == of_both | of_secrets | of_answers
    assert read_by("variables.wanted_root()") >= {"custom_ca_import_key", "custom_ca_import_passphrase"}
    assert read_by("variables.ca_findings()") >= {"custom_ca_trust_domain", "custom_ca_passphrase"}
    assert read_by("variables.filled['mesh_gate_wait']") == {"mesh_gate_wait"}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_names_no_variable_that_there_is_not(module: str) -> None:
    text = "".join(module_text(module, part) for part in ("DOCUMENTATION", "EXAMPLES", "RETURN"))
    text += "".join(getattr(variable_fragments.ModuleDocFragment, name) for name in fragments_of(module))
    of_roles = {name for role in ROLES for name in options_of(role)}
    of_playbooks = {field.name for field in schema.PLAYBOOK}
    known = {*FIELDS, *SECRETS, *of_roles, *of_playbooks, "mesh_servers", "mesh_clients"}
    assert set(re.findall(r"\bC\(((?:mesh|custom_ca)_\w+)\)", text)) - known == set()


@pytest.mark.parametrize("action", ACTIONS)
def test_a_module_says_what_its_action_needs(action: str) -> None:
    found, used = action_of(action), fragments_of(action)
    assert ("DOCUMENTATION" in used) == issubclass(found, Action)
    assert ("CLUSTER" in used) == issubclass(found, ClusterAction)


def test_every_fragment_is_used() -> None:
    files = {"variables": variable_fragments, "attributes": attribute_fragments, "looks": looks_fragments}
    assert {path.stem for path in CHECKOUT.glob("plugins/doc_fragments/*.py")} == set(files)
    for name, file in files.items():
        used = {fragment for module in MODULES for fragment in fragments_of(module, name)}
        assert used == {attribute for attribute in vars(file.ModuleDocFragment) if attribute.isupper()}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_check_mode_does_in_the_words_of_one_fragment(module: str) -> None:
    assert len(fragments_of(module, "attributes")) == 1


# -- what actions return -------------------------------------------------------------------------------------------

# Ansible's own words, which no module documents.
COMMON = frozenset({"changed", "failed", "diff", "warnings", "skipped", "skip_reason"})


def texts_of(source: str) -> set[str]:
    constants = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)}


def literally_returned(source: str) -> set[str]:
    """The keys of the results that an action writes out."""
    tree = ast.parse(source)
    works = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in ("work", "run")]
    values = [node.value for work in works for node in ast.walk(work) if isinstance(node, ast.Return)]
    keys = [key for value in values if isinstance(value, ast.Dict) for key in value.keys]
    return {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_result_is_documented(action: str) -> None:
    source = (CHECKOUT / f"plugins/action/{action}.py").read_text()
    documented = set(returned(action))
    # A failure's text needs no words.
    assert literally_returned(source) - COMMON - {"msg"} <= documented
    reported = {"custom_ca_external": external_report(Outcome([], [], []), "")}.get(action, {})
    of_all = {"unfinished", "errors"} if issubclass(action_of(action), Action) else set()
    assert documented <= texts_of(source) | reported.keys() | of_all
    assert reported.keys() - COMMON <= documented


def test_every_part_of_a_look_at_a_side_is_documented() -> None:
    desired = view([link()], SERVER)["server"]
    found = mesh_cluster_info._side(plan_of(settled_reading()), settled_reading(), desired, AUTHORITY)
    documented = returned("mesh_cluster_info")["sides"]["contains"]["server"]["contains"]
    assert set(documented) == set(found)
    types = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
    assert {name: type(value) for name, value in found.items()} == {
        name: types[part["type"]] for name, part in documented.items()
    }
    assert told_of(documented["status"]["description"]) == {field.name for field in fields(LinkSide)}


def test_every_part_of_what_a_cluster_tells_of_the_ca_is_documented() -> None:
    found = ca_in_cluster(settled_reading(), "default", "cluster-b")
    assert set(returned("mesh_cluster_info")["ca"]["contains"]) == set(found)


def test_every_part_of_what_credentials_report_is_documented() -> None:
    documented = returned("mesh_credentials")["sides"]["contains"]["server"]["contains"]
    assert set(documented) == set(credentials_report([])) - {"diff"}


# -- filters -------------------------------------------------------------------------------------------------------

FILTERS = sorted(CHECKOUT.glob("plugins/filter/*.py"))


def test_every_filter_is_documented() -> None:
    assert [path.stem for path in FILTERS] == sorted(path.stem for path in CHECKOUT.glob("plugins/filter/*.yml"))
    assert FILTERS


def filters_in(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = importlib.import_module(f"{COLLECTION}.filter.{path.stem}").FilterModule().filters()
    return found


@pytest.mark.parametrize("path", FILTERS, ids=lambda path: path.stem)
def test_a_filter_is_documented_under_its_own_name(path: Path) -> None:
    assert set(filters_in(path)) == {path.stem} == {loaded(path.with_suffix(".yml"))["DOCUMENTATION"]["name"]}


@pytest.mark.parametrize("path", FILTERS, ids=lambda path: path.stem)
def test_a_filter_documents_what_it_takes(path: Path) -> None:
    options = loaded(path.with_suffix(".yml"))["DOCUMENTATION"]["options"]
    _input, *others = inspect.signature(filters_in(path)[path.stem]).parameters.values()
    assert list(options) == ["_input", *(parameter.name for parameter in others)]
    for parameter in others:
        option = options[parameter.name]
        if parameter.default is parameter.empty:
            assert option["required"] is True
            assert "default" not in option
        else:
            assert "required" not in option
            assert option["default"] == json.loads(json.dumps(parameter.default))


def told_of(text: str) -> set[str]:
    """The names that a filter's documentation says its result has."""
    return set(re.findall(r"C\((\w+)\)", text))


# -- the preflight -------------------------------------------------------------------------------------------------


def test_every_check_is_explained_and_no_other() -> None:
    _before, _title, section = (CHECKOUT / "docs/preflight.md").read_text().partition("## What is checked")
    assert re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE) == list(rows.CHECKS)


def test_every_part_of_a_report_is_documented() -> None:
    described = loaded(CHECKOUT / "plugins/filter/preflight_report.yml")["RETURN"]["_value"]["description"]
    assert told_of(described) == set(report.report([]))


def test_every_part_of_a_row_is_documented() -> None:
    documented = returned("mesh_preflight_info")["rows"]["contains"]
    assert list(documented) == [field.name for field in fields(rows.Row)]


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
