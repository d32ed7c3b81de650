# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes in a pod: its proxy, its database or its command."""

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from . import shell
from .description import Cluster, MariaDb, Pod
from .settings import Settings
from .supervision import PROXY_USER, Process

TOKEN_SECONDS = 30 * 24 * 3600
_EXEC_COMMANDS = ("pilot-agent", "mariadb")


class Workloads:
    def __init__(self, settings: Settings, cluster: Cluster, binaries: Path) -> None:
        self._settings = settings
        self._cluster = cluster
        self._binaries = binaries

    def processes(self) -> Iterator[Process]:
        for pod in self._cluster.pods:
            if pod.has_proxy:
                yield self._proxy(pod)
            if pod.mariadb:
                yield self._mariadb(pod)
            elif pod.command:
                yield Process(
                    pod.app_process, pod.command, self._settings.pod_dir(pod.cluster, pod.name), netns=pod.netns
                )

    def make_directories(self) -> None:
        for pod in self._cluster.pods:
            directory = self._directory(pod)
            directory.mkdir(parents=True)
            if pod.has_proxy:
                template = directory / "var/lib/istio/envoy/envoy_bootstrap_tmpl.json"
                template.parent.mkdir(parents=True)
                shutil.copyfile(self._binaries / "envoy_bootstrap.json", template)
            if pod.mariadb:
                self._install_database(pod, pod.mariadb)

    def give_identity(self, pod: Pod, *, token: str, root: str) -> None:
        """What a kubelet would mount: the account's token and the mesh's root."""
        secrets = self._directory(pod) / "var/run/secrets"
        for name, content in (("tokens/istio-token", token), ("istio/root-cert.pem", root)):
            (secrets / name).parent.mkdir(parents=True)
            (secrets / name).touch(mode=0o600)
            (secrets / name).write_text(content)
        for path in [self._directory(pod), *self._directory(pod).rglob("*")]:
            os.chown(path, PROXY_USER, PROXY_USER)

    def _directory(self, pod: Pod) -> Path:
        return self._settings.pod_dir(pod.cluster, pod.name) / "proxy"

    def _data(self, pod: Pod) -> Path:
        return database_socket(self._settings, pod).parent

    def _proxy(self, pod: Pod) -> Process:
        return Process(
            name=pod.proxy_process,
            argv=(
                *(str(self._binaries / "pilot-agent"), "proxy", "router" if pod.gateway else "sidecar"),
                *("--domain", f"{pod.namespace}.svc.cluster.local", "--proxyLogLevel", "warning"),
            ),
            directory=self._directory(pod),
            netns=pod.netns,
            as_proxy_user=True,
            environment={
                # Else the agent asks clouds for their metadata first.
                "CLOUD_PLATFORM": "none",
                "POD_NAME": pod.name,
                "POD_NAMESPACE": pod.namespace,
                "SERVICE_ACCOUNT": pod.app,
                "INSTANCE_IP": pod.address,
                "ISTIO_META_CLUSTER_ID": pod.cluster,
                "ISTIO_META_WORKLOAD_NAME": pod.app,
                "ISTIO_METAJSON_LABELS": json.dumps(dict(pod.labels)),
                "PEER_METADATA_DISCOVERY": "false",
                "ISTIO_META_DNS_CAPTURE": str(pod.dns_capture).lower(),
                "PROXY_CONFIG": json.dumps(
                    {
                        "binaryPath": str(self._binaries / "envoy"),
                        "discoveryAddress": "istiod.istio-system.svc:15012",
                        # A lab that goes down has nobody to drain for.
                        "terminationDrainDuration": "0.1s",
                    }
                ),
            },
        )

    def _mariadb(self, pod: Pod) -> Process:
        data = self._data(pod)
        return Process(
            name=pod.app_process,
            argv=(
                *(
                    "mariadbd",
                    "--no-defaults",
                    "--user=mysql",
                    *database_folders(data),
                    f"--socket={database_socket(self._settings, pod)}",
                ),
                *(f"--pid-file={data}/pid", f"--init-file={data}/init.sql", "--port=3306", "--bind-address=0.0.0.0"),
                *("--skip-name-resolve", "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0"),
            ),
            directory=data,
            netns=pod.netns,
        )

    def _install_database(self, pod: Pod, database: MariaDb) -> None:
        data = self._data(pod)
        shell.run("mariadb-install-db", "--no-defaults", "--user=mysql", *database_folders(data), "--skip-test-db")
        # The server reads one statement a line.
        (data / "init.sql").write_text(
            f"CREATE DATABASE IF NOT EXISTS `{database.database}`;\n"
            f"CREATE USER IF NOT EXISTS '{database.user}'@'%' IDENTIFIED BY '{database.password}';\n"
            f"GRANT ALL ON `{database.database}`.* TO '{database.user}'@'%';\n"
        )
        shutil.chown(data / "init.sql", "mysql")


def database_folders(data: Path) -> tuple[str, str]:
    """Temporary tables stand there too: a server that starts removes those of others that it finds in /tmp."""
    return f"--datadir={data}", f"--tmpdir={data}"


def database_socket(settings: Settings, pod: Pod) -> Path:
    return settings.pod_dir(pod.cluster, pod.name) / "mariadb" / "socket"


def write_exec_commands(settings: Settings, binaries: Path) -> None:
    """The commands that `kubectl exec` finds, and no others: as in a distroless proxy image."""
    settings.exec_bin.mkdir()
    for command in _EXEC_COMMANDS:
        own = binaries / command
        program = str(own) if own.exists() else shutil.which(command) or command
        script = settings.exec_bin / command
        ip = shlex.quote(shutil.which("ip") or "ip")
        script.write_text(f'#!/bin/sh\nexec {ip} netns exec "$NETNS" {shlex.quote(program)} "$@"\n')
        script.chmod(0o755)
