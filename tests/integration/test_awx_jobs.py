# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWX project by ansible-runner: every job in an empty private data directory, which is deleted after it.

The CA lasts in Secrets, and nothing that is left of a job holds a key, the passphrase or a token.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.integration.support import secret_traces
from tests.integration.support.credential_secrets import BOTH
from tests.integration.support.lab_mesh import Mesh, cleared_afterwards
from tests.integration.support.project_on_lab import (
    KEEPER,
    Ca,
    ca_of,
    given_secrets,
    head_of,
    project_inventory,
    with_management,
)
from tests.integration.support.runner_jobs import Credential, Platform, as_in_awx
from tests.integration.support.runner_results import Job
from tests.integration.support.service_accounts import NAMESPACE, store_account
from tests.lab import Lab

# As the workflows of the project have them, and one that comes by the schedule.
JOBS: dict[str, tuple[str, dict[str, str]]] = {
    "preflight": ("preflight.yml", {}),
    "site": ("site.yml", {}),
    "verify": ("verify.yml", {}),
    "prepare": ("rotate_ca.yml", {"mesh_rotate_phase": "prepare"}),
    "switch": ("rotate_ca.yml", {"mesh_rotate_phase": "switch"}),
    "retire": ("rotate_ca.yml", {"mesh_rotate_phase": "retire"}),
    "verify again": ("verify.yml", {}),
}
# What ansible-runner leaves of a job.
LEFT = {"command", "rc", "status", "stdout", "what ansible-runner printed"}

PLANTED = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "{{ lookup('ansible.builtin.env', 'PLANTED') }}"
    - ansible.builtin.set_fact:
        planted: "{{ lookup('ansible.builtin.env', 'PLANTED') }}"
        cacheable: true
"""


@dataclass
class Trail:
    """:param secrets: by what they are; needles of each."""

    jobs: dict[str, Job] = field(default_factory=dict)
    cas: dict[str, Ca] = field(default_factory=dict)
    secrets: dict[str, frozenset[bytes]] = field(default_factory=dict, repr=False)
    refused: Job | None = None
    planted: Job | None = None
    planted_key: bytes = field(default=b"", repr=False)
    left: list[Path] = field(default_factory=list)
    carries: bool = False


def places_with(job: Job, needles: frozenset[bytes]) -> list[str]:
    return [name for name, content in job.artifacts.items() if secret_traces.found_in(content, needles)]


@pytest.fixture(scope="module")
def trail(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trail]:
    folder, jobs = tmp_path_factory.mktemp("awx"), tmp_path_factory.mktemp("jobs")
    mesh = Mesh(lab, folder, secrets.token_urlsafe(24))
    with ExitStack() as stack:
        stack.enter_context(cleared_afterwards(mesh))
        config = with_management(lab, stack.enter_context(store_account(lab, folder, KEEPER)))
        credentials = (
            Credential("Crossmesh kubeconfig", {"kubeconfig": yaml.safe_dump(config)}),
            Credential("Crossmesh CA", {"passphrase": mesh.passphrase}),
        )
        found, platform = Trail(), Platform(jobs, as_in_awx(project_inventory()), credentials)
        # First, because nothing was made yet: it would else say that the CA in service is not there.
        fleeting = replace(platform, inventory=as_in_awx(project_inventory(without="custom_ca_store")))
        found.refused = fleeting.run("site.yml")
        for name, (playbook, variables) in JOBS.items():
            found.jobs[name] = platform.run(playbook, variables)
            if name != "preflight" and found.jobs[name].ok:
                found.cas[name] = ca_of(mesh)
                found.secrets |= keys_of(mesh, name)
        found.carries = mesh.carries()
        found.secrets |= given_secrets(config, mesh.passphrase)
        found.planted_key = _pem(ec.generate_private_key(ec.SECP256R1()))
        found.planted = platform.run(
            "planted.yml", project={"planted.yml": PLANTED}, environment={"PLANTED": found.planted_key.decode()}
        )
        found.left = list(jobs.iterdir())
        yield found


def keys_of(mesh: Mesh, when: str) -> dict[str, frozenset[bytes]]:
    """Keys that there are now: of gateways, and of roots."""
    found = {}
    for cluster, name in BOTH:
        data = mesh.get(cluster, "secret", name, "-n", "istio-system")["data"]
        found[f"the key in {name} after {when}"] = secret_traces.of_key(base64.b64decode(data["tls.key"]))
    for name, content in head_of(mesh).items():
        if name.endswith(".key"):
            key = serialization.load_pem_private_key(content, mesh.passphrase.encode())
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            found[f"the key of root {name}"] = secret_traces.of_key(_pem(key))
    return found


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_every_job_is_green_and_leaves_no_folder(trail: Trail) -> None:
    assert {name: job.status for name, job in trail.jobs.items()} == dict.fromkeys(JOBS, "successful"), "\n".join(
        job.output for job in trail.jobs.values() if not job.ok
    )
    assert trail.carries
    assert trail.left == []


def test_the_ca_lives_from_job_to_job_and_is_in_service(trail: Trail) -> None:
    cas = trail.cas
    first, last = cas["site"].issuing, cas["retire"].issuing
    assert first != last
    assert {name: (ca.issuing, set(ca.trusted)) for name, ca in cas.items()} == {
        "site": (first, {first}),
        "verify": (first, {first}),
        "prepare": (first, {first, last}),
        "switch": (last, {first, last}),
        "retire": (last, {last}),
        "verify again": (last, {last}),
    }
    assert all(ca.in_service == ca.trusted for ca in cas.values())


def test_nothing_that_is_left_of_a_job_gives_a_secret_away(trail: Trail) -> None:
    # Two roots; of each Secret the key before and after the rotation; the users of three clusters; passphrase, token.
    assert len(set(trail.secrets.values())) == 2 + 4 + 3 + 2
    needles = frozenset[bytes]().union(*trail.secrets.values(), secret_traces.of_any_key())
    jobs = [*trail.jobs.values(), trail.refused]
    assert [(job.number, places) for job in jobs if job and (places := places_with(job, needles))] == []
    for job in trail.jobs.values():
        assert set(job.artifacts) >= LEFT
        assert any(name.startswith("job_events/") for name in job.artifacts)


def test_the_same_search_finds_a_planted_key_in_all_that_is_left(trail: Trail) -> None:
    assert trail.planted
    assert trail.planted.ok, trail.planted.output
    for needles in (secret_traces.of_key(trail.planted_key), secret_traces.of_any_key()):
        found = places_with(trail.planted, needles)
        assert {"command", "stdout", "what ansible-runner printed"} <= set(found)
        assert any(name.startswith("job_events/") for name in found)
        assert any(name.startswith("fact_cache/") for name in found)


def test_without_the_secrets_no_ca_is_made_in_the_jobs_folder(trail: Trail) -> None:
    assert trail.refused
    assert trail.refused.status == "failed"
    assert trail.refused.says("[fleeting-store]", "custom_ca_store: kubernetes")


def test_the_journal_names_job_and_operator(trail: Trail, lab: Lab) -> None:
    """In the Secrets, as anybody reads it there."""
    pieces = json.loads(lab.kubectl(KEEPER, "get", "secrets", "-n", NAMESPACE, "-o", "json").stdout)["items"]
    contents = b"".join(base64.b64decode(piece["data"]["content"]) for piece in pieces if "content" in piece["data"])
    made = next(json.loads(line) for line in contents.splitlines() if b'"kind":"created"' in line)
    assert (made["run"], made["operator"]) == (f"job {trail.jobs['site'].number}", "kim")
