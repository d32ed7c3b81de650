# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every plugin is found through here: a Python that is too old is said in one line, before an import fails."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (this is where older ones are refused)
    # Not at the top: modules' environments have no ansible.errors, and their Python is checked before.
    from ansible.errors import AnsibleCollectionUnsupportedVersionError

    # Ansible lets this class of errors end the run; after others it goes on to look for the plugin elsewhere.
    raise AnsibleCollectionUnsupportedVersionError(
        "crossmesh.mtls needs Python 3.11 or later on the controller; ansible-playbook runs on "
        f"{sys.version_info[0]}.{sys.version_info[1]} ({sys.executable}). Install Ansible with a newer Python"
    )
