# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What actions tell the audit journal: who runs them, and that they refused.

PRIVATE to the collection.
"""

from __future__ import annotations

import os
import pwd
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible import context

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.events import refused
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Author
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, UnfinishedError

if TYPE_CHECKING:
    from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal_check import Checked
    from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
    from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Variables

__all__ = ["author_of", "refusals", "refusing", "wholeness"]

# Ansible imports it before it forks for the first task, so all tasks of a run have the same.
_RUN = str(uuid.uuid4())
# Extra variables of every job in AWX and Automation Platform; those of Tower have the older prefix.
_PLATFORMS = ("awx", "tower")


def author_of(variables: Mapping[str, Any]) -> Author:
    """Who started the run, as far as the controller knows.

    :param variables: a task's C(task_vars). They are not templated: a name is a name.
    """
    job, user = (_given(variables, name) for name in ("job_id", "user_name"))
    return Author(run=f"job {job}" if job else _RUN, operator=user or _login(), playbook=_playbook())


def wholeness(store: CaStore, checked: Checked) -> str:
    """The line that says how many entries of a journal are as they were written; of no CA there is none."""
    if any(checked) or store.public():
        return str(checked)
    return f"there is no CA in {store.where} yet, and so no audit journal"


def _given(variables: Mapping[str, Any], name: str) -> str:
    found = (variables.get(f"{platform}_{name}") for platform in _PLATFORMS)
    return next((str(value) for value in found if isinstance(value, (str, int)) and value), "")


def _playbook() -> str:
    """The playbooks of the command line, a file without its folder; empty for the command C(ansible)."""
    given = context.CLIARGS.get("args") if "module_name" not in context.CLIARGS else ()
    return ", ".join(Path(str(item)).name for item in given or ())


def _login() -> str:
    """The user of the process; a name that the environment gives (C(LOGNAME)) anybody can choose."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # A container need not have a name for it.
        return f"uid {os.getuid()}"


@contextmanager
def refusals(store: CaStore, variables: Variables, action: str, *, check: bool) -> Iterator[None]:
    """Write to the journal what stops the work inside; what was done in part is no refusal."""
    try:
        yield
    except UnfinishedError:
        raise
    except CrossmeshError as error:
        if not check:
            refusing(store, variables, action, error)
        raise


def refusing(store: CaStore, variables: Variables, action: str, error: CrossmeshError) -> None:
    """Write that an action refused, where the store can be used: that it cannot be is the first error, not a second."""
    instance, cluster = str(variables.filled["mesh_instance"]), variables.cluster
    with suppress(CrossmeshError):
        store.note(refused(action, error, instance=instance, cluster=cluster))
