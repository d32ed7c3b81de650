# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what lists of collections ask of one, as far as a machine can.

The rules are those of the collection requirements (https://docs.ansible.com/ansible/latest/community/collection_contributors/
collection_requirements.html) and of the checklist for certified collections, which ask the same with fewer words.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.tools.package import CHECKOUT, SHIPPED

# Modules that change nothing and yet are no `_info`: what they are for is no value that they return.
JUDGES = {
    "mesh_diagnosis": "writes the archive that was asked for",
    "mesh_preflight_table": "prints what mesh_preflight_info found, and fails for it",
    "mesh_probe": "makes calls, and fails where one gets no answer",
    "mesh_proof": "waits until what was written is served, as ansible.builtin.wait_for does",
    "mesh_report": "writes the report that was asked for",
    "mesh_results": "writes the results that were asked for",
    "mesh_summary": "prints what other modules found",
}
READS = "crossmesh.mtls.attributes.reads"
STATES = frozenset({"present", "absent"})
# Galaxy shows them, and their links, outside of the repository.
SHOWN_ELSEWHERE = ("README.md", "roles/*/README.md")
ABOUT = ("namespace", "name", "version", "readme", "authors", "description", "license", "tags")
ADDRESSES = ("repository", "documentation", "homepage", "issues")
# Written where it is, or once below the text.
_LINK = re.compile(r"(?:\]\(|^\[[^\]]+\]: )([^)\s]+)", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)

Check = Callable[[Path], Iterator[str]]


def public_names(folder: Path) -> Iterator[str]:
    """Code that others could import becomes an interface with the first release: all of it is private."""
    for wing in ("module_utils", "plugin_utils"):
        for path in sorted((folder / "plugins" / wing).iterdir()):
            if not path.name.startswith("_"):
                yield f"{_in(folder, path)}: is public; begin its name with an underscore"


def info_modules(folder: Path) -> Iterator[str]:
    """What only gathers is named so, and what is named so changes nothing."""
    for name, documentation in _modules(folder).items():
        reads = READS in documentation.get("extends_documentation_fragment", [])
        if name.endswith("_info") and not reads:
            yield f"module {name}: is named _info and may change something; use the fragment {READS}, or another name"
        if reads and not name.endswith("_info") and name not in JUDGES:
            yield f"module {name}: changes nothing; name it {name}_info, or say in JUDGES what else it is for"


def queries(folder: Path) -> Iterator[str]:
    """A state is what shall be; what is there is asked by a module of its own."""
    for name, documentation in _modules(folder).items():
        choices = set(documentation.get("options", {}).get("state", {}).get("choices", STATES))
        for choice in sorted(choices - STATES):
            yield f"module {name}: state={choice} only asks; make it another option, or an _info module"


def versions(folder: Path) -> Iterator[str]:
    """Every public plugin and role says since when it is there, and none of it is from the future."""
    released = _version(_galaxy(folder)["version"])
    for where, documented in _documented(folder):
        added = documented.get("version_added")
        if added is None:
            yield f"{where}: has no version_added"
        for item, version in [("", added), *_added(documented.get("options", {}))]:
            if version is not None and _version(version) > released:
                yield f"{where}{item}: version_added {version} is later than galaxy.yml's version"


def action_groups(folder: Path) -> Iterator[str]:
    """One group for module_defaults holds every module."""
    runtime = yaml.safe_load((folder / "meta/runtime.yml").read_text())
    grouped = {name for group in runtime.get("action_groups", {}).values() for name in group}
    for name in sorted(_modules(folder).keys() ^ grouped):
        yield f"meta/runtime.yml: action_groups and plugins/modules differ about {name}"


def about(folder: Path) -> Iterator[str]:
    """Galaxy shows all of this beside the collection."""
    galaxy = _galaxy(folder)
    for field in (*ABOUT, *ADDRESSES):
        if not galaxy.get(field):
            yield f"galaxy.yml: {field} is missing"
    for field in ADDRESSES:
        if not str(galaxy.get(field) or "https://").startswith("https://"):
            yield f"galaxy.yml: {field} is no https address"
    if not re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", str(galaxy["version"])):
        yield "galaxy.yml: version is no semantic version"


