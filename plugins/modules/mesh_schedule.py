#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_schedule
short_description: Write a schedule of runs as files
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Writes units for systemd, a file for cron and, where an image is given, CronJobs. Each run has a time limit and a
    lock, and leaves a mark; runs that fail, and runs that do not come, raise an alarm. docs/schedule.md says how
    each is installed.
  - Nothing is installed or started, and no cluster is read or written. No secret is in the files.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.changes
  - crossmesh.mtls.variables
notes:
  - Reads C(mesh_schedule), what runs when, and C(mesh_instance), which names the files.
options:
  path:
    description:
      - The folder for the files, on the controller. It is made where there is none.
      - One that is not empty is refused unless an earlier run for the same instance has made it.
      - A relative path begins where the command was started.
    type: path
    required: true
  command:
    description:
      - The command of a run, up to the name of the playbook.
      - By default the C(ansible-playbook) of this run with its inventory.
    type: list
    elements: str
  user:
    description: As whom cron and systemd start it; by default the one who runs this.
    type: str
  alarm:
    description: A command for runs that failed or did not come; the name of the job is added.
    type: list
    elements: str
    default: [/usr/bin/logger, --priority, daemon.crit, --tag, crossmesh, 'failed or missed:']
  heartbeat:
    description: A command after each good run; the name of the playbook is added.
    type: list
    elements: str
    default: []
  image:
    description: The image of the CronJobs; without it none are written.
    type: str
  image_command:
    description: The command of a run in that image, up to the name of the playbook.
    type: list
    elements: str
    default: [ansible-playbook, -i, /runner/inventory]
  namespace:
    description: The namespace of the CronJobs.
    type: str
    default: crossmesh
"""

EXAMPLES = r"""
- name: Write a schedule
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Write the files
      crossmesh.mtls.mesh_schedule:
        path: schedule
        user: ops
        command: [/opt/ansible/bin/ansible-playbook, -i, /srv/meshes, --vault-password-file, /etc/meshes/vault]
"""

RETURN = r"""
files:
  description: All files of the schedule, by their paths in the folder.
  returned: success
  type: list
  elements: str
  sample:
    - cron/crossmesh-default
    - systemd/crossmesh-default-verify.service
    - systemd/crossmesh-default-verify.timer
lines:
  description: One line a file that was written or removed, for people.
  returned: success
  type: list
  elements: str
  sample:
    - write cron/crossmesh-default
"""
