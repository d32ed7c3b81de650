# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab as a whole: up, down and what is of it."""

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import yaml

from . import network, procfs, shell
from .bringup import BringUp, Say
from .build import binaries, pinned_versions
from .controlplane import kubeconfig
from .description import Description, Pod, load_description
from .errors import LabError
from .prerequisites import require_reachable
from .settings import Settings
from .supervision import Supervisor
from .workloads import write_exec_commands

DESCRIPTION = Path(__file__).parent / "lab.yml"


def is_up(settings: Settings) -> bool:
    if not settings.ready_mark.exists():
        return False
    supervisor = Supervisor(settings)
    return supervisor.alive() and all(state.running for state in supervisor.states())


def running(settings: Settings) -> Description:
    """The running lab's own description: what it was started from, not what lab.yml says by now."""
    if not settings.description.exists():
        raise LabError(f"lab {settings.name} is not up: run `make lab-up`")
    offset = int(settings.offset_mark.read_text())
    return load_description(settings.description, lab=settings.name, offset=offset)


def programs_of_running(settings: Settings) -> Path:
    """Whoever asks for one set of versions shall not test another."""
    programs = binaries(settings)
    mark = settings.programs_mark
    if not mark.exists() or mark.read_text() != programs.name:
        raise LabError(
            f"lab {settings.name} runs other programs than the {settings.versions} ones of this checkout: "
            "run down, then up"
        )
    return programs


def up(settings: Settings, say: Say) -> None:
    with _locked(settings):
        if is_up(settings):
            programs_of_running(settings)
            say(f"lab {settings.name} is up")
            if settings.description.read_bytes() != DESCRIPTION.read_bytes():
                say("lab.yml has changed since it started: run down, then up, to follow it")
            return
        programs = binaries(settings)
        require_reachable(programs, settings.state)
        if _remove(settings):
            say(f"removed what was left of lab {settings.name}, which was not whole")
        started = time.monotonic()
        _start(settings, programs, say)
        say(f"lab {settings.name} is up after {time.monotonic() - started:.0f} s: {pinned_versions(settings)}")


def down(settings: Settings, say: Say) -> None:
    with _locked(settings):
        was_there = _remove(settings)
        say(f"lab {settings.name} is {'down' if was_there else 'not up'}")


def _start(settings: Settings, programs: Path, say: Say) -> None:
    description = load_description(DESCRIPTION, lab=settings.name, offset=settings.offset)
    network.refuse_if_taken(description)
    settings.state.mkdir(parents=True)
    settings.offset_mark.write_text(str(settings.offset))
    settings.programs_mark.write_text(programs.name)
    shutil.copyfile(DESCRIPTION, settings.description)
    supervisor = Supervisor(settings)
    network.make(description.external)
    starts = [BringUp(settings, cluster, programs, supervisor, say) for cluster in description.clusters]
    _together([partial(start.prepare, description) for start in starts])
    write_exec_commands(settings, programs)
    settings.kubeconfig.touch(mode=0o600)
    settings.kubeconfig.write_text(yaml.safe_dump(kubeconfig([(start.cluster, start.plane.pki) for start in starts])))
    supervisor.launch([process for start in starts for process in start.processes()])
    _together([start.run for start in starts])
    _check_routes(description)
    settings.ready_mark.touch()


def _check_routes(description: Description) -> None:
    """A machine's own firewall may drop what goes from one bridge to another."""
    for segment in description.segments:
        for cluster in description.clusters:
            source = next((host for host in segment.hosts if not (isinstance(host, Pod) and host.sidecar)), None)
            target = next((pod for pod in cluster.pods if pod.gateway), None)
            if source is None or target is None:
                continue
            connect = ("socat", "-u", "OPEN:/dev/null", f"TCP:{target.address}:15021,connect-timeout=3")
            if not shell.succeeds("ip", "netns", "exec", source.netns, *connect):
                raise LabError(
                    f"{source.netns} does not reach {cluster.name}/{target.name} at {target.address}: "
                    "a firewall here drops it: iptables -I FORWARD -s 198.18.0.0/15 -d 198.18.0.0/15 -j ACCEPT"
                )


def _remove(settings: Settings) -> bool:
    if not settings.state.exists():
        return False
    supervisor = Supervisor(settings)
    if supervisor.alive():
        supervisor.shutdown()
    procfs.end(partial(procfs.with_home_below, settings.state), f"the processes of lab {settings.name}")
    if settings.description.exists():
        network.remove(running(settings))
    shutil.rmtree(settings.state)
    return True


def _together(works: list[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(max_workers=len(works)) as pool:
        for future in [pool.submit(work) for work in works]:
            future.result()


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """Two commands on one lab follow each other."""
    settings.state.parent.mkdir(parents=True, exist_ok=True)
    with settings.state.with_name(f"{settings.state.name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
