# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why an API server refused: read of its Status, with nothing of what was sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.refusal import Refusal, read_refusal
from tests.unit.support import Json

SECRET = "bm90IGZvciBhbnlib2R5IGVsc2U="
OF_SECRET = {"kind": "Secret", "name": "mysql-credential"}
FORBIDDEN = 'secrets "mysql-credential" is forbidden: '


def told(status: int, reason: str, message: str = "", **details: object) -> Refusal:
    answer: Json = {"kind": "Status", "reason": reason, "message": message, "details": details}
    return read_refusal(status, json.dumps(answer).encode(), "shop")


@pytest.mark.parametrize(
    ("refusal", "code", "words", "fix"),
    [
        (
            told(403, "Forbidden", FORBIDDEN + f"exceeded quota: few-secrets, requested: count/secrets=1, {SECRET}"),
            "quota-exceeded",
            "ResourceQuota few-secrets",
            "raise ResourceQuota few-secrets",
        ),
        (
            told(403, "Forbidden", FORBIDDEN + "status unknown for quota: new, resources: count/secrets"),
            "quota-exceeded",
            "ResourceQuota new",
            "raise ResourceQuota new",
        ),
        (
            told(403, "Forbidden", FORBIDDEN + "failed quota: q.1: must specify limits.cpu"),
            "quota-exceeded",
            "ResourceQuota q.1",
            "raise ResourceQuota q.1",
        ),
        (
            told(
                422,
                "Invalid",
                'gateways.networking.istio.io "g" is forbidden: '
                f"ValidatingAdmissionPolicy 'no-links.example.com' with binding 'all' denied request: {SECRET}",
                causes=[{"field": f"data[{SECRET}]", "message": SECRET}],
            ),
            "admission-refused",
            "ValidatingAdmissionPolicy no-links.example.com",
            "owner of ValidatingAdmissionPolicy no-links.example.com",
        ),
        (
            told(403, "Forbidden", FORBIDDEN + "ValidatingAdmissionPolicy 'p' denied request: no"),
            "admission-refused",
            "ValidatingAdmissionPolicy p",
            "owner of",
        ),
        (
            told(400, "BadRequest", f'admission webhook "validate.kyverno.svc" denied the request: {SECRET}'),
            "admission-refused",
            "admission webhook validate.kyverno.svc",
            "owner of admission webhook validate.kyverno.svc",
        ),
        (
            told(500, "InternalError", f'Internal error occurred: failed calling webhook "a.b.c": {SECRET}'),
            "webhook-unreachable",
            "a.b.c does not answer",
            "start what serves admission webhook a.b.c",
        ),
        (
            told(400, "BadRequest", 'admission webhook "a.b.c" does not support dry run'),
            "no-dry-run",
            "a.b.c",
            "sideEffects None",
        ),
        (
            told(
                403,
                "Forbidden",
                'secrets is forbidden: User "system:serviceaccount:a:b" cannot create resource "secrets" in API',
            ),
            "not-permitted",
            "lacks the permission",
            "docs/permissions.md",
        ),
        (
            told(403, "Forbidden", 'forbidden: User "x" cannot get path "/version"'),
            "not-permitted",
            "lacks the permission",
            "docs/permissions.md",
        ),
        (told(403, "Forbidden", FORBIDDEN + SECRET), "admission-refused", "does not say by what", "what forbids it"),
        (
            told(403, "Forbidden", FORBIDDEN + "unable to create", causes=[{"reason": "NamespaceTerminating"}]),
            "namespace-terminating",
            "namespace shop is being deleted",
            "wait until namespace shop is gone",
        ),
        (
            told(404, "NotFound", kind="namespaces", name="shop"),
            "no-namespace",
            "no namespace shop",
            "make namespace shop",
        ),
        (
            told(422, "Invalid", **OF_SECRET, causes=[{"reason": "FieldValueForbidden", "field": "data"}]),
            "immutable-secret",
            "422 Invalid in data (the Secret is immutable)",
            "delete this Secret",
        ),
        (
            told(422, "Invalid", **OF_SECRET, causes=[{"reason": "FieldValueInvalid", "field": "type"}]),
            "invalid-object",
            "422 Invalid in type",
            "CRDs",
        ),
        (
            told(409, "Conflict", causes=[{"reason": "FieldManagerConflict", "field": "spec", "message": SECRET}]),
            "conflict",
            "409 Conflict in spec",
            "managedFields",
        ),
    ],
)
def test_each_has_its_own_code_and_a_fix_that_helps(refusal: Refusal, code: str, words: str, fix: str) -> None:
    message = refusal.message("x", "refused")
    assert message.code == code
    assert words in message.what
    assert fix in message.fix
    assert SECRET not in str(message)


@pytest.mark.parametrize(
    "message",
    [
        f"{FORBIDDEN}exceeded quota: {SECRET}, requested: 1",
        f'admission webhook "{SECRET}" denied the request: no',
        f"{FORBIDDEN}ValidatingAdmissionPolicy '{SECRET}' with binding 'b' denied request: no",
        f"{FORBIDDEN}exceeded quota: a\x1b[31m, requested",
        f'data: "{SECRET}" is forbidden: exceeded quota: q',
    ],
)
def test_what_is_no_name_is_not_told(message: str) -> None:
    refusal = told(403, "Forbidden", message)
    assert (refusal.who, refusal.cause) == ("", "forbidden")


def test_fields_that_a_webhook_or_a_policy_names_are_not_told() -> None:
    """They write the causes themselves; the API server's own are told."""
    causes = [{"field": "spec.words"}]
    assert told(400, "Bad", 'admission webhook "a.b.c" denied the request: no', causes=causes).fields == ()
    assert told(422, "Invalid", FORBIDDEN + "ValidatingAdmissionPolicy 'p' denied request", causes=causes).fields == ()
    assert told(422, "Invalid", "no", causes=causes).fields == ("spec.words",)


@pytest.mark.parametrize("field", [SECRET, "data[" + "a" * 64 + "]", "spec.\x1b[31m", "a" * 60, "spec: no"])
def test_a_field_that_is_none_is_not_told(field: str) -> None:
    assert told(422, "Invalid", causes=[{"field": field}]).fields == ()
    assert told(422, "Invalid", causes=[{"field": "spec.servers[0].port"}]).fields == ("spec.servers[0].port",)


@given(
    st.integers(400, 599),
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["reason", "message", "details", "causes", "field", "kind", "name"]), inner
            )
        ),
    ),
)
def test_no_answer_is_too_strange(status: int, answer: object) -> None:
    refusal = read_refusal(status, json.dumps(answer).encode(), "")
    assert str(status) in refusal.message("x", "refused").what


def test_the_verb_that_is_lacking_is_told_and_nothing_but_a_verb() -> None:
    assert told(403, "Forbidden", 'forbidden: User "x" cannot create resource "secrets" in API').who == "create"
    assert told(403, "Forbidden", f'forbidden: User "x" cannot {SECRET} resource "secrets" in API').who == ""
