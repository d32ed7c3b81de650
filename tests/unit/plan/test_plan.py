# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of one side of one cluster: what forbids it, what it does with which reason, what is proven already."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority, authority_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import clock_warning
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.handshake import Endpoint
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import (
    ForeignGateway,
    LiveSecret,
    Pod,
    Service,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner, Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, Revoked, issue_crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf, bundle
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.credentials import wanted_trust
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Plan, make_plan
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from tests.unit.pki.support import DAY, NOW, Root, make_leaf, make_root
from tests.unit.support import CLIENT, SERVER, Json, codes_of, link, numbered, view

ROOT = make_root()
AUTHORITY = Authority("/srv/ca", ROOT.view, (ROOT.view,))
NO_AUTHORITY = Authority("/srv/ca", None, ())
POLICY = Policy(key_type="P-256", renew_before=30 * DAY)
OWNER = Owner("default", "cluster-b", "server")
HELD = "Secret istio-system/mysql-credential"


def leaf_of(root: Root = ROOT, **changes: Any) -> Leaf:
    return make_leaf(root, **changes)


def secret(leaf: Leaf | None = None, root: Root = ROOT, **changes: Any) -> LiveSecret:
    """The reading of the server's Secret, in order unless changed."""
    leaf = leaf or leaf_of()
    whole: LiveSecret = {
        "namespace": "istio-system",
        "name": "mysql-credential",
        "labels": OWNER.labels("mysql"),
        "type": "kubernetes.io/tls",
        "keys": ["ca.crt", "tls.crt", "tls.key"],
        "certificate": leaf.certificate_pem,
        "trust": root.view.pem,
        "lists": "",
        "version": "1",
        "witness": "",
        "key_matches": True,
        "managedFields": [{"manager": OWNER.identity_manager}, {"manager": OWNER.trust_manager}],
    }
    return cast(LiveSecret, {**whole, **changes})


def serving(*leaves: Leaf, name: str = "istio-ingressgateway-0", **changes: Any) -> Pod:
    """A ready pod of the ingress gateway that serves some certificates."""
    whole: Pod = {
        "namespace": "istio-system",
        "name": name,
        "uid": name,
        "labels": {"istio": "ingressgateway"},
        "account": "istio-ingressgateway",
        "trust_domain": "",
        "ready": True,
        "serials": [leaf.view.serial for leaf in leaves],
        "trust": None,
        "problem": "",
        "forbidden": False,
        "proxy": None,
    }
    return cast(Pod, {**whole, **changes})


SERVICE: Service = {
    "namespace": "istio-system",
    "name": "istio-ingressgateway",
    "ports": [{"name": "tls-13306", "port": 13306, "protocol": "TCP", "targetPort": 13306}],
    "owners": {"13306/TCP": [OWNER.manager]},
    "type": "LoadBalancer",
    "selector": {"istio": "ingressgateway"},
    "written": {},
    "addresses": ["203.0.113.7"],
}


def reading(**changes: Any) -> Reading:
    """A cluster in which everything is as the inventory says; the objects are left to test_compare."""
    whole: Reading = {
        "cluster": "cluster-b",
        "objects": [],
        "missing_kinds": [],
        "gateways": [],
        "sidecars": [],
        "network_policies": [],
        "secrets": [],
        "services": {"server": SERVICE, "client": {**SERVICE, "ports": [], "owners": {}}},
        "pods": {"server": [serving()], "client": []},
        "strangers": {"server": [], "client": []},
        "mesh_roots": ["f" * 64],
        "backends": [
            {"service": "mysql", "namespace": "default", "found": True, "ports": [3306], "pods": 2, "sidecars": 2}
        ],
        "clock_ahead": 0.3,
        "of_others": {},
        "strays": [],
        "identity": {"user": "lab-admin", "cluster_uid": "uid-of-cluster-b"},
        "revoked": [],
        "unmatched": [],
        "lists_due": "",
        "lists_wrong": False,
        "doubts": {"rolled_back": [], "later": "", "made_up": []},
        "awaited": [],
        "authority": authority_to_json(AUTHORITY),
    }
    return cast(Reading, {**whole, **changes})


def settled_reading(**changes: Any) -> Reading:
    leaf = leaf_of()
    return reading(**{"secrets": [secret(leaf)], "pods": {"server": [serving(leaf)], "client": []}, **changes})


def plan_of(
    found: Reading,
    links: list[Json] | None = None,
    *,
    policy: Policy = POLICY,
    authority: Authority = AUTHORITY,
    now: datetime = NOW,
    variables: Json | None = None,
    side: Side = "server",
    manifests: list[Any] | None = None,
) -> Plan:
    wanted = view([link()] if links is None else links, variables or SERVER)[side]
    return make_plan(found, wanted, manifests or [], authority, policy, now)


def test_where_all_is_as_wanted_nothing_is_done_and_all_is_proven() -> None:
    plan = plan_of(settled_reading())
    assert (plan.work.changed, plan.work.drifted, plan.standing.served, plan.proven) == (False, False, True, True)
    assert (plan.errors, plan.standing.warnings, plan.standing.alarms, plan.work.lines) == ([], [], [], [])
    work = plan.work
    assert (work.credentials, work.strip, work.force, work.write, work.delete) == ([], [], [], [], [])


# -- what forbids it -----------------------------------------------------------------------------------------------

FOREIGN: ForeignGateway = {
    "namespace": "shop",
    "name": "gw",
    "created": "2026-01-02T00:00:00Z",
    "selector": {"istio": "ingressgateway"},
    "servers": [
        {"port": 13306, "protocol": "TLS", "plain": False, "hosts": ["mysql.server.example.com"], "bind": ""},
    ],
}
OTHER_ROOT = make_root()
MANIFEST: Json = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {
        "name": "gateway-mysql",
        "namespace": "istio-system",
        "labels": OWNER.labels("mysql"),
        "creationTimestamp": "2026-01-01T00:00:00Z",
    },
    "spec": {},
}
STRANGERS: Json = {**MANIFEST, "metadata": {**MANIFEST["metadata"], "labels": {}}}

