# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: clusters
short_description: Clusters that are kept in a kubeconfig, in Argo CD or in Open Cluster Management
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Makes a host of each cluster that O(clusters) names, with the variables that lead to it. A file of it has a name
    that ends in C(crossmesh.yml) or C(crossmesh.yaml).
  - What stands in the list is foreign. It only narrows what O(clusters) allows; a name that is no DNS label, or that
    two clusters or a group have, is no host; values are never templated. Groups come of O(groups) and
    O(keyed_groups), or of another file of the inventory, by the names of hosts.
  - Each host has the variable C(crossmesh_cluster) with what the list says of it, the keys C(name), C(server),
    C(labels) and C(claims), for O(groups), O(keyed_groups) and O(compose).
  - No credential is read into the inventory. Tasks read the Secret of Argo CD when they connect
    (C(mesh_argocd_secret)).
requirements:
  - kubernetes >= 29.0.0
extends_documentation_fragment:
  - constructed
options:
  plugin:
    description: Says that the file is one of this plugin.
    type: str
    required: true
    choices: [crossmesh.mtls.clusters]
  source:
    description:
      - V(kubeconfig) makes a host of a context, with C(mesh_kubeconfig) and C(mesh_context).
      - V(argocd) makes one of a Secret with the label C(argocd.argoproj.io/secret-type=cluster), with
        C(mesh_argocd_secret), C(mesh_argocd_kubeconfig) and C(mesh_argocd_context); C(mesh_kubeconfig) and
        C(mesh_context) are empty for it, whatever they are for other hosts.
      - V(ocm) makes one of each C(ManagedCluster) that its hub has accepted. The hub holds no credential, so that
        another file of the inventory, or O(compose), says how it is reached.
    type: str
    required: true
    choices: [kubeconfig, argocd, ocm]
  from_kubeconfig:
    description:
      - The kubeconfig of the contexts, or that of the hub, as with C(mesh_kubeconfig).
      - The default is that of kubectl, C(KUBECONFIG) or C(~/.kube/config).
    type: str
    default: ''
  from_context:
    description: The context of the hub in that kubeconfig; its current one if not given.
    type: str
    default: ''
  from_namespace:
    description: The namespace of Argo CD.
    type: str
    default: argocd
  clusters:
    description: Names of hosts that may be made, or patterns such as V(prod-*). What is not named here is left out.
    type: list
    elements: str
    required: true
  names:
    description:
      - What a host is called, by what the cluster is called in the list. The same where it is not given.
      - A host's name is C(mesh_cluster_name) as well, which stands in certificates.
    type: dict
    default: {}
  strict:
    description:
      - Fail where a cluster that O(clusters) names is left out, or something in O(compose), O(groups) or
        O(keyed_groups) cannot be evaluated. Otherwise the first is a warning, and the second is skipped.
notes:
  - Ansible goes on where a file of the inventory fails; with C(any_unparsed_is_failed) in the section C(inventory) of
    C(ansible.cfg) it does not.
  - Needs C(list) on Secrets in O(from_namespace), or on C(managedclusters) of C(cluster.open-cluster-management.io).
seealso:
  - name: Ways to run it
    description: docs/ways.md of the collection has an example for each source.
    link: https://github.com/crossmesh/crossmesh.mtls/blob/main/docs/ways.md
"""

EXAMPLES = r"""
# hub.crossmesh.yml: whatever Argo CD calls prod-...
plugin: crossmesh.mtls.clusters
source: argocd
from_kubeconfig: ~/.kube/hub
from_context: hub
clusters: [prod-*]
strict: true
groups:
  mesh_servers: crossmesh_cluster.labels['mesh-role'] | default('') == 'server'
  mesh_clients: crossmesh_cluster.labels['mesh-role'] | default('') == 'client'
keyed_groups:
  - key: crossmesh_cluster.labels.region | default([])
    prefix: region

