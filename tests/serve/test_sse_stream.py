"""A stream of values as frames: its end, its errors, and readers who go away."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import AsyncIterator
from enum import Enum
from typing import Any

import pytest

import agentlab
from agentlab import clock
from agentlab.errors import (
    AuthenticationError,
    ContextWindowError,
    InputError,
    RateLimitError,
    RunError,
    ServerError,
    ToolError,
)
from agentlab.serve.sse import ServerEvent, stream_events
from agentlab.serve.usage_frame import UsageStatistics
from agentlab.trace.usage import Usage
from tests.serve.streams import END, read, source

KEY = "sk-abcdefghijklmnopqrstuvwxyz"
DECODER = 'data: {"error":"Stream failed (decoder encountered an error)"}\n\n'
INTERNAL = 'data: {"error":"Stream failed (internal error occurred)"}\n\n'

pings = pytest.mark.parametrize("ping_s", [None, 5.0], ids=["plain", "with pings"])


async def answer(value: Any) -> Any:
    if isinstance(value, BaseException):
        raise value
    return value


async def for_ever() -> None:
    await asyncio.Event().wait()


def told(frame: str) -> dict[str, Any]:
    return json.loads(frame.removeprefix("data: "))


def others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


class Watched:
    """A source that knows how far it was read and whether it was closed."""

    def __init__(self, *, n: int = 10**9, wait_after: int | None = None) -> None:
        self.n_given, self.closed = 0, False
        self._n, self._wait_after = n, wait_after

    async def chunks(self) -> AsyncIterator[int]:
        try:
            while self.n_given < self._n:
                if self.n_given == self._wait_after:
                    await for_ever()
                self.n_given += 1
                yield self.n_given
        finally:
            await asyncio.sleep(0)  # closing may wait
            self.closed = True


# The end


@pings
async def test_the_usage_comes_after_the_source_and_before_the_end(ping_s):
    usage = answer(UsageStatistics(completion_tokens=12, prompt_tokens=345, total_tokens=357, step_count=2))

    frames = await read(stream_events(source({"a": 1}), usage=usage, ping_s=ping_s))

    assert frames[0] == 'data: {"a":1}\n\n'
    assert told(frames[1])["total_tokens"] == 357
    assert frames[2:] == [END]


async def test_what_is_not_known_of_the_usage_is_null_and_not_zero():
    (frame, _) = await read(stream_events(source(), usage=answer(Usage(input_tokens=3, source="provider"))))

    assert told(frame) == {
        "message_type": "usage_statistics",
        "completion_tokens": None,
        "prompt_tokens": 3,
        "total_tokens": None,
        "cached_tokens": None,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
        "source": "provider",
    }


async def test_the_usage_is_asked_for_when_the_source_has_ended():
    said = []

    async def speak() -> AsyncIterator[str]:
        yield "a"
        said.append("a")

    async def count() -> Usage:
        return Usage(output_tokens=len(said))

    (_, frame, _) = await read(stream_events(speak(), usage=count()))

    assert told(frame)["completion_tokens"] == 1


@pings
@pytest.mark.parametrize("mark", ["[DONE]", Enum("Mark", {"END": "[DONE]"}).END])
async def test_a_source_that_ends_its_stream_itself_does_not_end_it_twice_or_early(mark, ping_s):
    frames = await read(stream_events(source("a", mark), usage=answer(Usage()), ping_s=ping_s))

    assert [frame == END for frame in frames] == [False, False, True]


async def test_a_mark_that_was_meant_is_sent():
    assert await read(stream_events(source(ServerEvent("[DONE]")))) == [END, END]
    assert await read(stream_events(source("[DONE]"), done=False)) == [END]


async def test_names_and_ids_are_sent_with_their_values():
    frames = await read(stream_events(source(ServerEvent({"n": 1}, event="step", id=7)), done=False))

    assert frames == ['event: step\nid: 7\ndata: {"n":1}\n\n']


@pytest.mark.parametrize("bad", [["a"], "text", None, iter("a")])
def test_a_source_that_is_not_asynchronous_is_refused_at_once(bad):
    with pytest.raises(InputError, match="asynchronous source"):
        stream_events(bad)


@pytest.mark.parametrize("bad", [0, -1.0, float("nan")])
def test_pings_need_a_time_above_zero(bad):
    with pytest.raises(InputError, match="ping_s"):
        stream_events(source(), ping_s=bad)


# Errors


@pings
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ContextWindowError("too long"), "CONTEXT_WINDOW_EXCEEDED"),
        (RateLimitError("slow down"), "RATE_LIMIT_EXCEEDED"),
        (AuthenticationError("no key"), "UNAUTHENTICATED"),
        (ServerError("it is down"), "INTERNAL_SERVER_ERROR"),
        (RunError("the run waits"), "CONFLICT"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_errors_of_source_and_usage_keep_code_and_text_and_the_end_comes_once(error, code, ping_s):
    frame = f'data: {{"error":"Stream failed: {code}: {error}","code":"{code}"}}\n\n'

    assert await read(stream_events(source("a", error), ping_s=ping_s)) == ["data: a\n\n", frame, END]
    assert await read(stream_events(source("a"), usage=answer(error), ping_s=ping_s)) == ["data: a\n\n", frame, END]
    assert await read(stream_events(source(error), done=False, ping_s=ping_s)) == [frame]


@pings
@pytest.mark.parametrize("error", [ValueError("secret detail"), ToolError("detail"), KeyError("x"), StopIteration(1)])
async def test_of_other_errors_the_client_learns_that_there_was_one(error, ping_s, caplog):
    assert await read(stream_events(source(error), ping_s=ping_s)) == [DECODER, END]
    if not isinstance(error, StopIteration):
        assert await read(stream_events(source(), usage=answer(error), ping_s=ping_s)) == [INTERNAL, END]
    assert len(caplog.records) >= 1


async def test_what_cannot_be_sent_is_an_error_of_ours_and_closes_the_source(caplog):
    watched = Watched()

    async def unsendable() -> AsyncIterator[object]:
        async for n in watched.chunks():
            yield n if n < 3 else object()

    frames = await read(stream_events(unsendable()))
    await asyncio.sleep(0)

    assert frames == ["data: 1\n\n", "data: 2\n\n", DECODER, END]
    assert "cannot be written as JSON" in caplog.text


@pytest.mark.parametrize("wrong", [{"total_tokens": 3}, 5, None])
async def test_a_usage_of_another_type_is_an_error_of_ours(wrong, caplog):
    assert await read(stream_events(source(), usage=answer(wrong))) == [INTERNAL, END]
    assert "the usage of a stream" in caplog.text


@pytest.mark.parametrize("where", ["source", "usage"])
async def test_neither_keys_nor_tracebacks_reach_the_client_and_no_key_the_log(where, caplog):
    trace = 'Traceback (most recent call last):\n  File "server.py", line 1'
    for error in (ServerError(f"refused key {KEY}\n{trace}"), ValueError(KEY)):
        given = (source(error), None) if where == "source" else (source(), answer(error))
        shown = "".join(await read(stream_events(given[0], usage=given[1])))

        assert KEY not in shown
        assert "Traceback" not in shown
        assert "server.py" not in shown
    assert KEY not in caplog.text
    assert "ValueError: [redacted]" in caplog.text


async def test_a_long_error_text_is_cut():
    (frame, _) = await read(stream_events(source(ServerError("x" * 10_000))))

    assert len(frame) < 2_200


async def test_after_an_error_of_the_source_the_usage_is_told_but_no_second_error():
    frames = await read(stream_events(source(ServerError("down")), usage=answer(Usage(output_tokens=3))))
    assert [told(frame).get("completion_tokens") for frame in frames[:-1]] == [None, 3]
    assert frames[-1] == END

    both = await read(stream_events(source(ServerError("down")), usage=answer(ServerError("too"))))
    assert [told(frame)["error"] for frame in both[:-1]] == ["Stream failed: INTERNAL_SERVER_ERROR: down"]


async def test_after_an_error_of_the_source_a_usage_that_does_not_come_is_given_up():
    with agentlab.frozen():
        usage = asyncio.ensure_future(for_ever())

        frames = await read(stream_events(source(ServerError("down")), usage=usage))

    assert len(frames) == 2
    assert usage.cancelled()
    assert clock.clock().kind == "system"


@pings
async def test_a_source_or_usage_that_was_cancelled_is_told_to_a_reader_who_is_there(ping_s):
    cancelled = asyncio.ensure_future(for_ever())
    cancelled.cancel()

    for frames in (
        stream_events(source("a", asyncio.CancelledError()), ping_s=ping_s),
        stream_events(source("a"), usage=cancelled, ping_s=ping_s),
    ):
        first, frame, end = await read(frames)
        assert (first, told(frame)["code"], end) == ("data: a\n\n", "CANCELLED", END)


# Readers who go away


@pings
@pytest.mark.parametrize("n_read", [0, 1, 3])
async def test_a_reader_who_closes_gets_nothing_more_and_leaves_nothing_behind(n_read, ping_s, caplog):
    watched, usage = Watched(), asyncio.ensure_future(for_ever())
    frames = stream_events(watched.chunks(), usage=usage, ping_s=ping_s)

    for _ in range(n_read):
        await anext(frames)
    await frames.aclose()

    assert await read(frames) == []
    assert usage.cancelled()
    assert watched.closed or n_read == 0
    assert not others()
    assert caplog.records == []


@pings
async def test_a_reader_who_is_cancelled_gets_no_end_and_leaves_nothing_behind(ping_s, caplog):
    watched, usage = Watched(wait_after=2), asyncio.ensure_future(for_ever())
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def reader() -> None:
        async for frame in stream_events(watched.chunks(), usage=usage, ping_s=ping_s):
            seen.put_nowait(frame)

    task = asyncio.ensure_future(reader())
    assert [await seen.get(), await seen.get()] == ["data: 1\n\n", "data: 2\n\n"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert seen.empty()
    assert watched.closed
    assert usage.cancelled()
    assert not others()
    assert caplog.records == []


@pings
async def test_a_reader_who_is_cancelled_while_the_usage_is_counted_leaves_nothing_behind(ping_s):
    usage = asyncio.ensure_future(for_ever())
    reader = asyncio.ensure_future(read(stream_events(source("a"), usage=usage, ping_s=ping_s)))
    for _ in range(10):
        await asyncio.sleep(0)

    reader.cancel()
    await asyncio.wait({reader})

    assert reader.cancelled()
    assert usage.cancelled()
    assert not others()


async def test_a_usage_that_is_shielded_goes_on_when_the_reader_is_gone():
    usage = asyncio.ensure_future(answer(Usage(output_tokens=3)))
    frames = stream_events(source("a"), usage=asyncio.shield(usage))

    await frames.aclose()

    assert (await usage).output_tokens == 3


@pings
async def test_a_usage_that_was_never_asked_for_is_closed_without_a_warning(ping_s):
    frames = stream_events(source("a", "b"), usage=answer(Usage()), ping_s=ping_s)
    await anext(frames)

    await frames.aclose()
    gc.collect()  # a coroutine that nobody awaited would warn here


async def test_an_error_of_a_usage_that_nobody_reads_is_not_logged(caplog):
    usage = asyncio.ensure_future(answer(ValueError("unread")))
    await asyncio.wait({usage})
    frames = stream_events(source("a", "b"), usage=usage)
    await anext(frames)
    await frames.aclose()

    del usage, frames
    gc.collect()
    await asyncio.sleep(0)

    assert caplog.records == []


@pings
async def test_what_fails_while_a_source_is_closed_is_logged_and_not_raised(ping_s, caplog):
    async def stubborn() -> AsyncIterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            raise ValueError("while closing")

    frames = stream_events(stubborn(), ping_s=ping_s)
    await anext(frames)
    await frames.aclose()

    assert "while closing" in caplog.text


@pings
async def test_a_source_is_closed_when_an_error_ends_it_and_when_it_ends(ping_s):
    for n in (0, 2):
        watched = Watched(n=n)
        await read(stream_events(watched.chunks(), ping_s=ping_s))
        assert watched.closed


async def test_a_source_need_not_have_a_close():
    class Bare:
        def __init__(self) -> None:
            self.n = 0

        def __aiter__(self) -> Bare:
            return self

        async def __anext__(self) -> int:
            self.n += 1
            if self.n > 2:
                raise StopAsyncIteration
            return self.n

    assert await read(stream_events(Bare())) == ["data: 1\n\n", "data: 2\n\n", END]


async def test_a_source_that_fails_before_it_starts_is_told_as_well():
    class Broken:
        def __aiter__(self) -> Any:
            raise RateLimitError("slow down")

    (frame, end) = await read(stream_events(Broken()))

    assert (told(frame)["code"], end) == ("RATE_LIMIT_EXCEEDED", END)


@pytest.mark.parametrize(("ping_s", "ahead"), [(None, 0), (5.0, 2)])
async def test_a_slow_reader_holds_the_source_back(ping_s, ahead):
    watched = Watched()
    frames = stream_events(watched.chunks(), ping_s=ping_s)

    for n in range(1, 20):
        await anext(frames)
        for _ in range(50):
            await asyncio.sleep(0)  # the reader does something else
        assert watched.n_given <= n + ahead
    await frames.aclose()


async def test_many_streams_at_once_do_not_mix():
    async def one(n: int) -> list[str]:
        chunks = source(*({"stream": n, "n": i} for i in range(20)))
        return await read(stream_events(chunks, usage=answer(Usage(output_tokens=n)), ping_s=5.0))

    for n, frames in enumerate(await asyncio.gather(*map(one, range(100)))):
        assert [told(f)["n"] for f in frames[:20]] == list(range(20))
        assert {told(f)["stream"] for f in frames[:20]} == {n}
        assert told(frames[20])["completion_tokens"] == n
        assert frames[21:] == [END]


@pytest.fixture(autouse=True)
def _all_is_logged(caplog):
    caplog.set_level(logging.DEBUG, "agentlab.serve")
