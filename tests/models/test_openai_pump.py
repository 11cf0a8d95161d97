"""The task that reads and the consumer that may be slower."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from agentlab.models._pump import Pump
from agentlab.trace.chunks import Chunk


async def _all_else() -> None:
    """Let every other task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_all_chunks_come_in_order() -> None:
    async def read(pump: Pump) -> None:
        for n in range(100):
            pump.put(Chunk(n, 4))
            if n % 7 == 0:
                await asyncio.sleep(0)

    assert [c.t_ns async for c in Pump(read).chunks()] == list(range(100))


async def test_the_reading_does_not_wait_for_the_consumer_while_there_is_room() -> None:
    read_all = asyncio.Event()

    async def read(pump: Pump) -> None:
        for n in range(100):
            pump.put(Chunk(n, 4))
            await pump.room()
        read_all.set()

    async with aclosing(Pump(read).chunks()) as chunks:
        await anext(chunks)
        await _all_else()

        assert read_all.is_set()


async def test_the_reading_waits_for_a_consumer_that_is_far_behind() -> None:
    n_read = 0

    async def read(pump: Pump) -> None:
        nonlocal n_read
        for n in range(100):
            pump.put(Chunk(n, 4))
            n_read += 1
            await pump.room()

    async with aclosing(Pump(read, room=10).chunks()) as chunks:
        taken = [await anext(chunks)]
        await _all_else()

        assert n_read == 11  # one was taken
        taken += [chunk async for chunk in chunks]
    assert [c.t_ns for c in taken] == list(range(100))


async def test_what_the_reading_raised_comes_after_what_it_read() -> None:
    async def read(pump: Pump) -> None:
        pump.put(Chunk(1, 4))
        raise ValueError("broken")

    chunks = Pump(read).chunks()
    assert (await anext(chunks)).t_ns == 1
    with pytest.raises(ValueError, match="broken"):
        await anext(chunks)


async def test_closing_early_ends_the_reading_before_it_returns() -> None:
    ended = False

    async def read(pump: Pump) -> None:
        nonlocal ended
        pump.put(Chunk(1, 4))
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended = True

    before = asyncio.all_tasks()
    async with aclosing(Pump(read).chunks()) as chunks:
        await anext(chunks)

    assert ended
    assert asyncio.all_tasks() == before
