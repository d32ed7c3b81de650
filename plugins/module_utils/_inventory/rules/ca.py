# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the CA store is, and all that can be wrong with the CA's settings, found at once.

Pure, but for one look at whether an inventory source is a folder.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import (
    LONGEST_LABEL,
    Finding,
    is_label,
    nearest,
    show,
    wrong_type,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.pkcs8 import SHORTEST_PASSPHRASE
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import KEY_TYPES, MOST_DAYS

__all__ = ["DEFAULT_DIR", "POLICY", "check_passphrase", "check_policy", "check_store", "job_folder", "store_path"]

DEFAULT_DIR = ".crossmesh/ca"
# What decides about certificates, and what counts where it is not set.
_POLICY = (
    "custom_ca_key_type",
    "custom_ca_validity_days",
    "custom_ca_leaf_validity_days",
    "custom_ca_renew_before_days",
)
POLICY: Mapping[str, Any] = {name: value for name, value in schema.defaults(schema.CA).items() if name in _POLICY}


def store_path(value: str, sources: Sequence[str], current_folder: Path) -> Path:
    """Resolve the folder of the store.

    A relative one begins beside the first inventory source, not where the command was started: the same inventory
    has to find the same authority from everywhere. An inline list of hosts has no folder; there the current one counts.
    """
    folder = current_folder
    if sources and "," not in sources[0]:
        source = current_folder / sources[0]
        folder = source if source.is_dir() else source.parent
    return folder / Path(value or DEFAULT_DIR).expanduser()


def job_folder(folder: Path, environ: Mapping[str, str]) -> str:
    """The private data directory of ansible-runner that a folder is in; empty where it is in none.

    AWX throws it away with the job. ansible-runner names the folder C(artifacts/JOB) in it to the process that it
    starts (2.4.3, C(config/_base.py)), AWX names it itself, as the path on its node.

    :param environ: of the process that Ansible was started in.
    """
    named = [environ.get("AWX_PRIVATE_DATA_DIR", "")]
    if (artifacts := Path(environ.get("AWX_ISOLATED_DATA_DIR", ""))).parent.name == "artifacts":
        named.append(str(artifacts.parent.parent))
    found = folder.resolve()
    return next((place for place in named if place and found.is_relative_to(Path(place).resolve())), "")


def check_store(variables: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with where the CA store is to be: a word that is none stands for no place."""
    store = variables["custom_ca_store"]
    if store not in schema.STORES:
        yield _finding("ca-store", "custom_ca_store", store, "is no place for a CA", nearest(store, schema.STORES))
    elif store == "kubernetes":
        for name in ("custom_ca_store_namespace", "custom_ca_store_name"):
            # Without a name it is that of the instance.
            if not is_label(value := variables[name]) and (name, value) != ("custom_ca_store_name", ""):
                what = f"is no DNS label of at most {LONGEST_LABEL} characters"
                yield _finding("ca-store-name", name, value, what, "use lower-case letters, digits and hyphens")


def check_policy(variables: Mapping[str, Any]) -> list[Finding]:
    """Return everything that is wrong with what decides about certificates, wherever it is set.

    :param variables: C(POLICY) holds their names; undefined ones are left out. A number may be a text, as C(-e) gives
        it. Without C(custom_ca_validity_days) nothing is held against the root's end.
    """
    given = {**POLICY, "custom_ca_validity_days": MOST_DAYS}
    given |= {name: variables[name] for name in POLICY if name in variables}
    key_type = given.pop("custom_ca_key_type")
    days = {name: number for name, value in given.items() if (number := _days(value)) is not None}
    wrong = [
        wrong_type("custom_ca", name, value, "int", str(POLICY[name]))
        for name, value in given.items()
        if name not in days
    ]
    faults = [*wrong, *_check_key_type(key_type)]
    if wrong:
        return faults
    leaf = days["custom_ca_leaf_validity_days"]
    return [*faults, *_check_days(days["custom_ca_validity_days"], leaf, days["custom_ca_renew_before_days"])]


def _days(value: object) -> int | None:
    """None where it is no whole number."""
    if isinstance(value, bool) or not isinstance(value, (int, str, float)):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _check_key_type(key_type: object) -> Iterator[Finding]:
    if isinstance(key_type, str) and key_type in KEY_TYPES:
        return
    yield _finding(
        "ca-key-type",
        "custom_ca_key_type",
        key_type,
        "is not a supported key type",
        f"choose one of {', '.join(KEY_TYPES)}",
    )


def _check_days(validity: int, leaf: int, renew_before: int) -> Iterator[Finding]:
    if not 1 <= validity <= MOST_DAYS:
        yield _finding(
            "ca-validity",
            "custom_ca_validity_days",
            validity,
            f"is not between 1 and {MOST_DAYS}",
            "choose a number in this range; 3650 days are usual for a private root",
        )
    if not 1 <= leaf < validity:
        yield _finding(
            "ca-leaf-validity",
            "custom_ca_leaf_validity_days",
            leaf,
            f"is less than 1, or not less than the {validity} days of a root; a certificate expires before its root",
            "make it shorter than custom_ca_validity_days",
        )
    if not 1 <= renew_before < leaf:
        yield _finding(
            "ca-renew-before",
            "custom_ca_renew_before_days",
            renew_before,
            f"is less than 1, or not less than the {leaf} days of a certificate",
            "make it shorter than custom_ca_leaf_validity_days; a third of it is usual",
        )


def check_passphrase(length: int) -> Iterator[Finding]:
    """Hold the passphrase's length against the shortest that is taken."""
    # None at all is right where nothing has to be made or signed; only the store knows.
    if length == 0 or length >= SHORTEST_PASSPHRASE:
        return
    what = f"it has {length} characters, and the shortest passphrase that is accepted has {SHORTEST_PASSPHRASE}"
    yield Finding.of("ca-passphrase", "custom_ca", "custom_ca_passphrase", "", what, "choose a longer one")


def _finding(code: str, field: str, value: object, what: str, fix: str) -> Finding:
    return Finding.of(code, "custom_ca", field, show(value), what, fix)
