# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may use a filter chain, by its filters of C(envoy.extensions.filters.network.rbac.v3). Pure.

PRIVATE to the collection. What such a filter asks of a connection is answered with yes, no, or not known: a policy of
others is a fault only where it refuses a link for sure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import Json, mapping, mappings

__all__ = ["Caller", "Rules", "read_rules"]

# As Istio names what it makes of a rule of an AuthorizationPolicy.
_POLICY = re.compile(r"ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[\d+\]")

# Between the wildcards, what Istio makes of a field of a rule: each of its characters stands for one of the text.
_ANYTHING, _SOMETHING = re.compile(r"(?<!\\)\.\*"), re.compile(r"(?<!\\)\.\+")
_LITERAL = re.compile(r"(?:[^\\()\[\]{}*+?|^$]|\\\W)*")


@dataclass(frozen=True)
class Caller:
    """A connection of a link.

    :param identities: one of which the caller has; None where they are not known.
    """

    port: int
    sni: str
    identities: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Rules:
    """One filter.

    :param policies: permissions and principals, by name.
    """

    denies: bool
    policies: Mapping[str, Json]

    def refusal(self, caller: Caller) -> str | None:
        """The policies that refuse a caller for sure, as people know them; None where none does."""
        answers = {name: _both(policy, caller) for name, policy in self.policies.items()}
        if self.denies:
            guilty = [name for name, answer in answers.items() if answer]
            return _titles(guilty) if guilty else None
        return _titles(answers) if all(answer is False for answer in answers.values()) else None


def read_rules(config: Json) -> Rules | None:
    """The rules of a filter's configuration; None where it holds nobody off, as in a dry run."""
    rules = config.get("rules")
    if not isinstance(rules, Mapping) or rules.get("action", "ALLOW") not in ("ALLOW", "DENY"):
        return None
    policies = rules.get("policies")
    found = {str(name): policy for name, policy in mapping(policies).items() if isinstance(policy, Mapping)}
    return Rules(rules.get("action") == "DENY", found)


def _titles(policies: Iterable[str]) -> str:
    """Istio's name of an allow-list without rules is of no policy."""
    found = {f"AuthorizationPolicy {match[1]}/{match[2]}" for name in policies if (match := _POLICY.search(name))}
    return ", ".join(sorted(found)) or "an AuthorizationPolicy"


def _both(policy: Json, caller: Caller) -> bool | None:
    if policy.get("condition") or policy.get("checked_condition"):
        return None
    permissions = [_permission(item, caller) for item in mappings(policy.get("permissions"))]
    principals = [_principal(item, caller) for item in mappings(policy.get("principals"))]
    return _all([_any(permissions), _any(principals)])


def _permission(rule: Json, caller: Caller) -> bool | None:
    for kind, value in rule.items():
        if kind in ("and_rules", "or_rules"):
            answers = [_permission(item, caller) for item in mappings(mapping(value).get("rules"))]
            return _all(answers) if kind == "and_rules" else _any(answers)
        if kind == "not_rule":
            return _not(_permission(mapping(value), caller))
        if kind == "any":
            return True
        if kind == "destination_port":
            return bool(value == caller.port)
        if kind == "requested_server_name":
            return _matches(mapping(value), caller.sni)
    return None


def _principal(rule: Json, caller: Caller) -> bool | None:
    for kind, value in rule.items():
        if kind in ("and_ids", "or_ids"):
            answers = [_principal(item, caller) for item in mappings(mapping(value).get("ids"))]
            return _all(answers) if kind == "and_ids" else _any(answers)
        if kind == "not_id":
            return _not(_principal(mapping(value), caller))
        if kind == "any":
            return True
        if matcher := _identity(kind, mapping(value)):
            return _is_one_of(matcher, caller.identities)
    return None


def _identity(kind: str, value: Json) -> Json:
    """What the identity of a peer has to be; Istio asks for it in one of two ways, by its version."""
    if kind == "authenticated":
        return mapping(value.get("principal_name"))
    if kind == "filter_state" and value.get("key") == "io.istio.peer_principal":
        return mapping(value.get("string_match"))
    return {}


def _is_one_of(matcher: Json, identities: tuple[str, ...] | None) -> bool | None:
    return None if identities is None else _any([_matches(matcher, identity) for identity in identities])


def _matches(matcher: Json, text: str) -> bool | None:
    """Whether a text is as a C(envoy.type.matcher.v3.StringMatcher) wants it."""
    tests: Mapping[str, Callable[[str], bool]] = {
        "exact": lambda wanted: text == wanted,
        "prefix": text.startswith,
        "suffix": text.endswith,
        "contains": lambda wanted: wanted in text,
    }
    for kind, wanted in matcher.items():
        if kind in tests and isinstance(wanted, str):
            return tests[kind](wanted)
        if kind == "safe_regex":
            return _matches_expression(str(mapping(wanted).get("regex", "")), text)
    return None


def _matches_expression(expression: str, text: str) -> bool | None:
    """None where it is more than Istio writes, which is C(.*) and C(.+) between literals.

    RE2 takes time by the length of the text alone; Python's would try every way to share the text among wildcards, for
    years, so that each literal is looked for by itself: the first place where it stands leaves most to the next one.
    """
    first, *others = _ANYTHING.split(_SOMETHING.sub("..*", expression))
    if not all(map(_LITERAL.fullmatch, (first, *others))):
        return None
    if not others:
        return re.fullmatch(first, text) is not None
    found = re.match(first, text)
    for literal in (*others[:-1], f"(?:{others[-1]})\\Z"):
        found = re.compile(literal).search(text, found.end()) if found else None
    return found is not None


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _all(answers: list[bool | None]) -> bool | None:
    if any(answer is False for answer in answers):
        return False
    return None if None in answers else True


def _any(answers: list[bool | None]) -> bool | None:
    if any(answers):
        return True
    return None if None in answers else False
