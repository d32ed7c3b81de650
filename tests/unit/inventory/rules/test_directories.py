# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories for external servers: what symbolic links lead to counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import GivenLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.external import check_directories
from tests.unit.support import link


def told(directory: Path | str, store: Path) -> list[tuple[str, str]]:
    external: dict[str, Any] = {"address": "db.example.net", "port": 13306, "ca": str(directory)}
    links = [link(name="plain"), link(external=external)]
    return [(finding.code, finding.what) for finding in check_directories(cast(list[GivenLink], links), store)]


@pytest.mark.parametrize(
    ("directory", "why"),
    [
        ("/etc/ssl", "is a folder of the operating system"),
        ("/etc/ssl/certs", "is a folder of the operating system"),
        ("/usr/local/share/ca-certificates/crossmesh", "is a folder of the operating system"),
        ("/proc/1", "is a folder of the operating system"),
        ("/etc", "is a folder that others share"),
        ("/etc/", "is a folder that others share"),
        ("/tmp", "is a folder that others share"),
        ("/srv", "is a folder that others share"),
    ],
)
def test_a_folder_of_others_is_refused(tmp_path: Path, directory: str, why: str) -> None:
    ((code, what),) = told(directory, tmp_path / "ca")
    assert code == "external-directory"
    assert what.endswith(why)


def test_the_home_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "operator"))
    assert told(tmp_path / "operator", tmp_path / "ca")
    assert not told(tmp_path / "operator/mysql", tmp_path / "ca")


def test_a_user_without_a_home_folder_has_none_to_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a number."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert not told(tmp_path / "mysql", tmp_path / "ca")
    assert told("/etc/ssl", tmp_path / "ca")


def test_a_folder_that_the_ca_store_is_in_is_refused(tmp_path: Path) -> None:
    """Whoever runs the server takes the folder away as a whole."""
    ((code, what),) = told(tmp_path / "meshes", tmp_path / "meshes/.crossmesh/ca")
    assert (code, what.endswith("is a folder that the CA store is in")) == ("external-directory", True)
    assert not told(tmp_path / "meshes/mysql", tmp_path / "meshes/.crossmesh/ca")


@pytest.mark.parametrize("inside", ["", "roots", "issued/deeper"])
def test_the_ca_store_is_refused(tmp_path: Path, inside: str) -> None:
    ((code, what),) = told(tmp_path / "ca" / inside, tmp_path / "ca")
    assert (code, what.endswith("is the CA store, or inside it")) == ("external-directory", True)


def test_a_symbolic_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    store, way = tmp_path / "ca", tmp_path / "outside"
    store.mkdir()
    way.symlink_to(store)
    ((code, what),) = told(way, store)
    assert (code, what.endswith(f"leads to {store}, which is the CA store, or inside it")) == (
        "external-directory",
        True,
    )
    # A part of the path, and the store's own: the same.
    assert told(way / "mysql", store)
    assert told(store / "mysql", way)
    way.unlink()
    way.symlink_to("/etc/ssl")
    assert told(way / "certs", store)


def test_links_in_a_circle_end_in_no_traceback(tmp_path: Path) -> None:
    """From Python 3.13 on they resolve to themselves, and the write fails."""
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    found = told(tmp_path / "a/mysql", tmp_path / "ca")
    assert [what.rpartition(": ")[2] for _code, what in found] in ([], ["its symbolic links lead in a circle"])


@pytest.mark.parametrize("directory", ["/srv/crossmesh/mysql", "/etc/mysql/tls", "/var/lib/crossmesh", "/opt/db/tls"])
def test_a_directory_of_its_own_is_taken(tmp_path: Path, directory: str) -> None:
    """The control, and beside the store."""
    assert told(directory, tmp_path / "ca") == []
    assert told(tmp_path / "outside", tmp_path / "ca") == []
