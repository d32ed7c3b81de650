# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report's page as a browser reads it, and one with names that somebody has chosen to break it."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Deed, Report

__all__ = ["HOSTILE", "Page", "named_by_others"]

HOSTILE = [
    "<script>document.title='owned'</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style>",
    "{{ 7 * 7 }}",
    "&lt;b&gt;",
]


class Page(HTMLParser):
    """The elements of a page, as a browser makes them of it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def tags(self) -> list[str]:
        return [tag for tag, _given in self.elements]


def named_by_others(report: Report, name: str) -> Report:
    """The same, with a name of somebody's choice wherever one comes from a cluster or a file."""
    link = replace(report.links[0], fqdn=name, backend=name, callers=(name,), proof=name, cause=name, where=(name,))
    deed = Deed(1, name, name, name, name, name, name, signed=False)
    link = replace(link, clients=(name,), broken_at=name, history=(deed,))
    cluster = replace(report.clusters[0], uid=name, problems=(name,), proof=(name,), gateways=(name,), why_unseen=name)
    certificate = replace(report.certificates[0], subject=name, names=(name,), key_location=name, issuer=name)
    return replace(
        report,
        made_by=name,
        store=name,
        links=(link, *report.links[1:]),
        clusters=(cluster, *report.clusters[1:]),
        certificates=(certificate, *report.certificates[1:]),
        roots=(replace(report.roots[0], subject=name),),
        journal=replace(report.journal, problems=(name,), last_operator=name, last_run=name),
        timeline=(replace(report.timeline[0], what=name), *report.timeline[1:]),
    )