# contexts.crossmesh.yml: two contexts, whose names are no DNS labels
# plugin: crossmesh.mtls.clusters
# source: kubeconfig
# clusters: [cluster-a, cluster-b]
# names:
#   arn:aws:eks:eu-west-1:111122223333:cluster/a: cluster-a
#   gke_shop_europe-west1_b: cluster-b
# strict: true

# ocm.crossmesh.yml: names and groups of the hub, contexts of one kubeconfig
# plugin: crossmesh.mtls.clusters
# source: ocm
# from_context: hub
# clusters: ['*']
# strict: true
# compose:
#   mesh_context: inventory_hostname
# keyed_groups:
#   - key: crossmesh_cluster.claims['region.open-cluster-management.io'] | default([])
#     prefix: region
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import KUBERNETES_IMPORT_ERROR, Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import connection_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.environment import SECRETS, withheld
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.known import Known
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.registries import of_argocd, of_kubeconfig, of_ocm
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, internal_error
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import mappings, text
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.desired import CLIENTS_GROUP, SERVERS_GROUP
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import nearest
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.selection import Selection, select
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import lacks
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._variables import plain

SUFFIXES = ("crossmesh.yml", "crossmesh.yaml")
# What the list says of a cluster, for expressions of people.
TOLD = "crossmesh_cluster"
# What Ansible itself says of a host: the first file that named it.
_OF_ANSIBLE = frozenset({"inventory_file", "inventory_dir"})


