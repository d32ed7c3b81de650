# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root is tried before it is let in: what it would issue is verified with the real names."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import trial
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import Import, Wanted, make_root
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.trial import Uses, try_root
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, issue_crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import KEY_TYPES
from tests.unit.ca.support import USES
from tests.unit.pki import support
from tests.unit.pki.strange_roots import (
    BOTH_ROLES,
    CLIENTS_ONLY,
    CODE_SIGNING,
    SERVERS_ONLY,
    UNKNOWN,
    UNKNOWN_CRITICAL,
    Extension,
    excludes,
    permits,
    strange_root,
    written,
)
from tests.unit.pki.support import DAY, NOW, Root
from tests.unit.support import refused

EVERY_NAME = permits("example.com", "crossmesh.internal")
IPV4: Extension = (x509.NameConstraints([x509.RFC822Name("example.com")], None), True)
PATH_0: Extension = (x509.BasicConstraints(ca=True, path_length=0), True)
NOT_CRITICAL: Extension = (x509.BasicConstraints(ca=True, path_length=None), False)
OF_AN_ORGANIZATION: Extension = (
    x509.NameConstraints(
        [x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Example")]))], None
    ),
    True,
)


def faults(root: Root, uses: Uses = USES) -> list[str]:
    return try_root(root.view, root.key, uses, NOW)


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_root_of_our_own_passes(key_type: str) -> None:
    assert faults(support.make_root(key_type)) == []


@pytest.mark.parametrize(
    "root",
    [
        strange_root(),
        strange_root(BOTH_ROLES),
        strange_root(UNKNOWN),
        strange_root(EVERY_NAME),
        strange_root(permits("example.com", "crossmesh.internal", critical=False)),
        strange_root(excludes("elsewhere.example.com")),
        strange_root(IPV4),
        strange_root(constraints=PATH_0),
    ],
    ids=["plain", "both roles", "unknown", "permitted", "uncritical", "excludes others", "other kinds", "path 0"],
)
def test_a_root_of_somebody_elses_passes_where_all_its_certificates_do(root: Root) -> None:
    assert faults(root) == []


@pytest.mark.parametrize(
    ("root", "roles", "why"),
    [
        (strange_root(CODE_SIGNING), ["server", "client"], "extended key usage does not allow the role"),
        (strange_root(SERVERS_ONLY), ["client"], "extended key usage does not allow the role"),
        (strange_root(CLIENTS_ONLY), ["server"], "extended key usage does not allow the role"),
        (strange_root(UNKNOWN_CRITICAL), ["server", "client"], "a critical extension that verifiers do not know"),
        (strange_root(subject=""), ["server", "client"], "subject is empty"),
        (strange_root(constraints=NOT_CRITICAL), ["server", "client"], "basicConstraints are not marked critical"),
        (strange_root(OF_AN_ORGANIZATION), ["server", "client"], "that not every verifier understands"),
        (strange_root(permits(".example.com")), ["server", "client"], "that not every verifier understands"),
    ],
)
def test_a_root_is_refused_with_role_and_reason(root: Root, roles: list[str], why: str) -> None:
    found = faults(root)
    assert [line.split("'")[0] for line in found] == [f"as a {role}" for role in roles]
    assert all(why in line for line in found), found


def test_the_name_that_is_not_permitted_is_told_and_no_other() -> None:
    assert faults(strange_root(excludes("bank.example.com"))) == [
        "as a server's certificate for bank.example.com: the root's name constraints exclude the name"
    ]
    assert faults(strange_root(permits("example.com"))) == [
        "as a client's certificate for cluster-a.cluster.crossmesh.internal, mysql.link.crossmesh.internal: "
        "the root's name constraints do not permit the name"
    ]


def test_of_many_names_a_few_are_told_and_the_others_counted() -> None:
    many = replace(USES, names={**USES.names, "server": [f"link-{number}.example.org" for number in range(9)]})
    (line,) = faults(strange_root(EVERY_NAME), many)
    assert "link-0.example.org, link-1.example.org, link-2.example.org and 6 more: " in line


@pytest.mark.parametrize(
    ("root", "role"),
    [
        (strange_root(CODE_SIGNING), "server"),
        (strange_root(CLIENTS_ONLY), "server"),
        (strange_root(SERVERS_ONLY), "client"),
        (strange_root(UNKNOWN_CRITICAL), "server"),
        (strange_root(excludes("bank.example.com")), "server"),
        (strange_root(permits("example.com")), "client"),
        (strange_root(subject=""), "server"),
        (strange_root(constraints=NOT_CRITICAL), "server"),
    ],
)
def test_openssl_finds_it_by_itself(monkeypatch: pytest.MonkeyPatch, root: Root, role: str) -> None:
    """Without the other verifier, which is asked first."""
    monkeypatch.setattr(trial, "path_fault", lambda *_arguments: "")
    assert faults(root)[0].startswith(f"as a {role}'s certificate for ")


def test_what_only_openssl_refuses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the handshake: a list of another root's stands for one that a gateway would not take."""
    other = support.make_root()

    def of_another(**given: Any) -> Crl:
        return issue_crl(**{**given, "root": other.view, "key": other.key})

    monkeypatch.setattr(trial, "issue_crl", of_another)
    (line,) = faults(strange_root())
    assert line == f"as a server's certificate for {', '.join(USES.names['server'])}: unable to get certificate CRL"


def test_a_trial_leaves_nothing_open_and_nothing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = strange_root()
    faults(root)
    gc.collect()
    before = os.listdir("/proc/self/fd")
    faults(root)
    gc.collect()
    assert os.listdir("/proc/self/fd") == before
    assert list(tmp_path.iterdir()) == []


def wanted(folder: Path, root: Root) -> Wanted:
    certificate, key = written(folder, root)
    return Wanted("Test Root CA", "P-256", 3650, Import(str(certificate), str(key), "", USES))


@pytest.mark.parametrize(
    ("root", "why"),
    [
        (strange_root(lasts=60 * DAY), "ends before a certificate of 90 days that is issued now"),
        (strange_root(lasts=91 * DAY), "ends before a certificate of 90 days that is issued now"),
        (strange_root(lasts=DAY), "it is valid from"),
        (strange_root(begins=NOW + DAY), "it is valid from"),
    ],
    ids=["short", "as long", "ended", "not yet"],
)
def test_a_root_has_to_last_longer_than_what_it_issues(tmp_path: Path, root: Root, why: str) -> None:
    with refused("root-import") as caught:
        make_root(wanted(tmp_path, root), NOW)
    assert why in caught.value.message.what


def test_a_root_that_lasts_a_day_longer_passes(tmp_path: Path) -> None:
    root = strange_root(lasts=92 * DAY)
    assert make_root(wanted(tmp_path, root), NOW)[1] == root.view.pem


def test_the_last_days_of_a_root_in_service_are_of_use(tmp_path: Path) -> None:
    root = strange_root(lasts=30 * DAY)
    assert make_root(wanted(tmp_path, root), NOW, in_service=[root.view.fingerprint])[1] == root.view.pem


def test_a_root_that_would_issue_in_vain_is_not_made(tmp_path: Path) -> None:
    with refused("root-refused"):
        make_root(wanted(tmp_path, strange_root(excludes("bank.example.com"))), NOW)
