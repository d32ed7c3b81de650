# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run does to istiod and to the proxies, by their own monitoring."""

import json
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.lab import Lab, procfs, wait

from .contenders import carries
from .stage import CLIENT, SERVER, Link

BEFORE = "before"
CONVERGENCE = "pilot_proxy_convergence_time"

_MIB = 2**20
# Of one processor.
_AT_REST = 0.1
_PROXIES = (
    ("egress gateway", CLIENT, "istio-egressgateway-0"),
    ("ingress gateway", SERVER, "istio-ingressgateway-0"),
    ("client's sidecar", CLIENT, "mysql-client"),
)


@dataclass(frozen=True)
class Reading:
    """Something that was read after a phase; not the time of a run."""

    who: str
    what: str
    phase: str
    links: int
    value: float

    def __str__(self) -> str:
        return f"{self.who}, {self.links}, {self.phase}: {self.what} {self.value:.3g}"


# By series, labels and all, and summed up by metric.
Counters = Mapping[str, float]


def parse(metrics: str) -> Counters:
    """Prometheus's text format."""
    found: dict[str, float] = {}
    for line in metrics.splitlines():
        if line and not line.startswith("#"):
            series, _space, value = line.rpartition(" ")
            for key in {series, series.partition("{")[0]}:
                found[key] = found.get(key, 0.0) + float(value)
    return found


def istiods(lab: Lab) -> dict[str, Counters]:
    return {cluster: _istiod(lab, cluster) for cluster in (CLIENT, SERVER)}


def settle(lab: Lab) -> None:
    """Wait until istiod has nothing more to do: the next run is not to pay for the last one."""

    def at_rest() -> bool:
        before = istiods(lab)
        time.sleep(1)
        after = istiods(lab)
        return all(_more("process_cpu_seconds_total", before[name], after[name]) < _AT_REST for name in after)

    wait.until(at_rest, what="istiod comes to rest", cure="see the logs of istiod", timeout=300)


def carried(lab: Lab, link: Link, phase: str, links: int) -> Reading:
    """How long from now until a new connection comes through."""
    began = time.monotonic()
    wait.until(
        lambda: carries(lab, link), what=f"link {link.name} carries", cure="see the logs of the gateways", timeout=120
    )
    return Reading("new link", "seconds until it carries", phase, links, time.monotonic() - began)


def read(lab: Lab, phase: str, links: int, before: Mapping[str, Counters]) -> Iterator[Reading]:
    """All of it, once istiod is at rest.

    :param before: of each istiod, from which on its pushes count.
    """
    for cluster, now in istiods(lab).items():
        for what, value in _of_istiod(before[cluster], now):
            yield Reading(f"istiod of {cluster}", what, phase, links, value)
    for name, cluster, pod in _PROXIES:
        memory = json.loads(lab.envoy(cluster, pod, "memory"))
        yield Reading(name, "MiB allocated", phase, links, int(memory["allocated"]) / _MIB)
        resident = procfs.memory_mib(lab.pid(cluster, pod, "envoy"))
        yield Reading(name, "MiB resident", phase, links, resident)


def _of_istiod(before: Counters, now: Counters) -> Iterator[tuple[str, float]]:
    yield "MiB resident", now["process_resident_memory_bytes"] / _MIB
    pushes = _more(f"{CONVERGENCE}_count", before, now)
    yield "pushes", pushes
    if pushes:
        yield "seconds from a change to a proxy, mean", mean(CONVERGENCE, before, now)
        yield "seconds from a change to a proxy, most", within(CONVERGENCE, before, now)
        yield "seconds a push of one type, mean", mean("pilot_xds_push_time", before, now)
    yield "CPU seconds", _more("process_cpu_seconds_total", before, now)
    yield "rejected pushes", _more("pilot_total_xds_rejects", before, now)


def mean(histogram: str, before: Counters, now: Counters) -> float:
    return _more(f"{histogram}_sum", before, now) / _more(f"{histogram}_count", before, now)


def within(histogram: str, before: Counters, now: Counters) -> float:
    """The least bound of a bucket that holds all that came since: no more was needed."""
    mark = f'{histogram}_bucket{{le="'
    total = _more(f"{histogram}_count", before, now)
    bounds = (float(series[len(mark) : -2]) for series in now if series.startswith(mark))
    return min(bound for bound in bounds if _more(_bucket(mark, bound), before, now) >= total)


def _bucket(mark: str, bound: float) -> str:
    return f'{mark}{"+Inf" if bound == float("inf") else f"{bound:g}"}"}}'


def _more(series: str, before: Counters, now: Counters) -> float:
    # A counter that has never counted is not there.
    return now.get(series, 0.0) - before.get(series, 0.0)


def _istiod(lab: Lab, cluster: str) -> Counters:
    url = f"http://{lab.cluster(cluster).host_address}:15014/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return parse(answer.read().decode())
