# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Foreign bytes: what clusters, stores and files say reaches no terminal as it is, and ends no run with a traceback."""

from __future__ import annotations

import base64
import copy
import io
import json
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.crossmesh.mtls.plugins.action import mesh_preflight_table, mesh_summary
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import envoy
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.access import _matches
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.managed_fields import port_owners
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import ClusterReading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import read_cluster
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.refusal import read_refusal
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import parse_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.parsing import parse_mesh
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, shown, visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.credential import read_live
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import issue_crl, parse_crls
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import key_matches
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.report import report
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import api_row
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.assembly import report_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils import _action
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._parallel import at_once
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.page import render
from tests.fuzz.judge import Target, judge
from tests.unit.cluster.fake_api import FakeApi, collection_path
from tests.unit.cluster.test_reading import REQUEST, ROOT, item, secret
from tests.unit.pki.support import make_leaf
from tests.unit.report.estates import ten_links
from tests.unit.report.pages import HOSTILE, Page, named_by_others
from tests.unit.support import Json, refused, run_action

# Clears the screen and draws; C1's one-byte form of the same; turns the direction of text; ends a line.
CLEAR, DRAWN = "\x1b[2J\x1b[HALL CLUSTERS OK", r"\u001b[2J\u001b[HALL CLUSTERS OK"
OBEYED = (CLEAR, "\x9b2J", "\u202e", "\u2028", "\ud800", "\ue000", "\r", "\n")
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def obeyed(text: str) -> list[str]:
    """What of a text a terminal may obey, or nobody sees."""
    return [letter for letter in text if unicodedata.category(letter) in UNSEEN and letter != "\n"]


def action_of(work: Any) -> ModuleType:
    """An action of this collection that does this."""
    kind = type("ActionModule", (_action.Action,), {"work": work, "PACKAGES": {}})
    module = ModuleType("an_action")
    module.ActionModule = kind  # type: ignore[attr-defined]
    return module


# -- terminals, tables, JSON, reports ------------------------------------------------------------------------------


@pytest.mark.parametrize("category", sorted(UNSEEN))
def test_every_letter_that_is_no_print_is_written_out(category: str) -> None:
    """F1: one function knows them all, and a letter of each is its control."""
    letters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == category]
    assert obeyed(letters[0]) or letters[0] == "\n" or obeyed(letters[1])
    assert obeyed(visible("".join(letters))) == []
    assert visible(letters[0]).startswith("\\u")


@pytest.mark.parametrize("text", ["Gateway shop/a", "größe 日本 🚀", r"a \u001b that was written so"])
def test_what_prints_is_left_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_a_version_draws_no_verdict() -> None:
    """F1: on d3897ca an API server's version string drew ALL CLUSTERS OK on the terminal of who ran preflight."""
    row = api_row("cluster-a", "context a", CLEAR, "admin")
    told = "\n".join(report([row])["table"])
    assert DRAWN in told
    assert obeyed(told) == []
    assert obeyed(CLEAR) == ["\x1b", "\x1b"]


@pytest.mark.parametrize("foreign", OBEYED)
def test_whatever_an_action_returns_is_visible(foreign: str) -> None:
    """F1: plan lines, warnings, facts: whoever builds them cannot forget it, as every result goes one way out."""
    held = {"lines": [f"write Gateway {foreign}"], "warnings": [foreign], "sides": {foreign: {"report": (foreign,)}}}
    result = run_action(action_of(lambda *_arguments: held), {}, {})
    assert obeyed(repr(foreign).encode().decode("unicode_escape", "ignore")) or foreign in ("\n", "\ud800")
    for part in (
        *result["lines"],
        *result["warnings"],
        *result["sides"],
        *next(iter(result["sides"].values()))["report"],
    ):
        assert visible(foreign) in part
        assert foreign not in part


def test_a_line_break_in_a_name_begins_no_line() -> None:
    """F1, a sibling: a name with a line break would put a line of its own among those that people read."""
    result = run_action(action_of(lambda *_arguments: {"lines": ["delete Gateway x\nok: all links carry"]}), {}, {})
    assert result["lines"] == [r"delete Gateway x\u000aok: all links carry"]


def test_a_certificate_that_a_later_task_reads_stays_as_it_is() -> None:
    """And nothing rides along: what is more than certificates is written out, and begins no line."""
    pem = ROOT.view.pem
    result = run_action(action_of(lambda *_arguments: {"trust": [pem + pem, f"{pem}ok: all links carry\n"]}), {}, {})
    kept, more = result["trust"]
    assert kept == pem + pem
    assert more.endswith(r"\u000aok: all links carry\u000a")
    assert "\n" not in more


