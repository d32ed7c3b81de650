# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions that talk to a cluster have in common: options, required libraries, how they end.

PRIVATE to the collection. They are action plugins, not modules that Ansible packs and starts: they run on the
controller in any case, and this way a run imports the C(kubernetes) package once, not once for each task and cluster.
Their options are documented in plugins/modules; those of a cluster in plugins/doc_fragments/cluster.py.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase

from ansible_collections.crossmesh.mtls.plugins import filter as filters
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import KUBERNETES_IMPORT_ERROR, Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import Gateway, Request
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, UnfinishedError, failure
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.revoked import entries_or_refusal
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import HAS_CRYPTOGRAPHY

__all__ = ["CLUSTER", "GATEWAY", "REVOKED", "ClusterAction", "gateway", "lacks", "request_of", "revoked"]

# Ansible forks for each task, and a process that meets a filter of a collection compiles all of them, and what they
# import. What is imported here is there before it forks.
for _module in pkgutil.iter_modules(filters.__path__):
    import_module(f"{filters.__name__}.{_module.name}")

CLUSTER: dict[str, Any] = {"kubeconfig": {"type": "path"}, "context": {"type": "str"}}
GATEWAY: dict[str, Any] = {
    "type": "dict",
    "required": True,
    "options": {
        "namespace": {"type": "str", "required": True},
        "service": {"type": "str", "required": True},
        "selector": {"type": "dict", "required": True},
    },
}

# Judged by the same rules as the inventory's variable, which also allow dates as YAML makes them.
REVOKED: dict[str, Any] = {"type": "list", "elements": "dict", "default": []}


def revoked(params: dict[str, Any]) -> tuple[revocation.Entry, ...]:
    """What custom_ca_revoked lists."""
    return entries_or_refusal(params["revoked"], datetime.now(UTC))


def gateway(value: Mapping[str, Any]) -> Gateway:
    return Gateway(value["namespace"], value["service"], value["selector"])


def request_of(params: Mapping[str, Any]) -> Request:
    """What to look for, in the words of the view's request."""
    return Request(
        instance=params["instance"],
        cluster=params["cluster"],
        ingress=gateway(params["ingress_gateway"]),
        egress=gateway(params["egress_gateway"]),
        links=params["links"],
        client_credential=params["client_credential"],
        backends=[(item["service"], item["namespace"]) for item in params["backends"]],
        lockdown=params["lockdown"],
        sides=params["sides"],
    )


class ClusterAction(ActionBase):
    """An action on one cluster. Its name, C(ARGUMENTS) and C(work) make it a module to its user."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True

    ARGUMENTS: ClassVar[dict[str, Any]] = {}

    def work(self, api: Api, params: dict[str, Any]) -> dict[str, Any]:
        """The result; C(warnings) in it are shown. A CrossmeshError becomes a failure."""
        raise NotImplementedError

    def refused(self, error: CrossmeshError, params: dict[str, Any]) -> dict[str, Any]:
        """The result where there was an error."""
        return {"failed": True, **failure(error), "unfinished": isinstance(error, UnfinishedError)}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        specification = {**CLUSTER, **self.ARGUMENTS}
        # ansible-core does not annotate it.
        _validation, params = self.validate_argument_spec(specification)  # type: ignore[no-untyped-call]
        for package, missing in (
            ("kubernetes", KUBERNETES_IMPORT_ERROR is not None),
            ("cryptography", not HAS_CRYPTOGRAPHY),
        ):
            if missing:
                return {"failed": True, **failure(lacks(package))}
        try:
            return self.work(Api(params["kubeconfig"], params["context"]), params)
        except CrossmeshError as error:
            return self.refused(error, params)


def lacks(package: str) -> CrossmeshError:
    return CrossmeshError(
        Message.error(
            "missing-package",
            where=sys.executable,
            what=f"the Python that ansible-playbook runs with lacks the package {package}",
            fix="install it there, and set ansible_python_interpreter: '{{ ansible_playbook_python }}' for the "
            "clusters, so that kubernetes.core uses the same",
        )
    )
