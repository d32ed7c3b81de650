# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions have in common: the contract's variables, required libraries, how they end.

PRIVATE to the collection. They are action plugins, not modules that Ansible packs and starts: they run on the
controller in any case, and this way a run imports the C(kubernetes) package once, not once for each task and cluster.
Their options are documented in plugins/modules.
"""

from __future__ import annotations

import gc
import os
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, get_args

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.crossmesh.mtls.plugins import filter as filters
from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import ROOT_NAME, Import, Wanted
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.holdings import Grants, Removal
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import Entry
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Storage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.trial import Uses
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import KUBERNETES_IMPORT_ERROR, Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import (
    Connection,
    connection_of,
    connection_to_host,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.environment import SECRETS, withheld
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.limits import Limits
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import Gateway, Request
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import (
    CrossmeshError,
    UnfinishedError,
    failure,
    internal_error,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import Finding
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.grants import grants_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import (
    Desired,
    DesiredLink,
    GatewayPlace,
    ReadingRequest,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.resolution import Resolution, resolve
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.ca import (
    check_passphrase,
    check_policy,
    check_store,
    job_folder,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.clusters import check_trust_domain
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.links import sound_links
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.revoked import entries_or_refusal
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.uses import uses_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.validation import World
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import (
    Message,
    is_path,
    one_line,
    shown,
    visible,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import SIDES
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import HAS_CRYPTOGRAPHY
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy, Stage
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.presence import at_home, moved
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.judge import watch_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._journal import author_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._manifests import ROLES
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._variables import (
    contract,
    contracts,
    plain,
    store_folder,
    text,
    value_of,
)

__all__ = [
    "SIDES",
    "STAGES",
    "Action",
    "ClusterAction",
    "Variables",
    "gateway_of",
    "lacks",
    "request_of",
    "watching",
    "world_of",
]

STAGES: tuple[Stage, ...] = get_args(Stage)
# Of a result: what was put together of lines, each of which was made visible before.
_OF_SEVERAL_LINES = frozenset({"msg", "diff"})

# Ansible forks for each task, and a process that meets a filter of a collection compiles all of them, and what they
# import. What is imported here is there before it forks.
for _module in pkgutil.iter_modules(filters.__path__):
    import_module(f"{filters.__name__}.{_module.name}")


@dataclass(frozen=True)
class Variables:
    """The variables of the host that a task is for.

    :param task_vars: as Ansible gives them to an action.
    """

    task_vars: Mapping[str, Any]
    templar: Any

    @cached_property
    def given(self) -> dict[str, Any]:
        """The contract's variables that are defined, by their names."""
        return contract(self.task_vars, self.templar)

    @cached_property
    def filled(self) -> dict[str, Any]:
        """The same with the schema's defaults; only where they are known to be sound."""
        return {**schema.defaults(schema.CONTRACT), **self.given}

    @property
    def cluster(self) -> str:
        return str(self.given["mesh_cluster_name"])

    @property
    def passphrase(self) -> str:
        return self.text("custom_ca_passphrase")

    def text(self, name: str) -> str:
        return text(self.task_vars, self.templar, name)

    def of_playbook(self, name: str) -> Any:
        """A variable of playbooks that is not the contract's, as it is written; None where it is not given."""
        return value_of(self.task_vars, self.templar, name)

    def connection(self) -> Connection:
        """How the cluster is reached, by whatever reads or writes there."""
        return self._withholding(self._connection())

    def _withholding(self, connection: Connection) -> Connection:
        return replace(connection, withheld=withheld(os.environ, self._secrets()))

    def _connection(self) -> Connection:
        kubeconfig, context = (str(self.given.get(f"mesh_{key}") or "") for key in ("kubeconfig", "context"))
        host, authority = (str(self.given.get(f"mesh_api_{key}") or "") for key in ("host", "ca_cert"))
        if secret := str(self.given.get("mesh_argocd_secret") or ""):
            return self._registered(secret, kubeconfig, context, host)
        if host:
            return connection_to_host(host, self.text("mesh_api_key"), authority, Path.cwd(), kubeconfig, context)
        return connection_of(kubeconfig, context, os.environ, Path.cwd())

    def _registered(self, secret: str, *others: str) -> Connection:
        # Seldom used, and imported for nobody else.
        from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.argocd import connection_to_registered

        kubeconfig, context = (str(self.given.get(f"mesh_argocd_{key}") or "") for key in ("kubeconfig", "context"))
        hub = self._withholding(connection_of(kubeconfig, context, os.environ, Path.cwd(), "mesh_argocd"))
        return connection_to_registered(Api(hub, self.limits()), secret, *others)

    def _secrets(self) -> Iterator[str]:
        """Those that can be read; one that cannot is told where it is needed."""
        for name in SECRETS:
            with suppress(CrossmeshError):
                yield self.text(name)

    def api(self, waits: float = 0) -> Api:
        """The cluster's API server.

        :param waits: seconds that the work itself may let pass, beside the time that the cluster has for its answers.
        """
        return Api(self.connection(), self.limits(waits))

    def limits(self, waits: float = 0) -> Limits:
        """What one call takes from the cluster.

        :param waits: as for C(api).
        """
        answer, size = self.number("mesh_api_timeout"), self.number("mesh_api_max_bytes")
        return Limits(answer, size, self.number("mesh_cluster_timeout") + waits)

    def store(self) -> CaStore:
        return CaStore(self._storage, str(self.filled["mesh_instance"]), author=author_of(self.task_vars))

    def relocation(self) -> tuple[Storage, Storage]:
        """The storage that was not chosen, and the one that was."""
        chosen = self._storage
        (other,) = set(schema.STORES) - {self.filled["custom_ca_store"]}
        return self._storage_of(other), chosen

    @cached_property
    def _storage(self) -> Storage:
        return self._storage_of(str(self.filled["custom_ca_store"]))

    def _storage_of(self, kind: str) -> Storage:
        if faults := list(check_store({**self.filled, "custom_ca_store": kind})):
            raise CrossmeshError(*faults)
        if kind == "kubernetes":
            return self._secret_storage()
        given = str(self.filled["custom_ca_dir"])
        folder = store_folder(self.task_vars, given)
        # Who names a folder has chosen it.
        job = "" if given else job_folder(Path(folder), os.environ)
        return FileStorage(folder, self.number("mesh_api_timeout"), fleeting=job)

    def _secret_storage(self) -> Storage:
        # Seldom used, and imported for nobody else.
        from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.secret_layout import Place
        from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.secret_storage import SecretStorage

        if KUBERNETES_IMPORT_ERROR is not None:
            raise lacks("kubernetes")
        instance = str(self.filled["mesh_instance"])
        prefix = str(self.filled["custom_ca_store_name"]) or f"crossmesh-ca-{instance}"
        place = Place(str(self.filled["custom_ca_store_namespace"]), prefix, instance)
        kubeconfig, context = (
            str(self.filled[name]) for name in ("custom_ca_store_kubeconfig", "custom_ca_store_context")
        )
        connection = connection_of(kubeconfig, context, os.environ, Path.cwd(), "custom_ca_store")
        named = replace(connection, where=f"{place.title()}, {connection.where}")
        # It is asked before and after the work on the cluster of this host.
        api = Api(self._withholding(named), self.limits(waits=self.number("mesh_cluster_timeout")))
        return SecretStorage(api, place, self.number("mesh_api_timeout"))

    def misled(self, uid: str, owner: str) -> Message | None:
        """Why the cluster of this uid is not the one that is meant.

        :param owner: the name of the cluster whose objects the run is about.
        """
        if uid and owner != self.cluster and self._homes.get(owner) == uid:
            return at_home(self.cluster, owner)
        return moved(self.cluster, uid, self._homes.get(self.cluster, ""), self._given_uid)

    def recognises(self, uid: str) -> bool:
        """Whether this uid is known as that of the cluster of this host."""
        return bool(uid) and uid == (self._given_uid or self._homes.get(self.cluster, ""))

    @property
    def _given_uid(self) -> str:
        return str(self.given.get("mesh_cluster_uid") or "")

    @cached_property
    def _homes(self) -> dict[str, str]:
        """The uids of clusters that got certificates, by their names, as they are when they are first asked for."""
        return self.store().clusters()

    def wanted_root(self) -> Wanted:
        """The root that is made where there is none, or brought in."""
        certificate, key = (self._file(f"custom_ca_import_{part}") for part in ("certificate", "key"))
        if bool(certificate) != bool(key):
            raise CrossmeshError(
                Message.error(
                    "root-import",
                    where="custom_ca_import_certificate, custom_ca_import_key",
                    what="only one of the two is set",
                    fix="set both, or neither",
                )
            )
        source = None
        if certificate:
            passphrase = self.text("custom_ca_import_passphrase")
            source = Import(certificate, key, passphrase, self._uses())
        return Wanted(ROOT_NAME, self.filled["custom_ca_key_type"], self.filled["custom_ca_validity_days"], source)

    def _file(self, name: str) -> str:
        """A path on the controller; empty where none is given."""
        given = str(self.filled[name])
        if not is_path(given):
            what, fix = (
                "it holds something that is no path",
                f"write it to a file of mode 0600, and set {name} to its path",
            )
            raise CrossmeshError(Message.error("root-import", where=name, what=what, fix=fix))
        return os.path.expanduser(os.path.expandvars(given))

    def _uses(self) -> Uses:
        """What the CA is to issue, as far as the inventory is sound; what is not is told elsewhere."""
        now = datetime.now(UTC)
        clusters = contracts(self.task_vars, self.templar).values()
        resolved = [resolve(given, now, prune_all=True).desired for given in clusters]
        return uses_of(
            sound_links(self.given.get("mesh_links")),
            [view for view in resolved if view],
            str(self.filled["custom_ca_trust_domain"]),
            timedelta(days=self.days("custom_ca_leaf_validity_days")),
        )

    def ca_findings(self) -> list[Finding]:
        """Everything that is wrong with the settings of the CA, the passphrase's length among them."""
        domain, length = self.filled["custom_ca_trust_domain"], len(self.passphrase)
        return [
            *check_trust_domain("custom_ca", domain),
            *check_policy(self.given),
            *check_passphrase(length),
            *check_store(self.filled),
        ]

    def revoked(self) -> tuple[Entry, ...]:
        return entries_or_refusal(self.filled["custom_ca_revoked"], datetime.now(UTC))

    def grants(self) -> Grants:
        """What the inventory gives to which cluster, as far as this run sees it."""
        clusters = contracts(self.task_vars, self.templar, ("mesh_cluster_name", "mesh_cluster_state"))
        return grants_of(clusters, {"mesh_links": None, **self.filled})

    def removal(self, *, foreseen: bool) -> Removal | None:
        """What is revoked because it was taken away; None where nothing is.

        :param foreseen: whether certificates that this run is still to replace count as replaced.
        """
        if self.filled["custom_ca_revoke_removed"] is not True:
            return None
        return Removal(self.grants(), limited=bool(self.filled["mesh_only_links"]), foreseen=foreseen)

    def side_state(self, side: names.Side) -> str:
        """C(present), or what the side's role is told to be by its one option."""
        return self.text(f"{ROLES[side]}_state") or "present"

    def resolution(self, state: str = "present") -> Resolution:
        """What the cluster is to be.

        :param state: C(absent) takes everything away, whatever the inventory says.
        """
        prune_all = self.filled["mesh_prune_all"] is True or state == "absent"
        wanted = self.given
        if state != "present":
            # A word that is none is told of by the rule of the cluster's own state.
            wanted = {
                **self.given,
                "mesh_cluster_state": state,
                "mesh_links": [],
                "mesh_cluster_name": self._torn_down(),
            }
        return resolve(wanted, datetime.now(UTC), prune_all=prune_all)

    def _torn_down(self) -> str:
        """The cluster whose objects are to go: this one, or another whose objects lie here."""
        other = str(self.filled["mesh_misplaced_from"])
        if other == self.cluster:
            raise CrossmeshError(at_home(self.cluster, other))
        return other or self.cluster

    def number(self, name: str) -> int:
        """A whole number; the default where it is none: what is wrong with it is for the rules to tell."""
        value = self.filled[name]
        return int(value if isinstance(value, int) else schema.defaults(schema.CONTRACT)[name])

    def days(self, name: str) -> int:
        """A number of days, likewise."""
        return self.number(name)

    def policy(self, stage: Stage, *, existing: bool, force: bool) -> Policy:
        return Policy(
            key_type=self.filled["custom_ca_key_type"],
            renew_before=timedelta(days=self.days("custom_ca_renew_before_days")),
            force=force,
            adopt=self.filled["mesh_adopt"] is True,
            only=frozenset(self.filled["mesh_only_links"]),
            stage=stage,
            existing=existing,
        )


