# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Supervisor's daemon, which must not turn in circles when a program has closed its input.

Run by its path. Supervisor keeps a descriptor registered for reading after its process has ended. Its number may come
back as the input of a program that takes /dev/null instead (dnsmasq, mariadbd). Then poll() returns POLLERR at once and
for ever, supervisor passes it over, and a whole core is gone.
"""

import select

from supervisor import poller
from supervisor.supervisord import main


class Poller(poller.PollPoller):  # type: ignore[misc]
    """Drops what is broken as well as what is closed: nothing was to be read from either."""

    def _ignore_invalid(self, fd: int, eventmask: int) -> bool:
        broken = eventmask & select.POLLERR and not eventmask & self.READ
        return bool(super()._ignore_invalid(fd, eventmask | (select.POLLNVAL if broken else 0)))


if __name__ == "__main__":
    poller.Poller = Poller
    main()