FORBIDDEN: list[tuple[str, Reading, dict[str, Any], str, list[str]]] = [
    (
        "CRDs that are missing",
        settled_reading(missing_kinds=["Gateway", "PeerAuthentication"]),
        {"manifests": [MANIFEST]},
        "unknown-kind",
        ["does not know Gateway"],
    ),
    (
        "a gateway that is missing",
        settled_reading(services={"server": None, "client": None}),
        {},
        "no-gateway",
        ["Service istio-system/istio-ingressgateway", "mesh_ingress_gateway"],
    ),
    (
        "a Gateway of others with our host",
        settled_reading(gateways=[FOREIGN]),
        {},
        "host-taken-in-namespace",
        ["Gateway shop/gw, port 13306", "claims host"],
    ),
    (
        "a Gateway of others with our host, while no pod runs",
        settled_reading(gateways=[FOREIGN], pods={"server": [], "client": []}),
        {},
        "host-taken-in-namespace",
        ["Gateway shop/gw, port 13306", "claims host"],
    ),
    (
        "a Gateway of others with our host, older only than what others have under our name",
        settled_reading(gateways=[FOREIGN], objects=[STRANGERS]),
        {},
        "host-taken-in-namespace",
        ["Gateway shop/gw, port 13306", "claims host"],
    ),
    (
        "a port that is UDP",
        settled_reading(services={"server": {**SERVICE, "ports": [{"port": 13306, "protocol": "UDP"}], "owners": {}}}),
        {},
        "port-not-tcp",
        ["port 13306: is not TCP"],
    ),
    (
        "a Secret of others",
        settled_reading(secrets=[secret(labels={}, managedFields=[{"manager": "kubectl-create"}])]),
        {},
        "not-ours",
        [HELD, "kubectl-create", "mesh_adopt=true"],
    ),
    (
        "a Secret of another instance, adoption or not",
        settled_reading(secrets=[secret(labels=Owner("blue", "cluster-b", "server").labels("mysql"))]),
        {"policy": replace(POLICY, adopt=True)},
        "of-another-instance",
        [HELD, "instance blue, cluster cluster-b", "rename the link"],
    ),
    (
        "a CA Secret that takes precedence over ours",
        settled_reading(secrets=[secret(), secret(name="mysql-credential-cacert", labels={})]),
        {},
        "cacert-secret",
        ["Secret istio-system/mysql-credential-cacert", "delete it"],
    ),
    (
        "a store that does not know the root in service",
        settled_reading(secrets=[secret(leaf_of(OTHER_ROOT), OTHER_ROOT)]),
        {},
        "wrong-store",
        [
            f"the store holds root {ROOT.view.fingerprint[:8]}",
            f"Secret istio-system/mysql-credential uses root {OTHER_ROOT.view.fingerprint[:8]}",
            "custom_ca_dir",
        ],
    ),
    (
        "an empty store while a root is in service",
        settled_reading(),
        {"authority": NO_AUTHORITY},
        "wrong-store",
        ["/srv/ca: the store holds no root", ROOT.view.fingerprint[:8]],
    ),
    (
        "the mesh's own CA",
        settled_reading(mesh_roots=[ROOT.view.public_key_fingerprint]),
        {},
        "mesh-ca",
        ["/srv/ca: its root", ROOT.view.fingerprint[:8]],
    ),
]


@pytest.mark.parametrize(
    ("found", "arguments", "code", "told"), [row[1:] for row in FORBIDDEN], ids=[row[0] for row in FORBIDDEN]
)
def test_what_forbids_it_is_one_error_with_a_fix(
    found: Reading, arguments: dict[str, Any], code: str, told: list[str]
) -> None:
    plan = plan_of(found, **arguments)
    (error,) = plan.errors
    assert (error.code, error.level) == (code, "error")
    assert error.fix
    assert [part for part in told if part not in str(error)] == []
    assert plan.work.credentials == []


def test_everything_that_forbids_it_is_told_at_once() -> None:
    found = settled_reading(
        gateways=[FOREIGN], mesh_roots=[ROOT.view.public_key_fingerprint], secrets=[secret(labels={})]
    )
    assert len(plan_of(found).errors) == 3


def test_what_is_taken_away_is_not_forbidden_by_the_store() -> None:
    """A teardown needs no CA, and no gateway either."""
    found = settled_reading(services={"server": None, "client": None}, missing_kinds=["Gateway"])
    plan = plan_of(found, [link(state="absent")], authority=NO_AUTHORITY)
    assert plan.errors == []
    assert plan.work.lines == [f"delete {HELD}: no link needs it"]


# -- credentials ---------------------------------------------------------------------------------------------------

