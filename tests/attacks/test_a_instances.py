# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A7: two instances whose links, clusters and servers have the same names, on one CA or moved apart.

What a gateway would say to a certificate is asked of a verifier, with the roots and names that runs give gateways.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import custom_ca, custom_ca_rotation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import Wanted
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.move import TAKE_OVER, Move, move
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import Work, ensure
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner, Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.path import path_fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView, parse_certificates
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from tests.unit.ca.support import as_earlier_release, witness
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, make_root
from tests.unit.support import CLIENT, SERVER, Json, link, refused, run_action, view

# What the other side's gateway asks a certificate for.
ASKED: dict[Side, str] = {"client": "mysql.link.crossmesh.internal", "server": "mysql.server.example.com"}
CLUSTERS: dict[Side, tuple[str, Json]] = {"client": ("cluster-a", CLIENT), "server": ("cluster-b", SERVER)}
SIDES: tuple[Side, ...] = ("client", "server")
THEFT = "ab"


@dataclass(frozen=True)
class Instance:
    """A controller's inventory of one instance, and its CA."""

    name: str
    folder: Path

    @property
    def store(self) -> CaStore:
        return CaStore(FileStorage(self.folder), self.name, iterations=1000)

    @property
    def authority(self) -> Authority:
        found = self.store.public()
        assert found
        return found

    @property
    def variables(self) -> Json:
        return {"mesh_instance": self.name, "custom_ca_dir": str(self.folder), "custom_ca_passphrase": PASSPHRASE}

    def with_ca(self) -> Instance:
        root = make_root()
        self.store.create(PASSPHRASE, root.key, root.view.pem)
        return self

    def issued(self, side: Side, store: CaStore | None = None) -> CertificateView:
        """The certificate that C(site) writes into the gateway's Secret of the link.

        :param store: another one than its own, as where no store had an owner.
        """
        cluster, variables = CLUSTERS[side]
        wanted, api = view([link()], variables)[side], FakeApi()
        work = Work(
            owner=Owner(self.name, cluster, side),
            namespace=wanted["namespace"],
            wanted=wanted["secrets"],
            policy=Policy(key_type="P-256", renew_before=30 * DAY),
            validity=90 * DAY,
            passphrase=PASSPHRASE,
            check=False,
        )
        ensure(cast(Api, api), store or self.store, work, NOW)
        return parse_certificates(base64.b64decode(api.objects[0]["data"]["tls.crt"]))[0]

    def lets_in(self, leaf: CertificateView, side: Side) -> bool:
        """Whether the other side's gateway takes the certificate: a trusted root, the name, and not revoked."""
        trusted = any(not path_fault(root, leaf.pem, side, [ASKED[side]], NOW) for root in self.authority.trusted)
        return trusted and ASKED[side] in leaf.sans and leaf.serial not in self.revoked()

    def holds_key_of(self, root: str) -> bool:
        return (self.folder / "roots" / f"{root}.key").exists()

    def revoked(self) -> set[str]:
        return {item.serial for found in self.store.lists().values() for item in found.revoked}

    def prepare(self) -> None:
        following = make_root()
        self.store.prepare(PASSPHRASE, following.key, following.view.pem, seen=self.authority.state, now=NOW)

    def switch(self) -> None:
        self.store.switch(PASSPHRASE, seen=self.authority.state)

    def retire(self) -> None:
        self.store.retire(PASSPHRASE, seen=self.authority.state)
        self.store.finish(PASSPHRASE, seen=self.authority.state, keep_keys=False)


def revoke(instance: Instance, *serials: str) -> None:
    """What C(site) publishes where the inventory revokes these serials and no others."""
    revoked = tuple(Revoked(serial, NOW, "keyCompromise") for serial in serials)
    wanted = {root.fingerprint: revoked for root in instance.authority.trusted} if serials else {}
    instance.store.publish(PASSPHRASE, lambda _authority: wanted, now=NOW)


def taken_over(instance: Instance, *roots: str, check: bool = False) -> bool:
    """What playbook C(take_over_ca) does; whether it has changed anything."""
    wanted = Wanted("Test Root CA", "P-256", 3650)
    work = Move(TAKE_OVER, "", PASSPHRASE, wanted, [], instance.name, [], [], [], keep_keys=False, named=roots)
    return move(instance.store, work, now=NOW, check_mode=check).changed


@pytest.fixture
def default(tmp_path: Path) -> Instance:
    """The instance that was there first."""
    return Instance("default", tmp_path / "ca").with_ca()


@pytest.fixture
def blue(default: Instance) -> Instance:
    """Another one, with links of the same names, and the same C(custom_ca_dir): it stands beside the inventory."""
    return Instance("blue", default.folder)


