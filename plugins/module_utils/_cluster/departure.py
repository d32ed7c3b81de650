# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what was deleted is gone: an object with a finalizer stays until somebody takes that away.

PRIVATE to the collection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import PARALLEL, Api, ApiError
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import get_object
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Life, Manifest
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import Place, place_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import life_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.waiting import Waiting

__all__ = ["await_gone", "delete"]

# Seconds between two looks.
INTERVAL = 0.5


def delete(api: Api, place: Place, *, dry: bool = False) -> bool:
    """Delete an object, and return whether there was one; what the API server says of it is not looked at."""
    try:
        api.delete(place.path, dry=dry)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


def await_gone(
    api: Api,
    deleted: Iterable[Manifest],
    timeout: float,
    *,
    say: Callable[[str], object] = lambda line: None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> list[tuple[str, Life]]:
    """What is still there after C(timeout) seconds, by its title, and what keeps it."""
    places: Sequence[Place] = [place_of(manifest) for manifest in deleted]
    waiting = Waiting(timeout, say, clock, pause)
    while True:
        left = _left(api, places)
        if not left or waiting.over:
            return [(place.title, life) for place, life in left]
        places = [place for place, _life in left]
        waiting.pause(INTERVAL, f"{api.where}: being deleted: {', '.join(place.title for place in places)}")


def _left(api: Api, places: Sequence[Place]) -> list[tuple[Place, Life]]:
    with ThreadPoolExecutor(PARALLEL) as pool:
        found = pool.map(lambda place: _life(api, place), places)
    return [(place, life) for place, life in zip(places, found, strict=True) if life.get("deletionTimestamp")]


def _life(api: Api, place: Place) -> Life:
    """Empty where it is gone, or was made anew; or may not be looked at, which the run needs for nothing else."""
    try:
        return life_of(get_object(api, place.kind, place.path))
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        return {}
