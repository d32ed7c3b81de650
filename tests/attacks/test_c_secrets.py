# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part C: secrets in messages, temporary files, children's environments and the package. Runs: test_c_runs.py."""

from __future__ import annotations

import base64
import gc
import http.client
import http.server
import json
import multiprocessing
import os
import ssl
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes.config
import pytest
import yaml
from ansible.errors import AnsibleError

from ansible_collections.crossmesh.mtls.plugins.action import custom_ca, mesh_credentials, mesh_manifests
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import memory, writer
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import (
    Connection,
    connection_of,
    connection_to_host,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.environment import SECRETS
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.kubeconfig import configuration
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, failure
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import issue_leaf, new_root, parse_certificates
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Variables
from tests.attacks.server import api_at, serving
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.pki.support import NOW, PASSPHRASE, make_root
from tests.unit.support import CHECKOUT, Json, run_action
from tests.unit.test_report_action import look_at, read, report, store_at

SECRET = "hunter2-hunter2-hunter2"
KEY = f"-----BEGIN {'PRIVATE'} KEY-----\n{base64.b64encode(SECRET.encode()).decode()}\n-----END {'PRIVATE'} KEY-----\n"
ENCODED = base64.b64encode(KEY.encode()).decode()
FORMS = (SECRET, base64.b64encode(SECRET.encode()).decode(), ENCODED[40:70])


def document(user: Any, **cluster: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "b",
        "clusters": [{"name": "b", "cluster": {"server": "https://b.example", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "b", "context": {"cluster": "b", "user": "u"}}],
    }


def kubeconfig(folder: Path, content: Json) -> Connection:
    path = folder / "config"
    path.write_text(yaml.safe_dump(content))
    return connection_of(str(path), "", {}, folder)


def shown(text: str) -> list[str]:
    """The forms of the secret that a text holds."""
    return [form for form in FORMS if form in text]


def told(act: Callable[[], object]) -> str:
    """All that a user may get to see of a failure, with the most verbose output."""
    with pytest.raises(CrossmeshError) as caught:
        act()
    return "".join(map(str, (failure(caught.value), *traceback.format_exception(caught.value))))


def quoted_by_the_package(content: Json) -> str:
    """What the package itself says of it: the control."""
    try:
        kubernetes.config.new_client_from_config_dict(content)
    except Exception as error:
        return "".join(traceback.format_exception(error))
    return ""


# -- C1: arguments of tasks ----------------------------------------------------------------------------------------


def tasks_naming_secrets(text: str) -> list[str]:
    """Lines of a playbook or task file that name a secret's variable."""
    return [line for line in text.splitlines() if any(name in line for name in SECRETS)]


def test_no_task_is_given_a_secret() -> None:
    """C1: the passphrase was an argument of five tasks, which every callback, log and AnsiballZ file shows."""
    files = [*CHECKOUT.glob("roles/*/tasks/*.yml"), *CHECKOUT.glob("playbooks/**/*.yml")]
    assert len(files) > 15
    assert [line for path in files for line in tasks_naming_secrets(path.read_text())] == []
    # The control: as it stood there.
    assert tasks_naming_secrets('    passphrase: "{{ custom_ca_passphrase }}"\n    state: present')


def test_no_action_has_an_option_for_a_secret() -> None:
    """C1, sibling: an option that is there will be used."""
    folder = CHECKOUT / "plugins/modules"
    options = {path.stem: set(documented(path)) for path in folder.glob("*.py")}
    assert "plan" in options["mesh_manifests"]
    named = [f"{name}: {option}" for name, found in options.items() for option in found]
    assert [name for name in named if "pass" in name or "key" in name] == []


def documented(path: Path) -> Json:
    text = path.read_text().partition('DOCUMENTATION = r"""')[2].partition('"""')[0]
    found: Json = yaml.safe_load(text).get("options") or {}
    return found


# -- C2: the API server's answer to a deletion ---------------------------------------------------------------------


@pytest.mark.parametrize("check", [False, True], ids=["run", "check mode"])
@pytest.mark.parametrize("finalizers", [[], ["example.com/hold"]], ids=["free", "held"])
def test_a_secret_that_is_deleted_is_in_no_result(
    monkeypatch: pytest.MonkeyPatch, finalizers: list[str], check: bool
) -> None:
    """C2: while a finalizer holds a Secret, its deletion is answered with it; tls.key was in result and diff."""
    identity = {"name": "bank-credential", "namespace": "istio-system"}
    held = {"finalizers": finalizers, "deletionTimestamp": "2026-11-01T00:00:00Z"} if finalizers else {}
    live = {"kind": "Secret", "metadata": {**identity, **held}, "data": {"tls.key": ENCODED}}
    api, answers = FakeApi([live]), list[Json]()
    monkeypatch.setattr(Variables, "api", lambda _self, **_how: api)
    monkeypatch.setattr(FakeApi, "delete", kept(answers, FakeApi.delete))
    monkeypatch.setattr(mesh_manifests, "action_loader", SimpleNamespace(get=lambda *_a, **_k: pytest.fail("a task")))
    wanted = {"delete": [{"apiVersion": "v1", "kind": "Secret", "metadata": identity}]}
    plan = {"manager": "m", "manifests": json.dumps(wanted), "moved": []}
    here = {"mesh_kubeconfig": str(Path(__file__).parents[1] / "unit/kubeconfig.yml"), "mesh_gate_timeout": 0}
    result = run_action(mesh_manifests, {"plan": plan}, here, check=check)
    assert not shown(json.dumps(result))
    assert result["changed"]
    assert result["diff"][0]["before_header"] == "Secret istio-system/bank-credential"
    # The control: the key was in the answer, and the same search finds it there.
    assert check or shown(json.dumps(answers))


def kept(answers: list[Json], method: Callable[..., Json]) -> Callable[..., Json]:
    def call(*arguments: Any, **options: Any) -> Json:
        answers.append(method(*arguments, **options))
        return answers[-1]

    return call


# -- C3: files of the client library -------------------------------------------------------------------------------


@contextmanager
def temporary_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    found = folder / "tmp"
    found.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(found))
    yield found


def in_a_fork(act: Callable[[], object]) -> None:
    """As Ansible runs a task: the process ends without what a Python that exits would do."""

    def child() -> None:
        act()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == 0


WITH_KEY = document(
    {"client-certificate-data": ENCODED, "client-key-data": ENCODED}, **{"certificate-authority-data": ENCODED}
)


def test_no_key_of_a_kubeconfig_stays_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C3: the user's key stayed there, two to seven files a run, for good."""
    with temporary_folder(tmp_path, monkeypatch) as folder:
        in_a_fork(lambda: configuration(kubeconfig(tmp_path, WITH_KEY)))
        assert list(folder.iterdir()) == []
        in_a_fork(lambda: kubernetes.config.load_kube_config_from_dict(WITH_KEY))
        assert any(SECRET_LINE in path.read_bytes() for path in folder.iterdir()), "the control"


SECRET_LINE = base64.b64encode(SECRET.encode())


def test_it_is_not_there_while_the_connection_is_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C3: a run that is killed leaves what is there at that moment."""
    with temporary_folder(tmp_path, monkeypatch) as folder:
        found = configuration(kubeconfig(tmp_path, WITH_KEY))
        path = Path(str(found.key_file))
        assert path.read_text() == KEY
        assert list(folder.iterdir()) == []
        del found
        gc.collect()
        assert not path.exists()


def test_a_system_without_files_in_memory_removes_it_with_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C3: there it has to be a file, which nobody else may read, and which goes with the connection."""
    monkeypatch.setattr(memory, "has_memory_files", lambda: False)
    with temporary_folder(tmp_path, monkeypatch) as folder:
        found = configuration(kubeconfig(tmp_path, WITH_KEY))
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert SECRET_LINE in Path(str(found.key_file)).read_bytes()
        del found
        gc.collect()
        assert list(folder.iterdir()) == []


def test_a_kubeconfig_that_fails_half_way_leaves_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C3, sibling: the key was unpacked before the fault was met."""
    user = {"client-key-data": ENCODED, "client-certificate": "none.crt"}
    with temporary_folder(tmp_path, monkeypatch) as folder:
        monkeypatch.setattr(memory, "has_memory_files", lambda: False)
        assert "client-certificate is none.crt" in told(lambda: configuration(kubeconfig(tmp_path, user_of(user))))
        assert list(folder.iterdir()) == []


def user_of(user: Json) -> Json:
    return document(user)


def test_kubernetes_core_unpacks_no_key_and_runs_no_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C3, sibling: the writes are another process, which unpacked the key again and ran the plugin a second time."""
    runs = tmp_path / "runs"
    status = {"clientCertificateData": KEY, "clientKeyData": KEY}
    answer = json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status})
    connection = kubeconfig(tmp_path, document(plugin(tmp_path, f"echo run >> {runs}; cat <<'E'\n{answer}\nE")))
    with temporary_folder(tmp_path, monkeypatch) as folder, writer.writer_options(connection) as options:
        assert not shown(json.dumps(options))
        loaded = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(
            options["kubeconfig"], options["context"], loaded, persist_config=options["persist_config"]
        )
        assert Path(str(loaded.key_file)).read_text() == KEY
        assert (list(folder.iterdir()), runs.read_text()) == ([], "run\n")
        # The control: as it was handed over before.
        kubernetes.config.load_kube_config(connection.files[0], client_configuration=loaded)
        assert any(SECRET_LINE in path.read_bytes() for path in folder.iterdir())
        assert runs.read_text() == "run\nrun\n"


