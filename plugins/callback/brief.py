# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: brief
type: stdout
short_description: Print what changed and what failed, each once
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - One line for each task that changed something on a host, what a task has to say, and each error once, as its own
    lines, without the source of the task. Plays, and tasks that changed nothing, are not printed.
  - At the end one line, which names the hosts that failed or could not be reached, and those that something changed on.
  - For runs that a person reads. Ansible's own output tells more, and is what to look at when a playbook is written.
requirements:
  - set as stdout in configuration
options:
  result_format:
    description: Taken from Ansible's default callback, for what C(--diff) shows.
    type: str
    default: yaml
    choices: [json, yaml]
    env:
      - name: ANSIBLE_CALLBACK_RESULT_FORMAT
    ini:
      - section: defaults
        key: callback_result_format
  pretty_results:
    description: The same.
    type: bool
    env:
      - name: ANSIBLE_CALLBACK_FORMAT_PRETTY
    ini:
      - section: defaults
        key: callback_format_pretty
seealso:
  - plugin: ansible.builtin.default
    plugin_type: callback
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import shown


class CallbackModule(CallbackBase):
    """A callback of ansible-playbook; what it prints is documented above."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "crossmesh.mtls.brief"

    def v2_runner_on_ok(self, result: Any) -> None:
        self._handle_warnings(_values(result))
        if not _is_loop(result):
            self._tell(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._tell(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._handle_warnings(_values(result))
        if not _is_loop(result):
            self._fail("ignored" if ignore_errors else "failed", result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._fail("failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._fail("unreachable", result)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._print("no host of the inventory matches this play", "COLOR_SKIP")

    def v2_on_file_diff(self, result: Any) -> None:
        for part in [
            item for item in _several(_values(result).get("results")) or [_values(result)] if item.get("diff")
        ]:
            # With Ansible's own colours, so what is foreign is made visible before. ansible-core does not annotate it.
            if text := self._get_diff(shown(part["diff"], lines=True)):  # type: ignore[no-untyped-call]
                self._display.display(text)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        counts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        bad = [host for host, found in counts.items() if found["failures"] or found["unreachable"]]
        changed = ", ".join(host for host, found in counts.items() if found["changed"])
        line = f"changed: {changed}" if changed else "nothing changed"
        if bad:
            self._print(f"failed: {', '.join(bad)}; {line}", "COLOR_ERROR")
        else:
            self._print(f"ok; {line}")

    def _tell(self, result: Any) -> None:
        values = _values(result)
        if values.get("changed"):
            self._print(f"changed: {_title(result)}", "COLOR_CHANGED")
        # What debug, or an assert, has to say to people.
        if values.get("_ansible_verbose_always") and not values.get("_ansible_verbose_override"):
            for line in _several(values.get("msg")):
                self._print(f"{_host(result)}: {line}")

    def _fail(self, word: str, result: Any) -> None:
        values = _values(result)
        lines = [str(line) for text in _several(values.get("msg") or values.get("censored")) for line in _lines(text)]
        self._print("\n  ".join([f"{word}: {_title(result)}", *lines]), "COLOR_ERROR")

    def _print(self, text: str, color: str = "") -> None:
        self._display.display(shown(text, lines=True), color=_color(color) if color else None)


def _color(name: str) -> str:
    return str(constants.config.get_config_value(name))


def _values(result: Any) -> dict[str, Any]:
    found: dict[str, Any] = _part(result, "result")
    return found


def _part(result: Any, name: str) -> Any:
    """C(result), C(host) or C(task) of what a callback gets; before ansible-core 2.19 their names began with C(_)."""
    return getattr(result, name) if hasattr(result, name) else getattr(result, f"_{name}")


def _is_loop(result: Any) -> bool:
    """Its items were printed one by one."""
    return bool(_part(result, "task").loop) and "results" in _values(result)


def _host(result: Any) -> str:
    return str(_part(result, "host").get_name())


def _title(result: Any) -> str:
    return f"[{_host(result)}] {_part(result, 'task').get_name()}"


def _several(value: Any) -> list[Any]:
    """A text as a list of one, and nothing as an empty one."""
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, (str, Mapping)) else [value]


def _lines(text: Any) -> list[str]:
    return str(text).split("\n")
