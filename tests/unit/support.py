# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the pure cores share: the reference's link, two clusters, and their views."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired, resolution
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import Desired, DesiredSide, GivenLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

CHECKOUT = Path(__file__).resolve().parents[2]

Json = dict[str, Any]

MYSQL: Json = {
    "name": "mysql",
    "fqdn": "mysql.server.example.com",
    "port": 3306,
    "tls_port": 13306,
    "backend": {"host": "mysql.default.svc.cluster.local", "port": 3306},
}
SERVER: Json = {"mesh_cluster_name": "cluster-b", "groups": ["mesh_servers"]}
CLIENT: Json = {"mesh_cluster_name": "cluster-a", "groups": ["mesh_clients"]}


def link(**changes: Any) -> Json:
    """The reference's link with some keys changed."""
    return {**MYSQL, **changes}


def numbered(number: int, **changes: Any) -> Json:
    """One of many links that do not get into each other's way."""
    return link(
        **{
            "name": f"link-{number}",
            "fqdn": f"link-{number}.server.example.com",
            "port": 20000 + number,
            "tls_port": 30000 + number,
            **changes,
        }
    )


def view(links: Sequence[Json], variables: Mapping[str, Any]) -> Desired:
    """The view of one cluster."""
    return desired.resolve(cast(list[GivenLink], links), desired.cluster_of(variables), desired.settings_of(variables))


def resolve(links: Any, variables: Mapping[str, Any], *, prune_all: bool = False) -> Json:
    """What an action makes of a cluster's variables: errors, or what is to be read and both sides."""
    found = resolution.resolve({**variables, "mesh_links": links}, datetime.now(UTC), prune_all=prune_all)
    if found.findings:
        return {"errors": [str(finding) for finding in found.findings]}
    return {"errors": [], **found.wanted()}


def names_of(side: DesiredSide | Mapping[str, Any]) -> list[str]:
    return [item["name"] for item in side["links"]]


class _HostVars(dict[str, Any]):
    """As Ansible's own: a host's variables as they are written, too."""

    def raw_get(self, host: str) -> Any:
        return self[host]


def run_action(
    plugin: ModuleType,
    arguments: Mapping[str, Any],
    variables: Mapping[str, Any],
    *,
    check: bool = False,
) -> Json:
    """What an action returns to Ansible for a task of one host.

    :param variables: the host's, as they stand in an inventory.
    """
    loader = DataLoader()
    known = {"inventory_hostname": "localhost", "group_names": [], **variables}
    if "hostvars" in known:
        known["hostvars"] = _HostVars(known["hostvars"])
    task = SimpleNamespace(args=dict(arguments), action=plugin.__name__, async_val=0, check_mode=check, diff=True)
    task.copy = lambda: copy.copy(task)
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=""))
    action = plugin.ActionModule(task, connection, None, loader, Templar(loader, variables=known), None)
    result: Json = action.run(task_vars=known)
    return result


@contextmanager
def refused(*codes: str, kind: type[CrossmeshError] = CrossmeshError) -> Iterator[pytest.ExceptionInfo[CrossmeshError]]:
    """What runs inside fails with messages of these codes, in their order."""
    with pytest.raises(kind) as caught:
        yield caught
    assert [message.code for message in caught.value.messages] == list(codes), caught.value


def codes_of(messages: Iterable[Message]) -> list[str]:
    return [message.code for message in messages]


def is_running(process: int) -> bool:
    """Whether there is such a process that has not ended; one that has is there until its parent knows."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(process: int, seconds: float = 30) -> bool:
    """Whether a process ends; who was killed has closed its files a moment before."""
    until = time.monotonic() + seconds
    while is_running(process):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