V1 = "client.authentication.k8s.io/v1"


def plugin(folder: Path, script: str) -> Json:
    path = folder / "login"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"exec": {"apiVersion": V1, "command": str(path)}}


# -- C4: what libraries quote --------------------------------------------------------------------------------------


def test_a_token_that_ends_in_a_newline_is_not_printed(tmp_path: Path) -> None:
    """C4: http.client quoted the header that it could not send."""
    content = document({"token": f"{SECRET}\n"})
    assert not shown(told(lambda: Api(kubeconfig(tmp_path, content)).get("/version")))
    connection = http.client.HTTPConnection("127.0.0.1")
    connection.putrequest("GET", "/")
    with pytest.raises(ValueError, match="header value") as caught:
        connection.putheader("Authorization", f"Bearer {SECRET}\n")
    assert shown(str(caught.value)), "the control"


def test_a_token_that_is_replaced_by_one_that_cannot_be_sent_is_not_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C4, sibling: past the look at the kubeconfig, a token that was renewed meanwhile reaches the library as it is."""
    with serving(lambda wire, _request: wire.answer(b"{}")) as server:
        api = api_at(tmp_path, server)
        assert api.get("/version") == {}, "the control: the first one is sent"
        renewed = {"BearerToken": f"Bearer {SECRET}\n"}
        monkeypatch.setattr(api._configuration, "refresh_api_key_hook", lambda found: found.api_key.update(renewed))
        assert not shown(told(lambda: api.get("/version")))


MALFORMED: Mapping[str, Json] = {
    "a user's token one level too high": {**document({}), "users": [{"name": "u", "token": SECRET}]},
    "a user that is a text": document(f"token: {SECRET}"),
    "a cluster's server beside its mapping": {
        **document({"token": SECRET}),
        "clusters": [{"name": "b", "server": f"https://u:{SECRET}@b.example"}],
    },
    "a user without a name": {**document({}), "users": [{"user": {"token": SECRET}}]},
    "a key that is no Base64": document({"client-certificate-data": ENCODED, "client-key-data": f"{SECRET}{KEY}é"}),
    "a key in the place of its path": document({"client-certificate-data": ENCODED, "client-key": KEY}),
    "a token in the place of its file": document({"tokenFile": KEY}),
    "an OIDC provider that lacks a key": document(
        {"auth-provider": {"name": "oidc", "config": {"client-secret": SECRET}}}
    ),
    "a password in the server's address": document({"token": "t"}, server=f"https://u:{SECRET}@127.0.0.1:1"),
    "a token in the server's address": document({"token": "t"}, server=f"https://127.0.0.1:1/?token={SECRET}"),
    "a proxy of a kind that there is not": document({"token": "t"}, **{"proxy-url": f"gopher://u:{SECRET}@h:1"}),
    "a proxy that is away": document({"token": "t"}, **{"proxy-url": f"http://u:{SECRET}@127.0.0.1:1"}),
    "a proxy whose port is none": document({"token": "t"}, **{"proxy-url": f"http://u:{SECRET}@h:{SECRET}"}),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_kubeconfig_with_a_slip_is_refused_without_a_word_of_its_secrets(tmp_path: Path, name: str) -> None:
    """C4 and C6, siblings: the package names an entry by all that it holds, and quotes paths and addresses."""
    assert not shown(told(lambda: Api(kubeconfig(tmp_path, MALFORMED[name])).get("/version")))


def test_the_package_quotes_a_whole_entry(tmp_path: Path) -> None:
    """The control of the test above: the same kubeconfig, asked of the package."""
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(MALFORMED["a user's token one level too high"]))
    with pytest.raises(kubernetes.config.ConfigException) as caught:
        kubernetes.config.load_kube_config(str(path))
    assert shown(str(caught.value))


def test_text_that_is_no_yaml_is_named_by_its_line(tmp_path: Path) -> None:
    """C4, sibling: a parser shows the line that it stumbles over."""
    path = tmp_path / "config"
    path.write_text(f"users:\n- name: u\n  user: {{token: '{SECRET}\n")
    found = told(lambda: configuration(connection_of(str(path), "", {}, tmp_path)))
    assert "it is no YAML (line" in found
    assert not shown(found)
    with pytest.raises(yaml.YAMLError) as caught:
        yaml.load(path.read_text(), Loader=yaml.SafeLoader)
    assert shown(str(caught.value)), "the control"


# -- C5: a value in the place of a path ----------------------------------------------------------------------------

WHOLE = document({"token": SECRET, "client-key-data": ENCODED})
PLACES: Mapping[str, Json] = {
    "mesh_kubeconfig, a mapping": {"mesh_kubeconfig": WHOLE},
    "mesh_kubeconfig, YAML": {"mesh_kubeconfig": yaml.safe_dump(WHOLE)},
    "mesh_kubeconfig, JSON in a line": {"mesh_kubeconfig": json.dumps(WHOLE)},
    "mesh_kubeconfig, a key": {"mesh_kubeconfig": KEY},
    "mesh_api_host, the token": {"mesh_api_host": SECRET, "mesh_api_key": "t"},
    "mesh_api_host, with a password": {"mesh_api_host": f"https://u:{SECRET}@b.example", "mesh_api_key": "t"},
    "mesh_api_ca_cert, the key": {"mesh_api_host": "https://b", "mesh_api_key": SECRET, "mesh_api_ca_cert": KEY},
}


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_in_the_place_of_a_path_is_not_printed(place: str) -> None:
    """C5: a kubeconfig in mesh_kubeconfig was printed, keys and token; and its siblings."""
    result = run_action(mesh_credentials, {"look": {}}, {"mesh_cluster_name": "cluster-b", **PLACES[place]})
    assert result["failed"]
    assert not shown(json.dumps(result))
    assert place.partition(",")[0] in result["msg"]
    # The control: a path that is one is told.
    missing = run_action(mesh_credentials, {"look": {}}, {"mesh_kubeconfig": f"/nowhere/{SECRET}"})
    assert shown(json.dumps(missing))


def test_a_root_key_in_the_place_of_its_path_is_not_printed(tmp_path: Path) -> None:
    """C5, sibling: custom_ca_import_key holds the key itself; the operating system's error named it as a file."""
    given = {
        "custom_ca_dir": str(tmp_path / "ca"),
        "custom_ca_passphrase": SECRET,
        "custom_ca_import_certificate": __file__,
    }
    result = run_action(custom_ca, {}, {**given, "custom_ca_import_key": KEY})
    assert result["failed"]
    assert "custom_ca_import_key" in result["msg"]
    assert not shown(json.dumps(result))
    with pytest.raises(OSError, match="PRIVATE") as caught:
        Path(KEY).read_text(encoding="utf-8")
    assert shown(str(caught.value)), "the control"