def links(folder: Path) -> Iterator[str]:
    """A link leads somewhere wherever the page is shown."""
    ours = re.compile(re.escape(str(_galaxy(folder)["repository"])) + r"/(?:blob|tree)/main/([^#]*)")
    elsewhere = {path for pattern in SHOWN_ELSEWHERE for path in folder.glob(pattern)}
    for page in sorted(elsewhere | set(folder.glob("docs/**/*.md"))):
        for link in _LINK.findall(_CODE.sub("", page.read_text())):
            if within := ours.match(link):
                if not (folder / within[1]).exists():
                    yield f"{_in(folder, page)}: {link}: there is no {within[1]} in the repository"
            elif not link.startswith(("https://", "#")):
                if page in elsewhere:
                    yield f"{_in(folder, page)}: {link}: is relative, and leads nowhere where Galaxy shows the page"
                elif not _shipped(folder, target := Path(os.path.normpath(page.parent / link.partition("#")[0]))):
                    yield f"{_in(folder, page)}: {link}: is not in the package; give {_in(folder, target)}'s address"


def exceptions(folder: Path) -> Iterator[str]:
    """No linter is told to look away."""
    for path in sorted((folder / "tests").glob("sanity/ignore*.txt")):
        yield f"{_in(folder, path)}: lets ansible-test look away"
    for path in sorted([*folder.glob("playbooks/**/*.yml"), *folder.glob("roles/**/*.yml")]):
        if re.search(r"#\s*noqa", path.read_text()):
            yield f"{_in(folder, path)}: noqa lets ansible-lint look away"


def workflows(folder: Path) -> Iterator[str]:
    """What a forge runs is ours, and what it takes from others cannot change under its name."""
    targets = set(re.findall(r"^([\w-]+):", (folder / "Makefile").read_text(), re.MULTILINE))
    for path in sorted(folder.glob(".github/workflows/*.yml")):
        text = path.read_text()
        for action in re.findall(r"uses: (\S+)", text):
            if not re.fullmatch(r"[\w/.-]+@[0-9a-f]{40}", action):
                yield f"{_in(folder, path)}: {action}: give the hash of a commit"
        for target in re.findall(r"run: make (\S+)", text):
            if target not in targets:
                yield f"{_in(folder, path)}: the Makefile has no target {target}"


CHECKS: tuple[Check, ...] = (
    public_names,
    info_modules,
    queries,
    versions,
    action_groups,
    about,
    links,
    exceptions,
    workflows,
)


def _in(folder: Path, path: Path) -> Path:
    return path.relative_to(folder)


def _galaxy(folder: Path) -> dict[str, Any]:
    galaxy: dict[str, Any] = yaml.safe_load((folder / "galaxy.yml").read_text())
    return galaxy


def _shipped(folder: Path, path: Path) -> bool:
    """Whether the package holds a file, or something in a folder."""
    held = path.rglob("*") if path.is_dir() else [path]
    return any(item.is_file() and SHIPPED.fullmatch(str(_in(folder, item))) for item in held)


def _modules(folder: Path) -> dict[str, dict[str, Any]]:
    """The documentation of each module."""
    return {path.stem: _of_python(path) for path in sorted(folder.glob("plugins/modules/*.py"))}


def _of_python(path: Path) -> dict[str, Any]:
    """The documentation that a plugin holds."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION":
            documentation: dict[str, Any] = yaml.safe_load(ast.literal_eval(node.value))
            return documentation
    return {}


def _documented(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every public plugin and role with its documentation."""
    for kind in ("modules", "callback", "inventory"):
        for path in sorted((folder / "plugins" / kind).glob("*.py")):
            yield str(_in(folder, path)), _of_python(path)
    for path in sorted(folder.glob("plugins/filter/*.yml")):
        yield str(_in(folder, path)), yaml.safe_load(path.read_text())["DOCUMENTATION"]
    for path in sorted(folder.glob("roles/*/meta/argument_specs.yml")):
        for name, entry in yaml.safe_load(path.read_text())["argument_specs"].items():
            yield f"{_in(folder, path)}, {name}", entry


def _added(options: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Where an option is, and since when; options of options as well."""
    for name, option in options.items():
        yield f"{above}.{name}", option.get("version_added")
        yield from _added(option.get("suboptions") or option.get("options") or {}, f"{above}.{name}")


def _version(text: Any) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", str(text))[:3])


def main() -> int:
    findings = [finding for check in CHECKS for finding in check(CHECKOUT)]
    for finding in findings:
        print(finding, file=sys.stderr)
    if not findings:
        print(f"{len(CHECKS)} points of publication: nothing is amiss")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