DECISIONS: list[tuple[str, list[LiveSecret], dict[str, Any], str]] = [
    ("missing", [], {}, "issue Secret istio-system/mysql-credential: there is no certificate yet"),
    ("missing, in another namespace", [secret(namespace="old")], {}, f"issue {HELD}: there is no certificate yet"),
    ("unreadable", [secret(certificate="nonsense")], {}, f"issue {HELD}: the certificate cannot be read"),
    ("empty", [secret(certificate="", trust="")], {}, f"issue {HELD}: there is no certificate yet"),
    ("another key", [secret(key_matches=False)], {}, f"issue {HELD}: the key does not belong"),
    ("a changed FQDN", [secret()], {"links": [link(fqdn="new.example.com")]}, f"issue {HELD}: SAN changed: had mysql."),
    ("near its end", [secret()], {"now": NOW + 61 * DAY}, f"issue {HELD}: expires at"),
    ("forced", [secret()], {"policy": replace(POLICY, force=True)}, f"issue {HELD}: renewal was asked for"),
    ("a changed key type", [secret()], {"policy": replace(POLICY, key_type="P-384")}, f"issue {HELD}: key type"),
    ("trust that was emptied", [secret(trust="")], {}, f"write {HELD}: trusted roots changed: had nothing"),
    ("trust that is damaged", [secret(trust="nonsense")], {}, f"write {HELD}: trusted roots changed: had nothing"),
    (
        "added data",
        [secret(keys=["ca.crt", "tls.crt", "tls.key", "extra"])],
        {},
        f"write {HELD}: others added extra",
    ),
    (
        "another link's label",
        [secret(labels=OWNER.labels("redis"))],
        {},
        f"write {HELD}: its label crossmesh/link is redis",
    ),
]


def held_by(manager: str, *keys: str) -> list[Any]:
    """The entries of a Secret in which somebody else has written these keys, beside our own."""
    fields: Json = {"f:data": {f"f:{key}": {} for key in keys}}
    ours: Json = {"f:data": {"f:tls.crt": {}, "f:tls.key": {}}}
    return [
        {"manager": OWNER.identity_manager, "time": "2026-11-01T00:00:00Z", "fieldsV1": ours},
        {"manager": manager, "time": "2026-11-30T06:42:10Z", "fieldsV1": fields},
    ]


CHANGED = "; changed by dave at 2026-11-30T06:42:10Z"
# A rotation or the inventory can be why these are not as they should be, whoever else has written them.
WRITTEN = "; also written by dave at 2026-11-30T06:42:10Z"
TOUCHED: list[tuple[str, LiveSecret, str, str]] = [
    ("its roots", secret(trust="", managedFields=held_by("dave", "ca.crt")), "trusted roots changed", WRITTEN),
    ("its issuer", secret(leaf_of(OTHER_ROOT), managedFields=held_by("dave", "tls.crt")), "issuer changed", WRITTEN),
    (
        "its key",
        secret(key_matches=False, managedFields=held_by("dave", "tls.key")),
        "the key does not belong",
        CHANGED,
    ),
    (
        "more data",
        secret(keys=["ca.crt", "extra", "tls.crt", "tls.key"], managedFields=held_by("dave", "extra")),
        "others added extra",
        CHANGED,
    ),
    (
        "its label",
        secret(
            labels=OWNER.labels("redis"),
            managedFields=[
                {
                    "manager": "dave",
                    "time": "2026-11-30T06:42:10Z",
                    "fieldsV1": {"f:metadata": {"f:labels": {"f:crossmesh/link": {}}}},
                }
            ],
        ),
        "its label crossmesh/link is redis",
        CHANGED,
    ),
]


@pytest.mark.parametrize(("held", "what", "whom"), [row[1:] for row in TOUCHED], ids=[row[0] for row in TOUCHED])
def test_who_has_changed_a_secret_is_told_with_the_time(held: LiveSecret, what: str, whom: str) -> None:
    (line,) = plan_of(reading(secrets=[held])).work.lines
    assert what in line
    assert line.endswith(whom)


def test_a_secret_that_comes_of_age_is_nobodys_doing() -> None:
    held = secret(managedFields=held_by("dave", "ca.crt", "tls.crt"))
    (line,) = plan_of(reading(secrets=[held]), now=NOW + 61 * DAY).work.lines
    assert "expires at" in line
    assert "dave" not in line


@pytest.mark.parametrize(
    ("secrets", "arguments", "line"), [row[1:] for row in DECISIONS], ids=[row[0] for row in DECISIONS]
)
def test_a_credential_that_is_not_right_is_issued_or_written_with_the_reason(
    secrets: list[LiveSecret], arguments: dict[str, Any], line: str
) -> None:
    plan = plan_of(settled_reading(secrets=secrets), **arguments)
    assert plan.errors == []
    assert plan.work.changed
    assert not plan.proven
    assert [item["name"] for item in plan.work.credentials] == ["mysql-credential"]
    assert plan.work.lines[0].startswith(line)


def test_on_a_first_run_all_is_issued_though_there_is_no_root_yet() -> None:
    plan = plan_of(reading(), authority=NO_AUTHORITY)
    assert plan.errors == []
    assert [item["name"] for item in plan.work.credentials] == ["mysql-credential"]


def test_one_due_credential_hands_over_all_so_that_all_are_proven() -> None:
    plan = plan_of(settled_reading(), [link(), numbered(1)])
    assert [item["name"] for item in plan.work.credentials] == ["mysql-credential", "link-1-credential"]
    assert [line for line in plan.work.lines if "mysql-credential" in line] == []


def test_secrets_that_no_link_needs_are_deleted_and_those_of_others_stay() -> None:
    old = secret(name="old-credential", labels=OWNER.labels("old"))
    theirs = secret(name="theirs", labels=Owner("blue", "cluster-b", "server").labels("old"))
    other_side = secret(name="client-credential", labels=Owner("default", "cluster-b", "client").labels("client"))
    plan = plan_of(settled_reading(secrets=[secret(), old, theirs, other_side]))
    assert [item["metadata"]["name"] for item in plan.work.delete] == ["old-credential"]
    assert plan.work.lines == ["delete Secret istio-system/old-credential: no link needs it"]


