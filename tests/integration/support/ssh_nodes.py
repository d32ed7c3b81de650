# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that run jobs: machines on the lab's network, each with an sshd, a host key, a user and a home of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import Lab, network, procfs, shell
from tests.lab.description import Host
from tests.lab.wait import eventually

USER = "crossmesh"
API_PORT = 6443
_OWNERS = 0o700
# The lab's own machines have lower ones; a user's id is its address' last number and these thousands.
_FIRST_ADDRESS, _FIRST_USER = 200, 61000
# Where jobs may leave things beside their private data directory.
_SHARED = ("/tmp", "/var/tmp", "/dev/shm")


@dataclass(frozen=True)
class Node:
    """:param home: of its user, to which nobody else has access.

    :param config: for C(ssh -F), which knows the nodes by their names, and by the host keys that they were made with.
    """

    host: Host
    home: Path
    uid: int
    config: Path

    @property
    def name(self) -> str:
        return self.host.name

    def ssh(self, *command: str) -> subprocess.CompletedProcess[str]:
        argv = ["ssh", "-F", str(self.config), self.name, *command]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    def answers(self) -> bool:
        return self.ssh("true").returncode == 0

    def cpu_seconds(self) -> float:
        """User and system seconds of all sessions up to now, once they have ended (proc_pid_stat(5))."""
        pid = int(_pid_file(self).read_text(encoding="utf-8"))
        eventually(lambda: not procfs.children(pid))
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        return sum(map(int, after_name[13:15])) / os.sysconf("SC_CLK_TCK")

    def die(self) -> None:
        """Lose its network, and all that runs on it: nobody is told, as where a machine fails."""
        shell.run("ip", "link", "set", self.host.veth, "down")
        network.end_processes(self.host)

    def files(self) -> dict[str, bytes]:
        """Contents of all files that belong to its user, wherever jobs may write."""
        others = ["!", "-uid", str(self.uid), "-prune"]
        search = ["find", str(self.home), *_SHARED, "-mindepth", "1", *others, "-o", "-type", "f", "-print0"]
        # Others come and go in the shared folders while it looks.
        found = subprocess.run(search, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
        return {path.decode(): Path(path.decode()).read_bytes() for path in found.split(b"\0") if path}


@contextmanager
def ssh_nodes(lab: Lab, folder: Path, count: int) -> Iterator[list[Node]]:
    """So many nodes, which reach the clusters' API servers; gone afterwards, with all that jobs have left on them.

    :param folder: for the key and the configuration of those who use the nodes.
    """
    # Below it all users may enter, as on a machine of one's own.
    homes = lab.settings.state / "nodes"
    # What a run that was killed has left.
    shutil.rmtree(homes, ignore_errors=True)
    homes.mkdir()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, homes)
        stack.enter_context(_api_servers(lab))
        _keygen(folder / "id")
        nodes = [_node(lab, homes, folder, number) for number in range(1, count + 1)]
        (folder / "ssh_config").write_text("\n".join(map(_entry, nodes)), encoding="utf-8")
        for node in nodes:
            stack.enter_context(_running(lab, node, folder))
        known = [f"{node.host.address} {_host_key(node).with_suffix('.pub').read_text()}" for node in nodes]
        (folder / "known_hosts").write_text("".join(known), encoding="utf-8")
        for node in nodes:
            eventually(node.answers)
        yield nodes


def reachable_from_nodes(lab: Lab, kubeconfig: str) -> str:
    """The lab's kubeconfig with the addresses at which nodes reach its API servers."""
    for cluster in lab.description.clusters:
        kubeconfig = kubeconfig.replace(cluster.api_url, f"https://{cluster.host_address}:{API_PORT}")
    return kubeconfig


@contextmanager
def _api_servers(lab: Lab) -> Iterator[None]:
    """The API servers listen on loopback addresses: let them answer at their clusters' routed ones, too."""
    with ExitStack() as stack:
        for cluster in lab.description.clusters:
            here = f"TCP-LISTEN:{API_PORT},bind={cluster.host_address},fork,reuseaddr"
            argv = ["socat", here, f"TCP:{cluster.loopback}:{API_PORT}"]
            stack.callback(_end, subprocess.Popen(argv, stderr=subprocess.DEVNULL, process_group=0))
        yield


