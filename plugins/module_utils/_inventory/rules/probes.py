# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a link's probe. Pure.

PRIVATE to the collection. All of it becomes arguments of a command in a pod, so each value has a form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import (
    LONGEST_LABEL,
    LONGEST_NAME,
    Finding,
    check_shape,
    is_dns_name,
    is_label,
    show,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import GivenLink, GivenProbe

__all__ = ["check_probe"]

_PATH = re.compile(r"/[!-~]{0,511}")
_STATUS = re.compile(r"[1-5][0-9]{2}(-[1-5][0-9]{2})?", re.ASCII)
_SERVICE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*", re.ASCII)
_PROXY = "istio-proxy"
_LABEL_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
LONGEST_SERVICE, LONGEST_BANNER = 200, 100
# What each type takes beside what all take.
_OF_TYPE = {"http": ("path", "status"), "grpc": ("service",), "tcp": ("banner",), "mysql": ()}
_PROTOCOLS = {"tcp": ("tcp",), "mysql": ("tcp",), "grpc": ("tcp", "http2", "grpc")}


def check_probe(subject: str, link: GivenLink, faulty: set[str]) -> Iterator[Finding]:
    probe = link.get("probe")
    if "probe" in faulty or probe is None:
        return
    shape = list(check_shape(subject, "probe.", probe, schema.PROBE))
    yield from shape
    wrong = {finding.field.removeprefix("probe.") for finding in shape}
    if "type" not in wrong:
        yield from _check_type(subject, link, probe, faulty)
    yield from _check_words(subject, probe, wrong)
    if "from" not in wrong:
        yield from _check_from(subject, probe["from"])


def _check_type(subject: str, link: GivenLink, probe: GivenProbe, faulty: set[str]) -> Iterator[Finding]:
    kind, protocol = probe["type"], link.get("protocol") or "tcp"
    if "protocol" not in faulty and protocol not in _PROTOCOLS.get(kind, (protocol,)):
        what = f"asks nothing of the server of a link with protocol {protocol}"
        fix = "write http for links with protocol http, grpc for those with grpc"
        yield Finding.of("probe-type", subject, "probe.type", show(kind), what, fix)
    for name in ("path", "status", "service", "banner"):
        if (value := probe.get(name)) is not None and name not in _OF_TYPE[kind]:
            what, fix = f"has no effect with type {kind}", "remove it, or correct the type"
            yield Finding.of("probe", subject, f"probe.{name}", show(value), what, fix)


def _check_words(subject: str, probe: GivenProbe, wrong: set[str]) -> Iterator[Finding]:
    forms = {
        "path": (_is_path, "a path in printable ASCII without spaces", "write one like /healthz"),
        "status": (_is_status, "a status code, or the first and the last", "write '200' or 200-399"),
        "service": (_is_service, "the name of a service of gRPC", "write one like shop.Orders"),
        "banner": (
            _is_banner,
            f"a line of 1 to {LONGEST_BANNER} printable characters",
            "write a part of what the server sends first",
        ),
    }
    for name, (is_sound, wanted, fix) in forms.items():
        value = probe.get(name)
        if isinstance(value, str) and name not in wrong and not is_sound(value):
            yield Finding.of("probe", subject, f"probe.{name}", show(value), f"is not {wanted}", fix)


def _is_path(value: str) -> bool:
    return bool(_PATH.fullmatch(value))


def _is_status(value: str) -> bool:
    first, _dash, last = value.partition("-")
    return bool(_STATUS.fullmatch(value)) and first <= (last or first)


def _is_service(value: str) -> bool:
    return not value or (len(value) <= LONGEST_SERVICE and bool(_SERVICE.fullmatch(value)))


def _is_banner(value: str) -> bool:
    return 1 <= len(value) <= LONGEST_BANNER and value.isprintable()


def _check_from(subject: str, place: Mapping[str, object]) -> Iterator[Finding]:
    shape = list(check_shape(subject, "probe.from.", place, schema.PROBE_FROM))
    yield from shape
    wrong = {finding.field.removeprefix("probe.from.") for finding in shape}
    for name in ("namespace", "container"):
        value = place.get(name)
        if value is not None and name not in wrong and not is_label(value):
            what, fix = "is not a DNS label", f"write the {name} as in Kubernetes"
            yield Finding.of("probe-from", subject, f"probe.from.{name}", show(value), what, fix)
    if place.get("container") == _PROXY:
        what, fix = "is the proxy's, whose calls go past itself", "name a container of the application"
        yield Finding.of("probe-from", subject, "probe.from.container", show(_PROXY), what, fix)
    selector = place.get("selector")
    if isinstance(selector, Mapping) and (not selector or not all(map(_is_selecting, selector.items()))):
        what = "is no set of labels" if selector else "has no label, so it would select every pod"
        fix = "write labels of the pods as in Kubernetes, e.g. {app: web}"
        yield Finding.of("probe-from", subject, "probe.from.selector", show(selector), what, fix)


def _is_selecting(item: tuple[object, object]) -> bool:
    key, value = item
    if not isinstance(key, str) or not isinstance(value, str):
        return False
    prefix, slash, name = key.rpartition("/")
    is_prefixed = not slash or (is_dns_name(prefix) and len(prefix) <= LONGEST_NAME)
    return is_prefixed and _is_part(name) and (not value or _is_part(value))


def _is_part(text: str) -> bool:
    return len(text) <= LONGEST_LABEL and bool(_LABEL_PART.fullmatch(text))
