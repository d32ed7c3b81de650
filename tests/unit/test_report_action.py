# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report is made of when Ansible asks for it: looks as they come, a CA store, and files in a folder."""

from __future__ import annotations

import html
import json
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import mesh_cluster_info, mesh_report
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.details import details_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report import gathering
from tests.unit.ca.support import file_store
from tests.unit.pki.support import NOW, PASSPHRASE, Root, make_root
from tests.unit.plan.test_plan import leaf_of, plan_of, reading, secret, serving
from tests.unit.support import SERVER, Json, link, run_action, view

PROM = "crossmesh.default.prom"
FILES = {"report.html", "report.json", "report.schema.json", "certificates.csv", "cbom.json"}


def store_at(folder: Path, root: Root) -> None:
    file_store(folder).create(PASSPHRASE, root.key, root.view.pem)


def read(root: Root, certificate: str = "", after: str = "") -> Reading:
    """A cluster in order.

    :param after: what stands in C(tls.crt) beside the certificate.
    """
    leaf = leaf_of(root)
    held = secret(leaf, root, certificate=(certificate or leaf.certificate_pem) + after)
    return reading(secrets=[held], pods={"server": [serving(leaf)], "client": []})


def look_at(found: Reading, root: Root) -> Json:
    """The result of mesh_cluster_info, as far as a report reads it."""
    wanted = view([link()], SERVER)["server"]
    authority = Authority("/srv/ca", root.view, (root.view,))
    plan = plan_of(found, authority=authority)
    side = mesh_cluster_info._side(plan, found, wanted, authority)
    return {
        "cluster": "cluster-b",
        "identity": found["identity"],
        "details": json.dumps(details_of(found, {"server": wanted})),
        "sides": {"server": side},
    }


def variables(folder: Path) -> Json:
    clusters = {
        "cluster-a": {"group_names": ["mesh_clients"], "mesh_cluster_name": "cluster-a"},
        "cluster-b": {"group_names": ["mesh_servers"], "mesh_cluster_name": "cluster-b"},
    }
    return {
        "mesh_links": [link()],
        "custom_ca_dir": str(folder / "ca"),
        "custom_ca_passphrase": PASSPHRASE,
        "groups": {"mesh_clients": ["cluster-a"], "mesh_servers": ["cluster-b"]},
        "hostvars": {name: {"inventory_hostname": name, **given} for name, given in clusters.items()},
    }


def report(folder: Path, looks: Mapping[str, Any], more: Json | None = None, /, **options: Any) -> Json:
    """:param more: variables beside those of every inventory here."""
    given = {"looks": dict(looks), "proofs": [{} for _look in looks], **options}
    return run_action(mesh_report, given, {**variables(folder), **(more or {})})


def made(folder: Path, more: Json | None = None, /, **options: Any) -> Json:
    """A report of one cluster that was looked at and one that is away."""
    root = make_root(now=NOW)
    store_at(folder / "ca", root)
    away = {"msg": "away", "errors": [_away()]}
    looks = {"cluster-a": away, "cluster-b": look_at(read(root), root)}
    return report(folder, looks, more, **{"dir": str(folder / "out"), **options})


def _away() -> Json:
    what = "cannot be reached: connection refused"
    return {"code": "api-unreachable", "level": "error", "where": "https://a.example", "what": what, "fix": ""}


def test_a_report_is_five_files_and_says_what_it_has_not_seen(tmp_path: Path, capsys: Any) -> None:
    result = made(tmp_path)
    assert "failed" not in result
    assert (
        {Path(name).name for name in result["files"]} == {path.name for path in (tmp_path / "out").iterdir()} == FILES
    )
    content = json.loads((tmp_path / "out/report.json").read_text())
    assert content["summary"] == result["summary"]
    (mysql,) = content["links"]
    assert (mysql["state"], mysql["where"]) == ("not seen", ["cluster-a"])
    assert content["coverage"]["unseen"] == [
        {"cluster": "cluster-a", "why": "https://a.example: cannot be reached: connection refused"}
    ]
    (held,) = (item for item in content["certificates"] if item["in_service"])
    assert held["key_location"] == "Secret istio-system/mysql-credential in cluster cluster-b"
    assert content["roots"][0]["key_location"] == f"CA store {tmp_path}/ca, encrypted"
    assert content["journal"]["last_kind"] == "root-trusted"
    said = capsys.readouterr().out
    assert "0 of 1 links are up\nmysql: not seen in cluster-a\nnot looked at: cluster-a: https://a.example" in said
    assert f"written: {tmp_path}/out/report.html" in said


