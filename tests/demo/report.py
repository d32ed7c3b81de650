# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo saw, as plain text that fits 100 columns."""

from collections.abc import Iterator

from tests.lab.settings import Settings

from .hops import End, Hop
from .row import Delivery, Wire
from .site import INVENTORY, PASSPHRASE, Link, passphrase_file

_NAME = 64


def picture(hops: list[Hop]) -> Iterator[str]:
    """The way of a row through both meshes."""
    first, _middle, last = hops
    left = f" {first.client.pod.name} --1--> {first.server.pod.name} "
    right = f" {last.client.pod.name} --3--> {last.server.pod.name} "
    gap = " " * 9
    edge = "+{}+" + gap + "+{}+"
    yield f" {first.client.pod.cluster:<{len(left)}}  {gap} {last.server.pod.cluster}"
    yield edge.format("-" * len(left), "-" * len(right))
    yield f"|{left}+---2---->+{right}|"
    yield edge.format("-" * len(left), "-" * len(right))
    yield f" TLS with certificates of  {', '.join(f'{hop.number}: {_issuers(hop)}' for hop in hops)}"


def _issuers(hop: Hop) -> str:
    return " / ".join(dict.fromkeys((hop.client.presents.issuer, hop.server.presents.issuer)))


def table(hops: list[Hop], delivery: Delivery) -> Iterator[str]:
    """What each end of each hop presents, and asks of the other end."""
    for hop, wire in zip(hops, delivery.wires, strict=True):
        yield f"Hop {hop.number}   {_title(hop.client)} -> {_title(hop.server)}, port {hop.port}"
        for end in (hop.client, hop.server):
            yield from _end(end)
        yield f"  wire    {_heard(wire)}"
        yield ""
    yield f"Control  the same ear between the database and its own sidecar: {_heard(delivery.loopback)}"


def _title(end: End) -> str:
    return f"{end.pod.cluster}/{end.pod.name}"


def _end(end: End) -> Iterator[str]:
    presents = end.presents
    first, *more = presents.names
    yield f"  {end.role}  {first:<{_NAME}}  {presents.issuer}"
    yield from (f"          {name}" for name in more)
    yield f"          serial {presents.serial}, until {presents.until:%Y-%m-%d %H:%M} UTC"
    accepted = " or ".join(end.accepts) or "any name"
    yield f"  accepts {accepted:<{_NAME}}  {', '.join(end.trusts)}"


def _heard(wire: Wire) -> str:
    return f"{wire.size} bytes, the row is {'readable' if wire.readable else 'not readable'}"


def arrival(hops: list[Hop], delivery: Delivery) -> Iterator[str]:
    yield f"Inserted in {_title(hops[0].client)}, read in {_title(hops[-1].server)}:"
    yield f"  row {delivery.number}, {delivery.text!r}"


def what_next(settings: Settings, link: Link, *, own_passphrase: bool) -> Iterator[str]:
    """Commands for a reader who wants to go on; each is complete as it stands."""
    yield "What next, in this folder (to use the collection elsewhere, begin in another shell and folder):"
    yield "  export PATH=$PWD/.venv/bin:$PATH LC_ALL=C.UTF-8"
    yield f"  export CROSSMESH_LAB={settings.name} CROSSMESH_LAB_OFFSET={settings.offset}"
    yield f"  export CROSSMESH_LAB_STATE={settings.state}"
    if not own_passphrase:
        yield f"  export {PASSPHRASE}=$(cat {passphrase_file(settings)})"
    for command, meaning in (
        (f"ansible-playbook -i {INVENTORY} playbooks/site.yml", "again: nothing changes"),
        (f"ansible-playbook -i {INVENTORY} playbooks/verify.yml", "all as the inventory says?"),
        ('eval "$(python -m tests.lab env)"', "kubectl, istioctl, kubeconfig"),
    ):
        yield f"  {command:<58}  # {meaning}"
    yield "MySQL from the client's pod:"
    yield "  python -m tests.lab exec mysql-client -- \\"
    yield f"    mariadb -h {link.fqdn} -P {link.port} -u demo -pdemo demo"
    yield "and at the end, or before an inventory of your own:"
    for command, meaning in (
        (f"ansible-playbook -i {INVENTORY} playbooks/teardown.yml", "takes the link away; the CA stays"),
        ("make lab-down", "stops the lab and removes all of it"),
    ):
        yield f"  {command:<58}  # {meaning}"
