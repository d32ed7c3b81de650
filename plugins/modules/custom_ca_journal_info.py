#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: custom_ca_journal_info
short_description: Check the audit journal of the CA
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Holds every entry of the journal in the CA store against the last one, which is signed by the CA's key. Tells the
    first entry that was edited, removed, added, moved or cut off.
  - Needs no passphrase. Changes nothing. A journal that was changed is an answer, not a failure of the task.
  - docs/journal.md describes the entries.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.reads
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.store
options: {}
seealso:
  - module: crossmesh.mtls.custom_ca_info
"""

EXAMPLES = r"""
- name: Check the audit journal
  crossmesh.mtls.custom_ca_journal_info:
  register: journal

- name: Fail if it was changed
  ansible.builtin.assert:
    that: journal.problems | length == 0
    fail_msg: "{{ journal.problems }}"
"""

RETURN = r"""
problems:
  description: What is wrong with the journal, one line a problem; empty where all is well, and where there is no CA.
  returned: success
  type: list
  elements: str
  sample: []
signed:
  description: How many entries are vouched for by the CA's key; 0 where there is a problem.
  returned: success
  type: int
  sample: 214
unsigned:
  description: >-
    How many entries follow on those that nobody has vouched for yet; the next run that opens the CA's key does.
  returned: success
  type: int
  sample: 1
msg:
  description: Both in words, or that there is no CA yet; empty where there is a problem.
  returned: success
  type: str
  sample: 'the audit journal is whole: 214 entries are signed; 1 more are not yet signed'
"""
