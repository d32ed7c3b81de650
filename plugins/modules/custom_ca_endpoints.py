#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.revoked import entries_or_refusal

DOCUMENTATION = r"""
module: custom_ca_endpoints
short_description: Keep certificates of the custom CA for servers outside of the clusters
version_added: 0.2.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Keeps a certificate, its key and the roots to trust (C(tls.crt), C(tls.key), C(ca.crt), and C(ca.crl) where
    something is revoked) for each server in a directory on the controller, made with mode 0700, files 0600.
  - What fails for one server stops no other; the module fails at the end.
  - Decides and gives reasons as M(crossmesh.mtls.mesh_credentials) does for Secrets.
  - Whoever runs a server takes the files from there and lets it load them. Where the controller reaches the server, a
    handshake shows which certificate it has; another one than in the directory is a warning.
options:
  path:
    description: The folder of the CA store.
    type: path
    required: true
  passphrase:
    description: Opens the issuing root's key; needed only when something is to be issued.
    type: str
    default: ''
  instance:
    description: The value of C(mesh_instance); it is recorded with the certificates.
    type: str
    default: default
  servers:
    description: The servers, as filter P(crossmesh.mtls.outside_servers#filter) tells them.
    type: list
    elements: dict
    required: true
    suboptions:
      link:
        description: Name of the link.
        type: str
        required: true
      directory:
        description: Where the files are kept. It is made where it is missing.
        type: path
        required: true
      sni:
        description: The name in the certificate.
        type: str
        required: true
      address:
        description: IP address or host name of the server.
        type: str
        required: true
      port:
        description: The TCP port on which it takes TLS.
        type: int
        required: true
  key_type:
    description: Kind of a new key.
    type: str
    choices: [P-256, P-384, RSA-2048, RSA-3072, RSA-4096]
    default: P-256
  validity_days:
    description: How long a new certificate is valid, in days.
    type: int
    default: 90
  renew_before_days:
    description: A certificate with fewer days left than this is renewed.
    type: int
    default: 30
  force:
    description: Renew what is still good, too.
    type: bool
    default: false
  revoked:
    description: What is revoked, as the variable C(custom_ca_revoked) lists it.
    type: list
    elements: dict
    default: []
  step:
    description: The step of a root rotation at which this is seen; V(look) writes nothing.
    type: str
    default: ''
attributes:
  check_mode:
    description: Runs the same code and writes nothing.
    support: full
  diff_mode:
    description: Shows certificates and fingerprints, never a key.
    support: full
  idempotent:
    description: A second call changes nothing.
    support: full
seealso:
  - module: crossmesh.mtls.mesh_credentials
"""

EXAMPLES = r"""
- name: Keep the certificate of a database outside of the clusters
  crossmesh.mtls.custom_ca_endpoints:
    path: /var/lib/crossmesh/ca
    passphrase: "{{ vault_custom_ca_passphrase }}"
    servers:
      - link: mysql
        directory: /srv/crossmesh/mysql
        sni: mysql.server.example.com
        address: db.example.net
        port: 13306
"""

RETURN = r"""
errors:
  description: What failed, each as C(code), C(level), C(where), C(what) and C(fix); C(msg) is the same as text.
  returned: failure
  type: list
  elements: dict
endpoints:
  description: What was decided about each server.
  returned: success
  type: list
  elements: dict
  contains:
    link:
      description: Name of the link.
      type: str
      sample: mysql
    name:
      description: The directory's own name.
      type: str
      sample: mysql
    action:
      description: V(keep), V(issue) or V(write) (trust only).
      type: str
      sample: issue
    reason:
      description: The reason, for programs.
      type: str
      sample: missing
    message:
      description: The reason, for people.
      type: str
      sample: there is no certificate yet
    certificate:
      description: The certificate that then stands in the directory; null where check mode would issue it.
      type: dict
    trusted:
      description: SHA-256 fingerprints of the roots that then stand there.
      type: list
      elements: str
    messages:
      description: Warnings and alarms about this server, in the form of RV(errors).
      type: list
      elements: dict
alarms:
  description: Certificates that expire soon, or have expired, and that no run has renewed, as text.
  returned: success
  type: list
  elements: str
waiting:
  description:
    - Servers of which a recorded certificate is revoked and which may still have it, as the CA's records name them. One
      that was seen with another certificate does not wait, nor one that cannot be seen, once a call found another one
      in its directory. One whose directory fails waits.
  returned: success, and where the directory of a server fails
  type: list
  elements: str
  sample: ['outside:mysql']
sights:
  description: What a root rotation asks for, as M(crossmesh.mtls.custom_ca_rotation) takes it.
  returned: success
  type: list
  elements: dict
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import FileStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, failure
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.external import Request, Server, keep, report
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import HAS_CRYPTOGRAPHY, KEY_TYPES
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Policy

LOOK = "look"
SERVER = {
    "link": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "sni": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
}


def run(module: AnsibleModule) -> tuple[dict[str, Any], list[CrossmeshError]]:
    params, now = module.params, datetime.now(UTC)
    request = Request(
        servers=[Server(**{**item, "directory": Path(item["directory"])}) for item in params["servers"]],
        instance=params["instance"],
        policy=Policy(
            key_type=params["key_type"],
            renew_before=timedelta(days=params["renew_before_days"]),
            force=params["force"],
        ),
        validity_days=params["validity_days"],
        passphrase=params["passphrase"],
        revoked=entries_or_refusal(params["revoked"], now),
        try_key=module.check_mode and params["step"] != LOOK,
    )
    outcome = keep(FileStore(params["path"]), request, now, look=module.check_mode or params["step"] == LOOK)
    return report(outcome, params["step"]), outcome.errors


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "passphrase": {"type": "str", "default": "", "no_log": True},
            "instance": {"type": "str", "default": "default"},
            "servers": {"type": "list", "elements": "dict", "required": True, "options": SERVER},
            "key_type": {"type": "str", "choices": list(KEY_TYPES), "default": "P-256", "no_log": False},
            "validity_days": {"type": "int", "default": 90},
            "renew_before_days": {"type": "int", "default": 30},
            "force": {"type": "bool", "default": False},
            "revoked": {"type": "list", "elements": "dict", "default": []},
            "step": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    if not HAS_CRYPTOGRAPHY:
        module.fail_json(msg=missing_required_lib("cryptography >= 42.0.0"))
    try:
        result, errors = run(module)
    except CrossmeshError as error:
        module.fail_json(**failure(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    if errors:
        module.fail_json(**failure(*errors), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
