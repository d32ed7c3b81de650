# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""E4 and A5: who was taken away keeps nothing unnoticed, and a certificate that no record knows is told."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import custom_ca_rotation, mesh_summary
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record, record_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.summary import ca_reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf, issue_leaf, new_root, timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.unrecorded import Unrecorded, unrecorded_in
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Variables
from tests.unit.pki.support import PASSPHRASE
from tests.unit.plan.test_plan import secret
from tests.unit.support import CLIENT, MYSQL, Json, run_action, view

DAY = timedelta(days=1)
DOMAIN = "crossmesh.internal"
THEFT, STAYING = "cluster-c", "cluster-a"
GROUPS = {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"], "cluster-c": ["mesh_clients"]}
BANK: Json = {
    **MYSQL,
    "name": "bank",
    "fqdn": "bank.server.example.com",
    "port": 8000,
    "tls_port": 18000,
    "backend": {"host": "bank.default.svc.cluster.local", "port": 8000},
}


@dataclass(frozen=True)
class Controller:
    """A CA store, and who issues from it: every key as the actions make it."""

    store: CaStore
    now: datetime

    def issued(self, cluster: str, links: Sequence[str], *, kept: bool = True, before: timedelta = DAY) -> Leaf:
        """A client's certificate.

        :param kept: whether the store has a record of it.
        """
        authority = self.store.public()
        assert authority
        assert authority.issuing
        then = self.now - before
        leaf = issue_leaf(
            root_certificate=authority.issuing,
            root_key=self.store.signer(PASSPHRASE),
            role="client",
            sans=[f"{cluster}.cluster.{DOMAIN}", *(f"{link}.link.{DOMAIN}" for link in links)],
            common_name=cluster,
            key_type="P-256",
            validity=90 * DAY,
            now=then,
        )
        record = record_of(
            leaf.view,
            issuer=authority.issuing,
            instance="default",
            cluster=cluster,
            side="client",
            links=links,
            secret="istio-system/client-credential",
            now=then,
        )
        if kept:
            self.keep(record)
        return leaf

    def keep(self, *records: Record) -> None:
        assert self.store.record(records, self.store.signer(PASSPHRASE), self.now)

    def refused(self) -> set[str]:
        """Serials that the published lists refuse."""
        return {item.serial for found in self.store.lists().values() for item in found.revoked}

    def inventory(self, links: Sequence[Json], clusters: Mapping[str, Sequence[str]], **shared: Any) -> Json:
        """The variables of a task, as Ansible gives them."""
        everywhere = {
            "mesh_links": list(links),
            "custom_ca_dir": self.store.where,
            "custom_ca_passphrase": PASSPHRASE,
            **shared,
        }
        hosts = {
            name: {"inventory_hostname": name, "group_names": list(groups), **everywhere}
            for name, groups in clusters.items()
        }
        groups = {
            side: [name for name, of in clusters.items() if side in of] for side in ("mesh_servers", "mesh_clients")
        }
        return {**everywhere, "hostvars": hosts, "groups": groups}

    def said(self, variables: Json) -> list[str]:
        """What the last word of `site` warns of."""
        result = run_action(mesh_summary, {"looks": {}, "removed": True}, variables)
        return list(result["warnings"])

    def publish(self, variables: Json, **arguments: Any) -> Json:
        """What `site` and `rotate_certificates` do once everybody who is entitled has another certificate."""
        result = run_action(custom_ca_rotation, {"step": "publish", **arguments}, variables)
        assert not result.get("failed"), result
        return result


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, now = tmp_path_factory.mktemp("template") / "ca", datetime.now(UTC)
    key, pem = new_root(common_name="Test Root CA", key_type="P-256", validity=3650 * DAY, now=now - 100 * DAY)
    CaStore(FileStorage(path)).create(PASSPHRASE, key, pem)
    return path


@pytest.fixture
def controller(tmp_path: Path, template: Path) -> Controller:
    store = CaStore(FileStorage(shutil.copytree(template, tmp_path / "ca")))
    return Controller(store, datetime.now(UTC).replace(microsecond=0))


def without(cluster: str) -> dict[str, list[str]]:
    return {name: groups for name, groups in GROUPS.items() if name != cluster}


ONLY_A = {**MYSQL, "clients": [STAYING]}


# -- E4: a client that was taken out -------------------------------------------------------------------------------


def test_a_client_that_was_taken_out_is_told_with_what_ends_it(controller: Controller) -> None:
    """E4: on d3897ca its certificate was accepted for 90 days, and no line said so."""
    stolen, staying = (controller.issued(name, ["mysql"]).view for name in (THEFT, STAYING))
    (warning,) = controller.said(controller.inventory([ONLY_A], GROUPS))
    assert warning.endswith("[removed-still-valid]")
    for part in (THEFT, stolen.serial, f"mysql.link.{DOMAIN}", timestamp(stolen.not_after), "{cluster: 'cluster-c'"):
        assert part in warning
    assert staying.serial not in warning
    assert controller.said(controller.inventory([MYSQL], GROUPS)) == [], "the control: it is a client"


def test_a_client_that_was_taken_out_is_refused_in_the_same_run(controller: Controller) -> None:
    """E4: with custom_ca_revoke_removed the list of the run that takes it out holds its certificate."""
    stolen, staying = (controller.issued(name, ["mysql"]).view.serial for name in (THEFT, STAYING))
    controller.publish(controller.inventory([ONLY_A], GROUPS))
    assert controller.refused() == set(), "the control: without the switch nothing is revoked"
    removing = controller.inventory([ONLY_A], GROUPS, custom_ca_revoke_removed=True)
    assert controller.publish(removing)["changed"] is True
    assert controller.refused() == {stolen}
    assert controller.publish(removing)["changed"] is False
    assert controller.said(removing) == []
    assert staying not in controller.refused()


@pytest.mark.parametrize("taken", ["link", "absent", "cluster"])
def test_a_link_and_a_cluster_that_go_take_their_certificates_along(controller: Controller, taken: str) -> None:
    """E4, siblings: not the client alone. Each is told, and each is refused."""
    stolen = controller.issued(THEFT, ["mysql"]).view.serial
    variables = {
        "link": controller.inventory([BANK], GROUPS, custom_ca_revoke_removed=True),
        "absent": controller.inventory([MYSQL], GROUPS, custom_ca_revoke_removed=True),
        "cluster": controller.inventory(
            [MYSQL], without(THEFT), custom_ca_revoke_removed=True, mesh_clusters=without(THEFT)
        ),
    }[taken]
    if taken == "absent":
        variables["hostvars"][THEFT]["mesh_cluster_state"] = "absent"
    (warning,) = controller.said(variables)
    assert stolen in warning
    controller.publish(variables)
    assert controller.refused() == {stolen}
    controller.publish(controller.inventory([MYSQL], GROUPS, custom_ca_revoke_removed=True))
    assert controller.refused() == set(), "the control: it is a client of the link again"


def test_who_stays_a_client_of_another_link_is_not_cut_off_there(controller: Controller) -> None:
    """E4, a sibling: one certificate names all links; it is revoked once its holder has the next one, not before."""
    old = controller.issued(THEFT, ["bank", "mysql"]).view.serial
    variables = controller.inventory([ONLY_A, BANK], GROUPS, custom_ca_revoke_removed=True)
    controller.publish(variables)
    assert controller.refused() == set()
    assert old in controller.said(variables)[0]
    new = controller.issued(THEFT, ["bank"], before=timedelta()).view.serial
    controller.publish(variables)
    assert controller.refused() == {old}
    assert new not in controller.refused()


@pytest.mark.parametrize(
    ("clusters", "shared"),
    [
        (without(THEFT), {}),
        (without(THEFT), {"mesh_clusters": GROUPS}),
        (GROUPS, {"mesh_only_links": ["bank"], "mesh_links": [ONLY_A, BANK]}),
    ],
    ids=["slice", "declared-slice", "only-links"],
)
def test_what_a_part_does_not_show_is_not_taken_for_removed(
    controller: Controller, clusters: Mapping[str, Sequence[str]], shared: Json
) -> None:
    """E4, a sibling: a slice or a limit cuts nobody off."""
    stolen = controller.issued(THEFT, ["mysql"]).view.serial
    links = shared.pop("mesh_links", [MYSQL])
    controller.publish(controller.inventory(links, clusters, custom_ca_revoke_removed=True, **shared))
    assert controller.refused() == set()
    whole = controller.inventory([ONLY_A], GROUPS, custom_ca_revoke_removed=True)
    controller.publish(whole)
    assert controller.refused() == {stolen}, "the control: a run over the whole inventory"


def test_another_instance_on_the_same_store_cuts_nobody_off(controller: Controller) -> None:
    """E4, a sibling: it is refused, whatever it would take away."""
    stolen = controller.issued(THEFT, ["mysql"]).view.serial
    whole = controller.inventory([ONLY_A], GROUPS, custom_ca_revoke_removed=True)
    result = run_action(custom_ca_rotation, {"step": "publish"}, {**whole, "mesh_instance": "blue"})
    assert "ca-of-another-instance" in result["msg"]
    assert controller.refused() == set()
    controller.publish(whole)
    assert controller.refused() == {stolen}, "the control: its own instance"


def test_a_run_of_a_part_lets_nobody_in_again(controller: Controller) -> None:
    """E4, a sibling: what was revoked when it was taken away stays so, whichever part the next run sees."""
    stolen = controller.issued(THEFT, ["mysql"]).view.serial
    controller.publish(controller.inventory([ONLY_A], GROUPS, custom_ca_revoke_removed=True))
    for clusters, shared in ((without(THEFT), {}), (GROUPS, {"mesh_only_links": ["mysql"]})):
        links = [ONLY_A] if shared else [MYSQL]
        controller.publish(controller.inventory(links, clusters, custom_ca_revoke_removed=True, **shared))
        assert controller.refused() == {stolen}
    controller.publish(controller.inventory([ONLY_A], GROUPS))
    assert controller.refused() == set(), "the control: the switch was taken out"


# -- A5: a certificate that no record knows ------------------------------------------------------------------------


def seen(controller: Controller, leaf: Leaf, **changes: Any) -> list[Unrecorded]:
    """What a look at cluster-a finds of its Secret."""
    held = secret(leaf, name="client-credential", labels=Owner("default", STAYING, "client").labels("client"))
    authority = controller.store.public()
    assert authority
    sides = {"client": view([MYSQL], CLIENT)["client"]}
    held = {**held, **changes}  # type: ignore[typeddict-item]
    return unrecorded_in([held], sides, controller.store.records(controller.now), authority, controller.now)  # type: ignore[arg-type]


def revoking(controller: Controller, **entry: str) -> Json:
    date = timestamp(controller.now - timedelta(seconds=1))
    return controller.inventory([MYSQL], GROUPS, custom_ca_revoked=[{**entry, "date": date}])


@pytest.mark.parametrize("entry", [{"cluster": STAYING}, {"link": "mysql"}], ids=["cluster", "link"])
def test_a_revocation_reaches_what_is_in_service_and_no_record_knows(controller: Controller, entry: Json) -> None:
    """A5: on d3897ca a revocation after a restore listed the old serial and missed the one in service, silently."""
    old, lost = (
        controller.issued(STAYING, ["mysql"], kept=True, before=9 * DAY),
        controller.issued(STAYING, ["mysql"], kept=False),
    )
    (stray,) = seen(controller, lost)
    assert str(stray.alarm).endswith("[unrecorded-certificate]")
    assert lost.view.serial in stray.alarm.what
    assert stray.record
    assert (stray.record.cluster, stray.record.links) == (STAYING, ("mysql",))
    controller.publish(revoking(controller, **entry))
    assert controller.refused() == {old.view.serial}, "the control: what the records alone show"
    controller.publish(revoking(controller, **entry), unrecorded=[stray.record.to_json()])
    assert controller.refused() == {old.view.serial, lost.view.serial}
    assert seen(controller, lost) == [], "it is recorded from then on"


def test_a_look_says_that_lists_are_due_for_what_only_it_has_seen(controller: Controller) -> None:
    """A5: the cluster that holds it issues anew in the same run, and every cluster gets the lists."""
    lost = controller.issued(STAYING, ["mysql"], kept=False)
    (stray,) = seen(controller, lost)
    authority = controller.store.public()
    assert authority
    assert stray.record
    entries = Variables({"inventory_hostname": "localhost", **revoking(controller, cluster=STAYING)}, None).revoked()
    blind = ca_reading(controller.store, authority, entries, controller.now)
    assert (blind["revoked"], blind["lists_due"]) == ([], ""), "the control"
    found = ca_reading(
        controller.store,
        authority,
        entries,
        controller.now,
        None,
        [*controller.store.records(controller.now), stray.record],
    )
    assert found["revoked"] == [lost.view.serial]
    assert found["lists_wrong"]
    assert found["lists_due"]


def test_a_certificate_of_another_cluster_is_not_taken_for_ones_own(controller: Controller) -> None:
    """A5, a sibling: a hostile cluster that shows another's certificate gains no revocation of it."""
    recorded = controller.issued(THEFT, ["mysql"])
    for leaf in (recorded, controller.issued(THEFT, ["mysql"], kept=False)):
        (stray,) = seen(controller, leaf)
        assert stray.record is None
        assert str(stray.alarm).endswith("[copied-certificate]")
        assert THEFT in stray.alarm.what
    assert "without its private key" in seen(controller, recorded, key_matches=False)[0].alarm.what
    assert seen(controller, controller.issued(STAYING, ["mysql"])) == [], "the control: its own, which is recorded"


def test_a_certificate_without_its_key_is_told_and_nobodys(controller: Controller) -> None:
    """A5, a sibling: a certificate is public; only who has the key holds it."""
    lost = controller.issued(STAYING, ["mysql"], kept=False)
    (stray,) = seen(controller, lost, key_matches=False)
    assert stray.record is None
    assert seen(controller, lost)[0].record is not None, "the control: with its key"


def test_names_that_the_inventory_does_not_give_are_not_its_links(controller: Controller) -> None:
    """A5, a sibling: what is recorded is what the inventory gives; a revocation of the link reaches it all the same."""
    lost = controller.issued(STAYING, ["bank", "mysql"], kept=False)
    (stray,) = seen(controller, lost)
    assert stray.record
    assert stray.record.links == ("mysql",)
    controller.publish(revoking(controller, link="bank"), unrecorded=[stray.record.to_json()])
    assert controller.refused() == {lost.view.serial}


def test_what_no_trusted_root_signed_or_has_expired_is_no_alarm_of_ours(controller: Controller, tmp_path: Path) -> None:
    """A5, a sibling: nobody raises the alarm with a certificate of his own root."""
    key, pem = new_root(common_name="Stranger", key_type="P-256", validity=30 * DAY, now=controller.now)
    store = CaStore(FileStorage(tmp_path / "stranger"))
    store.create(PASSPHRASE, key, pem)
    foreign = Controller(store, controller.now).issued(STAYING, ["mysql"], kept=False, before=timedelta())
    assert seen(controller, foreign) == []
    expired = controller.issued(STAYING, ["mysql"], kept=False, before=90 * DAY)
    assert seen(controller, expired) == []
    assert len(seen(controller, controller.issued(STAYING, ["mysql"], kept=False))) == 1, "the control"
