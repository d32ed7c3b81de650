# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variables of the inventory an action reads; plugin_utils/_action.py reads them."""

from __future__ import annotations


class ModuleDocFragment:
    # Ansible takes no fragment without options.

    # Every action that reads any.
    DOCUMENTATION = r"""
options: {}
requirements:
  - cryptography >= 43.0.0
notes:
  - Runs on the controller, in the process of C(ansible-playbook).
  - Variables are read by their names from the host that the task is for; docs/links.md lists them with their defaults.
    None of them is an option, so no passphrase is ever the argument of a task.
"""

    # Connects to a cluster.
    CLUSTER = r"""
options: {}
requirements:
  - kubernetes >= 29.0.0
notes:
  - Reads C(mesh_kubeconfig) and C(mesh_context), or C(mesh_api_host), C(mesh_api_key) and C(mesh_api_ca_cert), or
    C(mesh_argocd_secret), C(mesh_argocd_kubeconfig) and C(mesh_argocd_context), which lead to the cluster;
    docs/links.md says what they can be. What they do not ask for has no part in it, neither C(K8S_AUTH_*) nor the
    C(environment) of a play.
  - Reads C(mesh_api_timeout), C(mesh_api_max_bytes) and C(mesh_cluster_timeout), which bound what the cluster's answers
    may take; beyond them it fails.
"""

    # Derives what the cluster is to be.
    DESIRED = r"""
options: {}
notes:
  - Reads all variables of a cluster, all that clusters share, and the groups that the host is in; and
    C(mesh_misplaced_from) where everything is taken away.
"""

    # Opens the CA store.
    STORE = r"""
options: {}
notes:
  - Reads C(custom_ca_store), where the CA store is; C(custom_ca_dir), its folder on the controller, or
    C(custom_ca_store_namespace), C(custom_ca_store_name), C(custom_ca_store_kubeconfig) and C(custom_ca_store_context),
    which lead to its Secrets; and C(mesh_instance), whose CA it has to be.
  - C(mesh_api_timeout) bounds the wait for another run that writes to it; with Secrets it bounds each answer as well,
    C(mesh_api_max_bytes) its size, and C(mesh_cluster_timeout) all of them. These need C(kubernetes >= 29.0.0).
"""

    # Opens a private key in the store.
    PASSPHRASE = r"""
options: {}
notes:
  - Reads C(custom_ca_passphrase), which opens the private keys in the store.
"""

    # Makes a root.
    ROOT = r"""
options: {}
notes:
  - Reads C(custom_ca_key_type) and C(custom_ca_validity_days) where it makes a root; and
    C(custom_ca_import_certificate), C(custom_ca_import_key) and C(custom_ca_import_passphrase), which name a root of
    your own to use in its place.
  - A root of your own is tried with the names of all links. For these it reads C(mesh_links), C(custom_ca_trust_domain)
    and C(custom_ca_leaf_validity_days), and the variables of all clusters.
"""

    # Issues certificates for gateways or external servers.
    ISSUE = r"""
options: {}
notes:
  - Reads C(custom_ca_key_type), C(custom_ca_leaf_validity_days) and C(custom_ca_renew_before_days), which decide about
    certificates; C(custom_ca_revoked), what is revoked; and C(mesh_only_links), the links to work on.
"""

    # Holds certificates against what the inventory gives to whom.
    GRANTS = r"""
options: {}
notes:
  - Reads C(custom_ca_revoked), what is revoked, and C(custom_ca_revoke_removed), whether that is what was taken away as
    well; C(mesh_only_links), beside which nothing is taken for removed; and C(mesh_links), C(mesh_clusters),
    C(mesh_instance), and C(mesh_cluster_name) and C(mesh_cluster_state) of every cluster, by which it is told what
    was.
"""

    # Holds the CA's settings against the rules.
    SETTINGS = r"""
options: {}
notes:
  - Reads C(custom_ca_trust_domain), C(custom_ca_leaf_validity_days) and C(custom_ca_renew_before_days) as well, to tell
    at once all that is wrong with the settings of the CA.
"""
