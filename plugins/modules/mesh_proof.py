#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_proof
short_description: Wait until every ready pod of a gateway serves what was issued and does what its links mean
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Asks each ready pod of the gateways of one cluster, through exec of C(pilot-agent request GET), which certificates,
    roots and CRLs it has loaded.
  - Where exec is forbidden, handshakes with an ingress gateway tell, if the controller can reach it. Where neither is
    open, it lets C(mesh_gate_wait) seconds pass, and a warning says that nothing was proven.
  - In the same way it sees whether the pod's proxy does what each link means (docs/verify.md).
  - Fails where that is not so after C(mesh_gate_timeout) seconds, with one message for each link, which names hop and
    pod, or one that names the pods which do not serve what was issued. In a stage of a rotation links are warnings.
  - Where a gateway was given something to serve for the first time, it waits for the address of a Service of type
    C(LoadBalancer) as well. One that has none by then is told in a warning and fails nothing.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.reads
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.cluster
  - crossmesh.mtls.variables.desired
notes:
  - Reads C(mesh_gate_timeout) and C(mesh_gate_wait).
  - Reads C(mesh_prune_all), C(mesh_ingress_server_state) and C(mesh_egress_client_state), as the look before it.
options:
  look:
    description: The result of M(crossmesh.mtls.mesh_cluster_info) for this cluster.
    type: dict
    required: true
  issued:
    description: The result of M(crossmesh.mtls.mesh_credentials); empty where nothing was issued.
    type: dict
    default: {}
  manifests:
    description: Whether manifests were written before it, for RV(written).
    type: bool
    default: false
  earlier:
    description: >-
      The result of the proof before this one in the same run; what it tells of sides that are not proven now stands in
      this one's result as well.
    type: dict
    default: {}
  sides:
    description: The sides to prove, of those that were looked at.
    type: list
    elements: str
    choices: [server, client]
    default: [server, client]
  step:
    description: The step of a root rotation at which this is seen; then there are RV(sights).
    type: str
    default: ''
seealso:
  - module: crossmesh.mtls.mesh_cluster_info
  - module: crossmesh.mtls.mesh_credentials
"""

EXAMPLES = r"""
- name: Wait until both gateways serve the new certificates
  crossmesh.mtls.mesh_proof:
    look: "{{ look }}"
    issued: "{{ issued }}"
  register: proof
"""

RETURN = r"""
methods:
  description: >-
    By side, how it was seen, V(exec) or V(handshake); V(wait) where nothing could be, V(none) where there is no ready
    pod, or nothing to prove.
  returned: success
  type: dict
  sample: {server: exec, client: none}
pods:
  description: By side, the pods that were asked and serve what was issued.
  returned: success
  type: dict
  sample: {server: [istio-ingressgateway-0], client: []}
sights:
  description: What a root rotation asks for, as M(crossmesh.mtls.custom_ca_rotation) takes it; empty without O(step).
  returned: success
  type: list
  elements: dict
  sample: []
written:
  description: What this run has written before its proofs, V(credentials) and V(manifests), of either side.
  returned: success
  type: list
  elements: str
  sample: [credentials]
links:
  description: By side, how each link stands now, as RV(crossmesh.mtls.mesh_cluster_info#module:sides.server.status).
  returned: success
  type: dict
  sample: {server: []}
"""
