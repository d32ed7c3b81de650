# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cluster is reached: what an inventory asks for, and nothing that happens to be in the environment."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import connection as module
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import kubeconfig as kubeconfig_module
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import (
    Connection,
    connection_of,
    connection_to_host,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.kubeconfig import configuration, context_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.writer import without_overrides, writer_options
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, failure
from tests.unit.support import Json, refused

TOKEN = "a-secret-token"
# What a shell, AWX or a pod may have set, and what nobody has asked for.
STRANGE = {
    "K8S_AUTH_HOST": "https://elsewhere.example",
    "K8S_AUTH_API_KEY": TOKEN,
    "K8S_AUTH_CONTEXT": "elsewhere",
    "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
}


def kubeconfig(path: Path, user: Json | None = None, current: str | None = "b", authority: str = "") -> Path:
    """A file with two contexts."""
    cluster = {"certificate-authority": authority} if authority else {}
    content: Json = {
        "current-context": current,
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example", **cluster}} for name in "ab"],
        "users": [{"name": "u", "user": {"token": TOKEN} if user is None else user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "u"}} for name in "ab"],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return path


def told(error: CrossmeshError) -> str:
    """All that a user may get to see of an error, with the most verbose output."""
    return "".join(map(str, (failure(error), *traceback.format_exception(error))))


def host_of(connection: Connection) -> str:
    return str(configuration(connection).host)


# -- kubeconfig files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environ", [{}, STRANGE, {**STRANGE, "KUBECONFIG": "/elsewhere"}])
def test_a_kubeconfig_that_is_named_is_the_only_one(tmp_path: Path, environ: Mapping[str, str]) -> None:
    path = kubeconfig(tmp_path / "config")
    found = connection_of(str(path), "a", environ, tmp_path)
    assert (found.where, found.files, context_of(found)) == (f"context a of {path}", (str(path),), "a")
    assert host_of(found) == "https://a.example"


def test_without_any_it_is_kubectls_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, home = kubeconfig(tmp_path / "named"), kubeconfig(tmp_path / ".kube/config")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert connection_of("", "", {"KUBECONFIG": str(named)}, tmp_path).files == (str(named),)
    assert connection_of("", "", STRANGE, tmp_path).files == (str(home),)


@pytest.mark.parametrize("given", ["sub/config", "./sub/../sub/config", "~/sub/config", "$FOLDER/sub/config"])
def test_a_path_is_made_absolute_once_and_so_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    path = kubeconfig(tmp_path / "sub/config")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FOLDER", str(tmp_path))
    found = connection_of(given, "", {}, tmp_path)
    assert found.files == (str(path),)
    assert found.where == f"the current context of {path}"


def test_of_several_those_that_are_missing_are_left_out_and_empty_ones_are_none(tmp_path: Path) -> None:
    first, second = kubeconfig(tmp_path / "first", current=None), kubeconfig(tmp_path / "second", current="a")
    found = connection_of(f"{first}:{tmp_path}/none:{second}:", "", {}, tmp_path)
    assert found.files == (str(first), str(second))
    assert context_of(found) == "a"
    with refused("kubeconfig") as failure:
        connection_of(f"{tmp_path}/none:none", "", {}, tmp_path)
    assert failure.value.message.where.endswith(f"of {tmp_path}/none:{tmp_path}/none")


def test_the_first_file_decides_about_the_current_context(tmp_path: Path) -> None:
    first, second = kubeconfig(tmp_path / "first", current="b"), kubeconfig(tmp_path / "second", current="a")
    found = connection_of(f"{first}:{second}", "", {}, tmp_path)
    assert context_of(found) == "b"
    assert host_of(found) == "https://b.example"


def test_certificates_lie_beside_the_kubeconfig_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/ca.crt").write_text("PEM")
    path = kubeconfig(tmp_path / "sub/config", authority="ca.crt")
    assert configuration(connection_of(str(path), "", {}, tmp_path)).ssl_ca_cert == str(tmp_path / "sub/ca.crt")


@pytest.mark.parametrize("key", ["token", "tokenFile"])
@pytest.mark.parametrize("token", ["SECRET\n", "SEC RET", "SECR\u00c9T"])
def test_a_token_of_a_kubeconfig_that_no_header_can_hold_is_refused_without_a_word_of_it(
    tmp_path: Path, token: str, key: str
) -> None:
    (tmp_path / "token").write_text(token)
    path = kubeconfig(tmp_path / "config", {key: token if key == "token" else str(tmp_path / "token")})
    with refused("connection") as caught:
        configuration(connection_of(str(path), "", {}, tmp_path))
    assert "the token of this context's user" in caught.value.message.what
    assert "SEC" not in told(caught.value)


def test_a_user_who_is_to_act_as_another_one_is_refused(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", {"token": TOKEN, "as": "system:admin"})
    with refused("connection") as failure:
        configuration(connection_of(str(path), "", {}, tmp_path))
    assert "(as)" in failure.value.message.what


# -- credential plugins --------------------------------------------------------------------------------------------


def with_plugin(tmp_path: Path, script: str | None) -> Connection:
    plugin = tmp_path / "login"
    if script is not None:
        plugin.write_text(f"#!/bin/sh\n{script}\n")
        plugin.chmod(0o755)
    user: Json = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}
    return connection_of(str(kubeconfig(tmp_path / "config", user)), "", {}, tmp_path)


def credential(**status: str) -> str:
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return f"echo '{json.dumps(answer)}'"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (None, "is not installed"),
        (f"echo {TOKEN}; echo {TOKEN} >&2; exit 3", "failed"),
        (f"echo {TOKEN}", "failed"),
        (credential(), "gave no token and no certificate"),
        (credential(clientCertificateData="PEM"), "gave no token and no certificate"),
    ],
    ids=["missing", "fails", "no JSON", "nothing", "a certificate without its key"],
)
def test_a_plugin_without_a_credential_is_an_error_that_holds_nothing_of_its_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], script: str | None, words: str
) -> None:
    with refused("credential-plugin") as failure:
        configuration(with_plugin(tmp_path, script))
    assert failure.value.message.what == f"the exec plugin {tmp_path}/login {words}"
    assert TOKEN not in str(failure.value) + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (None, "add it to the image of the execution environment"),
        ("exit 1", "log in as it asks"),
        (credential(token=TOKEN, expirationTimestamp="2026-01-02T03:04:05Z"), "log in again"),
    ],
    ids=["missing", "fails", "expired"],
)
def test_each_fault_of_a_plugin_has_a_fix_of_its_own(tmp_path: Path, script: str | None, words: str) -> None:
    with refused("credential-plugin") as caught:
        configuration(with_plugin(tmp_path, script))
    assert words in caught.value.message.fix


