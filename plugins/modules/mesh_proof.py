#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_proof
short_description: Wait until every ready pod of a gateway serves what was issued
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Asks each ready pod of a gateway, through exec of C(pilot-agent request GET), which certificates it has loaded.
  - Where exec is forbidden, handshakes with an ingress gateway tell, if the controller can reach it. Where neither is
    open, it lets O(wait) pass, and a warning says that nothing was proven.
extends_documentation_fragment:
  - crossmesh.mtls.cluster
options:
  gateway:
    description: The gateway.
    type: dict
    required: true
    suboptions:
      namespace:
        description: Namespace of the Service and the pods.
        type: str
        required: true
      service:
        description: Name of the Service.
        type: str
        required: true
      selector:
        description: Labels that select the pods.
        type: dict
        required: true
  serials:
    description: Serials of the certificates that each pod has to serve.
    type: list
    elements: str
    required: true
  trust:
    description: What each pod has to trust for a Secret, no less and no more. Empty asks nothing about trust.
    type: list
    elements: dict
    default: []
    suboptions:
      secret:
        description: Name of the Secret.
        type: str
        required: true
      roots:
        description: SHA-256 fingerprints of the roots.
        type: list
        elements: str
        required: true
      lists:
        description: Identities of the revocation lists, as M(crossmesh.mtls.mesh_credentials) tells them.
        type: list
        elements: str
        default: []
      own:
        description: Whether these are the custom CA's, as M(crossmesh.mtls.mesh_credentials) tells; not asked here.
        type: bool
        default: true
  endpoints:
    description: Where handshakes can be tried if exec is forbidden.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: IP address or host name.
        type: str
        required: true
      port:
        description: TCP port.
        type: int
        required: true
      fqdn:
        description: The SNI.
        type: str
        required: true
  await_address:
    description:
      - Once that is proven, wait until a Service of type C(LoadBalancer) has an address, and say so meanwhile.
      - One that has none after O(timeout) is told in a warning and fails nothing.
    type: bool
    default: false
  timeout:
    description: Seconds to wait at most.
    type: int
    default: 60
  wait:
    description: Seconds to let pass where nothing can be seen.
    type: int
    default: 10
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
  - module: crossmesh.mtls.mesh_credentials
"""

EXAMPLES = r"""
- name: Wait until the ingress gateway serves the new certificates
  crossmesh.mtls.mesh_proof:
    kubeconfig: ~/.kube/config
    context: cluster-b
    gateway:
      namespace: istio-system
      service: istio-ingressgateway
      selector: {istio: ingressgateway}
    serials: "{{ issued.serials }}"
"""

RETURN = r"""
method:
  description: How it was seen, V(exec) or V(handshake); V(wait) where nothing could be, V(none) without a ready pod.
  returned: success
  type: str
  sample: exec
pods:
  description: The pods that were asked and serve what was issued.
  returned: success
  type: list
  elements: str
  sample: [istio-ingressgateway-0]
"""
