# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import settings

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf
from tests.unit.pki.support import Root, make_leaf, make_root

# How long an example takes says more of the machine than of the code.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture(scope="session")
def root() -> Root:
    return make_root()


@pytest.fixture(scope="session")
def leaf(root: Root) -> Leaf:
    return make_leaf(root)
