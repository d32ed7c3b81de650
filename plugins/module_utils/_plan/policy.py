# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides about certificates, and how far a run may go. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names

__all__ = ["Policy", "Stage"]

Stage = Literal["all", "trust", "leaves", "bundle"]


@dataclass(frozen=True)
class Policy:
    """The settings of one run.

    :param only: links to work on; empty means all.
    :param adopt: take over what stands under our names without our labels.
    :param stage: C(trust) adds our roots to the trust that is there and issues nothing; C(leaves) issues, and keeps
        trust that is not ours; C(all) issues and makes trust exactly ours. An adoption goes through all three.
        C(bundle) makes trust exactly ours and issues nothing.
    :param existing: work on the credentials that are there, whether or not something is due; leave the rest alone.
    """

    key_type: str
    renew_before: timedelta
    force: bool = False
    adopt: bool = False
    only: frozenset[str] = frozenset()
    stage: Stage = "all"
    existing: bool = False

    def works_on(self, link: str) -> bool:
        """Whether the run is for this link; what is for all links of a client always belongs to it."""
        return not self.only or link in self.only or link == names.CLIENT_LINK

    @property
    def on_links_alone(self) -> bool:
        """Whether what belongs to no link is left as it is: a rotation must not wait for others' namespaces."""
        return bool(self.only) or (self.existing and not self.adopt)
