# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part C: what runs of ansible-playbook tell and leave under every setting that makes it talkative.

On localhost, with clusters that are away: tests/integration/test_secrecy.py does the same on the lab. An external
server's certificate is issued here, and kubernetes.core is really called.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.pkcs8 import load_private_key
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import new_root
from tests.integration.support import secret_traces
from tests.integration.support.talkative_runs import TALKATIVE, Traces
from tests.unit.support import CHECKOUT, MYSQL

pytestmark = pytest.mark.slow

PLAYBOOKS = CHECKOUT / "collections/ansible_collections/crossmesh/mtls/playbooks"
PASSPHRASE, TOKEN = "correct-horse-battery-staple", "dG9rZW4tb2YtYS1zZXJ2aWNlLWFjY291bnQ"
AWAY = "https://127.0.0.1:1"
MANIFEST = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "namespace": "x"}}
PLAN = {"manifests": json.dumps({"write": [MANIFEST]}), "manager": "m", "moved": []}

CA = f"""\
- hosts: localhost
  gather_facts: false
  roles:
    - crossmesh.mtls.custom_ca
  tasks:
    - name: Keep the certificate of an external server
      crossmesh.mtls.custom_ca_external:
    - name: Look at the CA
      crossmesh.mtls.custom_ca_info:
- hosts: mesh_servers:mesh_clients
  gather_facts: false
  tasks:
    - name: Call kubernetes.core
      crossmesh.mtls.mesh_manifests:
        plan: {json.dumps(PLAN)}
      ignore_errors: true
"""

PLANTED = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "{{ planted }}"
    - ansible.builtin.command:
        argv: [echo, "{{ planted }}"]