def test_the_other_sides_objects_are_not_looked_at() -> None:
    theirs = copy.deepcopy(MANIFEST)
    theirs["metadata"] |= {"name": "egressgateway-x", "labels": Owner("default", "cluster-b", "client").labels("x")}
    assert plan_of(settled_reading(objects=[theirs])).work.delete == []


def test_only_the_named_links_are_worked_on() -> None:
    old = secret(name="old-credential", labels=OWNER.labels("old"))
    plan = plan_of(
        settled_reading(secrets=[old]), [link(), numbered(1)], policy=replace(POLICY, only=frozenset({"link-1"}))
    )
    assert [item["name"] for item in plan.work.credentials] == ["link-1-credential"]
    assert plan.work.delete == []


def test_a_clients_one_credential_is_always_worked_on() -> None:
    plan = plan_of(
        reading(),
        [link(), numbered(1)],
        variables=CLIENT,
        side="client",
        policy=replace(POLICY, only=frozenset({"mysql"})),
    )
    assert [item["name"] for item in plan.work.credentials] == ["client-credential"]


# -- the stages of an adoption -------------------------------------------------------------------------------------

MADE_BY_HAND = secret(leaf_of(OTHER_ROOT), OTHER_ROOT, labels={}, managedFields=[{"manager": "kubectl-create"}])


def adopting(stage: Any) -> Policy:
    return replace(POLICY, adopt=True, stage=stage)


def test_in_stage_trust_our_root_is_added_and_nothing_is_issued() -> None:
    plan = plan_of(settled_reading(secrets=[MADE_BY_HAND]), policy=adopting("trust"))
    assert plan.errors == []
    (line,) = [line for line in plan.work.lines if "Secret" in line]
    assert line.startswith(f"write {HELD}: trusted roots changed")


def test_in_stage_trust_what_is_missing_waits() -> None:
    plan = plan_of(settled_reading(secrets=[]), policy=adopting("trust"))
    assert (plan.work.changed, plan.work.credentials) == (False, [])


def test_in_stage_leaves_a_certificate_is_issued_and_the_trust_of_before_stays() -> None:
    plan = plan_of(settled_reading(secrets=[MADE_BY_HAND]), policy=adopting("leaves"))
    assert plan.work.lines[0].startswith(f"issue {HELD}: issuer changed")
    after = secret(trust=bundle([OTHER_ROOT.view.pem, ROOT.view.pem]))
    assert plan_of(settled_reading(secrets=[after]), policy=adopting("leaves")).work.credentials == []


def test_in_stage_all_only_our_root_stays() -> None:
    after = secret(trust=bundle([OTHER_ROOT.view.pem, ROOT.view.pem]))
    plan = plan_of(settled_reading(secrets=[after]), policy=adopting("all"))
    assert plan.work.lines[0].startswith(f"write {HELD}: trusted roots changed")


def test_a_certificate_of_ours_under_others_labels_is_kept_and_labelled() -> None:
    plan = plan_of(settled_reading(secrets=[secret(labels={})]), policy=adopting("all"))
    assert plan.work.lines == [f"write {HELD}: it was made by others"]


@pytest.mark.parametrize(
    ("stage", "held", "expected"),
    [
        ("trust", OTHER_ROOT, {OTHER_ROOT.view.fingerprint, ROOT.view.fingerprint}),
        ("leaves", OTHER_ROOT, {OTHER_ROOT.view.fingerprint, ROOT.view.fingerprint}),
        ("all", OTHER_ROOT, {ROOT.view.fingerprint}),
        ("leaves", None, {ROOT.view.fingerprint}),
    ],
)
def test_roots_that_a_secret_holds_after_a_stage(stage: Any, held: Root | None, expected: set[str]) -> None:
    found = secret(trust=held.view.pem) if held else None
    (wanted,) = view([link()], SERVER)["server"]["secrets"]
    assert {root.fingerprint for root in wanted_trust(wanted, found, AUTHORITY, stage)} == expected


# -- proof and warnings --------------------------------------------------------------------------------------------

LEAF = leaf_of()
PODS: list[tuple[str, list[Pod], bool]] = [
    ("every ready pod serves it", [serving(LEAF), serving(LEAF, name="b")], True),
    ("one serves an older one", [serving(LEAF), serving(leaf_of(), name="b")], False),
    (
        "one could not be asked",
        [serving(LEAF), serving(name="b", serials=None, problem="exec is forbidden (403)")],
        False,
    ),
    ("one that is not ready does not count", [serving(LEAF), serving(name="b", ready=False, serials=None)], True),
]


@pytest.mark.parametrize(("pods", "proven"), [row[1:] for row in PODS], ids=[row[0] for row in PODS])
def test_what_is_proven_without_waiting(pods: list[Pod], proven: bool) -> None:
    plan = plan_of(settled_reading(secrets=[secret(LEAF)], pods={"server": pods, "client": []}))
    assert plan.proven is proven
    assert plan.standing.expected == [LEAF.view.serial]


def test_the_report_says_who_serves_what_until_when() -> None:
    pods = [serving(LEAF), serving(name="b", serials=None, problem="exec is forbidden (403)")]
    report = plan_of(settled_reading(secrets=[secret(LEAF)], pods={"server": pods, "client": []})).standing.report
    assert report == [
        f"{HELD}: mysql.server.example.com; serial {LEAF.view.serial}; until 2026-08-30T12:00:00Z; "
        "served by 1 of 2 ready pods",
        "pod b could not be asked: exec is forbidden (403)",
    ]


