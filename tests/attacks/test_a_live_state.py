# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part A: what stands in a cluster is believed where it should only be compared.

The attacker is admin of one cluster, or a tenant who may write objects into a namespace of it. What he puts there may
take away from what the inventory gives, and adds nothing to it.
"""

from __future__ import annotations

import base64
import copy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.crossmesh.mtls.plugins.filter.authority_state import authority_state
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import Entry, revoked_serials
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.summary import ca_reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import try_out
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Manifest
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import key_of, place_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import read_cluster
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import (
    Credential,
    Work,
    authority_of,
    ensure,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner, Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf, parse_certificates
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import strays
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.outlook import Case, look_ahead
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Plan
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import ca_in_cluster
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import request_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._manifests import render
from tests.unit.ca.support import file_store
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, Root, make_leaf, make_root
from tests.unit.support import CLIENT, SERVER, Json, codes_of, link, numbered, view

GATEWAYS = "istio-system"
TENANT = "tenant"
CREDENTIAL = "client-credential"
A_CLIENT, B_SERVER = Owner("default", "cluster-a", "client"), Owner("default", "cluster-b", "server")
CLUSTER, MYSQL, BANK, REPORTS = (
    f"{name}.crossmesh.internal" for name in ("cluster-a.cluster", "mysql.link", "bank.link", "reports.link")
)
# The bank is not for cluster-a.
LINKS = [
    link(),
    numbered(1, name="reports", clients=["cluster-a"]),
    numbered(2, name="bank", clients=["cluster-z"]),
]
THEIRS = make_root()


@dataclass(frozen=True)
class Authority:
    """The CA of the tests: its store, and the root by itself."""

    store: CaStore
    root: Root


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Root]:
    path, root = tmp_path_factory.mktemp("template") / "ca", make_root()
    file_store(path).create(PASSPHRASE, root.key, root.view.pem)
    return path, root


@pytest.fixture
def ca(tmp_path: Path, template: tuple[Path, Root]) -> Authority:
    path, root = template
    return Authority(file_store(shutil.copytree(path, tmp_path / "ca")), root)


@dataclass(frozen=True)
class Seat:
    """One side of a cluster, and the run that works on it."""

    api: FakeApi
    ca: Authority
    links: Sequence[Json]
    variables: Json
    side: Side
    only: Sequence[str] = ()

    @property
    def policy(self) -> Policy:
        return Policy("P-256", 30 * DAY, only=frozenset(self.only))

    def reading(self) -> Reading:
        store, request = self.ca.store, request_of(view(self.links, self.variables)["request"])
        recorded = partial(store.secrets_of, request.instance, request.cluster, NOW)
        found = read_cluster(cast(Api, self.api), replace(request, recorded=recorded)).reading
        return {**found, **ca_reading(store, authority_of(store), (), NOW)}

    def plan(self) -> Plan:
        """What a run of playbook site would do here."""
        desired = view(self.links, self.variables)[self.side]
        case = Case(self.reading(), desired, render(self.side, desired), authority_of(self.ca.store), self.policy, NOW)
        return look_ahead(case, partial(try_out, cast(Api, self.api))).plan

    def issue(self) -> list[Credential]:
        """What it then issues."""
        plan, desired = self.plan(), view(self.links, self.variables)[self.side]
        work = Work(
            owner=Owner(**desired["owner"]),
            namespace=desired["namespace"],
            wanted=plan.work.credentials,
            policy=self.policy,
            validity=90 * DAY,
            passphrase=PASSPHRASE,
            check=False,
        )
        return ensure(cast(Api, self.api), self.ca.store, work, NOW)


def client(ca: Authority, *objects: Json, only: Sequence[str] = (), links: Sequence[Json] = LINKS) -> Seat:
    api = FakeApi([gateway_service("egress"), *objects])
    return Seat(api, ca, links, CLIENT, "client", only)


def server(ca: Authority, *objects: Json, only: Sequence[str] = (), links: Sequence[Json] = LINKS) -> Seat:
    api = FakeApi([gateway_service("ingress"), *objects])
    return Seat(api, ca, links, SERVER, "server", only)


def thing(kind: str, name: str, namespace: str, labels: Json, **content: object) -> Json:
    metadata = {"kind": kind, "metadata": {"name": name, "namespace": namespace, "labels": labels}}
    return {**metadata, **content}


def gateway_service(way: str, *ports: int, manager: str = "") -> Json:
    found = thing("Service", f"istio-{way}gateway", GATEWAYS, {}, spec={"ports": [_port(number) for number in ports]})
    owned: Json = {f'k:{{"port":{number},"protocol":"TCP"}}': {} for number in ports}
    if manager:
        fields = {"f:spec": {"f:ports": owned}}
        found["metadata"]["managedFields"] = [{"manager": manager, "fieldsV1": fields}]
    return found


def _port(number: int) -> Json:
    return {"name": f"tls-{number}", "port": number, "protocol": "TCP", "targetPort": number}


def credential(leaf: Leaf, trust: str, *, name: str = CREDENTIAL, labels: Json | None = None) -> Json:
    data = {"tls.crt": leaf.certificate_pem.encode(), "tls.key": leaf.key_pem, "ca.crt": trust.encode()}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    held = A_CLIENT.labels("client") if labels is None else labels
    return thing("Secret", name, GATEWAYS, held, data=encoded, type="kubernetes.io/tls")


def client_leaf(root: Root, *sans: str) -> Leaf:
    return make_leaf(root, role="client", sans=[CLUSTER, *sans], common_name="cluster-a")


def sans_issued(seat: Seat) -> set[str]:
    return {san for item in seat.issue() if item.leaf for san in item.leaf.view.sans}


# -- A1: names -----------------------------------------------------------------------------------------------------


def test_a_certificate_that_somebody_else_signed_gets_no_name_signed(ca: Authority) -> None:
    """A1: a self-signed certificate with bank's name in the client's Secret, then a run with mesh_only_links: the CA
    issued bank's name to a cluster that bank is not for.
    """
    forged = credential(client_leaf(THEIRS, MYSQL, BANK), ca.root.view.pem)
    assert sans_issued(client(ca, forged, only=["mysql"])) == {CLUSTER, MYSQL}
    # Nor one that the inventory gives, before the run of its own link.
    early = credential(client_leaf(THEIRS, MYSQL, REPORTS), ca.root.view.pem)
    assert sans_issued(client(ca, early, only=["mysql"])) == {CLUSTER, MYSQL}
    # The control: what the CA itself has issued of other links stays.
    sound = credential(client_leaf(ca.root, MYSQL, REPORTS), ca.root.view.pem)
    due = [*LINKS, numbered(3, name="new", clients=["cluster-a"])]
    new = "new.link.crossmesh.internal"
    assert sans_issued(client(ca, sound, only=["new"], links=due)) == {CLUSTER, MYSQL, REPORTS, new}


def test_a_name_that_was_given_once_is_not_given_again(ca: Authority) -> None:
    """A1, sibling: an old certificate of the CA itself, of a time when bank was for this cluster, put back into the
    Secret: its name was issued anew for as long as somebody put it back.
    """
    old = credential(client_leaf(ca.root, MYSQL, BANK), ca.root.view.pem)
    assert sans_issued(client(ca, old, only=["reports"])) == {CLUSTER, MYSQL, REPORTS}
    # The control: while bank is for this cluster, the same certificate keeps its name.
    given = [*LINKS[:2], numbered(2, name="bank", clients=["cluster-a"])]
    assert BANK in sans_issued(client(ca, old, only=["reports"], links=given))


def test_a_name_of_another_trust_domain_or_of_another_cluster_is_not_signed(ca: Authority) -> None:
    """A1, sibling: any name at all was kept, another cluster's or a host's of the internet among them."""
    strange = ["cluster-z.cluster.crossmesh.internal", "bank.link.elsewhere.example", "www.example.com"]
    forged = credential(client_leaf(THEIRS, MYSQL, *strange), ca.root.view.pem)
    assert sans_issued(client(ca, forged, only=["mysql"])) == {CLUSTER, MYSQL}
    # Of the CA itself they would be a sign of another fault, and are not signed again either.
    issued = credential(client_leaf(ca.root, *strange), ca.root.view.pem)
    assert sans_issued(client(ca, issued, only=["mysql"])) == {CLUSTER, MYSQL}


def test_a_revocation_of_a_link_reaches_every_certificate_that_names_it(ca: Authority) -> None:
    """A1: the record of a forged certificate held the links of the run alone, so that no entry for bank found it."""
    client(ca).issue()
    (record,) = ca.store.records(NOW)
    assert set(record.sans) == {CLUSTER, MYSQL, REPORTS}
    assert set(record.links) == {"mysql", "reports"}
    # A record that an earlier version has made of what it issued by the attack.
    poor = replace(record, serial="5" * 32, sans=(CLUSTER, MYSQL, BANK), links=("mysql",))
    entry = Entry("link", "bank", "keyCompromise", NOW)
    assert revoked_serials([entry], [record, poor]) == {poor.serial}
    # A server is certified under a name that may look like a link's.
    named = replace(poor, side="server", sans=("bank.link.example.com",), links=("shop",))
    assert revoked_serials([entry], [named]) == frozenset()


# -- A2: ports -----------------------------------------------------------------------------------------------------


def serving(port: int, host: str = "a.example.com") -> Json:
    """The spec of a Gateway."""
    listener = {"port": {"number": port, "protocol": "TLS"}, "tls": {"mode": "MUTUAL"}, "hosts": [host]}
    return {"selector": {"istio": "ingressgateway"}, "servers": [listener]}


def listening(name: str, port: int, *, namespace: str = GATEWAYS, of: str = "reports") -> Json:
    return thing("Gateway", name, namespace, B_SERVER.labels(of), spec=serving(port))


def ports_written(seat: Seat) -> set[int]:
    plan = seat.plan()
    assert plan.errors == []
    services = [item for item in plan.work.write if item["kind"] == "Service"]
    return {port["port"] for item in services for port in item["spec"]["ports"]}


@pytest.mark.parametrize("name", ["shop", "gateway-reports"])
def test_a_tenants_gateway_opens_no_port_on_the_external_load_balancer(ca: Authority, name: str) -> None:
    """A2: a Gateway in a tenant's namespace with our labels and port 22, then a run with mesh_only_links: 22 was opened
    on the ingress gateway's Service.
    """
    assert ports_written(server(ca, listening(name, 22, namespace=TENANT), only=["mysql"])) == {13306}
    # The control: a port of another link that the inventory gives, and whose Gateway is ours, is kept open.
    ours = listening("gateway-reports", 30001)
    assert ports_written(server(ca, ours, only=["mysql"])) == {13306, 30001}


def test_an_edited_gateway_of_ours_opens_no_port_that_the_inventory_does_not_give(ca: Authority) -> None:
    """A2, sibling: who may change our own Gateway object, and not the Service, had his port opened there."""
    assert ports_written(server(ca, listening("gateway-reports", 22), only=["mysql"])) == {13306}
    # The control: what this side has open there already stays, as long as the link's own run has not been.
    held = gateway_service("ingress", 13306, 13399, manager=B_SERVER.manager)
    seat = server(ca, listening("gateway-reports", 13399), only=["mysql"])
    moving = replace(seat, api=FakeApi([held, listening("gateway-reports", 13399)]))
    assert ports_written(moving) == set(), "nothing to write: both stay open"


def test_a_tenants_gateway_keeps_no_port_open(ca: Authority) -> None:
    """A2, sibling: a port that goes with its link stayed open where a Gateway elsewhere bore our labels."""
    held = gateway_service("ingress", 13306, 30001, manager=B_SERVER.manager)
    theirs = listening("gateway-reports", 30001, namespace=TENANT)
    assert ports_written(replace(server(ca, only=["mysql"]), api=FakeApi([held, theirs]))) == {13306}
    # The control: where the Gateway is ours, the port stays, and nothing is written.
    ours = FakeApi([held, listening("gateway-reports", 30001)])
    assert ports_written(replace(server(ca, only=["mysql"]), api=ours)) == set()


# -- A4: whose an object is ----------------------------------------------------------------------------------------


def titles(plan: Plan) -> list[str]:
    return sorted("{} {}/{}".format(*key_of(item)) for item in plan.work.delete)


def warned(seat: Seat) -> str:
    """What a run says of the objects of others."""
    return " ".join(map(str, strays.warnings(seat.reading())))


FORGED = [
    thing("VirtualService", "x", TENANT, B_SERVER.labels("mysql"), spec={}),
    thing("VirtualService", "mysql-virtual-service", TENANT, B_SERVER.labels("mysql"), spec={}),
    thing("VirtualService", "x", GATEWAYS, B_SERVER.labels("mysql"), spec={}),
    thing("Gateway", "gateway-gone", TENANT, B_SERVER.labels("gone"), spec={}),
    thing("PeerAuthentication", "gone-strict-backend", TENANT, B_SERVER.labels("gone"), spec={}),
    thing("Sidecar", "default", TENANT, Owner("default", "cluster-b", "client").labels("client"), spec={}),
    thing("AuthorizationPolicy", "egressgateway-gone-workloads", GATEWAYS, B_SERVER.labels("gone"), spec={}),
]
IDS = ["{kind} {0}".format("/".join(item["metadata"][key] for key in ("namespace", "name")), **item) for item in FORGED]


@pytest.mark.parametrize("forged", FORGED, ids=IDS)
def test_what_others_made_with_our_labels_is_named_and_left_alone(ca: Authority, forged: Json) -> None:
    """A4: a tenant's VirtualService with our labels was to be deleted: verify, preflight and site failed with 403."""
    seat = server(ca, forged)
    plan = seat.plan()
    assert (plan.errors, titles(plan)) == ([], [])
    assert forged["metadata"]["name"] in warned(seat)