"""


@dataclass
class Trail:
    """What runs left, by place, and the secrets that must not be in it."""

    places: dict[str, bytes] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, frozenset[bytes]] = field(default_factory=dict)

    def places_with(self, needles: frozenset[bytes], *, planted: bool = False) -> list[str]:
        mine = {name: text for name, text in self.places.items() if name.startswith("planted") is planted}
        return [name for name, text in mine.items() if secret_traces.found_in(text, needles)]


def pem(key: Any) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    found: bytes = key.private_bytes(encoding, form, serialization.NoEncryption())
    return found


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Trail:
    folder, trail = tmp_path_factory.mktemp("runs"), Trail()
    inventory, key = described(folder)
    planted = pem(ec.generate_private_key(ec.SECP256R1()))
    for name, content in {"ca": CA, "planted": PLANTED}.items():
        (folder / f"{name}.yml").write_text(content)
    runs = {
        "planted": (folder / "planted.yml", "default", ["-e", json.dumps({"planted": planted.decode()})]),
        "planted, json": (
            folder / "planted.yml",
            "ansible.posix.json",
            ["-e", json.dumps({"planted": planted.decode()})],
        ),
        "ca": (folder / "ca.yml", "default", []),
        "ca again, json": (folder / "ca.yml", "ansible.posix.json", ["-e", "custom_ca_key_type=P-384"]),
        "ca, check": (folder / "ca.yml", "default", ["--check", "-e", "custom_ca_leaf_validity_days=30"]),
        **{verb.stem: (verb, "default", []) for verb in sorted(PLAYBOOKS.glob("*.yml"))},
    }
    for name, (playbook, callback, arguments) in runs.items():
        leave(trail, name, folder, [str(playbook), "-i", str(inventory), *arguments], callback)
    (sealed,) = (folder / "ca/roots").glob("*.key")
    trail.secrets = {
        "passphrase": secret_traces.of_text(PASSPHRASE.encode()),
        "token": secret_traces.of_text(TOKEN.encode()),
        "the user's key": secret_traces.of_key(key),
        "the root's key": secret_traces.of_key(pem(load_private_key(sealed.read_text(), PASSPHRASE, where="x"))),
        "the leaf's key": secret_traces.of_key((folder / "external/tls.key").read_bytes()),
        "any key": secret_traces.of_any_key(),
        "planted": secret_traces.of_key(planted),
    }
    return trail


def described(folder: Path) -> tuple[Path, bytes]:
    """An inventory of two clusters that are away, one by a key and one by a token; and the key."""
    now = datetime.now(UTC)
    key, certificate = new_root(common_name="user", key_type="P-256", validity=timedelta(days=9), now=now)
    user = {"client-certificate-data": encoded(certificate.encode()), "client-key-data": encoded(pem(key))}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "away", "cluster": {"server": AWAY}}],
        "users": [{"name": "by-key", "user": user}, {"name": "by-token", "user": {"token": TOKEN}}],
        "contexts": [
            {"name": name, "context": {"cluster": "away", "user": user}}
            for name, user in {"cluster-a": "by-key", "cluster-b": "by-token"}.items()
        ],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    external = {"address": "127.0.0.1", "port": 1, "ca": str(folder / "external")}
    everybody = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "mesh_kubeconfig": str(folder / "kubeconfig"),
        "mesh_context": "{{ inventory_hostname }}",
        "custom_ca_dir": str(folder / "ca"),
        "custom_ca_passphrase": "{{ lookup('ansible.builtin.env', 'CUSTOM_CA_PASSPHRASE') }}",
        "mesh_links": [MYSQL, {"name": "sql", "fqdn": "sql.example.org", "port": 3316, "external": external}],
    }
    children: dict[str, Any] = {
        "mesh_clients": {"hosts": {"cluster-a": {}}},
        "mesh_servers": {"hosts": {"cluster-b": {}}},
    }
    inventory = folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"vars": everybody, "children": children}}))
    return inventory, pem(key)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def leave(trail: Trail, name: str, folder: Path, arguments: list[str], callback: str) -> None:
    traces = Traces(folder / "traces" / name)
    environment = {
        **os.environ,
        **traces.environment,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_STDOUT_CALLBACK": callback,
        # Piped, a module's arguments would not become a file that could be kept.
        "ANSIBLE_PIPELINING": "0",
        "CUSTOM_CA_PASSPHRASE": PASSPHRASE,
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), *arguments, *TALKATIVE]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, timeout=300
    )
    trail.outputs[name] = (done.stdout + done.stderr).decode()
    trail.places[f"{name}: output"] = done.stdout + done.stderr
    trail.places |= {f"{name}: {path}": content for path, content in traces.left().items()}


def test_the_runs_that_are_looked_at_did_what_they_should(trail: Trail) -> None:
    assert "back it up" in trail.outputs["ca"]
    assert "kubernetes.core.k8s failed (write)" in trail.outputs["ca"]
    for playbook in ("site", "verify", "preflight", "rotate_certificates", "rotate_ca", "teardown"):
        assert "api-unreachable" in trail.outputs[playbook], playbook
    # Somebody was there to see it: a module's files are kept, and each callback has written.
    for place in ("AnsiballZ_k8s.py", "junit/", "tree/", ": log", ": witness"):
        assert any(place in name and name.startswith("ca: ") for name in trail.places), place


@pytest.mark.parametrize(
    "secret", ["passphrase", "token", "the user's key", "the root's key", "the leaf's key", "any key"]
)
def test_no_run_tells_or_leaves(trail: Trail, secret: str) -> None:
    """C1: the passphrase was an argument of five tasks: on stdout, in the log, in callbacks and in AnsiballZ files.

    C2 to C7 look for the others in the same places.
    """
    assert trail.places_with(trail.secrets[secret]) == []


def test_a_planted_key_is_found_wherever_a_run_tells_or_leaves_something(trail: Trail) -> None:
    """The control of all of them."""
    for needles in (trail.secrets["planted"], trail.secrets["any key"]):
        found = trail.places_with(needles, planted=True)
        for place in ("planted: output", "planted: log", "planted: witness", "planted, json: output"):
            assert place in found
        for part in ("junit/", "tree/", "AnsiballZ_command.py"):
            assert any(part in name for name in found), part