def test_lines_that_were_put_together_stay_lines() -> None:
    def work(*_arguments: object) -> Json:
        raise CrossmeshError(Message.error("a", where="x\ny", what="one"), Message.error("b", where=CLEAR, what="two"))

    result = run_action(action_of(work), {}, {})
    assert result["msg"].splitlines() == [r"x\u000ay: one. [a]", rf"{DRAWN}: two. [b]"]


def test_a_report_for_machines_holds_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F1, a sibling: JSON's own escapes come back as the bytes once a machine has read the report."""
    rows = [{"cluster": "a", "link": "-", "check": "api", "seen": CLEAR}]
    given: Json = {"report": {"table": [CLEAR], "rows": rows, "counts": {"failed": 0}}, "path": str(tmp_path / "r")}
    printed = io.StringIO()
    monkeypatch.setattr(mesh_preflight_table, "Display", lambda: SimpleNamespace(display=printed.write))
    run_action(mesh_preflight_table, given, {})
    read = json.loads((tmp_path / "r").read_text())
    assert read["rows"][0]["seen"] == DRAWN
    assert printed.getvalue() == DRAWN
    assert obeyed(json.loads(json.dumps(CLEAR))) != []


def test_the_last_table_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(mesh_summary, "Display", lambda: SimpleNamespace(display=printed.write))
    run_action(mesh_summary, {"looks": {f"a{CLEAR}": {}}}, {})
    assert DRAWN in printed.getvalue()
    assert obeyed(printed.getvalue()) == []


def test_a_diff_is_visible_and_keeps_its_lines() -> None:
    """F1, a sibling: what others put into an object is shown by --diff."""
    diff = [{"before": f"a\n{CLEAR}", "after": {"host": CLEAR}}]
    result = run_action(action_of(lambda *_arguments: {"diff": diff}), {}, {})
    assert result["diff"] == [{"before": f"a\n{DRAWN}", "after": {"host": DRAWN}}]
    assert shown("a\nb", lines=True) == "a\nb"


# -- an error that nobody foresaw ----------------------------------------------------------------------------------

SECRET = "planted-passphrase"


def broken(*_arguments: object) -> Json:
    raise KeyError(SECRET)


def test_an_unforeseen_error_is_a_failure_with_a_place_and_no_text() -> None:
    """F2: an action ended with Python's own words: Task failed: 'manager'; they can hold what did not fit."""
    result = run_action(action_of(broken), {}, {})
    assert [error["code"] for error in result["errors"]] == ["internal-error"]
    assert result["failed"] is True
    assert "KeyError" in result["msg"]
    assert "plugins/plugin_utils/_action.py, line " in result["msg"]
    assert SECRET not in repr(result)
    with pytest.raises(KeyError, match=SECRET):
        broken()


@pytest.mark.parametrize("error", [TypeError(SECRET), AttributeError(SECRET), RecursionError(SECRET), OSError(SECRET)])
def test_no_kind_of_error_gets_past_the_boundary(error: Exception) -> None:
    def work(*_arguments: object) -> Json:
        raise error

    result = run_action(action_of(work), {}, {})
    assert type(error).__name__ in result["msg"]
    assert SECRET not in repr(result)


# -- documents of an API server ------------------------------------------------------------------------------------

GATEWAY = item("Gateway", "gateway-mysql", labels={}, spec={"selector": {"istio": "x"}, "servers": []})
SERVICE = item("Service", "istio-ingressgateway", spec={"ports": [{"port": 443}]})
POD = item("Pod", "web", namespace="default", spec={"containers": [{"name": "web"}]})


def changed(document: Json, path: str, value: object) -> Json:
    """A document with another value at a dotted path."""
    found = copy.deepcopy(document)
    *way, last = path.split(".")
    inner: Any = found
    for step in way:
        inner = inner[int(step) if step.isdecimal() else step]
    inner[last] = value
    return found


class Lying(FakeApi):
    """Answers some paths as a hostile API server does."""

    def __init__(self, answers: Mapping[str, object], *objects: Json) -> None:
        super().__init__(list(objects))
        self.lies = answers

    def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json") -> Any:
        return copy.deepcopy(self.lies[path]) if path in self.lies else super().get(path, query, accept)


def read(answers: Mapping[str, object], *objects: Json) -> ClusterReading:
    return read_cluster(cast(Api, Lying(answers, *objects)), REQUEST).reading


