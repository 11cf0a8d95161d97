"""Reads a reply in a task of its own, so that a slow consumer changes neither the reading nor the times."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from agentlab.trace.chunks import Chunk

_ROOM = 16_384
"""So many chunks may wait for the consumer, more than all but the longest replies have. Then the reading waits too,
and with it the server; only the times of what comes after that are late."""


class Pump:
    """Hands chunks from the task that reads them to the one that uses them."""

    def __init__(self, read: Callable[[Pump], Coroutine[Any, Any, None]], room: int = _ROOM) -> None:
        """Take what reads: it calls `put` for each chunk and, where that may be much, awaits `room`."""
        self._read = read
        self._room = room
        self._waiting: deque[Chunk] = deque()
        self._news = asyncio.Event()
        self._taken = asyncio.Event()

    def put(self, chunk: Chunk) -> None:
        """Leave a chunk for the consumer."""
        self._waiting.append(chunk)
        self._news.set()

    async def room(self) -> None:
        """Return when the consumer is not too far behind."""
        while len(self._waiting) >= self._room:
            self._taken.clear()
            await self._taken.wait()

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """The chunks; then whatever the reading raised. Closing this early cancels the reading and waits for it."""
        waiting = self._waiting
        task = asyncio.create_task(self._read(self))
        task.add_done_callback(lambda _: self._news.set())
        try:
            while True:
                while waiting:
                    chunk = waiting.popleft()
                    self._taken.set()
                    yield chunk
                if task.done():
                    break
                self._news.clear()
                await self._news.wait()
            await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # it has been raised, or nobody is left to hear it
