# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWX project that people copy: what it names is there, and the modules for AWX take what it says."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import ASKED
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from tests.unit.support import CHECKOUT, Json
from tests.unit.tools.awx_project import PROJECT, calls, named

PLAYBOOKS = sorted(path for path in PROJECT.glob("*.yml") if path.stem not in ("controller", "inventory"))


@cache
def documented(module: str) -> Json:
    """The options of a module, as its documentation has them: importing it would ask for AWX."""
    found = find_spec("ansible_collections")
    folders = [Path(folder) for folder in (found.submodule_search_locations or ())] if found else []
    (path,) = (path for folder in folders if (path := folder / f"awx/awx/plugins/modules/{module}.py").is_file())
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION":
            return dict(yaml.safe_load(ast.literal_eval(node.value))["options"])
    raise AssertionError(f"{module} has no documentation")


def spec_of(options: Mapping[str, Json]) -> Json:
    kept = ("type", "required", "choices", "elements", "aliases")
    return {
        name: {key: option[key] for key in kept if key in option}
        | ({"options": spec_of(option["suboptions"])} if "suboptions" in option else {})
        for name, option in options.items()
    }


def refused_by(module: str, given: Mapping[str, Any]) -> list[str]:
    return list(ArgumentSpecValidator(spec_of(documented(module))).validate(dict(given)).error_messages)


@pytest.mark.parametrize(("module", "given"), [*calls()], ids=lambda value: str(value)[:30])
def test_a_module_for_awx_takes_what_it_is_given(module: str, given: Json) -> None:
    assert refused_by(module, given) == []


def test_what_such_a_module_does_not_take_is_seen() -> None:
    nodes = [{"identifier": "a", "unified_job_template": {"nome": "x"}}]
    assert refused_by("job_template", {"name": "x", "play_book": "x"})
    assert refused_by("job_template", {"name": "x", "job_type": "try"})
    assert refused_by("workflow_job_template", {"name": "x", "workflow_nodes": nodes})
    assert refused_by("inventory", {"name": "x"})


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_playbook_of_the_project_is_one_of_ours(path: Path) -> None:
    (imported,) = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert imported["ansible.builtin.import_playbook"] == f"crossmesh.mtls.{path.stem}"
    assert (CHECKOUT / f"playbooks/{path.name}").is_file()


def test_each_playbook_has_a_template_and_each_template_what_it_needs() -> None:
    templates = named("job_template")
    assert {given["playbook"] for given in templates.values()} == {path.name for path in PLAYBOOKS}
    for given in templates.values():
        assert set(given["credentials"]) <= set(named("credential"))
        assert given["project"] in named("project")
        assert given["inventory"] in named("inventory")
        assert given["execution_environment"] in named("execution_environment")
        assert set(given["instance_groups"]) <= set(named("instance_group"))
        assert given["timeout"] > 0
    (source,) = named("inventory_source").values()
    assert (PROJECT / source["source_path"]).is_file()


def test_credentials_are_of_types_that_there_are() -> None:
    assert {given["credential_type"] for given in named("credential").values()} <= set(named("credential_type"))


@pytest.mark.parametrize("name", [*named("credential_type")])
def test_a_secret_goes_into_a_file_or_an_extra_variable_and_never_into_the_environment(name: str) -> None:
    """What ansible-runner keeps of a job shows its environment."""
    given = named("credential_type")[name]
    secrets = {field["id"] for field in given["inputs"]["fields"] if field.get("secret")}
    injectors = given["injectors"]
    used = {into: set(re.findall(r"{{ ([\w.]+) }}", " ".join(values.values()))) for into, values in injectors.items()}
    assert secrets == set(given["inputs"]["required"])
    assert used.get("env", set()) <= {"tower.filename"}
    assert secrets == used.get("file", set()) | used.get("extra_vars", set())
    assert ("env" in injectors) == ("file" in injectors)