def _end(process: subprocess.Popen[bytes]) -> None:
    """With its children, one for each connection."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _node(lab: Lab, homes: Path, folder: Path, number: int) -> Node:
    segment, last = lab.description.external, _FIRST_ADDRESS + number
    address = f"{segment.host_address.rpartition('.')[0]}.{last}"
    name = f"node-{number}"
    host = Host(name, address, f"{lab.settings.name}-{name}", f"{lab.settings.name}-n{number}")
    return Node(host, homes / name / "home", _FIRST_USER + last, folder / "ssh_config")


def _entry(node: Node) -> str:
    return f"""\
Host {node.name}
  HostName {node.host.address}
  User {USER}
  IdentityFile {node.config.with_name("id")}
  IdentitiesOnly yes
  UserKnownHostsFile {node.config.with_name("known_hosts")}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  ServerAliveInterval 5
  ServerAliveCountMax 3
"""


@contextmanager
def _running(lab: Lab, node: Node, folder: Path) -> Iterator[None]:
    network.remove_host(node.host)
    try:
        network.add_host(lab.description.external, node.host)
        _make_user(node, (folder / "id.pub").read_text(encoding="utf-8"))
        with _sshd(node):
            yield
    finally:
        network.remove_host(node.host)
        for path in node.files():
            Path(path).unlink()


def _make_user(node: Node, key: str) -> None:
    """Known on this node alone: its files stand in for those of the machine."""
    own = {
        "passwd": f"{Path('/etc/passwd').read_text()}{USER}:x:{node.uid}:{node.uid}::{node.home}:/bin/sh\n",
        "group": f"{Path('/etc/group').read_text()}{USER}:x:{node.uid}:\n",
        # Passwords of the machine's users are none of its business.
        "shadow": f"{USER}:*:20000:0:99999:7:::\n",
    }
    for name, content in own.items():
        path = network.NETNS_CONFIG / node.host.netns / name
        path.touch(mode=0o600 if name == "shadow" else 0o644)
        path.write_text(content, encoding="utf-8")
    (node.home / ".ssh").mkdir(parents=True)
    (node.home / ".ssh/authorized_keys").write_text(key, encoding="utf-8")
    for path in (node.home, *node.home.rglob("*")):
        os.chown(path, node.uid, node.uid)
        path.chmod(_OWNERS if path.is_dir() else 0o600)


@contextmanager
def _sshd(node: Node) -> Iterator[None]:
    # Where it separates its privileges; the package's service would make it.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    _keygen(_host_key(node))
    config = _host_key(node).with_name("sshd_config")
    config.write_text(_sshd_config(node), encoding="utf-8")
    program = shlex.join(["exec", "/usr/sbin/sshd", "-D", "-e", "-f", str(config)])
    script = "\n".join(["set -e", *_open_interpreter(node.home.parent), program])
    argv = ["ip", "netns", "exec", node.host.netns, "sh", "-c", script]
    with (node.home.parent / "sshd.log").open("wb") as log, subprocess.Popen(argv, stderr=log) as process:
        try:
            yield
        finally:
            process.kill()


def _open_interpreter(folder: Path) -> Iterator[str]:
    """Commands that let a node's user run this Python also if it is in the home of root, which he may not enter.

    They are of the mount namespace that C(ip netns exec) makes.
    """
    python = Path(sys.base_prefix)
    closed = next((parent for parent in reversed(python.parents) if not parent.stat().st_mode & stat.S_IXOTH), None)
    if closed:
        aside = folder / "python"
        yield shlex.join(["mkdir", "-p", str(aside)])
        yield shlex.join(["mount", "--bind", str(python), str(aside)])
        yield shlex.join(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(closed)])
        yield shlex.join(["mkdir", "-p", str(python)])
        yield shlex.join(["mount", "--bind", str(aside), str(python)])


def _sshd_config(node: Node) -> str:
    # Where the checkout has it from, as that may be closed to others.
    programs = Path(sys.prefix).resolve() / "bin"
    return f"""\
ListenAddress {node.host.address}
HostKey {_host_key(node)}
AllowUsers {USER}
StrictModes yes
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile {_pid_file(node)}
SetEnv PATH={programs}:{os.defpath} LC_ALL=C.UTF-8
"""


def _host_key(node: Node) -> Path:
    return node.home.parent / "host_key"


def _pid_file(node: Node) -> Path:
    return node.home.parent / "sshd.pid"


def _keygen(path: Path) -> None:
    shell.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path))
