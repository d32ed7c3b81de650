# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as they stand in an inventory, for every ansible-core that the collection runs on.

With ansible-core 2.19 a value carries what is known of it as tags; before, as a class of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import ansible.template
import pytest
from ansible.parsing import vault

__all__ = ["HAS_TAGS", "as_template", "marked", "vaulted"]

HAS_TAGS = hasattr(ansible.template, "trust_as_template")


def as_template(value: Any) -> Any:
    """The value with every text in it as one that Ansible takes for a template, as before 2.19 it takes each."""
    if isinstance(value, Mapping):
        return {key: as_template(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_template(item) for item in value]
    return ansible.template.trust_as_template(value) if HAS_TAGS and isinstance(value, str) else value


def marked(value: Any) -> Any:
    """A text or number that Ansible knows something of."""
    if HAS_TAGS:
        tags = import_module("ansible.module_utils.datatag")
        return tags.deprecate_value(value, "said by a test", collection_name="crossmesh.mtls", version="9.0.0")
    return import_module("ansible.utils.unsafe_proxy").wrap_var(value)


def vaulted(ciphertext: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A vaulted text in a run to which nobody gave a vault password."""
    if HAS_TAGS:
        monkeypatch.setattr(vault.VaultSecretsContext, "_current", vault.VaultSecretsContext(secrets=[]))
        return vault.EncryptedString(ciphertext=ciphertext)
    value = import_module("ansible.parsing.yaml.objects").AnsibleVaultEncryptedUnicode(ciphertext)
    value.vault = vault.VaultLib(secrets=[])
    return value
