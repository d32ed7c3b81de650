# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one HTML file, which needs no network.

PRIVATE to the collection. By Jinja2, which escapes every value: names, subjects and messages come from clusters and
files. What a value holds beside letters that print is written out (M(_messages)), so that nothing in it turns the
direction of text. The page's policy (Content Security Policy, level 3) lets nothing run but the one script in it.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import short, visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._report import tone
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.audit import COLUMNS, entries_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Report
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.pictures import time_line, topology_picture

__all__ = ["render"]

_FOLDER = Path(__file__).resolve().parent
# Pixels, of a desktop and of a phone; the style shows the one that fits.
_WIDTHS = {"wide": 980, "narrow": 372}


def render(report: Report) -> str:
    """The page."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {"short": short, "day": _day, "minute": _minute}
    style, script = (_own(name) for name in ("page.css", "page.js"))
    limit = report.renew_before_days
    return environment.get_template("page.html.j2").render(
        report=report,
        tones={link.name: tone.of_link(link, limit) for link in report.links},
        tone_of_days=lambda days: tone.of_days(days, limit),
        tone_of_event=lambda event: tone.of_event(event, report),
        tone_of_crl=tone.of_crl,
        verdict=tone.worst(tone.of_link(link, limit) for link in report.links),
        certificates={item.fingerprint: item for item in report.certificates},
        pictures={name: topology_picture(report, width) for name, width in _WIDTHS.items()},
        rulers={name: time_line(report, width - 130) for name, width in _WIDTHS.items()},
        journal=_journal(report),
        columns=COLUMNS,
        entries=entries_of(report),
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'; "
        "form-action 'none'",
    )


class _Tile(NamedTuple):
    """A word at the top of the page, and what stands below it."""

    tone: str
    word: str
    more: str


def _journal(report: Report) -> _Tile:
    signed = f"{report.journal.signed} entries signed"
    if report.journal.problems:
        return _Tile("bad", "changed", signed)
    return _Tile("", "none", "no CA yet") if report.phase == "absent" else _Tile("ok", "whole", signed)


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _own(name: str) -> Markup:
    """A file of this folder: the page takes it as it is, and nothing else."""
    return Markup((_FOLDER / name).read_text(encoding="utf-8"))


def _digest(text: str) -> str:
    """As a policy names what may be used (CSP level 3, section 2.3.1)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _day(moment: str) -> str:
    return moment[:10]


def _minute(moment: str) -> str:
    return f"{moment[:10]} {moment[11:16]} UTC" if moment else ""
