# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the pictures of reports under docs/pictures anew: make screenshots."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "collections"))

from ansible_collections.crossmesh.mtls.plugins.module_utils._report.assembly import report_of  # noqa: E402
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.page import render  # noqa: E402
from tests.browser.chromium import picture  # noqa: E402
from tests.unit.report.estates import Estate, many_links, one_link, ten_links  # noqa: E402

FOLDER = CHECKOUT / "docs/pictures"
ESTATES: dict[int, Callable[[], Estate]] = {1: one_link, 10: ten_links, 300: many_links}
# Width and height of a window, in pixels.
WINDOWS = {"desktop": (1160, 1500), "phone": (390, 1500)}


def main() -> None:
    for count, estate in ESTATES.items():
        page = render(report_of(estate().sources()))
        for window, (width, height) in WINDOWS.items():
            for scheme in ("light", "dark"):
                target = FOLDER / f"report-{count}-{window}-{scheme}.png"
                picture(page, target, width, height, dark=scheme == "dark")
                print(target.relative_to(CHECKOUT), target.stat().st_size)


if __name__ == "__main__":
    main()
