#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_probe
short_description: Follow the call of each link of a cluster, from where it is made
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - For each link that has a C(probe), asks the link's server by exec in a pod of the client's cluster, with the program
    that the container has; whether the name resolves there, the port answers, and the answer is the wanted one.
  - For each link of a server, goes through handshakes from the controller with every address of the ingress gateway.
    The certificate has to be of the CA, in its time and for the link's FQDN; a client without a certificate has to be
    refused, and one whose certificate was made up for this moment. Nothing is issued for it, and its key is in memory
    only. Of external servers it looks at the certificate.
  - What could not be asked is told, and is no failure but with C(probe.required).
  - Ends as unreachable where the look before it did not reach the API server, as failed where that failed otherwise.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.reads
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.cluster
  - crossmesh.mtls.variables.desired
  - crossmesh.mtls.variables.store
notes:
  - Reads C(mesh_prune_all), C(mesh_ingress_server_state) and C(mesh_egress_client_state), as the look before it.
options:
  look:
    description: The result of M(crossmesh.mtls.mesh_cluster_info) for this cluster, also of one that failed.
    type: dict
    required: true
seealso:
  - module: crossmesh.mtls.mesh_cluster_info
  - module: crossmesh.mtls.mesh_summary
"""

EXAMPLES = r"""
- name: Look at the cluster
  crossmesh.mtls.mesh_cluster_info:
  register: look
  failed_when: false

- name: Follow the call of each link
  crossmesh.mtls.mesh_probe:
    look: "{{ look }}"
  register: probe
"""

RETURN = r"""
links:
  description: >-
    By side, how each link stands now, as RV(crossmesh.mtls.mesh_cluster_info#module:sides.server.status). C(broken) can
    also be V(name), that the FQDN does not resolve where it is asked, or V(answer), that the server's answer is not the
    wanted one; C(answer) is V(not asked) where a probe could not be asked.
  returned: success
  type: dict
  sample: {server: [], client: []}
faults:
  description: Of each link the first thing that was wrong, where the look has told of nothing before it on the way.
  returned: success
  type: list
  elements: str
  sample: []
not_asked:
  description: Servers that could not be reached from the controller.
  returned: success
  type: list
  elements: str
  sample: []
report:
  description: How many handshakes were made, and probes asked.
  returned: success
  type: list
  elements: str
  sample: ["client side: 1 of 1 probes asked"]
"""