def test_a_pod_that_could_not_be_asked_is_reported_once() -> None:
    other = secret(LEAF, name="link-1-credential", labels=OWNER.labels("link-1"))
    pods = [serving(name="b", serials=None, problem="exec is forbidden (403)")]
    found = settled_reading(secrets=[secret(LEAF), other], pods={"server": pods, "client": []})
    report = plan_of(found, [link(), numbered(1)]).standing.report
    assert len([line for line in report if line.startswith("pod b could not be asked")]) == 1


def test_handshakes_can_be_tried_at_the_ingress_only() -> None:
    assert plan_of(settled_reading()).standing.endpoints == [Endpoint("203.0.113.7", 13306, "mysql.server.example.com")]
    assert plan_of(reading(), variables=CLIENT, side="client").standing.endpoints == []


def of_type(kind: str, *addresses: str) -> Reading:
    return settled_reading(services={"server": {**SERVICE, "type": kind, "addresses": list(addresses)}, "client": None})


def backend(**changes: Any) -> Callable[[], Reading]:
    return lambda: settled_reading(backends=[{**reading()["backends"][0], **changes}])


UNMATCHED = Message.warning("revokes-nothing", where="custom_ca_revoked: cluster cluster-x", what="revokes nothing")
WARNINGS: list[tuple[str, Callable[[], Reading], str, str]] = [
    ("no sidecar", backend(sidecars=0), "backend-without-sidecar", "link mysql: 2 of 2 pods of mysql"),
    ("a sidecar is missing", backend(sidecars=1), "backend-without-sidecar", "link mysql: 1 of 2 pods of mysql"),
    (
        "an entry that revokes nothing",
        lambda: settled_reading(unmatched=[UNMATCHED.to_json()]),
        "revokes-nothing",
        "custom_ca_revoked: cluster cluster-x",
    ),
    (
        "another port",
        backend(ports=[33060, 80]),
        "backend-port",
        "link mysql: Service mysql.default.svc.cluster.local has no port 3306, so connections over the link fail; "
        "its TCP ports: 33060, 80",
    ),
    (
        "no port",
        backend(ports=[]),
        "backend-port",
        "link mysql: Service mysql.default.svc.cluster.local has no port 3306, so connections over the link fail; "
        "its TCP ports: none",
    ),
    (
        "an alias without a sidecar",
        backend(ports=None, sidecars=0),
        "backend-without-sidecar",
        "link mysql: 2 of 2 pods",
    ),
    ("no Service", backend(found=False), "backend-missing", "link mysql: Service mysql.default.svc.cluster.local"),
    (
        "a load balancer without an address",
        lambda: of_type("LoadBalancer"),
        "no-address",
        "Service istio-system/istio-ingressgateway: has no address yet",
    ),
    (
        "a younger Gateway of others with our host",
        lambda: settled_reading(gateways=[FOREIGN], objects=[MANIFEST]),
        "host-taken-in-namespace",
        "Gateway shop/gw, port 13306: it claims host mysql.server.example.com for other namespaces than ours",
    ),
    (
        "no ready pod",
        lambda: settled_reading(pods={"server": [serving(ready=False)], "client": []}),
        "no-ready-pod",
        "gateway istio-system/istio-ingressgateway: has no ready pod",
    ),
    (
        "a pod without a proxy",
        lambda: settled_reading(strangers={"server": ["istio-system/debug"], "client": []}),
        "no-proxy",
        "pod istio-system/debug: it has the gateway's labels and no container istio-proxy",
    ),
]


@pytest.mark.parametrize(("found", "code", "told"), [row[1:] for row in WARNINGS], ids=[row[0] for row in WARNINGS])
def test_warnings_do_not_forbid_the_run(found: Callable[[], Reading], code: str, told: str) -> None:
    plan = plan_of(found())
    assert plan.errors == []
    (warning,) = plan.standing.warnings
    assert (warning.code, warning.level) == (code, "warning")
    assert warning.seen.startswith(told)


@pytest.mark.parametrize(
    ("kind", "addresses", "manifests", "awaited"),
    [
        ("LoadBalancer", [], [MANIFEST], True),
        ("LoadBalancer", [], [], False),
        ("LoadBalancer", ["lb.example.com"], [MANIFEST], False),
        ("NodePort", [], [MANIFEST], False),
        ("ClusterIP", [], [MANIFEST], False),
    ],
)
def test_an_address_is_awaited_where_a_load_balancer_has_none_and_something_is_written(
    kind: str, addresses: list[str], manifests: list[Json], awaited: bool
) -> None:
    assert plan_of(of_type(kind, *addresses), manifests=manifests).work.await_address is awaited


@pytest.mark.parametrize("there", [True, False], ids=["there", "not there yet"])
def test_a_route_that_is_there_is_changed_when_its_new_cluster_is(there: bool) -> None:
    """One that is written for the first time carries nothing that could be lost."""
    labels = Owner("default", "cluster-a", "client").labels("mysql")
    metadata = {"name": "direct-mysql-through-egress-gateway", "namespace": "istio-system", "labels": labels}
    route = {**MANIFEST, "kind": "VirtualService", "metadata": metadata}
    found = reading(
        objects=[{**route, "spec": {"gateways": []}}] if there else [],
        services={"server": None, "client": {**SERVICE, "addresses": [], "owners": {}, "ports": []}},
    )
    plan = plan_of(found, variables=CLIENT, side="client", manifests=[route])
    assert plan.errors == []
    assert plan.work.moved == (["outbound|13306|mysql|mysql.server.example.com"] if there else [])


