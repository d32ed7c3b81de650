# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""G: roots that are brought in. Whoever hands one over decides what every gateway trusts, or that nothing works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import (
    custom_ca,
    custom_ca_external,
    custom_ca_info,
    custom_ca_rotation,
    mesh_topology_info,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import Work, ensure
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import SIDES, Owner, Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Plan
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.pki.strange_roots import (
    CODE_SIGNING,
    SERVERS_ONLY,
    UNKNOWN_CRITICAL,
    excludes,
    permits,
    strange_root,
    written,
    written_by_openssl,
)
from tests.unit.pki.support import DAY, PASSPHRASE, make_root
from tests.unit.plan.test_plan import AUTHORITY, POLICY, plan_of, reading
from tests.unit.support import CLIENT, SERVER, Json, codes_of, link, refused, run_action, view

NOW = datetime.now(UTC).replace(microsecond=0)
BEGAN = NOW - DAY
LINKS = [link(), link(name="bank", fqdn="bank.server.example.com", port=3307, tls_port=13307)]


class Operator:
    """Somebody who runs the CA's actions with a root that was handed over."""

    def __init__(self, folder: Path, files: tuple[Path, Path], links: list[Json]) -> None:
        self.store = CaStore(FileStorage(folder / "ca"))
        hosts = {"cluster-a": CLIENT, "cluster-b": SERVER}
        self.variables: Json = {
            "custom_ca_dir": self.store.where,
            "custom_ca_passphrase": PASSPHRASE,
            "custom_ca_import_certificate": str(files[0]),
            "custom_ca_import_key": str(files[1]),
            "mesh_links": links,
            "groups": {"mesh_clients": ["cluster-a"], "mesh_servers": ["cluster-b"]},
            "hostvars": {
                host: {
                    "inventory_hostname": host,
                    "mesh_context": host,
                    "mesh_links": links,
                    **given,
                    "group_names": given["groups"],
                }
                for host, given in hosts.items()
            },
        }

    def creates(self, *, check: bool = False) -> Json:
        return run_action(custom_ca, {"state": "present"}, self.variables, check=check)

    def looks(self) -> list[str]:
        """What preflight says of it."""
        return [found["code"] for found in run_action(custom_ca_info, {}, self.variables)["problems"]]

    def moves(self, step: str, *, check: bool = False, **arguments: Any) -> Json:
        return run_action(custom_ca_rotation, {"step": step, **arguments}, self.variables, check=check)


def codes(result: Json) -> list[str]:
    return [error["code"] for error in result["errors"]]


def operator(folder: Path, *extensions: Any, **changes: Any) -> Operator:
    root = strange_root(*extensions, **{"begins": BEGAN, **changes})
    return Operator(folder, written(folder, root), LINKS)


