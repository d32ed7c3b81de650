# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a credential is kept or issued anew, and why. Pure: the clock is an input.

CHECKS is the specification: the first check that objects decides.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import listed, short
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.credential import LiveCredential
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    Role,
    timestamp,
    usage_of,
    verify_issued_by,
)

__all__ = ["CHECKS", "SAN_CHANGED", "Decision", "Inputs", "decide", "trust_decision"]


@dataclass(frozen=True)
class Inputs:
    """Everything that the decision may look at. ``issuing_root`` is None where the root is still to be made.

    :param left_sans: names that may be there, and are not wanted.
    """

    now: datetime
    role: Role
    wanted_sans: frozenset[str]
    key_type: str
    renew_before: timedelta
    live: LiveCredential | None
    issuing_root: CertificateView | None
    force: bool = False
    revoked: frozenset[str] = frozenset()
    left_sans: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Decision:
    """The outcome: what to do, a code for programs and a message for people."""

    action: Literal["keep", "issue", "write"]
    reason: str
    message: str


SAN_CHANGED = "san-changed"


def decide(inputs: Inputs) -> Decision:
    """Ask every check in turn."""
    if inputs.live is None:
        return Decision("issue", "missing", "there is no certificate yet")
    if inputs.live.leaf is None:
        return Decision("issue", "unreadable", inputs.live.problem)
    for reason, check in CHECKS:
        message = check(inputs, inputs.live, inputs.live.leaf)
        if message:
            return Decision("issue", reason, message)
    return _keep(inputs, inputs.live.leaf)


def trust_decision(live_roots: tuple[CertificateView, ...], wanted_roots: tuple[CertificateView, ...]) -> Decision:
    """Compare two bundles as sets: their order means nothing to a verifier."""
    live, wanted = _fingerprints(live_roots), _fingerprints(wanted_roots)
    if live == wanted:
        return Decision("keep", "trusted", f"trusts {_roots(wanted)}")
    return Decision("write", "trust-changed", f"trusted roots changed: had {_roots(live)}, want {_roots(wanted)}")


Check = Callable[[Inputs, LiveCredential, CertificateView], str]


def _key_differs(_inputs: Inputs, live: LiveCredential, leaf: CertificateView) -> str:
    return "" if live.key_matches else f"the key does not belong to certificate {leaf.serial}"


def _usage_differs(inputs: Inputs, _live: LiveCredential, leaf: CertificateView) -> str:
    wanted = usage_of(inputs.role)
    if leaf.eku == wanted and not leaf.is_ca:
        return ""
    had = "a CA" if leaf.is_ca else listed(leaf.eku)
    return f"usage changed: had {had}, want {listed(wanted)}"


def _sans_differ(inputs: Inputs, _live: LiveCredential, leaf: CertificateView) -> str:
    if set(leaf.sans) - inputs.left_sans == inputs.wanted_sans:
        return ""
    return f"SAN changed: had {listed(leaf.sans)}, want {listed(inputs.wanted_sans)}"


def _issuer_differs(inputs: Inputs, _live: LiveCredential, leaf: CertificateView) -> str:
    root = inputs.issuing_root
    if root is None:
        return f"issuer changed: had {leaf.issuer}, want a root that is still to be made"
    if verify_issued_by(leaf, root):
        return ""
    return f"issuer changed: had {leaf.issuer} (key {leaf.aki}), want {root.subject} (key {root.ski})"


def _chain_differs(_inputs: Inputs, live: LiveCredential, _leaf: CertificateView) -> str:
    if not live.chain:
        return ""
    return f"chain changed: had {listed(view.subject for view in live.chain)} after the leaf, want nothing"


def _is_revoked(inputs: Inputs, _live: LiveCredential, leaf: CertificateView) -> str:
    return f"certificate {leaf.serial} is revoked" if leaf.serial in inputs.revoked else ""


def _expires(inputs: Inputs, _live: LiveCredential, leaf: CertificateView) -> str:
    if inputs.now >= leaf.not_after:
        return f"expired at {timestamp(leaf.not_after)}"
    if inputs.now < leaf.not_after - inputs.renew_before or _ends_with_root(inputs, leaf):
        return ""
    return f"expires at {timestamp(leaf.not_after)}, to be renewed since {_renewal(inputs, leaf)}"


def _key_type_differs(inputs: Inputs, _live: LiveCredential, leaf: CertificateView) -> str:
    if leaf.key_type == inputs.key_type:
        return ""
    return f"key type changed: had {leaf.key_type}, want {inputs.key_type}"


def _is_forced(inputs: Inputs, _live: LiveCredential, _leaf: CertificateView) -> str:
    return "renewal was asked for" if inputs.force else ""


CHECKS: tuple[tuple[str, Check], ...] = (
    ("key-mismatch", _key_differs),
    ("usage-changed", _usage_differs),
    (SAN_CHANGED, _sans_differ),
    ("issuer-changed", _issuer_differs),
    ("chain-changed", _chain_differs),
    ("revoked", _is_revoked),
    ("expires", _expires),
    ("key-type-changed", _key_type_differs),
    ("forced", _is_forced),
)


def _keep(inputs: Inputs, leaf: CertificateView) -> Decision:
    end = timestamp(leaf.not_after)
    if _ends_with_root(inputs, leaf):
        return Decision(
            "keep", "ends-with-root", f"valid until {end}, when its root ends too: only a new root extends it"
        )
    return Decision("keep", "valid", f"valid until {end}, to be renewed from {_renewal(inputs, leaf)}")


def _ends_with_root(inputs: Inputs, leaf: CertificateView) -> bool:
    """Tell whether a new certificate could not last longer than this one."""
    return inputs.issuing_root is not None and leaf.not_after >= inputs.issuing_root.not_after


def _renewal(inputs: Inputs, leaf: CertificateView) -> str:
    return timestamp(leaf.not_after - inputs.renew_before)


def _fingerprints(roots: tuple[CertificateView, ...]) -> frozenset[str]:
    return frozenset(root.fingerprint for root in roots)


def _roots(fingerprints: Iterable[str]) -> str:
    return listed(map(short, fingerprints))
