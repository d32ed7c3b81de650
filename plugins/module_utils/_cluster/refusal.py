# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why an API server refused a request: its Status, read without what was sent. Pure.

PRIVATE to the collection. A server's message can hold the value that was sent. Of it only names are taken (of a quota,
a policy, a webhook, a verb), where it has the form in which Kubernetes itself writes them, and only if they are names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import Json, mapping, mappings, parse_json, text
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["Cause", "Refusal", "read_refusal"]

Cause = Literal[
    "credential",
    "permission",
    "forbidden",
    "quota",
    "policy",
    "webhook",
    "webhook-silent",
    "webhook-never-dry",
    "terminating",
    "namespace",
    "immutable",
    "conflict",
    "invalid",
    "missing",
    "busy",
    "other",
]

# RFC 1123, as names of quotas, policies, bindings and webhooks have to be.
_NAME = r"([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)"
# As Kubernetes writes them (apiserver's admission and authorization, quota's admission); what follows is others' text.
_SHAPES: tuple[tuple[Cause, re.Pattern[str]], ...] = (
    ("webhook-never-dry", re.compile(rf'^admission webhook "{_NAME}" does not support dry run')),
    ("webhook", re.compile(rf'^admission webhook "{_NAME}" denied the request\b')),
    ("webhook-silent", re.compile(rf'^Internal error occurred: failed calling webhook "{_NAME}":')),
    (
        "policy",
        re.compile(
            rf"^[^:]{{1,400}} is forbidden: ValidatingAdmissionPolicy '{_NAME}'"
            rf"(?: with binding '{_NAME}')? denied request"
        ),
    ),
    (
        "quota",
        re.compile(rf"^[^:]{{1,400}} is forbidden: (?:exceeded|failed|status unknown for) quota: {_NAME}(?:[,:]|$)"),
    ),
    (
        "permission",
        re.compile(r'^(?:[^:]{1,400} is )?forbidden: User "[^"]*" cannot ([a-z]{1,20}) (?:resource|path) "'),
    ),
)
# A path of fields, with keys of maps and places in lists; no segment is long enough for a secret.
_FIELD = re.compile(r"[A-Za-z]\w{0,40}(?:\.[A-Za-z]\w{0,40}|\[[\w./-]{1,63}\]){0,12}")


@dataclass(frozen=True)
class Refusal:
    """What can be told of an answer.

    :param reason: the Status's, in one word.
    :param who: the quota, policy or webhook; of a permission the verb that it lacks, where that is told.
    :param fields: of the object that was sent.
    :param subject: name of the namespace that lacks or ends, or of the object.
    """

    status: int
    reason: str
    cause: Cause
    who: str = ""
    fields: tuple[str, ...] = ()
    subject: str = ""

    @property
    def code(self) -> str:
        return _WORDS[self.cause].code

    @property
    def fix(self) -> str:
        return _WORDS[self.cause].fix.format(who=self.who, subject=self.subject)

    @property
    def why(self) -> str:
        """In a few words; status and reason are what people search for."""
        told = f"{self.status} {self.reason}" + (f" in {', '.join(self.fields)}" if self.fields else "")
        added = _WORDS[self.cause].added.format(who=self.who, subject=self.subject)
        return f"{told} ({added})" if added else told

    def message(self, where: str, what: str) -> Message:
        """:param what: what was refused, in words that the reason can follow."""
        return Message.error(self.code, where=where, what=f"{what}: {self.why}", fix=self.fix)


@dataclass(frozen=True)
class _Words:
    """:param added: to status and reason, in parentheses."""

    code: str
    fix: str
    added: str = ""


