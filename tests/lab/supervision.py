# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a lab, kept by supervisor: how they are described to it, started, stopped and looked at."""

import os
import shlex
import subprocess
import sys
import xmlrpc.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import SupervisorTransport

from . import wait
from .errors import LabError
from .settings import Settings

PROXY_USER = 1337
# Starting, running: supervisor calls a process running after its first second.
_RUNNING = {10, 20}
# Stopped, backing off after an early exit, exited, given up.
_DEAD = {0, 30, 100, 200}
_ALREADY_STARTED = 60
_NOT_RUNNING = 70
_STOP_SECONDS = 5


@dataclass(frozen=True)
class Process:
    name: str
    argv: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    netns: str | None = None
    as_proxy_user: bool = False


@dataclass(frozen=True)
class ProcessState:
    name: str
    running: bool
    dead: bool
    text: str
    pid: int


class Supervisor:
    def __init__(self, settings: Settings) -> None:
        self._state = settings.state
        self._logs = settings.logs

    @property
    def _socket(self) -> Path:
        return self._state / "supervisor.sock"

    def launch(self, processes: list[Process]) -> None:
        """Start the supervisor itself; it starts nothing until told to."""
        self._logs.mkdir()
        config = self._state / "supervisord.conf"
        config.write_text(self._config(processes))
        environment = {"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8"}
        # Its modules are found by name, those beside it are not.
        argv = [sys.executable, "-P", str(Path(__file__).with_name("supervisord.py")), "-c", str(config)]
        done = subprocess.run(argv, env=environment, cwd="/", capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"supervisord did not start: {done.stderr.strip()}; see {self._state}/supervisord.log")
        wait.until(self.alive, what="supervisord answers", cure=f"see {self._state}/supervisord.log", timeout=10)

    def alive(self) -> bool:
        try:
            self._call("getState")
        except (OSError, xmlrpc.client.Error):
            return False
        return True

    def states(self) -> list[ProcessState]:
        found = cast(list[dict[str, Any]], self._call("getAllProcessInfo"))
        return [_process_state(info) for info in found]

    def state(self, name: str) -> ProcessState:
        return _process_state(cast(dict[str, Any], self._call("getProcessInfo", name)))

    def start(self, name: str) -> None:
        self._unless(_ALREADY_STARTED, "startProcess", name, False)

    def stop(self, name: str) -> None:
        """Returns when the process is gone, so that its ports are free."""
        self._unless(_NOT_RUNNING, "stopProcess", name, True)

    def until(self, name: str, observe: Callable[[], bool], *, what: str, timeout: float = 90) -> None:
        """Wait for a process to show something; its death ends the wait at once."""

        def seen() -> bool:
            state = self.state(name)
            if state.dead:
                raise LabError(f"{name} is {state.text}: {self._last_line(name)}; its log is {self._log(name)}")
            return observe()

        wait.until(seen, what=f"{name}: {what}", cure=f"its log is {self._log(name)}", timeout=timeout)

    def shutdown(self) -> None:
        pid = int(cast(int, self._call("getPID")))
        self._call("stopAllProcesses", True)
        self._call("shutdown")
        gone = f"/proc/{pid}"
        wait.until(lambda: not os.path.exists(gone), what="end of supervisord", cure=f"see process {pid}", timeout=30)

    def _unless(self, harmless: int, method: str, name: str, wait_for_it: bool) -> None:
        try:
            self._call(method, name, wait_for_it)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != harmless:
                raise LabError(f"supervisor refuses {method} of {name}: {fault.faultString}") from fault

    def _call(self, method: str, *arguments: str | bool) -> object:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        try:
            with xmlrpc.client.ServerProxy("http://lab", transport=transport) as proxy:
                return cast(object, getattr(proxy.supervisor, method)(*arguments))
        finally:
            transport.close()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _last_line(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").strip().splitlines() if self._log(name).exists() else []
        return lines[-1] if lines else "it logged nothing"

    def _config(self, processes: list[Process]) -> str:
        sections = [
            f"[unix_http_server]\nfile={self._socket}\nchmod=0700\n",
            f"[supervisord]\nlogfile={self._state}/supervisord.log\npidfile={self._state}/supervisord.pid\n"
            "directory=/\nuser=root\n",
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
        ]
        return "\n".join([*sections, *(self._section(process) for process in processes)])

    def _section(self, process: Process) -> str:
        return (
            f"[program:{process.name}]\ncommand=/bin/sh {self._script(process)}\n"
            f"autostart=false\nautorestart=true\nstartretries=10\nstopwaitsecs={_STOP_SECONDS}\nkillasgroup=true\n"
            "stdout_logfile=NONE\nstderr_logfile=NONE\n"
        )

    def _script(self, process: Process) -> Path:
        """A file a process rather than a line for supervisor: readable, and the log is opened by the process itself,
        because Envoy opens /dev/stdout anew as another user, which a pipe of supervisor's refuses."""
        scripts = self._state / "run"
        scripts.mkdir(exist_ok=True)
        script = scripts / f"{process.name}.sh"
        log = self._log(process.name)
        log.touch()
        user = []
        if process.as_proxy_user:
            os.chown(log, PROXY_USER, PROXY_USER)
            user = ["setpriv", "--reuid", str(PROXY_USER), "--regid", str(PROXY_USER), "--clear-groups"]
        netns = ["ip", "netns", "exec", process.netns] if process.netns else []
        # HOME is also the mark by which a process is known as this lab's, should supervisor be killed.
        environment = [
            "env",
            "-i",
            f"PATH={os.environ['PATH']}",
            f"HOME={process.directory}",
            *(f"{k}={v}" for k, v in process.environment.items()),
        ]
        script.write_text(
            f"cd {shlex.quote(str(process.directory))} || exit 1\nexec >>{shlex.quote(str(log))} 2>&1\n"
            f"exec {shlex.join([*netns, *user, *environment, *process.argv])}\n"
        )
        return script


def _process_state(info: dict[str, Any]) -> ProcessState:
    state = int(info["state"])
    text = f"{info['statename']} {info['description']}".strip()
    return ProcessState(info["name"], running=state in _RUNNING, dead=state in _DEAD, text=text, pid=int(info["pid"]))
