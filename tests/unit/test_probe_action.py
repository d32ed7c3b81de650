# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action mesh_probe makes of a look, of handshakes and of probes; and how playbook verify ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.action import mesh_probe
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import Connections
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.handshakes import Handshakes, Server
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.passage import Counted
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.workload import Asked
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Variables
from tests.unit.pki.support import make_root
from tests.unit.probe.support import FROM
from tests.unit.support import CHECKOUT, Json, link, numbered, run_action

ROOT = make_root()
PROBE = {"type": "mysql", "from": FROM}
HTTP = {"type": "http", "from": FROM}
SEEN = "asked in pod shop/web-0"
CLUSTER_A: Json = {"inventory_hostname": "cluster-a", "group_names": ["mesh_clients"]}
CLUSTER_B: Json = {"inventory_hostname": "cluster-b", "group_names": ["mesh_servers"]}


def status(name: str = "mysql", **changes: Any) -> Json:
    base = {"link": name, "until": "2026-12-01T00:00:00Z", "broken": "", "cause": "", "answer": "", "ready": 1}
    return {**base, **changes}


def look(side: str, *links: Json, endpoints: Sequence[Json] = ()) -> Json:
    judged = [item["link"] for item in links]
    gateway = {"namespace": "istio-system", "service": "gateway", "selector": {"istio": "gateway"}}
    return {"sides": {side: {"status": list(links), "judged": judged, "endpoints": list(endpoints), **gateway}}}


def fault(code: str, hop: int, name: str = "mysql") -> Fault:
    return Fault(code, name, hop, "", "this", "that", "do it", seen="asked in pod shop/web-0")


class Seen:
    """What handshakes and probes were asked for."""

    def __init__(self) -> None:
        self.servers: list[Server] = []
        self.credential = ""
        self.links: list[str] = []
        self.logins = 0

    def login(self) -> None:
        self.logins += 1


def probed(
    monkeypatch: pytest.MonkeyPatch,
    variables: Json,
    seen_before: Json,
    *,
    asked: Sequence[Asked] = (),
    shaken: Handshakes | None = None,
    links: Sequence[Json] = (),
    counted: Sequence[Counted] = (),
) -> tuple[Json, Seen]:
    """:param counted: by the egress gateway before and after."""
    seen = Seen()
    counts = iter(counted)

    def shake_hands(servers: Sequence[Server], credential: str) -> Handshakes:
        seen.servers, seen.credential = list(servers), credential
        return shaken or Handshakes()

    def ask_links(_api: object, dialled: Sequence[Json]) -> list[Asked]:
        seen.links = [item["name"] for item in dialled]
        return list(asked)

    monkeypatch.setattr(mesh_probe, "shake_hands", shake_hands)
    monkeypatch.setattr(mesh_probe, "ask_links", ask_links)
    monkeypatch.setattr(mesh_probe, "read_connections", lambda _api, _gateway, _watch: next(counts, {}))
    monkeypatch.setattr(mesh_probe, "authority_of", lambda _store: Authority("store", ROOT.view, (ROOT.view,)))
    monkeypatch.setattr(Variables, "api", lambda _self, _waits: seen.login())
    monkeypatch.setattr(Variables, "store", lambda _self: None)
    given = list(links) or [link(probe=PROBE)]
    return run_action(mesh_probe, {"look": seen_before}, {**variables, "mesh_links": given}), seen


def test_a_call_that_breaks_is_told_with_its_place_and_stands_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [Asked("mysql", SEEN, fault=fault("no-answer", 4))]
    result, seen = probed(monkeypatch, CLUSTER_A, look("client", status()), asked=asked)
    assert seen.links == ["mysql"]
    (line,) = result["faults"]
    assert line.startswith("link mysql, answer, asked in pod shop/web-0: wanted this; found that")
    assert result["links"]["client"] == [status(broken="answer", cause="no-answer")]
    assert not result.get("failed")


def test_a_call_without_an_answer_is_located_by_what_the_egress_gateway_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    way = "outbound|13306|mysql|mysql.server.example.com"
    asked = [Asked("mysql", SEEN, fault=fault("no-answer", 4))]
    counted, given = (
        [{way: {"a": Connections(5, 5)}}, {way: {"a": Connections(6, 5)}}],
        [link(protocol="http", probe=HTTP)],
    )
    before = look("client", status())
    result, _seen = probed(monkeypatch, CLUSTER_A, before, asked=asked, counted=counted, links=given)
    assert result["links"]["client"] == [status(broken="hop 2", cause="no-connection")]
    (line,) = result["faults"]
    assert line.startswith("link mysql, hop 2, asked in pod shop/web-0: wanted the egress gateway to get through to ")
    # Where nothing was counted, it stays what the workload saw.
    result, _seen = probed(monkeypatch, CLUSTER_A, look("client", status()), asked=asked, links=given)
    assert result["links"]["client"] == [status(broken="answer", cause="no-answer")]