class InventoryModule(BaseInventoryPlugin, Constructable):
    """An inventory of clusters; its options are documented above."""

    NAME = "crossmesh.mtls.clusters"

    def verify_file(self, path: str) -> bool:
        # ansible-core does not annotate it.
        return bool(super().verify_file(path)) and path.endswith(SUFFIXES)  # type: ignore[no-untyped-call]

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        written = self._core._read_config_data(path)
        try:
            self._refuse_unread(map(str, written))
            self._fill()
        except CrossmeshError as error:
            raise AnsibleParserError(str(error)) from None
        except AnsibleError:
            # By these Ansible's own parts speak to Ansible.
            raise
        except Exception as error:
            raise AnsibleParserError(str(internal_error(error))) from None

    def _refuse_unread(self, written: Iterable[str]) -> None:
        """Ansible itself passes over what is no option, such as a C(strict) that is misspelt."""
        known = sorted(self._core.get_options())
        for key in sorted(set(written).difference(known)):
            raise CrossmeshError(Message.error("unknown-key", where=key, what="no option", fix=nearest(key, known)))
        if not self._given("clusters"):
            fix = "name the hosts that may be made, or patterns such as prod-*"
            raise CrossmeshError(Message.error("missing", where="clusters", what="it allows no cluster", fix=fix))

    def _fill(self) -> None:
        if KUBERNETES_IMPORT_ERROR is not None:
            raise lacks("kubernetes")
        _refuse_nameless_groups(self._given("keyed_groups"))
        selection = select(self._found(), self._given("clusters"), self._given("names"), self._taken())
        self._tell(selection)
        self._hand_over(self._draft(selection.hosts))
        groups, strict = self._core.get_option("groups"), self._given("strict")
        for host in sorted(selection.hosts):
            variables = self._core.inventory.get_host(host).get_vars()
            self._core._add_host_to_composed_groups(groups, variables, host, strict=strict)

    @property
    def _core(self) -> Any:
        """What ansible-core has made of it, and does not annotate."""
        return self

    def _given(self, option: str) -> Any:
        return plain(self._core.get_option(option))

    def _taken(self) -> set[str]:
        """Names that files before this one have given to a cluster of a list, or to a group."""
        inventory = self._core.inventory
        return {*inventory.groups, *(name for name, host in inventory.hosts.items() if TOLD in host.vars)}

    def _found(self) -> Iterator[Known]:
        kubeconfig, context = self._given("from_kubeconfig"), self._given("from_context")
        # For login plugins, as with a cluster's own connection; variables of the inventory nobody knows yet.
        given = (text(self._core._vars.get(name)) for name in SECRETS)
        connection = replace(
            connection_of(kubeconfig, context, os.environ, Path.cwd(), "from"), withheld=withheld(os.environ, given)
        )
        source = self._given("source")
        if source == "kubeconfig":
            return of_kubeconfig(connection, kubeconfig)
        if source == "argocd":
            return of_argocd(Api(connection), self._given("from_namespace"), kubeconfig, context)
        return of_ocm(Api(connection))

    def _tell(self, selection: Selection) -> None:
        if selection.faults and self._given("strict"):
            raise CrossmeshError(*selection.faults)
        for fault in selection.faults:
            self.display.warning(str(fault))
        if selection.others:
            self.display.vv(f"clusters does not ask for {listed(map(repr, selection.others))}")

    def _draft(self, hosts: Mapping[str, Known]) -> InventoryData:
        """The hosts, their variables and the groups of C(keyed_groups).

        Beside the inventory: Ansible goes on with what a file has put there before it failed.
        """
        core, shared = self._core, self._core.inventory
        core.inventory = made = InventoryData()
        made.current_source = shared.current_source
        try:
            for host, known in sorted(hosts.items()):
                self._describe(host, known, shared.hosts[host].get_vars() if host in shared.hosts else {})
            return made
        finally:
            core.inventory = shared

    def _describe(self, host: str, known: Known, before: Mapping[str, Any]) -> None:
        """:param before: variables of the host that it has of other files, for expressions."""
        core, strict = self._core, self._given("strict")
        core.inventory.add_host(host)
        own = core.inventory.get_host(host)
        told = {"name": known.name, "server": known.server, "labels": known.labels, "claims": known.claims}
        for name, value in {**known.way, TOLD: told}.items():
            # Nothing of it is ever a template.
            own.set_variable(name, wrap_var(value))
        # As they were written: expressions, which templates may be.
        compose, keyed = core.get_option("compose"), core.get_option("keyed_groups")
        core._set_composite_vars(compose, {**own.get_vars(), **before, **own.vars}, host, strict=strict)
        variables = {**own.get_vars(), **before, **own.vars}
        core._add_host_to_keyed_groups(keyed, variables, host, strict=strict, fetch_hostvars=False)
        # What other files make members of these is the inventory's own wish, and is not here.
        _refuse_contract_groups(host, {str(group.name) for group in own.get_groups()})

    def _hand_over(self, made: InventoryData) -> None:
        inventory = self._core.inventory
        for host in made.hosts.values():
            inventory.add_host(host.name)
            for name, value in host.vars.items():
                if name not in _OF_ANSIBLE:
                    # Not by InventoryData, which takes a group of this name first.
                    inventory.get_host(host.name).set_variable(name, value)
        for title in made.groups:
            inventory.add_group(title)
        for group in made.groups.values():
            for child in group.child_groups:
                inventory.add_child(group.name, child.name)
            for host in group.hosts:
                inventory.add_host(host.name, group.name)


def _refuse_nameless_groups(keyed: object) -> None:
    """A group that is called as somebody else likes could be any group that the inventory gives something to."""
    # What is no mapping is for Ansible to tell.
    if not all(entry.get("prefix") for entry in mappings(keyed)):
        what = "an entry has no prefix, so that groups would be called as the list likes"
        raise CrossmeshError(_foreign("keyed_groups", what, "give each entry a prefix that no other group begins with"))


def _refuse_contract_groups(host: str, groups: set[str]) -> None:
    if reserved := groups & {CLIENTS_GROUP, SERVERS_GROUP}:
        what = f"a value of the list would make {host} one of {listed(reserved)}"
        raise CrossmeshError(_foreign("keyed_groups", what, "use another prefix, and say in groups what makes it one"))


def _foreign(where: str, what: str, fix: str) -> Message:
    return Message.error("foreign-group", where=where, what=what, fix=fix)
