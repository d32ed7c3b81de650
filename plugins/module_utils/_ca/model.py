# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a reading: what was read of a cluster, and of the CA store. Plain JSON.

PRIVATE to the collection.
"""

from __future__ import annotations

from typing import TypedDict

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import AuthorityJson
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import ClusterReading
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import MessageJson

__all__ = ["CaReading", "Reading", "Revocation"]


class Revocation(TypedDict):
    """What custom_ca_revoked means.

    :param revoked: serials.
    :param unmatched: warnings.
    :param lists_due: why they are to be made anew; empty where they are not.
    :param lists_wrong: whether they revoke other certificates than is asked for.
    :param awaited: holders that are to get another certificate before they come out.
    """

    revoked: list[str]
    unmatched: list[MessageJson]
    lists_due: str
    lists_wrong: bool
    awaited: list[str]


class CaReading(Revocation):
    authority: AuthorityJson


class Reading(ClusterReading, CaReading):
    """Everything that a plan is made of, beside the inventory."""
