#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: custom_ca
short_description: Make the certificate authority that joins the meshes, once
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Makes a root certificate and its private key in a folder on the controller, or keeps the one that is there.
  - The key is encrypted at rest (PKCS#8, AES-256-CBC, PBKDF2-HMAC-SHA256 with 600,000 rounds).
    It never leaves the folder, and neither results nor diffs show it.
  - The public part is read without the passphrase.
extends_documentation_fragment:
  - crossmesh.mtls.root
options:
  path:
    description: The folder of the CA store. Its parents are made where they are missing.
    type: path
    required: true
  passphrase:
    description:
      - Encrypts the private key; at least 12 characters.
      - Needed only when an authority has to be made, or O(state=usable).
    type: str
    default: ''
  state:
    description:
      - V(present) keeps the authority or makes one.
      - V(absent) removes the files of the store, and the folder when nothing else is in it.
      - V(usable) changes nothing, and fails where a run could not issue a certificate. The key is opened; where there
        is no authority yet, it is seen whether one could be made.
    type: str
    choices: [present, absent, usable]
    default: present
  expected:
    description:
      - SHA-256 fingerprints of the roots that the caller saw in service in the clusters.
      - When the store lacks one of them, the module refuses and changes nothing. A colleague's clone, an empty disk or
        a wrong path then never leads to a second authority.
      - When the list is not empty, O(state=absent) is refused.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Runs the same code and writes nothing.
    support: full
  diff_mode:
    description: Shows the public part of the authority.
    support: full
  idempotent:
    description: A second call changes nothing.
    support: full
seealso:
  - module: community.crypto.x509_certificate
"""

EXAMPLES = r"""
- name: Make the authority once
  crossmesh.mtls.custom_ca:
    path: /var/lib/crossmesh/ca
    passphrase: "{{ vault_custom_ca_passphrase }}"

- name: Look at the authority without its passphrase
  crossmesh.mtls.custom_ca:
    path: /var/lib/crossmesh/ca
  check_mode: true
  register: found

- name: See whether a certificate could be issued
  crossmesh.mtls.custom_ca:
    path: /var/lib/crossmesh/ca
    passphrase: "{{ vault_custom_ca_passphrase }}"
    state: usable
"""

RETURN = r"""
errors:
  description: What failed, each as C(code), C(level), C(where), C(what) and C(fix); RV(msg) is the same as text.
  returned: failure
  type: list
  elements: dict
authority:
  description: The public part of the store.
  returned: success
  type: dict
  contains:
    path:
      description: The folder of the store.
      type: str
      sample: /var/lib/crossmesh/ca
    issuing:
      description: The root that signs, or null where there is none (yet).
      type: dict
      sample:
        subject: CN=Crossmesh Root CA 3f9a1c2e
        issuer: CN=Crossmesh Root CA 3f9a1c2e
        sans: []
        serial: 1f0c6d6f5a9be3d2a1c4e8b7f6a5d4c3b2a19080
        not_before: '2026-01-01T00:00:00Z'
        not_after: '2035-12-30T02:00:00Z'
        fingerprint: 7c4a8d09ca3762af61e59520943dc26494f8941b7c4a8d09ca3762af61e59520
    trusted:
      description: Every root that is trusted, the issuing one among them, described as RV(authority.issuing).
      type: list
      elements: dict
      sample: []
msg:
  description: What was done, or would be.
  returned: success
  type: str
  sample: 'created: CN=Crossmesh Root CA 3f9a1c2e'
"""

from datetime import UTC, datetime

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import (
    ROOT_ARGUMENTS,
    Outcome,
    ensure_absent,
    ensure_present,
    ensure_usable,
    wanted_root,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import FileStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, failure
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import HAS_CRYPTOGRAPHY


def run(module: AnsibleModule) -> Outcome:
    params = module.params
    store = FileStore(params["path"])
    if params["state"] == "absent":
        return ensure_absent(store, expected=params["expected"], check_mode=module.check_mode)
    wanted, passphrase, now = wanted_root(params), params["passphrase"], datetime.now(UTC)
    if params["state"] == "usable":
        return ensure_usable(store, wanted, passphrase=passphrase, expected=params["expected"], now=now)
    return ensure_present(
        store, wanted, passphrase=passphrase, expected=params["expected"], now=now, check_mode=module.check_mode
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "passphrase": {"type": "str", "default": "", "no_log": True},
            "state": {"type": "str", "choices": ["present", "absent", "usable"], "default": "present"},
            **ROOT_ARGUMENTS,
            "expected": {"type": "list", "elements": "str", "default": []},
        },
        required_together=[("import_certificate", "import_key")],
        supports_check_mode=True,
    )
    if not HAS_CRYPTOGRAPHY:
        module.fail_json(msg=missing_required_lib("cryptography >= 42.0.0"))
    try:
        outcome = run(module)
    except CrossmeshError as error:
        module.fail_json(**failure(error))
    module.exit_json(
        changed=outcome.changed,
        msg=outcome.message,
        authority=outcome.authority,
        diff={"before": outcome.before, "after": outcome.after},
    )


if __name__ == "__main__":
    main()
