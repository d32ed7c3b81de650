# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the site playbook with the lab's inventory, as a user of this checkout would."""

import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.lab import Lab
from tests.lab.settings import CHECKOUT, Settings

from .errors import DemoError

INVENTORY = Path("inventories/lab")
PLAYBOOK = Path("playbooks/site.yml")
PASSPHRASE = "CUSTOM_CA_PASSPHRASE"


@dataclass(frozen=True)
class Link:
    """What the inventory says of its first link; everything else is asked of the proxies."""

    name: str
    fqdn: str
    port: int
    backend_host: str
    backend_port: int


def inventory_link() -> Link:
    variables = yaml.safe_load((CHECKOUT / INVENTORY / "group_vars/all.yml").read_text(encoding="utf-8"))
    link = variables["mesh_links"][0]
    return Link(link["name"], link["fqdn"], link["port"], link["backend"]["host"], link["backend"]["port"])


def passphrase_file(settings: Settings) -> Path:
    """Beside the CA that it opens, and gone with it when the lab goes down."""
    return settings.state / "custom-ca-passphrase"


def ca_dir(settings: Settings) -> Path:
    return settings.state / "ca"


def join(lab: Lab) -> None:
    """Run the playbook; its output is the user's to read.

    :raises DemoError: it failed.
    """
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(INVENTORY), str(PLAYBOOK)]
    environment = {
        **os.environ,
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
        "CROSSMESH_LAB_STATE": str(lab.settings.state),
        PASSPHRASE: os.environ.get(PASSPHRASE) or _kept_passphrase(lab.settings),
    }
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise DemoError(
            f"{PLAYBOOK} failed ({done.returncode}): the cause stands above; mend it, then run the demo again"
        )


def _kept_passphrase(settings: Settings) -> str:
    path = passphrase_file(settings)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8")
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(secrets.token_urlsafe(24))
    return path.read_text(encoding="utf-8")
