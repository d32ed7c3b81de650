#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_cluster_info
short_description: Read all that a run must know of one cluster
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Reads, in one call, the objects of this instance, what others have under their names, the Gateways of others, the
    gateways' Services and pods, what each of these pods serves, and the public part of the CA store.
  - Changes nothing. No private key is part of the result.
extends_documentation_fragment:
  - crossmesh.mtls.cluster
options:
  instance:
    description: The instance whose objects are ours.
    type: str
    default: default
  cluster:
    description: The cluster's name, as its objects are labelled.
    type: str
    required: true
  ingress_gateway:
    description: The ingress gateway.
    type: dict
    required: true
    suboptions: &gateway
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
  egress_gateway:
    description: The egress gateway.
    type: dict
    required: true
    suboptions: *gateway
  links:
    description: Names of the links that are wanted here. Objects under their names are read whoever made them.
    type: list
    elements: str
    default: []
  client_credential:
    description: Name of the Secret with the cluster's client certificate.
    type: str
    default: client-credential
  backends:
    description: The Services that links lead to.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description: Name of the Service.
        type: str
        required: true
      namespace:
        description: Its namespace.
        type: str
        required: true
  lockdown:
    description: Namespaces whose egress is to be locked down.
    type: list
    elements: str
    default: []
  sides:
    description: The sides whose gateway pods are asked what they serve.
    type: list
    elements: str
    choices: [server, client]
    default: [server, client]
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
    description: Reads only.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
seealso:
  - module: kubernetes.core.k8s_info
"""

EXAMPLES = r"""
- name: Read the cluster
  crossmesh.mtls.mesh_cluster_info:
    kubeconfig: ~/.kube/config
    context: cluster-b
    cluster: cluster-b
    ingress_gateway:
      namespace: istio-system
      service: istio-ingressgateway
      selector: {istio: ingressgateway}
    egress_gateway:
      namespace: istio-system
      service: istio-egressgateway
      selector: {istio: egressgateway}
    links: [mysql]
    ca_dir: .crossmesh/ca
  register: found
"""

RETURN = r"""
id:
  description: A random name of this reading, by which a play can tell it from an older one.
  returned: success
  type: str
  sample: 1f0c6d6f5a9be3d2
request:
  description: What was looked for.
  returned: success
  type: dict
  sample: {cluster: cluster-b, links: [mysql]}
phase:
  description: How far a rotation of the root has come.
  returned: success
  type: str
  sample: steady
state:
  description: Tells one state of the CA's roots from another; for M(crossmesh.mtls.custom_ca_rotation).
  returned: success
  type: str
  sample: 4f0c2d9e1b7a6c35
lists_due:
  description: Why the revocation lists are to be made anew; empty where they are right.
  returned: success
  type: str
  sample: ''
lists_wrong:
  description: Whether that is for what they hold, and not for their age or for certificates that have expired since.
  returned: success
  type: bool
  sample: false
clock_ahead:
  description: Seconds by which this machine's clock is ahead of the API server's.
  returned: success
  type: int
  sample: 0
reading:
  description:
    - What was read, as JSON. Filter P(crossmesh.mtls.plan#filter) makes a plan of it.
    - C(objects), Istio objects that are ours or stand under our names.
    - C(gateways), Gateways of others, as far as they can be in the way.
    - C(destination_rules), those of others whose host covers the egress gateway's; C(sidecars) and C(network_policies),
      those of others in the namespaces of O(lockdown).
    - C(secrets), told by certificate and trust; of the key only whether it belongs to the certificate.
    - C(services) and C(pods) of each side's gateway, with the owners of each port, the serials that each pod serves,
      and what it trusts while a rotation is under way or something is revoked.
    - C(backends), C(mesh_roots), and C(authority), the public part of the CA store.
    - C(clock_ahead), seconds by which this machine's clock is ahead of the API server's.
    - C(revoked), serials; C(unmatched), one line for each entry of O(revoked) that revokes nothing; C(lists_due), why
      the revocation lists are to be made anew; and RV(lists_wrong).
  returned: success
  type: str
  sample: '{"cluster": "cluster-b", "objects": [], "secrets": []}'
"""