def test_a_client_awaits_no_address() -> None:
    found = reading(services={"server": None, "client": {**SERVICE, "addresses": [], "owners": {}, "ports": []}})
    plan = plan_of(found, variables=CLIENT, side="client", manifests=[MANIFEST])
    assert plan.work.write
    assert plan.work.await_address is False
    assert "no-address" not in codes_of(plan.standing.warnings)


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        (59, ""),
        (-59, ""),
        (3599, "59 min ahead of the API server's"),
        (-3600, "60 min behind the API server's"),
    ],
)
def test_clocks_that_do_not_agree_are_told(ahead: float, told: str) -> None:
    found = clock_warning(ahead)
    assert (found.code, found.what) == ("clock-apart", told) if found else not told


def test_where_nothing_is_wanted_nothing_is_warned_of() -> None:
    found = settled_reading(secrets=[], lists_due="due", clock_ahead=7000, unmatched=[UNMATCHED.to_json()])
    assert plan_of(found, [link(state="absent")]).standing.warnings == []


# -- while a root takes over ---------------------------------------------------------------------------------------

PREPARED = Authority("/srv/ca", ROOT.view, (ROOT.view, OTHER_ROOT.view), prepared=OTHER_ROOT.view)
SWITCHED = Authority("/srv/ca", OTHER_ROOT.view, (ROOT.view, OTHER_ROOT.view))
RETIRING = Authority("/srv/ca", OTHER_ROOT.view, (OTHER_ROOT.view,), retiring=(ROOT.view.fingerprint,))
BOTH = bundle([ROOT.view.pem, OTHER_ROOT.view.pem])
FIRST, NEXT = leaf_of(), leaf_of(OTHER_ROOT)


@pytest.mark.parametrize(
    ("authority", "live", "line"),
    [
        (PREPARED, secret(FIRST), f"write {HELD}: trusted roots changed"),
        (PREPARED, secret(FIRST, trust=BOTH), ""),
        (SWITCHED, secret(FIRST, trust=BOTH), f"issue {HELD}: issuer changed"),
        (SWITCHED, secret(NEXT, trust=BOTH), ""),
        (RETIRING, secret(NEXT, trust=BOTH), f"write {HELD}: trusted roots changed"),
        (RETIRING, secret(NEXT, OTHER_ROOT), ""),
    ],
    ids=["prepare", "prepared", "switch", "switched", "retire", "retired"],
)
def test_a_run_between_the_phases_brings_what_lags_to_the_phase_and_keeps_the_rest(
    authority: Authority, live: Json, line: str
) -> None:
    plan = plan_of(settled_reading(secrets=[live]), authority=authority)
    assert (plan.errors, plan.standing.alarms) == ([], [])
    assert plan.work.changed == plan.work.drifted == bool(line)
    assert [text for text in plan.work.lines if not text.startswith(line)] == []
    assert len(plan.work.lines) == bool(line)
    # Said where another playbook goes on with it; no warning in the one that does.
    (notice,) = plan.standing.notices
    assert (notice.code, notice.level) == ("rotation-under-way", "notice")
    assert f"phase {authority.phase}" in notice.what
    assert plan.standing.warnings == []


def test_a_root_that_has_issued_for_other_instances_is_told_until_it_is_trusted_no_more() -> None:
    shared = replace(PREPARED, shared=(ROOT.view.fingerprint,))
    (warning,) = plan_of(settled_reading(secrets=[secret(FIRST, trust=BOTH)]), authority=shared).standing.warnings
    assert (warning.code, warning.level) == ("shared-root", "warning")
    assert ROOT.view.fingerprint[:8] in warning.where
    assert "rotate_ca" in warning.fix
    # Where nothing of the CA is wanted, nobody is let in by it.
    nothing = settled_reading(secrets=[])
    assert plan_of(nothing, [link(state="absent")], authority=shared).standing.warnings == []


def test_in_stage_bundle_trust_becomes_exactly_ours_and_nothing_is_issued() -> None:
    bundle_only = replace(POLICY, stage="bundle", force=True)
    plan = plan_of(settled_reading(secrets=[secret(FIRST, trust=BOTH)]), authority=RETIRING, policy=bundle_only)
    (line,) = plan.work.lines
    assert line.startswith(f"write {HELD}: trusted roots changed")
    assert plan_of(settled_reading(secrets=[]), authority=RETIRING, policy=bundle_only).work.credentials == []
    # The control: without the stage all of it would be issued.
    assert (
        plan_of(settled_reading(secrets=[secret(FIRST, trust=BOTH)]), authority=RETIRING)
        .work.lines[0]
        .startswith("issue")
    )


EXISTING = replace(POLICY, existing=True)


def test_with_existing_what_is_there_is_handed_over_due_or_not_and_shown() -> None:
    plan = plan_of(settled_reading(), policy=EXISTING)
    assert plan.work.changed is False
    assert [item["name"] for item in plan.work.credentials] == ["mysql-credential"]
    assert plan.standing.trust == [
        {"secret": "mysql-credential", "roots": [ROOT.view.fingerprint], "lists": [], "own": True}
    ]
    assert plan.standing.issuers == [ROOT.view.fingerprint]
    # The control: else nothing is handed over while nothing is due, and what is missing is issued.
    assert plan_of(settled_reading()).work.credentials == []
    assert "link-1-credential" in plan_of(settled_reading(), [link(), numbered(1)]).work.lines[0]


