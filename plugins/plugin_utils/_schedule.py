# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A schedule of runs as files for systemd, cron and Kubernetes. Pure.

PRIVATE to the collection. Each has a time limit and a lock, and tells of a run that failed and of one that did not
come; whoever tells the latter is another unit, line or machine than the one that may be gone.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import check_shape, wrong_type
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.runs import failed_mark, good_mark, marks_folder

__all__ = ["PATTERNS", "Job", "Schedule", "faults", "files_of", "jobs_of", "too_long_for_cron"]

# Where files of a schedule stand.
PATTERNS = ("systemd/*", "cron/*", "kubernetes/*")
_FIELD = next(field for field in schema.PLAYBOOK if field.name == "mesh_schedule")
_VARIABLE = _FIELD.name

_AT = re.compile(r"(?:(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?([01][0-9]|2[0-3]))?:([0-5][0-9])", re.ASCII)
_LIMIT = re.compile(r"([1-9][0-9]{0,2})([mh])", re.ASCII)
_HOUR, _DAY, _WEEK = 60, 1440, 10080
# Minutes beside interval and limit after which a good run counts as missed.
_GRACE = 10
# Bytes of a command, for cron as Debian has it: with a longer one it takes nothing of the file.
_LONGEST = 998
# For what is to end within a moment: the alarm, and the look for missed runs.
_MOMENT = "1m"


@dataclass(frozen=True)
class Job:
    """A playbook that runs again and again.

    :param at: C(HH:MM) for each day, C(Mon HH:MM) for each week, C(:MM) for each hour.
    :param limit: the longest that a run may take, a whole number of C(m) or C(h).
    """

    playbook: str
    at: str
    limit: str

    @property
    def _when(self) -> tuple[str, str, str]:
        """Weekday, hour and minute; the first two may be empty."""
        found = _AT.fullmatch(self.at)
        weekday, hour, minute = found.groups() if found else ("", "", "")
        return weekday or "", hour or "", minute

    @property
    def cron(self) -> str:
        """The five fields of cron, which CronJobs take as well."""
        weekday, hour, minute = self._when
        return f"{int(minute)} {int(hour) if hour else '*'} * * {weekday or '*'}"

    @property
    def calendar(self) -> str:
        """What systemd.time(7) calls a calendar event."""
        weekday, hour, minute = self._when
        return f"{weekday} *-*-* {hour or '*'}:{minute}:00".strip()

    @property
    def every(self) -> int:
        """Minutes from one run to the next."""
        weekday, hour, _minute = self._when
        return _WEEK if weekday else _DAY if hour else _HOUR

    @property
    def minutes(self) -> int:
        """Of the limit."""
        found = _LIMIT.fullmatch(self.limit)
        return int(found[1]) * (_HOUR if found[2] == "h" else 1) if found else 0

    @property
    def missed_after(self) -> int:
        """Minutes since the last good run."""
        return self.every + self.minutes + _GRACE


@dataclass(frozen=True)
class Schedule:
    """:param command: of a run, up to the playbook's name.
    :param folder: in which a run starts: paths of an inventory may begin there.
    :param alarm: a command, which is given the job's name.
    :param heartbeat: the same, after each good run; empty for none.
    :param image: of the CronJobs; empty for none.
    """

    instance: str
    jobs: tuple[Job, ...]
    command: tuple[str, ...]
    folder: str
    user: str
    alarm: tuple[str, ...]
    heartbeat: tuple[str, ...]
    image: str
    image_command: tuple[str, ...]
    namespace: str

    @property
    def name(self) -> str:
        return f"crossmesh-{self.instance}"

    @property
    def state(self) -> str:
        """Where each run leaves a mark: systemd's C(StateDirectory) of this name."""
        return marks_folder(self.instance)

    def run(self, job: Job) -> tuple[str, ...]:
        return *self.command, f"crossmesh.mtls.{job.playbook}"

    def good(self, job: Job) -> str:
        """The file whose time is that of the job's last good run."""
        return good_mark(self.state, job.playbook)

    def failed(self, job: Job) -> str:
        """The same of its last run that failed."""
        return failed_mark(self.state, job.playbook)


