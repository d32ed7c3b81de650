# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m tests.demo`: joins the lab's two meshes, sends a row through, and shows each hop's certificates."""

import os
import sys
from collections.abc import Iterable

from tests.lab import Lab
from tests.lab.errors import LabError

from . import report, site
from .errors import DemoError
from .hops import read_hops
from .row import await_answer, deliver


def main() -> int:
    try:
        _demo(Lab.load())
    except (DemoError, LabError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; the same command again goes on from here", file=sys.stderr)
        return 130
    return 0


def _demo(lab: Lab) -> None:
    own_passphrase = bool(os.environ.get(site.PASSPHRASE))
    link = site.inventory_link()
    _say([f"Joining the meshes: ansible-playbook -i {site.INVENTORY} {site.PLAYBOOK}"])
    site.join(lab)
    await_answer(lab, link)
    hops = read_hops(lab, link)
    delivery = deliver(lab, link, hops)
    _say(report.picture(hops), [""], report.table(hops, delivery), [""])
    if not delivery.private:
        raise DemoError("a row was readable on a wire, or a wire was not heard: see the lines above")
    _say(report.arrival(hops, delivery), [""], report.what_next(lab.settings, link, own_passphrase=own_passphrase))


def _say(*parts: Iterable[str]) -> None:
    for part in parts:
        for line in part:
            print(line, flush=True)


sys.exit(main())
