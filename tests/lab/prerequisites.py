# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab needs of its machine, told in one line where it is missing."""

import os
import platform
import shutil
import stat
from pathlib import Path

from .errors import LabError

_PACKAGE_OF = {
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "iptables": "iptables",
    "iptables-restore": "iptables",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "mariadb": "mariadb-client",
    "openssl": "openssl",
    "setpriv": "util-linux",
    "socat": "socat",
    "tcpdump": "tcpdump",
}


def require() -> None:
    if platform.system() != "Linux":
        raise LabError(f"the lab needs Linux (network namespaces); this is {platform.system()}: use a Linux machine")
    if os.geteuid() != 0:
        raise LabError("the lab needs root, for network namespaces: run it with sudo or in a container of your own")
    # A plain user's PATH, which sudo may keep, lacks the folders of mariadbd and dnsmasq.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    missing = sorted({package for program, package in _PACKAGE_OF.items() if shutil.which(program) is None})
    if missing:
        raise LabError(
            f"the lab needs Debian packages that are missing: run `make deps`, or apt-get install {' '.join(missing)}"
        )


def require_reachable(*places: Path) -> None:
    """Proxies and databases run as users of their own, who must get to their files."""
    for place in places:
        for folder in [place, *place.parents]:
            if folder.exists() and not folder.stat().st_mode & stat.S_IXOTH:
                raise LabError(
                    f"{place} is below {folder}, which other users may not enter, and the proxies run as one: "
                    "set CROSSMESH_CACHE and CROSSMESH_LAB_STATE to folders that all may enter"
                )