@pytest.mark.parametrize("name", ["CERT_FILE", "KEY_FILE", "SSL_CA_CERT"])
def test_a_key_in_a_variable_of_the_environment_is_not_printed(tmp_path: Path, name: str) -> None:
    """C5, sibling: AWX hands on files, other tools the PEM itself."""
    given = {"HOST": "https://b.example", "CERT_FILE": __file__, "KEY_FILE": __file__, name: KEY}
    environ = {f"K8S_AUTH_{key}": value for key, value in given.items()}
    found = told(lambda: connection_of("environment", "", environ, tmp_path))
    assert f"K8S_AUTH_{name}" in found
    assert not shown(found)


def test_whoever_answers_in_place_of_the_api_server_gets_no_token_of_the_environment(tmp_path: Path) -> None:
    """AWX's credential says False where a box was left empty; a private key would be written there."""
    environ = {"K8S_AUTH_HOST": "https://b.example", "K8S_AUTH_API_KEY": SECRET, "K8S_AUTH_VERIFY_SSL": "False"}
    found = told(lambda: connection_of("environment", "", environ, tmp_path))
    assert "unverified-server" in found
    assert not shown(found)
    verified = configuration(connection_of("environment", "", {**environ, "K8S_AUTH_VERIFY_SSL": "True"}, tmp_path))
    unverified = configuration(kubeconfig(tmp_path, document({"token": SECRET}, **{"insecure-skip-tls-verify": True})))
    assert (verified.verify_ssl, unverified.verify_ssl) == (True, False), "the control"