def test_secrets_that_no_link_needs_are_named_for_the_gates() -> None:
    stray = secret(name="gone-credential", labels=OWNER.labels("gone"))
    assert plan_of(settled_reading(secrets=[secret(), stray]), policy=EXISTING).work.surplus == ["gone-credential"]
    assert plan_of(settled_reading(), policy=EXISTING).work.surplus == []


def test_a_root_that_was_retired_long_ago_is_replaced_and_refuses_nobody() -> None:
    """A cluster comes back that was away for a whole rotation."""
    later = Authority("/srv/ca", OTHER_ROOT.view, (OTHER_ROOT.view,), retired=(ROOT.view.fingerprint,))
    plan = plan_of(settled_reading(secrets=[secret(LEAF)]), authority=later)
    assert plan.errors == []
    assert plan.work.lines[0].startswith(f"issue {HELD}: issuer changed")
    # The control: a root that the store has never had.
    assert plan_of(settled_reading(secrets=[secret(LEAF)]), authority=replace(later, retired=())).errors != []


def test_with_existing_only_the_named_links_are_handed_over() -> None:
    other = secret(name="link-1-credential", labels=OWNER.labels("link-1"), certificate=leaf_of().certificate_pem)
    only = replace(EXISTING, only=frozenset({"mysql"}))
    plan = plan_of(settled_reading(secrets=[secret(), other]), [link(), numbered(1)], policy=only)
    assert [item["name"] for item in plan.work.credentials] == ["mysql-credential"]


@pytest.mark.parametrize(
    ("authority", "live", "issuers"),
    [
        (SWITCHED, secret(FIRST, trust=BOTH), [ROOT.view.fingerprint]),
        (SWITCHED, secret(NEXT, trust=BOTH), [OTHER_ROOT.view.fingerprint]),
        (RETIRING, secret(FIRST, trust=BOTH), [""]),
        (SWITCHED, secret(certificate="nonsense", trust=BOTH), []),
    ],
    ids=["the old root", "the new root", "a root that is trusted no more", "nobody"],
)
def test_whose_certificates_are_in_service_is_shown(authority: Authority, live: Json, issuers: list[str]) -> None:
    plan = plan_of(settled_reading(secrets=[live]), authority=authority, policy=replace(EXISTING, stage="bundle"))
    assert plan.standing.issuers == issuers


def test_what_is_served_and_what_is_right_are_two_things() -> None:
    """Due credentials are served all the same, and right ones may not have reached a pod."""
    due = plan_of(
        settled_reading(secrets=[secret(LEAF)], pods={"server": [serving(LEAF)], "client": []}), now=NOW + 61 * DAY
    )
    assert (due.work.changed, due.standing.served, due.proven) == (True, True, False)
    behind = plan_of(settled_reading(secrets=[secret(LEAF)], pods={"server": [serving()], "client": []}))
    assert (behind.work.changed, behind.standing.served, behind.proven) == (False, False, False)


# -- revocation lists ----------------------------------------------------------------------------------------------


def list_of(root: Root, *serials: str, number: int = 7, now: datetime = NOW) -> Crl:
    revoked = [Revoked(serial, NOW, "keyCompromise") for serial in serials]
    return issue_crl(
        root=root.view, key=root.key, revoked=revoked, number=number, validity=revocation.VALIDITY, now=now
    )


LIST = list_of(ROOT, "a1")
LISTED = replace(AUTHORITY, lists=(LIST,))
WITH_LIST: Json = {"lists": LIST.pem, "keys": ["ca.crl", "ca.crt", "tls.crt", "tls.key"]}


@pytest.mark.parametrize(
    ("authority", "live", "line"),
    [
        (LISTED, secret(), f"write {HELD}: CRLs changed: had none, want CN=Test Root CA"),
        (LISTED, secret(lists="nonsense"), f"write {HELD}: CRLs changed: had none, want"),
        (
            replace(LISTED, lists=(list_of(ROOT, "a1", number=8),)),
            secret(**WITH_LIST),
            f"write {HELD}: CRLs changed: had",
        ),
        (AUTHORITY, secret(**WITH_LIST), f"write {HELD}: CRLs changed: had CN=Test Root CA"),
        (AUTHORITY, secret(keys=WITH_LIST["keys"]), f"write {HELD}: others added ca.crl"),
        (LISTED, secret(**WITH_LIST), ""),
    ],
    ids=["missing", "unreadable", "another number", "not wanted any more", "empty and not wanted", "right"],
)
def test_lists_that_are_not_right_are_written_without_a_certificate(
    authority: Authority, live: Json, line: str
) -> None:
    plan = plan_of(settled_reading(secrets=[live]), authority=authority)
    assert plan.errors == []
    assert plan.work.drifted == bool(line)
    assert [text for text in plan.work.lines if not text.startswith(line)] == []
    assert len(plan.work.lines) == bool(line)


def test_a_revoked_certificate_that_is_still_wanted_is_issued_again() -> None:
    plan = plan_of(settled_reading(secrets=[secret(LEAF)], revoked=[LEAF.view.serial]))
    assert plan.work.lines == [f"issue {HELD}: certificate {LEAF.view.serial} is revoked"]
    assert plan.work.drifted


TRUSTS = {"roots": [ROOT.view.fingerprint], "lists": []}