def test_what_the_look_has_found_in_the_gateway_is_why_it_tried_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    way = "outbound|13306|mysql|mysql.server.example.com"
    asked, counted = [Asked("mysql", SEEN, fault=fault("no-answer", 4))], [{way: {"a": Connections()}}] * 2
    before = look("client", status(broken="hop 2", cause="no-endpoint"))
    result, _seen = probed(monkeypatch, CLUSTER_A, before, asked=asked, counted=counted)
    assert result["links"]["client"] == [status(broken="hop 2", cause="no-endpoint")]
    # The control.
    result, _seen = probed(monkeypatch, CLUSTER_A, look("client", status()), asked=asked, counted=counted)
    assert result["links"]["client"] == [status(broken="hop 1", cause="not-passed-on")]


def test_an_answer_that_came_past_the_egress_gateway_breaks_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    way = "outbound|13306|mysql|mysql.server.example.com"
    asked = [Asked("mysql", SEEN)]
    before, used = {way: {"a": Connections(5, 5)}}, {way: {"a": Connections(5, 6)}}
    result, _seen = probed(monkeypatch, CLUSTER_A, look("client", status()), asked=asked, counted=[before, before])
    assert result["links"]["client"] == [status(broken="hop 1", cause="answered-elsewhere")]
    (line,) = result["faults"]
    assert line.startswith("link mysql, hop 1, asked in pod shop/web-0: wanted an answer over the egress gateway")
    # The control.
    result, _seen = probed(monkeypatch, CLUSTER_A, look("client", status()), asked=asked, counted=[before, used])
    assert result["links"]["client"] == [status()]
    assert result["faults"] == []


@pytest.mark.parametrize(("side", "cluster", "place"), [("client", CLUSTER_A, "hop 1"), ("server", CLUSTER_B, "hop 2")])
def test_a_gateway_without_a_ready_pod_breaks_its_links(
    monkeypatch: pytest.MonkeyPatch, side: str, cluster: Json, place: str
) -> None:
    links = [link(), numbered(1)]
    before = look(side, status(ready=0), status("link-1"))
    result, _seen = probed(monkeypatch, cluster, before, links=links)
    assert result["links"][side] == [status(ready=0, broken=place, cause="no-ready-pod"), status("link-1")]
    (line,) = result["faults"]
    assert line.startswith(f"link mysql, {place}, gateway istio-system/gateway: wanted a ready pod of the gateway; ")


def test_a_sound_link_beside_a_broken_one_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    links = [link(probe=PROBE), numbered(1, probe=PROBE)]
    asked = [Asked("mysql", SEEN, fault=fault("port-closed", 1)), Asked("link-1", SEEN)]
    result, _seen = probed(monkeypatch, CLUSTER_A, look("client", status(), status("link-1")), asked=asked, links=links)
    assert result["links"]["client"] == [status(broken="hop 1", cause="port-closed"), status("link-1")]
    assert result["report"] == ["client side: 2 of 2 probes asked"]


@pytest.mark.parametrize(("before", "told"), [("hop 1", 0), ("hop 2", 0), ("", 1)])
def test_what_the_look_has_found_earlier_on_the_way_stays_the_cause(
    monkeypatch: pytest.MonkeyPatch, before: str, told: int
) -> None:
    was = status(broken=before, cause="chain-missing" if before else "")
    asked = [Asked("mysql", SEEN, fault=fault("no-answer", 4))]
    result, _seen = probed(monkeypatch, CLUSTER_A, look("client", was), asked=asked)
    assert len(result["faults"]) == told
    assert result["links"]["client"][0]["cause"] == (was["cause"] or "no-answer")


def test_a_name_that_is_unknown_comes_before_what_a_proxy_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [Asked("mysql", fault=fault("name-unknown", 0))]
    was = status(broken="hop 2", cause="no-endpoint")
    result, _seen = probed(monkeypatch, CLUSTER_A, look("client", was), asked=asked)
    assert result["links"]["client"][0]["broken"] == "name"
    assert len(result["faults"]) == 1


def test_what_could_not_be_asked_is_a_warning_and_neither_up_nor_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    message = Message.warning("probe-not-asked", where="link mysql", what="the probe was not asked: no shell", fix="x")
    result, _seen = probed(monkeypatch, CLUSTER_A, look("client", status()), asked=[Asked("mysql", unasked=message)])
    assert result["faults"] == []
    assert result["warnings"] == [str(message)]
    assert result["links"]["client"] == [status(answer="not asked")]
    assert result["report"] == ["client side: 0 of 1 probes asked"]


