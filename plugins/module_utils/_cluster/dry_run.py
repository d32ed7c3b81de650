# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes that are tried on an API server and not kept (L(dry run,https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run)).

PRIVATE to the collection. All of admission has its say, webhooks that change objects among it. A quota counts each dry
run alone, against what is there: of twenty new objects each passes where there is room for one. So the room that quotas
have is read beside it, for the sum to be held against.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import PARALLEL, Api, ApiError, object_path
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import ANSWER, hold, list_objects
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Spec
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import Place
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.refusal import Refusal
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import is_count
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["Answers", "Outcome", "Quota", "Trial", "read_quotas", "try_all", "try_out"]

# Seconds after which a trial without an answer ends them all. Those with answers may take longer.
PATIENCE = 120.0

Verb = Literal["apply", "merge", "delete"]


@dataclass(frozen=True)
class Trial:
    """One write.

    :param new: whether it makes the object.
    """

    verb: Verb
    place: Place
    body: Mapping[str, Any]
    manager: str
    new: bool = False
    force: bool = False


@dataclass(frozen=True)
class Outcome:
    """:param refusal: None where it would be accepted.
    :param spec: as it would be kept; of a Secret nothing is.
    :param lost: why there was no answer to it, though there is to others.
    """

    trial: Trial
    refusal: Refusal | None = None
    spec: Spec | None = None
    lost: Message | None = None


@dataclass(frozen=True)
class Quota:
    """How many more objects a ResourceQuota lets in, by what it counts."""

    namespace: str
    name: str
    room: Mapping[str, int]


@dataclass(frozen=True)
class Answers:
    """To all that was tried, with the quotas of where something new would be."""

    outcomes: Sequence[Outcome] = ()
    quotas: Sequence[Quota] = ()


def try_out(api: Api, trials: Sequence[Trial]) -> Answers:
    """:raises CrossmeshError: when the API server cannot be reached."""
    outcomes = try_all(api, trials)
    return Answers(outcomes, read_quotas(api, {trial.place.namespace for trial in trials if trial.new}))


def try_all(api: Api, trials: Sequence[Trial], clock: Callable[[], float] = time.monotonic) -> list[Outcome]:
    """Several at once.

    :param clock: seconds.
    :raises CrossmeshError: when the API server cannot be reached.
    """
    tries = _Tries(api, clock, clock() + PATIENCE)
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(tries.make, trials))


@dataclass
class _Tries:
    """:param until: by the clock; who has no answer then is the last one.
    :param away: why nothing more is asked.
    """

    api: Api
    clock: Callable[[], float]
    until: float
    away: CrossmeshError | None = None

    def make(self, trial: Trial) -> Outcome:
        if self.away:
            raise self.away
        try:
            return _try(self.api, trial)
        except CrossmeshError as error:
            if self.clock() >= self.until or not self._is_there():
                self.away = error
                raise
            return Outcome(trial, lost=error.message)

    def _is_there(self) -> bool:
        """Whether it was this one write that had no answer: such as one that a webhook keeps waiting."""
        try:
            self.api.get("/version")
        except ApiError:
            return True
        except CrossmeshError:
            return False
        return True


def _try(api: Api, trial: Trial) -> Outcome:
    try:
        answer = _send(api, trial)
    except ApiError as error:
        # What is to go, and has gone meanwhile, is in nobody's way.
        gone = trial.verb == "delete" and error.refusal.cause == "missing"
        return Outcome(trial, None if gone else error.refusal)
    if trial.place.kind == "Secret" or trial.verb == "delete":
        return Outcome(trial)
    return Outcome(trial, spec=hold(answer, ANSWER, f"{api.where}, {trial.place.title}").get("spec"))


def _send(api: Api, trial: Trial) -> Any:
    if trial.verb == "delete":
        return api.delete(trial.place.path, dry=True)
    if trial.verb == "merge":
        return api.merge(trial.place.path, trial.body, trial.manager, dry=True)
    return api.apply(trial.place.path, trial.body, trial.manager, force=trial.force, dry=True)


def read_quotas(api: Api, namespaces: Collection[str]) -> list[Quota]:
    """The quotas of namespaces; none of where they may not be read."""
    return [quota for namespace in sorted(namespaces) for quota in _quotas_of(api, namespace)]


def _quotas_of(api: Api, namespace: str) -> Iterable[Quota]:
    try:
        items = list_objects(api, "ResourceQuota", object_path("", "v1", "resourcequotas", namespace))
    except ApiError:
        return []
    return [Quota(namespace, item["metadata"]["name"], _room(item.get("status") or {})) for item in items]


def _room(status: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    hard, used = status.get("hard") or {}, status.get("used") or {}
    counts = {key: (value, used.get(key, "0")) for key, value in hard.items()}
    # Objects are counted in whole numbers; what has a unit is no count of objects.
    return {key: int(most) - int(now) for key, (most, now) in counts.items() if is_count(most) and is_count(now)}