def jobs_of(given: object) -> tuple[Job, ...]:
    """:param given: C(mesh_schedule); None for its default.
    :raises CrossmeshError: it is no list of jobs, or there is no such time, or no such limit.
    """
    entries: Any = _FIELD.default if given is None else given
    if misshapen := list(_misshapen(entries)):
        raise CrossmeshError(*misshapen)
    jobs = tuple(Job(**entry) for entry in entries)
    if unfit := list(_faults_of_jobs(jobs)):
        raise CrossmeshError(*unfit)
    return jobs


def _misshapen(entries: object) -> Iterator[Message]:
    if not isinstance(entries, list):
        yield wrong_type(_VARIABLE, _VARIABLE, entries, _FIELD.type, _FIELD.example)
        return
    for number, entry in enumerate(entries):
        path = f"{_VARIABLE}[{number}]"
        if isinstance(entry, Mapping):
            yield from check_shape(_VARIABLE, f"{path}.", entry, schema.SCHEDULE)
        else:
            yield wrong_type(_VARIABLE, path, entry, "dict", _FIELD.example.strip("[]"))


def faults(schedule: Schedule) -> Iterator[Message]:
    """What cannot be written as it was given, beside its jobs."""
    words = [*schedule.command, *schedule.alarm, *schedule.heartbeat, *schedule.image_command]
    if not all(word and word.isprintable() for word in (*words, schedule.folder)):
        what = "a command or the folder has an empty word, or one with a line break"
        yield _unfit("mesh_schedule_*", what, "write words without line breaks, or call a script")


def too_long_for_cron(schedule: Schedule) -> list[Message]:
    """A warning for each job whose command cron would not take; then there is no file for cron."""
    lengths = {
        job.playbook: max(len(command.encode()) for _when, command in _of_cron(schedule, job)) for job in schedule.jobs
    }
    return [
        Message.warning(
            "too-long-for-cron",
            where=f"{_VARIABLE}: {playbook}",
            what=f"its command in a file for cron has {length} bytes, and cron takes {_LONGEST}: there is no such file",
            fix="let mesh_schedule_command and those beside it be scripts",
        )
        for playbook, length in lengths.items()
        if length > _LONGEST
    ]


def _faults_of_jobs(jobs: Sequence[Job]) -> Iterator[Message]:
    names = [job.playbook for job in jobs]
    for job in jobs:
        where = f"{_VARIABLE}: {job.playbook}"
        if names.count(job.playbook) > 1:
            yield _unfit(where, "it is listed twice", "write one entry for each playbook")
        if not _AT.fullmatch(job.at):
            yield _unfit(f"{where}: at", f"{job.at!r} is no time", "write HH:MM, Mon HH:MM, or :MM for each hour")
        elif not job.minutes:
            yield _unfit(f"{where}: limit", f"{job.limit!r} is no duration", "write a whole number of m or h, e.g. 3h")
        elif job.minutes >= job.every:
            yield _unfit(f"{where}: limit", f"{job.limit} lasts until the next run", "write less than that")


def _unfit(where: str, what: str, fix: str) -> Message:
    return Message.error("schedule", where=where, what=what, fix=fix)


def files_of(schedule: Schedule) -> dict[str, str]:
    """The text of every file, by its path.

    :param schedule: one without faults.
    """
    found = {f"systemd/{name}": text for name, text in _units(schedule)}
    if not too_long_for_cron(schedule):
        found[f"cron/{schedule.name}"] = _cron(schedule)
    if schedule.image:
        found["kubernetes/cronjobs.yaml"] = yaml.safe_dump_all(
            [_cronjob(schedule, job) for job in schedule.jobs], sort_keys=False, explicit_start=True, width=120
        )
    return found


# -- systemd -------------------------------------------------------------------------------------------------------


