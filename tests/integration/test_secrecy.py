# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No private key and no passphrase in anything that runs leave behind: output, log, facts, callbacks, files.

Every playbook, with all the settings that make Ansible talkative; tests/attacks/test_c_runs.py does it without a lab.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.integration.support import secret_traces
from tests.integration.support.admission_faults import refused_when_written
from tests.integration.support.foreign_certificates import custom_ca_issuer
from tests.integration.support.lab_mesh import CHECKOUT, MYSQL, Mesh, Run, cleared_afterwards
from tests.integration.support.talkative_runs import TALKATIVE, Traces
from tests.integration.support.written_files import Scope, watch_written_files
from tests.lab import Lab

PLAYBOOKS = ("preflight", "verify", "rotate_certificates", "rotate_ca", "teardown")

# The passphrase comes as a variable of the play: hostvars would show an inventory's own variable to its owner.
FACTS = """\
- hosts: localhost
  gather_facts: false
  vars: &passphrase
    custom_ca_passphrase: "{{ lookup('ansible.builtin.env', 'CUSTOM_CA_PASSPHRASE') }}"
  roles:
    - crossmesh.mtls.custom_ca

- hosts: mesh_servers:mesh_clients
  gather_facts: false
  vars: *passphrase
  roles:
    - crossmesh.mtls.mesh_ingress_server
    - crossmesh.mtls.mesh_egress_client
  post_tasks:
    - ansible.builtin.debug:
        var: hostvars
"""

PLANTED = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "{{ lookup('ansible.builtin.env', 'PLANTED') }}"
    - ansible.builtin.copy:
        content: "{{ lookup('ansible.builtin.env', 'PLANTED') }}"
        dest: "{{ lookup('ansible.builtin.env', 'TMPDIR') }}/planted"
        mode: "0600"
    - ansible.builtin.file:
        path: "{{ lookup('ansible.builtin.env', 'TMPDIR') }}/planted"
        state: absent
