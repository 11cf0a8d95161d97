from __future__ import annotations

import asyncio

import pytest

from agentlab import ScriptedModel, call, clock, cut, fail, say, think
from agentlab.errors import ConnectionLostError, InputError, ModelError, RateLimitError
from agentlab.messages import builders
from agentlab.models.base import CallRecord, ModelRequest
from agentlab.models.reply import ReplyBuilder
from agentlab.trace.chunks import ChunkKind, ChunkRecorder
from agentlab.trace.instants import Instants

REQUEST = ModelRequest([builders.user_message("How many cats are there?")])


async def read(model, request=REQUEST):
    record, log, reply = CallRecord(), ChunkRecorder(), ReplyBuilder()
    async for chunk in model.stream(request, record):
        log.add(chunk)
        reply.add(chunk)
    return reply.build(), record, log.pack(record.request_ns, record.headers_ns, record.close_ns)


async def test_a_reply_has_the_given_first_token_time_and_gaps():
    model = ScriptedModel(["one two three"], ttft_s=0.25, gap_s=0.05)

    with clock.frozen():
        reply, record, log = await read(model)

    assert [row.offset_ns for row in log.rows() if row.kind & ChunkKind.CONTENT] == [
        250_000_000,
        300_000_000,
        350_000_000,
    ]
    assert Instants.of(log).ttft_s == 0.25, "the role comes at once and starts no clock"
    assert reply.content[0].text == "one two three"
    assert record.close_ns - record.request_ns == 350_000_000


async def test_reasoning_text_and_calls_come_in_this_order():
    model = ScriptedModel([think("Hm.") + say("Look:") + call("search", query="cats") + call("count", n=2)])

    reply, _, log = await read(model)

    kinds = [row.kind for row in log.rows()]
    assert kinds[:4] == [ChunkKind.ROLE, ChunkKind.REASONING, ChunkKind.CONTENT, ChunkKind.TOOL_NAME]
    assert [c.function.name for c in reply.tool_calls] == ["search", "count"]
    assert [c.function.arguments for c in reply.tool_calls] == ['{"query":"cats"}', '{"n":2}']
    assert reply.finish_reason == "tool_calls"


async def test_times_of_one_reply_may_differ_from_the_models():
    model = ScriptedModel([say("a b", ttft_s=2, gap_s=1)], ttft_s=0.1, gap_s=0.1)
    with clock.frozen():
        _, _, log = await read(model)
    assert Instants.of(log).ttft_s == 2
    assert Instants.of(log).e2e_s == 3


async def test_usage_counts_prompt_and_reply_and_may_be_missing():
    reply, *_ = await read(ScriptedModel([think("Hm.") + say("one two")]))
    assert reply.usage.input_tokens == 5
    assert reply.usage.output_tokens == 3
    assert reply.usage.reasoning_tokens == 1
    assert reply.usage.source == "provider"

    reply, *_ = await read(ScriptedModel([say("one two", usage=False)]))
    assert reply.usage.output_tokens is None
    assert reply.usage.source == "missing"


async def test_a_cut_stream_breaks_after_the_given_tokens():
    stream = ScriptedModel([cut("one two three", after=2)]).stream(REQUEST, CallRecord())

    assert [(await anext(stream)).content for _ in range(3)] == ["", "one", " two"]
    with pytest.raises(ConnectionLostError, match="after 2 tokens"):
        await anext(stream)


async def test_an_error_is_raised_as_it_is_given():
    error = RateLimitError("slow down", retry_after_s=3)
    with pytest.raises(RateLimitError) as caught:
        await read(ScriptedModel([fail(error)]))
    assert caught.value is error


async def test_the_turn_of_the_conversation_is_the_place_in_the_script():
    model = ScriptedModel(["first", "second"])
    replies = await asyncio.gather(*(read(model, ModelRequest(REQUEST.messages, turn=n)) for n in (1, 0, 1)))
    assert [reply.content[0].text for reply, *_ in replies] == ["second", "first", "second"]
    with pytest.raises(ModelError, match="the script of 2 replies has come to its end: turn 3 has no answer"):
        await read(model, ModelRequest(REQUEST.messages, turn=2))


async def test_a_script_may_be_a_function_of_the_request():
    model = ScriptedModel(lambda request: f"{len(request.messages)} messages")
    reply, *_ = await read(model)
    assert reply.content[0].text == "1 messages"
    assert model.requests == [REQUEST]


def test_a_script_of_something_else_is_refused():
    with pytest.raises(InputError, match="this is 3"):
        ScriptedModel([3])


async def test_a_call_may_carry_any_text_and_id():
    reply, *_ = await read(ScriptedModel([call("search", "{half", id="call_7")]))
    assert (reply.tool_calls[0].id, reply.tool_calls[0].function.arguments) == ("call_7", "{half")