LISTS = {kind: collection_path(kind) for kind in ("Gateway", "DestinationRule")}
SECRETS, PODS = collection_path("Secret", "istio-system"), collection_path("Pod", "default")
OF_SERVICE = f"{collection_path('Service', 'istio-system')}/istio-ingressgateway"


@pytest.mark.parametrize(
    ("path", "answer", "told"),
    [
        (LISTS["Gateway"], [], "list of Gateway objects: it is a list, and should be a mapping"),
        (LISTS["Gateway"], {}, "list of Gateway objects: it has no items"),
        (LISTS["Gateway"], {"items": [None]}, "items[0] is null, and should be a mapping"),
        (LISTS["Gateway"], {"items": [{}]}, "Gateway (number 1 of the list): it has no metadata"),
        (LISTS["Gateway"], {"items": [changed(GATEWAY, "metadata.name", None)]}, "it has no metadata.name"),
        (LISTS["Gateway"], {"items": [changed(GATEWAY, "spec.servers", "x")]}, "spec.servers is a text"),
        (LISTS["Gateway"], {"items": [changed(GATEWAY, "metadata.labels", [])]}, "metadata.labels is a list"),
        (LISTS["DestinationRule"], {"items": [changed(GATEWAY, "spec", 1)]}, "spec is a whole number"),
        (OF_SERVICE, changed(SERVICE, "spec.ports", [{}]), "it has no spec.ports[0].port"),
        (OF_SERVICE, changed(SERVICE, "spec.ports.0.port", True), "spec.ports[0].port is true or false"),
        (OF_SERVICE, changed(SERVICE, "spec.ports.0.port", 1.5), "spec.ports[0].port is a number"),
        (PODS, {"items": [changed(POD, "spec.containers", [7])]}, "spec.containers[0] is a whole number"),
        (PODS, {"items": [changed(POD, "status", {"conditions": [{}]})]}, "it has no status.conditions[0].status"),
        (SECRETS, {"items": [changed(secret("x", {}), "data", {"tls.key": 7})]}, "data.tls.key is a whole number"),
        (SECRETS, {"items": [changed(secret("x", {}), "data", {"tls.key": "a"})]}, "data.tls.key is not base64"),
        ("/api/v1/namespaces/kube-system", {"metadata": {}}, "it has no metadata.uid"),
    ],
)
def test_a_document_of_another_shape_is_one_error_with_object_and_field(path: str, answer: Any, told: str) -> None:
    """F3: in the readers of d3897ca such answers were KeyError, TypeError and AttributeError: tasks ended in these."""
    with refused("malformed-object") as caught:
        read({path: answer})
    assert told in str(caught.value)
    assert read({})["objects"] == []


def test_what_may_lack_in_an_object_of_others_stops_nobody() -> None:
    """A4: an entry of managedFields without a manager, which a tenant can write, ended every playbook each night."""
    fields = [
        {"fieldsV1": {"f:spec": None}},
        {"manager": None},
        7,
        {"manager": 7},
        {"manager": "x", "fieldsV1": {"f:spec": {"f:a": 1}}},
    ]
    theirs = changed(changed(GATEWAY, "metadata.managedFields", fields), "metadata.labels", None)
    found = read({LISTS["Gateway"]: {"items": [theirs]}})
    assert [entry["manager"] for entry in found["objects"][0]["metadata"]["managedFields"]] == ["", "", "", "x"]
    assert read({LISTS["Gateway"]: {"items": None}})["gateways"] == []


@pytest.mark.parametrize("key", ['k:{"port":', "k:[]", "k:{}", "k:null", 'k:{"port":NaN}', "k:" + "[" * 5000])
def test_a_key_of_managed_fields_that_is_none_is_left_out(key: str) -> None:
    """F3, a sibling: the keys of f:ports are JSON inside of JSON, and whoever may write the Service may write them."""
    sound = 'k:{"port":443,"protocol":"TCP"}'
    fields: list[Any] = [{"manager": "helm", "fieldsV1": {"f:spec": {"f:ports": {key: {}, sound: {}}}}}]
    assert port_owners(fields) == {"443/TCP": ["helm"]}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 500 + "1" + "}" * 500,
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        '{"a": ' + "9" * 5000 + "}",
        "",
    ],
)
def test_json_that_python_alone_takes_is_none(text: str) -> None:
    """F4: depth was a RecursionError; NaN, a number without end and half a surrogate pair came in and failed later."""
    for data in (text, text.encode("utf-8", "surrogatepass")):
        with pytest.raises(ValueError, match=r"deep|number|surrogates|digits|Expecting|decode"):
            parse_json(data)
    assert parse_json('{"a": [1, 2.5, "\\ud83d\\ude00", null]}') == {"a": [1, 2.5, "😀", None]}


