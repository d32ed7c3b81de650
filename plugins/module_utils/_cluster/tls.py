# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One TLS context for all connections to an API server.

PRIVATE to the collection. Otherwise urllib3 reads certificates and key anew for each connection, which costs more than
the handshake.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

# What is missing is told by the action, before anything of this is used.
with suppress(ImportError):
    from urllib3.util import create_urllib3_context

__all__ = ["with_one_context"]

# RFC 7301; what urllib3 offers.
PROTOCOLS = ("http/1.1",)


def with_one_context(manager: Any) -> Any:
    """A manager of connections as the C(kubernetes) package makes it, whose files are read now, and once.

    One that goes through a proxy stays as it is: TLS to the proxy itself takes the same files.

    :raises OSError: when a file cannot be read, or holds something else.
    """
    if manager.proxy:
        return manager
    settings = manager.connection_pool_kw
    context = create_urllib3_context(cert_reqs=settings["cert_reqs"])
    if authority := settings.pop("ca_certs", None):
        context.load_verify_locations(authority)
    else:
        context.load_default_certs()
    if certificate := settings.pop("cert_file", None):
        context.load_cert_chain(certificate, settings.pop("key_file", None))
    context.set_alpn_protocols(PROTOCOLS)
    # urllib3 sets them again for each connection. OpenSSL frees the old ones while another thread may be copying them
    # into its ClientHello, which then holds anything at all.
    setattr(context, "set_alpn_protocols", _leave)  # noqa: B010
    settings["ssl_context"] = context
    return manager


def _leave(_protocols: Sequence[str]) -> None:
    """What was set stays."""