def test_a_survey_asks_for_variables_of_its_playbook_and_offers_what_they_take() -> None:
    offered = {}
    for given in named("job_template").values():
        for question in questions(given):
            playbook = (CHECKOUT / "playbooks" / given["playbook"]).read_text(encoding="utf-8")
            contract = question["variable"] in {field.name for field in schema.CONTRACT}
            assert contract or re.search(rf"{question['variable']} \| default|-e {question['variable']}=", playbook)
            choices = set(question.get("choices", ()))
            assert question["default"] in choices if choices else not question["required"]
            offered[question["variable"]] = choices
    assert offered == {
        "mesh_rotate_phase": {*filter(None, ASKED)},
        "mesh_rotate_force": {"true", "false"},
        "mesh_adopt": {"true", "false"},
        "mesh_report_query": set(),
        "mesh_report_dir": set(),
        "mesh_render_dir": set(),
        "mesh_schedule_dir": set(),
        "mesh_diagnose_dir": set(),
        "mesh_history_of": set(),
        "custom_ca_restored": set(),
        "custom_ca_take_over": set(),
    }


def questions(template: Mapping[str, Any]) -> list[Json]:
    return list(template.get("survey_spec", {}).get("spec", ()))


def chain(workflow: str) -> list[str]:
    """What a workflow does where each node is green, one after the other."""
    nodes = {node["identifier"]: node for node in named("workflow_job_template")[workflow]["workflow_nodes"]}
    following = {name: [n["identifier"] for n in related(node)] for name, node in nodes.items()}
    (here,) = nodes.keys() - {name for names in following.values() for name in names}
    found = []
    while here:
        found.append(step(nodes[here]))
        (here,) = following[here] or [""]
    assert len(found) == len(nodes)
    return found


def related(node: Mapping[str, Any]) -> list[Json]:
    found = node.get("related", {})
    assert set(found) <= {"success_nodes"}, "a failure ends a workflow"
    return list(found.get("success_nodes", ()))


def step(node: Mapping[str, Any]) -> str:
    template, given = node["unified_job_template"], node.get("extra_data", {})
    if template["type"] == "workflow_approval":
        return "approval"
    called = named("job_template")[template["name"]]
    # What no survey asks for, AWX leaves out of a node without a word.
    assert set(given) <= {question["variable"] for question in questions(called)}
    return " ".join([Path(called["playbook"]).stem, *given.values()])


def test_the_workflows_go_on_only_where_all_is_green_and_phases_wait_for_a_person() -> None:
    assert chain("Crossmesh apply") == ["preflight", "site", "verify"]
    assert chain("Crossmesh root rotation") == [
        "rotate_ca prepare",
        "approval",
        "rotate_ca switch",
        "approval",
        "rotate_ca retire",
        "verify",
    ]


def test_what_is_scheduled_is_a_template_and_asks_for_what_it_gets() -> None:
    scheduled = named("schedule").values()
    assert {Path(named("job_template")[given["unified_job_template"]]["playbook"]).stem for given in scheduled} == {
        "rotate_certificates",
        "verify",
    }
    for given in scheduled:
        template = named("job_template")[given["unified_job_template"]]
        assert set(given.get("extra_data", {})) <= {question["variable"] for question in questions(template)}


def test_the_inventory_keeps_the_ca_in_secrets_that_the_one_kubeconfig_leads_to() -> None:
    variables = yaml.safe_load((PROJECT / "inventory.yml").read_text(encoding="utf-8"))["all"]["vars"]
    assert set(variables) - {field.name for field in schema.CONTRACT} == {
        "ansible_connection",
        "ansible_python_interpreter",
    }
    assert variables["custom_ca_store"] == "kubernetes"
    assert variables["custom_ca_store_kubeconfig"] == variables["mesh_kubeconfig"] == "environment"
    assert variables["custom_ca_store_context"]


def test_the_pods_of_jobs_have_no_disk_of_their_own() -> None:
    (group,) = named("instance_group").values()
    pod = yaml.safe_load(group["pod_spec_override"].replace("{{ crossmesh_image }}", "image"))
    made = yaml.safe_load((PROJECT / "kubernetes/container-group.yaml").read_text(encoding="utf-8"))["items"]
    assert {item["metadata"].get("namespace", item["metadata"]["name"]) for item in made} == {
        pod["metadata"]["namespace"]
    }
    assert "volumes" not in pod["spec"]
    assert "volumeMounts" not in pod["spec"]["containers"][0]


def test_the_pods_of_jobs_are_of_the_group_that_the_image_is_made_for() -> None:
    """ansible-builder gives the working folder to group 0, and OpenShift gives a pod whatever user it likes."""
    (group,) = named("instance_group").values()
    pod = yaml.safe_load(group["pod_spec_override"].replace("{{ crossmesh_image }}", "image"))
    assert pod["spec"]["securityContext"] == {"runAsNonRoot": True}
