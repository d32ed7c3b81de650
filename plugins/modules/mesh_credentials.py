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
    type: str
    choices: [all, trust, leaves]
    default: all
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
    secrets: "{{ view.server.secrets }}"
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
roots:
  description: SHA-256 fingerprints of the roots that every Secret of this side then holds.
  returned: success
  type: list
  elements: str
  sample: []
"""

from datetime import UTC, datetime, timedelta

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.crossmesh.mtls.plugins.module_utils import arguments, names
from ansible_collections.crossmesh.mtls.plugins.module_utils.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils.credentials import Work, ensure, report
from ansible_collections.crossmesh.mtls.plugins.module_utils.plan import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils.store import FileStore
from ansible_collections.crossmesh.mtls.plugins.module_utils.x509 import KEY_TYPES


def work(module: AnsibleModule) -> dict[str, object]:
    params = module.params
    policy = Policy(
        key_type=params["key_type"],
        renew_before=timedelta(days=params["renew_before_days"]),
        force=params["force"],
        adopt=params["adopt"],
        stage=params["stage"],
    )
    task = Work(
        owner=names.Owner(params["instance"], params["cluster"], params["side"]),
        namespace=params["namespace"],
        wanted=params["secrets"],
        links=params["links"],
        policy=policy,
        validity=timedelta(days=params["validity_days"]),
        passphrase=params["ca_passphrase"],
        check=module.check_mode,
    )
    store = FileStore(params["ca_dir"])
    return report(ensure(Api(params["kubeconfig"], params["context"]), store, task, datetime.now(UTC)))


def main() -> None:
    secret = {
        "name": {"type": "str", "required": True},
        "link": {"type": "str", "required": True},
        "labels": {"type": "dict", "required": True},
        "role": {"type": "str", "choices": ["server", "client"], "required": True},
        "common_name": {"type": "str", "required": True},
        "sans": {"type": "list", "elements": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            **arguments.CLUSTER,
            "instance": {"type": "str", "default": "default"},
            "cluster": {"type": "str", "required": True},
            "side": {"type": "str", "choices": ["server", "client"], "required": True},
            "namespace": {"type": "str", "required": True},
            "secrets": {"type": "list", "elements": "dict", "required": True, "options": secret, "no_log": False},
            "links": {"type": "list", "elements": "str", "default": []},
            "ca_dir": {"type": "path", "required": True},
            "ca_passphrase": {"type": "str", "default": "", "no_log": True},
            "key_type": {"type": "str", "choices": list(KEY_TYPES), "default": "P-256", "no_log": False},
            "validity_days": {"type": "int", "default": 90},
            "renew_before_days": {"type": "int", "default": 30},
            "force": {"type": "bool", "default": False},
            "adopt": {"type": "bool", "default": False},
            "stage": {"type": "str", "choices": ["all", "trust", "leaves"], "default": "all"},
        },
        supports_check_mode=True,
    )
    arguments.run(module, work)


if __name__ == "__main__":
    main()
