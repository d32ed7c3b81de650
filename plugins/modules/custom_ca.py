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
  - The public part is read without the passphrase, which is needed only where a root is made.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.changes
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.store
  - crossmesh.mtls.variables.passphrase
  - crossmesh.mtls.variables.root
  - crossmesh.mtls.variables.settings
options:
  state:
    description:
      - V(present) keeps the authority or makes one.
      - V(absent) removes the files of the store, and the folder when nothing else is in it.
    type: str
    choices: [present, absent]
    default: present
  expected:
    description:
      - SHA-256 fingerprints of the roots that the caller saw in service in the clusters.
      - Where the store lacks one of them, the task fails and changes nothing. A colleague's clone, an empty disk or
        a wrong path then never leads to a second authority.
      - Where the list is not empty, O(state=absent) is refused.
    type: list
    elements: str
    default: []
seealso:
  - module: crossmesh.mtls.custom_ca_info
  - module: crossmesh.mtls.custom_ca_rotation
  - module: community.crypto.x509_certificate
"""

EXAMPLES = r"""
# custom_ca_passphrase stands in the inventory, in a vault.
- name: Make the authority once
  crossmesh.mtls.custom_ca:

- name: Look at the authority without its passphrase
  crossmesh.mtls.custom_ca:
  check_mode: true
  register: found
"""

RETURN = r"""
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
errors:
  description: Everything that is wrong with the settings of the CA, one line a fault.
  returned: where something is wrong with them
  type: list
  elements: str
  sample: []
msg:
  description: What was done, or would be.
  returned: always
  type: str
  sample: 'created: CN=Crossmesh Root CA 3f9a1c2e'
"""
