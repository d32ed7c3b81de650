# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_manifests; documented in plugins/modules/mesh_manifests.py."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from ansible.plugins.loader import action_loader

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import out_of_time
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.departure import await_gone, delete
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Manifest
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import place_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.routes import await_clusters
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.writer import without_overrides, writer_options
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, UnfinishedError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, one_line
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.lifecycle import still_there
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import ClusterAction, Variables, gateway_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._deadline import in_time
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import SideLook
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._parallel import FEWEST, Call, at_once, shares

Json = dict[str, Any]
Verb = Literal["strip", "force", "write", "delete"]

NOTES = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
WRITER = "kubernetes.core.k8s"
ROUTE, SECRET = "VirtualService", "Secret"
# In this order: a field that others added can be in the way of a write, and what goes may be in use until then.
VERBS: tuple[Verb, ...] = ("strip", "force", "write", "delete")


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {"plan": {"type": "dict", "required": True}}

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        plan: SideLook = params["plan"]
        wanted: dict[Verb, list[Manifest]] = json.loads(plan["manifests"] or "{}")
        results, failed, warnings = list[Json](), list[Message](), list[str]()
        if wanted:
            with writer_options(variables.connection(), variables.limits()) as where:
                for result in self._written(variables, plan, wanted, where):
                    if isinstance(result, Message):
                        failed.append(result)
                        continue
                    results += _each(result)
                    warnings += result.get("warnings") or ()
        failed = failed or self._await_gone(variables, wanted.get("delete", ()))
        done = {
            "changed": any(result.get("changed") for result in results),
            "objects": len(results),
            "diff": [_diff(item) for item in results if item.get("diff")],
            "warnings": list(
                dict.fromkeys([*warnings, *(line for item in results for line in item.get("warnings") or ())])
            ),
        }
        error = UnfinishedError if done["changed"] else CrossmeshError
        return {**done, **self.refused(error(*failed), variables)} if failed else done

    def _written(
        self, variables: Variables, plan: SideLook, wanted: Mapping[Verb, Sequence[Manifest]], where: Json
    ) -> Iterator[Json | Message]:
        """What each call has done, or why it could not; after one that failed, no other begins."""
        secrets = [item for item in wanted.get("delete", ()) if item["kind"] == SECRET]
        others = {**wanted, "delete": [item for item in wanted.get("delete", ()) if item["kind"] != SECRET]}
        steps = _steps(others, apart=bool(plan["moved"]))
        objects, done, limit = sum(map(len, wanted.values())), 0, variables.limits().cluster
        until = time.monotonic() + limit
        for verb, step in steps:
            begun = time.monotonic()
            failed = self._await_clusters(variables, plan) if step[0]["kind"] == ROUTE else []
            # The time of a gate is not that of the writes.
            until += time.monotonic() - begun
            yield from failed
            if failed:
                return
            options = {**where, **_how(verb, plan["manager"])}
            calls = [self._call(variables, {**options, "definition": list(share)}, until) for share in shares(step)]
            for result in at_once(calls):
                if result.get("failed"):
                    late = out_of_time(f"cluster {variables.cluster}", limit) if result.get("late") else None
                    failed.append(late or _not_written(variables.cluster, verb, result))
                    yield failed[-1]
                    continue
                done += len(_each(result))
                yield result
                if len(steps) > 1 or len(calls) > 1:
                    self._say(f"{variables.cluster}: {done} of {objects} objects")
            if failed:
                return
        if secrets:
            yield from self._deleted(variables, secrets)

    def _deleted(self, variables: Variables, secrets: Sequence[Manifest]) -> Iterator[Json | Message]:
        """By our own client: kubernetes.core returns what it has deleted, and its key, while a finalizer holds it."""
        api = variables.api()
        for item in secrets:
            try:
                changed = delete(api, place_of(item), dry=bool(self._task.check_mode))
            except CrossmeshError as error:
                yield error.message
                return
            yield {"changed": changed, "result": item, "diff": {"before": item, "after": {}} if changed else {}}

    def _await_clusters(self, variables: Variables, plan: SideLook) -> list[Message]:
        """Wait until routes that carry can be changed without a lost connection; why they cannot, if so."""
        if self._task.check_mode or not plan["moved"]:
            return []
        timeout, wait = variables.filled["mesh_gate_timeout"], variables.filled["mesh_gate_wait"]
        try:
            await_clusters(
                variables.api(waits=timeout + wait), gateway_of(plan), plan["moved"], timeout, wait=wait, say=self.say
            )
        except CrossmeshError as error:
            return list(error.messages)
        return []

    def _await_gone(self, variables: Variables, deleted: Sequence[Manifest]) -> list[Message]:
        """What is deleted, and goes on."""
        if self._task.check_mode or not deleted:
            return []
        timeout, say = variables.filled["mesh_gate_timeout"], self.say
        try:
            return [still_there(*left) for left in await_gone(variables.api(waits=timeout), deleted, timeout, say=say)]
        except CrossmeshError as error:
            return list(error.messages)

    def _say(self, line: str) -> None:
        self.say(f"{line} {'would be written' if self._task.check_mode else 'written'}")

    def _call(self, variables: Variables, arguments: Json, until: float) -> Call:
        """One call of kubernetes.core.k8s as a task would make it, to be made later.

        :param until: when it has to have ended, by the monotonic clock.
        """
        connection = variables.connection()
        task = self._task.copy()
        task.action, task.args = WRITER, arguments
        # What the reads do not see: a play's own environment would lead the writes elsewhere.
        task.environment = []
        # It works here, as who runs the playbook: -e ansible_become=true outweighs what a play says.
        self._connection.become = None
        action = action_loader.get(
            WRITER,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )

        def call() -> Json:
            with without_overrides(os.environ, connection):
                return in_time(until - time.monotonic(), lambda: action.run(task_vars=dict(variables.task_vars)))

        return call