REFUSED: dict[str, tuple[Sequence[Any], Json, str]] = {
    "code signing": ((CODE_SIGNING,), {}, "does not allow the role"),
    "servers only": ((SERVERS_ONLY,), {}, "as a client's certificate for"),
    "excludes a link": ((excludes("bank.server.example.com"),), {}, "for bank.server.example.com: "),
    "excludes clients": ((permits("example.com"),), {}, "for cluster-a.cluster.crossmesh.internal, "),
    "unknown critical extension": ((UNKNOWN_CRITICAL,), {}, "a critical extension"),
    "empty subject": ((), {"subject": ""}, "subject is empty"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_root_of_which_nothing_is_accepted_is_not_created(tmp_path: Path, kind: str) -> None:
    """G1: an import whose certificates every gateway refuses.

    On d3897ca it was taken: preflight, site and verify were green, and no link carried anything.
    """
    extensions, changes, words = REFUSED[kind]
    victim = operator(tmp_path, *extensions, **changes)
    for check in (True, False):
        result = victim.creates(check=check)
        assert codes(result) == ["root-refused"]
        assert words in result["msg"]
        assert not Path(victim.store.where).exists()
    assert victim.looks() == ["root-refused"]


@pytest.mark.parametrize("kind", ["RSA-PSS", "explicit curve"])
def test_a_key_that_gateways_refuse_is_not_imported(tmp_path: Path, kind: str) -> None:
    """G2: a root whose key says how it is to be used, or spells its curve out.

    On d3897ca it was taken, and no connection was made.
    """
    victim = Operator(tmp_path, written_by_openssl(tmp_path, kind), LINKS)
    result = victim.creates()
    assert codes(result) == ["root-refused"]
    assert "not a plain RSA or named-curve key" in result["msg"]
    assert not Path(victim.store.where).exists()


@pytest.mark.parametrize("kind", ["RSA", "P-521", "RSA-1024", "Ed25519"])
def test_keys_of_other_kinds_are_refused_and_a_plain_one_is_taken(tmp_path: Path, kind: str) -> None:
    """The control of G2, and what was refused before."""
    result = Operator(tmp_path, written_by_openssl(tmp_path, kind), LINKS).creates()
    assert (codes(result) if result.get("failed") else []) == (
        [] if kind == "RSA" else ["unreadable-key"] if kind == "Ed25519" else ["root-import"]
    )


@pytest.mark.parametrize("step", ["prepare", "recover"])
@pytest.mark.parametrize("check", [True, False])
def test_a_root_of_which_nothing_is_accepted_is_no_next_one(tmp_path: Path, step: str, check: bool) -> None:
    """G3: the same where a rotation, or a recovery, would bring it into every gateway."""
    victim, old = operator(tmp_path, CODE_SIGNING), make_root(now=BEGAN)
    given: Json = {"lost": [old.view.pem]}
    if step == "prepare":
        before = victim.store.create(PASSPHRASE, old.key, old.view.pem)
        given = {"seen": before.state}
    assert codes(victim.moves(step, check=check, **given)) == ["root-refused"]
    found = victim.store.public()
    assert (found.phase, len(found.trusted)) == ("steady", 1) if found else step == "recover"


@pytest.mark.parametrize("step", ["prepare", "recover"])
def test_a_sound_root_is_the_next_one(tmp_path: Path, step: str) -> None:
    """The control of G3."""
    user, old = operator(tmp_path), make_root(now=BEGAN)
    given: Json = {"lost": [old.view.pem]}
    if step == "prepare":
        given = {"seen": user.store.create(PASSPHRASE, old.key, old.view.pem).state}
    assert user.moves(step, **given)["phase"] == "prepared"


def test_a_sound_root_is_imported(tmp_path: Path) -> None:
    """The control of G1: name constraints too, where they cover every name."""
    user = operator(tmp_path, permits("example.com", "crossmesh.internal"))
    assert user.looks() == []
    result = user.creates()
    assert result["changed"]
    assert result["authority"]["issuing"]["subject"] == "CN=Somebody's Root"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lasts": 30 * DAY}, "ends before a certificate of 90 days"),
        ({"begins": NOW + DAY}, "it is valid from"),
        ({"begins": NOW - 400 * DAY, "lasts": 399 * DAY}, "it is valid from"),
    ],
    ids=["ends soon", "not yet valid", "ended"],
)
def test_a_root_that_ends_before_its_certificates_is_not_imported(tmp_path: Path, changes: Json, words: str) -> None:
    """G4 (sibling): a root with a month left. On d3897ca it was taken, and every certificate was cut short by it."""
    victim = operator(tmp_path, **changes)
    result = victim.creates()
    assert codes(result) == ["root-import"]
    assert words in result["msg"]
    assert not Path(victim.store.where).exists()


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("serial", ["-5", "0", "0x" + "7f" * 21])
def test_a_serial_that_rfc_5280_forbids_is_refused(tmp_path: Path, serial: str) -> None:
    """G5 (sibling): a serial number that is negative, zero or over 20 octets, which some verifiers cannot read.

    On d3897ca each of them was taken.
    """
    result = Operator(tmp_path, written_by_openssl(tmp_path, "RSA", "-set_serial", serial), LINKS).creates()
    assert codes(result) == ["root-import"]
    assert "its serial number is not one of 1 to 20 octets" in result["msg"]


@pytest.mark.parametrize(("digest", "name"), [("-sha1", "SHA1"), ("-md5", "MD5")])
def test_a_root_that_is_signed_weakly_is_refused(tmp_path: Path, digest: str, name: str) -> None:
    """G6 (sibling): a root with a signature that can be forged. On d3897ca refused too, as one "not self-signed"."""
    result = Operator(tmp_path, written_by_openssl(tmp_path, "RSA", digest), LINKS).creates()
    assert codes(result) == ["root-import"]
    assert f"it is signed with {name}" in result["msg"]


# -- a root that is in place ---------------------------------------------------------------------------------------


def planned(side: Side, *, excluded: str) -> Plan:
    """A cluster's plan where the link bank is new, and the root in place leaves out a name."""
    root = strange_root(excludes(excluded))
    authority = Authority("/srv/ca", root.view, (root.view,))
    return plan_of(reading(), LINKS, authority=authority, variables=SERVER if side == "server" else CLIENT, side=side)


