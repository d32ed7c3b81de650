# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others say of our certificates and revocation lists: openssl, pkilint and zlint."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
from pathlib import Path

from tests.lab.build import tool
from tests.lab.settings import load_settings

# The only lints of zlint that do not count, by the reason why.
_DROPPED_BECAUSE = {
    "a public CA names a legal entity; this root belongs to whoever runs it": (
        "e_ca_country_name_missing",
        "e_ca_organization_name_missing",
    ),
    "leaves are checked against a root and a list that lie beside them; nothing is fetched": (
        "e_missing_crl_distrib_point",
        "e_sub_cert_aia_missing",
        "w_sub_cert_aia_does_not_contain_issuing_ca_url",
    ),
    "there is no certification practice statement that a policy could refer to": (
        "e_sub_cert_cert_policy_empty",
        "e_sub_cert_certificate_policies_missing",
    ),
    "private names are what a private CA is for": ("e_dnsname_not_valid_tld",),
    "how long a leaf lives is the user's choice": (
        "e_server_cert_valid_time_longer_than_200_days",
        "e_sub_cert_valid_time_longer_than_39_months",
        "e_sub_cert_valid_time_longer_than_825_days",
        "e_tls_server_cert_valid_time_longer_than_398_days",
        "w_server_cert_valid_time_longer_than_199_days",
        "w_tls_server_cert_valid_time_longer_than_397_days",
    ),
    "a list past its end refuses everybody, so ours outlast months of missed runs": ("e_crl_next_update_invalid",),
    "the root answers no OCSP requests": ("n_ca_digital_signature_not_set",),
    "certificate transparency is for certificates that browsers trust": ("n_ct_sct_policy_count_unsatisfied",),
    "RFC 5280 section 4.2.1.2 wants a key identifier in every leaf": (
        "w_ext_subject_key_identifier_not_recommended_subscriber",
    ),
    "RFC 5280 section 4.2.1.9 allows a path length in a root, and it bounds an intermediate of it": (
        "w_root_ca_basic_constraints_path_len_constraint_field_present",
    ),
    "people read the common name, verifiers the SANs; some names are too long for it": (
        "e_subject_common_name_not_exactly_from_san",
        "w_subject_common_name_included",
    ),
}
DROPPED = frozenset(lint for lints in _DROPPED_BECAUSE.values() for lint in lints)


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return _run("openssl", *arguments)


def pkilint(program: str, *arguments: str | Path) -> str:
    """Everything that one of pkilint's programs finds; empty where that is nothing.

    Run in this process: importing it takes longer than all it has to say. INFO is no finding: it names the method by
    which a key identifier was made.
    """
    said, complaints = io.StringIO(), io.StringIO()
    main = importlib.import_module(f"pkilint.bin.{program}").main
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complaints):
        findings = main(["lint", "-s", "NOTICE", *map(str, arguments)])
    return f"{said.getvalue()}{complaints.getvalue()}" if findings else ""


def zlint(*paths: Path) -> dict[str, set[str]]:
    """Everything that zlint finds: the files by the lint's name. Its exit code says nothing."""
    found: dict[str, set[str]] = {}
    for path in paths:
        result = _run(tool(load_settings(), "zlint"), path)
        assert result.returncode == 0, result.stderr
        for lint, answer in json.loads(result.stdout).items():
            if answer["result"] not in ("pass", "NA", "NE"):
                found.setdefault(lint, set()).add(path.name)
    return found


def counted(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """What is left of zlint's findings without the lints that are dropped."""
    return {lint: paths for lint, paths in found.items() if lint not in DROPPED}


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