def test_a_credential_that_a_plugin_has_kept_for_too_long_is_told_with_its_end(tmp_path: Path) -> None:
    """The API server would answer 401, and the operator look for a missing permission."""
    with refused("credential-plugin") as caught:
        configuration(with_plugin(tmp_path, credential(token=TOKEN, expirationTimestamp="2026-01-02T03:04:05Z")))
    assert caught.value.message.what.endswith("login gave a credential that expired at 2026-01-02T03:04:05Z")
    assert TOKEN not in told(caught.value)


def test_a_credential_without_an_end_is_used(tmp_path: Path) -> None:
    """The year 1 is what a plugin that is written in Go prints where it has no time."""
    found = configuration(with_plugin(tmp_path, credential(token=TOKEN, expirationTimestamp="0001-01-01T00:00:00Z")))
    assert found.get_api_key_with_prefix("BearerToken") == f"Bearer {TOKEN}"


@pytest.mark.parametrize("until", ["2999-01-02T03:04:05Z", "soon", "2026-01-02T03:04:05", ""])
def test_a_credential_without_an_end_or_before_it_is_used(tmp_path: Path, until: str) -> None:
    found = configuration(with_plugin(tmp_path, credential(token=TOKEN, expirationTimestamp=until)))
    assert found.get_api_key_with_prefix("BearerToken") == f"Bearer {TOKEN}"


def test_a_plugin_that_may_not_be_run_is_told(tmp_path: Path) -> None:
    connection = with_plugin(tmp_path, credential(token=TOKEN))
    (tmp_path / "login").chmod(0o644)
    with refused("credential-plugin") as caught:
        configuration(connection)
    assert caught.value.message.what.endswith("login may not be run")
    assert "executable" in caught.value.message.fix


def test_a_plugins_token_is_used(tmp_path: Path) -> None:
    found = configuration(with_plugin(tmp_path, credential(token=TOKEN)))
    assert found.get_api_key_with_prefix("BearerToken") == f"Bearer {TOKEN}"