def test_what_a_link_has_left_is_deleted_wherever_runs_have_written(ca: Authority) -> None:
    """The control of A4: each kind, of a link that has left the inventory."""
    gone, had = B_SERVER.labels("gone"), Owner("default", "cluster-b", "client").labels("client")
    led = {"tcp": [{"route": [{"destination": {"host": "gone.shop.svc.cluster.local"}}]}]}
    left = [
        thing("Gateway", "gateway-gone", GATEWAYS, gone, spec={}),
        thing("VirtualService", "gone-virtual-service", GATEWAYS, gone, spec=led),
        thing("PeerAuthentication", "gone-strict-backend", "shop", gone, spec={}),
        thing("Secret", "gone-credential", GATEWAYS, gone, data={}),
    ]
    seat = server(ca, *left)
    assert titles(seat.plan()) == sorted("{} {}/{}".format(*key_of(item)) for item in left)
    assert warned(seat) == ""
    locked = thing("Sidecar", "egress-lockdown", "shop", had, spec={})
    assert titles(replace(seat, side="client", api=FakeApi([locked])).plan()) == ["Sidecar shop/egress-lockdown"]


def test_a_gateway_that_has_moved_takes_its_objects_along(ca: Authority) -> None:
    """The control of A4: where certificates on record were issued for, runs have written."""
    server(ca).issue()
    old = thing("Gateway", "gateway-mysql", GATEWAYS, B_SERVER.labels("mysql"), spec={})
    moved = {**SERVER, "mesh_ingress_gateway": {"namespace": "edge"}}
    seat = replace(server(ca), variables=moved, api=FakeApi([old]))
    assert (titles(seat.plan()), warned(seat)) == (["Gateway istio-system/gateway-mysql"], "")
    elsewhere = thing("Gateway", "gateway-mysql", TENANT, B_SERVER.labels("mysql"), spec={})
    other = replace(seat, api=FakeApi([elsewhere]))
    assert titles(other.plan()) == []
    assert "Gateway tenant/gateway-mysql" in warned(other)


