# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for the address of a gateway's Service, which a cloud may give minutes after the Service was made.

PRIVATE to the collection. Nothing that the collection writes holds this address: whoever owns the DNS zone points the
link's name at it. So one that does not come is told, and fails nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import Gateway, read_service
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.services import has_no_address, missing_address
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.waiting import Waiting
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["await_address"]

# Seconds between two looks.
INTERVAL = 1.0


def await_address(
    api: Api,
    gateway: Gateway,
    timeout: float,
    *,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> list[Message]:
    """Wait until the gateway's Service has an address; a warning where it has none in the end.

    :param timeout: seconds.
    :param say: told what is waited for, at once and every few seconds.
    """
    title = f"{api.where}: Service {gateway.namespace}/{gateway.service}"
    waiting = Waiting(timeout, say, clock, pause, at_once=True)
    while has_no_address(service := read_service(api, gateway)):
        if waiting.over:
            after = f"; waited {waiting.passed:.0f} s (mesh_gate_timeout)"
            return [missing_address(gateway.namespace, gateway.service, after)]
        waiting.pause(INTERVAL, f"{title} has no address yet")
    if waiting.told and service:
        say(f"{title} has {', '.join(service['addresses'])} after {waiting.passed:.0f} s")
    return []