@pytest.mark.parametrize("side", SIDES)
def test_a_new_link_is_not_written_where_the_root_leaves_it_out(side: Side) -> None:
    """G10: a link is added whose name the imported root may not issue for.

    On d3897ca nothing asked for name constraints. Both clusters refuse, so that neither writes its half.
    """
    plan = planned(side, excluded="bank.server.example.com")
    assert codes_of(plan.errors) == ["name-not-permitted"]
    assert plan.work.due == []
    # The control: a root that leaves out another name.
    sound = planned(side, excluded="elsewhere.example.com")
    assert sound.errors == []
    assert sound.work.due


def test_a_partner_gets_no_certificate_that_nobody_accepts(tmp_path: Path) -> None:
    """G10 (sibling): the same for the directory of an external server."""
    for excluded, expected in (("db.partner.example", ["name-not-permitted"]), ("elsewhere.example", [])):
        folder = tmp_path / (expected or ["control"])[0]
        folder.mkdir()
        root, directory = strange_root(excludes(excluded), begins=BEGAN), folder / "partner"
        user = Operator(folder, (folder / "no.crt", folder / "no.key"), [outside(ca=str(directory))])
        user.store.create(PASSPHRASE, root.key, root.view.pem)
        result = run_action(custom_ca_external, {}, user.variables)
        assert [error["code"] for error in result.get("errors", [])] == expected
        assert (directory / "tls.crt").exists() is not bool(expected)


@pytest.mark.parametrize("mine", ["the mesh's", "of the mesh's key", "the custom CA's"])
def test_a_partners_root_does_not_join_what_is_to_stay_apart(mine: str) -> None:
    """G11 (sibling): C(external.trust) is the mesh's own CA, so that a workload may pose as the server; or is ours.

    On d3897ca nothing was said.
    """
    root, known = make_root(), mine == "the custom CA's"
    # Another certificate of the same key and name trusts all that the mesh issues (RFC 5280, section 6.1.1 d).
    own = strange_root(key=root.key).view if mine == "of the mesh's key" else root.view
    found = reading(mesh_roots=[] if known else [own.public_key_fingerprint])
    authority = Authority("/srv/ca", root.view, (root.view,)) if known else AUTHORITY
    links = [outside(trust=root.view.pem)]
    plan = plan_of(found, links, authority=authority, variables=CLIENT, side="client")
    assert codes_of(plan.errors) == ["external-trust-ours" if known else "mesh-ca"]
    assert plan.work.due == []
    # The control: a root of nobody else.
    assert plan_of(reading(), links, variables=CLIENT, side="client").errors == []


def test_a_meshs_own_ca_that_is_brought_in_reaches_no_gateway(tmp_path: Path) -> None:
    """G12 (sibling): a mesh's own CA is imported: every workload of that mesh could be a client of every link.

    On d3897ca the first site made it the CA and wrote it, as its plans were older than the CA; the next run told of it.
    """
    root = make_root(now=BEGAN)
    user = Operator(tmp_path, written(tmp_path, root), LINKS)
    user.creates()
    side = view(LINKS, SERVER)["server"]
    task = Work(
        owner=Owner("default", "cluster-b", "server"),
        namespace=side["namespace"],
        wanted=side["secrets"],
        policy=POLICY,
        validity=90 * DAY,
        passphrase=PASSPHRASE,
        check=False,
        mesh_roots=[root.view.public_key_fingerprint],
    )
    api = FakeApi()
    with refused("mesh-ca"):
        ensure(cast(Api, api), user.store, task, NOW)
    assert api.calls == []
    # The control: beside another mesh it is written.
    ensure(cast(Api, api), user.store, replace(task, mesh_roots=["ab" * 32]), NOW)
    assert api.calls


def test_partners_roots_are_told_of_before_they_end() -> None:
    """G9: an alarm in time, with which verify fails, and a warning in every run. On d3897ca there was no word of it."""
    ending, lasting = (strange_root(lasts=days * DAY).view.pem for days in (20, 400))
    standing = plan_of(reading(), [outside(trust=ending)], variables=CLIENT, side="client").standing
    assert "external-trust-ends" in codes_of(standing.alarms)
    assert "external-root-ends" in codes_of(standing.warnings)
    # The control: with another one beside it, which one is used is not known, and with that alone there is nothing.
    both = plan_of(reading(), [outside(trust=ending + lasting)], variables=CLIENT, side="client").standing
    assert "external-root-ends" in codes_of(both.warnings)
    assert "external-trust-ends" not in codes_of(both.alarms)
    alone = plan_of(reading(), [outside(trust=lasting)], variables=CLIENT, side="client").standing
    assert {"external-root-ends", "external-trust-ends"}.isdisjoint(codes_of([*alone.warnings, *alone.alarms]))


