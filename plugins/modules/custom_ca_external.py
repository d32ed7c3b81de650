#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: custom_ca_external
short_description: Keep certificates of the custom CA for external servers
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Keeps a certificate, its key and the roots to trust (C(tls.crt), C(tls.key), C(ca.crt), and C(ca.crl) where
    something is revoked) for each link of C(mesh_links) with C(external.ca), in the directory of the controller that
    this names. It is made with mode 0700 where it is missing; files have 0600.
  - What fails for one server stops no other; the task fails at the end. Without such a link it is skipped.
  - Decides and gives reasons as M(crossmesh.mtls.mesh_credentials) does for Secrets.
  - Whoever runs a server takes the files from there and lets it load them. Where the controller reaches the server, a
    handshake shows which certificate it has; another one than in the directory is a warning.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.changes
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.store
  - crossmesh.mtls.variables.passphrase
  - crossmesh.mtls.variables.issue
notes:
  - Reads C(mesh_links), and C(mesh_instance), which is recorded with the certificates.
options:
  force:
    description: Renew what is still good, too.
    type: bool
    default: false
  step:
    description: The step of a root rotation at which this is seen; V(look) writes nothing.
    type: str
    default: ''
seealso:
  - module: crossmesh.mtls.mesh_credentials
"""

EXAMPLES = r"""
# For a link with external: {address: db.example.net, port: 13306, ca: /srv/crossmesh/mysql}
- name: Keep the certificates of external servers
  crossmesh.mtls.custom_ca_external:
  register: kept

- name: See how they stand, and write nothing
  crossmesh.mtls.custom_ca_external:
    step: look
"""

RETURN = r"""
servers:
  description: What was decided about each server.
  returned: where a link has C(external.ca)
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
alarms:
  description: Certificates that expire soon, or have expired, and that no run has renewed.
  returned: where a link has C(external.ca)
  type: list
  elements: str
not_loaded:
  description: External servers that were seen with another certificate than their directory holds, as text.
  returned: success
  type: list
  elements: str
waiting:
  description:
    - Servers of which a recorded certificate is revoked and which may still have it, as the CA's records name them. One
      that was seen with another certificate does not wait, nor one that cannot be seen, once a call found another one
      in its directory. One whose directory fails waits.
  returned: where a link has C(external.ca), also where the directory of a server fails
  type: list
  elements: str
  sample: ['external:mysql']
sights:
  description: What a root rotation asks for, as M(crossmesh.mtls.custom_ca_rotation) takes it.
  returned: where a link has C(external.ca)
  type: list
  elements: dict
errors:
  description: What failed, one line a server.
  returned: where the directory of a server fails
  type: list
  elements: str
  sample: []
"""