def test_a_secret_that_had_another_name_is_known_by_its_record(ca: Authority) -> None:
    """The control of A4: C(mesh_client_credential_prefix) was changed; the Secret of before goes, if a certificate was
    issued for it.
    """
    first = client(ca)
    first.issue()
    renamed = replace(first, variables={**CLIENT, "mesh_client_credential_prefix": "egress-credential"})
    assert titles(renamed.plan()) == [f"Secret {GATEWAYS}/{CREDENTIAL}"]
    other = credential(client_leaf(ca.root, MYSQL), ca.root.view.pem, name="shop-credential")
    strange = replace(renamed, api=FakeApi([gateway_service("egress"), other]))
    assert titles(strange.plan()) == []
    assert f"Secret {GATEWAYS}/shop-credential" in warned(strange)


BESIDE_WORKLOADS = [
    ("server", thing("PeerAuthentication", "mysql-strict-backend", "default", B_SERVER.labels("mysql"), spec={})),
    ("client", thing("Sidecar", "egress-lockdown", TENANT, A_CLIENT.labels("client"), spec={})),
    ("client", thing("NetworkPolicy", "egress-lockdown", TENANT, A_CLIENT.labels("client"), spec={})),
]


@pytest.mark.parametrize(("side", "forged"), BESIDE_WORKLOADS, ids=[item["kind"] for _side, item in BESIDE_WORKLOADS])
def test_what_may_be_anybodys_beside_workloads_fails_no_run(ca: Authority, side: Side, forged: Json) -> None:
    """A4, sibling: under the one name that we would give in his namespace, a tenant's object was to be deleted too: 403
    where the documented role is bound nowhere near it, and a finalizer made each run wait for its time limit and fail.
    """
    seat = server(ca, forged) if side == "server" else client(ca, forged)
    path = place_of(cast(Manifest, forged)).path
    denied = {"reason": "Forbidden", "message": 'x is forbidden: User "lab" cannot delete resource "x" in API group ""'}
    seat.api.refused[path] = (403, denied)
    plan = seat.plan()
    assert (plan.errors, titles(plan)) == ([], [])
    assert "left-behind" in codes_of(plan.standing.warnings)
    held = copy.deepcopy(forged)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    assert titles(replace(seat, api=FakeApi([held])).plan()) == []
    # The control: where it may be deleted, it goes.
    assert titles(replace(seat, api=FakeApi([forged])).plan()) == ["{} {}/{}".format(*key_of(forged))]


