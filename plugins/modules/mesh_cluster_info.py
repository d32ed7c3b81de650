#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_cluster_info
short_description: Look at one cluster, and tell what a run does there
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Derives what the cluster is to be, reads what is there, and tells the difference of both sides, each step with its
    reason.
  - Reads the objects of this instance, what others have under their names, the Gateways of others, the gateways'
    Services and pods, what each of these pods serves, and the public part of the CA store.
  - Foresees what becomes of the links with all that others have in the cluster, by the rules by which Istio chooses,
    unless O(existing); what stands in a link's way is an error of its side.
  - Where a run has something to write there, tries that on the API server, which keeps nothing of it (a dry run).
  - Changes nothing. No private key is part of the result.
  - Fails where something is wrong with the variables, or where the cluster cannot be read. What is wrong in the cluster
    is part of the result, as RV(sides.server.errors).
extends_documentation_fragment:
  - crossmesh.mtls.attributes.reads
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.cluster
  - crossmesh.mtls.variables.desired
  - crossmesh.mtls.variables.store
  - crossmesh.mtls.variables.grants
notes:
  - Reads C(custom_ca_key_type) and C(custom_ca_renew_before_days), which decide about certificates; C(mesh_adopt),
    whether to take over what others made; and C(mesh_prune_all), whether to accept an empty C(mesh_links).
  - Reads C(mesh_ingress_server_state) and C(mesh_egress_client_state); V(absent) takes that side away.
options:
  sides:
    description: The sides that the result is about.
    type: list
    elements: str
    choices: [server, client]
    default: [server, client]
  stage:
    description:
      - V(all) issues, and makes the trust exactly that of the CA store.
      - V(trust) adds the CA's roots to the trust that is there and issues nothing.
      - V(leaves) issues, and keeps trust that others brought. An adoption goes through V(trust), V(leaves) and V(all).
      - V(bundle) makes the trust exactly that of the CA store and issues nothing; for a rotation of the root.
    type: str
    choices: [all, trust, leaves, bundle]
    default: all
  existing:
    description: Work on the credentials that are there, whether or not something is due, and leave the rest alone.
    type: bool
    default: false
  trust:
    description: >-
      Read of each gateway pod which roots it trusts, also where no root is rotated and nothing is revoked. One that
      neither the Secret nor the CA store has is an alarm.
    type: bool
    default: false
  force:
    description: Issue every certificate anew.
    type: bool
    default: false
  details:
    description: Tell certificates as they are, and which TLS gateways take part in, for M(crossmesh.mtls.mesh_report).
    type: bool
    default: false
seealso:
  - module: crossmesh.mtls.mesh_credentials
  - module: crossmesh.mtls.mesh_proof
  - module: kubernetes.core.k8s_info
"""

EXAMPLES = r"""
- name: Look at the cluster
  crossmesh.mtls.mesh_cluster_info:
  register: look

- name: Show what a run does there
  ansible.builtin.debug:
    msg: "{{ look.sides.server.lines + look.sides.client.lines }}"
"""

RETURN = r"""
cluster:
  description: The cluster's name.
  returned: success
  type: str
  sample: cluster-b
instance:
  description: The instance that the links belong to.
  returned: success
  type: str
  sample: default
identity:
  description: Who asked, and which cluster answered.
  returned: success
  type: dict
  contains:
    user:
      description: The user whom the API server took us for; empty where it does not tell.
      type: str
    cluster_uid:
      description: The uid of the namespace C(kube-system); empty where it may not be read.
      type: str
unrecorded:
  description: >-
    Records that the CA store lacks, of certificates that the cluster holds with their keys. They are recorded by the
    next task that opens the key of the CA, and revocations reach them at once. Each is a warning, and an alarm.
  returned: success
  type: list
  elements: dict
  sample: []
details:
  description: The certificates of our Secrets, and which TLS gateways take part in, as a text of JSON; for a report.
  returned: success
  type: str
  sample: ''
presence:
  description: >-
    Which cluster it is by its C(uid), what this instance C(holds) there by which C(gateways), and what it has there
    C(of_others), other clusters; to be held against the looks at them.
  returned: success
  type: dict
rolled_back:
  description: The error where the cluster has seen a later state of the CA store than the one that lies there.
  returned: success
  type: list
  elements: str
  sample: []
held:
  description: >-
    What the cluster holds that a CA store may lack which came back from a backup: a later state of it, roots that are
    trusted, certificates that are revoked; for step V(reconcile) of M(crossmesh.mtls.custom_ca_rotation).
  returned: success
  type: dict
  sample: {}
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
  description: Why the CRLs are to be made anew; empty where they are right.
  returned: success
  type: str
  sample: ''
lists_wrong:
  description: Whether that is for what they hold, and not for their age or for certificates that have expired since.
  returned: success
  type: bool
  sample: false
awaited:
  description: >-
    Holders that have a certificate which is to be revoked, and are still entitled: they get another one before the CRLs
    are published. Who is named by an entry of C(custom_ca_revoked) of its own is none of them.
  returned: success
  type: list
  elements: str
  sample: []
clock_ahead:
  description: Seconds by which the controller's clock is ahead of the API server's.
  returned: success
  type: int
  sample: 0
