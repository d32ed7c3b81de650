#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: custom_ca_info
short_description: See whether a run could issue certificates
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Opens the private key of the CA; where there is no CA yet, looks whether one could be made.
  - Changes nothing. A CA that cannot issue is an answer, not a failure of the task.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.reads
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.store
  - crossmesh.mtls.variables.passphrase
  - crossmesh.mtls.variables.root
  - crossmesh.mtls.variables.settings
options:
  expected:
    description:
      - SHA-256 fingerprints of the roots that the caller saw in service in the clusters. One that the store lacks is a
        problem.
    type: list
    elements: str
    default: []
seealso:
  - module: crossmesh.mtls.custom_ca
"""

EXAMPLES = r"""
- name: See whether a certificate could be issued
  crossmesh.mtls.custom_ca_info:
  register: ca

- name: Fail if none could be
  ansible.builtin.assert:
    that: ca.problems | length == 0
    fail_msg: "{{ ca.problems }}"
"""

RETURN = r"""
problems:
  description: Why no certificate could be issued, one line a problem; empty where all is well.
  returned: success
  type: list
  elements: str
  sample: []
authority:
  description: The public part of the store, as M(crossmesh.mtls.custom_ca) returns it; empty where it cannot be used.
  returned: success
  type: dict
  sample: {}
msg:
  description: What there is; empty where it cannot be used.
  returned: success
  type: str
  sample: 'usable: CN=Crossmesh Root CA 3f9a1c2e, until 2035-12-30T02:00:00Z, phase steady'
"""
