# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway really serves, out of Envoy's admin interface. Pure.

PRIVATE to the collection. Sources: Envoy, Operations and administration, Administration interface: C(/certs) and
C(/config_dump). C(certs) is what Envoy loaded; before Envoy 1.40 it names only the first root of a bundle, so trusted
roots are read from the dynamic active secrets.
"""

from __future__ import annotations

import base64
import json
from typing import Any

__all__ = ["CERTS", "SECRETS", "serial", "served_serials", "trusted_roots"]

CERTS = "certs"
SECRETS = "config_dump?resource=dynamic_active_secrets"


def serial(text: str) -> str:
    """A serial number in one form: hexadecimal, lower case, no leading zero."""
    return text.replace(":", "").lower().lstrip("0")


def served_serials(certs: str) -> list[str]:
    """Serials of all leaf certificates that the proxy has loaded."""
    chains = [chain for entry in json.loads(certs).get("certificates", []) for chain in entry.get("cert_chain", [])]
    return sorted({serial(chain["serial_number"]) for chain in chains if chain.get("serial_number")})


def trusted_roots(config_dump: str) -> dict[str, str]:
    """The PEM bundle of trusted roots of every validation context that came by SDS, by resource name."""
    roots = {}
    for entry in json.loads(config_dump).get("configs", []):
        secret = entry.get("secret", {})
        trusted: dict[str, Any] = secret.get("validation_context", {}).get("trusted_ca", {})
        if "inline_bytes" in trusted:
            roots[entry.get("name", secret.get("name", ""))] = base64.b64decode(trusted["inline_bytes"]).decode()
        elif "inline_string" in trusted:
            roots[entry.get("name", secret.get("name", ""))] = trusted["inline_string"]
    return roots
