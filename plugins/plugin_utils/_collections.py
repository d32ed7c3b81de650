# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the collection that writes manifests is there, and new enough.

PRIVATE to the collection. Galaxy sees to that; the package C(ansible) brings a collection of its own, and a checkout
brings none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import ansible_collections

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["OLDEST_MAJOR", "lacking_collection"]

OLDEST_MAJOR = 5


def lacking_collection(folders: Iterable[str] | None = None) -> Message | None:
    """Why manifests cannot be written; None where they can, or a checkout of kubernetes.core does not say.

    :param folders: instead of those in which Ansible finds collections, in its order.
    """
    places = (Path(root, "kubernetes/core") for root in folders or ansible_collections.__path__)
    found = next(filter(Path.is_dir, places), None)
    if found is None:
        return _lacking("kubernetes.core", "it is not installed", "install it")
    manifest = found / "MANIFEST.json"
    if not manifest.is_file():
        return None
    version = str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    if int(version.partition(".")[0]) >= OLDEST_MAJOR:
        return None
    fix = "install a newer one, which Ansible finds before that of pip"
    return _lacking(str(found), f"its version {version} is older than {OLDEST_MAJOR}.0.0", fix)


def _lacking(where: str, what: str, fix: str) -> Message:
    command = f"ansible-galaxy collection install 'kubernetes.core:>={OLDEST_MAJOR}.0.0'"
    return Message.error("missing-collection", where=where, what=what, fix=f"{fix}: {command}")
