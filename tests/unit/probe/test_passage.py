# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a call without an answer came, by what egress gateways count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import Connections
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ClientLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.passage import Counted, located, strayed
from tests.unit.probe.support import probed_link

WAY = "outbound|13306|mysql|mysql.server.example.com"
UNANSWERED = Fault("no-answer", "mysql", 4, "", "a greeting", "nothing", "look", seen="asked in pod shop/web-0")
BEFORE = Connections(tried=7, carried=9, open=1)
PLACE = "pod-1 10.0.0.1"


def counted(found: Connections) -> dict[str, dict[str, Connections]]:
    return {WAY: {PLACE: found}}


def link_of(protocol: str) -> ClientLink:
    found, _probe = probed_link("tcp" if protocol == "tcp" else "http", protocol=protocol)
    return found


@pytest.mark.parametrize(
    ("protocol", "after", "code", "place"),
    [
        ("http", Connections(8, 9, 1), "no-connection", "hop 2"),
        ("http", Connections(9, 9, 3), "no-connection", "hop 2"),
        ("tcp", Connections(7, 9, 1), "not-passed-on", "hop 1"),
        ("http", Connections(7, 9, 1), "no-answer", "answer"),
        ("tcp", Connections(8, 10, 1), "no-answer", "answer"),
        ("http", Connections(7, 10, 1), "no-answer", "answer"),
        ("tcp", Connections(2, 2, 0), "no-answer", "answer"),
    ],
    ids=[
        "none came about",
        "two are still in the making",
        "the gateway tried none",
        "one for requests is open, maybe in the making",
        "it was carried on",
        "it was carried on over one that was open",
        "an address has gone meanwhile",
    ],
)
def test_counters_tell_where_it_got_stuck(protocol: str, after: Connections, code: str, place: str) -> None:
    found = located(UNANSWERED, link_of(protocol), counted(BEFORE), counted(after))
    assert (found.code, found.place, found.link, found.seen) == (code, place, "mysql", UNANSWERED.seen)


def test_of_tcp_it_may_be_the_server_behind_the_gateway_that_takes_no_connection() -> None:
    found = located(UNANSWERED, link_of("tcp"), counted(BEFORE), counted(Connections(9, 9, 1)))
    assert (found.code, found.place) == ("no-answer", "answer")
    assert found.found == "nothing, and none of 2 connections of the egress gateway to its server has come about"
    assert "firewall" in found.fix
    assert "the backend" in found.fix


def test_an_answer_that_came_while_the_gateway_carried_nothing_is_that_of_a_proxy_before() -> None:
    """Such as a 503 of the sidecar, which finds no pod of the egress gateway."""
    refused = replace(UNANSWERED, code="wrong-answer")
    found = located(refused, link_of("http"), counted(BEFORE), counted(replace(BEFORE, open=0)))
    assert (found.code, found.place) == ("not-passed-on", "hop 1")


def test_requests_that_find_no_connection_at_all_did_not_come_to_the_gateway() -> None:
    closed = Connections(7, 9, 0)
    assert located(UNANSWERED, link_of("http"), counted(closed), counted(closed)).code == "not-passed-on"


def test_what_broke_before_and_what_was_not_counted_stay_as_they_are() -> None:
    refused = Fault("port-closed", "mysql", 1, "", "this", "that", "do it")
    after = counted(Connections(8, 9, 1))
    assert located(refused, link_of("tcp"), counted(BEFORE), after) == refused
    assert located(UNANSWERED, link_of("tcp"), {}, after) == UNANSWERED
    assert located(UNANSWERED, link_of("tcp"), counted(BEFORE), {}) == UNANSWERED


@pytest.mark.parametrize(
    ("after", "code"),
    [
        ({WAY: {PLACE: BEFORE}}, "answered-elsewhere"),
        ({WAY: {PLACE: replace(BEFORE, open=3)}}, "answered-elsewhere"),
        ({WAY: {PLACE: Connections(8, 10, 1)}}, ""),
        ({WAY: {PLACE: Connections(7, 10, 1)}}, ""),
        ({WAY: {PLACE: Connections(1, 1, 1)}}, ""),
        ({WAY: {"another": BEFORE}}, ""),
        ({WAY: {PLACE: BEFORE, "another": Connections()}}, ""),
        ({WAY: {}}, ""),
        ({}, ""),
    ],
    ids=[
        "nothing was made or used",
        "one is being closed",
        "one was made",
        "one was used",
        "the pod began anew",
        "another pod or address, with the same counts",
        "one pod or address more",
        "no address",
        "not counted",
    ],
)
def test_an_answer_that_the_gateway_had_no_part_in_is_none_of_the_link(after: Counted, code: str) -> None:
    found = strayed(link_of("tcp"), "asked in pod shop/web-0", counted(BEFORE), after)
    assert (found.code if found else "") == code
    if found:
        assert (found.place, found.link, found.seen) == ("hop 1", "mysql", "asked in pod shop/web-0")


def test_a_connection_that_only_stays_open_is_no_answer_of_others() -> None:
    """A sidecar's own, where it waits for the first bytes, or for a gateway that it does not reach."""
    found = strayed(link_of("tcp"), "asked in pod shop/web-0", counted(BEFORE), counted(BEFORE), silent=True)
    assert found
    assert (found.code, found.place) == ("not-passed-on", "hop 1")


def test_what_was_not_asked_stays_so() -> None:
    unasked = replace(UNANSWERED, code="probe-not-asked")
    assert located(unasked, link_of("tcp"), counted(BEFORE), counted(BEFORE)) == unasked
