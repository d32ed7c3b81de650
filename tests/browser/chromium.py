# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chromium without a screen: what a page becomes in it, and what that looks like."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

__all__ = ["after_running", "picture"]

# Seconds; a busy machine takes long to start it.
_TIMEOUT = 300


def after_running(page: str) -> str:
    """The page as its scripts have left it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(page, encoding="utf-8")
        return _chromium(
            Path(folder), "--dump-dom", "--virtual-time-budget=20000", "--window-size=1280,900", path.as_uri()
        )


def picture(page: str, target: Path, width: int, height: int, *, dark: bool) -> None:
    """What the top of it looks like, as PNG with few colours."""
    with tempfile.TemporaryDirectory() as folder:
        path, shot = Path(folder) / "page.html", Path(folder) / "shot.png"
        path.write_text(page, encoding="utf-8")
        size = [f"--window-size={width},{height}", "--force-device-scale-factor=1", "--hide-scrollbars"]
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        _chromium(Path(folder), *size, scheme, f"--screenshot={shot}", path.as_uri())
        target.parent.mkdir(parents=True, exist_ok=True)
        command = ["pngquant", "--force", "--speed=1", "--strip", "64", f"--output={target}", str(shot)]
        subprocess.run(command, check=True, timeout=_TIMEOUT)


def _chromium(folder: Path, *arguments: str) -> str:
    # It runs nothing but our own page, and as root it has no sandbox.
    fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={folder}/user"]
    command = ["chromium", *fixed, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=True)
    return done.stdout
