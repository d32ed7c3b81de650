# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the surroundings, each for the length of a block."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.integration.support.lab_mesh import Mesh
from tests.lab import Lab

# The loader puts the machine's own folder in the place of $LIB.
FAKETIME = "/usr/$LIB/faketime/libfaketime.so.1"


@contextmanager
def cut_network(lab: Lab) -> Iterator[None]:
    """Packets between the clusters vanish, as behind a dead router; nothing is refused."""
    switches = [Path(f"/proc/sys/net/ipv4/conf/{cluster.bridge}/forwarding") for cluster in lab.description.clusters]
    for switch in switches:
        switch.write_text("0")
    try:
        yield
    finally:
        for switch in switches:
            switch.write_text("1")


def clock_off(offset: str) -> dict[str, str]:
    """The environment in which a program's clock is off by so much, such as +1h, and goes as fast as ever."""
    return {"LD_PRELOAD": FAKETIME, "FAKETIME": offset}


@contextmanager
def small_disk(mesh: Mesh) -> Iterator[None]:
    """The CA store on a file system of its own, of 1 MiB."""
    aside = mesh.store.with_name("aside")
    mesh.store.rename(aside)
    mesh.store.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(mesh.store)], check=True)
    try:
        shutil.copytree(aside, mesh.store, dirs_exist_ok=True)
        yield
    finally:
        shutil.rmtree(aside)
        shutil.copytree(mesh.store, aside)
        subprocess.run(["umount", str(mesh.store)], check=True)
        mesh.store.rmdir()
        aside.rename(mesh.store)


@contextmanager
def full_disk(mesh: Mesh) -> Iterator[None]:
    """No byte is left on the CA store's file system."""
    filler = mesh.store / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()