@pytest.mark.parametrize(
    ("trust", "served"),
    [
        (None, True),
        ({"mysql-credential": TRUSTS, "of-others": {"roots": ["x"], "lists": []}}, True),
        ({"mysql-credential": {**TRUSTS, "roots": [ROOT.view.fingerprint, "of before"]}}, False),
        ({"mysql-credential": {**TRUSTS, "lists": ["of before"]}}, False),
        ({}, False),
    ],
    ids=["not asked", "as it should be", "one root more", "another list", "nobody"],
)
def test_what_a_pod_trusts_counts_where_it_was_asked(trust: Json | None, served: bool) -> None:
    pods = {"server": [serving(LEAF, trust=trust)], "client": []}
    plan = plan_of(settled_reading(secrets=[secret(LEAF)], pods=pods))
    assert (plan.standing.served, plan.proven) == (served, served)


@pytest.mark.parametrize("wrong", [True, False])
def test_lists_that_are_wrong_are_a_drift_and_old_ones_are_not(wrong: bool) -> None:
    plan = plan_of(settled_reading(lists_due="a reason", lists_wrong=wrong))
    assert (plan.work.changed, plan.work.drifted) == (False, wrong)
    (notice,) = plan.standing.notices
    assert (notice.code, notice.level) == ("crl-due", "notice")
    assert "a reason" in notice.what


def test_the_report_says_how_many_are_revoked_and_until_when_the_list_lasts() -> None:
    report = plan_of(settled_reading(secrets=[secret(**WITH_LIST)]), authority=LISTED).standing.report
    (line,) = [line for line in report if "CRL of" in line]
    assert line == f"CRL of {ROOT.view.subject}: {len(LISTED.lists[0].revoked)} certificates, until " + (
        LISTED.lists[0].next_update.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
    assert [line for line in plan_of(settled_reading()).standing.report if "CRL of" in line] == []


@pytest.mark.parametrize(
    ("lists", "pods"),
    [(None, "0 of 1"), ([], "0 of 1"), (["another"], "0 of 1"), ([LISTED.lists[0].identity], "1 of 1")],
    ids=["not asked", "none", "an older one", "the store's"],
)
def test_the_report_says_in_how_many_pods_a_list_is_in_force(lists: list[str] | None, pods: str) -> None:
    trust = None if lists is None else {"mysql-credential": {"roots": [ROOT.view.fingerprint], "lists": lists}}
    found = settled_reading(secrets=[secret(**WITH_LIST)], pods={"server": [serving(LEAF, trust=trust)], "client": []})
    report = plan_of(found, authority=LISTED).standing.report
    moment = LISTED.lists[0].this_update.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert f"CRL in force in {pods} ready pods: {ROOT.view.subject}, of {moment}" in report


def test_a_certificate_that_has_come_of_age_is_a_change_and_no_drift() -> None:
    plan = plan_of(settled_reading(), now=NOW + 61 * DAY)
    assert (plan.work.changed, plan.work.drifted) == (True, False)


# -- clocks and alarms ---------------------------------------------------------------------------------------------


def test_with_a_clock_that_is_far_off_nothing_may_be_issued() -> None:
    (ahead,) = plan_of(reading(clock_ahead=6600)).errors
    assert (ahead.code, "110 min ahead" in ahead.what) == ("clock-wrong", True)
    # Nothing to issue, or a clock that the backdating makes up for: no reason to stop.
    assert plan_of(settled_reading(clock_ahead=6600)).errors == []
    assert plan_of(reading(clock_ahead=6599)).errors == []
    (behind,) = plan_of(reading(clock_ahead=-6600)).errors
    assert (behind.code, "110 min behind" in behind.what) == ("clock-wrong", True)
    assert plan_of(reading(clock_ahead=-6599)).errors == []


@pytest.mark.parametrize(
    ("days", "alarmed"), [(60, False), (69, False), (71, True), (89, True), (91, True)], ids=lambda value: str(value)
)
def test_a_certificate_that_no_scheduled_run_renewed_is_an_alarm_while_there_is_time(days: int, alarmed: bool) -> None:
    """Of 90 days it is due with 30 left, and an alarm with 20."""
    alarms = plan_of(settled_reading(), now=NOW + days * DAY).standing.alarms
    assert bool(alarms) is alarmed
    assert {(alarm.code, alarm.level) for alarm in alarms} <= {("certificate-overdue", "alarm")}


def test_a_root_that_nears_its_end_is_an_alarm() -> None:
    old = make_root(validity=120 * DAY)
    leaf = make_leaf(old, now=NOW + 85 * DAY)
    found = settled_reading(secrets=[secret(leaf, old)])
    authority = Authority("/srv/ca", old.view, (old.view,))
    (alarm,) = plan_of(
        found, authority=authority, now=NOW + 91 * DAY, policy=replace(POLICY, force=True)
    ).standing.alarms
    assert (alarm.code, alarm.level) == ("root-expires", "alarm")
    assert alarm.where.startswith("CN=Test Root CA")
    assert plan_of(found, authority=authority, now=NOW + 89 * DAY).standing.alarms == []


def test_a_list_that_nears_its_end_is_an_alarm() -> None:
    leaf = leaf_of(validity=365 * DAY)
    found = settled_reading(secrets=[secret(leaf, **WITH_LIST)])
    late = LIST.next_update - revocation.ALARM
    (alarm,) = plan_of(found, authority=LISTED, now=late + DAY).standing.alarms
    assert (alarm.code, alarm.level) == ("crl-expires", "alarm")
    assert plan_of(found, authority=LISTED, now=late - DAY).standing.alarms == []


def test_inputs_are_not_changed() -> None:
    found = settled_reading(secrets=[MADE_BY_HAND], objects=[copy.deepcopy(MANIFEST)])
    before = copy.deepcopy(found)
    plan_of(found, manifests=[MANIFEST])
    assert found == before
