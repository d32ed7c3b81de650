# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as metrics: which there are, and what a report says for each. Pure.

PRIVATE to the collection. docs/metrics.md has the same list, and a test compares; so it does with all that alarms and
dashboard ask for. Names and units as Prometheus advises (https://prometheus.io/docs/practices/naming/): times are in
seconds since 1970, and 0 where something has not happened yet. The label is C(mesh_instance), since Prometheus itself
calls by C(instance) what it has scraped.

How many series there are follows from the inventory: at most three for each place that stores a certificate, two for
each link and each cluster, and some twenty beside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import get_args

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Phase
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import ALARM
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import short
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.exposition import Metric, Sample
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.links import UNKNOWN
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import UNREAD, Certificate, Link, Report

__all__ = ["METRICS", "samples_of"]

_MINUTE = 60
_DAY = 24 * 60 * _MINUTE
_PHASES = (*get_args(Phase), UNREAD)


def _metric(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"crossmesh_{name}", meaning, ("mesh_instance", *labels))


REPORT_TIME = _metric("report_timestamp_seconds", "When the report was made that all these values are of.")
REPORT_STALE_AFTER = _metric(
    "report_stale_after_seconds", "How long after this report the next one is to be there, by the schedule."
)
_PLACE = ("cluster", "side", "stored_in")
CERTIFICATE_END = _metric(
    "certificate_not_after_timestamp_seconds", "When the certificate in use at this place expires.", *_PLACE
)
CERTIFICATE_DUE = _metric(
    "certificate_renewal_due_timestamp_seconds", "From when on a run of rotate_certificates renews it.", *_PLACE
)
_ROOT = ("root", "role")
ROOT_END = _metric("root_not_after_timestamp_seconds", "When a trusted root of the custom CA expires.", *_ROOT)
ROOT_DUE = _metric(
    "root_replacement_due_timestamp_seconds", "From when on the certificates that it issues expire with it.", *_ROOT
)
ROOT_OVERDUE = _metric(
    "root_replacement_overdue_timestamp_seconds", "From when on verify raises root-expires of the issuing one.", *_ROOT
)
CRL_END = _metric(
    "crl_next_update_timestamp_seconds", "From when on gateways refuse all certificates of this CRL's root.", "root"
)
CRL_DUE = _metric("crl_renewal_due_timestamp_seconds", "From when on a run makes this CRL anew.", "root")
CRL_OVERDUE = _metric("crl_renewal_overdue_timestamp_seconds", "From when on verify raises crl-expires of it.", "root")
CA_PROBLEMS = _metric(
    "ca_problems", "What is wrong with the CA store or its audit journal: 0 where all is as its key has signed it."
)
LINK = _metric(
    "link_info",
    "1 for how a link stands: its status is up, down or unknown.",
    "link",
    "status",
    "state",
    "broken_at",
    "cause",
)
LINK_PROVEN = _metric(
    "link_last_proven_timestamp_seconds",
    "When a report has last seen every gateway pod serve the link and every probe answered; 0 for never.",
    "link",
)
CLUSTER_SEEN = _metric("cluster_seen", "Whether the report has looked at the cluster: 1 or 0.", "cluster")
ROTATION_PHASE = _metric("rotation_phase", "1 for the phase that the root rotation is in, 0 for the others.", "phase")
ROTATION_SINCE = _metric("rotation_phase_since_timestamp_seconds", "When a report has first seen it in this phase.")
ROTATION_WAITS = _metric(
    "rotation_waiting_certificates",
    "Certificates in use of a root that issues no more, for which the root rotation waits.",
    "cluster",
)
RUN_GOOD = _metric(
    "run_last_success_timestamp_seconds", "When a scheduled run has last ended well; 0 for never.", "playbook"
)
RUN_FAILED = _metric("run_last_failure_timestamp_seconds", "When one has last failed; 0 for never.", "playbook")
RUN_MISSED_AFTER = _metric(
    "run_missed_after_seconds",
    "How old the last good run may be: from one to the next, its limit, and until a report tells of it.",
    "playbook",
)

METRICS: tuple[Metric, ...] = (
    REPORT_TIME,
    REPORT_STALE_AFTER,
    CERTIFICATE_END,
    CERTIFICATE_DUE,
    ROOT_END,
    ROOT_DUE,
    ROOT_OVERDUE,
    CRL_END,
    CRL_DUE,
    CRL_OVERDUE,
    CA_PROBLEMS,
    LINK,
    LINK_PROVEN,
    CLUSTER_SEEN,
    ROTATION_PHASE,
    ROTATION_SINCE,
    ROTATION_WAITS,
    RUN_GOOD,
    RUN_FAILED,
    RUN_MISSED_AFTER,
)


def samples_of(report: Report) -> Iterator[Sample]:
    """Every value, each of the instance."""
    for metric, value, labels in (
        *_of_report(report),
        *_of_certificates(report.certificates),
        *_of_authority(report),
        *_of_links(report.links),
        *_of_rotation(report),
        *_of_runs(report),
    ):
        yield Sample(metric, {"mesh_instance": report.instance, **labels}, value)


_Value = tuple[Metric, int, dict[str, str]]


def _of_report(report: Report) -> Iterator[_Value]:
    yield REPORT_TIME, _seconds(report.made_at), {}
    yield REPORT_STALE_AFTER, report.fresh_for_minutes * _MINUTE, {}
    for cluster in report.clusters:
        yield CLUSTER_SEEN, int(cluster.seen), {"cluster": cluster.name}


def _of_certificates(certificates: Iterable[Certificate]) -> Iterator[_Value]:
    """Of those that are due some day, as they are in use: others are to expire.

    Named by their places: with a serial number each renewal would make a series of its own.
    """
    for item in certificates:
        if item.next_due:
            labels = {"cluster": item.cluster, "side": item.side, "stored_in": item.key_location}
            yield CERTIFICATE_END, _seconds(item.not_after), labels
            yield CERTIFICATE_DUE, _seconds(item.next_due), labels


def _of_authority(report: Report) -> Iterator[_Value]:
    yield CA_PROBLEMS, len(report.journal.problems), {}
    for root in report.roots:
        labels, end = {"root": short(root.fingerprint), "role": root.role}, _seconds(root.not_after)
        yield ROOT_END, end, labels
        # One that is trusted only goes with its certificates.
        if root.role != "trusted":
            yield ROOT_DUE, end - report.leaf_validity_days * _DAY, labels
            yield ROOT_OVERDUE, end - report.renew_before_days * _DAY, labels
    for crl in report.crls:
        labels = {"root": short(crl.root)}
        yield CRL_END, _seconds(crl.next_update), labels
        yield CRL_OVERDUE, _seconds(crl.next_update) - int(ALARM.total_seconds()), labels
        if crl.next_due:
            yield CRL_DUE, _seconds(crl.next_due), labels


def _of_links(links: Iterable[Link]) -> Iterator[_Value]:
    for link in links:
        seen = {"status": _status(link), "state": link.state, "broken_at": link.broken_at, "cause": link.cause}
        yield LINK, 1, {"link": link.name, **seen}
        yield LINK_PROVEN, _seconds(link.last_proven), {"link": link.name}


def _status(link: Link) -> str:
    if link.state in UNKNOWN:
        return "unknown"
    return "up" if link.state == "up" else "down"


def _of_rotation(report: Report) -> Iterator[_Value]:
    for phase in _PHASES:
        yield ROTATION_PHASE, int(report.phase == phase), {"phase": phase}
    yield ROTATION_SINCE, _seconds(report.phase_since), {}
    waiting = Counter(item.cluster for item in report.certificates if item.waits)
    for cluster in sorted({*waiting, *(cluster.name for cluster in report.clusters)}):
        yield ROTATION_WAITS, waiting[cluster], {"cluster": cluster}


def _of_runs(report: Report) -> Iterator[_Value]:
    for run in report.runs:
        labels = {"playbook": run.playbook}
        yield RUN_GOOD, _seconds(run.last_good), labels
        yield RUN_FAILED, _seconds(run.last_failed), labels
        # Until the next report, Prometheus sees a run that was as one that was not.
        yield RUN_MISSED_AFTER, (run.missed_after_minutes + report.fresh_for_minutes) * _MINUTE, labels


def _seconds(moment: str) -> int:
    """Since 1970; 0 for what has not happened."""
    return int(datetime.fromisoformat(moment).timestamp()) if moment else 0
