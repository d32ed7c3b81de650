#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_diagnosis
short_description: Put together what a maintainer would ask for, without secrets
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Writes one archive, C(crossmesh-diagnosis-INSTANCE-TIME.tar.gz), of versions, the inventory, what was found of each
    cluster, the CA store and the report. Its C(README.md) says what is in it, what is missing and why, and what was
    taken out. docs/diagnose.md describes it.
  - Only its owner may read the archive.
  - Takes variables by name, those of the collection that are no secret. In what it takes it replaces whatever looks
    like a key, a token or a passphrase, and the secrets that the run has at hand.
  - What cannot be read is told in its place. Only an archive that cannot be written is a failure.
  - An archive is what was asked for, and no change of anything. It is written in check mode too.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.reads
  - crossmesh.mtls.looks
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.store
notes:
  - Reads all variables of the contract, of every cluster. C(custom_ca_passphrase), C(custom_ca_import_passphrase) and
    C(mesh_api_key) are read so that they can be looked for.
options:
  dir:
    description:
      - A folder on the controller. It is made where it is missing.
      - A relative path begins where the command was started.
      - Where it is empty, it is C(crossmesh-diagnosis).
    type: path
    default: ''
  topology:
    description: The result of M(crossmesh.mtls.mesh_topology_info).
    type: dict
    default: {}
  preflight:
    description: What P(crossmesh.mtls.preflight_report#filter) has made of all clusters.
    type: dict
    default: {}
  journal:
    description: The result of M(crossmesh.mtls.custom_ca_journal_info).
    type: dict
    default: {}
  external:
    description: The result of M(crossmesh.mtls.custom_ca_external).
    type: dict
    default: {}
seealso:
  - module: crossmesh.mtls.mesh_report
  - module: crossmesh.mtls.mesh_preflight_info
"""

EXAMPLES = r"""
- name: Look at the cluster
  hosts: mesh_servers:mesh_clients
  connection: local
  gather_facts: false
  tasks:
    - name: Look at the cluster
      crossmesh.mtls.mesh_cluster_info:
        details: true
      register: look
      failed_when: false

- name: Diagnose
  hosts: localhost
  connection: local
  gather_facts: false
  vars:
    clusters: "{{ groups.mesh_servers | union(groups.mesh_clients) }}"
  tasks:
    - name: Put together what is known
      crossmesh.mtls.mesh_diagnosis:
        looks: "{{ dict(clusters | zip(clusters | map('extract', hostvars) | map(attribute='look', default={}))) }}"
"""

RETURN = r"""
missing:
  description: What could not be read, and why, with the file that lacks it.
  returned: success
  type: list
  elements: str
  sample: []
path:
  description: The archive.
  returned: success
  type: str
  sample: crossmesh-diagnosis/crossmesh-diagnosis-default-20260301T021700Z.tar.gz
redacted:
  description: How often what was taken out, by kind.
  returned: success
  type: dict
  sample: {token: 1}
"""
