#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_preflight_info
short_description: Look at one cluster before a run, and tell all that stands in its way
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Asks, in one task, for everything that a run depends on, and tells link by link what the run would do. What cannot
    be seen is told beside all the rest and hides none of it. A cluster that cannot be reached is an answer, not a
    failure of the task.
  - Changes nothing. It needs no permission that a run does not need.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.reads
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.cluster
  - crossmesh.mtls.variables.desired
  - crossmesh.mtls.variables.store
notes:
  - Reads C(custom_ca_key_type) and C(custom_ca_renew_before_days), which decide about certificates; C(mesh_adopt),
    whether to take over what others made; and C(mesh_prune_all), whether to accept an empty C(mesh_links).
options: {}
seealso:
  - module: crossmesh.mtls.mesh_cluster_info
  - plugin: crossmesh.mtls.preflight_report
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Look at the cluster
  crossmesh.mtls.mesh_preflight_info:
  register: look
"""

RETURN = r"""
looked:
  description: Whether the cluster was asked; it is not where something is wrong with its variables.
  returned: success
  type: bool
  sample: true
cluster:
  description: The cluster's name.
  returned: where it was looked at
  type: str
  sample: cluster-b
rows:
  description: What was found.
  returned: success
  type: list
  elements: dict
  contains:
    cluster:
      description: The cluster's name; V(-) where it is not about one.
      type: str
      sample: cluster-b
    link:
      description: The link's name; V(-) where it is not about one.
      type: str
      sample: '-'
    check:
      description: What was asked; docs/preflight.md explains each.
      type: str
      sample: api
    status:
      description: V(ok), V(warning), V(failed), or V(unknown) where it could not be seen.
      type: str
      sample: ok
    seen:
      description: What was seen.
      type: str
      sample: 'context cluster-b of /home/ops/.kube/config: Kubernetes v1.34.4'
    fix:
      description: What to do about it; empty where there is nothing to do.
      type: str
      sample: ''
    code:
      description: Code of the message that the row is made of (docs/messages.md); empty where nothing is wrong.
      type: str
      sample: ''
    where:
      description: Where the message was seen; empty where nothing is wrong.
      type: str
      sample: ''
sight:
  description: >-
    What other clusters are held against, C(ingress) addresses, links that it C(serves), names that it C(dials); empty
    where the cluster cannot be reached.
  returned: where it was looked at
  type: dict
  sample: {cluster: cluster-b, ingress: [203.0.113.7], serves: [mysql], dials: []}
presence:
  description: >-
    Which cluster it is by its C(uid), what this instance C(holds) there by which C(gateways), and what it has there
    C(of_others), other clusters; to be held against the looks at them.
  returned: where the cluster could be read
  type: dict
ca:
  description: What the cluster tells of the CA, as RV(crossmesh.mtls.mesh_cluster_info#module:ca).
  returned: where the cluster could be read
  type: dict
  sample: {missing: false, roots: {}, unknown: [], vouched: []}
"""
