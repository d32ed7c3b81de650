# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links with a probe for each protocol, sound to begin with; and what verify says of one that is broken beside them."""

from __future__ import annotations

import re
from typing import Any

from tests.integration.support.lab_mesh import MYSQL, Mesh, Run
from tests.integration.support.web_servers import curl, web_link
from tests.lab.wait import eventually

CLIENT, SERVER = "cluster-a", "cluster-b"
FROM = {"namespace": "default", "selector": {"app": "mysql-client"}}

LinkDict = dict[str, Any]


def probed(link: LinkDict, kind: str, **probe: Any) -> LinkDict:
    return {**link, "probe": {"type": kind, "from": FROM, **probe}}


DATABASE = probed(MYSQL, "mysql")
BANNER = probed(
    {**MYSQL, "name": "banner", "fqdn": "banner.server.example.com", "port": 3307, "tls_port": 13307},
    "tcp",
    banner="MariaDB",
)
WEB = probed(web_link("web", "http", 13380), "http", status="200")
ORDERS = probed(web_link("orders", "grpc", 13381, port=50051), "grpc")
ALL = [DATABASE, BANNER, WEB, ORDERS]


def stands(run: Run, link: str, state: str) -> bool:
    """Whether the table says so of the link."""
    return re.search(rf"^{link} .*  {state}$", run.output, re.MULTILINE) is not None


def assert_sound(mesh: Mesh) -> None:
    """Once every gateway and sidecar has what was written."""
    assert eventually(lambda: mesh.play("verify").code == 0), mesh.play("verify").output
    run = mesh.play("verify")
    for link in mesh.links or []:
        assert stands(run, link["name"], "up"), run.output


def broken(
    mesh: Mesh, code: str, place: str, cluster: str, *parts: str, link: str = "mysql", sound: str = "web"
) -> Run:
    """verify ends with 2, names the cause and its place for this link, and says of the sound one that it is up."""

    def is_told() -> bool:
        run = mesh.play("verify")
        return run.code == 2 and stands(run, link, f"{code} +broken at {place} in {cluster}")

    assert eventually(is_told), mesh.play("verify").output
    run = mesh.play("verify")
    assert run.reports(code, f"link {link}, {place}, ", *parts), run.output
    assert stands(run, sound, "up"), run.output
    assert not run.says(f"link {sound},")
    return run


def carries(mesh: Mesh, link: str) -> bool:
    """Whether a new call of the client pod gets its answer: what a probe says of it, seen by another program."""
    if link == "mysql":
        return mesh.carries()
    options = ["--http2-prior-knowledge"] if link == "orders" else []
    port = next(item["port"] for item in ALL if item["name"] == link)
    answer = curl(mesh, f"{link}.server.example.com", "/", *options, "--max-time", "5", port=port).stdout
    return answer.partition(" ")[2].startswith("200")
