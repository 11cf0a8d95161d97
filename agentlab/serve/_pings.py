"""Comments sent while a stream has nothing to say, so that nobody between takes it for dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from agentlab import clock

PING = ": ping\n\n"
"""A comment: readers of server-sent events skip it."""


async def with_pings(frames: AsyncGenerator[str], ping_s: float) -> AsyncGenerator[str]:
    """The frames in their order and as soon as they come, and a ping whenever the reader has waited for `ping_s`.

    One task reads the frames from the first to the last, so a wait that is interrupted by a ping interrupts nothing in
    their source. It is one frame ahead of the reader, and waits when that one is not taken.
    """
    line = _Line(ping_s)
    reading, ticking = asyncio.create_task(line.read(frames)), asyncio.create_task(line.tick())
    try:
        while (frame := await line.next()) is not None:
            yield frame
        await reading  # what ended it early comes out here
    finally:
        reading.cancel()
        ticking.cancel()
        await asyncio.wait({reading, ticking})
        await frames.aclose()


class _Line:
    """From the task that reads to the one that sends; there is room for one frame."""

    def __init__(self, ping_s: float) -> None:
        self._ping_s = ping_s
        self._room: asyncio.Queue[str | None] = asyncio.Queue(maxsize=1)
        self._waiting = asyncio.Event()
        self._since_ns = 0
        self._ended = False

    async def read(self, frames: AsyncGenerator[str]) -> None:
        try:
            async for frame in frames:
                await self._room.put(frame)
        finally:
            self._ended = True
            if self._room.empty():
                self._room.put_nowait(None)

    async def next(self) -> str | None:
        """The next frame, or None after the last one."""
        if self._room.empty():
            if self._ended:
                return None
            self._since_ns = clock.monotonic_ns()
            self._waiting.set()
        try:
            return await self._room.get()
        finally:
            self._waiting.clear()

    async def tick(self) -> None:
        rest_s = self._ping_s
        while True:
            await self._waiting.wait()
            await clock.sleep(rest_s)
            rest_s = self._ping_s
            if self._waiting.is_set() and self._room.empty():
                rest_s -= (clock.monotonic_ns() - self._since_ns) / 1e9
                if rest_s <= 0:
                    self._room.put_nowait(PING)
                    rest_s = self._ping_s