@pytest.mark.parametrize("side", SIDES)
def test_the_certificate_of_another_instance_is_let_in_by_nobody(
    default: Instance, blue: Instance, tmp_path: Path, side: Side
) -> None:
    """A7: on d3897ca blue's run ended well, and default's gateways took what it had issued for theirs."""
    with refused("ca-of-another-instance") as failure:
        blue.issued(side)
    assert "instance default" in failure.value.message.what
    # The control: the same run with a CA of its own, and the same gateway.
    own = replace(blue, folder=tmp_path / "blue").with_ca()
    assert own.lets_in(own.issued(side), side)
    assert default.lets_in(default.issued(side), side)
    assert not default.lets_in(own.issued(side), side)
    assert not own.lets_in(default.issued(side), side)


# -- siblings ------------------------------------------------------------------------------------------------------


def test_a_run_of_another_instance_takes_no_revocation_back(default: Instance, blue: Instance) -> None:
    """A7, a sibling: on d3897ca blue's inventory revoked nothing, so its run let everybody of default in again."""
    revoke(default, THEFT)
    failed = run_action(custom_ca_rotation, {"step": "publish"}, blue.variables)
    assert "ca-of-another-instance" in failed["msg"], failed
    assert default.revoked() == {THEFT}
    # The control: an inventory of its own that revokes nothing.
    revoke(default)
    assert default.revoked() == set()


def test_a_run_of_another_instance_removes_no_ca(default: Instance, blue: Instance) -> None:
    """A7, a sibling: on d3897ca, once blue was torn down, its C(custom_ca_state: absent) removed default's keys."""
    arguments = {"state": "absent", "expected": []}
    for check in (True, False):
        failed = run_action(custom_ca, arguments, blue.variables, check=check)
        assert "ca-of-another-instance" in failed["msg"], failed
    assert default.authority.issuing
    # The control.
    assert run_action(custom_ca, arguments, default.variables)["changed"]
    assert default.store.public() is None


