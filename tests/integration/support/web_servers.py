# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of requests in the database's pod, and a client in the clients': HTTP/1.1, HTTP/2 and what gRPC makes of it.

nginx bears the load, speaks HTTP/2 without TLS, and sends a gRPC status as a trailer; behind it Python's own server is
slow and fails on demand.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.support.lab_mesh import Mesh
from tests.lab import LabError
from tests.lab.wait import eventually

POD_WEB_SERVER = Path(__file__).with_name("pod_web_server.py")
_HTTP, _HTTP2, _GRPC, _ON_DEMAND = 8080, 8081, 8082, 8083
BACKEND = "web.default.svc.cluster.local"

_NGINX = """
user root;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  server {{
    listen {http};
    location / {{ return 200 "$http_host $server_protocol\\n"; }}
    location ~ ^/(slow|fails|tried)$ {{ proxy_pass http://127.0.0.1:{on_demand}; }}
  }}
  server {{
    listen {http2} http2;
    location / {{ return 200 "$host $server_protocol\\n"; }}
  }}
  server {{
    listen {grpc} http2;
    location / {{
      default_type application/grpc;
      add_trailer grpc-status 5;
      return 200 "";
    }}
    # A file is no answer to POST, and so becomes the page of that error.
    location = /grpc.health.v1.Health/Check {{
      default_type application/grpc;
      add_trailer grpc-status 0;
      alias {folder}/serving;
      error_page 405 =200 $uri;
    }}
  }}
}}
"""
# grpc.health.v1.HealthCheckResponse of status SERVING, with the length that gRPC puts in front.
_SERVING = b"\0\0\0\0\2\x08\1"


def web_link(name: str, protocol: str, tls_port: int, port: int = 80, **changes: Any) -> dict[str, Any]:
    ports = {"http": _HTTP, "http2": _HTTP2, "grpc": _GRPC}
    return {
        "name": name,
        "fqdn": f"{name}.server.example.com",
        "port": port,
        "tls_port": tls_port,
        "protocol": protocol,
        "backend": {"host": BACKEND, "port": ports[protocol]},
        **changes,
    }


@contextmanager
def running_web_servers(mesh: Mesh, folder: Path, cluster: str = "cluster-b", pod: str = "mysql-0") -> Iterator[None]:
    """Both servers and their Service, for the length of the block."""
    config = folder / "nginx.conf"
    ports = {"http": _HTTP, "http2": _HTTP2, "grpc": _GRPC, "on_demand": _ON_DEMAND}
    config.write_text(_NGINX.format(folder=folder, **ports), encoding="utf-8")
    (folder / "serving").write_bytes(_SERVING)
    lab = mesh.lab
    service = _service(lab.pod(cluster, pod).app)
    lab.kubectl(cluster, "apply", "--server-side", "-f", "-", stdin=service)
    processes = [
        lab.popen(cluster, pod, ["nginx", "-p", str(folder), "-c", str(config), "-e", f"{folder}/error.log"]),
        lab.popen(cluster, pod, [sys.executable, str(POD_WEB_SERVER), str(_ON_DEMAND)]),
    ]
    try:
        eventually(lambda: all(_answers(mesh, cluster, pod, port) for port in ports.values()))
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        lab.kubectl(cluster, "delete", "-f", "-", stdin=service)


def curl(mesh: Mesh, fqdn: str, path: str = "/", *options: str, port: int = 80) -> subprocess.CompletedProcess[str]:
    """One request from the client's pod; what came back, headers and trailers first."""
    argv = ["curl", "--silent", "--max-time", "20", "--dump-header", "-", *options, f"http://{fqdn}:{port}{path}"]
    return mesh.lab.run("cluster-a", "mysql-client", argv)


def failing_requests_seen(mesh: Mesh) -> int:
    """How often the server was asked for what always fails, since it was last asked so."""
    answer = mesh.lab.run("cluster-b", "mysql-0", ["curl", "--silent", f"http://127.0.0.1:{_HTTP}/tried"])
    return int(answer.stdout)


def _answers(mesh: Mesh, cluster: str, pod: str, port: int) -> bool:
    options = ["--http2-prior-knowledge"] if port in (_HTTP2, _GRPC) else []
    try:
        argv = ["curl", "--silent", "--output", "/dev/null", *options, f"http://127.0.0.1:{port}/"]
        return mesh.lab.run(cluster, pod, argv).returncode == 0
    except LabError:
        return False


def _service(app: str) -> str:
    ports = "\n".join(
        f"    - {{name: {name}-web, port: {port}, targetPort: {port}}}"
        for name, port in (("http", _HTTP), ("http2", _HTTP2), ("grpc", _GRPC))
    )
    return (
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\n"
        f"spec:\n  selector: {{app: {app}}}\n  ports:\n{ports}\n"
    )
