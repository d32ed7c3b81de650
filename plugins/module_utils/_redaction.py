# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes secrets out of what is handed to others. Pure.

PRIVATE to the collection. It is the second net: what is handed on is chosen by name first. A pattern can miss a secret
that looks like nothing; it takes away too much sooner than too little.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

__all__ = ["KINDS", "Redaction"]

# What each mark stands for, in the order in which they are looked for: what holds others comes first.
KINDS: Mapping[str, str] = {
    "vault": "values that ansible-vault has encrypted",
    "private key": "private keys in PEM, encrypted ones too",
    "known": "secrets of this run: the passphrases of the CA, and mesh_api_key",
    "token": "tokens: JSON Web Tokens, bearer and basic authorization, those of OpenShift",
    "user info": "user and password in a URL",
    "named": "values under a name that says it is a secret, such as password or client-key-data",
    "blob": "long texts in base64, as the data of Secrets",
}

# A line break, or how it is written once control characters are written out, or in JSON.
_BREAK = r"(?:\r?\n|\\u000a|\\n)"
# Base64 that is no word, and no fingerprint in hexadecimal.
_MIXED = "(?=[a-z0-9+/]*[A-Z])(?=[A-Z0-9+/]*[a-z])"
# Lines of base64. Possessive, as is all that repeats what repeats: a long text is to cost no more than its length.
_LINE = rf"(?<![A-Za-z0-9+/=])(?:[A-Za-z0-9+/=]{{16,}}+(?:{_BREAK}|\s)*+)++"
_PRIVATE = "(?:[A-Z0-9]+ )*PRIVATE KEY-----"
_PATTERNS: Mapping[str, re.Pattern[str]] = {
    "vault": re.compile(rf"\$ANSIBLE_VAULT;[^\n\\]*(?:{_BREAK}\s*[0-9a-fA-F]+)*"),
    # A part of one is a secret as well: it begins and ends with its own lines, or with the text.
    "private key": re.compile(
        rf"(?:-----BEGIN {_PRIVATE}.*?|{_LINE}(?:[A-Za-z0-9+/=]++(?:{_BREAK}|\s)*+)?(?=-----END {_PRIVATE}))"
        rf"(?:-----END {_PRIVATE}|\Z)",
        re.DOTALL,
    ),
    # RFC 7519, section 3: a header that begins with {" in base64url; the signature may be missing.
    "token": re.compile(
        r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*|sha256~[A-Za-z0-9_-]{20,}"
        r"|\b(?i:bearer|basic)\s+(?=[A-Za-z._~+/=-]*(?:[0-9._~+/=-]|[a-z][A-Z]))[A-Za-z0-9._~+/=-]{8,}"
    ),
    "user info": re.compile(r"(?<=://)[^\s/]+(?=@)"),
    # In base64 PEM begins so, a key as the data of a Secret or a kubeconfig has it among it.
    "blob": re.compile(
        r"LS0tLS1CRUdJT[A-Za-z0-9+/]*={0,2}"
        rf"|(?<![A-Za-z0-9+/]){_MIXED}(?:(?:[A-Za-z0-9+/]{{60,}}+{_BREAK}\s*+)++[A-Za-z0-9+/]++|[A-Za-z0-9+/]{{80,}}+)={{0,2}}"
    ),
}
# Names of secrets. What is called a Secret or a credential by us is its name, not its value.
_NAME = re.compile(
    r"pass(?:word|wd|phrase)|pwd|token|(?:api|private|secret|access)[-_]?key|key[-_]?data|client[-_]?secret"
    r"|authorization|cookie",
    re.IGNORECASE,
)
# In messages JSON has its quotes with a backslash.
_QUOTE = r"\\*[\"']"
_QUOTED = rf"(?P<value>(?P<quote>{_QUOTE}).*?(?P=quote))"
_KEY = rf"(?:{_NAME.pattern})[\w.-]*(?:{_QUOTE})?\s*"
_NAMED: Sequence[re.Pattern[str]] = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # An entry of a list, such as of env.
        rf"(?P<name>name(?:{_QUOTE})?\s*:\s*(?:{_QUOTE})?[\w.-]*{_KEY},\s*(?:{_QUOTE})?value(?:{_QUOTE})?\s*:\s*){_QUOTED}",
        rf"(?P<name>{_KEY}[=:]\s*){_QUOTED}",
        # In YAML and in a header a value goes on to the end of its line.
        rf"(?P<name>{_KEY}:\s*)(?P<value>(?:(?!{_BREAK})[^\r\n\"'])+)",
        rf"(?P<name>{_KEY}=\s*)(?P<value>[^\s;&\"']+)",
        # An option of a command.
        rf"(?P<name>(?<![\w-])--?[\w-]*(?:{_NAME.pattern})[\w-]*\s+)(?P<value>[^\s\"'-]\S*)",
    )
]
# Behind a colon: the sentence of a message goes on with such a word.
_SENTENCE = re.compile(r"(?:an?|cannot|has|is|its?|no|not|only|the|there|what|when)\b(?! *[^ A-Za-z])")
# A shorter one would take words out of sentences.
_SHORTEST = 6


@dataclass
class Redaction:
    """Takes secrets out of values, and counts what it took.

    :param known: secrets that the run has at hand.
    """

    known: Collection[str] = ()
    taken: Counter[str] = field(default_factory=Counter)

    def value(self, value: Any) -> Any:
        """A plain value with every text, and whatever stands under the name of a secret, without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            # An entry of a list, such as of env: its name stands beside its value.
            name = str(value.get("name", ""))
            return {
                self.value(key): self._of_key(name if key == "value" and _NAME.search(name) else key, item)
                for key, item in value.items()
            }
        return [self.value(item) for item in value] if isinstance(value, (list, tuple)) else value

    def _of_key(self, key: Any, item: Any) -> Any:
        # Neither a switch nor nothing at all is a secret.
        if item in (None, "", [], {}) or isinstance(item, bool) or not _NAME.search(str(key)):
            return self.value(item)
        return self._taken("named")

    def text(self, text: str) -> str:
        for secret in sorted(self.known, key=len, reverse=True):
            if len(secret) >= _SHORTEST and secret in text:
                text = text.replace(secret, self._taken("known"))
        for kind, pattern in _PATTERNS.items():
            text = pattern.sub(partial(self._whole, kind), text)
        for pattern in _NAMED:
            text = pattern.sub(self._named, text)
        return text

    def _whole(self, kind: str, _found: re.Match[str]) -> str:
        return self._taken(kind)

    def _named(self, found: re.Match[str]) -> str:
        value = found["value"]
        is_sentence = found["name"].rstrip().endswith(":") and _SENTENCE.match(value)
        return found[0] if is_sentence or value.startswith("[redacted") else f"{found['name']}{self._taken('named')}"

    def _taken(self, kind: str) -> str:
        self.taken[kind] += 1
        return f"[redacted: {kind}]"