def _steps(wanted: Mapping[Verb, Sequence[Manifest]], *, apart: bool) -> list[tuple[Verb, Sequence[Manifest]]]:
    """What is written at once, with what is to be done.

    :param apart: routes come when all else is written; so they do in a long list, that none leads to what is not there.
    """
    if not apart and sum(map(len, wanted.values())) <= FEWEST:
        return [(verb, items) for verb in VERBS if (items := wanted.get(verb))]
    steps = list[tuple[Verb, Sequence[Manifest]]]()
    for routes in (False, True):
        for verb in VERBS[:-1]:
            steps.append((verb, [item for item in wanted.get(verb, ()) if (item["kind"] == ROUTE) is routes]))
    return [(verb, items) for verb, items in (*steps, (VERBS[-1], wanted.get(VERBS[-1], ()))) if items]


def _how(verb: Verb, manager: str) -> Json:
    if verb == "strip":
        return {"state": "patched", "merge_type": ["merge"]}
    if verb == "delete":
        return {"state": "absent"}
    # The gateway's Service, which belongs to somebody else, is among what is never forced.
    forced = {"force_conflicts": True} if verb == "force" else {}
    return {"apply": True, "server_side_apply": {"field_manager": manager, **forced}}


def _each(result: Json) -> list[Json]:
    """What it did to each object; the module has another form for a single one."""
    several = (result.get("result") or {}).get("results")
    return several if isinstance(several, list) else [result]


def _diff(result: Json) -> Json:
    """What was written of an object, under its name, without what an API server notes of every object."""
    item = result.get("result") or {}
    metadata = item.get("metadata") or {}
    title = f"{item.get('kind')} {metadata.get('namespace')}/{metadata.get('name')}"
    parts = {part: _without_notes(result["diff"].get(part) or {}) for part in ("before", "after")}
    return {**parts, "before_header": title, "after_header": title}


def _without_notes(part: Json) -> Json:
    metadata = {key: value for key, value in part.get("metadata", {}).items() if key not in NOTES}
    kept = {key: value for key, value in part.items() if key not in ("metadata", "status")}
    return {**kept, "metadata": metadata} if metadata else kept


def _not_written(cluster: str, verb: Verb, result: Json) -> Message:
    return Message.error(
        "not-written",
        where=f"cluster {cluster}",
        what=f"{WRITER} failed ({verb}): {one_line(result.get('msg') or 'it does not say why')}",
        fix="correct what the API server refuses, then run again: it goes on from where it stopped. After 409 Conflict "
        "run again first; if it comes back, the object's managedFields name who else writes it",
    )
