"""Comments while a stream is silent, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest

import agentlab
from agentlab import clock
from agentlab.models._sse import COMMENT, EventSplitter
from agentlab.serve._pings import PING
from agentlab.serve.sse import stream_events
from agentlab.trace.usage import Usage
from tests.serve.streams import END, read


async def spoken(*pauses_and_chunks: float | str) -> AsyncIterator[str]:
    for given in pauses_and_chunks:
        if isinstance(given, str):
            yield given
        else:
            await clock.sleep(given)


async def timed(frames: AsyncIterator[str]) -> list[tuple[float, str]]:
    """Each frame with the virtual time of its arrival [s]."""
    return [(clock.monotonic_ns() / 1e9, frame.removeprefix("data: ").strip()) async for frame in frames]


async def test_a_silent_stream_is_pinged_and_its_chunks_come_on_time():
    with agentlab.frozen():
        seen = await timed(stream_events(spoken(5, "a", 1, "b", 3, "c"), ping_s=2))

    assert seen == [(2, ": ping"), (4, ": ping"), (5, "a"), (6, "b"), (8, ": ping"), (9, "c"), (9, "[DONE]")]


async def test_a_lively_stream_is_not_pinged():
    with agentlab.frozen():
        seen = await timed(stream_events(spoken(*[1.5, "a"] * 10), ping_s=2))

    assert ": ping" not in [frame for _, frame in seen]
    assert [at for at, _ in seen[:-1]] == [1.5 * n for n in range(1, 11)]


async def test_the_wait_for_the_usage_is_pinged_as_well():
    async def count() -> Usage:
        await clock.sleep(5)
        return Usage()

    with agentlab.frozen():
        seen = await timed(stream_events(spoken("a"), usage=count(), ping_s=2))

    assert [frame[:6] for _, frame in seen] == ["a", ": ping", ": ping", '{"mess', "[DONE]"]


async def test_a_reader_who_is_slow_is_not_pinged_for_it():
    seen = []
    with agentlab.frozen():
        async for frame in stream_events(spoken("a", "b", "c"), ping_s=2):
            seen.append(frame)
            await clock.sleep(10)

    assert seen == ["data: a\n\n", "data: b\n\n", "data: c\n\n", END]


async def test_the_wait_for_a_ping_begins_when_the_reader_waits():
    seen = []
    with agentlab.frozen():
        async for frame in stream_events(spoken(1, "a", 14), ping_s=2):
            seen.append((clock.monotonic_ns() / 1e9, frame))
            if len(seen) == 1:
                await clock.sleep(10)

    assert seen == [(1, "data: a\n\n"), (13, PING), (15, END)]


def test_a_ping_is_a_comment():
    assert EventSplitter().feed(PING.encode()) == [(COMMENT, b"ping")]


async def test_the_source_runs_in_one_context_from_its_start_to_its_end():
    here: ContextVar[int] = ContextVar("here")

    async def scoped() -> AsyncIterator[Any]:
        token = here.set(1)
        yield "a"
        await clock.sleep(3)
        yield "b"
        here.reset(token)  # in another context this raises

    with agentlab.frozen():
        assert (await read(stream_events(scoped(), ping_s=2)))[-2:] == ["data: b\n\n", END]


async def test_a_loop_that_ends_a_stream_early_leaves_nothing_behind():
    with agentlab.frozen():
        frames = stream_events(spoken(100, "a"), ping_s=2)
        assert await anext(frames) == PING
        await frames.aclose()

    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_stops_the_program_is_not_swallowed():
    class Stop(BaseException):
        pass

    async def stopping() -> AsyncIterator[str]:
        yield "a"
        raise Stop

    for ping_s in (None, 2.0):
        frames = stream_events(stopping(), ping_s=ping_s)
        assert await anext(frames) == "data: a\n\n"
        with pytest.raises(Stop):
            await anext(frames)
