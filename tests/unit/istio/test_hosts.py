# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts: short names, wildcards, and the most specific of several."""

from __future__ import annotations

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import hosts


@pytest.mark.parametrize(
    ("host", "read"),
    [
        ("db", "db.shop.svc.cluster.local"),
        ("db.example.com", "db.example.com"),
        ("*", "*"),
        ("2001:db8::1", "2001:db8::1"),
        ("", ""),
    ],
)
def test_a_short_name_is_of_the_namespace_of_its_object(host: str, read: str) -> None:
    assert hosts.resolve(host, "shop") == read


@pytest.mark.parametrize(
    ("wide", "host", "covered"),
    [
        ("*.example.com", "db.example.com", True),
        ("*.example.com", "a.db.example.com", True),
        ("*.example.com", "example.com", False),
        ("*", "db.example.com", True),
        ("*.example.com", "*.db.example.com", True),
        ("*.db.example.com", "*.example.com", False),
        ("db.example.com", "*.example.com", False),
        ("db.example.com", "db.example.com", True),
    ],
)
def test_a_wildcard_covers_what_is_below_it(wide: str, host: str, covered: bool) -> None:
    assert hosts.covers(wide, host) is covered


def test_hosts_overlap_either_way() -> None:
    assert hosts.overlap("db.example.com", "*.example.com")
    assert hosts.overlap("*.example.com", "db.example.com")
    assert not hosts.overlap("*.example.com", "db.example.org")


def test_the_exact_host_comes_before_the_longest_wildcard() -> None:
    found = ["*", "*.com", "*.example.com"]
    assert hosts.most_specific(found, "db.example.com") == "*.example.com"
    assert hosts.most_specific([*found, "db.example.com"], "db.example.com") == "db.example.com"
    assert hosts.most_specific(["*.org"], "db.example.com") is None
