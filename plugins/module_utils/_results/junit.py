# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results in the dialect of JUnit's XML that GitLab, Jenkins and GitHub actions read. Pure.

PRIVATE to the collection. There is no standard: this is what Apache Ant writes, as Jenkins describes it
(jenkinsci/xunit-plugin, junit-10.xsd), and no more of it than all of them read.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.model import Case, Results, Suite, counted

__all__ = ["to_junit"]

# No check is timed by itself: programs that add up the times of all of them need a number.
_NO_TIME = "0"


def to_junit(results: Results) -> str:
    """The whole file. Text of clusters and stores is escaped, and control characters are written out."""
    root = ET.Element("testsuites", {"name": f"crossmesh.mtls.{results.playbook}", **_numbers(results.suites)})
    for suite in results.suites:
        root.append(_suite(results, suite))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(results: Results, suite: Suite) -> ET.Element:
    # ISO 8601 without a time zone, as the dialect has it; it is UTC.
    attributes = {"name": visible(f"{suite.subject} {suite.name}"), "timestamp": results.at.rstrip("Z")}
    found = ET.Element("testsuite", {**attributes, **_numbers((suite,))})
    properties = ET.SubElement(found, "properties")
    for name, value in (
        ("playbook", results.playbook),
        ("instance", results.instance),
        ("time", results.at),
        ("run", results.run),
        ("check_mode", str(results.check_mode).lower()),
    ):
        ET.SubElement(properties, "property", {"name": name, "value": visible(value)})
    for case in suite.cases:
        found.append(_case(results, suite, case))
    return found


def _case(results: Results, suite: Suite, case: Case) -> ET.Element:
    # By its class name a program knows a check again, and groups those of one cluster or link.
    place = visible(f"crossmesh.{results.playbook}.{suite.subject}.{suite.name}")
    found = ET.Element("testcase", {"classname": place, "name": visible(case.name), "time": _NO_TIME})
    lines = [visible(line) for line in case.messages]
    first = lines[0] if lines else ""
    if case.status in ("failed", "error"):
        told = ET.SubElement(
            found,
            "failure" if case.status == "failed" else "error",
            {"type": visible(case.code or case.name), "message": first},
        )
        told.text = "\n".join(lines)
    elif case.status == "skipped":
        ET.SubElement(found, "skipped", {"message": first})
    elif lines:
        ET.SubElement(found, "system-out").text = "\n".join(lines)
    return found


def _numbers(suites: tuple[Suite, ...]) -> dict[str, str]:
    counts = counted(suites)
    return {
        "tests": str(sum((counts.passed, counts.failed, counts.error, counts.skipped))),
        "failures": str(counts.failed),
        "errors": str(counts.error),
        "skipped": str(counts.skipped),
        "time": _NO_TIME,
    }
