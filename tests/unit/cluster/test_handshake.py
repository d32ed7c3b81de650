# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a server is waited for; what handshakes show is in tests/unit/probe/test_handshakes.py."""

from __future__ import annotations

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.handshake import LONGER, TIMEOUT
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.desired import SLOWEST_CONNECTION


def test_a_silent_server_is_waited_for_longer_than_its_gateway_waits_for_a_backend() -> None:
    """Only then does silence mean that our certificate was not refused."""
    assert LONGER + TIMEOUT > SLOWEST_CONNECTION
