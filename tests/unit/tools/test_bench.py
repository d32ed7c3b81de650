# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmark makes of what it has measured."""

from __future__ import annotations

import pytest

from tests.bench.figures import Groups, figures, slope
from tests.bench.jobs import DIRECT, SSH
from tests.bench.markdown import scale_tables
from tests.bench.samples import ADDED, FIRST, REMOVED, UNCHANGED, Sample
from tests.bench.scale import members
from tests.bench.stage import TWO, make_links, pairs
from tests.bench.watching import Reading, mean, parse, within
from tests.integration.support.node_jobs import LOGIN, documented_command

BEFORE = """\
# HELP pilot_proxy_convergence_time Delay in seconds between config change and a proxy receiving it.
pilot_proxy_convergence_time_bucket{le="0.1"} 5
pilot_proxy_convergence_time_bucket{le="0.5"} 5
pilot_proxy_convergence_time_bucket{le="+Inf"} 5
pilot_proxy_convergence_time_sum 1
pilot_proxy_convergence_time_count 5
pilot_total_xds_rejects{type="lds"} 1
pilot_total_xds_rejects{type="cds"} 2
"""


@pytest.mark.parametrize(
    ("fast", "half", "every", "seconds", "bound"),
    [
        pytest.param(7, 7, 7, 1.1, 0.1, id="all in the first bucket"),
        pytest.param(6, 7, 7, 1.4, 0.5, id="one slower"),
        pytest.param(6, 6, 7, 9.0, float("inf"), id="one beyond all bounds"),
    ],
)
def test_only_what_came_since_counts(fast: int, half: int, every: int, seconds: float, bound: float) -> None:
    now = (
        f'pilot_proxy_convergence_time_bucket{{le="0.1"}} {fast}\n'
        f'pilot_proxy_convergence_time_bucket{{le="0.5"}} {half}\n'
        f'pilot_proxy_convergence_time_bucket{{le="+Inf"}} {every}\npilot_proxy_convergence_time_sum {seconds}\n'
        f"pilot_proxy_convergence_time_count {every}\n"
    )
    assert within("pilot_proxy_convergence_time", parse(BEFORE), parse(now)) == bound
    assert mean("pilot_proxy_convergence_time", parse(BEFORE), parse(now)) == pytest.approx((seconds - 1) / 2)


def test_a_metric_is_the_sum_of_its_series() -> None:
    found = parse(BEFORE)
    assert found["pilot_total_xds_rejects"] == 3
    assert found['pilot_total_xds_rejects{type="cds"}'] == 2


def test_one_more_costs_what_the_straight_line_rises() -> None:
    assert slope([1, 10, 50], [2.0, 2.9, 6.9]) == pytest.approx(0.1)


def test_half_of_the_clusters_serve_and_no_two_share_a_namespace() -> None:
    made = members(10)
    assert [member.group for member in made].count("mesh_servers") == 5
    assert len({member.namespace for member in made}) == len({member.name for member in made}) == 10


def test_of_many_clusters_every_two_have_links_of_their_own() -> None:
    made = make_links(3, pairs(members(4)))
    assert len({(link.fqdn, link.port, link.tls_port) for link in made}) == len(made) == 6
    ends = [link.ends for link in made]
    assert ends[:2] == [{"servers": ["c01"], "clients": ["c02"]}, {"servers": ["c03"], "clients": ["c04"]}]
    assert ends[2:] == [*ends[:2], *ends[:2]]


def test_two_clusters_have_all_links_there_are() -> None:
    assert pairs(TWO) == []
    assert [link.inventory().keys() & {"servers", "clients"} for link in make_links(2)] == [set(), set()]


def test_the_tables_hold_what_was_measured_and_say_what_was_not() -> None:
    phases = (FIRST, UNCHANGED, ADDED, REMOVED)
    site = [Sample("site", phase, 200, 7.25, 9.0, 1.0, memory=150.4) for phase in phases]
    floor = [Sample("kubectl apply", FIRST, 200, 3.0, 2.0, 1.0)]
    readings = [Reading("egress gateway", "MiB resident", FIRST, 200, value) for value in (160.0, 170.0, 400.0)]
    growth, meshes = scale_tables(Groups([*site, *floor]), readings)
    assert growth[2] == "| 200 | first run | 7.2 | 9 | 150 | 3.0 (2.0 CPU) | not run |"
    assert len(growth) == 2 + len(phases)
    assert meshes == ["|  |  | 200, first run |", "|---|---|---|", "| egress gateway | MiB resident | 170 |"]


def test_nothing_measured_makes_no_table() -> None:
    assert list(scale_tables(Groups([]), [])) == []


def test_what_a_job_costs_is_told_apart_from_its_clusters() -> None:
    costs = ((DIRECT, 2, 2.0, 2.4), (DIRECT, 1, 1.8, 2.0), (SSH, 2, 3.0, 3.4), (SSH, 1, 2.8, 3.1))
    samples = [Sample(who, UNCHANGED, 1, wall, cpu, 1.0, clusters=clusters) for who, clusters, wall, cpu in costs]
    found = {figure.what: figure.measured for figure in figures(Groups(samples), None)}
    assert found[f"a job, {SSH}"] == ("1.00 s, 1.00 CPU more than ansible-playbook; 0.30 CPU a cluster, 2.80 CPU a job")


def test_the_pipe_is_the_documented_command_without_the_node() -> None:
    assert documented_command().count(LOGIN) == 1
