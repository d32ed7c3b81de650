#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_results
short_description: Write what became of a run as JSON and in the XML of JUnit
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Writes C(PLAYBOOK.json), which docs/results.schema.json describes, and C(PLAYBOOK.junit.xml), which GitLab, Jenkins
    and actions of GitHub show as tests. One suite is about the run, one about each cluster, one about each link.
    docs/results.md lists the checks.
  - Judges nothing anew. A check fails where the playbook fails for it.
  - Results are what was asked for, and no change of anything. They are written in check mode too, and say so.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.reads
  - crossmesh.mtls.variables
notes:
  - Reads C(mesh_instance), C(mesh_only_links), C(mesh_links), C(mesh_clusters), and of every cluster
    C(mesh_cluster_name) and C(mesh_cluster_state).
options:
  dir:
    description: >-
      A folder on the controller. It is made where it is missing; a relative path begins where the command was started.
    type: path
    required: true
  playbook:
    description: Whose results they are.
    type: str
    choices:
      - move_ca
      - preflight
      - reconcile_ca
      - rotate_ca
      - rotate_certificates
      - site
      - take_over_ca
      - teardown
      - verify
    required: true
  finished:
    description: >-
      Whether the run has come to its end. Otherwise the results say that they are not known, for whoever finds them
      after a run that was killed.
    type: bool
    default: true
  tasks:
    description: >-
      The results of tasks about the run as a whole, by the name of the check; C(external), of
      M(crossmesh.mtls.custom_ca_external), becomes a check for each server. Empty for a task that was not run.
    type: dict
    default: {}
  withheld:
    description: The result of the task that refuses to publish CRLs where that would cut somebody off.
    type: dict
    default: {}
  rows:
    description: The rows of a preflight; they take the place of all that follows.
    type: list
    elements: dict
    default: []
  looks:
    description: >-
      By host, the result of M(crossmesh.mtls.mesh_cluster_info); empty for a cluster that this run has not looked at.
    type: dict
    default: {}
  names:
    description: The names of the clusters, by host; empty where a host's own name is the cluster's.
    type: dict
    default: {}
  attempts:
    description: >-
      By the name of a check (C(credentials), C(manifests), C(proof)) and host, the result of its task; empty where it
      was not run.
    type: dict
    default: {}
  stopped:
    description: By host, why the run left it out, beside all that; empty where it did not.
    type: dict
    default: {}
  not_covered:
    description: >-
      The error for clusters that this part of the inventory lacks, RV(crossmesh.mtls.mesh_summary#module:not_covered).
    type: str
    default: ''
seealso:
  - module: crossmesh.mtls.mesh_summary
  - module: crossmesh.mtls.mesh_report
"""

EXAMPLES = r"""
- name: Move the CA, and keep for CI what came of it
  block:
    - name: Bring the CA to where it is to be kept
      crossmesh.mtls.custom_ca_move:
      register: moved
  always:
    - name: Write the results
      crossmesh.mtls.mesh_results:
        dir: results
        playbook: move_ca
        tasks: {ca: "{{ moved }}"}
"""

RETURN = r"""
files:
  description: What was written.
  returned: success
  type: list
  elements: str
  sample: [results/verify.json, results/verify.junit.xml]
passed:
  description: Whether the run has finished, and no check failed.
  returned: success
  type: bool
  sample: true
playbook:
  description: Whose results they are.
  returned: success
  type: str
  sample: verify
"""