@pytest.mark.parametrize("server", ["http://b.example:6443", "b.example:6443", "http://127.0.0.1.example"])
def test_a_server_without_tls_gets_no_credential(tmp_path: Path, server: str) -> None:
    """Of a platform, an inventory, a kubeconfig: who is on the way would read it, and private keys after it."""
    environ = {"K8S_AUTH_HOST": server, "K8S_AUTH_API_KEY": SECRET}
    ways: list[Callable[[], object]] = [
        lambda: connection_of("environment", "", environ, tmp_path),
        lambda: connection_to_host(server, SECRET, "", tmp_path),
        lambda: configuration(kubeconfig(tmp_path, document({"token": SECRET}, server=server))),
        lambda: configuration(kubeconfig(tmp_path, document({"username": "u", "password": SECRET}, server=server))),
    ]
    for found in map(told, ways):
        assert "no https:// address" in found
        assert not shown(found)
    # The control: nobody is on the way to a proxy of the user's own, which may ask for no credential at all.
    for user, address in (({"token": SECRET}, "http://127.0.0.1:8001"), ({}, "http://b.example:8001")):
        assert configuration(kubeconfig(tmp_path, document(user, server=address))).host == address


# -- C6: OIDC and other providers ----------------------------------------------------------------------------------


def oidc(issuer: str, **more: str) -> Json:
    ended = {"alg": "none"}, {"exp": int((datetime.now(UTC) - timedelta(days=1)).timestamp())}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ended]
    config = {
        "client-id": "mesh",
        "client-secret": SECRET,
        "id-token": ".".join([*parts, "signature"]),
        "refresh-token": f"{SECRET}-refresh",
        "idp-issuer-url": issuer,
        **more,
    }
    return document({"auth-provider": {"name": "oidc", "config": config}})


