# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes pages out of the code: docs/links.md of the schema, validation.md and messages.md of the catalogue."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "collections"))

from ansible_collections.crossmesh.mtls.plugins.module_utils import _catalogue as catalogue  # noqa: E402
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema  # noqa: E402

HEAD = """# Links, clusters and what they share

<!-- Made of module_utils/_inventory/schema.py by tests/tools/inventory_docs.py: edit that, run this. -->

All that can be wrong with these variables is told at once, before any cluster is written to; the rules stand in
[validation.md](validation.md). A key without a value counts as not given; an unknown key is an error. Names of
variables are not checked: one that is misspelt counts as not given.
"""

EXAMPLE = """
```yaml
mesh_links:
  - name: mysql
    fqdn: mysql.server.example.com
    port: 3306
    tls_port: 13306
    backend:
      host: mysql.default.svc.cluster.local
      port: 3306
    servers:
      - name: cluster-b
        address: 203.0.113.7
    clients: [cluster-a]
```
"""

CA = """In `group_vars/all`. Beside them stand two secrets, which belong in a vault: `custom_ca_passphrase` (at least 12
characters) encrypts the private keys of the CA, and `custom_ca_import_passphrase` opens `custom_ca_import_key`, where
that is encrypted. [The role](../roles/custom_ca/README.md) says what is in the folder."""

CLUSTER = """Of a host, or of a group. Beside them stands a secret, which belongs in a vault or a credential of AWX:
`mesh_api_key`, the token for `mesh_api_host`."""

TABLES: tuple[tuple[str, str, tuple[schema.Field, ...]], ...] = (
    ("A link", "One entry of `mesh_links`.", schema.LINK),
    ("Its backend", "The value of `backend`.", schema.BACKEND),
    ("An external server", "The value of `external`.", schema.EXTERNAL),
    ("Its workloads", "The value of `workloads`.", schema.WORKLOADS),
    ("Its retries", "The value of `retries`.", schema.RETRIES),
    ("Its probe", "The value of `probe`; [verify.md](verify.md) says how it is asked.", schema.PROBE),
    ("Where it is asked", "The value of `probe.from`.", schema.PROBE_FROM),
    ("A server with an address", "An entry of `servers` that is more than a name.", schema.SERVER),
    ("Variables of a cluster", CLUSTER, schema.CLUSTER),
    ("A gateway", "The value of `mesh_ingress_gateway` and `mesh_egress_gateway`.", schema.GATEWAY),
    ("Variables that all clusters share", "In `group_vars/all`: one value for the whole instance.", schema.SHARED),
    ("What a run is told", "For one run (`-e`), or for as long as it stands in the inventory.", schema.RUN),
    ("The certificate authority", CA, schema.CA),
)


RULES_HEAD = """# What an inventory is held to

<!-- Made of module_utils/_catalogue.py by tests/tools/inventory_docs.py: edit that, run this. -->

Every playbook begins with these rules, and tells all that they find at once: where, what is written there, what is
wrong with it, and what to do. The rule's name ends the line:

```text
mysql: tls_port: 15021: is a port of the proxy itself. Fix: write another port. [proxy-port]
```

| Rule | What it asks for | Else |
|---|---|---|
"""


def links_page() -> str:
    sections = [_table(*table) for table in TABLES]
    return "\n".join([HEAD + EXAMPLE, *sections])


def rules_page() -> str:
    rows = [
        f"| `{name}` | {_markdown(rule.asks)} | {_markdown(rule.why)} |\n" for name, rule in catalogue.RULES.items()
    ]
    return RULES_HEAD + "".join(rows)


MESSAGES_HEAD = """# Messages by their code

<!-- Made of module_utils/_catalogue.py by tests/tools/inventory_docs.py: edit that, run this. -->

Every error, warning, notice and alarm is one line: where, what, what to do, and a code that never changes with the
words. Search for the code:

```text
Service istio-system/ingress, port 13306: is not TCP (13306/UDP). Fix: choose another port. [port-not-tcp]
```

Errors stop a run before it writes, but for those that tell of what was written: `not-written`, `not-served`,
`rotation-unproven`. Warnings and notices are shown with the prefix `warning: `, alarms, which ask for somebody before
something fails, with `ALARM: `. Modules return the same as `errors`, a list of mappings with the keys `code`, `level`,
`where`, `what` and `fix`.

| Code | Title | What it means | What to do |
|---|---|---|---|
"""

RULES_OF_MESSAGES = """
## Rules of the inventory

These codes are of [the rules that an inventory is held to](validation.md), which says why.

| Code | What the rule asks for |
|---|---|
"""


def messages_page() -> str:
    rows = [
        f"| `{code}` | {_markdown(entry.title)} | {_markdown(entry.means)} | {_markdown(entry.fix)} |\n"
        for code, entry in sorted(catalogue.CODES.items())
    ]
    rules = [f"| `{code}` | {_markdown(rule.asks)} |\n" for code, rule in sorted(catalogue.RULES.items())]
    return "".join([MESSAGES_HEAD, *rows, RULES_OF_MESSAGES, *rules])


PAGES: dict[str, Callable[[], str]] = {
    "links.md": links_page,
    "validation.md": rules_page,
    "messages.md": messages_page,
}


def _table(title: str, text: str, fields: tuple[schema.Field, ...]) -> str:
    rows = [_row(field) for field in fields]
    return "\n".join(
        [
            f"## {title}",
            "",
            text,
            "",
            "| Key | Type | Default | What it is | Example |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _row(field: schema.Field) -> str:
    kind = " or ".join(f"`{choice}`" for choice in field.choices) or field.type
    default = "**required**" if field.required else _code(field.default)
    example = f"`{field.example}`" if field.example else ""
    return f"| `{field.name}` | {kind} | {default} | {_markdown(field.description)} | {example} |"


def _code(value: Any) -> str:
    return "" if value in (None, "") else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _markdown(text: str) -> str:
    """Ansible's markup in Markdown."""
    return re.sub(r"[CV]\(([^)]*)\)", r"`\1`", text)


def main() -> None:
    for name, page in PAGES.items():
        (CHECKOUT / "docs" / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
