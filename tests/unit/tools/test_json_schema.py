# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schema of the inventory's variables takes what a run takes, and refuses what it refuses."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import check_value
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.links import check_links
from tests.tools.json_schema import FILE
from tests.unit.inventory.test_nulls import SHAPES
from tests.unit.support import CHECKOUT, MYSQL, Json

DOCUMENT: Json = json.loads((CHECKOUT / "docs" / FILE).read_text())
VALIDATOR = Draft202012Validator(DOCUMENT)
# The rules that the document has as well; all others look at more than one value, or into its text.
SHAPE = {"missing", "unknown-key", "type", "choice"}


def takes(variables: Any) -> bool:
    return bool(VALIDATOR.is_valid(variables))


def test_it_is_a_json_schema_of_its_draft() -> None:
    Draft202012Validator.check_schema(DOCUMENT)
    assert DOCUMENT["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


def test_it_knows_every_variable_with_its_description() -> None:
    assert list(DOCUMENT["properties"]) == [field.name for field in schema.VARIABLES]
    assert [name for name, found in DOCUMENT["properties"].items() if not found["description"]] == []


# -- what it takes -------------------------------------------------------------------------------------------------


def inventories() -> list[Path]:
    paths = (path for folder in ("inventories", "examples") for path in (CHECKOUT / folder).rglob("*.yml"))
    return sorted(path for path in paths if "mesh_links:" in path.read_text())


def variables_in(content: Any) -> Iterator[Json]:
    """What a file of group_vars holds, or the C(vars) of an inventory."""
    if isinstance(content, dict):
        if "mesh_links" in content:
            yield content
        for value in content.values():
            yield from variables_in(value)


EXAMPLES = [
    pytest.param(found, id=f"{path.relative_to(CHECKOUT)}-{number}")
    for path in inventories()
    for number, found in enumerate(variables_in(yaml.safe_load(path.read_text())))
]


def test_examples_are_found() -> None:
    assert {str(example.id).rpartition("-")[0] for example in EXAMPLES} == {
        "inventories/example/group_vars/all.yml",
        "inventories/lab/group_vars/all.yml",
        "examples/awx/inventory.yml",
    }


@pytest.mark.parametrize("found", EXAMPLES)
def test_it_takes_every_inventory_of_the_project(found: Json) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(found)] == []


PAGES = sorted([*CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("roles/*/README.md"), CHECKOUT / "README.md"])
_BLOCK = re.compile(r"```ya?ml\n(.*?)```", re.S)


def blocks(page: Path) -> list[Json]:
    """The pieces of inventories that a page shows."""
    found = [yaml.safe_load(text) for text in _BLOCK.findall(page.read_text()) if re.match(r"(mesh|custom_ca)_", text)]
    return [block for block in found if isinstance(block, dict)]


def test_it_takes_what_the_pages_show() -> None:
    shown = {page.name: blocks(page) for page in PAGES}
    assert {name for name, found in shown.items() if found} >= {"links.md", "verify.md"}, "the probe finds them"
    faults = [
        f"{page}: {error.json_path}: {error.message}"
        for page, found in shown.items()
        for block in found
        for error in VALIDATOR.iter_errors(block)
        # Most show the keys that they speak of, and not the whole of a link.
        if error.validator != "required"
    ]
    assert faults == []


@pytest.mark.parametrize("shape", SHAPES)
def test_it_takes_every_kind_of_link(shape: str) -> None:
    assert takes({"mesh_links": [SHAPES[shape]]})


@pytest.mark.parametrize(
    "variables",
    [
        None,
        {"ansible_connection": "local", "own": {"anything": [1]}, "__mesh_note": 1},
        {"mesh_links": "{{ links_of_production }}"},
        {"mesh_links": ["{{ a_link }}"]},
        {"mesh_links": [{**MYSQL, "port": "{{ port }}", "backend": "{{ backend }}", "protocol": "{{ protocol }}"}]},
        {"mesh_gate_timeout": "{% if slow %}120{% endif %}", "mesh_adopt": "{{ adopts }}"},
        {"custom_ca_revoked": [{"link": "mysql", "date": "2026-03-01", "reason": "superseded"}]},
        {"mesh_clusters": {"cluster-a": ["mesh_clients"], "cluster-b": "{{ sides }}"}},
        {"mesh_rotate_serial": 2},
        {"mesh_rotate_serial": "10%"},
        {"mesh_rotate_serial": [1, "10%"]},
    ],
)
def test_it_takes_what_a_run_takes(variables: Any) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(variables)] == []