# -- external servers ----------------------------------------------------------------------------------------------

OUTSIDE = {"address": "203.0.113.20", "port": 13306}


def outside(**external: Any) -> Json:
    """A link of which a partner runs the server."""
    return {"name": "partner", "fqdn": "db.partner.example", "port": 5432, "external": {**OUTSIDE, **external}}


def told(folder: Path, *links: Json) -> list[str]:
    """What the first task of every playbook finds wrong."""
    victim = Operator(folder, (folder / "none.crt", folder / "none.key"), list(links))
    result = run_action(mesh_topology_info, {"fail": False}, victim.variables)
    return [found["code"] for found in result["errors"]]


def test_a_partner_gets_no_certificate_for_the_name_of_another_link(tmp_path: Path) -> None:
    """G7: C(external.sni) is another link's FQDN: the custom CA gave its server a certificate to pose as that link.

    On d3897ca nothing was said.
    """
    directory = str(tmp_path / "partner")
    assert told(tmp_path, *LINKS, outside(ca=directory, sni="bank.server.example.com")) == ["external-sni"]
    # The control: a name that no link has, and the same name as long as no link has it.
    assert told(tmp_path, *LINKS, outside(ca=directory, sni="db.partner.example")) == []
    assert told(tmp_path, LINKS[0], outside(ca=directory, sni="bank.server.example.com")) == []


def test_a_link_that_is_to_go_still_has_its_name(tmp_path: Path) -> None:
    """G7 (sibling): the link of that name is absent from now on; its certificates and clients are still there."""
    going = {**LINKS[1], "state": "absent"}
    assert told(tmp_path, LINKS[0], going, outside(trust=make_root().view.pem, sni="bank.server.example.com")) == [
        "external-sni"
    ]


@pytest.mark.parametrize("place", ["/etc/ssl/certs", "/usr/local/share/ca-certificates", "STORE", "STORE/roots", "WAY"])
def test_files_of_a_partner_are_not_written_where_they_are_trusted(tmp_path: Path, place: str) -> None:
    """G8: C(external.ca) is a folder of the system, the CA store, or (sibling) a symbolic link to it.

    On d3897ca nothing was said.
    """
    store, way = tmp_path / "ca", tmp_path / "way"
    store.mkdir(mode=0o700)
    way.symlink_to(store)
    directory = place.replace("STORE", str(store)).replace("WAY", str(way))
    assert told(tmp_path, *LINKS, outside(ca=directory)) == ["external-directory"]
    # The one that writes says so too, where nobody has asked the other.
    victim = Operator(tmp_path, (tmp_path / "none.crt", tmp_path / "none.key"), [outside(ca=directory)])
    assert codes(run_action(custom_ca_external, {}, victim.variables)) == ["external-directory"]
    assert list(store.iterdir()) == []


def test_a_partner_whose_roots_have_all_ended_is_told(tmp_path: Path) -> None:
    """G9: C(external.trust) whose roots have all ended. On d3897ca there was no word of it."""
    old = strange_root(begins=NOW - 40 * DAY, lasts=30 * DAY).view.pem
    older = strange_root(begins=NOW - 400 * DAY, lasts=30 * DAY).view.pem
    assert told(tmp_path, *LINKS, outside(trust=old + older)) == ["external-trust-ended"]
    # The control: with one that has not.
    assert told(tmp_path, *LINKS, outside(trust=old + strange_root(begins=BEGAN).view.pem)) == []


@pytest.mark.parametrize(
    "extension", [CODE_SIGNING, UNKNOWN_CRITICAL, permits("elsewhere.example")], ids=["usage", "critical", "names"]
)
def test_a_partners_root_that_verifies_no_server_is_told(tmp_path: Path, extension: Any) -> None:
    """G9 (sibling): a root that is for something else, or not for that name. On d3897ca it was written."""
    assert told(tmp_path, *LINKS, outside(trust=strange_root(extension, begins=BEGAN).view.pem)) == ["external-trust"]
    # The control: a root with bounds that leave the name in.
    fitting = strange_root(permits("partner.example"), begins=BEGAN).view.pem
    assert told(tmp_path, *LINKS, outside(trust=fitting)) == []
