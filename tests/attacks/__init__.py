# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an attacker tries, each as a test: the attack that succeeded on d3897ca fails, and its control succeeds.

README.md says of each whether it was seen to succeed there, or rests on reading.

One file a part of the list of attacks (docs/security.md). Each test says what was gained, and ends with a control in
which the same probe finds it: without one, a test that something is absent proves nothing.
"""
