#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_render
short_description: Write the manifests of all clusters as a tree of files
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Writes what P(crossmesh.mtls.mesh_cluster_info#module) compares with each cluster into files, so that Git shows what
    a change of the inventory does, and a GitOps tool can apply it. No cluster is read or written, and no Secret is in
    it.
  - The same inventory gives the same bytes. Files of links and clusters that are gone are removed; files of others are
    neither changed nor removed.
  - Clusters that C(mesh_clusters) names and that this run does not see keep their files.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.changes
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.desired
notes:
  - Reads C(mesh_prune_all), without which an empty C(mesh_links) is refused.
options:
  path:
    description:
      - The folder of the tree on the controller. It is made where there is none.
      - One that is not empty is refused unless an earlier run for the same instance has made it.
      - A relative path begins where the command was started.
    type: path
    required: true
seealso:
  - module: crossmesh.mtls.mesh_manifests
"""

EXAMPLES = r"""
- name: Write the manifests of all clusters
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Write the tree
      crossmesh.mtls.mesh_render:
        path: clusters
"""

RETURN = r"""
files:
  description: All files of the tree that this run has judged, by their paths in it.
  returned: success
  type: list
  elements: str
  sample:
    - cluster-b/gateway-ports/kustomization.yaml
    - cluster-b/gateway-ports/services.yaml
    - cluster-b/kustomization.yaml
    - cluster-b/links/mysql.yaml
lines:
  description: One line a file that was written or removed, for people.
  returned: success
  type: list
  elements: str
  sample:
    - write cluster-b/links/mysql.yaml
"""
