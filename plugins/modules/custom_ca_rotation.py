#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: custom_ca_rotation
short_description: Move the certificate authority that joins the meshes on by one step
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Does one step of a root rotation in the CA store, once every cluster was seen to be ready for it; or publishes CRLs.
  - Playbook C(crossmesh.mtls.rotate_ca) takes the steps in order, and does the work in the clusters between them.
  - Only the store is changed. What a step waits for is handed over in O(sights); all that is missing is told at once.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.changes
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.store
  - crossmesh.mtls.variables.passphrase
  - crossmesh.mtls.variables.root
  - crossmesh.mtls.variables.grants
notes:
  - Reads C(mesh_instance), whose clusters these are; C(custom_ca_revoked), what is revoked;
    C(custom_ca_keep_retired_keys), whether the key of a retired root is kept; and C(mesh_gate_max_age).
options:
  step:
    description:
      - V(prepare) makes the next root and trusts it.
      - V(switch) lets it issue. Waits until every cluster trusts it.
      - V(retire) trusts the old root no more. Waits until no cluster serves a certificate of it.
      - V(finish) destroys its key. Waits until no cluster trusts it.
      - V(abandon) takes a prepared root back, unless a cluster serves a certificate of it.
      - V(recover) begins anew where the store was lost, with a root that is to replace the O(lost) ones.
      - V(publish) makes CRLs (RFC 5280 section 5) where something is revoked, for every trusted root.
      - V(take_over) signs a store of an earlier release, or the copy of another instance's, whose roots are O(named).
        It is this instance's from then on. Nothing else reads such a store.
      - V(reconcile) lets a store that came back from a backup go on from what the clusters hold.
      - V(observe) keeps the O(sights) in the store, signed by the CA's key, in place of all that it has of the clusters
        O(looked_at). Steps of other runs take them for clusters that are O(elsewhere) there, for
        C(mesh_gate_max_age) seconds, and until the store is moved on.
    type: str
    choices: [prepare, switch, retire, finish, abandon, recover, publish, take_over, reconcile, observe]
    required: true
  seen:
    description:
      - The state of the store that the caller has seen, as RV(state) tells it. Where another run has moved the store on
        since, the task fails; not where clusters are O(elsewhere), and that run has done this very step.
    type: str
    default: ''
  clusters:
    description: Names of all clusters that belong to the mesh. Holders of unexpired certificates are added to them.
    type: list
    elements: str
    default: []
  sights:
    description: What was seen of each side of each cluster in this run, as M(crossmesh.mtls.mesh_proof) returns it.
    type: list
    elements: dict
    default: []
    suboptions:
      cluster:
        description: Name of the cluster.
        type: str
        required: true
      side:
        description: Which side of it.
        type: str
        choices: [server, client]
        required: true
      step:
        description: The step at which it was seen.
        type: str
        required: true
      method:
        description: >-
          How. A gate opens for what every gateway pod itself was asked (V(exec)), and for the directory of an external
          server (V(directory)); a side that has no credential needs neither.
        type: str
        required: true
      trust:
        description: For each credential what is trusted, as M(crossmesh.mtls.mesh_credentials) tells it.
        type: list
        elements: dict
        required: true
      issuers:
        description: SHA-256 fingerprints of the roots whose certificates are served.
        type: list
        elements: str
        required: true
      surplus:
        description: Names of our Secrets that no link needs any more.
        type: list
        elements: str
        default: []
      problem:
        description: What was seen to be otherwise than it should; it blocks the step.
        type: str
        default: ''
      state:
        description: The state of the store that was read before; V(observe) keeps nothing of another one.
        type: str
        default: ''
  lost:
    description: PEM of the roots that the clusters hold, and that are to be trusted; for V(recover).
    type: list
    elements: str
    default: []
  held:
    description: >-
      What each cluster holds that the store may lack, as M(crossmesh.mtls.mesh_cluster_info) returns it; for
      V(reconcile).
    type: list
    elements: dict
    default: []
  restored:
    description: >-
      The generation of the copy that was restored, as the error names it without this option; for V(reconcile).
    type: str
    default: ''
  named:
    description: SHA-256 fingerprints of the roots that the store is to trust; for V(take_over).
    type: list
    elements: str
    default: []
  unrecorded:
    description: >-
      Certificates that were seen in clusters and of which the store has no record, as
      M(crossmesh.mtls.mesh_cluster_info) returns them. V(publish) reaches them, and records them; so does V(reconcile).
    type: list
    elements: dict
    default: []
  clock_ahead:
    description:
      - By how many seconds the controller's clock is ahead, as a majority of all clocks has it, the controller's among
        them. M(crossmesh.mtls.mesh_cluster_info) returns it for each cluster. Where what is made now would not be valid
        yet, the task fails.
    type: int
    default: 0
  elsewhere:
    description:
      - Those of the O(clusters) that this run's part of the inventory lacks, as in a job slice. Of them counts what
        other runs have kept with V(observe).
      - Where nothing but them is missing for V(finish), the task ends well and changes nothing. The last slice does it.
    type: list
    elements: str
    default: []
  looked_at:
    description: Names of the clusters that this run has looked at, for V(observe).
    type: list
    elements: str
    default: []
attributes:
  idempotent:
    description: A step is done once; V(publish) changes nothing while its CRLs are right.
    support: partial
seealso:
  - module: crossmesh.mtls.custom_ca
  - module: crossmesh.mtls.mesh_proof
"""

EXAMPLES = r"""
# What is revoked stands in custom_ca_revoked.
- name: Publish what is revoked
  crossmesh.mtls.custom_ca_rotation:
    step: publish
"""

RETURN = r"""
authority:
  description: The public part of the store, as M(crossmesh.mtls.custom_ca) returns it.
  returned: success
  type: dict
  sample: {}
phase:
  description: The phase that the store is in now.
  returned: success
  type: str
  sample: prepared
state:
  description: Tells one state of the store from another; for O(seen) of the next step.
  returned: success
  type: str
  sample: 4f0c2d9e1b7a6c35
msg:
  description: What was done, or would be.
  returned: success
  type: str
  sample: 'phase prepared: issuing CN=Crossmesh Root CA 3f9a1c2e, next CN=Crossmesh Root CA 77c0d4aa'
"""
