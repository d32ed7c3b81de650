#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.revoked import entries_or_refusal

DOCUMENTATION = r"""
module: custom_ca_rotation
short_description: Move the certificate authority that joins the meshes on by one step
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Does one step of a root rotation in the CA store, once every cluster was seen to be ready for it; or publishes
    revocation lists.
  - Playbook C(crossmesh.mtls.rotate_ca) takes the steps in order, and does the work in the clusters between them.
  - Only the store is changed. What a step waits for is handed over in O(sights); all that is missing is told at once.
extends_documentation_fragment:
  - crossmesh.mtls.root
options:
  path:
    description: The folder of the CA store.
    type: path
    required: true
  passphrase:
    description:
      - Of the store. Needed by the steps that make a root, let one issue, or sign a list.
    type: str
    default: ''
  step:
    description:
      - V(prepare) makes the next root and trusts it.
      - V(switch) lets it issue. Waits until every cluster trusts it.
      - V(retire) trusts the old root no more. Waits until no cluster serves a certificate of it.
      - V(finish) destroys its key. Waits until no cluster trusts it.
      - V(abandon) takes a prepared root back, unless a cluster serves a certificate of it.
      - V(recover) begins anew where the store was lost, with a root that is to replace the O(lost) ones.
      - V(publish) makes revocation lists (RFC 5280 section 5) where something is revoked, for every trusted root.
    type: str
    choices: [prepare, switch, retire, finish, abandon, recover, publish]
    required: true
  seen:
    description:
      - The state of the store that the caller has seen, as RV(state) tells it. Where another run has moved the store on
        since, the module refuses.
    type: str
    default: ''
  instance:
    description: The C(mesh_instance) whose clusters these are.
    type: str
    default: default
  clusters:
    description: Names of all clusters that belong to the mesh. Holders of unexpired certificates are added to them.
    type: list
    elements: str
    default: []
  sights:
    description: What was seen of each side of each cluster in this run.
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
        description: How; only what every gateway pod itself was asked (V(exec)) opens a gate.
        type: str
        required: true
      trust:
        description: For each credential what is trusted, as M(crossmesh.mtls.mesh_proof) takes it.
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
  revoked:
    description: What is revoked, as the variable C(custom_ca_revoked) lists it.
    type: list
    elements: dict
    default: []
  lost:
    description: PEM of the roots that the clusters hold; for V(recover).
    type: list
    elements: str
    default: []
  keep_retired_keys:
    description: Keep the key of a retired root instead of destroying it.
    type: bool
    default: false
  clock_ahead:
    description:
      - By how many seconds the controller's clock is ahead of the clusters', as M(crossmesh.mtls.mesh_cluster_info)
        returns it. Where what is made now would not be valid yet, the module refuses.
    type: int
    default: 0
attributes:
  check_mode:
    description: Looks at the gate and writes nothing.
    support: full
  diff_mode:
    description: Shows the public part of the authority.
    support: full
  idempotent:
    description: A step is done once; V(publish) changes nothing while its lists are right.
    support: partial
seealso:
  - module: crossmesh.mtls.custom_ca
"""

EXAMPLES = r"""
- name: Publish what is revoked
  crossmesh.mtls.custom_ca_rotation:
    path: /var/lib/crossmesh/ca
    passphrase: "{{ vault_custom_ca_passphrase }}"
    step: publish
    revoked:
      - cluster: cluster-a
        reason: keyCompromise
        date: '2026-03-01T08:00:00Z'
"""

RETURN = r"""
errors:
  description: What failed, each as C(code), C(level), C(where), C(what) and C(fix); RV(msg) is the same as text.
  returned: failure
  type: list
  elements: dict
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

from datetime import UTC, datetime

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import ROOT_ARGUMENTS, Outcome, wanted_root
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.move import Move, move
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import sight_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import FileStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, failure
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import HAS_CRYPTOGRAPHY

STEPS = ["prepare", "switch", "retire", "finish", "abandon", "recover", "publish"]
SIGHT = {
    "cluster": {"type": "str", "required": True},
    "side": {"type": "str", "choices": ["server", "client"], "required": True},
    "step": {"type": "str", "required": True},
    "method": {"type": "str", "required": True},
    "trust": {"type": "list", "elements": "dict", "required": True},
    "issuers": {"type": "list", "elements": "str", "required": True},
    "surplus": {"type": "list", "elements": "str", "default": []},
    "problem": {"type": "str", "default": ""},
}


def run(module: AnsibleModule, store: FileStore) -> Outcome:
    params, now = module.params, datetime.now(UTC)
    work = Move(
        step=params["step"],
        seen=params["seen"],
        passphrase=params["passphrase"],
        wanted=wanted_root(params),
        sights=[sight_from_json(item) for item in params["sights"]],
        instance=params["instance"],
        clusters=params["clusters"],
        revoked=entries_or_refusal(params["revoked"], now),
        lost=params["lost"],
        keep_keys=params["keep_retired_keys"],
        clock_ahead=params["clock_ahead"],
    )
    return move(store, work, now=now, check_mode=module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "passphrase": {"type": "str", "default": "", "no_log": True},
            "step": {"type": "str", "choices": STEPS, "required": True},
            "seen": {"type": "str", "default": ""},
            "instance": {"type": "str", "default": "default"},
            "clusters": {"type": "list", "elements": "str", "default": []},
            "sights": {"type": "list", "elements": "dict", "default": [], "options": SIGHT},
            "revoked": {"type": "list", "elements": "dict", "default": []},
            "lost": {"type": "list", "elements": "str", "default": []},
            **ROOT_ARGUMENTS,
            "keep_retired_keys": {"type": "bool", "default": False, "no_log": False},
            "clock_ahead": {"type": "int", "default": 0},
        },
        required_together=[("import_certificate", "import_key")],
        supports_check_mode=True,
    )
    if not HAS_CRYPTOGRAPHY:
        module.fail_json(msg=missing_required_lib("cryptography >= 42.0.0"))
    store = FileStore(module.params["path"])
    try:
        outcome = run(module, store)
        authority = store.public()
    except CrossmeshError as error:
        module.fail_json(**failure(error))
    module.exit_json(
        changed=outcome.changed,
        msg=outcome.message,
        authority=outcome.authority,
        phase=authority.phase if authority else "absent",
        state=authority.state if authority else "",
        diff={"before": outcome.before, "after": outcome.after},
    )


if __name__ == "__main__":
    main()
