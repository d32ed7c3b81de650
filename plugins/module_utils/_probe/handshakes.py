# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Go through handshakes with servers now, from the controller: their certificates, and whom they refuse.

PRIVATE to the collection. Nothing is issued for it: a client that presents nothing, and one whose certificate nobody
has issued, must both be refused. What cannot be reached from here was not asked, which says nothing of the link.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.handshake import (
    LONGER,
    TIMEOUT,
    Endpoint,
    Shaken,
    shake,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.memory import has_memory_files
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import issue_leaf, new_root, parse_certificates

__all__ = ["Handshakes", "Server", "shake_hands", "stranger"]

# As many as wait for an address that does not answer; each port of it may be open all the same.
PARALLEL = 64
_UNHEARD = ("unreached", "lost")
HOP = 2
_FIX_ASKS = "remove what others changed on this listener: a Gateway with the same host or an EnvoyFilter"
_FIX_CERTIFICATE = (
    "run playbook site; if it goes on, something else answers at this address: a load balancer that ends TLS, another "
    "gateway"
)


@dataclass(frozen=True)
class Server:
    """Where a link's server can be asked.

    :param roots: PEM of those that its certificate may come from.
    :param ours: whether it is an ingress gateway; another server may refuse a client only when it is asked something.
    """

    link: str
    endpoint: Endpoint
    roots: str
    ours: bool = True

    @property
    def seen(self) -> str:
        return f"asked from the controller at {self.endpoint.address}:{self.endpoint.port}"


@dataclass
class Handshakes:
    """:param asked: how many servers were reached.
    :param unasked: what was not, and why.
    """

    asked: int = 0
    faults: list[Fault] = field(default_factory=list)
    unasked: list[Message] = field(default_factory=list)


def stranger(sans: Sequence[str], now: datetime) -> str:
    """PEM of a certificate with these names and its key, of a root that nobody trusts; empty where none can be used.

    All of it is made for this moment and is nowhere but in memory.
    """
    if not has_memory_files() or not sans:
        return ""
    day = timedelta(days=1)
    key, root = new_root(common_name="nobody", key_type="P-256", validity=day, now=now)
    leaf = issue_leaf(
        root_certificate=parse_certificates(root)[0],
        root_key=key,
        role="client",
        sans=sans,
        common_name="nobody",
        key_type="P-256",
        validity=day,
        now=now,
    )
    return leaf.certificate_pem + leaf.key_pem.decode()


def shake_hands(servers: Sequence[Server], credential: str) -> Handshakes:
    """:param credential: of a stranger; empty for none."""
    found = Handshakes()
    with ThreadPoolExecutor(PARALLEL) as pool:
        for server, (bare, strange) in zip(servers, pool.map(partial(_both, credential), servers), strict=True):
            _judge(server, bare, strange, found)
    return found


def _both(credential: str, server: Server) -> tuple[Shaken, Shaken | None]:
    """Without a certificate, and with a stranger's where that was not taken."""
    bare = shake(server.endpoint, server.roots, patient=server.ours)
    if not credential or bare.outcome not in ("refused", "closed"):
        return bare, None
    return bare, shake(server.endpoint, server.roots, credential, patient=server.ours)


def _judge(server: Server, bare: Shaken, strange: Shaken | None, found: Handshakes) -> None:
    unheard = next((shaken for shaken in (bare, strange) if shaken and shaken.outcome in _UNHEARD), None)
    if unheard:
        what = f"not asked from here: {unheard.detail}"
        found.unasked.append(Message.notice("server-not-asked", where=f"link {server.link}, {server.seen}", what=what))
        return
    found.asked += 1
    found.faults.extend(_faults(server, bare, strange))


def _faults(server: Server, bare: Shaken, strange: Shaken | None) -> Iterable[Fault]:
    name = server.endpoint.fqdn
    if bare.outcome == "untrusted":
        wanted = f"a certificate for {name} of the CA, in its time"
        yield _fault(server, "server-certificate", wanted, bare.detail, _FIX_CERTIFICATE)
    elif bare.outcome == "failed":
        yield _fault(server, "no-handshake", f"TLS for {name}", bare.detail, _FIX_CERTIFICATE)
    elif let_in := _let_in(server, bare):
        wanted = "a client without a certificate to be refused"
        yield _fault(server, "anybody-let-in", wanted, let_in, _FIX_ASKS)
    elif strange and (let_in := _let_in(server, strange)):
        wanted = "a client to be refused whose certificate the CA has not issued"
        yield _fault(server, "stranger-let-in", wanted, let_in, _FIX_ASKS)


def _let_in(server: Server, shaken: Shaken) -> str:
    """What shows it; empty for nothing.

    Of another server only what it says by itself counts: it may refuse a client when it is asked something.
    """
    if shaken.outcome == "accepted" or (shaken.outcome == "completed" and server.ours):
        return "it was let in"
    return f"no refusal in {TIMEOUT + LONGER:.0f} s" if shaken.outcome == "silent" and server.ours else ""


def _fault(server: Server, code: str, wanted: str, found: str, fix: str) -> Fault:
    return Fault(code, server.link, HOP, "", wanted, found, fix, seen=server.seen)