_WORDS: Mapping[Cause, _Words] = {
    "credential": _Words("login-refused", "renew the credentials of this context"),
    "permission": _Words(
        "not-permitted",
        "grant the permission to the user of this context (docs/permissions.md lists what is needed)",
        "the user of this context lacks the permission",
    ),
    "forbidden": _Words(
        "admission-refused",
        "ask the cluster's administrators what forbids it; the user of this context has the permission",
        "by admission, which does not say by what",
    ),
    "quota": _Words("quota-exceeded", "raise ResourceQuota {who}, or free some of it", "by ResourceQuota {who}"),
    "policy": _Words(
        "admission-refused",
        "ask the owner of ValidatingAdmissionPolicy {who} to allow it; the API server's answer to kubectl says more",
        "by ValidatingAdmissionPolicy {who}",
    ),
    "webhook": _Words(
        "admission-refused",
        "ask the owner of admission webhook {who} to allow it; the API server's answer to kubectl says more",
        "by admission webhook {who}",
    ),
    "webhook-silent": _Words(
        "webhook-unreachable",
        "start what serves admission webhook {who}, or remove its configuration",
        "admission webhook {who} does not answer",
    ),
    "webhook-never-dry": _Words(
        "no-dry-run",
        "let the owner of admission webhook {who} declare sideEffects None, if it has none",
        "admission webhook {who} does not take dry runs",
    ),
    "terminating": _Words(
        "namespace-terminating",
        "wait until namespace {subject} is gone, make it anew, then run again",
        "namespace {subject} is being deleted",
    ),
    "namespace": _Words("no-namespace", "make namespace {subject}, or correct the inventory", "no namespace {subject}"),
    "immutable": _Words(
        "immutable-secret",
        "delete this Secret, and do not set immutable on it; the next run issues another certificate",
        "the Secret is immutable",
    ),
    "conflict": _Words("conflict", "another field manager owns the field; see the object's managedFields"),
    "invalid": _Words("invalid-object", "see that the field may have this value in this cluster; check Istio's CRDs"),
    "missing": _Words("api-refused", "check that the namespace exists and that Istio's CRDs are installed"),
    "busy": _Words(
        "api-busy",
        "find out what keeps the API server busy (API priority and fairness), then run again",
        "it is busy",
    ),
    "other": _Words("api-refused", "check the API server's log"),
}
_OF_STATUS: Mapping[int, Cause] = {
    401: "credential",
    403: "forbidden",
    404: "missing",
    409: "conflict",
    422: "invalid",
    429: "busy",
    503: "busy",
}


def read_refusal(status: int, data: bytes, namespace: str) -> Refusal:
    """What an answer that is an error tells.

    :param namespace: in which something was asked for; empty for none.
    """
    answer = mapping(_parsed(data))
    details = mapping(answer.get("details"))
    causes = mappings(details.get("causes"))
    reason = _word(answer.get("reason"))
    cause, who = _named(text(answer.get("message")))
    if cause == "other":
        cause = _by_status(status, details, causes)
    # A webhook or policy writes the causes of its answer itself.
    own = cause not in ("webhook", "policy")
    fields = tuple(sorted({field for item in causes if (field := text(item.get("field"))) and own}))
    kept = tuple(field for field in fields if _FIELD.fullmatch(field))
    name = text(details.get("name"))
    subject = namespace if cause == "terminating" else name
    return Refusal(status, reason, cause, who, kept, subject if re.fullmatch(_NAME, subject) else "")


def _named(message: str) -> tuple[Cause, str]:
    for cause, shape in _SHAPES:
        if match := shape.match(message):
            return cause, match[1] if match.re.groups else ""
    return "other", ""


def _by_status(status: int, details: Json, causes: list[Json]) -> Cause:
    if any(item.get("reason") == "NamespaceTerminating" for item in causes):
        return "terminating"
    if status == 404 and details.get("kind") == "namespaces":
        return "namespace"
    if status == 422 and _word(details.get("kind")) == "Secret" and any(map(_is_immutability, causes)):
        return "immutable"
    return _OF_STATUS.get(status, "other")


def _is_immutability(cause: Json) -> bool:
    """Kubernetes forbids these fields to change for this alone."""
    return cause.get("reason") == "FieldValueForbidden" and cause.get("field") in ("data", "stringData", "immutable")


def _word(value: object) -> str:
    word = text(value)
    return word if re.fullmatch(r"[A-Za-z]{1,60}", word) else "error"


def _parsed(data: bytes) -> object:
    try:
        return parse_json(data)
    except ValueError:
        return {}