def test_a_query_prints_its_answer_and_leaves_nothing(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    result = made(tmp_path, dir="", query="links[?state != 'up'].name")
    assert (result["answer"], result["files"]) == (["mysql"], [])
    assert json.loads(capsys.readouterr().out) == ["mysql"]
    assert {path.name for path in tmp_path.iterdir()} == {"ca"}


def test_numbers_of_a_query_stand_in_backquotes(tmp_path: Path) -> None:
    assert made(tmp_path, query="length(clusters[?seen == `true`])")["answer"] == 1
    assert made(tmp_path / "again", query="links[?tls_port > `13000`].name")["answer"] == ["mysql"]


def test_a_query_that_cannot_be_answered_is_one_message(tmp_path: Path) -> None:
    for query in ("links[?", "length(version)", "nothing(links)"):
        result = made(tmp_path / query.strip("[?()"), query=query)
        assert [error["code"] for error in result["errors"]] == ["report-query"]
        assert query in result["msg"]


def test_the_next_report_tells_what_has_changed(tmp_path: Path) -> None:
    root = make_root(now=NOW)
    store_at(tmp_path / "ca", root)
    folder = {"dir": str(tmp_path / "out")}
    report(tmp_path, {"cluster-a": {}, "cluster-b": {}}, **folder)
    report(tmp_path, {"cluster-a": {}, "cluster-b": look_at(read(root), root)}, **folder)
    changes = json.loads((tmp_path / "out/report.json").read_text())["changes"]
    assert [(item["kind"], item["subject"], item["after"]) for item in changes] == [
        ("cluster seen", "cluster-b", "looked at")
    ]


def test_another_file_in_its_place_is_said_and_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/report.json").write_text('{"version": 99}')
    result = made(tmp_path)
    assert [line.endswith("[previous-report]") for line in result["warnings"]] == [True]
    assert json.loads((tmp_path / "out/report.json").read_text())["version"] == 1


def test_a_folder_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = made(tmp_path, dir=str(tmp_path / "file/out"))
    assert [error["code"] for error in result["errors"]] == ["report-not-written"]


def test_who_was_not_looked_at_for_the_limit_is_said_so(tmp_path: Path) -> None:
    store_at(tmp_path / "ca", make_root(now=NOW))
    report(tmp_path, {"cluster-a": {}, "cluster-b": {}}, dir=str(tmp_path / "out"))
    content = json.loads((tmp_path / "out/report.json").read_text())
    assert {item["why"] for item in content["coverage"]["unseen"]} == {"not looked at in this run (--limit)"}


def test_without_a_ca_a_report_is_written_too(tmp_path: Path) -> None:
    result = report(tmp_path, {"cluster-a": {}, "cluster-b": {}}, dir=str(tmp_path / "out"))
    assert "failed" not in result
    assert json.loads((tmp_path / "out/report.json").read_text())["phase"] == "absent"


def test_the_report_of_another_instance_is_none_of_before(tmp_path: Path) -> None:
    assert made(tmp_path)["warnings"] == []
    assert made(tmp_path)["warnings"] == [], "the control"
    (warning,) = made(tmp_path, {"mesh_instance": "blue"})["warnings"]
    assert "is not a report of instance blue" in warning
    assert "[previous-report]" in warning


def test_a_store_that_cannot_be_read_is_told_and_what_it_held_has_not_gone(tmp_path: Path) -> None:
    folder = {"dir": str(tmp_path / "out")}
    store_at(tmp_path / "ca", make_root(now=NOW))
    report(tmp_path, {"cluster-a": {}, "cluster-b": {}}, **folder)
    (tmp_path / "ca/authority.json").write_text("{")
    result = report(tmp_path, {"cluster-a": {}, "cluster-b": {}}, **folder)
    assert "failed" not in result
    content = json.loads((tmp_path / "out/report.json").read_text())
    assert (content["phase"], content["changes"]) == ("unknown", [])
    assert "authority.json" in content["journal"]["problems"][0]
    assert content["journal"]["problems"][0] in html.unescape((tmp_path / "out/report.html").read_text())


# -- metrics and runs ----------------------------------------------------------------------------------------------


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the marks of runs, in the place of the machine's own."""
    folder = tmp_path / "marks"
    folder.mkdir()
    monkeypatch.setattr(gathering, "marks_folder", lambda _instance: str(folder))
    return folder


def collected(folder: Path) -> Path:
    """Where node exporter would look."""
    (folder / "collected").mkdir(exist_ok=True)
    return folder / "collected"


def test_metrics_are_one_file_that_everybody_may_read_and_that_is_replaced_as_a_whole(tmp_path: Path) -> None:
    place = collected(tmp_path)
    (place / PROM).write_text("half of a li")
    (place / PROM).chmod(0o600)
    before = (place / PROM).stat().st_ino
    umask = os.umask(0o077)
    try:
        result = made(tmp_path, metrics_dir=str(place))
    finally:
        os.umask(umask)
    assert result["files"][-1] == str(place / PROM)
    assert [path.name for path in place.iterdir()] == [PROM]
    assert stat.S_IMODE((place / PROM).stat().st_mode) == 0o644
    assert (place / PROM).stat().st_ino != before
    text = (place / PROM).read_text()
    assert 'crossmesh_link_info{mesh_instance="default",link="mysql",status="unknown"' in text
    assert text.endswith("\n")


def test_without_a_folder_and_with_a_question_alone_there_are_no_metrics(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    place = collected(tmp_path)
    made(tmp_path, dir="", query="version", metrics_dir=str(place))
    assert list(place.iterdir()) == []
    made(tmp_path / "again", metrics_dir="")
    assert list(tmp_path.rglob("*.prom")) == []
    made(tmp_path / "control", query="version", metrics_dir=str(place))
    assert [path.name for path in place.iterdir()] == [PROM]


@pytest.mark.parametrize("missing", ["nowhere", "file"])
def test_metrics_that_cannot_be_written_are_one_message_and_the_report_is_there(tmp_path: Path, missing: str) -> None:
    (tmp_path / "file").write_text("")
    result = made(tmp_path, metrics_dir=str(tmp_path / missing))
    assert [error["code"] for error in result["errors"]] == ["metrics-not-written"]
    assert str(tmp_path / missing) in result["msg"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES


def test_a_disk_that_fails_leaves_the_metrics_of_the_last_run_and_nothing_beside(
    tmp_path: Path, monkeypatch: Any
) -> None:
    place = collected(tmp_path)
    (place / PROM).write_text("of the last run\n")

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    result = made(tmp_path, metrics_dir=str(place))
    assert [error["code"] for error in result["errors"]] == ["metrics-not-written"]
    assert {path.name: path.read_text() for path in place.iterdir()} == {PROM: "of the last run\n"}


def test_runs_that_failed_or_did_not_come_are_told_by_page_screen_and_metrics(
    tmp_path: Path, marks: Path, capsys: Any
) -> None:
    (marks / "verify.good").touch()
    old = time.time() - 3 * 24 * 3600
    os.utime(marks / "verify.good", (old, old))
    (marks / "rotate_certificates.failed").touch()
    made(tmp_path, metrics_dir=str(collected(tmp_path)))
    runs = {run["playbook"]: run["state"] for run in json.loads((tmp_path / "out/report.json").read_text())["runs"]}
    assert runs == {"verify": "missed", "rotate_certificates": "failed"}
    said = capsys.readouterr().out
    assert "scheduled run of verify: missed" in said
    assert "scheduled run of rotate_certificates: failed" in said
    page = (tmp_path / "out/report.html").read_text()
    assert "Scheduled runs" in page
    # An hour, 50 minutes and ten of verify; of a report that is not scheduled, 26 hours.
    after = (60 + 50 + 10 + 26 * 60) * 60
    series = f'crossmesh_run_missed_after_seconds{{mesh_instance="default",playbook="verify"}} {after}\n'
    assert series in (collected(tmp_path) / PROM).read_text()


def test_of_runs_that_are_in_time_nothing_is_said(tmp_path: Path, marks: Path, capsys: Any) -> None:
    for playbook in ("verify", "rotate_certificates"):
        (marks / f"{playbook}.good").touch()
    made(tmp_path)
    assert "scheduled run" not in capsys.readouterr().out


def test_a_machine_without_marks_says_nothing_of_runs_unless_metrics_are_asked_for(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(gathering, "marks_folder", lambda _instance: str(tmp_path / "no marks"))
    made(tmp_path)
    assert json.loads((tmp_path / "out/report.json").read_text())["runs"] == []
    assert "Scheduled runs" not in (tmp_path / "out/report.html").read_text()
    made(tmp_path / "again", metrics_dir=str(collected(tmp_path)))
    again = json.loads((tmp_path / "again/out/report.json").read_text())
    assert {run["state"] for run in again["runs"]} == {"missed"}
    made(tmp_path / "none", {"mesh_schedule": []}, metrics_dir=str(collected(tmp_path)))
    assert json.loads((tmp_path / "none/out/report.json").read_text())["runs"] == []


def test_the_next_report_is_awaited_as_the_schedule_has_it_and_waits_for_no_mark_of_its_own(tmp_path: Path) -> None:
    jobs = [{"playbook": "report", "at": ":12", "limit": "30m"}]
    made(tmp_path, {"mesh_schedule": jobs}, metrics_dir=str(collected(tmp_path)))
    content = json.loads((tmp_path / "out/report.json").read_text())
    assert (content["fresh_for_minutes"], content["runs"]) == (60 + 30 + 10, [])
