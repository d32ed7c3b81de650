#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_report
short_description: Write a report of all links, for people, auditors and machines
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Puts together what looks and proofs have seen, what the CA store holds, and what the inventory wants. Of a cluster
    that was not looked at it says so, and tells what the CA's records know.
  - O(looks) are with C(details) of M(crossmesh.mtls.mesh_cluster_info), and O(proofs) of M(crossmesh.mtls.mesh_probe).
  - Tells of each link what the CA's audit journal has last of it, and whether the journal is as it was written.
  - Writes C(report.html), one file that loads nothing; C(report.json) with its schema C(report.schema.json);
    C(certificates.csv), in the columns that auditors ask for; and C(cbom.json), a CycloneDX bill of materials of all
    cryptography. docs/report.md describes them.
  - Tells what has changed since the report that lies in O(dir).
  - A report is what was asked for, and no change of anything. It is written in check mode too.
  - No private key is part of it.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.reads
  - crossmesh.mtls.looks
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.store
requirements:
  - jmespath >= 1.0, for O(query)
notes:
  - Reads C(mesh_links), C(mesh_clusters), C(mesh_instance), C(custom_ca_renew_before_days),
    C(custom_ca_leaf_validity_days), and of every cluster C(mesh_cluster_name) and C(mesh_cluster_state).
  - Reads C(mesh_schedule), what runs when on this controller, as M(crossmesh.mtls.mesh_schedule) does. By the marks
    of these runs the report tells which failed, and which did not come; nothing of it is told where there are no
    marks, unless O(metrics_dir) is given.
options:
  dir:
    description:
      - A folder on the controller for the files. It is made where it is missing.
      - A relative path begins where the command was started.
      - Where it is empty, it is C(crossmesh-report); with O(query) nothing is written then.
    type: path
    default: ''
  query:
    description: >-
      A JMESPath expression over C(report.json). Its answer is printed as JSON.
    type: str
    default: ''
  metrics_dir:
    description:
      - The folder of node exporter's textfile collector, on the controller. It is not made where it is missing.
      - C(crossmesh.INSTANCE.prom) is written there, by which Prometheus knows what the report says. docs/metrics.md has
        all metrics, alarms and a dashboard.
      - Where it is empty, no metrics are written; nor are they with O(query) alone.
    type: path
    default: ''
seealso:
  - module: crossmesh.mtls.mesh_cluster_info
  - module: crossmesh.mtls.mesh_probe
  - module: crossmesh.mtls.mesh_schedule
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

- name: Report
  hosts: localhost
  connection: local
  gather_facts: false
  vars:
    clusters: "{{ groups.mesh_servers | union(groups.mesh_clients) }}"
  tasks:
    - name: Say which links expire within 30 days
      crossmesh.mtls.mesh_report:
        looks: "{{ dict(clusters | zip(clusters | map('extract', hostvars) | map(attribute='look', default={}))) }}"
        query: links[?days_left < `30`].name
"""

RETURN = r"""
summary:
  description: The report in numbers, as C(report.json) has them.
  returned: success
  type: dict
  sample: {links: 10, up: 9, problems: 1}
answer:
  description: The answer to O(query); none without one.
  returned: success
  type: raw
  sample: [mysql]
files:
  description: What was written.
  returned: success
  type: list
  elements: str
  sample: [crossmesh-report/report.html]
"""