def world_of(variables: Variables) -> World:
    """All clusters and links that the inventory shows to this run, for what is told of them."""
    clusters = contracts(variables.task_vars, variables.templar, ("mesh_cluster_name", "mesh_cluster_state"))
    return World(variables=clusters, groups=frozenset(), shared={"mesh_links": None, **variables.filled})


def gateway_of(value: GatewayPlace) -> Gateway:
    return Gateway(value["namespace"], value["service"], value["selector"])


def watching(view: Desired) -> Request:
    """What to look for in a cluster that is to be so, with what its gateways' proxies do of the links."""
    links: dict[names.Side, Sequence[DesiredLink]] = {side: view[side]["links"] for side in SIDES}
    watches = {side: replace(watch_of(found), counts=side == "client") for side, found in links.items() if found}
    return replace(request_of(view["request"]), watches=watches)


def request_of(wanted: ReadingRequest) -> Request:
    """What to look for, in the words of the desired state's request."""
    return Request(
        instance=wanted["instance"],
        cluster=wanted["cluster"],
        ingress=gateway_of(wanted["ingress_gateway"]),
        egress=gateway_of(wanted["egress_gateway"]),
        links=wanted["links"],
        client_credential=wanted["client_credential"],
        backends=[(item["service"], item["namespace"]) for item in wanted["backends"]],
        secrets=[(item["namespace"], item["name"]) for item in wanted["secrets"]],
        lockdown=wanted["lockdown"],
        sides=wanted["sides"],
    )


