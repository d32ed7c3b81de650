# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both gateways' proxies are judged by: listener, filter chain, callers, routes, Secrets. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.access import Caller
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Pod, Service
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import (
    Chain,
    Fault,
    Listener,
    Path,
    Proxy,
    Tls,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.services import leads_to, target_ports
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredLink, gateway_port
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import listed

__all__ = ["FIX_CALLERS", "Scene", "described", "few", "is_of_secret", "secret_name"]

_FEW = 3
_SDS = "kubernetes://"
FIX_CALLERS = (
    "remove what others changed on this listener, such as a Gateway of theirs with the same host, or an EnvoyFilter"
)


@dataclass(frozen=True)
class Scene:
    """One link in one pod.

    :param service: the gateway's; None where it could not be read.
    :param hop: the one that ends in this gateway.
    """

    proxy: Proxy
    pod: Pod
    service: Service | None
    link: DesiredLink
    hop: int

    @property
    def port(self) -> int:
        return gateway_port(self.link)

    @cached_property
    def ports(self) -> frozenset[int] | None:
        """Where the proxy has to listen; None where only its container's ports say it."""
        return frozenset({self.port}) if self.service is None else target_ports(self.service, self.port)

    def fault(
        self, code: str, wanted: str, found: str, fix: str, *, hop: int = 0, culprit: str = "", outside: bool = False
    ) -> Fault:
        title = f"{self.pod['namespace']}/{self.pod['name']}"
        return Fault(code, self.link["name"], hop or self.hop, title, wanted, found, fix, culprit, outside)

    # -- the way in ------------------------------------------------------------------------------------------------

    def way_in(self) -> Iterator[Fault]:
        """What keeps a connection from coming to the filter chain of the link."""
        if self.service and not leads_to(self.service, self.pod["labels"]):
            title = f"Service {self.service['namespace']}/{self.service['name']}"
            selector = ",".join(f"{key}={value}" for key, value in sorted(self.service["selector"].items()))
            yield self.fault(
                "service-elsewhere",
                f"{title} to lead to this pod",
                f"its selector {selector}, which the pod's labels do not have",
                "give the Service and the inventory's gateway selector labels of the same pods",
                culprit=title,
            )
        listeners = self.proxy.on(self.ports)
        active = [item for item in listeners if item.state == "active"]
        if not active:
            yield self._no_listener(listeners)
        elif not self.chains:
            yield self._no_chain(active)

    @cached_property
    def chains(self) -> list[Chain]:
        fqdn = self.link["fqdn"]
        found = [chain for listener in self.proxy.on(self.ports) for chain in listener.chains]
        return [chain for chain in found if fqdn in chain.server_names]

    def _no_listener(self, listeners: Sequence[Listener]) -> Fault:
        wanted = f"a listener on port {self.where}"
        refused = next((item.refused for item in listeners if item.refused), "")
        if refused:
            return self.fault("listener-refused", wanted, f"Envoy refused it: {refused}", _fix_of(refused))
        if missing := sorted(map(secret_name, self.proxy.secrets.waiting)):
            found = f"no active one; the proxy waits for {few(missing)}"
            return self.fault("listener-missing", wanted, found, _FIX_SECRETS)
        state = next((item.state for item in listeners), "none")
        found = "none" if state == "none" else f"one that is {state}"
        fix = f"check that Gateway {self.link['namespace']}/{self.link['gateway']} selects this pod, and istiod's log"
        return self.fault("listener-missing", wanted, found, fix)

    def _no_chain(self, listeners: Iterable[Listener]) -> Fault:
        wanted = f"a filter chain for {self.link['fqdn']} on port {self.where}"
        refused = next((item.refused for item in listeners if item.refused), "")
        if refused:
            found = f"an older listener without it, because Envoy refused the new one: {refused}"
            return self.fault("listener-refused", wanted, found, _fix_of(refused))
        names = sorted({name for item in listeners for chain in item.chains for name in chain.server_names})
        fix = (
            f"check that VirtualService {self.link['namespace']}/{self.link['virtual_service']} is bound to the link's "
            "Gateway alone, and that no older Gateway of others has this host"
        )
        return self.fault("chain-missing", wanted, f"chains for {few(names)}", fix)

    @property
    def where(self) -> str:
        numbers = self.ports
        return str(self.port) if numbers is None or self.port in numbers else few(map(str, numbers))

    def refused_callers(self, chain: Chain, identities: tuple[str, ...] | None) -> Iterator[Fault]:
        """Rules of others that the link's callers do not pass for sure."""
        numbers = self.ports or {self.port}
        for rules in chain.rules:
            callers = [Caller(port, self.link["fqdn"], identities) for port in numbers]
            refusals = [rules.refusal(caller) for caller in callers]
            if all(refusal is not None for refusal in refusals):
                kind = "a policy that denies it" if rules.denies else "an allow-list that lacks it"
                yield self.fault(
                    "caller-refused",
                    "callers of the link to be let in",
                    kind,
                    "correct that policy, so that the link's callers pass",
                    culprit=refusals[0] or "",
                )

    # -- the way on ------------------------------------------------------------------------------------------------

    def detours(self, chain: Chain, clusters: frozenset[str], hop: int) -> Iterator[Fault]:
        """Routes that do not lead where the link leads to."""
        wanted = f"a route to {sorted(clusters, key=len)[0]}"
        fix = "remove what others route for this host on this gateway, or give the link another fqdn"
        paths = self.paths(chain)
        if not paths:
            yield self.fault("route-missing", wanted, "no route for the link's host", fix, hop=hop)
        for path in paths:
            strange = sorted(set(path.clusters) - clusters)
            found = path.instead or (f"one to {few(strange)}" if strange or not path.clusters else "")
            if found:
                found += f" for {path.match}" if path.match else ""
                yield self.fault("route-elsewhere", wanted, found, fix, hop=hop, culprit=path.made_by)

    def paths(self, chain: Chain) -> tuple[Path, ...]:
        if not chain.route_config:
            return chain.paths
        domains = self.proxy.routes.get(chain.route_config, {})
        fqdn = self.link["fqdn"]
        return next((domains[name] for name in (fqdn, f"{fqdn}:{self.port}", "*") if name in domains), ())

    def missing_secrets(self, tls: Tls, hop: int) -> Iterator[Fault]:
        """What of a certificate and its trust SDS has not brought."""
        missing = {tls.certificate, tls.validation} - self.proxy.secrets.active
        if missing:
            wanted = f"{few(map(secret_name, missing))} from istiod"
            yield self.fault("secret-missing", wanted, "not arrived", _FIX_SECRETS, hop=hop)


_FIX_SECRETS = (
    "check that the Secret is in the gateway's namespace and sound, and that istiod's account may get, list and watch "
    "Secrets there"
)


def _fix_of(refusal: str) -> str:
    lower = refusal.lower()
    if "permission denied" in lower:
        return "give the link a tls_port of 1024 or above, or the Service's port a targetPort that the pod may bind"
    if "address already in use" in lower or "cannot bind" in lower:
        return "free the port in the pod (another process, hostNetwork), or choose another"
    return "find the object that made it so, such as an EnvoyFilter for this gateway, and correct it"


def few(values: Iterable[str]) -> str:
    """Some of them, and how many more there are."""
    found = sorted(values)
    more = f" and {len(found) - _FEW} more" if len(found) > _FEW else ""
    return listed(found[:_FEW]) + more


def secret_name(name: str) -> str:
    """A Secret's name out of SDS's."""
    return name.removeprefix(_SDS).rpartition("/")[2]


def is_of_secret(tls: Tls, secret: str) -> bool:
    """Whether certificate and trust both come of this Secret."""
    return (secret_name(tls.certificate), secret_name(tls.validation)) == (secret, f"{secret}-cacert")


def described(tls: Tls | None) -> str:
    if tls is None:
        return "PLAIN TEXT"
    asks = "asks for a certificate" if tls.asks else "asks for no certificate"
    certificate, trust = secret_name(tls.certificate) or "no certificate", secret_name(tls.validation) or "unknown"
    return f"TLS with {certificate}, trust {trust}, {tls.minimum or 'any version'}, {asks}"
