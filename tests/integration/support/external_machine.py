# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine in no cluster: nginx before a MariaDB, and for requests, that asks for a client's certificate."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from tests.integration.support.lab_mesh import Mesh
from tests.lab.wait import eventually
from tests.lab.workloads import database_folders

MACHINE = "legacy-db"
DATABASE_PORT, WEB_PORT = 13306, 13443

_TLS = (
    "ssl_certificate {certificates}/tls.crt; ssl_certificate_key {certificates}/tls.key; "
    "ssl_client_certificate {clients}; ssl_verify_client on;"
)
# nginx's stream module ends TLS before the database: MySQL's own TLS begins inside of its protocol.
_NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
user root;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
stream {{
  server {{
    listen {database} ssl;
    {tls}
    proxy_pass 127.0.0.1:3306;
  }}
}}
http {{
  access_log off;
  server {{
    listen {web} ssl;
    {tls}
    location / {{ return 200 "$host $ssl_client_s_dn\\n"; }}
  }}
}}
"""


class Machine:
    """nginx and MariaDB on the machine, while the block lasts."""

    def __init__(self, mesh: Mesh, folder: Path) -> None:
        self._mesh = mesh
        self._folder = folder
        self._nginx: subprocess.Popen[bytes] | None = None

    def load(self, certificates: Path, clients: Path) -> None:
        """Start nginx with a certificate, or let it load another one.

        :param certificates: a directory with tls.crt and tls.key.
        :param clients: the roots of clients, in PEM.
        """
        config = self._folder / "nginx.conf"
        text = _NGINX.format(
            folder=self._folder,
            tls=_TLS.format(certificates=certificates, clients=clients),
            database=DATABASE_PORT,
            web=WEB_PORT,
        )
        config.write_text(text, encoding="utf-8")
        if self._nginx is None:
            argv = ["nginx", "-p", str(self._folder), "-c", str(config), "-e", f"{self._folder}/error.log"]
            self._nginx = self._mesh.lab.popen_on(MACHINE, argv)
            eventually(lambda: _listens(self._mesh, WEB_PORT))
        else:
            self._nginx.send_signal(signal.SIGHUP)

    def end(self) -> None:
        if self._nginx is not None:
            self._nginx.send_signal(signal.SIGTERM)
            self._nginx.communicate(timeout=30)


@contextmanager
def running_machine(mesh: Mesh, folder: Path) -> Iterator[Machine]:
    found = Machine(mesh, folder)
    with _database(mesh, folder / "mariadb"):
        try:
            yield found
        finally:
            found.end()


@contextmanager
def _database(mesh: Mesh, data: Path) -> Iterator[None]:
    """The same user and database as the lab's own have."""
    data.mkdir()
    # Its server takes another user, who has to come this far.
    for folder in (data, *takewhile(lambda parent: "pytest-of-" in str(parent), data.parents)):
        folder.chmod(folder.stat().st_mode | 0o711)
    shutil.chown(data, "mysql")
    folders = database_folders(data)
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", "--user=mysql", *folders, "--skip-test-db"],
        check=True,
        capture_output=True,
    )
    init = data / "init.sql"
    init.write_text(
        "CREATE DATABASE demo;\nCREATE USER 'demo'@'%' IDENTIFIED BY 'demo';\nGRANT ALL ON demo.* TO 'demo'@'%';\n",
        encoding="utf-8",
    )
    os.chmod(init, 0o644)
    argv = ["mariadbd", "--no-defaults", "--user=mysql", *folders, f"--socket={data}/socket"]
    argv += [f"--pid-file={data}/pid", f"--init-file={init}", "--port=3306", "--bind-address=127.0.0.1"]
    process = mesh.lab.popen_on(MACHINE, [*argv, "--skip-name-resolve", "--innodb-buffer-pool-size=32M"])
    try:
        eventually(lambda: _listens(mesh, 3306), within=120)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def _listens(mesh: Mesh, port: int) -> bool:
    return mesh.lab.run_on(MACHINE, ["socat", "-u", "OPEN:/dev/null", f"TCP:127.0.0.1:{port}"]).returncode == 0
