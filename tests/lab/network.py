# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges and network namespaces of a lab: made, and taken away without touching anyone else's."""

import shutil
from functools import partial
from pathlib import Path

from . import procfs, shell
from .description import Description, Host, Pod, Segment
from .errors import LabError

# Its files stand in for those of /etc in the namespace of that name (ip-netns(8)).
NETNS_CONFIG = Path("/etc/netns")
_NETNS_MOUNTS = Path("/run/netns")


def refuse_if_taken(description: Description) -> None:
    """Called before anything is made: what is there already is not ours."""
    taken = [f"bridge {segment.bridge}" for segment in description.segments if _has_link(segment.bridge)]
    taken += [
        f"network namespace {host.netns}"
        for segment in description.segments
        for host in segment.hosts
        if (_NETNS_MOUNTS / host.netns).exists()
    ]
    if taken:
        raise LabError(
            f"{taken[0]} exists and no lab of this state directory made it: remove it, or choose another CROSSMESH_LAB"
        )
    used = shell.run("ip", "-o", "-4", "address")
    for segment in description.segments:
        if f" {segment.host_address}/" in used:
            raise LabError(
                f"{segment.host_address} is in use on this machine: set CROSSMESH_LAB_OFFSET to a free one, such as 10"
            )


def make(segment: Segment) -> None:
    shell.run("ip", "link", "add", segment.bridge, "type", "bridge")
    shell.run("ip", "address", "add", f"{segment.host_address}/24", "dev", segment.bridge)
    shell.run("ip", "link", "set", segment.bridge, "up")
    # For this bridge alone, and gone with it: the machine's own ip_forward stays as it is.
    Path(f"/proc/sys/net/ipv4/conf/{segment.bridge}/forwarding").write_text("1")
    for host in segment.hosts:
        add_host(segment, host)


def add_host(segment: Segment, host: Host) -> None:
    """Give it a network namespace on the segment, with its own resolver."""
    config = NETNS_CONFIG / host.netns
    config.mkdir(parents=True, exist_ok=True)
    resolver = [f"nameserver {segment.nameserver}"]
    if host.search_domains:
        resolver += [f"search {' '.join(host.search_domains)}", "options ndots:5"]
    (config / "resolv.conf").write_text("\n".join(resolver) + "\n")
    shell.run("ip", "netns", "add", host.netns)
    shell.run("ip", "link", "add", host.veth, "type", "veth", "peer", "name", "eth0", "netns", host.netns)
    shell.run("ip", "link", "set", host.veth, "master", segment.bridge, "up")
    inside = (
        "link set lo up",
        f"address add {host.address}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {segment.host_address}",
    )
    shell.run("ip", "-netns", host.netns, "-batch", "-", stdin="\n".join(inside))


def capture_traffic(pod: Pod, pilot_agent: Path) -> None:
    """What the istio-init container does for a sidecar."""
    shell.run(
        *("ip", "netns", "exec", pod.netns, str(pilot_agent), "istio-iptables"),
        *("-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT"),
        *("-i", "*", "-x", "", "-b", "*", "-d", "15090,15021,15020"),
        *(["--redirect-dns"] if pod.dns_capture else []),
    )


def remove(description: Description) -> None:
    for segment in description.segments:
        for host in segment.hosts:
            remove_host(host)
        if _has_link(segment.bridge):
            shell.run("ip", "link", "delete", segment.bridge)
    if NETNS_CONFIG.is_dir() and not any(NETNS_CONFIG.iterdir()):
        NETNS_CONFIG.rmdir()


def remove_host(host: Host) -> None:
    """Take the namespace away again, if it is there, with all that runs in it."""
    if (_NETNS_MOUNTS / host.netns).exists():
        # Such as a client that a test left running in it.
        end_processes(host)
        shell.run("ip", "netns", "delete", host.netns)
    shutil.rmtree(NETNS_CONFIG / host.netns, ignore_errors=True)


def end_processes(host: Host) -> None:
    """Kill all that runs in it, by process IDs."""
    procfs.end(partial(_processes, host), f"the processes in {host.netns}")


def _processes(host: Host) -> list[int]:
    return [int(pid) for pid in shell.run("ip", "netns", "pids", host.netns).split()]


def _has_link(name: str) -> bool:
    return Path(f"/sys/class/net/{name}").exists()
