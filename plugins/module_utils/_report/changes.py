# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has changed since another report. Pure.

PRIVATE to the collection. The other report is a file that anybody may have edited: what has not the form of a report is
as if it were not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import mapping, mappings, moment, text
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import short
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import (
    UNREAD,
    Change,
    Cluster,
    Link,
    RevocationList,
    Root,
)

__all__ = ["changes_since", "phase_since"]

Json = Mapping[str, Any]
_SEEN = {True: "looked at", False: "not looked at"}


def changes_since(
    previous: Json,
    links: Sequence[Link],
    clusters: Sequence[Cluster],
    roots: Sequence[Root],
    crls: Sequence[RevocationList],
    phase: str,
) -> tuple[str, tuple[Change, ...]]:
    """When the other report was made, and what is not as it has it.

    :param previous: empty where there is none: then nothing has changed.
    """
    since = text(previous.get("made_at"))
    if not since:
        return "", ()
    before = text(previous.get("phase"))
    # What could not be read has not gone, nor come.
    held = UNREAD not in (before, phase)
    found = (
        *(_phase(before, phase) if held else ()),
        *(_roots(_by(previous, "roots", "fingerprint"), roots) if held else ()),
        *(_crls(_by(previous, "crls", "root"), crls) if held else ()),
        *_clusters(_by(previous, "clusters", "name"), clusters),
        *_links(_by(previous, "links", "name"), links),
    )
    return since, found


def phase_since(previous: Json, phase: str) -> str:
    """When the phase that another report has seen was seen first; empty where it has seen another one, or none."""
    return moment(previous.get("phase_since")) if previous.get("phase") == phase else ""


def _by(previous: Json, part: str, key: str) -> dict[str, Json]:
    return {text(item.get(key)): item for item in mappings(previous.get(part)) if text(item.get(key))}


def _phase(before: str, after: str) -> Iterator[Change]:
    if before != after:
        yield Change("phase", "rotation of the root", before, after)


def _roots(before: Mapping[str, Json], roots: Sequence[Root]) -> Iterator[Change]:
    after = {root.fingerprint: root for root in roots}
    for fingerprint in (root for root in after if root not in before):
        yield Change("root added", after[fingerprint].subject, "", after[fingerprint].role)
    for fingerprint in sorted(before.keys() - after.keys()):
        yield Change(
            "root removed", text(before[fingerprint].get("subject")), text(before[fingerprint].get("role")), ""
        )


def _crls(before: Mapping[str, Json], crls: Sequence[RevocationList]) -> Iterator[Change]:
    for crl in crls:
        had = before.get(crl.root, {})
        if had.get("number") != crl.number:
            named = f"{len(mappings(had.get('revoked')))} revoked" if had else "none"
            yield Change("crl", f"root {short(crl.root)}", named, f"{len(crl.revoked)} revoked")
    for root in sorted(before.keys() - {crl.root for crl in crls}):
        yield Change("crl", f"root {short(root)}", f"{len(mappings(before[root].get('revoked')))} revoked", "none")


def _clusters(before: Mapping[str, Json], clusters: Sequence[Cluster]) -> Iterator[Change]:
    after = {cluster.name: cluster for cluster in clusters}
    yield from (Change("cluster added", name, "", "") for name in after if name not in before)
    yield from (Change("cluster removed", name, "", "") for name in sorted(before.keys() - after.keys()))
    for name in (name for name in after if name in before):
        had, has = before[name].get("seen") is True, after[name].seen
        if had != has:
            yield Change("cluster seen", name, _SEEN[had], _SEEN[has])


def _links(before: Mapping[str, Json], links: Sequence[Link]) -> Iterator[Change]:
    after = {link.name: link for link in links}
    yield from (Change("link added", name, "", link.state) for name, link in after.items() if name not in before)
    yield from (
        Change("link removed", name, text(before[name].get("state")), "")
        for name in sorted(before.keys() - after.keys())
    )
    for name, link in after.items():
        if name in before:
            yield from _link(before[name], link)


def _link(before: Json, link: Link) -> Iterator[Change]:
    had = text(before.get("state"))
    if had != link.state:
        yield Change("link state", link.name, had, link.state)
    ends = {(text(end.get("cluster")), text(end.get("side"))): mapping(end) for end in mappings(before.get("ends"))}
    for end in link.ends:
        certificate = text(ends.get((end.cluster, end.side), {}).get("certificate"))
        if certificate and end.certificate and certificate != end.certificate:
            subject = f"{link.name}, {end.side} {end.cluster}"
            yield Change("certificate", subject, short(certificate), short(end.certificate))
