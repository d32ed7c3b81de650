#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_topology_info
short_description: Tell everything that is wrong with the inventory
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Holds the links and the variables of every host of the groups C(mesh_servers) and C(mesh_clients) against the rules
    of docs/validation.md, and tells all faults at once. No cluster is touched.
  - Variables that begin with C(mesh_) or C(custom_ca_) and that nothing reads are warned of, with the name that may be
    meant.
  - A collection C(kubernetes.core) that is missing or too old is told of as well.
  - A cluster is looked at by its variables alone, so one that is in no other task of the run counts as well.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.reads
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.store
notes:
  - Reads all variables that docs/links.md lists, for every cluster and as the host of the task (usually localhost) has
    them.
options:
  prune_all:
    description:
      - Accept an empty C(mesh_links), which takes everything away.
      - By default what C(mesh_prune_all) says.
    type: bool
  fail:
    description: Fail where something is wrong.
    type: bool
    default: true
seealso:
  - module: crossmesh.mtls.mesh_preflight_info
"""

EXAMPLES = r"""
- name: Validate the inventory
  hosts: localhost
  connection: local
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: Validate the links and the clusters
      crossmesh.mtls.mesh_topology_info:
"""

RETURN = r"""
errors:
  description: What is wrong, each as C(code), C(level), C(where), C(what) and C(fix).
  returned: success
  type: list
  elements: dict
  sample:
    - code: proxy-port
      level: error
      where: 'mysql: tls_port'
      what: '15021: is a port of the proxy itself'
      fix: write another port
"""
