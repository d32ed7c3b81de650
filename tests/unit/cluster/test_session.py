# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection of a command in a pod: by TLS it goes by what requests go by, and through a proxy as they do."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import RefusedError
from tests.attacks.server import END, Wire, api_at, message, serving
from tests.unit.cluster.test_api import api_of
from tests.unit.pki.support import make_leaf, make_root

NOW = datetime.now(UTC)
ROOT = make_root(now=NOW)
NAME = "mysql.server.example.com"
POD = ("istio-system", "pod-0", "istio-proxy", ["true"])


def answer(wire: Wire, request: bytes) -> None:
    wire.upgrade(request)
    wire.send(message(1, b"done") + END)


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    leaf = make_leaf(ROOT, now=NOW)
    (tmp_path / "server.pem").write_text(leaf.key_pem.decode() + leaf.certificate_pem)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(tmp_path / "server.pem")
    return found


@pytest.mark.parametrize(("name", "trusted"), [(NAME, True), ("other.example.com", True), (NAME, False)])
def test_the_server_has_the_certificate_that_is_asked_for(
    tmp_path: Path, context: ssl.SSLContext, name: str, *, trusted: bool
) -> None:
    (tmp_path / "ca.crt").write_text((ROOT if trusted else make_root(now=NOW)).view.pem)
    settings = {"certificate-authority": str(tmp_path / "ca.crt"), "tls-server-name": name}
    with serving(answer, context) as server:
        api = api_at(tmp_path, server, settings)
        if name == NAME and trusted:
            assert api.execute(*POD, timeout=10).output == "done"
            return
        with pytest.raises(RefusedError, match="certificate"):
            api.execute(*POD, timeout=10)
        assert server.requests == []


def test_through_a_proxy_it_goes_by_a_tunnel(tmp_path: Path) -> None:
    def tunnel(wire: Wire, request: bytes) -> None:
        if request.startswith(b"CONNECT 127.0.0.2:8080 "):
            wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            answer(wire, request)

    with serving(tunnel) as server:
        kubeconfig = tmp_path / f"kubeconfig-{server.port}"
        api_at(tmp_path, server)
        content = yaml.safe_load(kubeconfig.read_text())
        proxy = f"http://127.0.0.1:{server.port}"
        content["clusters"][0]["cluster"] = {"server": "http://127.0.0.2:8080", "proxy-url": proxy}
        kubeconfig.write_text(yaml.safe_dump(content))
        assert api_of(str(kubeconfig)).execute(*POD, timeout=10).output == "done"
        assert server.requests[1].startswith(b"GET /api/v1/namespaces/istio-system/pods/pod-0/exec?")


def test_a_server_that_is_down_is_no_traceback(tmp_path: Path) -> None:
    with serving(answer) as server:
        api = api_at(tmp_path, server)
    with pytest.raises(RefusedError, match="Connection refused"):
        api.execute(*POD, timeout=10)