"""


@dataclass
class Trail:
    """What runs left, by place, and the secrets that must not be in it."""

    runs: dict[str, Run] = field(default_factory=dict)
    places: dict[str, bytes] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)
    passphrase: str = ""
    planted: bytes = b""

    def add(self, name: str, run: Run, log: Path, files: Mapping[str, bytes]) -> None:
        self.runs[name] = run
        self.places[f"{name}: output"] = run.output.encode()
        self.places[f"{name}: log"] = log.read_bytes()
        self.places |= {f"{name}: {path}": content for path, content in files.items()}

    def places_with(self, needles: frozenset[bytes], *, planted: bool = False) -> list[str]:
        """Where something is found; a planted key has its own runs."""
        mine = {name: text for name, text in self.places.items() if name.startswith("planted: ") is planted}
        return [name for name, text in mine.items() if secret_traces.found_in(text, needles)]


@pytest.fixture(scope="module")
def trail(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trail]:
    folder = tmp_path_factory.mktemp("secrecy")
    mesh = Mesh(lab, folder, secrets.token_urlsafe(24))
    found = Trail(passphrase=mesh.passphrase, planted=_pem(ec.generate_private_key(ec.SECP256R1())))
    with ExitStack() as stack:
        stack.enter_context(cleared_afterwards(mesh))
        _leave(found, "first run", mesh)
        found.keys |= _keys(mesh, "first")
        _leave(found, "second run", mesh)
        _leave(found, "json", mesh, environment={"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"})
        for playbook in PLAYBOOKS[:-1]:
            _leave(found, playbook, mesh.with_changes(variables={"mesh_rotate_force": True}), playbook)
        # Past the dry run, with keys in hand, at the write itself.
        with refused_when_written(mesh, "cluster-b"):
            _leave(found, "failed run", mesh.with_changes(variables={"custom_ca_key_type": "P-384"}))
        changed = [{**MYSQL, "fqdn": "db.server.example.com"}]
        silent = mesh.with_changes(variables={"custom_ca_passphrase": ""}, links=changed)
        _leave(found, "facts", silent, silent.write_playbook(FACTS))
        found.keys |= _keys(mesh, "last")
        _leave(found, "teardown", mesh, "teardown")
        _leave(found, "planted", mesh, mesh.write_playbook(PLANTED))
        yield found


def _keys(mesh: Mesh, when: str) -> dict[str, bytes]:
    """The keys that there are now, by what they are for and C(when)."""
    keys = {f"the {when} root's key": _pem(custom_ca_issuer(mesh.store, mesh.passphrase).key)}
    for cluster, secret in (("cluster-a", "client-credential"), ("cluster-b", "mysql-credential")):
        data = mesh.get(cluster, "-n", "istio-system", "secret", secret)["data"]
        keys[f"the {when} key in {secret}"] = base64.b64decode(data["tls.key"])
    users = yaml.safe_load(mesh.lab.kubeconfig.read_text())["users"]
    embedded = [base64.b64decode(entry["user"]["client-key-data"]) for entry in users]
    return keys | {f"the key of user {number}": key for number, key in enumerate(embedded)}


def _leave(
    trail: Trail,
    name: str,
    mesh: Mesh,
    playbook: str | Path = "site",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> None:
    private = mesh.folder / name.replace(" ", "-")
    traces, log = Traces(private), private / "log"
    settings = {
        **traces.environment,
        "PLANTED": trail.planted.decode() if name == "planted" else "",
        **environment,
    }
    # The lab's own files are those of the clusters: there the keys are at home.
    scope = Scope(f"HOME={private / 'home'}", leaving_out=(mesh.store, mesh.lab.settings.state))
    with watch_written_files([private, CHECKOUT, Path("/dev/shm")], scope) as watch:
        run = mesh.play(playbook, *TALKATIVE, environment=settings)
    trail.add(name, run, log, watch.files | traces.left())


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_the_runs_that_are_looked_at_did_what_they_should(trail: Trail) -> None:
    failed = trail.runs["failed run"]
    assert not failed.ok
    assert failed.says("403 Forbidden", "Issue certificates")
    for name in ("first run", "second run", *PLAYBOOKS, "facts", "planted"):
        assert trail.runs[name].ok, trail.runs[name].output
    assert trail.runs["second run"].changed == 0
    assert trail.runs["facts"].says("SAN changed", "__mesh_side_look")


@pytest.mark.parametrize("secret", ["the root's key", "the key in client-credential", "the key in mysql-credential"])
def test_no_run_leaves_a_trace_of(trail: Trail, secret: str) -> None:
    kind = secret.removeprefix("the ")
    keys = [key for name, key in trail.keys.items() if name.endswith(kind)]
    assert len(keys) == 2, "before and after the rotations"
    assert [place for key in keys for place in trail.places_with(secret_traces.of_key(key))] == []


def test_no_run_leaves_a_trace_of_the_keys_of_the_kubeconfig(trail: Trail) -> None:
    keys = [key for name, key in trail.keys.items() if name.startswith("the key of user")]
    assert keys
    assert [place for key in keys for place in trail.places_with(secret_traces.of_key(key))] == []


def test_no_run_leaves_a_trace_of_the_passphrase(trail: Trail) -> None:
    assert trail.places_with(secret_traces.of_text(trail.passphrase.encode())) == []


def test_no_run_leaves_anything_that_looks_like_a_private_key(trail: Trail) -> None:
    assert trail.places_with(secret_traces.of_any_key()) == []


def test_a_planted_key_is_found_in_output_log_and_a_file_that_lived_briefly(trail: Trail) -> None:
    for needles in (secret_traces.of_key(trail.planted), secret_traces.of_any_key()):
        found = trail.places_with(needles, planted=True)
        assert {"planted: output", "planted: log", "planted: witness"} <= set(found)
        assert any("junit/" in place for place in found)
        assert any(place.startswith("planted: /") for place in found)


KEYS: dict[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = {
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "RSA-2048": rsa.generate_private_key(65537, 2048),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("offset", range(3))
def test_the_search_finds_a_key_in_every_form(kind: str, offset: int) -> None:
    key = KEYS[kind]
    pem, before = _pem(key), b"x" * offset
    der = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    forms = {
        "PEM": pem,
        "DER": before + der,
        "hexadecimal": der.hex().encode(),
        "DER in Base64": base64.b64encode(before + der),
        "PEM in Base64": base64.b64encode(before + pem),
        "PEM in Base64, with line breaks": base64.encodebytes(before + pem),
        "PEM in JSON": json.dumps({"a": pem.decode()}).encode(),
        "PEM in JSON in JSON": json.dumps(json.dumps({"a": pem.decode()})).encode(),
    }
    needles = secret_traces.of_key(pem)
    assert [
        name for name, form in forms.items() if not secret_traces.found_in(b"some " + form + b" text", needles)
    ] == []
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert not secret_traces.found_in(public, needles)
