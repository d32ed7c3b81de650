# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_preflight_table; documented in plugins/modules/mesh_preflight_table.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, failure
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, shown, shown_path


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True

    ARGUMENTS: ClassVar[dict[str, Any]] = {"report": {"type": "dict", "required": True}, "path": {"type": "path"}}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        # ansible-core does not annotate it.
        _validation, params = self.validate_argument_spec(self.ARGUMENTS)  # type: ignore[no-untyped-call]
        report = shown(params["report"])
        # By itself, not as a result: a callback would quote and fold the lines.
        Display().display("\n".join(report["table"]))
        if params["path"]:
            try:
                _write(Path(params["path"]), report)
            except OSError as error:
                message = Message.error(
                    "report-not-written",
                    where=f"mesh_preflight_report: {shown_path(params['path'])}",
                    what=f"cannot write the report: {error.strerror}",
                    fix="set mesh_preflight_report to a file in a folder that exists and can be written",
                )
                return {"failed": True, "changed": False, **failure(CrossmeshError(message))}
        failed = report["counts"]["failed"]
        if failed:
            msg = f"failed checks: {failed}; the table lists them, each with its fix"
            return {"failed": True, "changed": False, "msg": msg}
        return {"changed": False, "msg": "no check failed"}


def _write(path: Path, report: dict[str, Any]) -> None:
    """As one text for machines; a relative path begins where the command was started."""
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
