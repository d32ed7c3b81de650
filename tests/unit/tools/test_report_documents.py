# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports, results and a bill of materials, held against their schemas by the libraries that read such documents."""

from __future__ import annotations

import copy
import json

import jsonschema
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ansible_collections.crossmesh.mtls.plugins.module_utils._report.assembly import report_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.cbom import to_cbom
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Report
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.schema import json_schema, to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.model import results_schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._typed_json import plain_json
from tests.unit.report.estates import Estate, one_link, ten_links
from tests.unit.results.test_results import SUITES, results

SCHEMA = json_schema()


@pytest.fixture(scope="module")
def ten() -> Report:
    return report_of(ten_links().sources())


def test_a_report_is_as_its_schema_says(ten: Report) -> None:
    for report in (ten, report_of(one_link().sources()), report_of(Estate([], {}).sources())):
        jsonschema.validate(to_json(report), SCHEMA, jsonschema.Draft202012Validator)


def test_what_is_no_report_is_not_as_the_schema_says(ten: Report) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for spoil in ({"days_left": "soon"}, {"state": "fine"}, {"private_key": "none"}):
        found = copy.deepcopy(to_json(ten))
        found["links"][0] |= spoil
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(found, SCHEMA, jsonschema.Draft202012Validator)


def test_results_are_as_their_schema_says() -> None:
    found = plain_json(results(*SUITES[:1], *SUITES[2:], finished=False))
    jsonschema.validate(found, results_schema(), jsonschema.Draft202012Validator)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**found, "passed": "no"}, results_schema(), jsonschema.Draft202012Validator)


def test_the_bill_of_materials_is_valid_and_has_every_certificate(ten: Report) -> None:
    bill = to_cbom(ten)
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(bill)) is None
    # The control: the same probe finds what is wrong.
    spoiled = {**bill, "components": [{**bill["components"][0], "type": "key"}]}
    assert validator.validate_str(json.dumps(spoiled)) is not None
    kinds = [item["cryptoProperties"]["assetType"] for item in bill["components"]]
    assert kinds.count("certificate") == len(ten.certificates) + len(ten.roots)
    assert {item["name"] for item in bill["components"]} >= {"P-256", "ecdsa-with-SHA256", "TLSv1.2", "TLSv1.3"}
    references = {item["bom-ref"] for item in bill["components"]} | {"estate"}
    used = {ref for item in bill["dependencies"] for ref in (item["ref"], *item["dependsOn"])}
    assert used <= references
