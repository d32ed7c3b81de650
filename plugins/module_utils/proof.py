# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until every ready pod of a gateway serves what was issued, and say how that was seen.

PRIVATE to the collection. A pod is asked through exec. Where exec is forbidden a handshake tells, if the controller can
reach the ingress; where neither is open nothing is proven, and the result says so.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils.envoy import serial
from ansible_collections.crossmesh.mtls.plugins.module_utils.errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils.reading import Gateway, gateway_pods
from ansible_collections.crossmesh.mtls.plugins.module_utils.x509 import parse_certificates

__all__ = ["Endpoint", "Expected", "Proof", "lag", "prove"]

# Seconds between two looks, and for one handshake.
INTERVAL = 0.2
HANDSHAKE_TIMEOUT = 3.0

Json = dict[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """Where an ingress gateway can be asked directly."""

    address: str
    port: int
    fqdn: str


@dataclass(frozen=True)
class Expected:
    """What every ready pod has to serve.

    :param serials: of leaf certificates.
    :param trusted: fingerprints of roots that each of C(secrets) must trust; empty asks nothing about trust.
    """

    serials: frozenset[str]
    trusted: frozenset[str] = frozenset()
    secrets: tuple[str, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()


@dataclass
class Proof:
    """What was seen: the pods that answered, and what could not be asked."""

    method: str
    pods: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def prove(
    api: Api,
    gateway: Gateway,
    expected: Expected,
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Proof:
    """Look until all ready pods are as expected.

    :param timeout: seconds.
    :raises CrossmeshError: when a pod that can be asked is still behind then.
    """
    deadline = clock() + timeout
    while True:
        pods = [pod for pod in gateway_pods(api, gateway, trust=bool(expected.trusted)) if pod["ready"]]
        asked = [pod for pod in pods if not pod["forbidden"]]
        behind = {pod["name"]: reason for pod in asked if (reason := lag(pod, expected))}
        if not behind:
            return _conclude(gateway, pods, asked, expected)
        if clock() >= deadline:
            seen = "; ".join(f"pod {name}: {reason}" for name, reason in sorted(behind.items()))
            raise CrossmeshError(
                what="a gateway does not serve what was issued",
                where=f"gateway {gateway.namespace}/{gateway.service}",
                why=f"{seen}; after {timeout:.0f} s",
                cure="look at that pod's istio-proxy log and at istiod, then run again; mesh_gate_timeout is the wait",
            )
        pause(INTERVAL)


def lag(pod: Mapping[str, Any], expected: Expected) -> str:
    """Why a pod is behind; empty if it is not."""
    if pod["problem"]:
        return str(pod["problem"])
    missing = expected.serials - set(pod["serials"])
    if missing:
        return f"serves {_list(pod['serials'])}, not {_list(missing)}"
    for secret in expected.secrets if expected.trusted else ():
        untrusted = expected.trusted - _trusted_by(pod["roots"], secret)
        if untrusted:
            return f"does not trust {_list(untrusted)} for {secret} yet"
    return ""


def _trusted_by(roots: Mapping[str, str], secret: str) -> set[str]:
    """istiod names the validation context of a Secret C(kubernetes://NAME-cacert) (gateways) or so with a namespace."""
    return {
        view.fingerprint
        for name, bundle in roots.items()
        if name.rpartition("/")[2] == f"{secret}-cacert"
        for view in parse_certificates(bundle, where=name)
    }


def _list(values: Collection[str]) -> str:
    return ", ".join(sorted(values)) or "nothing"


def _conclude(gateway: Gateway, pods: Sequence[Json], asked: Sequence[Json], expected: Expected) -> Proof:
    title = f"gateway {gateway.namespace}/{gateway.service}"
    if not pods:
        return Proof("none", warnings=[f"{title} has no ready pod: nothing was proven"])
    if len(asked) == len(pods):
        return Proof("exec", [pod["name"] for pod in pods])
    names = ", ".join(pod["name"] for pod in pods if pod["forbidden"])
    if expected.endpoints and all(_answers(endpoint, expected.serials) for endpoint in expected.endpoints):
        warning = f"{title}: exec is forbidden in {names}; seen by handshakes instead, which reach one pod each"
        return Proof("handshake", [pod["name"] for pod in asked], [warning])
    warning = (
        f"{title}: not proven for {names}: exec is forbidden there, and no handshake from here shows the certificate"
    )
    return Proof("none", [pod["name"] for pod in asked], [warning])


def _answers(endpoint: Endpoint, serials: Collection[str]) -> bool:
    """Whether the endpoint presents one of the certificates; it is compared by serial, so trust is not asked."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        with (
            socket.create_connection((endpoint.address, endpoint.port), timeout=HANDSHAKE_TIMEOUT) as raw,
            context.wrap_socket(raw, server_hostname=endpoint.fqdn) as session,
        ):
            certificate = session.getpeercert(binary_form=True)
    except OSError:
        return False
    if not certificate:
        return False
    pem = ssl.DER_cert_to_PEM_cert(certificate)
    return serial(parse_certificates(pem, where=endpoint.fqdn)[0].serial) in serials
