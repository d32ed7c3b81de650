# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules that talk to a cluster have in common: options, required libraries, how they end.

PRIVATE to the collection. The options are documented in plugins/doc_fragments/cluster.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.crossmesh.mtls.plugins.module_utils.api import KUBERNETES_IMPORT_ERROR
from ansible_collections.crossmesh.mtls.plugins.module_utils.errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils.reading import Gateway
from ansible_collections.crossmesh.mtls.plugins.module_utils.x509 import HAS_CRYPTOGRAPHY

__all__ = ["CLUSTER", "GATEWAY", "gateway", "run"]

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


def gateway(value: dict[str, Any]) -> Gateway:
    return Gateway(value["namespace"], value["service"], value["selector"])


def run(module: AnsibleModule, work: Callable[[AnsibleModule], dict[str, Any]]) -> None:
    """Do a module's work and end it; the only place where an error becomes a failure."""
    interpreter = (
        f"this is {sys.executable}; for the clusters, "
        "set ansible_python_interpreter: '{{ ansible_playbook_python }}'"
    )
    if KUBERNETES_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("kubernetes >= 29.0.0", reason=f"({interpreter})"))
    if not HAS_CRYPTOGRAPHY:
        module.fail_json(msg=missing_required_lib("cryptography >= 42.0.0", reason=f"({interpreter})"))
    try:
        result = work(module)
    except CrossmeshError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)
