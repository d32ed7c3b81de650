# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions of what is at work here.

PRIVATE to the collection.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import ansible_collections
from ansible.release import __version__ as ansible_core

__all__ = ["versions"]

_PACKAGES = ("cryptography", "kubernetes", "urllib3", "jinja2", "jmespath")
_COLLECTIONS = ("crossmesh.mtls", "kubernetes.core")
_UNKNOWN = "unknown"


def versions() -> dict[str, str]:
    """By name; C(not installed) where it is not."""
    return {
        "ansible-core": ansible_core,
        "Python": platform.python_version(),
        "system": platform.platform(),
        **{name: _of_package(name) for name in _PACKAGES},
        **{name: next(_of_collection(name), "not installed") for name in _COLLECTIONS},
    }


def _of_package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _of_collection(name: str) -> Iterator[str]:
    """Of each one that is there, in the order in which Ansible finds them."""
    for root in ansible_collections.__path__:
        folder = Path(root, *name.split("."))
        if folder.is_dir():
            yield _in_folder(folder)


def _in_folder(folder: Path) -> str:
    try:
        if (manifest := folder / "MANIFEST.json").is_file():
            return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
        # A checkout has no manifest, and Python no parser of YAML.
        found = re.search(r"^version:\s*(\S+)", (folder / "galaxy.yml").read_text(encoding="utf-8"), re.MULTILINE)
        return f"{found[1]} (checkout)" if found else _UNKNOWN
    except (OSError, ValueError, KeyError, TypeError):
        return _UNKNOWN