def test_a_plugins_certificate_is_used_and_not_kept_in_the_kubeconfig(tmp_path: Path) -> None:
    connection = with_plugin(tmp_path, credential(clientCertificateData="PEM", clientKeyData="KEY"))
    before = (tmp_path / "config").read_text()
    found = configuration(connection)
    assert [Path(path or "").read_text() for path in (found.cert_file, found.key_file)] == ["PEM", "KEY"]
    assert (tmp_path / "config").read_text() == before


def test_an_auth_provider_without_a_token_is_an_error(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", {"auth-provider": {"name": "azure", "config": {}}})
    with refused("credential-plugin") as failure:
        configuration(connection_of(str(path), "", {}, tmp_path))
    assert failure.value.message.what == "the auth-provider azure gave no token"


# -- the account of a pod ------------------------------------------------------------------------------------------


def test_a_proxy_that_python_cannot_speak_to_is_an_error_of_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was an ImportError, and a warning beside Ansible's output."""
    found = yaml.safe_load(kubeconfig(tmp_path / "config").read_text())
    for cluster in found["clusters"]:
        cluster["cluster"]["proxy-url"] = "socks5://127.0.0.1:1080"
    (tmp_path / "config").write_text(yaml.safe_dump(found))
    connection = connection_of(str(tmp_path / "config"), "", {}, tmp_path)
    monkeypatch.setattr(kubeconfig_module, "find_spec", lambda _name: None)
    with refused("connection") as caught:
        configuration(connection)
    assert "PySocks" in told(caught.value)
    monkeypatch.setattr(kubeconfig_module, "find_spec", lambda _name: object())
    assert configuration(connection).proxy == "socks5://127.0.0.1:1080"


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text(TOKEN)
    (folder / "ca.crt").write_text("PEM")
    monkeypatch.setattr(module, "ACCOUNT", folder)
    return folder


@pytest.mark.parametrize(("host", "server"), [("10.0.0.1", "10.0.0.1"), ("fd00::1", "[fd00::1]")])
def test_the_account_of_a_pod_is_used_where_it_is_asked_for(account: Path, host: str, server: str) -> None:
    found = connection_of("in-cluster", "", {**STRANGE, "KUBERNETES_SERVICE_HOST": host}, account)
    settings = configuration(found)
    assert settings.host == f"https://{server}:443"
    assert settings.ssl_ca_cert == str(account / "ca.crt")
    assert settings.get_api_key_with_prefix("BearerToken") == f"Bearer {TOKEN}"
    # The path of the token, which is no secret.
    with writer_options(found) as options:
        handed = options["kubeconfig"]
        assert isinstance(handed, dict)
        assert TOKEN not in json.dumps(handed)
        assert handed["users"][0]["user"] == {"tokenFile": str(account / "token")}


def test_the_token_of_a_pods_account_is_read_again_for_each_request(account: Path) -> None:
    """The kubelet replaces it while a long task runs."""
    settings = configuration(connection_of("in-cluster", "", STRANGE, account))
    assert settings.get_api_key_with_prefix("BearerToken") == f"Bearer {TOKEN}"
    (account / "token").write_text("renewed")
    assert settings.get_api_key_with_prefix("BearerToken") == "Bearer renewed"


def test_a_token_is_read_again_where_older_packages_keep_it(account: Path) -> None:
    """Before kubernetes 36 it stands under the name of its header."""
    settings = configuration(connection_of("in-cluster", "", STRANGE, account))
    settings.api_key = {"authorization": settings.api_key["BearerToken"]}
    (account / "token").write_text("renewed")
    assert settings.get_api_key_with_prefix("authorization") == "Bearer renewed"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two words", b"\xff\xfe"])
def test_a_token_that_is_gone_meanwhile_is_told_without_what_stands_there(account: Path, content: bytes | None) -> None:
    path = account / "token"
    settings = configuration(connection_of("in-cluster", "", STRANGE, account))
    path.unlink() if content is None else path.write_bytes(content)
    with refused("kubeconfig") as failure:
        settings.get_api_key_with_prefix("BearerToken")
    assert str(path) in str(failure.value)
    assert "two words" not in str(failure.value)
    path.write_text(TOKEN)
    assert settings.get_api_key_with_prefix("BearerToken") == f"Bearer {TOKEN}"


def test_where_nothing_was_asked_for_what_there_is_instead_is_named_and_not_used(
    account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(account))
    pod = {name: value for name, value in STRANGE.items() if name.startswith("KUBERNETES")}
    offered = {"environment": STRANGE, "in-cluster": pod, "": {}}
    for kind, environ in offered.items():
        with refused("kubeconfig") as caught:
            connection_of("", "", environ, account)
        assert f"mesh_kubeconfig: {kind} takes" in caught.value.message.fix or not kind
    assert "takes" not in caught.value.message.fix
    with refused("kubeconfig") as caught:
        connection_of("none", "", STRANGE, account)
    assert "takes" not in caught.value.message.fix


def test_where_there_is_no_pod_there_is_no_account(tmp_path: Path) -> None:
    with refused("connection"):
        connection_of("in-cluster", "", {}, tmp_path)


# -- the environment -----------------------------------------------------------------------------------------------


def of_environment(folder: Path, context: str = "", **variables: str) -> Connection:
    environ = {f"K8S_AUTH_{name}": value for name, value in variables.items()}
    return connection_of("environment", context, environ, folder)


def test_what_awx_sets_is_followed_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("PEM")
    given = {"HOST": "https://b.example/", "API_KEY": TOKEN, "SSL_CA_CERT": f"{tmp_path}/ca.crt", "VERIFY_SSL": "True"}
    found = of_environment(tmp_path, **given)
    settings = configuration(found)
    assert (settings.host, settings.ssl_ca_cert, settings.verify_ssl) == (
        "https://b.example",
        f"{tmp_path}/ca.crt",
        True,
    )
    assert settings.get_api_key_with_prefix("BearerToken") == f"Bearer {TOKEN}"
    assert TOKEN not in repr(found)


def test_files_of_the_environment_are_one_file_for_reads_and_writes(tmp_path: Path) -> None:
    names = {"SSL_CA_CERT": "ca.crt", "CERT_FILE": "tls.crt", "KEY_FILE": "$NAME_OF_KEY"}
    for name in ("ca.crt", "tls.crt", "tls.key"):
        (tmp_path / name).write_text("PEM")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAME_OF_KEY", "tls.key")
        found = of_environment(tmp_path, HOST=URL, **names).document
    assert found["clusters"][0]["cluster"]["certificate-authority"] == str(tmp_path / "ca.crt")
    assert found["users"][0]["user"] == {
        "client-certificate": str(tmp_path / "tls.crt"),
        "client-key": str(tmp_path / "tls.key"),
    }
    (tmp_path / "tls.crt").unlink()
    with refused("connection") as caught:
        of_environment(tmp_path, HOST=URL, **{**names, "KEY_FILE": "tls.key"})
    assert caught.value.message.what == f"K8S_AUTH_CERT_FILE is {tmp_path}/tls.crt, and there is no such file"


@pytest.mark.parametrize("name", ["VERIFY_SSL", "VALIDATE_CERTS"])
@pytest.mark.parametrize("value", ["False", "no", "0"])
def test_a_server_that_nobody_verifies_gets_no_token(tmp_path: Path, name: str, value: str) -> None:
    """In the words of kubernetes.core; AWX's credential says so where a box was left empty."""
    with refused("unverified-server") as caught:
        of_environment(tmp_path, HOST="https://b.example", API_KEY=TOKEN, **{name: value})
    assert caught.value.message.what.startswith(f"K8S_AUTH_{name} is false")
    assert "tick Verify SSL" in str(caught.value.message.fix)
    assert TOKEN not in told(caught.value)
    found = of_environment(tmp_path, HOST="https://b.example", API_KEY=TOKEN, **{name: "true"})
    assert configuration(found).verify_ssl is True


def test_a_kubeconfig_of_the_environment(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config")
    found = of_environment(tmp_path, KUBECONFIG=str(path), CONTEXT="a")
    assert (found.files, context_of(found)) == ((str(path),), "a")
    assert context_of(of_environment(tmp_path, "b", KUBECONFIG=str(path), CONTEXT="a")) == "b"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "neither K8S_AUTH_HOST nor K8S_AUTH_KUBECONFIG is set"),
        ({"HOST": "https://b.example"}, "no credential"),
        ({"HOST": "https://b.example", "API_KEY": TOKEN, "CONTEXT": "a"}, "a kubeconfig or context as well"),
        ({"KUBECONFIG": "config", "IMPERSONATE_USER": "x"}, "K8S_AUTH_IMPERSONATE_USER cannot be followed"),
        ({"HOST": "http://b.example", "API_KEY": TOKEN}, "no https:// address"),
        ({"HOST": "b.example:6443", "API_KEY": TOKEN}, "no https:// address"),
    ],
)
def test_an_environment_that_cannot_be_followed_everywhere_is_refused(
    tmp_path: Path, given: dict[str, str], words: str
) -> None:
    with refused("connection") as failure:
        of_environment(tmp_path, **given)
    assert words in failure.value.message.what
    assert TOKEN not in str(failure.value)


