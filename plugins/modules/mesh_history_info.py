#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_history_info
short_description: Tell what was done with the CA, when, by whom and in which run
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Reads the audit journal of the CA store, prints it as a table, oldest entry first, and returns it as a list.
  - With O(of) it tells the history of one link, cluster, Secret, certificate or root alone. These are the entries that
    name it, and what was done with certificates that were issued to it.
  - Says whether the chain of entries holds, and which entry is the first that is not as it was written. That is an
    answer, not a failure of the task.
  - Needs neither clusters nor the passphrase. Changes nothing.
  - docs/journal.md describes the entries.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.reads
  - crossmesh.mtls.variables
  - crossmesh.mtls.variables.store
notes:
  - Reads C(mesh_links), C(mesh_clusters), and C(mesh_cluster_name) of every cluster, to know links and clusters of
    which there is no entry yet.
options:
  of:
    description:
      - The name of a link, a cluster, a Secret (with or without its namespace) or the directory of an external server.
      - A DNS name of a certificate, such as the FQDN of a link.
      - The serial number or SHA-256 fingerprint of a certificate, or the fingerprint of a root, in hexadecimal. The
        first eight digits are enough; upper case and colons are taken too.
      - Where it is empty, everything is told.
      - A name that neither the journal nor the inventory knows is refused.
    type: str
    default: ''
seealso:
  - module: crossmesh.mtls.custom_ca_journal_info
"""

EXAMPLES = r"""
- name: Show the history of a link
  crossmesh.mtls.mesh_history_info:
    of: mysql
  register: history

- name: Say who revoked certificates
  ansible.builtin.debug:
    msg: "{{ history.entries | selectattr('kind', 'equalto', 'revoked') | map(attribute='operator') | unique }}"
"""

RETURN = r"""
entries:
  description: The entries, oldest first; those that are not signed yet are the last ones.
  returned: success
  type: list
  elements: dict
  contains:
    entry:
      description: Its number, from 1; 0 for a line that is no entry.
      type: int
      sample: 4
    time:
      description: When it was written, by the controller's clock (RFC 3339, UTC).
      type: str
      sample: '2026-11-29T11:18:32Z'
    operator:
      description: Who started the run.
      type: str
      sample: kim
    run:
      description: Which run it was.
      type: str
      sample: job 4711
    playbook:
      description: What was run; empty in entries of earlier releases.
      type: str
      sample: crossmesh.mtls.site
    kind:
      description: What was done; docs/journal.md lists the kinds.
      type: str
      sample: issued
    which:
      description: With what, in words.
      type: str
      sample: certificate 5a3594f3d6435b00e9f5d7e947779fa37e58bb91, server side, cluster cluster-b, link mysql
    signed:
      description: Whether the CA's key vouches for it; false for all where the chain does not hold.
      type: bool
      sample: true
    fields:
      description: All that it tells beside these.
      type: dict
      sample: {cluster: cluster-b, links: [mysql]}
problems:
  description: What is wrong with the chain of entries; empty where all are as they were written.
  returned: success
  type: list
  elements: str
  sample: []
signed:
  description: How many entries of the whole journal are vouched for by the CA's key; 0 where there is a problem.
  returned: success
  type: int
  sample: 214
unsigned:
  description: How many entries follow on those that nobody has vouched for yet; 0 where there is a problem.
  returned: success
  type: int
  sample: 1
untold:
  description: How many changes were made to the CA store before its journal began. No entry is ever removed.
  returned: success
  type: int
  sample: 0
"""
