# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens connections at a steady rate and asks one question on each; runs inside a pod's network, by its path.

Of a database it asks SELECT 1 after a login; without a user it asks a web server for a page.

It first opens the sessions that it is to keep, each of which asks every half second, and one connection more, and
prints how that went. Then it opens connections until its input ends, and prints what became of each.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import resource
import struct
import sys
import time
from dataclasses import asdict, dataclass

# Seconds. What takes longer is lost; what is slower than usual is not.
PATIENCE = 15.0
PAUSE = 0.5
PROTOCOL_41 = 0x0200 | 0x8000 | 0x00080000
SELECT_1 = b"\x03SELECT 1"
QUIT = b"\x01"


class Session:
    """The little of MySQL's protocol that a login by mysql_native_password and a query need."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def login(self, user: str, password: str) -> None:
        greeting = await self._answer()
        after_version = greeting.index(b"\x00") + 1
        salt = greeting[after_version + 4 : after_version + 12]
        rest = greeting[after_version + 13 + 18 :]
        salt += rest[:12]
        once = hashlib.sha1(password.encode()).digest()
        twice = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()
        proof = bytes(a ^ b for a, b in zip(once, twice, strict=True))
        self._write(
            1,
            struct.pack("<IIB23x", PROTOCOL_41, 1 << 24, 45)
            + user.encode()
            + b"\x00"
            + bytes([len(proof)])
            + proof
            + b"mysql_native_password\x00",
        )
        await self._answer()

    async def ask(self) -> None:
        self._write(0, SELECT_1)
        ends = 0
        while ends < 2:
            packet = await self._answer()
            ends += packet[:1] == b"\xfe" and len(packet) < 9

    def close(self) -> None:
        """Take leave, else the server logs an aborted connection."""
        self._write(0, QUIT)
        self._writer.close()

    def _write(self, number: int, payload: bytes) -> None:
        self._writer.write(len(payload).to_bytes(3, "little") + bytes([number]) + payload)

    async def _answer(self) -> bytes:
        header = await self._reader.readexactly(4)
        packet = await self._reader.readexactly(int.from_bytes(header[:3], "little"))
        if packet[:1] == b"\xff":
            raise ConnectionError(f"the server says {packet[3:].decode(errors='replace')}")
        return packet


@dataclass(frozen=True)
class Target:
    host: str
    port: int
    user: str
    password: str

    async def session(self) -> Session | Page:
        streams = await asyncio.open_connection(self.host, self.port)
        if not self.user:
            return Page(self.host, *streams)
        session = Session(*streams)
        try:
            await session.login(self.user, self.password)
        except BaseException:
            session.close()
            raise
        return session


class Page:
    """One request of HTTP/1.1 on a connection of its own."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host = host
        self._reader = reader
        self._writer = writer

    async def ask(self) -> None:
        self._writer.write(f"GET / HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\n\r\n".encode())
        status = (await self._reader.readline()).decode(errors="replace").split()
        if status[1:2] != ["200"]:
            _headers, _blank, why = (await self._reader.read(4096)).decode(errors="replace").partition("\r\n\r\n")
            raise ConnectionError(f"the server says {' '.join(status[1:])}, {why.strip()}")

    def close(self) -> None:
        self._writer.close()


@dataclass
class Attempt:
    """One new connection.

    :param began: the machine's monotonic clock, which all its processes share.
    :param error: why it was lost; empty if it got its answer.
    """

    began: float
    seconds: float = 0.0
    error: str = ""


async def attempt(target: Target) -> Attempt:
    made = Attempt(time.monotonic())
    try:
        async with asyncio.timeout(PATIENCE):
            session = await target.session()
            await session.ask()
            session.close()
    except (OSError, EOFError, TimeoutError) as failure:
        made.error = f"{type(failure).__name__}: {failure}"
    made.seconds = time.monotonic() - made.began
    return made


async def kept(session: Session | Page, stopped: asyncio.Event) -> str:
    """Why the session broke; empty if it did not."""
    began = time.monotonic()
    try:
        while not stopped.is_set():
            async with asyncio.timeout(PATIENCE):
                await session.ask()
            await asyncio.sleep(PAUSE)
        session.close()
    except (OSError, EOFError, TimeoutError) as failure:
        return f"{type(failure).__name__} after {time.monotonic() - began:.1f} s: {failure}"
    return ""


async def dial(target: Target, rate: float, stopped: asyncio.Event) -> list[Attempt]:
    """New connections until told to stop, by the clock and not by pauses: a slow machine must not lower the rate."""
    attempts: list[asyncio.Task[Attempt]] = []
    began = time.monotonic()
    while not stopped.is_set():
        attempts.append(asyncio.create_task(attempt(target)))
        await asyncio.sleep(max(0.0, began + len(attempts) / rate - time.monotonic()))
    return await asyncio.gather(*attempts)


async def main(target: Target, rate: float, held: int) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        stopped.set()
        loop.remove_reader(sys.stdin.fileno())

    loop.add_reader(sys.stdin.fileno(), stop)
    async with asyncio.timeout(PATIENCE):
        sessions = [await target.session() for _ in range(held)]
    keeping = [asyncio.create_task(kept(session, stopped)) for session in sessions]
    print(json.dumps({"first": (await attempt(target)).error}), flush=True)
    began = time.monotonic()
    dialled = asyncio.create_task(dial(target, rate, stopped))
    await stopped.wait()
    seconds = time.monotonic() - began
    attempts = [asdict(made) for made in await dialled]
    sessions_ended = await asyncio.gather(*keeping)
    print(json.dumps({"attempts": attempts, "seconds": seconds, "sessions": sessions_ended}), flush=True)


if __name__ == "__main__":
    # While nothing answers, PATIENCE's worth of connections is open at a time.
    _least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    host, port, user, password, new, established = sys.argv[1:]
    asyncio.run(main(Target(host, int(port), user, password), float(new), int(established)))