@pytest.mark.parametrize("kind", ["in-cluster", "environment"])
def test_a_context_has_no_meaning_where_there_are_none(account: Path, kind: str) -> None:
    with refused("connection") as failure:
        connection_of(kind, "cluster-a", STRANGE if kind == "in-cluster" else dict([*STRANGE.items()][:2]), account)
    assert "mesh_context is cluster-a" in failure.value.message.what


# -- an address in the inventory -----------------------------------------------------------------------------------

URL = "https://b.example"


def test_an_address_a_token_and_a_ca_of_the_inventory(tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text("PEM")
    found = connection_to_host(f"{URL}/", TOKEN, str(authority), tmp_path)
    settings = configuration(found)
    assert (settings.host, settings.ssl_ca_cert, settings.verify_ssl) == (URL, str(authority), True)
    assert settings.get_api_key_with_prefix("BearerToken") == f"Bearer {TOKEN}"
    assert TOKEN not in repr(found)
    assert TOKEN not in found.where


@pytest.mark.parametrize("given", ["sub/ca.crt", "~/sub/ca.crt", "$FOLDER/sub/ca.crt"])
def test_the_file_of_a_ca_is_made_absolute_as_a_kubeconfig_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/ca.crt").write_text("PEM")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FOLDER", str(tmp_path))
    (cluster,) = connection_to_host(URL, TOKEN, given, tmp_path).document["clusters"]
    assert cluster["cluster"]["certificate-authority"] == f"{tmp_path}/sub/ca.crt"


PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("before", ["", "\n", "# the CA of cluster-b\n", "subject=CN = ca\n\n"])
def test_a_ca_can_be_given_in_pem_with_words_before_it(tmp_path: Path, before: str) -> None:
    found = configuration(connection_to_host(URL, TOKEN, before + PEM, tmp_path))
    assert Path(str(found.ssl_ca_cert)).read_text() == before + PEM


def test_what_is_wrong_with_a_ca_is_told_of_its_variable(tmp_path: Path) -> None:
    with refused("connection") as caught:
        connection_to_host(URL, TOKEN, "none.crt", tmp_path)
    assert caught.value.message.what == f"mesh_api_ca_cert is {tmp_path}/none.crt, and there is no such file"
    key = f"-----BEGIN {'PRIVATE'} KEY-----\nSECRET\n"
    with refused("connection") as caught:
        connection_to_host(URL, TOKEN, key, tmp_path)
    assert "holds no certificate" in caught.value.message.what
    assert "SECRET" not in told(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((URL, "", ""), "no mesh_api_key"),
        ((URL, " \n", ""), "no mesh_api_key"),
        (("http://b.example", TOKEN, ""), "no https:// address"),
        ((URL, TOKEN, "", "/srv/kubeconfig", ""), "mesh_kubeconfig or mesh_context is set as well"),
        ((URL, TOKEN, "", "", "cluster-b"), "mesh_kubeconfig or mesh_context is set as well"),
    ],
)
def test_an_address_that_cannot_be_followed_is_refused(tmp_path: Path, given: tuple[str, ...], words: str) -> None:
    host, token, authority, *others = given
    with refused("connection") as caught:
        connection_to_host(host, token, authority, tmp_path, *others)
    assert words in caught.value.message.what
    assert TOKEN not in str(caught.value)


WAYS: dict[str, Callable[[str, str, Path], Connection]] = {
    "mesh_api": lambda host, token, folder: connection_to_host(host, token, "", folder),
    "K8S_AUTH": lambda host, token, folder: of_environment(folder, HOST=host, API_KEY=token),
}
EACH_WAY = pytest.mark.parametrize("way", WAYS)


