# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads of a run with the callback crossmesh.mtls.brief; Ansible's own output is the control."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.unit.inventory_values import HAS_TAGS
from tests.unit.support import CHECKOUT

PLAY = """
- name: A play
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Keep what is there
      ansible.builtin.command: /bin/true
      changed_when: false
    - name: Write what is missing
      ansible.builtin.command: /bin/true
      changed_when: item == 2
      loop: [1, 2, 3]
    - name: Leave out what is not wanted
      ansible.builtin.command: /bin/true
      when: false
    - name: Show planned changes
      ansible.builtin.assert:
        that: true
        success_msg: [create a thing, delete another]
    - name: Check in silence
      ansible.builtin.assert:
        that: true
        quiet: true
    - name: Stop here
      ansible.builtin.fail:
        msg: "{{ 'one line\\nand another' }}"
      when: stop | default(false)
    - name: Hide what failed
      ansible.builtin.fail:
        msg: planted-secret
      no_log: true
      when: hide | default(false)
"""


def printed(folder: Path, callback: str, *arguments: str) -> str:
    (folder / "play.yml").write_text(PLAY, encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": callback,
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(folder / "play.yml"), *arguments]
    found = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    return found.stdout + found.stderr


def test_only_what_changed_and_what_a_task_says_is_printed(tmp_path: Path) -> None:
    assert printed(tmp_path, "crossmesh.mtls.brief").splitlines() == [
        "changed: [localhost] Write what is missing",
        "localhost: create a thing",
        "localhost: delete another",
        "ok; changed: localhost",
    ]


def test_an_error_is_printed_once_without_the_source_of_the_task(tmp_path: Path) -> None:
    output = printed(tmp_path, "crossmesh.mtls.brief", "-e", '{"stop": true}')
    assert output.splitlines()[-4:] == [
        "failed: [localhost] Stop here",
        "  one line",
        "  and another",
        "failed: localhost; changed: localhost",
    ]
    assert output.count("and another") == 1
    assert "play.yml" not in output


def test_ansible_itself_prints_it_twice_with_the_source(tmp_path: Path) -> None:
    output = printed(tmp_path, "ansible.builtin.default", "-e", '{"stop": true}')
    assert output.count("another") > 1
    # Before ansible-core 2.19 nobody knew where a task stands.
    assert ("play.yml" in output) == HAS_TAGS


def test_what_must_not_be_logged_is_not_printed(tmp_path: Path) -> None:
    output = printed(tmp_path, "crossmesh.mtls.brief", "-e", '{"hide": true}')
    assert "failed: [localhost] Hide what failed" in output
    assert "no_log" in output
    assert "planted-secret" not in output
