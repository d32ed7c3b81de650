# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a diagnosis is: parts, each alone, and a page that says what is in it and what was taken out. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import shown, visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._redaction import KINDS, Redaction

__all__ = ["FOLDER", "README", "Heading", "Part", "bundled"]

# The one folder of the archive.
FOLDER = "crossmesh-diagnosis"
README = "README.md"


@dataclass(frozen=True)
class Part:
    """:param path: of its file in the archive.
    :param about: what it is, in a few words.
    :param content: plain values; a text stands as it is.
    :param missing: why there is no content.
    :param unseen: why it is of a cluster that was not seen; empty of one that was.
    """

    path: str
    about: str
    content: Any = None
    missing: tuple[str, ...] = ()
    unseen: str = ""


@dataclass(frozen=True)
class Heading:
    """:param at: when it was made, ISO 8601."""

    instance: str
    at: str


def bundled(heading: Heading, parts: Sequence[Part], redaction: Redaction) -> dict[str, str]:
    """The text of every file by its path; the page first, though it is written last."""
    files = {part.path: _text(part, redaction) for part in parts}
    return {README: "\n".join(_page(heading, parts, redaction)), **files}


def _text(part: Part, redaction: Redaction) -> str:
    content = {"not available": list(part.missing)} if part.missing else part.content
    if isinstance(content, str):
        found: str = shown(redaction.text(content), lines=True)
        return found
    # Text of clusters may hold what a terminal obeys: whoever looks at it has not to know.
    return json.dumps(shown(redaction.value(content)), indent=1, default=str) + "\n"


def _page(heading: Heading, parts: Sequence[Part], redaction: Redaction) -> Iterator[str]:
    yield f"# Diagnosis of instance {heading.instance}, {heading.at}"
    yield ""
    yield "Made by playbook diagnose of crossmesh.mtls, for whoever is asked for help."
    yield "Look through it before you hand it on."
    yield ""
    yield "| File | What it is |"
    yield "|---|---|"
    for part in parts:
        unseen = f"; **not seen**: {part.unseen}" if part.unseen else ""
        why = f"; **not available**: {' '.join(part.missing)}" if part.missing else unseen
        yield f"| {part.path} | {visible(redaction.text(part.about + why))} |"
    yield ""
    yield "## What was taken out"
    yield ""
    yield "Variables are handed on by name: those of the collection that are no secret. No private key, no data of a"
    yield "Secret and no other variable is in it. In what is left, these were replaced by [redacted: KIND]:"
    yield ""
    yield "| Kind | What it stands for | Times |"
    yield "|---|---|---|"
    for kind, words in KINDS.items():
        yield f"| {kind} | {words} | {redaction.taken[kind]} |"
    yield ""
    yield "Names of clusters, links, hosts, namespaces, pods and people, and addresses, are in it: without them nobody"
    yield "could help."
    yield ""
