# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_diagnosis; documented in plugins/modules/mesh_diagnosis.py."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._diagnosis.bundle import FOLDER, Heading, bundled
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, shown_path
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._redaction import Redaction
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.assembly import report_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.schema import to_json
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._archive import write_archive
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._diagnosis import (
    Evidence,
    instance_of,
    parts_of,
    secrets_of,
)
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import LOOKS
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.gathering import Given, sources_of

DEFAULT_FOLDER = "crossmesh-diagnosis"


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "dir": {"type": "path", "default": ""},
        **LOOKS,
        "topology": {"type": "dict", "default": {}},
        "preflight": {"type": "dict", "default": {}},
        "journal": {"type": "dict", "default": {}},
        "external": {"type": "dict", "default": {}},
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        now, instance = datetime.now(UTC), instance_of(variables)
        found = Evidence(
            looks=params["looks"],
            proofs=dict(zip(params["looks"], params["proofs"], strict=False)),
            names={host: str(name or host) for host, name in params["names"].items()},
            topology=params["topology"],
            preflight=params["preflight"],
            journal=params["journal"],
            external=params["external"],
            now=now,
        )
        report = partial(_report, variables, Given(params["looks"], params["proofs"], params["names"]))
        parts = list(parts_of(variables, found, report))
        redaction = Redaction(tuple(secrets_of(variables)))
        files = bundled(Heading(instance, timestamp(now)), parts, redaction)
        path = Path(params["dir"] or DEFAULT_FOLDER) / f"{FOLDER}-{instance}-{now:%Y%m%dT%H%M%SZ}.tar.gz"
        _write(path, files, now)
        self.say(f"written: {path}; look through it before you hand it on")
        for word, paths in (
            ("not available", [part.path for part in parts if part.missing]),
            ("of clusters that were not seen", [part.path for part in parts if part.unseen]),
        ):
            if paths:
                self.say(f"{word}: {', '.join(paths)}; README.md in it says why")
        missing = [f"{part.path}: {message}" for part in parts for message in part.missing]
        return {"changed": False, "path": str(path), "missing": missing, "redacted": dict(redaction.taken)}


def _report(variables: Variables, given: Given) -> dict[str, Any]:
    return to_json(report_of(sources_of(variables, given, {})))


def _write(path: Path, files: dict[str, str], at: datetime) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_archive(path, FOLDER, files, at)
    except OSError as error:
        message = Message.error(
            "diagnosis-not-written",
            where=f"mesh_diagnose_dir: {shown_path(str(path.parent))}",
            what=f"cannot write the archive: {error.strerror}",
            fix="set mesh_diagnose_dir to a folder that can be made and written to",
        )
        raise CrossmeshError(message) from None
