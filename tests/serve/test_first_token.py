"""The time to the first token of a stream, as OpenTelemetry sees it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from enum import Enum
from typing import Any

import pydantic
import pytest
from opentelemetry import trace

import agentlab
from agentlab import clock
from agentlab.errors import ServerError
from agentlab.serve._tokens import shows_token
from agentlab.serve.first_token import metric_attributes, monotonic_ns_at
from agentlab.serve.sse import ServerEvent, stream_events
from agentlab.trace.chunks import ChunkKind
from tests.serve.streams import observed, read, source

MS = 1_000_000


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


async def after(pause_s: float, *chunks: Any) -> AsyncIterator[Any]:
    await clock.sleep(pause_s)
    for chunk in chunks:
        yield chunk


async def test_the_span_goes_from_the_request_to_the_first_token():
    with agentlab.frozen(at="2026-01-02T03:04:05Z"), observed() as seen:
        started_ns = clock.monotonic_ns()
        await clock.sleep(1)
        await read(stream_events(after(0.2345, "a", "b"), started_ns=started_ns, model="tiny-1"))

    (span,) = seen.spans
    (event,) = span.events
    assert span.name == "time_to_first_token"
    assert span.start_time == 1767323045 * 1000 * MS
    assert dict(span.attributes) == {"llm_config.model": "tiny-1"}
    assert (event.name, dict(event.attributes)) == ("time_to_first_token_ms", {"ttft_ms": 1234})
    assert seen.times() == [("time_to_first_token_ms", 1234, {"model.name": "tiny-1"})]


async def test_the_span_is_a_child_of_the_requests():
    with observed() as seen, seen.tracers.get_tracer("test").start_as_current_span("POST /v1/runs") as parent:
        await read(stream_events(source("a"), started_ns=clock.monotonic_ns()))
        assert trace.get_current_span() is parent

    assert [span.name for span in seen.spans] == ["time_to_first_token", "POST /v1/runs"]
    assert seen.spans[0].parent.span_id == parent.get_span_context().span_id


@pytest.mark.parametrize("chunks", [[], ["", delta(role="assistant", content="")], [ServerError("down")]])
async def test_the_span_ends_also_when_no_token_came(chunks):
    with observed() as seen:
        await read(stream_events(source(*chunks), started_ns=clock.monotonic_ns()))

    assert [(span.name, len(span.events)) for span in seen.spans] == [("time_to_first_token", 0)]
    assert seen.times() == []


async def test_the_span_ends_when_the_reader_goes_away_before_the_first_token():
    with observed() as seen:
        frames = stream_events(source("", "a"), started_ns=clock.monotonic_ns())
        await anext(frames)
        await frames.aclose()

    assert len(seen.spans) == 1
    assert seen.times() == []


async def test_without_a_start_nothing_is_recorded():
    with observed() as seen:
        await read(stream_events(source("a"), model="tiny-1"))

    assert (seen.spans, seen.times()) == ((), [])


class Config(pydantic.BaseModel):
    model: str = "tiny-1"
    kind: Enum = Enum("Kind", {"OPENAI": "openai"}).OPENAI
    temperature: float | None = None
    tools: list[str] = ["search"]
    api_key: str = "not-to-be-seen"


@pytest.mark.parametrize("settings", [Config(), Config().model_dump()], ids=["model", "mapping"])
async def test_settings_become_attributes_where_they_are_plain_and_no_keys(settings):
    with observed() as seen:
        await read(stream_events(source("a"), started_ns=clock.monotonic_ns(), model=settings))

    assert dict(seen.spans[0].attributes) == {
        "llm_config.model": "tiny-1",
        "llm_config.kind": "openai",
        "llm_config.api_key": "[redacted]",
    }


async def test_attributes_of_a_block_are_recorded_and_nobodys_dictionary_is_changed():
    shared = {"endpoint": "/v1/runs"}
    with observed() as seen:
        with metric_attributes(shared), metric_attributes({"tenant": "a"}):
            await read(stream_events(source("a"), started_ns=clock.monotonic_ns(), model="tiny-1"))
            await read(stream_events(source("a"), started_ns=clock.monotonic_ns()))
        await read(stream_events(source("a"), started_ns=clock.monotonic_ns()))

    assert shared == {"endpoint": "/v1/runs"}
    assert [attributes for _, _, attributes in seen.times()] == [
        {"endpoint": "/v1/runs", "tenant": "a", "model.name": "tiny-1"},
        {"endpoint": "/v1/runs", "tenant": "a"},
        {},
    ]


async def test_a_wall_time_becomes_a_monotonic_one():
    with agentlab.frozen(at="2026-01-02T03:04:05Z"):
        await clock.sleep(3)

        assert monotonic_ns_at(1767323045 * 1000 * MS + 250) == 250


def test_without_a_set_up_program_nothing_is_recorded_or_sent():
    code = """
import asyncio
from agentlab.serve.sse import stream_events
async def source():
    yield "a"
async def read():
    return [frame async for frame in stream_events(source(), started_ns=0)]
print(asyncio.run(read())[0].strip())
import sys
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "sentry"))])
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout

    assert shown.splitlines() == ["data: a", "[]"]


@pytest.mark.parametrize(
    "chunk",
    [
        "a",
        5,
        {"message_type": "reasoning_message", "reasoning": "think"},
        {"type": "text", "text": "a"},
        delta(content="a"),
        delta(reasoning_content="a"),
        delta(reasoning="a"),
        delta(tool_calls=[{"index": 0}]),
        {"choices": [{"text": "a"}]},
        {"type": "model_delta", "kind": int(ChunkKind.CONTENT)},
        {"error": None, "message_type": "assistant_message"},
    ],
)
def test_tokens_are_seen(chunk):
    assert shows_token(chunk)


@pytest.mark.parametrize(
    "chunk",
    [
        "",
        "[DONE]",
        Enum("Mark", {"END": "[DONE]"}).END,
        delta(role="assistant", content=""),
        delta(),
        {"choices": [], "usage": {"total_tokens": 3}},
        {"choices": [{"delta": None, "finish_reason": "stop"}]},
        {"error": {"message": "no"}},
        {"message_type": "ping"},
        {"message_type": "usage_statistics"},
        {"type": "run_started"},
        {"type": "model_delta", "kind": int(ChunkKind.ROLE)},
    ],
)
def test_roles_pings_usage_and_ends_are_no_tokens(chunk):
    assert not shows_token(chunk)


async def test_a_named_event_is_looked_into():
    with observed() as seen:
        chunks = source(ServerEvent({"type": "run_started"}, id=0))
        await read(stream_events(chunks, started_ns=clock.monotonic_ns()))

    assert seen.times() == []
