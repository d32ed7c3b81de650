# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that make a root, or take one in; their argument spec is module_utils/custom_ca.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - cryptography >= 42.0.0
options:
  common_name:
    description:
      - Begins the subject of a new root; at most 55 characters.
      - The first digits of the key identifier follow, so that two roots never share a name.
    type: str
    default: Crossmesh Root CA
  key_type:
    description: The key of a new root.
    type: str
    choices: [P-256, P-384, RSA-2048, RSA-3072, RSA-4096]
    default: P-256
  validity_days:
    description: How long a new root is valid, 1 to 36500 days.
    type: int
    default: 3650
  import_certificate:
    description:
      - PEM file of a self-signed CA certificate of the user's own, to be used instead of a new one.
      - Read only where a root is made, the first one or the next one.
    type: path
  import_key:
    description: PEM file of its private key. It is encrypted anew in the store, under O(passphrase).
    type: path
  import_passphrase:
    description: Of that file; empty for a key that is not encrypted.
    type: str
    default: ''
"""
