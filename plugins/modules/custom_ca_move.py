#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: custom_ca_move
short_description: Move the CA to another storage
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Brings the CA to where C(custom_ca_store) says, from the other storage that there is. Where it is there already,
    nothing is done.
  - The old place is marked first, and no run goes on with it. What was copied is read back and compared, its signature
    and its audit journal are checked. A move that was stopped is completed by the next one, or taken back by one with
    C(custom_ca_store) as before.
  - Needs no passphrase, and writes to no cluster but the one that keeps the CA.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.changes
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.store
options: {}
seealso:
  - module: crossmesh.mtls.custom_ca
"""

EXAMPLES = r"""
- name: Bring the CA to where custom_ca_store says
  crossmesh.mtls.custom_ca_move:
"""

RETURN = r"""
msg:
  description: What was done, or would be.
  returned: success
  type: str
  sample: moved from /srv/meshes/.crossmesh/ca to Secret crossmesh/crossmesh-ca-default, in-cluster
"""
