# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts pip into an environment of ansible-test: the version it asks for, from the index instead of a download site."""

from __future__ import annotations

import subprocess
import sys


def main() -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*pip, "install", *(word for word in sys.argv[1:] if not word.startswith("-"))], check=True)
    subprocess.run([*pip, "uninstall", "--yes", "setuptools"], check=True)


if __name__ == "__main__":
    main()