def _units(schedule: Schedule) -> Iterator[tuple[str, str]]:
    for job in schedule.jobs:
        name = f"{schedule.name}-{job.playbook}"
        yield f"{name}.service", _run_unit(schedule, job)
        # One that the machine slept through is made up for.
        yield f"{name}.timer", _timer(f"{name}.service at its time", job.calendar, "Persistent=true")
    watch = f"{schedule.name}-missed"
    yield f"{watch}.service", _watch_unit(schedule)
    yield f"{watch}.timer", _timer(f"{watch}.service at its time", "*:07:00")
    yield f"{schedule.name}-alarm@.service", _alarm_unit(schedule)


def _run_unit(schedule: Schedule, job: Job) -> str:
    title = f"crossmesh.mtls.{job.playbook}, instance {schedule.instance}"
    after = [_words(("/usr/bin/touch", schedule.good(job)))]
    # A heartbeat that does not get through raises the alarm where it is waited for.
    after += [f"-{_words((*schedule.heartbeat, job.playbook))}"] if schedule.heartbeat else []
    return _unit(
        _unit_section(schedule, title, "After=network-online.target", "Wants=network-online.target"),
        [
            "[Service]",
            "# It is started once at a time, whatever starts it.",
            "Type=oneshot",
            f"User={schedule.user}",
            f"WorkingDirectory={_escaped(schedule.folder)}",
            f"StateDirectory={schedule.name}",
            "Environment=LC_ALL=C.UTF-8",
            f"TimeoutStartSec={job.limit}",
            "TimeoutStopSec=60",
            f"ExecStart={_words(schedule.run(job))}",
            *(f"ExecStartPost={command}" for command in after),
            f"ExecStopPost={_words(('/bin/sh', '-c', _unless_good(schedule, job)))}",
        ],
    )


def _unless_good(schedule: Schedule, job: Job) -> str:
    """Leaves the mark of a run that failed, however it ended (systemd.exec(5), SERVICE_RESULT)."""
    return f'test "$SERVICE_RESULT" = success || {shlex.join(("touch", schedule.failed(job)))}'


def _watch_unit(schedule: Schedule) -> str:
    """A look for good runs that did not come, as when a timer was switched off."""
    return _unit(
        _unit_section(schedule, f"Runs that were missed, instance {schedule.instance}"),
        [
            "[Service]",
            "Type=oneshot",
            f"User={schedule.user}",
            f"TimeoutStartSec={_MOMENT}",
            *(f"ExecStart={_words(('/bin/sh', '-c', _seen(schedule, job)))}" for job in schedule.jobs),
        ],
    )


def _alarm_unit(schedule: Schedule) -> str:
    return _unit(
        ["[Unit]", f"Description=Alarm of instance {schedule.instance}: %i"],
        [
            "[Service]",
            "Type=oneshot",
            f"User={schedule.user}",
            f"TimeoutStartSec={_MOMENT}",
            f"ExecStart={_words(schedule.alarm)} %i",
        ],
    )


def _timer(title: str, calendar: str, *more: str) -> str:
    return _unit(
        ["[Unit]", f"Description={title}"],
        ["[Timer]", f"OnCalendar={calendar}", *more],
        ["[Install]", "WantedBy=timers.target"],
    )


def _unit_section(schedule: Schedule, title: str, *more: str) -> list[str]:
    return ["[Unit]", f"Description={title}", f"OnFailure={schedule.name}-alarm@%N.service", *more]


def _unit(*sections: Iterable[str]) -> str:
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _words(words: Sequence[str]) -> str:
    """A command line of systemd (systemd.service(5), Command Lines)."""
    return " ".join(map(_word, words))


def _word(word: str) -> str:
    text = _escaped(word).replace("$", "$$")
    if re.fullmatch(r"[\w./:=@%+,-]+", text, re.ASCII):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    """Without specifiers of systemd."""
    return text.replace("%", "%%")


