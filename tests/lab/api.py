# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests do with a running lab.

lab = Lab.load()
lab.mysql("SELECT 1")
with lab.capture("cluster-b", "istio-ingressgateway-0", "tcp port 13306") as wire:
    lab.mysql("INSERT INTO t VALUES (1)")
assert b"MariaDB" not in wire.payload
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import pcap, procfs, wait
from .description import Cluster, Description, Host, Pod
from .errors import LabError
from .lifecycle import programs_of_running, running
from .settings import Settings, load_settings
from .supervision import ProcessState, Supervisor
from .workloads import database_socket

Result = subprocess.CompletedProcess[str]

_TIMEOUT = 60.0


class Capture:
    """Filled when its `with` block ends."""

    def __init__(self) -> None:
        self.pcap = b""

    @property
    def payload(self) -> bytes:
        """What the captured TCP segments carried, in the order of capture."""
        return b"".join(pcap.tcp_payloads(self.pcap))

    @property
    def streams(self) -> dict[tuple[pcap.End, pcap.End], bytes]:
        """The same by who sent it to whom."""
        return pcap.tcp_streams(self.pcap)


@dataclass(frozen=True)
class Lab:
    settings: Settings
    description: Description
    binaries: Path

    @classmethod
    def load(cls) -> "Lab":
        """The running lab that the environment names (CROSSMESH_LAB, CROSSMESH_LAB_STATE)."""
        settings = load_settings()
        return cls(settings, running(settings), programs_of_running(settings))

    @property
    def kubeconfig(self) -> Path:
        """All clusters, one context each, named like the cluster."""
        return self.settings.kubeconfig

    @property
    def environment(self) -> dict[str, str]:
        """For commands that shall find the lab's kubectl, istioctl and clusters."""
        path = f"{self.binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path}

    def cluster(self, name: str) -> Cluster:
        return self.description.cluster(name)

    def pod(self, cluster: str, name: str) -> Pod:
        return self.cluster(cluster).pod(name)

    def kubectl(
        self, cluster: str, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = _TIMEOUT
    ) -> Result:
        return self._call(["kubectl", "--context", cluster, *arguments], stdin=stdin, check=check, timeout=timeout)

    def istioctl(
        self, cluster: str, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = _TIMEOUT
    ) -> Result:
        return self._call(["istioctl", "--context", cluster, *arguments], stdin=stdin, check=check, timeout=timeout)

    def run(
        self,
        cluster: str,
        pod: str,
        argv: Sequence[str],
        *,
        stdin: str | None = None,
        check: bool = False,
        timeout: float = _TIMEOUT,
        environment: Mapping[str, str] | None = None,
    ) -> Result:
        """Run a command as if it were in the pod: its network and its resolver, the machine's files."""
        command = [*_inside(self.pod(cluster, pod)), *argv]
        return self._call(command, stdin=stdin, check=check, timeout=timeout, environment=environment)

    def popen(self, cluster: str, pod: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """The same, running beside the test; its end is the caller's."""
        return self._popen(self.pod(cluster, pod), argv)

    def machine(self, name: str) -> Host:
        """An external machine: one in no cluster."""
        return self.description.machine(name)

    def run_on(self, machine: str, argv: Sequence[str], *, check: bool = False, timeout: float = _TIMEOUT) -> Result:
        """Like `run`, on an external machine."""
        return self._call([*_inside(self.machine(machine)), *argv], check=check, timeout=timeout)

    def popen_on(self, machine: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Like `popen`, on an external machine."""
        return self._popen(self.machine(machine), argv)

    def mysql(
        self, statement: str, *, fqdn: str = "mysql.server.example.com", port: int = 3306, check: bool = True
    ) -> str:
        """Run a statement from the client pod; rows as lines of tab-separated values."""
        client = self.description.find_pod("mysql-client")
        return self.mysql_from(client.cluster, client.name, statement, fqdn=fqdn, port=port, check=check).stdout

    def mysql_from(
        self, cluster: str, pod: str, statement: str, *, fqdn: str, port: int = 3306, check: bool = False
    ) -> Result:
        """The same from any pod, as a result to be looked at."""
        database = self._database_pod().mariadb
        if database is None:
            raise LabError("the lab has no database")
        argv = ["mariadb", "--no-defaults", "--batch", "--skip-column-names", "--connect-timeout=10", "--protocol=TCP"]
        argv += ["-h", fqdn, "-P", str(port), "-u", database.user, database.database, "-e", statement]
        return self.run(cluster, pod, argv, check=check, environment={"MYSQL_PWD": database.password})

    def mysql_local(self, statement: str) -> str:
        """Run a statement on the server pod itself, past any network."""
        pod = self._database_pod()
        database = pod.mariadb.database if pod.mariadb else ""
        argv = [
            "mariadb",
            "--no-defaults",
            "--batch",
            "--skip-column-names",
            f"--socket={database_socket(self.settings, pod)}",
        ]
        return self._call([*argv, "-u", "root", database, "-e", statement], check=True).stdout

    @contextmanager
    def capture(self, cluster: str, pod: str, bpf_filter: str, *, interface: str = "eth0") -> Iterator[Capture]:
        """Record the pod's traffic for the length of the block."""
        argv = ["tcpdump", "-i", interface, "--immediate-mode", "-U", "-s", "0", "-w", "-", bpf_filter]
        inside = _inside(self.pod(cluster, pod))
        captured = Capture()
        # A file: a pipe that nobody reads is full after 64 KiB, and the rest is lost.
        with tempfile.TemporaryFile() as file:
            process = subprocess.Popen([*inside, *argv], stdout=file, stderr=subprocess.PIPE)
            try:
                self._until_listening(process)
                yield captured
                # What it has not read yet when it is told to end, it never reads.
                wait.until(
                    lambda: procfs.sleeps(process.pid),
                    what="tcpdump has read every packet",
                    cure="capture less, or see whether the machine is overloaded",
                    timeout=30,
                )
            finally:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=10)
            file.seek(0)
            captured.pcap = file.read()

    def envoy(self, cluster: str, pod: str, path: str, *, method: Literal["GET", "POST"] = "GET") -> str:
        """Ask a proxy's admin port."""
        argv = [str(self.binaries / "pilot-agent"), "request", method, path]
        return self.run(cluster, pod, argv, check=True).stdout

    def signal(self, cluster: str, pod: str, process: Literal["pilot-agent", "envoy"], number: signal.Signals) -> None:
        """Freeze (SIGSTOP) or thaw (SIGCONT) a proxy, for example."""
        os.kill(self.pid(cluster, pod, process), number)

    def pid(self, cluster: str, pod: str, process: Literal["pilot-agent", "envoy"]) -> int:
        agent = Supervisor(self.settings).state(self.pod(cluster, pod).proxy_process).pid
        return agent if process == "pilot-agent" else _child(agent, process)

    def stop(self, process: str) -> None:
        """Stop a process by its name in `status`, such as cluster-b.kube-apiserver; returns when it is gone."""
        Supervisor(self.settings).stop(process)

    def start(self, process: str) -> None:
        """Start it again; returns when it runs, which is before it is ready."""
        supervisor = Supervisor(self.settings)
        supervisor.start(process)
        wait.until(
            lambda: supervisor.state(process).running,
            what=f"{process} runs",
            cure=f"see {self.settings.logs}",
            timeout=30,
        )

    def processes(self) -> list[ProcessState]:
        return Supervisor(self.settings).states()

    def _popen(self, host: Host, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*_inside(host), *argv],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _database_pod(self) -> Pod:
        for pod in self.description.pods():
            if pod.mariadb:
                return pod
        raise LabError("lab.yml describes no pod with a database")

    def _call(
        self,
        argv: Sequence[str],
        *,
        check: bool,
        stdin: str | None = None,
        timeout: float = _TIMEOUT,
        environment: Mapping[str, str] | None = None,
    ) -> Result:
        done = subprocess.run(
            argv,
            input=stdin if stdin is not None else "",
            env={**self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise LabError(f"`{' '.join(argv)}` failed ({done.returncode}): {done.stderr.strip()}")
        return done

    def _until_listening(self, process: subprocess.Popen[bytes]) -> None:
        lines = []
        for line in process.stderr or ():
            if line.startswith(b"tcpdump: listening"):
                return
            lines.append(line.decode(errors="replace").strip())
        raise LabError(f"tcpdump did not start: {' | '.join(lines)}")


def _inside(host: Host) -> list[str]:
    return ["ip", "netns", "exec", host.netns]


def _child(parent: int, name: str) -> int:
    for pid in procfs.children(parent):
        if procfs.command(pid) == name:
            return pid
    raise LabError(f"process {parent} has no child {name}")
