# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which records count: the SHA-256 of each by its serial, in one document that the index names by its own. Pure.

So the signature of the index holds for every record, and one signature is checked, however many there are.

PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Damaged
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record, record_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import parse_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = [
    "Ledger",
    "digest_of",
    "document",
    "ledger_from_text",
    "ledger_to_text",
    "record_from_text",
    "record_to_text",
]

Ledger = Mapping[str, str]

_SERIAL = re.compile("[0-9a-f]{1,40}")


def digest_of(text: str | bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def ledger_to_text(ledger: Ledger) -> str:
    """The document that a storage keeps."""
    return document(ledger)


def ledger_from_text(data: bytes, digest: str, *, where: str, damaged: Damaged) -> Ledger:
    """The same read back.

    :param digest: by which the index names it.
    :raises CrossmeshError: it is another document.
    """
    if digest_of(data) != digest:
        raise damaged(f"{where} is not the ledger of records that its index names")
    content = _parsed(data)
    if not isinstance(content, dict) or not all(_SERIAL.fullmatch(serial) for serial in content):
        raise damaged(f"{where} is no ledger of records")
    return content


def record_to_text(record: Record) -> str:
    """The document that a storage keeps."""
    return document(record.to_json())


def record_from_text(data: bytes, digest: str, *, where: str) -> Record:
    """A record read back.

    :param digest: by which the ledger names it.
    :raises CrossmeshError: it was changed since.
    """
    if digest_of(data) != digest:
        raise CrossmeshError(
            Message.error(
                "record-changed",
                where=where,
                what="the record of an issued certificate is not the one that the CA's key has signed for",
                fix="restore the file from a backup, and find out who can write to the CA store",
            )
        )
    return record_from_json(_parsed(data), where=where)


def _parsed(data: bytes) -> object:
    """None for what is no JSON: it is no ledger and no record either."""
    try:
        return parse_json(data)
    except ValueError:
        return None


def document(content: Mapping[str, Any]) -> str:
    """As all that a key vouches for is kept: the same content is the same text."""
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