def test_silence_is_stated_for_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _seen = probed(monkeypatch, CLUSTER_A, look("client", status()), asked=[Asked("mysql", SEEN, silent=True)])
    assert result["faults"] == []
    assert result["report"] == [
        "client side: 1 of 1 probes asked",
        "client side: open for 12 s, and the server said nothing (a tcp probe without banner): mysql",
    ]


def test_only_links_that_are_there_and_worked_on_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    links = [link(probe=PROBE), numbered(1, probe=PROBE), numbered(2, probe=PROBE)]
    before = look("client", status(), status("link-1", until=""), status("link-2"))
    before["sides"]["client"]["judged"].remove("link-2")
    _result, seen = probed(monkeypatch, CLUSTER_A, before, links=links)
    assert seen.links == ["mysql"]


def test_without_a_probe_nobody_logs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    result, seen = probed(monkeypatch, CLUSTER_A, look("client", status()), links=[link()])
    assert (seen.links, seen.logins, result["report"]) == ([], 0, [])
    _result, seen = probed(monkeypatch, CLUSTER_A, look("client", status()))
    assert seen.logins == 1


ENDPOINT = {"address": "203.0.113.7", "port": 13306, "fqdn": "mysql.server.example.com"}


def test_a_server_is_asked_at_its_addresses_and_a_stranger_has_the_links_own_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = Handshakes(2, [fault("anybody-let-in", 2)], [Message.notice("server-not-asked", where="x", what="away")])
    before = look("server", status(), endpoints=[ENDPOINT, {**ENDPOINT, "port": 1}])
    result, seen = probed(monkeypatch, CLUSTER_B, before, shaken=found)
    (server,) = seen.servers
    assert (server.link, server.endpoint.address, server.endpoint.port) == ("mysql", "203.0.113.7", 13306)
    assert (server.roots, server.ours) == (ROOT.view.pem, True)
    assert "BEGIN CERTIFICATE" in seen.credential
    assert seen.links == [], "a server dials nobody"
    assert result["links"]["server"] == [status(broken="hop 2", cause="anybody-let-in")]
    assert result["not_asked"] == ["x: away. [server-not-asked]"]
    assert result["report"] == ["server side: 2 handshakes from the controller"]


def test_no_key_of_a_stranger_is_in_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    result, seen = probed(monkeypatch, CLUSTER_B, look("server", status(), endpoints=[ENDPOINT]))
    assert "PRIVATE KEY" in seen.credential, "the probe finds it"
    assert "PRIVATE KEY" not in str(result)


EXTERNAL = {"tls_port": None, "backend": None}


@pytest.mark.parametrize(
    ("external", "roots"),
    [({"ca": "/srv/x"}, ROOT.view.pem), ({"trust": make_root().view.pem}, "")],
    ids=["of the CA", "of its owner's"],
)
def test_an_external_server_is_asked_where_it_is_dialled(
    monkeypatch: pytest.MonkeyPatch, external: Json, roots: str
) -> None:
    given = link(**EXTERNAL, external={"address": "198.51.100.7", "port": 13306, "sni": "db.example.net", **external})
    _result, seen = probed(monkeypatch, CLUSTER_A, look("client", status()), links=[given])
    (server,) = seen.servers
    assert (server.endpoint.address, server.endpoint.fqdn, server.ours) == ("198.51.100.7", "db.example.net", False)
    assert server.roots == (roots or external["trust"])
    assert seen.credential == ""


def test_a_look_that_failed_ends_here_as_it_did() -> None:
    away = {"msg": "away", "errors": [Message.error("api-unreachable", where="x", what="away").to_json()]}
    result = run_action(mesh_probe, {"look": away}, CLUSTER_A)
    assert (result.get("unreachable"), result.get("failed"), result["msg"]) == (True, None, "away")
    wrong = {"msg": "wrong", "errors": [Message.error("not-permitted", where="x", what="wrong").to_json()]}
    result = run_action(mesh_probe, {"look": wrong}, CLUSTER_A)
    assert (result.get("unreachable"), result.get("failed"), result["msg"]) == (None, True, "wrong")
    assert run_action(mesh_probe, {"look": {}}, CLUSTER_A)["failed"] is True


# -- how verify ends -----------------------------------------------------------------------------------------------