class Issuer(http.server.BaseHTTPRequestHandler):
    """An OIDC issuer that notes what it is sent."""

    heard: list[str]
    status = 200
    answer: Json

    def do_GET(self) -> None:
        self._say(200, {"token_endpoint": f"https://{self.headers['Host']}/token"})

    def do_POST(self) -> None:
        self.heard.append(self.rfile.read(int(self.headers["Content-Length"])).decode() + str(self.headers))
        self._say(self.status, self.answer)

    def _say(self, status: int, content: Json) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        pass


@contextmanager
def issuer(folder: Path, status: int = 200, **answer: str) -> Iterator[tuple[str, str, list[str]]]:
    """Its address, its CA in PEM, and what it has been sent."""
    now = datetime.now(UTC)
    key, certificate = new_root(common_name="issuer", key_type="P-256", validity=timedelta(days=9), now=now)
    (root,) = parse_certificates(certificate)
    leaf = issue_leaf(
        root_certificate=root,
        root_key=key,
        role="server",
        sans=["localhost"],
        common_name="localhost",
        key_type="P-256",
        validity=timedelta(days=1),
        now=now,
    )
    (folder / "issuer.pem").write_text(leaf.certificate_pem + leaf.key_pem.decode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "issuer.pem")
    handler = type("Handler", (Issuer,), {"heard": [], "status": status, "answer": answer})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}", certificate, handler.heard  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_issuer_that_is_away_or_refuses_prints_nothing(tmp_path: Path) -> None:
    """C6: what the issuer answered was printed, and he may quote what he was sent; one that is away was a bare error.

    The client's secret was in the library's message where a key lacks: see the kubeconfigs with a slip.
    """
    away = told(lambda: configuration(kubeconfig(tmp_path, oidc("https://127.0.0.1:1"))))
    assert "the auth-provider oidc failed" in away
    assert not shown(away)
    with issuer(tmp_path, 400, error="invalid_grant", error_description=SECRET) as (url, ca, heard):
        embedded = {"idp-certificate-authority-data": base64.b64encode(ca.encode()).decode()}
        refused = told(lambda: configuration(kubeconfig(tmp_path, oidc(url, **embedded))))
        assert shown("".join(heard)), "the control: it was sent, and answered"
        assert shown(quoted_by_the_package(oidc(url, **embedded))), "the control"
    assert "the auth-provider oidc failed" in refused
    assert not shown(refused)