ca:
  description: What the cluster tells of the CA.
  returned: success
  type: dict
  contains:
    missing:
      description: Whether the store has no issuing root.
      type: bool
    roots:
      description: The roots that our own Secrets hold, PEM by fingerprint.
      type: dict
    unknown:
      description: Fingerprints of those that the store does not know.
      type: list
      elements: str
    vouched:
      description: >-
        Of those, or of all where the store has no issuing root, the ones that a certificate in these Secrets is of.
      type: list
      elements: str
    meshes:
      description: Fingerprints of the roots of the cluster's own mesh.
      type: list
      elements: str
options:
  description: O(stage), O(existing) and O(force), for the tasks that carry the plan out.
  returned: success
  type: dict
  sample: {stage: all, existing: false, force: false}
settled:
  description: Whether a run has nothing to do here, on the sides that were asked for.
  returned: success
  type: bool
  sample: true
sides:
  description: The plan of each side that was asked for.
  returned: success
  type: dict
  contains:
    server:
      description: The server's side.
      type: dict
      contains:
        errors:
          description: >-
            Why not everything may be written on this side; empty where nothing forbids it. With any, no manifest is
            written, and no new Secret; certificates that are there are renewed, but for RV(sides.server.barring).
          type: list
          elements: str
        barring:
          description: Those of RV(sides.server.errors) with which no certificate may be renewed either.
          type: list
          elements: str
        warnings:
          description: What is worth knowing, and stops nothing.
          type: list
          elements: str
        notices:
          description: What another playbook has to do.
          type: list
          elements: str
        alarms:
          description: Certificates that expire soon, or have expired, and that no run has renewed.
          type: list
          elements: str
        report:
          description: How certificates and CRLs stand, for people.
          type: list
          elements: str
        renewals:
          description: What is due of the credentials, one line each.
          type: list
          elements: str
        lines:
          description: What a run does here, one line each, RV(sides.server.renewals) among them.
          type: list
          elements: str
        changed:
          description: Whether a run would write anything.
          type: bool
        drifted:
          description: Whether the cluster is not as the inventory says. A certificate that is only due is no drift.
          type: bool
        credentials:
          description: The Secrets that M(crossmesh.mtls.mesh_credentials) is to look at.
          type: list
          elements: dict
        trust:
          description: For each Secret what it tells a gateway to trust, as M(crossmesh.mtls.mesh_credentials) tells it.
          type: list
          elements: dict
        issuers:
          description: >-
            SHA-256 fingerprints of the roots whose certificates the Secrets hold; an empty text for a foreign one. With
            O(existing=true) only.
          type: list
          elements: str
        surplus:
          description: Names of our Secrets that no link needs any more.
          type: list
          elements: str
        manifests:
          description: >-
            What M(crossmesh.mtls.mesh_manifests) is to do, as a text of JSON; empty where nothing differs, or there are
            RV(sides.server.errors). In it
            C(strip) takes out of our objects what others added, C(force) restores what they changed, C(write) is all
            else to be written, our ports of the gateway's Service among it, C(delete) what is no longer wanted.
          type: str
        moved:
          description: >-
            Envoy's clusters that every ready pod of the egress gateway has to have before routes that carry are
            changed.
          type: list
          elements: str
        expected:
          description: Serials of the certificates that every gateway pod has to serve.
          type: list
          elements: str
        endpoints:
          description: Where a handshake can show the certificate, if exec is forbidden.
          type: list
          elements: dict
        await_address:
          description: Whether a run waits for the gateway's Service to get an address.
          type: bool
        served:
          description: Whether every ready gateway pod serves and trusts what the Secrets hold.
          type: bool
        faults:
          description: Of each link that is written, the first thing that a ready gateway pod does not do as it means.
          type: list
          elements: str
        judged:
          description: Names of the links that M(crossmesh.mtls.mesh_proof) has to find as they are meant.
          type: list
          elements: str
        unbacked:
          description: >-
            By name of the link, what a warning tells of its backend: C(code), C(what), C(fix), and whether calls
            reach it all the same (C(carries)).
          type: dict
        proven:
          description: >-
            Whether there is nothing to write, nothing that was not seen in the gateway's pods, and no fault that this
            cluster's objects could mend.
          type: bool
        settled:
          description: The same, and nothing is wrong. A run has nothing to do here.
          type: bool
        status:
          description: >-
            How each link stands, with C(link), C(cluster), C(side), C(secret), C(until) (when the certificate expires),
            C(root), C(serial), and of C(ready) gateway pods how many are C(serving) it and how many are C(unseen), as
            exec is forbidden there; C(broken) is the first hop at which one does not do what the link means, C(cause)
            the code of why; C(answer) is for M(crossmesh.mtls.mesh_probe). C(touched) says whether a run has something
            of it to write, C(refused) is the code of what forbids that.
          type: list
          elements: dict
        side:
          description: V(server) or V(client).
          type: str
        manager:
          description: Field manager of what is written.
          type: str
        namespace:
          description: Namespace of the gateway.
          type: str
        service:
          description: Name of its Service.
          type: str
        selector:
          description: Labels that select its pods.
          type: dict
        links:
          description: Names of the links.
          type: list
          elements: str
        secrets:
          description: How many Secrets are wanted.
          type: int
    client:
      description: The client's side, described as RV(sides.server).
      type: dict
"""