@pytest.mark.parametrize(
    "answer", ["[]", "7", '"x"', "null", '{"certificates": 7}', '{"certificates": [{"cert_chain": 1}]}']
)
def test_an_answer_of_a_proxy_of_another_shape_is_no_traceback(answer: str) -> None:
    """F3: a pod of a gateway that answered {"certificates": 7} was a TypeError."""
    for read_answer in (envoy.served_serials, envoy.own_trust_domain, envoy.trust, envoy.addresses, envoy.connections):
        with suppress(ValueError):
            assert not read_answer(answer)
    sound = '{"certificates": [{"cert_chain": [{"serial_number": "0A"}]}]}'
    assert envoy.served_serials(sound) == ["a"]


def test_a_regular_expression_of_others_takes_no_time() -> None:
    """F, a sibling: RE2's time is bounded, Python's is not; one expression could hold a run for years."""
    evil, several = ({"safe_regex": {"regex": regex}} for regex in ("(a|aa)+$", ".*a" * 40 + ".*b"))
    assert [_matches(evil, "a" * 60 + "b"), _matches(several, "a" * 250)] == [None, False]
    assert _matches(several, "a" * 250 + "b") is True


@given(
    st.lists(st.sampled_from(["a", "ab", "/ns/", ".", r"\.", ".*", ".+"]), max_size=6).map("".join),
    st.text("ab./ns", max_size=12),
)
@example(".*/ns/shop/.*", "cluster.local/ns/shop/sa/web")
@example("spiffe://.+/sa/web", "spiffe://cluster.local/ns/shop/sa/web")
@example("a", "b")
@example("[ab]", "a")
def test_what_istio_makes_of_a_field_matches_as_in_its_proxies(expression: str, text: str) -> None:
    """F, a sibling: three wildcards took 28 ms of a text as long as a name may be, each time."""
    found = _matches({"safe_regex": {"regex": expression}}, text)
    assert found is (None if "[" in expression else re.fullmatch(expression, text) is not None)


def test_a_port_number_without_end_in_a_policy_is_no_error() -> None:
    """F, a sibling: isdecimal is true for 5,000 digits, and int() refuses them; a policy ended each look."""
    policy = item("PeerAuthentication", "x", spec={"portLevelMtls": {"9" * 5000: {"mode": "STRICT"}, "٣": {}}})
    with pytest.raises(ValueError, match="digits"):
        int("9" * 5000)
    assert [found.ports for found in parse_mesh([policy]).peer_authentications] == [{}]


def test_a_crl_of_another_version_is_an_unreadable_one() -> None:
    """F5: cryptography's InvalidVersion, which is no ValueError, came out of the reading of a gateway's ca.crl."""
    now = datetime.now(UTC)
    sound = issue_crl(root=ROOT.view, key=ROOT.key, revoked=(), number=1, validity=timedelta(days=1), now=now).pem
    der = base64.b64decode("".join(sound.splitlines()[1:-1]))
    # The version is the first number of what is signed: 1 stands for v2 (RFC 5280, section 5.1.2.1).
    place = der.index(b"\x02\x01\x01")
    other = base64.encodebytes(der[:place] + b"\x02\x01\x05" + der[place + 3 :]).decode()
    with refused("unreadable-crl"):
        parse_crls(f"-----BEGIN X509 CRL-----\n{other}-----END X509 CRL-----\n", where="x")
    assert len(parse_crls(sound, where="x")) == 1


@pytest.mark.parametrize(
    "status",
    [b"[]", b"7", b'{"details": 7}', b'{"message": 7}', b'{"details": {"causes": [7, {"field": 7}]}}', b"[" * 9999],
)
def test_a_status_of_another_shape_is_a_refusal(status: bytes) -> None:
    """F3: the Status of a refusal is foreign too."""
    found = read_refusal(422, status, "")
    assert (found.status, found.reason, found.cause, found.fields) == (422, "error", "invalid", ())
    assert read_refusal(422, b'{"reason": "Invalid"}', "").reason == "Invalid"


# -- keys of a cluster's Secrets -----------------------------------------------------------------------------------

# Exponents of Mersenne primes: whoever wants large ones need not look for them.
LARGE = (9689, 9941)


