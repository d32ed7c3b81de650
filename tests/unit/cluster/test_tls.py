# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a connection are read once, and mean what they meant when each connection read them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import urllib3
from kubernetes.client import Configuration
from kubernetes.client.rest import RESTClientObject

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.tls import with_one_context
from tests.unit.pki.support import make_leaf, make_root

ROOT = make_root()
LEAF = make_leaf(ROOT, role="client")


def settings(folder: Path, **changes: Any) -> Configuration:
    """Those of a context with a CA, a certificate and its key."""
    contents = {"ca": ROOT.view.pem, "certificate": LEAF.certificate_pem, "key": LEAF.key_pem.decode()}
    for name, content in contents.items():
        (folder / name).write_text(content)
    found = Configuration()
    found.host, found.ssl_ca_cert = "https://127.0.0.1:1", str(folder / "ca")
    found.cert_file, found.key_file = str(folder / "certificate"), str(folder / "key")
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def manager(folder: Path, **changes: Any) -> Any:
    return with_one_context(RESTClientObject(settings(folder, **changes)).pool_manager)


def context_of(found: Any) -> ssl.SSLContext:
    context = found.connection_pool_kw["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    return context


def serials(context: ssl.SSLContext) -> set[int]:
    return {int(str(item["serialNumber"]), 16) for item in context.get_ca_certs()}


def test_the_clusters_ca_alone_is_trusted(tmp_path: Path) -> None:
    context = context_of(manager(tmp_path))
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert serials(context) == {int(ROOT.view.serial, 16)}


def hello(context: ssl.SSLContext) -> bytes:
    """The first message of a handshake, which holds the protocols in clear."""
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="cluster-a").do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("one", [True, False])
def test_no_connection_changes_what_another_one_may_be_sending(tmp_path: Path, *, one: bool) -> None:
    """urllib3 sets the protocols for each connection: one ClientHello of 112,214 was seen without them."""
    context = context_of(manager(tmp_path)) if one else ssl.create_default_context()
    context.set_alpn_protocols(["other/1"])
    assert (b"\x08http/1.1" in hello(context)) == one
    assert (b"\x07other/1" in hello(context)) != one


def test_without_one_those_of_the_system_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE is where OpenSSL looks for them."""
    files = settings(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(files.ssl_ca_cert))
    assert int(ROOT.view.serial, 16) in serials(context_of(manager(tmp_path, ssl_ca_cert=None)))


def test_verification_is_left_out_where_the_context_says_so(tmp_path: Path) -> None:
    assert context_of(manager(tmp_path, verify_ssl=False)).verify_mode == ssl.CERT_NONE


def test_no_connection_reads_a_file_again(tmp_path: Path) -> None:
    found = manager(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    assert not found.connection_pool_kw.keys() & {"ca_certs", "cert_file", "key_file"}
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        found.request("GET", "https://127.0.0.1:1/", retries=False)


@pytest.mark.parametrize("name", ["ssl_ca_cert", "cert_file", "key_file"])
@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"])
def test_a_file_that_holds_something_else_is_an_error(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "other").write_text(content)
    with pytest.raises(OSError, match=r"SSL|PEM|X509"):
        manager(tmp_path, **{name: str(tmp_path / "other")})


def test_behind_a_proxy_nothing_is_changed(tmp_path: Path) -> None:
    found = manager(tmp_path, proxy="https://127.0.0.1:2")
    assert found.connection_pool_kw["ca_certs"] == str(tmp_path / "ca")
    assert "ssl_context" not in found.connection_pool_kw