class Action(ActionBase):
    """An action on the controller. Its name, C(ARGUMENTS) and C(work) make it a module to its user."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True

    ARGUMENTS: ClassVar[dict[str, Any]] = {}
    PACKAGES: ClassVar[Mapping[str, bool]] = {"cryptography": HAS_CRYPTOGRAPHY}

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        """The result; C(warnings) in it are shown. A CrossmeshError becomes a failure."""
        raise NotImplementedError

    def say(self, line: str) -> None:
        """Tell something while the work goes on."""
        self._display.display(visible(line))

    def refused(self, error: CrossmeshError, variables: Variables) -> dict[str, Any]:
        """The result where there was an error."""
        return {"failed": True, **failure(error), "unfinished": isinstance(error, UnfinishedError)}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        # Ansible forks for each task: to search for garbage in all that was inherited takes longer than the work.
        gc.freeze()
        try:
            # ansible-core does not annotate it.
            _validation, given = self.validate_argument_spec(self.ARGUMENTS)  # type: ignore[no-untyped-call]
        except AnsibleActionFail as error:
            return _shown({"failed": True, **failure(_unfit(self._task.action, error))})
        params: dict[str, Any] = plain(given)
        for package, found in self.PACKAGES.items():
            if not found:
                return {"failed": True, **failure(lacks(package))}
        return _shown(self._ended(Variables(task_vars or {}, self._templar), params))

    def _ended(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.work(variables, params)
        except CrossmeshError as error:
            return self.refused(error, variables)
        except AnsibleError:
            # By these Ansible's own parts speak to Ansible.
            raise
        except Exception as error:
            return self.refused(internal_error(error), variables)


def _shown(result: dict[str, Any]) -> dict[str, Any]:
    """A result as terminals, tables, callbacks and later tasks get it: much of it comes from clusters and files."""
    return {key: shown(value, lines=key in _OF_SEVERAL_LINES) for key, value in result.items()}


class ClusterAction(Action):
    """An action on one cluster."""

    PACKAGES: ClassVar[Mapping[str, bool]] = {"kubernetes": KUBERNETES_IMPORT_ERROR is None, **Action.PACKAGES}


def _unfit(action: str, error: AnsibleActionFail) -> CrossmeshError:
    what = f"an option cannot be taken as it is: {one_line(error)}"
    fix = f"correct the variable that it is set by; ansible-doc {action} describes each option"
    return CrossmeshError(Message.error("wrong-option", where=f"task {action}", what=what, fix=fix))


def lacks(package: str) -> CrossmeshError:
    """The error where the Python of the controller has not what an action needs."""
    return CrossmeshError(
        Message.error(
            "missing-package",
            where=sys.executable,
            what=f"the Python that ansible-playbook runs with lacks the package {package}",
            fix="install it there, and set ansible_python_interpreter: '{{ ansible_playbook_python }}' for the "
            "clusters, so that kubernetes.core uses the same",
        )
    )