def test_labels_of_ours_hide_nothing_from_what_is_looked_for_in_others(ca: Authority) -> None:
    """A4, sibling: an older Gateway of a tenant that takes a link's host and port was not reported once it bore our
    labels: it counted as ours.
    """
    spec = serving(13306, "mysql.server.example.com")
    for labels in (B_SERVER.labels("mysql"), {}):
        theirs = thing("Gateway", "theirs", TENANT, labels, spec=spec)
        theirs["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
        assert "host-taken-in-namespace" in codes_of(server(ca, theirs).plan().errors)
    # The control: ours, in its place.
    ours = thing("Gateway", "gateway-mysql", GATEWAYS, B_SERVER.labels("mysql"), spec=spec)
    assert server(ca, ours).plan().errors == []


def test_a_secret_of_others_with_our_labels_neither_goes_nor_speaks_for_a_root(ca: Authority) -> None:
    """A4, sibling: a Secret of somebody who may write Secrets beside the gateways was to be deleted, and its ca.crt
    stopped the cluster as that of a CA that the store does not know.
    """
    leaf = make_leaf(THEIRS)
    theirs = credential(leaf, THEIRS.view.pem, name="shop-tls", labels=B_SERVER.labels("mysql"))
    seat = server(ca, theirs)
    plan = seat.plan()
    assert (plan.errors, titles(plan)) == ([], [])
    assert "Secret istio-system/shop-tls" in warned(seat)
    # The control: under a name of ours both follow.
    ours = credential(leaf, THEIRS.view.pem, name="gone-credential", labels=B_SERVER.labels("gone"))
    assert codes_of(server(ca, ours).plan().errors) == ["wrong-store"]


STRANGE_FIELDS: list[object] = [
    [{}],
    [{"manager": None}, {"manager": 7, "fieldsV1": []}],
    [None, "text", 5, []],
    [{"manager": "ops", "fieldsV1": {"f:spec": None}}],
    [{"manager": "ops", "fieldsV1": {"f:spec": {"f:ports": [], "f:servers": 5}}}],
    [{"manager": "ops", "fieldsV1": {"f:spec": {"f:ports": {"k:{": {}, "k:[]": {}, 'k:{"port":"x"}': {}, "k:7": {}}}}}],
    [{"manager": "ops", "fieldsV1": {"f:spec": {"f:ports": {"k:" + "[" * 100_000: {}}}}}],
    "text",
    5,
    {"manager": "ops"},
]


@pytest.mark.parametrize("fields", STRANGE_FIELDS, ids=lambda fields: str(fields)[:60])
def test_managed_fields_of_any_form_stop_nothing(ca: Authority, fields: object) -> None:
    """A4: an entry without a manager ended every playbook with Task failed: 'manager'. An API server, or whoever may
    update an object, writes them as he likes; siblings: entries and fields of other types.
    """
    spec = serving(13306, "elsewhere.example.com")
    edited = thing("Gateway", "gateway-mysql", GATEWAYS, B_SERVER.labels("mysql"), spec=spec)
    service = gateway_service("ingress", 13306)
    secret = credential(make_leaf(ca.root), ca.root.view.pem, name="mysql-credential", labels=B_SERVER.labels("mysql"))
    for item in (edited, service, secret):
        item["metadata"]["managedFields"] = fields
    plan = replace(server(ca), api=FakeApi([edited, service, secret])).plan()
    assert plan.errors == []
    assert any(line.startswith("write Gateway istio-system/gateway-mysql: spec") for line in plan.work.lines)


# -- A3, A8: roots -------------------------------------------------------------------------------------------------


def shows(seat: Seat) -> Json:
    """What a look at a cluster hands on of the CA."""
    owner = Owner(**view(seat.links, seat.variables)[seat.side]["owner"])
    return {"cluster": owner.cluster, "ca": ca_in_cluster(seat.reading(), owner.instance, owner.cluster)}


def holding(ca: Authority, root: Root, *trust: Root) -> tuple[Seat, Seat]:
    """A server's cluster whose certificate is of this root, and a client's, with these roots beside it in C(ca.crt)."""
    leaf, held = make_leaf(root), "".join(item.view.pem for item in (root, *trust))
    served = credential(leaf, root.view.pem, name="mysql-credential", labels=B_SERVER.labels("mysql"))
    return server(ca, served), client(ca, credential(client_leaf(root, MYSQL), held))


def state(*seats: Seat, named: Sequence[str] = ()) -> Json:
    looks = {found["cluster"]: found for found in map(shows, seats)}
    return authority_state(looks, {}, False, False, named)


def lost(tmp_path: Path) -> Authority:
    """A CA whose store is gone."""
    return Authority(file_store(tmp_path / "lost" / "ca"), make_root())


def test_a_root_that_one_cluster_slips_in_enters_no_recovery(tmp_path: Path) -> None:
    """A3: a root of his own, appended to ca.crt in a client's cluster, was trusted by every gateway from step trust on
    where the CA was replaced with custom_ca_lost.
    """
    gone = lost(tmp_path)
    found = state(*holding(gone, gone.root, THEIRS))
    assert found["lost_roots"] == [gone.root.view.pem]
    (refusal,) = found["unvouched"]
    assert f"root {THEIRS.view.fingerprint}" in refusal
    assert "Secrets of cluster-a" in refusal
    # The control: what both clusters hold certificates of is trusted, and a run goes on.
    sound = state(*holding(gone, gone.root))
    assert (sound["lost_roots"], sound["unvouched"]) == ([gone.root.view.pem], [])


def test_certificates_of_ones_own_in_one_cluster_vouch_for_nothing(tmp_path: Path) -> None:
    """A3, sibling: who may write one Secret may write two, and puts certificates of his root into them; or the root
    itself in the place of a certificate.
    """
    gone = lost(tmp_path)
    honest, _client = holding(gone, gone.root)
    own = [
        credential(client_leaf(THEIRS, MYSQL), THEIRS.view.pem),
        credential(make_leaf(THEIRS), THEIRS.view.pem, name="x-client-credential", labels=A_CLIENT.labels("client")),
    ]
    found = state(honest, client(gone, *own))
    assert found["lost_roots"] == []
    assert len(found["unvouched"]) == 2, "of the true one only the server's cluster holds a certificate now"
    pem = THEIRS.view.pem
    itself = credential(replace(make_leaf(THEIRS), certificate_pem=pem), pem)
    assert shows(client(gone, itself))["ca"]["vouched"] == []
    # The control: the operator's word for the true one is enough, and is no word for the other.
    named = state(honest, client(gone, *own), named=[gone.root.view.fingerprint])
    assert (named["lost_roots"], len(named["unvouched"])) == ([gone.root.view.pem], 1)


def test_a_root_beside_the_true_one_is_not_vouched_for_by_the_true_ones_certificates(tmp_path: Path) -> None:
    """A3, sibling: the same name, or the same key identifier, as the true root; two clusters hold certificates that
    name it as their issuer.
    """
    gone = lost(tmp_path)
    twin = named_like(gone.root)
    found = state(*holding(gone, gone.root, twin))
    assert twin.view.subject == gone.root.view.subject
    assert twin.view.ski == gone.root.view.ski
    assert (found["lost_roots"], len(found["unvouched"])) == ([gone.root.view.pem], 1)


def named_like(root: Root) -> Root:
    """Somebody's root with the name and key identifier of another."""
    true = x509.load_pem_x509_certificate(root.view.pem.encode())
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateBuilder(true.issuer, true.subject, key.public_key(), 7, NOW, NOW + 90 * DAY)
    for extension in true.extensions:
        made = made.add_extension(extension.value, extension.critical)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return Root(parse_certificates(pem)[0], key)


def test_somebodys_root_in_one_secret_costs_that_cluster_its_turn_alone(ca: Authority) -> None:
    """A8: a root in ca.crt of one Secret failed the play on localhost that makes the CA, and with it every cluster:
    none got its new link.
    """
    honest, tampered = holding(ca, ca.root, THEIRS)
    found = state(honest, tampered)
    assert (found["needed"], found["in_service"]) == (False, [])
    assert codes_of(tampered.plan().barring) == ["wrong-store"]
    assert honest.plan().errors == []
    # The control: a store that several clusters' certificates are not of is the wrong one, and nobody goes on.
    wrong = state(*holding(ca, THEIRS))
    assert (wrong["needed"], wrong["in_service"]) == (True, [THEIRS.view.fingerprint])


def test_a_root_with_a_certificate_of_it_costs_that_cluster_its_turn_alone(ca: Authority) -> None:
    """A8, sibling: not appended, but in the place of all that was there, with a certificate of its own."""
    honest, _client = holding(ca, ca.root)
    replaced = client(ca, credential(client_leaf(THEIRS, MYSQL), THEIRS.view.pem))
    assert state(honest, replaced)["needed"] is False
    assert codes_of(replaced.plan().barring) == ["wrong-store"]
    assert honest.plan().errors == []
