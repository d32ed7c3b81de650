# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes pages out of the code: docs/links.md and a JSON Schema of the schema, validation.md and messages.md of the
catalogue, report.schema.json and results.schema.json of the
types of what they describe."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "collections"), str(CHECKOUT)]

from ansible_collections.crossmesh.mtls.plugins.module_utils import _catalogue as catalogue  # noqa: E402
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema  # noqa: E402
from ansible_collections.crossmesh.mtls.plugins.module_utils._report import schema as report_types  # noqa: E402
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.model import results_schema  # noqa: E402
from tests.tools import json_schema  # noqa: E402

HEAD = """# Links, clusters and what they share

<!-- Made of module_utils/_inventory/schema.py by tests/tools/inventory_docs.py: edit that, run this. -->

All that can be wrong with these variables is told at once, before any cluster is written to; the rules stand in
[validation.md](validation.md). A key without a value counts as not given; an unknown key is an error. A variable that
begins with `mesh_` or `custom_ca_` and is none of these has no effect, and each run warns of it (`unknown-variable`).

An editor and CI tell of much of it before a run does: [in an editor](#in-an-editor-and-in-ci).
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
    ("What is revoked", "An entry of `custom_ca_revoked`: a date, and one of the first four.", schema.REVOKED),
    ("A schedule", "An entry of `mesh_schedule`; [schedule.md](schedule.md) says what becomes of it.", schema.SCHEDULE),
    ("What a playbook is told", "Of the playbook that each names; as a rule for one run (`-e`).", schema.PLAYBOOK),
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


EDITOR = """## In an editor and in CI

[inventory.schema.json](inventory.schema.json) says of all these variables which keys they have, of what type, and which
values a key takes: a JSON Schema (draft 2020-12), made of what this page is made of. Editors with a language server for
YAML (the extension `redhat.vscode-yaml` of VS Code; `yaml-language-server` of Neovim, Emacs and others) complete by it
and mark faults, with this as the first line of a file in `group_vars` or `host_vars`:

```yaml
# yaml-language-server: $schema=https://raw.githubusercontent.com/crossmesh/crossmesh.mtls/main/docs/inventory.schema.json
```

Without a network, name the file of the collection that is installed; a relative path begins at the file that names it:

```yaml
# yaml-language-server: $schema=../collections/ansible_collections/crossmesh/mtls/docs/inventory.schema.json
```

Where values are encrypted in the file, tell the language server of the tag: `"yaml.customTags": ["!vault scalar"]`.

In CI, with [check-jsonschema](https://check-jsonschema.readthedocs.io), which needs no cluster and no secret:

```bash
check-jsonschema --schemafile collections/ansible_collections/crossmesh/mtls/docs/inventory.schema.json group_vars/*.yml
```

It takes what a run takes: a value may be a template, and a number a text. Names that begin with `mesh_` or `custom_ca_`
are this collection's, so it refuses what a run only warns of. It knows nothing of what one value means for another, as
a port that two links share; `ansible-playbook crossmesh.mtls.preflight` tells all of that.
"""


def links_page() -> str:
    sections = [_table(*table) for table in TABLES]
    return "\n".join([HEAD + EXAMPLE, *sections, EDITOR])


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


def _json(document: object) -> str:
    return json.dumps(document, indent=2) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "report.schema.json": lambda: _json(report_types.json_schema()),
    "results.schema.json": lambda: _json(results_schema()),
    "links.md": links_page,
    "validation.md": rules_page,
    "messages.md": messages_page,
    json_schema.FILE: lambda: _json(json_schema.document()),
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