def kubeconfig(folder: Path) -> Path:
    """Of contexts that lead nowhere."""
    path = folder / "kubeconfig"
    content = {
        "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "nobody", "user": {"token": "x"}}],
        "contexts": [
            {"name": name, "context": {"cluster": "nowhere", "user": "nobody"}} for name in ("cluster-a", "cluster-b")
        ],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def verify(
    folder: Path, contexts: Json, *arguments: str, links: Any = None, playbook: str = "verify"
) -> tuple[int, str]:
    """Exit code and output of the playbook for two clusters that lead nowhere."""
    groups = {"mesh_clients": ["cluster-a"], "mesh_servers": ["cluster-b"]}
    everybody = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "mesh_kubeconfig": str(kubeconfig(folder)),
        "custom_ca_dir": str(folder / "ca"),
        "custom_ca_passphrase": "a passphrase of a test",
        "mesh_links": [link()] if links is None else links,
    }
    hosts = {name: {"mesh_context": context} for name, context in contexts.items()}
    children: Json = {name: {"hosts": {host: {} for host in members}} for name, members in groups.items()}
    inventory = folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"vars": everybody, "hosts": hosts, "children": children}}))
    path = CHECKOUT / f"collections/ansible_collections/crossmesh/mtls/playbooks/{playbook}.yml"
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), str(path), *arguments]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


AWAY, WRONG = {"cluster-a": "cluster-a", "cluster-b": "cluster-b"}, {"cluster-a": "none", "cluster-b": "none-either"}


@pytest.mark.parametrize(
    ("contexts", "code", "codes"),
    [
        (AWAY, 4, {"api-unreachable"}),
        (WRONG, 2, {"kubeconfig"}),
        # What could not be asked weighs more than what is wrong: nobody knows how that stands.
        ({**AWAY, "cluster-a": "none"}, 4, {"api-unreachable", "kubeconfig"}),
    ],
    ids=["no cluster can be reached", "no cluster can be looked at", "one of each"],
)
def test_the_exit_code_says_what_kind_of_end_it_is_and_the_report_is_printed(
    tmp_path: Path, contexts: Json, code: int, codes: set[str]
) -> None:
    ended, output = verify(tmp_path, contexts)
    assert ended == code, output
    for name in codes:
        assert f"[{name}]" in output
    assert "not looked at in this run: cluster-a, cluster-b" in output


def test_the_exit_code_is_the_same_for_a_part_of_the_inventory(tmp_path: Path) -> None:
    assert verify(tmp_path, AWAY, "--limit", "cluster-a")[0] == 4
    assert verify(tmp_path, WRONG, "--limit", "cluster-a")[0] == 2


def test_an_inventory_that_is_refused_ends_with_2_and_a_wrong_limit_with_1(tmp_path: Path) -> None:
    ended, output = verify(tmp_path, AWAY, links=[link(port=0)])
    assert (ended, "[port]" in output, "api-unreachable" in output) == (2, True, False)
    assert verify(tmp_path, AWAY, "--limit", "nowhere")[0] == 1


@pytest.mark.parametrize("playbook", ["site", "preflight", "rotate_certificates"])
def test_a_playbook_that_writes_or_prepares_it_ends_with_2_where_a_cluster_is_away(
    tmp_path: Path, playbook: str
) -> None:
    """As docs/verify.md has it; the code of the message tells one from the other."""
    ended, output = verify(tmp_path, AWAY, playbook=playbook)
    assert (ended, "api-unreachable" in output) == (2, True), output


def test_a_call_that_has_to_be_asked_and_was_not_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its counters stand still, which says nothing of the network."""
    way = "outbound|13306|mysql|mysql.server.example.com"
    asked, counted = [Asked("mysql", fault=fault("probe-not-asked", 4))], [{way: {"a": Connections()}}] * 2
    result, _seen = probed(monkeypatch, CLUSTER_A, look("client", status()), asked=asked, counted=counted)
    assert result["links"]["client"] == [status(broken="answer", cause="probe-not-asked")]
    assert result["report"] == ["client side: 0 of 1 probes asked"]


def test_a_door_that_is_open_is_told_beside_what_breaks_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [Asked("mysql", SEEN, fault=fault("name-elsewhere", 0))]
    shaken = Handshakes(1, [fault("anybody-let-in", 2)])
    result, _seen = probed(monkeypatch, CLUSTER_A, look("client", status()), asked=asked, shaken=shaken)
    assert [line.rpartition("[")[2] for line in result["faults"]] == ["anybody-let-in]", "name-elsewhere]"]


def test_a_cluster_that_goes_away_while_it_is_asked_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_api: object, _links: object) -> list[Asked]:
        raise CrossmeshError(Message.error("api-unreachable", where="context a", what="no answer", fix="x"))

    links, variables = [link(probe=PROBE)], CLUSTER_A
    probed(monkeypatch, variables, look("client", status()))
    monkeypatch.setattr(mesh_probe, "ask_links", gone)
    result = run_action(mesh_probe, {"look": look("client", status())}, {**variables, "mesh_links": links})
    assert result["unreachable"] is True
    assert "[api-unreachable]" in result["msg"]
