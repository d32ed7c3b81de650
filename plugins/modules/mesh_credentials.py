#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_credentials
short_description: Issue certificates of the custom CA and write them into Secrets
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Looks at the Secrets of one cluster once more, decides for each whether its certificate is kept or issued anew, and
    says why.
  - A private key is made in memory and leaves the process only into its Secret. It is never an argument, a result or
    part of a diff.
  - A new certificate always has a new key. It is recorded in the CA store before it is used.
  - Certificate and trust of a Secret have a field manager each, so that either is written without the other.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.changes
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.cluster
  - crossmesh.mtls.variables.store
  - crossmesh.mtls.variables.passphrase
  - crossmesh.mtls.variables.issue
  - crossmesh.mtls.variables.grants
notes:
  - Reads C(mesh_adopt), whether to take over Secrets that others made; and C(mesh_cluster_name), under which the store
    remembers which cluster it is.
options:
  look:
    description: The result of M(crossmesh.mtls.mesh_cluster_info) for this cluster.
    type: dict
    required: true
  sides:
    description: The sides to work on, of those that were looked at.
    type: list
    elements: str
    choices: [server, client]
    default: [server, client]
seealso:
  - module: crossmesh.mtls.mesh_cluster_info
  - module: community.crypto.x509_certificate
"""

EXAMPLES = r"""
- name: Look at the cluster
  crossmesh.mtls.mesh_cluster_info:
  register: look

- name: Keep or issue the credentials of both gateways
  crossmesh.mtls.mesh_credentials:
    look: "{{ look }}"
  register: issued
"""

RETURN = r"""
sides:
  description: What was done on each side that has credentials to look at.
  returned: success
  type: dict
  contains:
    server:
      description: The server's side.
      type: dict
      contains:
        changed:
          description: Whether something was written, or would be.
          type: bool
        credentials:
          description: What was decided about each Secret.
          type: list
          elements: dict
          contains:
            name:
              description: Name of the Secret.
              type: str
              sample: mysql-credential
            action:
              description: V(keep), V(issue) or V(write) (trust or labels only).
              type: str
              sample: issue
            reason:
              description: Code of the reason.
              type: str
              sample: missing
            message:
              description: The reason in words.
              type: str
              sample: there is no certificate yet
            certificate:
              description:
                - Subject, SANs, serial, validity and fingerprint of what the Secret then holds.
                - Null where check mode would issue.
              type: dict
              sample: {serial: 1f0c6d6f5a9be3d2}
            trusted:
              description: SHA-256 fingerprints of the roots that the Secret then holds.
              type: list
              elements: str
              sample: []
        serials:
          description: Serials of all certificates of this side, in the form that Envoy shows them.
          type: list
          elements: str
          sample: [1f0c6d6f5a9be3d2]
        trust:
          description: For each Secret what it then tells a gateway to trust.
          type: list
          elements: dict
          contains:
            secret:
              description: Name of the Secret.
              type: str
              sample: mysql-credential
            roots:
              description: SHA-256 fingerprints of the roots.
              type: list
              elements: str
              sample: []
            lists:
              description: What tells each CRL from every other one.
              type: list
              elements: str
              sample: []
            own:
              description: Whether these are the custom CA's, and not those of an external server's owner.
              type: bool
              sample: true
        issuers:
          description: SHA-256 fingerprints of the roots whose certificates these are; an empty text for a foreign one.
          type: list
          elements: str
          sample: []
    client:
      description: The client's side, described as RV(sides.server).
      type: dict
unfinished:
  description: Whether something was written before it failed.
  returned: failure
  type: bool
  sample: false
"""
