"""Run as a script: a TCP proxy that can be frozen, to see what becomes of those who wait for the other side.

    python proxy.py HOST PORT

Its first line is its own port. A line `freeze` or `thaw` read is done when it is written back. While frozen it accepts
connections and takes what is sent, and passes nothing on; it ends with its input.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys


class Proxy:
    """Passes bytes on between those who connect and one address."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._thawed = asyncio.Event()
        self._thawed.set()

    def set(self, word: str) -> None:
        """`freeze` or `thaw`."""
        if word == "freeze":
            self._thawed.clear()
        else:
            self._thawed.set()

    async def serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):  # the latter at the end
            await self._thawed.wait()
            far, forth = await asyncio.open_connection(*self._target)
            await asyncio.gather(self._pass(near, forth), self._pass(far, back))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                await self._thawed.wait()
                sink.write(data)
                await sink.drain()
        sink.close()


async def main(host: str, port: int) -> None:
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        proxy.set(line.strip())
        print(line.strip(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