def rsa_key(first: int, second: int) -> tuple[str, str]:
    """A key of two Mersenne primes, and a certificate that speaks of it."""
    p, q = 2**first - 1, 2**second - 1
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    leaf = x509.load_pem_x509_certificate(make_leaf(ROOT).certificate_pem.encode())
    certificate = (
        x509.CertificateBuilder(leaf.issuer, leaf.subject, public.public_key(), 1)
        .not_valid_before(leaf.not_valid_before_utc)
        .not_valid_after(leaf.not_valid_after_utc)
        .sign(ROOT.key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), pem.decode()


def test_the_key_in_a_secret_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """F, a sibling: a key of 6,700 bytes took OpenSSL 100 s, which asked whether its numbers are prime; one of a
    megabyte would have held the run of whoever reads that Secret for days, and no limit of a cluster's answers counts.
    """
    judge(Target(list, lambda pair: read_live(*pair, where="Secret x")), rsa_key(*LARGE))
    assert not key_matches(*rsa_key(*LARGE))
    sound = rsa_key(1279, 2203)
    assert key_matches(*sound), "the control"


def test_a_key_whose_public_half_alone_is_right_does_not_match() -> None:
    """F, a sibling: what is not checked is tried."""
    leaf = make_leaf(ROOT, key_type="RSA-2048")
    key = serialization.load_pem_private_key(leaf.key_pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    right = key.private_numbers()
    wrong = rsa.RSAPrivateNumbers(
        right.p, right.q, right.d ^ 2, right.dmp1 ^ 2, right.dmq1 ^ 2, right.iqmp, right.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    assert not key_matches(leaf.certificate_pem, wrong.private_bytes(*form))
    assert key_matches(leaf.certificate_pem, leaf.key_pem)


# -- exceptions that other code raises -----------------------------------------------------------------------------


@pytest.mark.parametrize("calls", [1, 2])
def test_what_a_call_of_another_collection_raises_is_not_quoted(calls: int) -> None:
    """C, a sibling: what kubernetes.core or a connection library raises can quote what it was given."""

    def call() -> Json:
        raise ValueError(f"Invalid header value b'Bearer {SECRET}'")

    found = [*at_once([call] * calls)]
    assert [result["msg"] for result in found] == ["the call ended with ValueError"] * calls
    assert SECRET not in repr(found)
    with pytest.raises(ValueError, match=SECRET):
        call()


_NO_NAME = {"userInfo": {"username": 7}, "allowed": 1}


class Answering(Api):
    """An API whose requests come back with this."""

    def __init__(self, answer: object) -> None:
        self.where, self.answer = "context x", answer

    def _request(self, *_arguments: Any) -> Any:
        return copy.deepcopy(self.answer)


@pytest.mark.parametrize(
    "answer",
    [[], 7, None, {}, {"status": 7}, {"status": {"userInfo": "x", "allowed": "yes"}}, {"status": _NO_NAME}],
)
@pytest.mark.parametrize("ask", [Api.whoami, lambda api: api.review({"verb": "get"})], ids=["whoami", "review"])
def test_a_review_of_another_shape_is_one_error(answer: object, ask: Any) -> None:
    """F3: a text in status.userInfo was a bare AttributeError."""
    with refused("malformed-object"):
        ask(Answering(answer))


def test_a_review_that_lacks_what_is_asked_says_no() -> None:
    """Null and a key that is not there are the same."""
    for status in ({}, {"userInfo": None, "allowed": None}, {"userInfo": {"username": None}}):
        assert Answering({"status": status}).whoami() == ""
        assert Answering({"status": status}).review({"verb": "get"}) is False
    assert Answering({"status": {"userInfo": {"username": "x"}, "allowed": True}}).whoami() == "x"


# -- the report ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_in_the_page_of_a_report(name: str) -> None:
    """Names of clusters, errors and files stand in a page that an administrator opens."""
    found = report_of(ten_links().sources())
    # As long, as the width of a column may follow from it.
    sound, hostile = (Page(render(named_by_others(found, given))) for given in ("n" * len(name), name))
    assert hostile.tags() == sound.tags()
    assert [sorted(given) for _tag, given in hostile.elements] == [sorted(given) for _tag, given in sound.elements]
    # The control: it is shown, letter by letter.
    assert any(name in words for words in hostile.words)


def test_a_report_turns_no_text_and_draws_nothing() -> None:
    page = render(named_by_others(report_of(ten_links().sources()), CLEAR))
    assert obeyed(page) == []
    assert DRAWN in page
