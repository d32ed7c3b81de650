"""Opens MySQL connections at a steady rate, logs in and asks SELECT 1; runs inside a pod's network, by its path.

It prints how the first connection went, then opens more until its input ends; besides, one session is kept and asks
every half second. At the end it prints what became of each.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
import sys
import time

PATIENCE = 15.0
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


async def opened(host: str, port: int, user: str, password: str) -> Session:
    session = Session(*await asyncio.open_connection(host, port))
    try:
        await session.login(user, password)
    except BaseException:
        session.close()
        raise
    return session


async def once(host: str, port: int, user: str, password: str) -> str:
    """Why one connection was lost; empty if it got its answer."""
    try:
        async with asyncio.timeout(PATIENCE):
            session = await opened(host, port, user, password)
            await session.ask()
            session.close()
    except (OSError, EOFError, TimeoutError) as failure:
        return f"{type(failure).__name__}: {failure}"
    return ""


async def kept(host: str, port: int, user: str, password: str, stopped: asyncio.Event) -> str:
    """Why the session broke; empty if it did not."""
    began = time.monotonic()
    try:
        session = await opened(host, port, user, password)
        while not stopped.is_set():
            async with asyncio.timeout(PATIENCE):
                await session.ask()
            await asyncio.sleep(0.5)
        session.close()
    except (OSError, EOFError, TimeoutError) as failure:
        return f"{type(failure).__name__} after {time.monotonic() - began:.0f} s: {failure}"
    return ""


async def main(host: str, port: int, user: str, password: str, rate: float) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        stopped.set()
        loop.remove_reader(sys.stdin.fileno())

    loop.add_reader(sys.stdin.fileno(), stop)
    print(json.dumps({"first": await once(host, port, user, password)}), flush=True)
    established = asyncio.create_task(kept(host, port, user, password, stopped))
    attempts = []
    began = time.monotonic()
    while not stopped.is_set():
        attempts.append(asyncio.create_task(once(host, port, user, password)))
        # By the clock, not by pauses: a slow machine must not lower the rate.
        await asyncio.sleep(max(0.0, began + len(attempts) / rate - time.monotonic()))
    seconds = time.monotonic() - began
    errors = await asyncio.gather(*attempts)
    print(json.dumps({"errors": errors, "seconds": seconds, "session": await established}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], float(sys.argv[5])))
