#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_manifests
short_description: Write what a look has found to differ on one side of a cluster
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Hands the objects of a plan to M(kubernetes.core.k8s), which removes fields, restores, writes and deletes, in this
    order.
  - A short list is one call and keeps the order of the templates. A long one is cut into up to four calls that are made
    at once, each in a process of its own, with its VirtualServices after all else; a line tells how many objects are
    written.
  - Where a link carries already and its routes are changed, they come after all else, when every ready pod of the
    egress gateway has the clusters that the new ones lead to. Where that is not so after C(mesh_gate_timeout) seconds,
    it fails and leaves the routes as they are. Where exec is forbidden it lets C(mesh_gate_wait) seconds pass instead.
  - Secrets that no link needs any more are deleted last, by the collection itself. M(kubernetes.core.k8s) returns what
    it has deleted, key and all, where a finalizer holds it.
  - Waits until what it has deleted is gone; what a finalizer keeps for longer than C(mesh_gate_timeout) seconds is a
    failure.
  - Where a call fails, those beside it end and no other begins. What was written stays, and the next run goes on from
    there.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.changes
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.cluster
notes:
  - Reads C(mesh_cluster_name), for messages, C(mesh_gate_timeout) and C(mesh_gate_wait).
  - C(mesh_cluster_timeout) bounds the calls of M(kubernetes.core.k8s), all together and beside what the gates wait;
    processes that still run then are ended. Each gate, the deletion of Secrets and the wait for what is deleted have
    as long again. C(mesh_api_timeout) bounds single answers to the collection itself and a login plugin of the
    kubeconfig, not the answers to M(kubernetes.core.k8s).
options:
  plan:
    description: One of RV(crossmesh.mtls.mesh_cluster_info#module:sides).
    type: dict
    required: true
seealso:
  - module: crossmesh.mtls.mesh_cluster_info
  - module: kubernetes.core.k8s
"""

EXAMPLES = r"""
- name: Write the manifests of the server's side
  crossmesh.mtls.mesh_manifests:
    plan: "{{ look.sides.server }}"
"""

RETURN = r"""
objects:
  description: How many objects were written.
  returned: always
  type: int
  sample: 7
"""
