#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_summary
short_description: Print how each link stands
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Prints one line for each link, with its clusters, when its certificates expire, the root of them, how many gateway
    pods serve it, where this run has changed something, and the first place in the order of a call at which it is
    broken, with the code of why. Of many links that are up and unchanged it prints their
    number.
  - Prints the table as it is, whatever callback shows the rest of the run.
  - Says which clusters were not looked at, which of C(mesh_clusters) this part of the inventory lacks, and when the
    first certificate is due to be renewed.
  - Warns of objects of this instance that lie in another cluster than they are of.
  - With O(removed), warns of certificates that are good for more than the inventory gives their holders, with the entry
    of C(custom_ca_revoked) that takes it away. One warning a holder.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.reads
  - crossmesh.mtls.looks
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.store
  - crossmesh.mtls.variables.grants
notes:
  - Reads C(custom_ca_renew_before_days) and C(mesh_clusters).
options:
  removed:
    description: Whether to warn of what removed clients, links and clusters still hold.
    type: bool
    default: false
seealso:
  - module: crossmesh.mtls.mesh_cluster_info
  - module: crossmesh.mtls.mesh_probe
  - module: crossmesh.mtls.mesh_proof
"""

EXAMPLES = r"""
- name: Look at the cluster
  hosts: mesh_servers:mesh_clients
  connection: local
  gather_facts: false
  tasks:
    - name: Look at the cluster
      crossmesh.mtls.mesh_cluster_info:
      register: look

- name: Report on the links
  hosts: localhost
  connection: local
  gather_facts: false
  vars:
    clusters: "{{ groups.mesh_servers | union(groups.mesh_clients) }}"
  tasks:
    - name: Show how each link stands
      crossmesh.mtls.mesh_summary:
        looks: "{{ dict(clusters | zip(clusters | map('extract', hostvars) | map(attribute='look', default={}))) }}"
"""

RETURN = r"""
next_due:
  description: When the first certificate is due to be renewed; empty where there is none.
  returned: success
  type: str
  sample: '2026-05-30T02:17:00Z'
not_covered:
  description: >-
    An error for the clusters of C(mesh_clusters) that this part of the inventory lacks, with which C(verify) fails;
    empty where it lacks none.
  returned: success
  type: str
  sample: ''
not_looked_at:
  description: Hosts that this run has not looked at.
  returned: success
  type: list
  elements: str
  sample: []
"""