def test_who_answers_in_the_place_of_an_issuer_gets_no_refresh_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C6, sibling: without a CA the package took anybody's word where to send client secret and refresh token."""
    with issuer(tmp_path, id_token="a.b.c", refresh_token="r", access_token="x") as (url, ca, heard):
        (tmp_path / "ca.crt").write_text(ca)
        # Where he lets it be sent he has a certificate that this machine trusts.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.crt"))
        assert "the auth-provider oidc failed" in told(lambda: configuration(kubeconfig(tmp_path, oidc(url))))
        assert heard == []
        kubernetes.config.new_client_from_config_dict(oidc(url))
        assert shown(heard.pop()), "the control: the package sends it"


@pytest.mark.parametrize("suffix", ["", "-data"])
def test_an_issuer_whose_ca_is_named_renews_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """C6, the other way: renewal goes on, what was renewed is kept, and the temporary folder gets nothing of it."""
    with (
        temporary_folder(tmp_path, monkeypatch) as folder,
        issuer(tmp_path, id_token="a.b.c", refresh_token="r", access_token="x") as (url, ca, heard),
    ):
        (tmp_path / "ca.crt").write_text(ca)
        named = {"": str(tmp_path / "ca.crt"), "-data": base64.b64encode(ca.encode()).decode()}[suffix]
        found = configuration(kubeconfig(tmp_path, oidc(url, **{f"idp-certificate-authority{suffix}": named})))
        assert found.get_api_key_with_prefix("BearerToken") == "Bearer a.b.c"
        (user,) = yaml.safe_load((tmp_path / "config").read_text())["users"]
        config = user["user"]["auth-provider"]["config"]
        before = oidc(url)["users"][0]["user"]["auth-provider"]["config"]
        assert config.keys() == before.keys() | {f"idp-certificate-authority{suffix}"}
        assert (config["id-token"], config["refresh-token"]) == ("a.b.c", "r")
        assert config[f"idp-certificate-authority{suffix}"] == named
        assert (len(heard), list(folder.iterdir())) == (1, [])


def test_a_command_of_an_auth_provider_is_not_quoted(tmp_path: Path) -> None:
    """C6, sibling: what a gcp command printed was told."""
    path = tmp_path / "gcloud"
    path.write_text(f"#!/bin/sh\necho {SECRET} >&2\nexit 3\n")
    path.chmod(0o755)
    content = document({"auth-provider": {"name": "gcp", "config": {"cmd-path": str(path)}}})
    found = told(lambda: configuration(kubeconfig(tmp_path, content)))
    assert "the auth-provider gcp failed" in found
    assert not shown(found)
    assert shown(quoted_by_the_package(content)), "the control"


# -- C7: the environment of children -------------------------------------------------------------------------------

OURS = {
    "CUSTOM_CA_PASSPHRASE": SECRET,
    "CUSTOM_CA_IMPORT_PASSPHRASE": SECRET,
    "K8S_AUTH_API_KEY": SECRET,
    # By what it holds: somebody else's name for it.
    "ACME_MESH_SECRET": SECRET,
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**OURS, "CLOUD_TOKEN": "of-the-cloud", "KUBECONFIG": "/elsewhere"}.items():
        monkeypatch.setenv(name, value)


def variables(**given: Any) -> Variables:
    return Variables({"inventory_hostname": "cluster-b", "custom_ca_passphrase": SECRET, **given}, None)


