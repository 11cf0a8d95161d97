"""The embedded model, for real: what it does is checked by its form, as its words differ from machine to machine."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing, suppress
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest

from agentlab.errors import ContextWindowError, InputError, ModelNotFoundError, ServerError
from agentlab.messages import builders
from agentlab.models._grammar import bounded
from agentlab.models.base import CallRecord, ModelParams, ModelRequest
from agentlab.models.local import LocalModel
from agentlab.models.tool_schema import SchemaTools
from agentlab.trace.chunks import ChunkKind
from agentlab.trace.events import ToolSpec
from tests.models.calling import asking, chunks_of, reply_of
from tests.models.test_grammar import TRIP

real = pytest.mark.local_model

CALCULATE = ToolSpec(
    name="calculate",
    description="Work out an expression.",
    parameters={"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
)
DAYS = ToolSpec(
    name="days_between",
    description="Count the days between two dates.",
    parameters={
        "type": "object",
        "properties": {
            "first": {"type": "string", "format": "date"},
            "second": {"type": "string", "format": "date"},
            "unit": {"enum": ["days", "weeks"]},
        },
        "required": ["first", "second", "unit"],
    },
)
TOOLS = (CALCULATE, DAYS)
TERSE = SchemaTools(string_chars=40, array_items=3)
"""So that replies end by themselves, and soon."""
SHORT = ModelParams(temperature=0, max_tokens=400)
FEW = ModelParams(temperature=0, max_tokens=4)


@pytest.fixture(scope="module")
def model() -> Iterator[LocalModel]:
    """One for the module; every test leaves it fit for the next."""
    with LocalModel("smollm2-135m", n_ctx=2048, tools=TERSE) as started:
        started.start()
        yield started


@pytest.fixture
def no_model_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTLAB_MODEL", raising=False)


def ask(text: str, **fields: Any) -> ModelRequest:
    return asking(text, **{"tools": TOOLS, "params": SHORT, **fields})


def address_of(model: LocalModel) -> tuple[str, int]:
    parts = urlsplit(model._server.url)
    return parts.hostname, parts.port


def wait_until_closed(connection: socket.socket) -> None:
    """Return when the other side is gone; the test's time limit is the socket's."""
    connection.settimeout(30)
    with suppress(ConnectionResetError):
        assert connection.recv(1) == b""


@real
async def test_every_reply_is_a_valid_call_of_an_offered_tool(model):
    schemas = {tool.name: tool.parameters for tool in TOOLS}
    for text in ("What is 12 * 7?", "Days from 2026-01-01 to 2026-02-01?", "Hello!", '"}]}', "17 + 4"):
        reply = await reply_of(model, ask(text, tool_choice="required"))

        (call,) = reply.tool_calls
        jsonschema.validate(json.loads(call.function.arguments), schemas[call.function.name])
        assert (reply.finish_reason, reply.text) == ("tool_calls", "")


@real
async def test_a_named_tool_is_the_one_that_is_called(model):
    reply = await reply_of(model, ask("What is 12 * 7?", tool_choice="days_between"))

    assert [call.function.name for call in reply.tool_calls] == ["days_between"]


@real
async def test_parallel_calls_are_one_to_four(model):
    reply = await reply_of(model, ask("What are 2 + 2 and 3 * 3?", tool_choice="required", parallel_tool_calls=True))

    assert 1 <= len(reply.tool_calls) <= 4
    assert all(json.loads(call.function.arguments) for call in reply.tool_calls)


@real
async def test_text_and_calls_stream_and_the_server_counts_the_tokens(model):
    record = CallRecord()

    chunks = await chunks_of(model, asking("Count to ten.", params=SHORT), record)

    shown = [chunk for chunk in chunks if chunk.kind & ChunkKind.CONTENT]
    assert len(shown) > 3
    assert shown[0].t_ns < shown[-1].t_ns
    (usage,) = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert usage.source == "provider"
    assert usage.input_tokens > 0
    assert usage.output_tokens >= len(shown)
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert record.prefill_s > 0
    assert record.request_ns < shown[0].t_ns <= record.close_ns
    assert record.response_model == model.name


@real
async def test_a_second_call_finds_the_start_of_its_prompt_read(model):
    first = ask("What is 12 * 7?", tool_choice="required")
    reply = await reply_of(model, first)
    call = reply.tool_calls[0]
    talk = [*first.messages, builders.assistant_message("", [call]), builders.tool_message(call.id, "calculate", "84")]

    again = await reply_of(model, ModelRequest(talk, tools=TOOLS, tool_choice="required", params=SHORT))

    assert again.usage.cached_tokens > reply.usage.input_tokens // 2


@real
async def test_at_temperature_0_a_call_repeats(model):
    replies = [await reply_of(model, ask("What is 5 + 6?", tool_choice="required")) for _ in range(2)]

    assert replies[0].tool_calls[0].function == replies[1].tool_calls[0].function


@real
async def test_every_kind_of_schema_becomes_a_grammar(model):
    loose = {
        "type": "object",
        "properties": {
            "any": {},
            "code": {"type": "string", "pattern": r"^\d{2}-[a-c]{2}$"},
            "free": {"type": "string", "pattern": "(?=x).*"},
            "maybe": {"type": ["integer", "null"]},
            "one": {"oneOf": [{"const": "a"}, {"type": "boolean"}]},
            "list": {"type": "array", "maxItems": 2},
            "true": True,
        },
        "required": ["any", "code", "free", "maybe", "one", "list", "true"],
    }
    for parameters in (TRIP.parameters, loose):
        tool = ToolSpec(name="trip", description="Plan a trip.", parameters=parameters)
        request = ask("Go.", tools=(tool,), tool_choice="required", params=ModelParams(temperature=0, max_tokens=700))

        reply = await reply_of(model, request)

        (call,) = reply.tool_calls
        assert call.function.name == "trip"
        if reply.finish_reason == "tool_calls":  # a tree may grow without end
            jsonschema.validate(json.loads(call.function.arguments), bounded(parameters, TERSE._bounds))


@real
async def test_too_long_a_prompt_is_told_as_such(model):
    with pytest.raises(ContextWindowError):
        await reply_of(model, asking("word " * 3000, params=FEW))


@real
async def test_a_call_that_was_cancelled_leaves_the_model_free(model):
    async with aclosing(
        model.stream(asking("Count to a thousand.", params=ModelParams(max_tokens=1500)), CallRecord())
    ) as stream:
        async for chunk in stream:
            if chunk.kind & ChunkKind.CONTENT:
                break

    reply = await asyncio.wait_for(reply_of(model, asking("Hi.", params=FEW)), 10)  # the other would take longer
    assert reply.usage.output_tokens <= 4


@real
async def test_no_connection_is_kept(model):
    record, again = CallRecord(), CallRecord()
    for one in (record, again):
        await reply_of(model, asking("Hi.", params=FEW), one)

    assert "connect_started" in record.marks_ns
    assert "connect_started" in again.marks_ns


@real
async def test_several_calls_at_a_time_are_all_answered(model):
    replies = await asyncio.gather(*(reply_of(model, asking(f"Say {n}.", params=FEW)) for n in range(3)))

    assert all(reply.usage.source == "provider" for reply in replies)


@real
async def test_nobody_else_can_use_the_model(model):
    reader, writer = await asyncio.open_connection(*address_of(model))
    body = b'{"messages": [{"role": "user", "content": "Hi"}]}'
    writer.write(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()

    assert b" 401 " in answer.splitlines()[0]
    assert model._server.api_key not in repr(model) + repr(vars(model))


@real
async def test_an_interrupted_kernel_keeps_its_model(model):
    os.kill(model._server._process.pid, signal.SIGINT)

    assert (await reply_of(model, asking("Hi.", params=FEW))).usage.source == "provider"


@real
async def test_two_models_live_side_by_side_and_end_when_closed(model):
    with LocalModel("smollm2-135m", n_ctx=512) as second:
        await reply_of(second, asking("Hi.", params=FEW))
        assert address_of(second) != address_of(model)
        process = second._server._process
        assert process.poll() is None
    assert process.poll() is not None

    await reply_of(model, asking("Hi.", params=FEW))


@real
async def test_a_model_whose_process_died_starts_anew():
    with LocalModel("smollm2-135m", n_ctx=512) as model:
        model.start()
        process = model._server._process
        process.kill()
        process.wait()

        assert (await reply_of(model, asking("Hi.", params=FEW))).usage.source == "provider"


@real
def test_a_forgotten_model_ends():
    model = LocalModel("smollm2-135m", n_ctx=512)
    model.start()
    process = model._server._process
    del model
    gc.collect()

    assert process.poll() is not None


PARENT = """
import os, sys
from agentlab.models.local import LocalModel
model = LocalModel("smollm2-135m", n_ctx=512)
model.start()
print(model._server.url, flush=True)
if sys.argv[1] == "fork" and os.fork() == 0:
    os.close(1)
