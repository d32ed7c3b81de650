# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubectl as a yardstick: it writes what the site playbook has written, but Secrets. It can hardly be done faster."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab.settings import CHECKOUT

from .contenders import SITE, Contender, objects
from .process import Measured, measure
from .stage import Member, Stage

FLOOR = Contender("kubectl apply", Path(), SITE.selector, "bench-floor")

# What each cluster is to hold.
Manifests = Mapping[Member, Sequence[dict[str, Any]]]


def manifests(here: Stage) -> Manifests:
    """What the site playbook has written in each cluster of the inventory."""
    return {
        member: objects(here.lab, member.context, f"{SITE.selector},crossmesh/cluster={member.name}")
        for member in here.members
    }


def apply(here: Stage, wanted: Manifests) -> list[Measured]:
    """One kubectl a cluster, one after the other."""
    command = ("apply", "--server-side", f"--field-manager={FLOOR.manager}", "-f", "-")
    return [_kubectl(here, member, command, items) for member, items in wanted.items()]


def delete(here: Stage, unwanted: Manifests) -> list[Measured]:
    command = ("delete", "--wait=false", "-f", "-")
    return [_kubectl(here, member, command, items) for member, items in unwanted.items()]


def beyond(more: Manifests, less: Manifests) -> Manifests:
    """What the first has and the second has not."""
    return {member: [item for item in items if item not in less[member]] for member, items in more.items()}


def _kubectl(here: Stage, member: Member, command: Sequence[str], items: Sequence[dict[str, Any]]) -> Measured:
    return measure(
        ["kubectl", "--context", member.context, *command],
        environment=here.lab.environment,
        cwd=CHECKOUT,
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}),
    )