@pytest.mark.usefixtures("environment")
def test_a_plugin_of_a_kubeconfig_does_not_see_the_passphrase(tmp_path: Path) -> None:
    """C7: it was in the environment of every program that a kubeconfig names."""
    answer = json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {"token": "t"}})
    user = plugin(tmp_path, f"env > {tmp_path}/seen; echo '{answer}'")
    (tmp_path / "config").write_text(yaml.safe_dump(document(user)))
    connection = variables(mesh_kubeconfig=str(tmp_path / "config")).connection()
    configuration(connection)
    seen = (tmp_path / "seen").read_text()
    assert not shown(seen)
    # The control: what a plugin may need is there, and what is taken out comes back.
    assert "CLOUD_TOKEN=of-the-cloud" in seen
    assert "KUBECONFIG=/elsewhere" in seen
    assert {name: os.environ[name] for name in OURS} == OURS


@pytest.mark.usefixtures("environment")
def test_a_command_of_an_auth_provider_does_not_see_it_either(tmp_path: Path) -> None:
    """C7, sibling: the package runs the command of the provider gcp itself."""
    path = tmp_path / "gcloud"
    credential = {"credential": {"access_token": "t", "token_expiry": "2099-01-01T00:00:00Z"}}
    path.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\necho '{json.dumps(credential)}'\n")
    path.chmod(0o755)
    provider = {"name": "gcp", "config": {"cmd-path": str(path)}}
    (tmp_path / "config").write_text(yaml.safe_dump(document({"auth-provider": provider})))
    configuration(variables(mesh_kubeconfig=str(tmp_path / "config")).connection())
    assert "CLOUD_TOKEN=of-the-cloud" in (tmp_path / "seen").read_text()
    assert not shown((tmp_path / "seen").read_text())


@pytest.mark.usefixtures("environment")
def test_kubernetes_core_does_not_see_it_either(tmp_path: Path) -> None:
    """C7, sibling: the module that writes manifests is a child too."""
    (tmp_path / "config").write_text(yaml.safe_dump(document({"token": "t"})))
    connection = variables(mesh_kubeconfig=str(tmp_path / "config")).connection()
    with writer.without_overrides(os.environ, connection):
        seen = str(dict(os.environ))
    assert not shown(seen)
    assert "of-the-cloud" in seen
    assert shown(str(dict(os.environ))), "the control: the next task has it back"


@pytest.mark.usefixtures("environment")
def test_a_passphrase_that_cannot_be_read_is_no_reason_to_reach_no_cluster(tmp_path: Path) -> None:
    """C7: what is known by its name is kept back all the same."""

    class Sealed:
        def template(self, value: Any) -> Any:
            if value == SECRET:
                raise AnsibleError("Decryption failed")
            return value

    (tmp_path / "config").write_text(yaml.safe_dump(document({"token": "t"})))
    given = {"inventory_hostname": "b", "custom_ca_passphrase": SECRET, "mesh_kubeconfig": str(tmp_path / "config")}
    connection = Variables(given, Sealed()).connection()
    assert connection.withheld >= {"CUSTOM_CA_PASSPHRASE", "K8S_AUTH_API_KEY"}


# -- C: the report -------------------------------------------------------------------------------------------------


def test_no_key_comes_into_a_report(tmp_path: Path) -> None:
    """A key that somebody has pasted into tls.crt, the CA's own and the passphrase: a report is for others to read."""
    root = make_root(now=NOW)
    store_at(tmp_path / "ca", root)
    found = read(root, after=KEY)
    assert shown(found["secrets"][0]["certificate"]) != []
    looks = {"cluster-a": {}, "cluster-b": look_at(found, root)}
    result = report(tmp_path, looks, dir=str(tmp_path / "out"), query="@")
    written = "".join(path.read_text() for path in (tmp_path / "out").iterdir()) + json.dumps([result, looks])
    assert shown(written) == []
    # Nor the CA's, which lies encrypted in the folder beside it.
    stored = [line for path in (tmp_path / "ca").rglob("*.key") for line in path.read_text().splitlines()[1:-1]]
    assert stored
    assert [line for line in (*stored, PASSPHRASE) if line in written] == []
    # The control: the certificate of the same Secret is in it.
    assert "Secret istio-system/mysql-credential in cluster cluster-b" in written
