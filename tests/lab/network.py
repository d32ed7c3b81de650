"""Bridges and network namespaces of a lab: made, and taken away without touching anyone else's."""

import shutil
from functools import partial
from pathlib import Path

from . import procfs, shell
from .description import Cluster, Description, Pod
from .errors import LabError

_NETNS_CONFIG = Path("/etc/netns")
_NETNS_MOUNTS = Path("/run/netns")


def refuse_if_taken(description: Description) -> None:
    """Called before anything is made: what is there already is not ours."""
    taken = [f"bridge {cluster.bridge}" for cluster in description.clusters if _has_link(cluster.bridge)]
    taken += [f"network namespace {pod.netns}" for pod in description.pods() if (_NETNS_MOUNTS / pod.netns).exists()]
    if taken:
        raise LabError(
            f"{taken[0]} exists and no lab of this state directory made it: remove it, or choose another CROSSMESH_LAB"
        )
    used = shell.run("ip", "-o", "-4", "address")
    for cluster in description.clusters:
        if f" {cluster.host_address}/" in used:
            raise LabError(
                f"{cluster.host_address} is in use on this machine: set CROSSMESH_LAB_OFFSET to a free one, such as 10"
            )


def make(cluster: Cluster) -> None:
    shell.run("ip", "link", "add", cluster.bridge, "type", "bridge")
    shell.run("ip", "address", "add", f"{cluster.host_address}/24", "dev", cluster.bridge)
    shell.run("ip", "link", "set", cluster.bridge, "up")
    # For this bridge alone, and gone with it: the machine's own ip_forward stays as it is.
    Path(f"/proc/sys/net/ipv4/conf/{cluster.bridge}/forwarding").write_text("1")
    for pod in cluster.pods:
        _make_namespace(cluster, pod)


def _make_namespace(cluster: Cluster, pod: Pod) -> None:
    config = _NETNS_CONFIG / pod.netns
    config.mkdir(parents=True, exist_ok=True)
    (config / "resolv.conf").write_text(
        f"nameserver {cluster.host_address}\n"
        f"search {pod.namespace}.svc.cluster.local svc.cluster.local cluster.local\n"
        "options ndots:5\n"
    )
    shell.run("ip", "netns", "add", pod.netns)
    shell.run("ip", "link", "add", pod.veth, "type", "veth", "peer", "name", "eth0", "netns", pod.netns)
    shell.run("ip", "link", "set", pod.veth, "master", cluster.bridge, "up")
    inside = (
        "link set lo up",
        f"address add {pod.address}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {cluster.host_address}",
    )
    shell.run("ip", "-netns", pod.netns, "-batch", "-", stdin="\n".join(inside))


def capture_traffic(pod: Pod, pilot_agent: Path) -> None:
    """What the istio-init container does for a sidecar."""
    shell.run(
        *("ip", "netns", "exec", pod.netns, str(pilot_agent), "istio-iptables"),
        *("-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT"),
        *("-i", "*", "-x", "", "-b", "*", "-d", "15090,15021,15020"),
    )


def remove(description: Description) -> None:
    for pod in description.pods():
        if (_NETNS_MOUNTS / pod.netns).exists():
            # Such as a client that a test left running in it.
            procfs.end(partial(_processes, pod), f"the processes in {pod.netns}")
            shell.run("ip", "netns", "delete", pod.netns)
        shutil.rmtree(_NETNS_CONFIG / pod.netns, ignore_errors=True)
    for cluster in description.clusters:
        if _has_link(cluster.bridge):
            shell.run("ip", "link", "delete", cluster.bridge)
    if _NETNS_CONFIG.is_dir() and not any(_NETNS_CONFIG.iterdir()):
        _NETNS_CONFIG.rmdir()


def _processes(pod: Pod) -> list[int]:
    return [int(pid) for pid in shell.run("ip", "netns", "pids", pod.netns).split()]


def _has_link(name: str) -> bool:
    return Path(f"/sys/class/net/{name}").exists()
