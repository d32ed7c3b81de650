# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three API servers on loopback, a CA store, and runs of playbooks over them as a user starts them."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import issue_leaf, new_root, parse_certificates
from tests.integration.support.lab_mesh import CHECKOUT, PLAYBOOKS, Run, finished_run

from .memory import Memory
from .scenery import CLUSTERS, HOSTILE, LINKS, fresh, inventory
from .server import ApiServer, serving

__all__ = ["Ended", "Stage", "State", "staged"]

Json = dict[str, Any]

_DAY = timedelta(days=1)
# No run is that long; what has not ended then has no end.
_AT_MOST = 600.0


@dataclass(frozen=True)
class State:
    """What a run begins with: the clusters, and the files of the store (none for no store)."""

    memories: Mapping[str, Memory]
    store: Mapping[str, bytes]


@dataclass(frozen=True)
class Ended:
    """:param seconds: that the run took.
    :param late: whether it was ended, because it did not end.
    :param led_astray: credentials that came to a server of nobody.
    :param files: what it has left for people and other programs.
    """

    run: Run
    seconds: float
    late: bool
    state: State
    led_astray: list[str]
    files: str = ""

    @property
    def told(self) -> str:
        """All that somebody may read of it."""
        return self.run.output + self.files


@dataclass
class Stage:
    """:param trap: where a redirect leads: nobody's API server."""

    folder: Path
    servers: Mapping[str, ApiServer]
    trap: ApiServer
    passphrase: str = field(repr=False)

    @property
    def hostile(self) -> ApiServer:
        return self.servers[HOSTILE]

    @property
    def secrets(self) -> list[bytes]:
        """What no output may hold, beside keys."""
        return [self.passphrase.encode(), *(server.token.encode() for server in self.servers.values())]

    @property
    def store(self) -> Path:
        return self.folder / "ca"

    def state(self) -> State:
        files = {
            str(path.relative_to(self.store)): path.read_bytes() for path in self.store.rglob("*") if path.is_file()
        }
        return State({name: server.memory for name, server in self.servers.items()}, files)

    def put(self, state: State) -> None:
        """Begin with this."""
        for name, server in self.servers.items():
            server.memory = state.memories[name].copy()
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.rmtree(self._report, ignore_errors=True)
        for name, content in state.store.items():
            path = self.store / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o600)

    def play(self, playbook: str, variables: Json, links: Sequence[Json] = LINKS, limit: float = _AT_MOST) -> Ended:
        """:param limit: seconds after which the run is ended."""
        self.trap.credentials.clear()
        path = self.folder / "hosts.yml"
        described = inventory(tuple(links), str(self.folder / "kubeconfig"), str(self.store))
        path.write_text(yaml.safe_dump(described), encoding="utf-8")
        # What kubernetes.core knows of a cluster it keeps in a temporary folder, for the next run.
        temporary = self.folder / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        command = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            str(path),
            str(PLAYBOOKS / f"{playbook}.yml"),
        ]
        extra = yaml.safe_dump(variables, default_flow_style=True, width=10_000)
        begun, late = time.monotonic(), False
        process = subprocess.Popen(
            [*command, "-v", "--diff", "-e", extra],
            cwd=self.folder,
            env={**os.environ, **self._environment(temporary)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            process_group=0,
        )
        try:
            said = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            late = True
            os.killpg(process.pid, signal.SIGKILL)
            said = process.communicate()
        finally:
            process.kill()
        seconds = time.monotonic() - begun
        files = "\n".join(path.read_text(errors="surrogateescape") for path in sorted(self._report.glob("*")))
        run, astray = finished_run(said, process.returncode), list(self.trap.credentials)
        return Ended(run, seconds, late, self.state(), astray, files)

    @property
    def _report(self) -> Path:
        """Where playbook report writes by default."""
        return self.folder / "crossmesh-report"

    def _environment(self, temporary: Path) -> dict[str, str]:
        return {
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCAL_TEMP": str(temporary),
            "CUSTOM_CA_PASSPHRASE": self.passphrase,
            "TMPDIR": str(temporary),
        }


@contextmanager
def staged(folder: Path, passphrase: str) -> Iterator[Stage]:
    folder.mkdir(parents=True, exist_ok=True)
    context = _tls(folder)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(serving(_server(fresh(name)), context)) for name in CLUSTERS}
        trap = stack.enter_context(serving(_server(Memory()), context))
        stage = Stage(folder, servers, trap, passphrase)
        (folder / "kubeconfig").write_text(
            yaml.safe_dump(_kubeconfig(servers, folder / "api-ca.crt")), encoding="utf-8"
        )
        yield stage


def _server(memory: Memory) -> ApiServer:
    return ApiServer(secrets.token_urlsafe(32), memory)


def _tls(folder: Path) -> ssl.SSLContext:
    """A certificate for all of these API servers."""
    now = datetime.now(UTC)
    key, root = new_root(common_name="api", key_type="P-256", validity=_DAY, now=now)
    leaf = issue_leaf(
        root_certificate=parse_certificates(root)[0],
        root_key=key,
        role="server",
        sans=["localhost"],
        common_name="api",
        key_type="P-256",
        validity=_DAY,
        now=now,
    )
    (folder / "api-ca.crt").write_text(root, encoding="utf-8")
    pair = folder / "api.pem"
    pair.write_text(leaf.certificate_pem + leaf.key_pem.decode(), encoding="utf-8")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    pair.unlink()
    return context


def _kubeconfig(servers: Mapping[str, ApiServer], authority: Path) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": server.url, "certificate-authority": str(authority)}}
            for name, server in servers.items()
        ],
        "users": [{"name": name, "user": {"token": server.token}} for name, server in servers.items()],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in servers],
        "current-context": CLUSTERS[0],
    }
