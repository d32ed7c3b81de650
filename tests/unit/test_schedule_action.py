# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A schedule as files: systemd and cron take them, and they say what was asked for."""

from __future__ import annotations

import configparser
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.action import mesh_schedule
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._schedule import Job
from tests.unit.support import Json, run_action

NAME = "crossmesh-default"
COMMAND = ["/usr/bin/env", "ansible-playbook", "-i", "/srv/our meshes/100%", "-e", 'note="$5"']
ALARM = ["/usr/bin/logger", "it's late:"]
JOBS = [
    {"playbook": "rotate_certificates", "at": "02:17", "limit": "3h"},
    {"playbook": "verify", "at": ":47", "limit": "50m"},
    {"playbook": "rotate_ca", "at": "Sun 04:05", "limit": "5h"},
]


def written(folder: Path, variables: Json | None = None, **options: Any) -> Json:
    given = {"path": str(folder), "command": COMMAND, "user": "ops", "alarm": ALARM, **options}
    return run_action(mesh_schedule, given, {"mesh_schedule": JOBS, **(variables or {})})


def unit(folder: Path, name: str) -> dict[str, dict[str, str]]:
    """A unit whose keys are there once, but for ExecStart and ExecStartPost."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(folder / "systemd" / name)
    return {section: dict(parser[section]) for section in parser.sections()}


def executed(folder: Path, name: str, key: str) -> list[str]:
    lines = (folder / "systemd" / name).read_text().splitlines()
    return [line.removeprefix(f"{key}=") for line in lines if line.startswith(f"{key}=")]


def crontab(folder: Path) -> list[str]:
    """The lines of jobs, as cron hands their commands to a shell."""
    lines = (folder / "cron" / NAME).read_text().splitlines()
    return [line.replace("\\%", "%") for line in lines if line and line[0] not in "#SPL"]


# -- what is written -----------------------------------------------------------------------------------------------


def test_each_job_has_a_service_and_a_timer_and_all_of_them_one_that_looks_for_missed_runs(tmp_path: Path) -> None:
    names = [*(f"{NAME}-{job['playbook']}" for job in JOBS), f"{NAME}-missed"]
    units = [f"systemd/{name}.{kind}" for name in names for kind in ("service", "timer")]
    assert sorted(written(tmp_path)["files"]) == sorted([f"cron/{NAME}", f"systemd/{NAME}-alarm@.service", *units])


def test_by_default_it_is_this_ansible_with_this_inventory(tmp_path: Path) -> None:
    run_action(mesh_schedule, {"path": str(tmp_path)}, {"ansible_inventory_sources": ["/srv/meshes"]})
    (line,) = executed(tmp_path, f"{NAME}-verify.service", "ExecStart")
    assert line.endswith("/ansible-playbook -i /srv/meshes crossmesh.mtls.verify")


@pytest.mark.parametrize(
    ("at", "cron", "calendar", "missed"),
    [
        ("02:17", "17 2 * * *", "*-*-* 02:17:00", 1440 + 30 + 10),
        (":47", "47 * * * *", "*-*-* *:47:00", 60 + 30 + 10),
        ("Sun 04:05", "5 4 * * Sun", "Sun *-*-* 04:05:00", 10080 + 30 + 10),
        ("00:00", "0 0 * * *", "*-*-* 00:00:00", 1440 + 30 + 10),
    ],
)
def test_a_time_is_the_same_for_cron_and_systemd(at: str, cron: str, calendar: str, missed: int) -> None:
    job = Job("verify", at, "30m")
    assert (job.cron, job.calendar, job.missed_after) == (cron, calendar, missed)
    subprocess.run(["systemd-analyze", "calendar", calendar], check=True, stdout=subprocess.DEVNULL)


def test_systemd_bounds_a_run_and_raises_the_alarm_where_it_fails(tmp_path: Path) -> None:
    written(tmp_path, heartbeat=["/usr/local/bin/beat"])
    found = unit(tmp_path, f"{NAME}-verify.service")
    assert found["Unit"]["OnFailure"] == f"{NAME}-alarm@%N.service"
    assert found["Service"]["Type"] == "oneshot"
    assert found["Service"]["TimeoutStartSec"] == "50m"
    assert executed(tmp_path, f"{NAME}-verify.service", "ExecStartPost") == [
        f"/usr/bin/touch /var/lib/{NAME}/verify.good",
        "-/usr/local/bin/beat verify",
    ]
    (failed,) = executed(tmp_path, f"{NAME}-verify.service", "ExecStopPost")
    assert failed.endswith(f'"test \\"$$SERVICE_RESULT\\" = success || touch /var/lib/{NAME}/verify.failed"')
    assert executed(tmp_path, f"{NAME}-alarm@.service", "ExecStart") == ['/usr/bin/logger "it\'s late:" %i']


def test_a_run_that_did_not_come_raises_the_alarm(tmp_path: Path) -> None:
    written(tmp_path)
    looks = executed(tmp_path, f"{NAME}-missed.service", "ExecStart")
    assert len(looks) == len(JOBS)
    assert f"find /var/lib/{NAME}/verify.good -mmin -120 " in looks[1]
    assert unit(tmp_path, f"{NAME}-missed.service")["Unit"]["OnFailure"] == f"{NAME}-alarm@%N.service"


def test_the_look_for_missed_runs_tells_old_from_new(tmp_path: Path) -> None:
    """As the shell does it that cron and systemd start."""
    written(tmp_path)
    (line,) = [line for line in crontab(tmp_path) if line.startswith("7 ") and "verify" in line]
    command = line.split(maxsplit=6)[6].partition(" || ")[0].replace(f"/var/lib/{NAME}", str(tmp_path))
    good = tmp_path / "verify.good"
    assert subprocess.run(["sh", "-c", command], check=False).returncode != 0, "no run yet"
    good.touch()
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0
    subprocess.run(["touch", "--date=3 hours ago", good], check=True)
    assert subprocess.run(["sh", "-c", command], check=False).returncode != 0


@pytest.mark.parametrize(("program", "code", "alarms"), [("true", 0, 0), ("false", 0, 1)])
def test_cron_tells_of_a_run_that_fails_alone(tmp_path: Path, program: str, code: int, alarms: int) -> None:
    written(tmp_path, command=[program, "100%", "it's"], alarm=["echo", "ALARM"])
    (line,) = [line for line in crontab(tmp_path) if line.startswith("47 ")]
    command = line.split(maxsplit=6)[6].replace(f"/var/lib/{NAME}", str(tmp_path))
    done = subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.count(f"ALARM {NAME}-verify"), done.stderr) == (code, alarms, "")
    assert (tmp_path / "verify.good").exists() == (program == "true")
    assert (tmp_path / "verify.failed").exists() == (program == "false")


@pytest.mark.parametrize(
    ("result", "marks"), [("success", []), ("exit-code", ["verify.failed"]), ("timeout", ["verify.failed"])]
)
def test_a_unit_marks_a_run_that_ended_otherwise_than_well(tmp_path: Path, result: str, marks: list[str]) -> None:
    written(tmp_path)
    (line,) = executed(tmp_path, f"{NAME}-verify.service", "ExecStopPost")
    # As systemd reads it (systemd.service(5), Command Lines).
    words = [word.replace("$$", "$") for word in shlex.split(line)]
    command = [word.replace(f"/var/lib/{NAME}", str(tmp_path / "marks")) for word in words]
    (tmp_path / "marks").mkdir()
    subprocess.run(command, check=True, env={"SERVICE_RESULT": result, "PATH": "/usr/bin:/bin"})
    assert [path.name for path in (tmp_path / "marks").iterdir()] == marks


def test_cron_starts_no_second_run_beside_one_that_goes_on(tmp_path: Path) -> None:
    written(tmp_path, command=["true"], alarm=["echo", "ALARM"])
    (line,) = [line for line in crontab(tmp_path) if line.startswith("47 ")]
    command = line.split(maxsplit=6)[6].replace(f"/var/lib/{NAME}", str(tmp_path))
    held = ["flock", str(tmp_path / "verify.lock"), "sh", "-c", command]
    assert "ALARM" in subprocess.run(held, check=False, capture_output=True, text=True).stdout
    assert not (tmp_path / "verify.good").exists()


def test_commands_reach_their_program_word_by_word(tmp_path: Path) -> None:
    written(tmp_path)
    (line,) = [line for line in crontab(tmp_path) if line.startswith("47 ")]
    words = shlex.split(line.partition(" && ")[2].partition(" >")[0])
    assert words[-7:] == [*COMMAND, "crossmesh.mtls.verify"]
    (started,) = executed(tmp_path, f"{NAME}-verify.service", "ExecStart")
    assert '"/srv/our meshes/100%%"' in started
    assert '"note=\\"$$5\\""' in started


def test_an_image_makes_cronjobs(tmp_path: Path) -> None:
    assert not any(path.startswith("kubernetes/") for path in written(tmp_path / "none")["files"])
    written(tmp_path / "one", image="registry.example.com/ee:1")
    found = list(yaml.safe_load_all((tmp_path / "one/kubernetes/cronjobs.yaml").read_text()))
    assert [item["metadata"]["name"] for item in found] == [
        f"{NAME}-{job['playbook']}".replace("_", "-") for job in JOBS
    ]
    spec = found[1]["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == ("47 * * * *", "Forbid")
    job = spec["jobTemplate"]["spec"]
    assert (job["backoffLimit"], job["activeDeadlineSeconds"]) == (0, 3000)
    (container,) = job["template"]["spec"]["containers"]
    assert container["command"] == ["ansible-playbook", "-i", "/runner/inventory", "crossmesh.mtls.verify"]


def test_a_heartbeat_follows_a_good_run_in_a_pod(tmp_path: Path) -> None:
    for program, beats in (("true", 1), ("false", 0)):
        folder = tmp_path / program
        written(folder, image="ee:1", image_command=[program], heartbeat=["echo", "BEAT"])
        (job, *_others) = yaml.safe_load_all((folder / "kubernetes/cronjobs.yaml").read_text())
        (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        done = subprocess.run(container["command"], check=False, capture_output=True, text=True)
        assert (done.returncode == 0, done.stdout.count("BEAT rotate_certificates")) == (bool(beats), beats)


def test_no_secret_is_in_the_files(tmp_path: Path) -> None:
    written(tmp_path, {"custom_ca_passphrase": "correct horse battery"}, image="ee:1")
    text = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "/srv/our meshes" in text, "the control"
    assert "correct horse" not in text


def test_an_instance_has_files_of_its_own(tmp_path: Path) -> None:
    written(tmp_path / "blue", {"mesh_instance": "blue"})
    assert "crossmesh-default" not in "".join(map(str, (tmp_path / "blue").rglob("*")))
    refused = written(tmp_path / "blue")
    assert [error["code"] for error in refused["errors"]] == ["folder-not-ours"]


def test_a_job_that_is_gone_takes_its_files_along(tmp_path: Path) -> None:
    written(tmp_path)
    fewer = {"mesh_schedule": JOBS[:2]}
    result = written(tmp_path, fewer)
    assert [line for line in result["lines"] if line.startswith("remove")] == [
        f"remove systemd/{NAME}-rotate_ca.service",
        f"remove systemd/{NAME}-rotate_ca.timer",
    ]
    assert written(tmp_path, fewer)["changed"] is False


# -- what is refused -----------------------------------------------------------------------------------------------


def job(**changes: Any) -> Json:
    return {"playbook": "verify", "at": "02:17", "limit": "1h", **changes}


@pytest.mark.parametrize(
    ("jobs", "code", "where"),
    [
        ([job(at="25:00")], "schedule", "mesh_schedule: verify: at"),
        ([job(at="17 2 * * *")], "schedule", "mesh_schedule: verify: at"),
        ([job(limit="0h")], "schedule", "mesh_schedule: verify: limit"),
        ([job(limit="90")], "schedule", "mesh_schedule: verify: limit"),
        ([job(at=":17")], "schedule", "mesh_schedule: verify: limit"),
        # YAML 1.1 reads 12:17 without quotes as a number of base 60.
        ([JOBS[0], job(at=737)], "type", "mesh_schedule[1].at"),
        ([job(playbook="teardown")], "choice", "mesh_schedule[0].playbook"),
        ([job(limit=None)], "missing", "mesh_schedule[0].limit"),
        ([job(when="now")], "unknown-key", "mesh_schedule[0].when"),
        (["verify"], "type", "mesh_schedule[0]"),
        ({"playbook": "verify"}, "type", "mesh_schedule"),
        ("verify", "type", "mesh_schedule"),
        (0, "type", "mesh_schedule"),
    ],
)
def test_jobs_that_cannot_be_meant_are_refused_with_their_place(
    tmp_path: Path, jobs: Any, code: str, where: str
) -> None:
    result = written(tmp_path, {"mesh_schedule": jobs})
    (error,) = result["errors"]
    assert (error["code"], where in error["where"], bool(error["fix"])) == (code, True, True), error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"command": ["ansible-playbook\nrm"]}, {"alarm": ["page", ""]}])
def test_words_that_no_unit_can_hold_are_refused(tmp_path: Path, options: Json) -> None:
    result = written(tmp_path, **options)
    assert [(error["code"], error["where"]) for error in result["errors"]] == [("schedule", "mesh_schedule_*")]
    assert list(tmp_path.iterdir()) == []


def test_an_option_of_another_type_is_refused_with_a_code(tmp_path: Path) -> None:
    (error,) = written(tmp_path, image={"name": "ours"}, alarm={"a": 1})["errors"]
    assert (error["code"], error["where"]) == ("wrong-option", f"task {mesh_schedule.__name__}")
    assert "alarm" in error["what"]


def test_without_a_schedule_of_its_own_the_default_is_written(tmp_path: Path) -> None:
    for variables in ({"mesh_schedule": None}, {}):
        files = run_action(mesh_schedule, {"path": str(tmp_path)}, variables)["files"]
        assert {f"systemd/{NAME}-{name}.timer" for name in ("verify", "rotate_certificates")} < set(files)


def test_a_playbook_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    result = written(tmp_path, {"mesh_schedule": [JOBS[1], JOBS[1]]})
    assert {error["code"] for error in result["errors"]} == {"schedule"}


# -- what systemd and cron say of it -------------------------------------------------------------------------------


def verified(folder: Path) -> subprocess.CompletedProcess[str]:
    units = sorted(map(str, (folder / "systemd").iterdir()))
    return subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], check=False, capture_output=True, text=True
    )


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    written(tmp_path, heartbeat=["/bin/true"])
    done = verified(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    broken = tmp_path / "systemd" / f"{NAME}-verify.service"
    broken.write_text(broken.read_text().replace("TimeoutStartSec=50m", "TimeoutStartSec=soon"))
    assert "TimeoutStartSec" in verified(tmp_path).stderr, "the control"


def checked(text: str) -> int:
    """What cron says of a table of one user."""
    return subprocess.run(["crontab", "-n", "-"], input=text, check=False, capture_output=True, text=True).returncode


def table_of(folder: Path) -> str:
    """The file as the table of one user."""
    lines = (folder / "cron" / NAME).read_text().splitlines()
    return "".join(f"{line.replace(' ops ', ' ', 1)}\n" for line in lines)


def test_cron_takes_the_table(tmp_path: Path) -> None:
    written(tmp_path, heartbeat=["/bin/true"])
    assert checked(table_of(tmp_path)) == 0
    assert checked(table_of(tmp_path).replace("47 * * * *", "77 * * * *")) != 0, "the control"


def long_command(folder: Path, length: int) -> Json:
    """With one word, of which the longest command in the table is so many characters longer than with none."""
    return written(folder, command=["/bin/" + "a" * length])


def test_of_a_command_that_cron_would_not_take_it_gets_no_file_and_the_others_theirs(tmp_path: Path) -> None:
    long_command(tmp_path / "short", 1)
    lines = (tmp_path / "short/cron" / NAME).read_text().splitlines()
    shortest = max(len(line.split(maxsplit=6)[6]) for line in lines if line.split()[0] in ("17", "47", "5", "7"))
    most = 998 - shortest + 1
    assert long_command(tmp_path / "most", most)["warnings"] == []
    assert checked(table_of(tmp_path / "most")) == 0
    # The control: cron itself takes no character more.
    assert checked(table_of(tmp_path / "most").replace("/bin/a", "/bin/aa")) != 0
    more = long_command(tmp_path / "more", most + 1)
    (warning,) = more["warnings"]
    assert "999 bytes, and cron takes 998" in warning
    assert "[too-long-for-cron]" in warning
    assert [path for path in more["files"] if not path.startswith("systemd/")] == []
    assert f"systemd/{NAME}-verify.timer" in more["files"]
