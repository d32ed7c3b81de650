# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract's variables as a task sees them, without Ansible's containers.

PRIVATE to the collection. Actions read them by their names, so that no role hands them on under another one, and no
secret is ever a task's argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleUndefinedVariable

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired, schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.ca import store_path
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["NAMES", "contract", "contracts", "contracts_of", "of_clusters", "plain", "store_folder", "text", "value_of"]

_FIELDS: Mapping[str, schema.Field] = {field.name: field for field in schema.CONTRACT}
NAMES = tuple(_FIELDS)
_SECRETS = frozenset(field.name for field in schema.SECRET)
# Before ansible-core 2.19 a vaulted value is no string, but an object with this mark.
_ENCRYPTED = "__ENCRYPTED__"
# As Jinja says it.
_UNDEFINED = re.compile(r"'([A-Za-z_][A-Za-z0-9_]{0,63})' is undefined")


def contract(variables: Mapping[str, Any], templar: Any = None, names: Iterable[str] = NAMES) -> dict[str, Any]:
    """The contract's variables that are defined, by their names, and the cluster's C(groups).

    :param variables: a task's C(task_vars).
    :param templar: what templates them; none, where they are values already.
    """
    found = {}
    for name in names:
        if name in variables:
            found[name] = schema.coerced(_FIELDS[name], value_of(variables, templar, name))
    # A key without a value counts as not given.
    given = {name: value for name, value in found.items() if value is not None or name == "mesh_links"}
    given.setdefault("mesh_cluster_name", str(variables["inventory_hostname"]))
    return {**given, "groups": list(map(str, variables.get("group_names", ())))}


def contracts(variables: Mapping[str, Any], templar: Any, names: Iterable[str] = NAMES) -> dict[str, dict[str, Any]]:
    """The same of every cluster that the inventory shows to this run, by host.

    :param variables: a task's C(task_vars).
    :param templar: the task's.
    """
    return contracts_of(of_clusters(variables), templar, names)


def contracts_of(
    clusters: Mapping[str, Mapping[str, Any]], templar: Any, names: Iterable[str] = NAMES
) -> dict[str, dict[str, Any]]:
    """The same of clusters whose variables were read."""
    return {
        host: contract(own, templar.copy_with_new_env(available_variables=own), names) for host, own in clusters.items()
    }


def of_clusters(variables: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """All variables of every cluster that the inventory shows to this run, as they are written, by host."""
    groups = variables.get("groups", {})
    hosts: Any = variables.get("hostvars")
    names = dict.fromkeys([*groups.get(desired.SERVERS_GROUP, ()), *groups.get(desired.CLIENTS_GROUP, ())])
    # Not hosts[host]: before ansible-core 2.19 that gives what it cannot template as it is written.
    return {str(host): hosts.raw_get(host) for host in names}


def text(variables: Mapping[str, Any], templar: Any, name: str) -> str:
    """A variable beside the contract's, as a passphrase; empty where it is not given.

    :raises CrossmeshError: it cannot be templated or decrypted.
    """
    value = value_of(variables, templar, name)
    return "" if value is None else str(value)


def value_of(variables: Mapping[str, Any], templar: Any, name: str) -> Any:
    """A variable of any type; None where it is not given.

    :raises CrossmeshError: it cannot be templated or decrypted.
    """
    if name not in variables:
        return None
    try:
        # A vaulted value is decrypted once somebody looks at it, as plain() does.
        return plain(variables[name] if templar is None else templar.template(variables[name]))
    except Exception as error:
        # Before ansible-core 2.19 an expression's own error, as of a division by zero, comes through as it is.
        raise CrossmeshError(_unreadable(name, str(variables.get("inventory_hostname", "")), error)) from None


def _unreadable(name: str, host: str, error: Exception) -> Message:
    """Without Ansible's own words, which can hold a part of the value."""
    if isinstance(error, AnsibleUndefinedVariable):
        # A name is all that is taken of it, and of a secret not even that: braces may be a part of it.
        found = None if name in _SECRETS else _UNDEFINED.search(str(error))
        what = f"its value uses {found[1] if found else 'a variable'}, which is not defined for {host}"
        fix = f"define it for {host} too, or set {name} without it"
    else:
        what = "its value cannot be templated or decrypted"
        fix = "give the vault password (--ask-vault-pass or --vault-password-file), or correct the value"
    return Message.error("unreadable-variable", where=name, what=what, fix=fix)


def store_folder(variables: Mapping[str, Any], given: str) -> str:
    """Where the CA store is.

    :param variables: a task's C(task_vars).
    :param given: C(custom_ca_dir).
    """
    sources = [str(source) for source in variables.get("ansible_inventory_sources") or ()]
    return str(store_path(given, sources, Path.cwd()))


def plain(value: Any) -> Any:
    """Without Ansible's containers, which look at a value anew each time it is read, and without tags on values."""
    if isinstance(value, str):
        # Not str(): before ansible-core 2.19 that gives a text that is not to be templated as it is.
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return plain(str(value)) if hasattr(value, _ENCRYPTED) else value
