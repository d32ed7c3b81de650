#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_credentials
short_description: Issue certificates of the custom CA and write them into Secrets
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Looks at the Secrets of one side of one cluster, decides for each whether its certificate is kept or issued anew,
    and says why.
  - A private key is made in memory and leaves the process only into its Secret. It is never an argument, a result or
    part of a diff.
  - A new certificate always has a new key. It is recorded in the CA store before it is used.
  - Certificate and trust of a Secret have a field manager each, so that either is written without the other.
extends_documentation_fragment:
  - crossmesh.mtls.cluster
options:
  instance:
    description: The instance that the Secrets belong to.
    type: str
    default: default
  cluster:
    description: The cluster's name.
    type: str
    required: true
  side:
    description: Which side's Secrets.
    type: str
    choices: [server, client]
    required: true
  namespace:
    description: Namespace of the gateway's pods, where the Secrets have to be.
    type: str
    required: true
  secrets:
    description: The Secrets that are wanted, from the view that filter P(crossmesh.mtls.resolve#filter) makes.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the Secret.
        type: str
        required: true
      link:
        description: The link that it belongs to; V(client) for a client's one Secret.
        type: str
        required: true
      labels:
        description: Its labels.
        type: dict
        required: true
      role:
        description: What the certificate is for; decides its extended key usage.
        type: str
        choices: [server, client]
        required: true
      common_name:
        description: Subject where the first SAN is longer than 64 characters.
        type: str
        required: true
      sans:
        description: DNS names that the certificate holds.
        type: list
        elements: str
        required: true
      trust:
        description: PEM of the roots to trust in place of the custom CA's, for a server of another CA.
        type: str
        default: ''
  links:
    description: Names of the links that a client's certificate serves; they are recorded with it.
    type: list
    elements: str
    default: []
  ca_dir:
    description: The folder of the CA store on the controller.
    type: path
    required: true
  ca_passphrase:
    description: Opens the CA's private key. Needed only when something is issued.
    type: str
    default: ''
  key_type:
    description: The key of new certificates.
    type: str
    choices: [P-256, P-384, RSA-2048, RSA-3072, RSA-4096]
    default: P-256
  validity_days:
    description: How long a new certificate is valid. It never outlives its root.
    type: int
    default: 90
  renew_before_days:
    description: A certificate is issued anew this long before it expires.
    type: int
    default: 30
  force:
    description: Issue every certificate anew.
    type: bool
    default: false
  adopt:
    description: Take over Secrets of these names that others made.
    type: bool
    default: false
  stage:
    description:
      - V(all) issues, and makes the trust exactly that of the CA store.
      - V(trust) adds the CA's roots to the trust that is there and issues nothing.
      - V(leaves) issues, and keeps trust that others brought. An adoption goes through V(trust), V(leaves) and V(all).
      - V(bundle) makes the trust exactly that of the CA store and issues nothing; for a rotation of the root.
    type: str
    choices: [all, trust, leaves, bundle]
    default: all
  revoked:
    description: What is revoked, as the variable C(custom_ca_revoked) lists it.
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    description: Runs the same decisions and writes nothing.
    support: full
  diff_mode:
    description: Shows subject, SANs, serial, validity, fingerprint and trusted roots, never a key or a Secret's data.
    support: full
  idempotent:
    description: A certificate that need not be issued anew is kept.
    support: full
seealso:
  - module: community.crypto.x509_certificate
"""

EXAMPLES = r"""
- name: Keep or issue the credentials of the ingress gateway
  crossmesh.mtls.mesh_credentials:
    kubeconfig: ~/.kube/config
    context: cluster-b
    cluster: cluster-b
    side: server
    namespace: istio-system
    secrets: "{{ (view.server | from_json).secrets }}"
    ca_dir: .crossmesh/ca
    ca_passphrase: "{{ vault_custom_ca_passphrase }}"
  register: issued
"""

RETURN = r"""
credentials:
  description: What was decided about each Secret.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the Secret.
      type: str
      sample: mysql-credential
    action:
      description: V(keep), V(issue) or V(write) (trust or labels only).
      type: str
      sample: issue
    reason:
      description: Code of the reason.
      type: str
      sample: missing
    message:
      description: The reason in words.
      type: str
      sample: there is no certificate yet
    certificate:
      description:
        - Subject, SANs, serial, validity and fingerprint of what the Secret then holds.
        - Null where check mode would issue.
      type: dict
      sample: {serial: 1f0c6d6f5a9be3d2}
    trusted:
      description: SHA-256 fingerprints of the roots that the Secret then holds.
      type: list
      elements: str
      sample: []
serials:
  description: Serials of all certificates of this side, in the form that Envoy shows them.
  returned: success
  type: list
  elements: str
  sample: [1f0c6d6f5a9be3d2]
trust:
  description: For each Secret what it then tells a gateway to trust.
  returned: success
  type: list
  elements: dict
  contains:
    secret:
      description: Name of the Secret.
      type: str
      sample: mysql-credential
    roots:
      description: SHA-256 fingerprints of the roots.
      type: list
      elements: str
      sample: []
    lists:
      description: What tells each revocation list from every other one.
      type: list
      elements: str
      sample: []
issuers:
  description: SHA-256 fingerprints of the roots whose certificates these are; an empty text for a stranger's.
  returned: success
  type: list
  elements: str
  sample: []
"""
