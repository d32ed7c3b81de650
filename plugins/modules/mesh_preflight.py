#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_preflight
short_description: Look at one cluster before a run, and tell all that stands in its way
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Asks, in one call, for everything that a run depends on. What cannot be seen is told beside all the rest and hides
    none of it. A cluster that cannot be reached is an answer, not a failure of the module.
  - Changes nothing. It needs no permission that a run does not need.
extends_documentation_fragment:
  - crossmesh.mtls.cluster
options:
  view:
    description: The view of P(crossmesh.mtls.resolve#filter), of an inventory without faults.
    type: dict
    required: true
  ca_dir:
    description: The folder of the CA store on the controller. Its private key is not looked at.
    type: path
    required: true
  revoked:
    description: What is revoked, as the variable C(custom_ca_revoked) lists it.
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    description: Looks only.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
seealso:
  - module: crossmesh.mtls.mesh_cluster_info
  - plugin: crossmesh.mtls.preflight
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Look at the cluster
  crossmesh.mtls.mesh_preflight:
    kubeconfig: ~/.kube/config
    context: cluster-b
    view: "{{ mesh_links | crossmesh.mtls.resolve({'mesh_cluster_name': 'cluster-b', 'groups': ['mesh_servers']}) }}"
    ca_dir: .crossmesh/ca
  register: found
"""

RETURN = r"""
rows:
  description: What was found of the cluster as a whole.
  returned: success
  type: list
  elements: dict
  contains:
    cluster:
      description: The cluster's name.
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
      sample: 'context cluster-b of /root/.kube/config: Kubernetes v1.34.4'
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
    What other clusters are held against, C(ingress) addresses, links that it C(serves), names that it C(dials).
  returned: success
  type: dict
  sample: {cluster: cluster-b, ingress: [203.0.113.7], serves: [mysql], dials: []}
incomplete:
  description: What could not be read, and why.
  returned: success
  type: dict
  sample: {}
request:
  description: What was looked for.
  returned: success
  type: dict
  sample: {cluster: cluster-b, links: [mysql]}
reading:
  description: What was read, as M(crossmesh.mtls.mesh_cluster_info) returns it; empty if nothing could be.
  returned: success
  type: str
  sample: '{"cluster": "cluster-b", "objects": [], "secrets": []}'
"""