@EACH_WAY
def test_white_space_around_a_token_is_none_of_it(tmp_path: Path, way: str) -> None:
    found = configuration(WAYS[way](URL, f" {TOKEN}\n", tmp_path))
    assert found.get_api_key_with_prefix("BearerToken") == f"Bearer {TOKEN}"


@EACH_WAY
@pytest.mark.parametrize("token", ["SEC RET", "SEC\nRET", "SECR\u00c9T", "SEC\x00RET"])
def test_what_is_no_token_is_refused_without_a_word_of_it(tmp_path: Path, way: str, token: str) -> None:
    with refused("connection") as caught:
        WAYS[way](URL, token, tmp_path)
    assert f"{way}_" in caught.value.message.what
    assert "SEC" not in told(caught.value)


@EACH_WAY
@pytest.mark.parametrize(
    "host",
    [
        "https://user:SECRET@b.example",
        "user:SECRET@b.example",
        "https://b.example?token=SECRET",
        "https://b.example/#SECRET",
    ],
)
def test_an_address_that_holds_more_than_an_address_is_refused_without_a_word_of_it(
    tmp_path: Path, way: str, host: str
) -> None:
    with refused("connection") as caught:
        WAYS[way](host, TOKEN, tmp_path)
    assert "a user, a query or a fragment" in caught.value.message.what
    assert "SECRET" not in told(caught.value)


def test_what_is_searched_for_secrets_holds_what_an_error_quotes() -> None:
    with refused("connection") as caught:
        raise module.refuse("somewhere", "x", "x") from ValueError("Invalid header value b'Bearer SECRET'")
    assert "SECRET" in told(caught.value)
    assert "SECRET" in told(module.refuse("somewhere", "it is SECRET", "x"))


# -- what kubernetes.core gets -------------------------------------------------------------------------------------


def test_a_token_is_handed_on_by_a_file_in_memory_that_ends_with_the_call(tmp_path: Path) -> None:
    connection = of_environment(tmp_path, HOST="https://b.example", API_KEY=TOKEN)
    with writer_options(connection) as options:
        path = options["kubeconfig"]
        assert isinstance(path, str)
        assert path.startswith(f"/proc/{os.getpid()}/fd/")
        assert os.readlink(path) == "/memfd:kubeconfig (deleted)"
        # Each who opens it reads it from its beginning.
        for _time in range(2):
            assert host_of(connection_of(path, "", {}, tmp_path)) == "https://b.example"
    assert not os.path.exists(path)


def test_a_system_without_such_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    connection = of_environment(tmp_path, HOST="https://b.example", API_KEY=TOKEN)
    with refused("connection"), writer_options(connection):
        pass


def test_what_could_override_a_connection_is_out_of_the_environment_for_a_while() -> None:
    environ = {**STRANGE, "KUBECONFIG": "/elsewhere", "K8S_AUTH_NO_PROXY": "*", "HTTPS_PROXY": "http://proxy"}
    before = dict(environ)
    with without_overrides(environ, Connection("somewhere")):
        assert set(environ) == {"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "HTTPS_PROXY"}
    assert environ == before


# -- proxies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("", False),
        ("a.example , b.example", True),
        ("b.example:6443", True),
        ("b.example:443", False),
        (".example", True),
        ("x.example", False),
    ],
)
def test_a_proxy_is_used_or_not_by_everything_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_proxy: str, direct: bool
) -> None:
    """The package's client and its websocket read NO_PROXY in two ways; here both get one answer."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    found = configuration(of_environment(tmp_path, HOST="https://b.example:6443", API_KEY=TOKEN))
    assert found.proxy == "http://127.0.0.1:3128"
    assert proxied_requests(found) is not direct
    assert proxied_exec(found, "b.example") is not direct


def proxied_requests(found: Any) -> bool:
    from kubernetes.client.rest import RESTClientObject

    return RESTClientObject(found).pool_manager.proxy is not None


def proxied_exec(found: Any, host: str) -> bool:
    from kubernetes.stream.ws_client import websocket_proxycare
    from websocket._url import get_proxy_info

    given = websocket_proxycare({}, found, "", {})
    names = {"http_proxy_host": "proxy_host", "http_proxy_port": "proxy_port", "http_no_proxy": "no_proxy"}
    chosen = get_proxy_info(host, True, **{names[key]: value for key, value in given.items()})
    return chosen[0] is not None