def test_nor_where_a_file_of_it_was_changed_or_shown_to_others(default: Instance, blue: Instance) -> None:
    """A7, a sibling: one byte in a record, or one mode, and blue's teardown removed default's keys."""
    arguments = {"state": "absent", "expected": []}
    default.issued("client")
    (changed,) = default.folder.glob("issued/*.json")
    changed.write_text(changed.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert "ca-of-another-instance" in run_action(custom_ca, arguments, blue.variables)["msg"]
    default.folder.chmod(0o755)
    assert "open-to-others" in run_action(custom_ca, arguments, blue.variables)["msg"]
    default.folder.chmod(0o700)
    assert default.authority.issuing
    # The control: its own instance is not kept from removing it.
    assert run_action(custom_ca, arguments, default.variables)["changed"]


def test_nor_one_of_an_earlier_release_that_both_have_used(default: Instance, blue: Instance) -> None:
    """A7, a sibling: the old format does not say whose it is, its records do."""
    default.issued("client")
    as_earlier_release(default.store)
    failed = run_action(custom_ca, {"state": "absent", "expected": []}, blue.variables)
    assert "ca-of-another-instance" in failed["msg"], failed
    # The control: where nobody else has a certificate of it.
    assert run_action(custom_ca, {"state": "absent", "expected": []}, default.variables)["changed"]


def test_who_writes_the_folder_gives_the_ca_to_no_other_instance(default: Instance, blue: Instance) -> None:
    """A7, a sibling: the key has signed whose it is."""
    index = default.folder / "authority.json"
    text = index.read_text(encoding="utf-8")
    index.write_text(text.replace('"default"', '"blue"'), encoding="utf-8")
    assert text != index.read_text(encoding="utf-8")
    for store in (blue.store, default.store):
        with refused("store-unvouched"):
            store.public()
    # The control.
    index.write_text(text, encoding="utf-8")
    assert default.authority.issuing


# -- the way over for links that run with one CA ---------------------------------------------------------------------


@dataclass(frozen=True)
class Shared:
    """A store of an earlier release from which two instances have issued.

    :param leaf: a client's certificate of each, by the instance's name.
    """

    root: str
    leaf: dict[str, CertificateView]


@pytest.fixture
def shared(default: Instance, blue: Instance) -> Shared:
    leaf = {item.name: item.issued("client", default.store) for item in (default, blue)}
    root = default.authority.trusted[0].fingerprint
    as_earlier_release(default.store)
    return Shared(root, leaf)


@pytest.fixture
def apart(default: Instance, blue: Instance, shared: Shared, tmp_path: Path) -> Instance:
    """Blue with a copy of the store, both taken over."""
    own = replace(blue, folder=Path(shutil.copytree(default.folder, tmp_path / "blue")))
    for instance in (default, own):
        assert taken_over(instance, shared.root)
    return own


def test_links_that_run_with_one_ca_are_moved_apart_and_lose_no_connection(
    default: Instance, apart: Instance, shared: Shared
) -> None:
    """A7: at each step both gateways of blue take what the other one has, before and after it."""
    assert apart.authority.shared == (shared.root,)
    assert apart.lets_in(shared.leaf["default"], "client"), "that is the fault, until the root is replaced"
    apart.prepare()
    assert apart.lets_in(shared.leaf["blue"], "client")
    assert apart.lets_in(apart.issued("client"), "client")
    apart.switch()
    assert apart.authority.shared == (shared.root,)
    new = apart.issued("client")
    assert apart.lets_in(shared.leaf["blue"], "client")
    assert apart.lets_in(new, "client")
    apart.retire()
    assert not apart.lets_in(shared.leaf["blue"], "client")
    assert not apart.lets_in(shared.leaf["default"], "client")
    assert apart.lets_in(new, "client"), "the control"
    assert not default.lets_in(new, "client")
    assert not apart.authority.shared
    assert (default.holds_key_of(shared.root), apart.holds_key_of(shared.root)) == (True, False)


def test_what_the_other_one_had_before_is_told_and_refused_once_this_root_is_replaced_too(
    default: Instance, apart: Instance, shared: Shared
) -> None:
    """A7, a sibling: an old certificate that blue serves no more, in the hands of who administers its cluster."""
    for step in (apart.prepare, apart.switch, apart.retire):
        step()
    assert default.authority.shared == (shared.root,)
    assert default.lets_in(shared.leaf["blue"], "client")
    for step in (default.prepare, default.switch, default.retire):
        step()
    assert not default.lets_in(shared.leaf["blue"], "client")
    assert default.lets_in(default.issued("client"), "client"), "the control"
    assert not default.authority.shared


def test_a_revocation_outlives_the_move(default: Instance, blue: Instance, tmp_path: Path) -> None:
    """A7, a sibling: a new CA beside a lost one lets everybody in again who was revoked; a copy does not."""
    leaf = blue.issued("client", default.store)
    root = default.authority.trusted[0].fingerprint
    assert default.lets_in(leaf, "client")
    revoke(default, leaf.serial)
    as_earlier_release(default.store)
    own = replace(blue, folder=Path(shutil.copytree(default.folder, tmp_path / "blue")))
    assert taken_over(own, root)
    assert leaf.serial in {record.serial for record in own.store.records(NOW)}
    steps: tuple[Callable[[], None], ...] = (lambda: None, own.prepare, own.switch)
    for step in steps:
        step()
        assert not own.lets_in(leaf, "client")


def test_a_copy_is_taken_over_after_its_owner_has_signed_it_too(
    default: Instance, blue: Instance, shared: Shared, tmp_path: Path
) -> None:
    """Not with another passphrase, nor with other roots; and the owner's own store stays his."""
    assert taken_over(default, shared.root)
    own = replace(blue, folder=Path(shutil.copytree(default.folder, tmp_path / "blue")))
    with refused("ca-of-another-instance"):
        own.store.public()
    with refused("wrong-passphrase"):
        own.store.take_over("another passphrase", [shared.root])
    with refused("take-over-roots"):
        taken_over(own, "0" * 64)
    assert taken_over(own, shared.root, check=True)
    assert own.store.of_another(), "check mode"
    assert taken_over(own, shared.root)
    assert not taken_over(own, shared.root), "it is its own now"
    assert (own.authority.shared, default.authority.shared) == ((shared.root,), (shared.root,))
    assert {record.instance for record in own.store.records(NOW)} == {"default", "blue"}


@pytest.mark.parametrize("steps", [0, 1, 2], ids=["prepared", "switched", "retired"])
def test_a_copy_of_a_store_that_was_lost_before_is_taken_over(tmp_path: Path, steps: int) -> None:
    """What was inherited once is inherited by the copy as well; without, the copy was signed and then refused."""
    default, lost, following = Instance("default", tmp_path / "ca"), make_root(), make_root()
    default.store.recover(PASSPHRASE, following.key, following.view.pem, [lost.view])
    for step in (default.switch, default.retire)[:steps]:
        step()
    own = Instance("blue", Path(shutil.copytree(default.folder, tmp_path / "blue")))
    before = default.authority
    assert taken_over(own, *(root.fingerprint for root in before.trusted))
    assert replace(own.authority, path=before.path, shared=()) == before
    assert witness(own.store)


def test_a_copy_of_a_store_of_an_earlier_release_with_an_ended_rotation_is_taken_over(
    default: Instance, tmp_path: Path
) -> None:
    """The same: nothing tells of the root that it had retired."""
    for step in (default.prepare, default.switch, default.retire):
        step()
    (root,) = (item.fingerprint for item in default.authority.trusted)
    as_earlier_release(default.store)
    assert taken_over(default, root)
    own = Instance("blue", Path(shutil.copytree(default.folder, tmp_path / "blue")))
    assert taken_over(own, root)
    assert own.authority.retired == default.authority.retired
    own.issued("client")