sys.stdin.read()
"""


@real
@pytest.mark.parametrize("how", ["kill", "fork", "end"])
def test_the_child_never_outlives_its_kernel(how):
    """Also when the kernel is killed, and when a process forked from it lives on with all its pipes."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", PARENT, how], stdin=pipe, stdout=pipe) as parent:
        parts = urlsplit(parent.stdout.readline().decode().strip())
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            if how == "end":
                parent.stdin.close()
            else:
                parent.kill()

            wait_until_closed(connection)


def test_without_the_extra_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(InputError, match=r'pip install "agentlab-jupyter\[local\]"'):
        LocalModel()


@pytest.mark.parametrize("setting", ["n_ctx", "slots", "threads", "max_tokens"])
def test_settings_that_cannot_be_are_refused(setting):
    with pytest.raises(InputError, match=f"{setting} is 0; it takes 1 or more"):
        LocalModel("smollm2-135m", **{setting: 0})


def test_a_model_tells_what_it_is_without_being_started(no_model_named):
    model = LocalModel(n_ctx=4096, slots=2, threads=3)

    assert (model.name, model.provider, model.context_window_tokens) == ("smollm2-135m", "local", 2048)
    assert repr(model) == "LocalModel('smollm2-135m', n_ctx=4096, threads=3)"
    model.close()


async def test_a_broken_file_is_told_by_the_first_call(tmp_path, monkeypatch):
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + b"\0" * 100)
    monkeypatch.setenv("AGENTLAB_MODEL", str(path))
    model = LocalModel()

    with pytest.raises(ServerError, match="the embedded model did not start: ") as caught:
        await reply_of(model)
    assert model.name == "broken"
    assert not caught.value.retryable


async def test_weights_that_cannot_be_had_are_told_by_the_first_call(tmp_path, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("AGENTLAB_CACHE", str(tmp_path))

        with pytest.raises(ModelNotFoundError, match="set AGENTLAB_MODEL to its path"):
            await reply_of(LocalModel("qwen2.5-coder-0.5b"))