# -- what it refuses -----------------------------------------------------------------------------------------------


def changed(*path: Any, value: Any) -> Json:
    """A link of protocol http with every key, one of which has another value."""
    variables: Json = {"mesh_links": [copy.deepcopy(SHAPES["http"])]}
    place: Any = variables
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return variables


MISTAKES = {
    "a misspelt variable": {"mesh_linkz": []},
    "a misspelt variable of the CA": {"custom_ca_leaf_validity": 30},
    "a misspelt key of a link": changed("mesh_links", 0, "fdqn", value="mysql.server.example.com"),
    "a misspelt key of a backend": changed("mesh_links", 0, "backend", "prot", value=3306),
    "a misspelt key of a server": changed("mesh_links", 0, "servers", 0, "adress", value="203.0.113.7"),
    "a misspelt key of a probe's pod": changed("mesh_links", 0, "probe", "from", "namespce", value="shop"),
    "a misspelt key of a gateway": {"mesh_ingress_gateway": {"servce": "edge"}},
    "a misspelt key of a revocation": {"custom_ca_revoked": [{"links": "mysql", "date": "2026-03-01"}]},
    "a word for a port": changed("mesh_links", 0, "port", value="mysql"),
    "a list for a mapping": changed("mesh_links", 0, "backend", value=["mysql.default.svc.cluster.local"]),
    "a string for a list": changed("mesh_links", 0, "clients", value="cluster-a"),
    "a number for a name": changed("mesh_links", 0, "name", value=7),
    "a number among names": changed("mesh_links", 0, "clients", value=[7]),
    "a switch that is none": {"mesh_adopt": "perhaps"},
    "a number that is no switch": {"mesh_adopt": 2},
    "an unknown choice": changed("mesh_links", 0, "protocol", value="https"),
    "no value where one is required": changed("mesh_links", 0, "fqdn", value=None),
    "links by name": {"mesh_links": {"mysql": MYSQL}},
    "links that are names": {"mesh_links": ["mysql"]},
    "no date": {"custom_ca_revoked": [{"link": "mysql"}]},
    **{f"no {key}": {"mesh_links": [{k: v for k, v in MYSQL.items() if k != key}]} for key in MYSQL},
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_it_refuses_a_mistake(mistake: str) -> None:
    assert takes(changed("mesh_links", 0, "port", value=80)), "the control"
    assert not takes(MISTAKES[mistake])


VALUES: list[Any] = [
    *(None, "", " ", "text", "7", "-7", " 7 ", "33o6", "7.5", 7, -7, 0, 1, 2, 1.5, True, False),
    *("true", "False", "YES", "off", "1", "0", "perhaps", [], {}, ["text"], [7], {"key": "text"}),
]


# What is in a list, rules look at that say more of it than its type.
OF_SHAPE = [value for value in VALUES if value != [7]]


def wrong_for_a_run(field: schema.Field, given: Any) -> bool:
    value = schema.coerced(field, given)
    if value is None:
        return field.required
    return any(check_value("here", field.name, value, field))


OF_ONE_VALUE = [field for field in schema.CONTRACT if field.type in ("str", "int", "bool")]


@pytest.mark.parametrize("field", OF_ONE_VALUE, ids=lambda field: field.name)
def test_it_judges_a_value_as_a_run_does(field: schema.Field) -> None:
    values = [*VALUES, *field.choices]
    assert [value for value in values if takes({field.name: value}) == wrong_for_a_run(field, value)] == []


def links_to_judge() -> Iterator[Json]:
    """Each link with each key taken away, misspelt, or with another value, in all the mappings in it."""
    for link in SHAPES.values():
        for place in ["", *(key for key, value in link.items() if isinstance(value, dict))]:
            for key in link[place] if place else link:
                for value in OF_SHAPE:
                    yield _with(link, place, key, value)
                yield _with(link, place, f"{key}s", "text")


def _with(link: Json, place: str, key: str, value: Any) -> Json:
    return {**link, place: {**link[place], key: value}} if place else {**link, key: value}


def refused_by_a_run(link: Json) -> bool:
    (field,) = (field for field in schema.SHARED if field.name == "mesh_links")
    return any(finding.code in SHAPE for finding in check_links(schema.coerced(field, [link])))


def test_it_judges_a_link_as_a_run_does() -> None:
    links = list(links_to_judge())
    assert len({refused_by_a_run(link) for link in links}) == 2, "some are refused, and some are not"
    assert [link for link in links if takes({"mesh_links": [link]}) == refused_by_a_run(link)] == []
