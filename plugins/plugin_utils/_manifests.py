# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifests of one side, rendered from its role's templates.

PRIVATE to the collection. By Jinja2 itself: the templates loop over what was resolved and nothing else, and Ansible's
own templating copies all variables of a cluster for each file, and gives numbers as texts before ansible-core 2.19.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Manifest
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side

__all__ = ["ROLES", "render"]

ROLES: Mapping[Side, str] = {"server": "mesh_ingress_server", "client": "mesh_egress_client"}
# The C loader reads two hundred links in a tenth of the time; it is not in every build of PyYAML.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def render(side: Side, desired: DesiredSide) -> list[Manifest]:
    """The manifests of a side; without a link there are none."""
    if not (desired["links"] or desired["lockdowns"]):
        return []
    text = _TEMPLATES[side].render(desired)
    manifests: list[Manifest] = yaml.load(text, Loader=_LOADER)
    return manifests


def _environment(role: str) -> Environment:
    folder = Path(__file__).resolve().parents[2] / "roles" / role / "templates"
    # What is rendered is YAML, no HTML: every value is quoted by to_json.
    environment = Environment(
        loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, autoescape=False
    )
    environment.filters["to_json"] = json.dumps
    # Ansible forks for each task: what is compiled here is there before it forks.
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


_TEMPLATES = {side: _environment(role).get_template("manifests.yaml.j2") for side, role in ROLES.items()}
