"""Frames a second of `format_event` and `stream_events`, against the standard library's way in the same process.

That way is a compact `json.dumps` put into an f-string: of the dictionary itself, or of `model_dump(mode="json")` of a
model. For streams both ways read the same asynchronous generator and are read to the end by the same loop.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from collections.abc import Iterator as Figures
from typing import Any

from pydantic import BaseModel

from agentlab.serve.sse import format_event, stream_events
from tests.benchmarks.figures import Figure

N_CHUNKS = 5_000
ROUNDS = 15
ON_DICTS, ON_MODELS = 3.0, 2.0

Work = Callable[[], object]


class AssistantMessage(BaseModel):
    """A chunk as the reference server streams it."""

    id: str
    date: str
    message_type: str
    content: str
    step_id: str
    run_id: str | None = None
    is_err: bool = False
    n_tokens: int = 0


CHUNK: dict[str, Any] = {
    "id": "message-6f1c2b7a-90f1-4c52-8b3e-2d5a7c3e9f10",
    "date": "2026-01-02T03:04:05Z",
    "message_type": "assistant_message",
    "content": "2 cats in",
    "step_id": "step-0017",
    "run_id": None,
    "is_err": False,
    "n_tokens": 12,
}
assert len(json.dumps(CHUNK, separators=(",", ":"))) == 205
MODEL = AssistantMessage(**CHUNK)
FOREIGN: dict[str, Any] = {**CHUNK, "content": "deux chats, là-bas 🐈"}


def run() -> Figures[Figure]:
    """Rates as ratios to the standard library's; the least time of rounds taken in turn."""
    for name, chunk, plain, target in (
        ("dicts", CHUNK, plain_dict, ON_DICTS),
        ("models", MODEL, plain_model, ON_MODELS),
        ("dicts beyond ASCII", FOREIGN, plain_dict, None),
    ):
        assert format_event(chunk) == plain(chunk)
        yield _ratio(f"format_event, {name}", *_formats(chunk, plain), target)
        yield _ratio(f"stream_events, {name}", *_streams(chunk, plain), target)
    pinged = lambda: _read(stream_events(_source(CHUNK), ping_s=15.0))  # noqa: E731
    yield _ratio("stream_events with pings, dicts", pinged, _streams(CHUNK, plain_dict)[1], None)


def plain_dict(chunk: Any) -> str:
    """A frame as the standard library writes it."""
    return f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n"


def plain_model(chunk: Any) -> str:
    """The same of a model."""
    return f"data: {json.dumps(chunk.model_dump(mode='json'), separators=(',', ':'))}\n\n"


async def plain_stream(source: AsyncIterator[Any], plain: Callable[[Any], str]) -> AsyncIterator[str]:
    """A stream as one writes it by hand, the conversion in its loop."""
    if plain is plain_dict:
        async for chunk in source:
            yield f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n"
    else:
        async for chunk in source:
            yield f"data: {json.dumps(chunk.model_dump(mode='json'), separators=(',', ':'))}\n\n"
    yield "data: [DONE]\n\n"


def _formats(chunk: Any, plain: Callable[[Any], str]) -> tuple[Work, Work]:
    def ours() -> None:
        for _ in range(N_CHUNKS):
            format_event(chunk)

    def theirs() -> None:
        for _ in range(N_CHUNKS):
            plain(chunk)

    return ours, theirs


def _streams(chunk: Any, plain: Callable[[Any], str]) -> tuple[Work, Work]:
    return (
        lambda: _read(stream_events(_source(chunk))),
        lambda: _read(plain_stream(_source(chunk), plain)),
    )


async def _source(chunk: Any) -> AsyncIterator[Any]:
    for _ in range(N_CHUNKS):
        yield chunk


def _read(frames: AsyncIterator[str]) -> None:
    async def read() -> int:
        n_frames = 0
        async for _ in frames:
            n_frames += 1
        return n_frames

    assert asyncio.run(read()) == N_CHUNKS + 1


def _ratio(name: str, ours: Work, theirs: Work, target: float | None) -> Figure:
    ours_s, theirs_s = _least_cpu_s([ours, theirs])
    detail = f"{N_CHUNKS / ours_s / 1000:,.0f} k/s against {N_CHUNKS / theirs_s / 1000:,.0f} k/s"
    return Figure(f"{name}, against json.dumps", theirs_s / ours_s, "x", target, True, detail)


def _least_cpu_s(works: Sequence[Work]) -> list[float]:
    least = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for n, work in enumerate(works):
            started = time.process_time()
            work()
            least[n] = min(least[n], time.process_time() - started)
    return least