# -- cron ----------------------------------------------------------------------------------------------------------


def _cron(schedule: Schedule) -> str:
    lines = [
        f"# Install it as /etc/cron.d/{schedule.name}, after: install -d -o {schedule.user} {schedule.state}",
        "# What is printed is mailed; something is printed only where a run failed.",
        "SHELL=/bin/sh",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "LC_ALL=C.UTF-8",
        *(f"{when} {schedule.user} {command}" for job in schedule.jobs for when, command in _of_cron(schedule, job)),
    ]
    return "\n".join(lines) + "\n"


def _of_cron(schedule: Schedule, job: Job) -> Iterator[tuple[str, str]]:
    """When the lines of a job are run, and their commands: the run, and the look for one that was missed."""
    for when, command in ((job.cron, _guarded(schedule, job)), ("7 * * * *", _watched(schedule, job))):
        # To cron a bare % is the end of the command.
        yield when, command.replace("%", "\\%")


def _guarded(schedule: Schedule, job: Job) -> str:
    """A run under its lock and limit; its output is kept, and shown where it fails."""
    log, lock = f"{schedule.state}/{job.playbook}.log", f"{schedule.state}/{job.playbook}.lock"
    limit = ("timeout", "--kill-after=60", f"{job.minutes}m")
    run = shlex.join(("flock", "--nonblock", "--conflict-exit-code=75", lock, *limit, *schedule.run(job)))
    good = shlex.join(("touch", schedule.good(job)))
    beat = f" && {{ {shlex.join((*schedule.heartbeat, job.playbook))} || true; }}" if schedule.heartbeat else ""
    mark = shlex.join(("touch", schedule.failed(job)))
    failed = f"{{ {mark}; tail -n 50 {shlex.quote(log)}; {_alarm(schedule, job)}; }}"
    return f"cd {shlex.quote(schedule.folder)} && {run} >{shlex.quote(log)} 2>&1 && {good}{beat} || {failed}"


def _watched(schedule: Schedule, job: Job) -> str:
    return f"{_seen(schedule, job)} || {_alarm(schedule, job)}"


def _alarm(schedule: Schedule, job: Job) -> str:
    return shlex.join((*schedule.alarm, f"{schedule.name}-{job.playbook}"))


def _seen(schedule: Schedule, job: Job) -> str:
    """Whether the last good run of a job is new enough, for a shell."""
    return f"find {shlex.quote(schedule.good(job))} -mmin -{job.missed_after} | grep -q ."


# -- Kubernetes ----------------------------------------------------------------------------------------------------


def _cronjob(schedule: Schedule, job: Job) -> dict[str, Any]:
    name = f"{schedule.name}-{job.playbook}".replace("_", "-")
    spec = {
        "schedule": job.cron,
        "concurrencyPolicy": "Forbid",
        # As long as the next one has not come; without it, a hundred that were missed end the CronJob.
        "startingDeadlineSeconds": job.every * 30,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {
            "spec": {
                # The next run goes on from where one stopped.
                "backoffLimit": 0,
                "activeDeadlineSeconds": job.minutes * 60,
                "template": {"spec": _pod(schedule, job)},
            }
        },
    }
    metadata = {"name": name, "namespace": schedule.namespace}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}


def _pod(schedule: Schedule, job: Job) -> dict[str, Any]:
    return {
        "serviceAccountName": "crossmesh",
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "run",
                "image": schedule.image,
                "command": _command(schedule, job),
                # The passphrase, as the inventory looks it up; made by somebody else than this.
                "envFrom": [{"secretRef": {"name": schedule.name, "optional": True}}],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    }


def _command(schedule: Schedule, job: Job) -> list[str]:
    run = [*schedule.image_command, f"crossmesh.mtls.{job.playbook}"]
    if not schedule.heartbeat:
        return run
    beat = shlex.join((*schedule.heartbeat, job.playbook))
    return ["/bin/sh", "-c", f"{shlex.join(run)} && {{ {beat} || true; }}"]
