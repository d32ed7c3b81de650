# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has seen of all clusters, as actions on localhost get it; plugin_utils/_look.py has the arguments."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  looks:
    description: >-
      By host, the result of M(crossmesh.mtls.mesh_cluster_info); empty for a cluster that this run has not looked at.
    type: dict
    required: true
  proofs:
    description: >-
      The results of M(crossmesh.mtls.mesh_proof) or M(crossmesh.mtls.mesh_probe), in the order of O(looks); empty where
      there is none.
    type: list
    elements: dict
    default: []
  names:
    description: The names of the clusters, by host; empty where a host's own name is the cluster's.
    type: dict
    default: {}
"""
