# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a link, and what stands in its way. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import NOT_YET, Labels, Meta, Proxy
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["Backend", "Caller", "ClientLink", "Code", "Finding", "Hop", "ServerLink", "described"]

Hop = Literal["workload", "egress-gateway", "ingress-gateway", "backend"]
# What is the matter; one a kind of fault, whichever object is to blame.
Code = Literal[
    "not-discovered",
    "trust-domain-differs",
    "host-hidden",
    "host-claimed",
    "host-shared",
    "port-captured",
    "port-captures",
    "route-taken",
    "route-missing",
    "way-in-missing",
    "way-in-taken",
    "listener-refused",
    "cluster-missing",
    "plain-text",
    "other-tls",
    "caller-refused",
    "caller-uncertain",
    "mode-overridden",
    "changed-outside-the-model",
]


@dataclass(frozen=True)
class Caller:
    """Workloads that use a link.

    :param proxy: theirs; without a namespace it stands for those of any in which nothing else decides.
    :param account: their service account; empty where it is not known.
    """

    proxy: Proxy
    account: str = ""

    @property
    def title(self) -> str:
        return f"workloads of namespace {self.proxy.namespace}" if self.proxy.namespace else "workloads"


@dataclass(frozen=True)
class ClientLink:
    """A link in its client's cluster.

    :param egress: the gateway's proxy; C(egress_host) is its Service's host.
    :param subset: of both DestinationRules.
    """

    name: str
    host: str
    port: int
    tls_port: int
    http: bool
    egress: Proxy
    egress_host: str
    egress_port: int
    subset: str
    credential: str
    callers: Sequence[Caller] = ()


@dataclass(frozen=True)
class Backend:
    """:param target: the pods' port behind the Service's."""

    host: str
    port: int
    namespace: str
    target: int
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True)
class ServerLink:
    """A link in its server's cluster.

    :param account: the ingress gateway's service account.
    :param client: how the client's certificate names it first.
    :param strict: whether the backend is to take mutual TLS of the mesh only.
    """

    name: str
    host: str
    tls_port: int
    http: bool
    ingress: Proxy
    credential: str
    backend: Backend
    account: str = ""
    client: str = ""
    strict: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing that stands in a link's way.

    :param level: an error where the link does not carry, is plain text, or takes what is not its own.
    :param source: the object that does it; None where no single one does.
    :param what: the condition; C(fix) what to do about it, in the imperative.
    """

    level: Literal["error", "warning"]
    link: str
    hop: Hop
    code: Code
    source: Meta | None
    what: str
    fix: str

    @property
    def message(self) -> Message:
        where = described(self.source) if self.source else f"link {self.link}"
        what = f"link {self.link}: {self.what}" if self.source else self.what
        return Message(self.code, self.level, where, what, self.fix)


def described(meta: Meta) -> str:
    """An object by its name, with whose it is and since when it is there, as far as that is known."""
    since = "" if meta.created == NOT_YET else f"since {meta.created}"
    known = ", ".join(part for part in (meta.owner, since) if part)
    return f"{meta.title} ({known})" if known else meta.title
