# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Secrets of a cluster that are ours, or stand under a name that a link needs.

PRIVATE to the collection. Who may list Secrets may read all of them, keys of others included: Kubernetes has no
narrower permission to find one by its labels. So a list is used where it is permitted anyway. Else each is read by its
name: those that links need, that objects of ours refer to, and that certificates on record were issued for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import (
    METADATA_ONLY,
    PARALLEL,
    Api,
    ApiError,
    object_path,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import Item, get_object, list_objects

__all__ = ["FoundSecrets", "SecretQuestion", "find_secrets", "get_secret", "referred_to"]

# Namespace and name.
Named = tuple[str, str]


@dataclass(frozen=True)
class SecretQuestion:
    """:param namespaces: of the gateways.
    :param selector: of labels, which ours have.
    :param wanted: those that links need.
    :param referred: tells, if asked, those that objects of ours name.
    :param recorded: the same of those that certificates were issued for; permissions may have been narrowed since.
    """

    namespaces: Sequence[str]
    selector: str
    wanted: Collection[Named]
    referred: Callable[[], Collection[Named]] = tuple
    recorded: Callable[[], Collection[Named]] = tuple

    def of_links(self, namespace: str) -> set[str]:
        """Names that a link needs, and of what would stand in a Secret's way."""
        found = _in(namespace, self.wanted)
        return found | set(map(names.cacert_secret, found))


@dataclass
class FoundSecrets:
    """:param items: whole.
    :param seen: all that are there, as far as that can be told; without content where they were listed.
    :param denied: what the user may not read.
    """

    items: list[Item] = field(default_factory=list)
    seen: list[Item] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)


def find_secrets(api: Api, question: SecretQuestion) -> FoundSecrets:
    """:raises CrossmeshError: when something else than a permission is in the way."""
    found = FoundSecrets()
    for namespace in question.namespaces:
        path, of_links = object_path("", "v1", "secrets", namespace), question.of_links(namespace)
        listed = _listed(api, path, question.selector)
        if listed is None:
            asked = of_links | _in(namespace, question.referred())
            ours = _read(api, path, asked, found.denied)
            # A record may outlive its Secret, and the permission to read it.
            ours += _read(api, path, _in(namespace, question.recorded()) - asked, [])
            found.seen += ours
        else:
            ours, everything = listed
            known = set(map(_name, ours))
            others = of_links & set(map(_name, everything)) - known
            ours = [*ours, *_read(api, path, others, found.denied)]
            found.seen += everything
        found.items += ours
    return found


def get_secret(api: Api, path: str) -> Item | None:
    """None where there is none."""
    try:
        return get_object(api, "Secret", path)
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def referred_to(objects: Iterable[Item], client_credential: str) -> Iterator[Named]:
    """Secrets that Gateways and DestinationRules name, if it is a name that we would give."""
    for item in objects:
        link = (item["metadata"].get("labels") or {}).get(names.LABEL_LINK, "")
        ours = {
            names.server_secret(link),
            client_credential,
            names.client_secret_of_link(link, client_credential),
        }
        named = ours & set(_credentials(item.get("spec", {})))
        yield from ((item["metadata"]["namespace"], name) for name in sorted(named))


def _credentials(spec: Mapping[str, Any]) -> Iterator[str]:
    policy = spec.get("trafficPolicy") or {}
    for holder in (*(spec.get("servers") or ()), policy, *(policy.get("portLevelSettings") or ())):
        if name := (holder.get("tls") or {}).get("credentialName"):
            yield name


def _in(namespace: str, places: Iterable[Named]) -> set[str]:
    return {name for where, name in places if where == namespace}


def _name(item: Item) -> str:
    return str(item["metadata"]["name"])


def _listed(api: Api, path: str, selector: str) -> tuple[list[Item], list[Item]] | None:
    """Ours, and the metadata of all; None where they may not be listed."""
    try:
        ours = list_objects(api, "Secret", path, {"labelSelector": selector})
        everything = list_objects(api, "Secret", path, accept=METADATA_ONLY)
    except ApiError as error:
        if error.status == 403:
            return None
        raise
    return ours, everything


def _read(api: Api, path: str, asked: Collection[str], denied: list[str]) -> list[Item]:
    """:param denied: gets the names of those that may not be read."""

    def permitted(name: str) -> Item | None:
        try:
            return get_secret(api, f"{path}/{name}")
        except ApiError as error:
            if error.status != 403:
                raise
            denied.append(name)
            return None

    with ThreadPoolExecutor(PARALLEL) as pool:
        return [item for item in pool.map(permitted, sorted(asked)) if item]
