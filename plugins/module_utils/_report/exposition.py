# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as a text that Prometheus reads (text-based exposition format, version 0.0.4). Pure.

PRIVATE to the collection. https://prometheus.io/docs/instrumenting/exposition_formats/ has the format. A reader refuses
the whole text where two lines have one name and the same labels: of such, the lower value is kept, since times are of
what ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import visible

__all__ = ["Metric", "Sample", "exposition"]


@dataclass(frozen=True)
class Metric:
    """A gauge: what a value is of, and what it means.

    :param name: with its unit, in letters, digits and underscores.
    :param labels: their names, in the order in which they are written.
    """

    name: str
    help: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """One value of a metric.

    :param labels: of all that the metric has; they may be foreign.
    """

    metric: Metric
    labels: Mapping[str, str]
    value: int


def exposition(samples: Iterable[Sample]) -> str:
    """The text, by metric, in the order in which each comes first."""
    lines: dict[Metric, dict[str, int]] = defaultdict(dict)
    for sample in samples:
        series = sample.metric.name + _labels(sample)
        found = lines[sample.metric]
        found[series] = min(sample.value, found.get(series, sample.value))
    return "".join(
        f"# HELP {metric.name} {_escaped(metric.help)}\n# TYPE {metric.name} gauge\n"
        + "".join(f"{series} {value}\n" for series, value in values.items())
        for metric, values in lines.items()
    )


def _labels(sample: Sample) -> str:
    pairs = (f'{name}="{_quoted(sample.labels[name])}"' for name in sample.metric.labels)
    return f"{{{','.join(pairs)}}}"


def _quoted(value: str) -> str:
    """A label's value: what does not print is written out first, so that no reader of a dashboard obeys it."""
    return _escaped(visible(value)).replace('"', '\\"')


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
