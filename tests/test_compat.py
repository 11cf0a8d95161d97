"""What agentlab does in the place of the reference's recorded defects: a test for each kind."""

from __future__ import annotations

import asyncio
import copy
import json
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel

import agentlab.messages as m
from agentlab import compat
from agentlab.errors import ContextWindowError, InputError, RateLimitError, TimezoneError
from agentlab.formats.openai_chat import from_openai, to_openai
from agentlab.messages.history import lint
from agentlab.messages.message import Message
from agentlab.messages.parts import Base64Image, ImagePart, ReasoningPart, TextPart
from tests.serve.streams import END, observed, read, source

VECTORS = Path(__file__).parent / "conformance" / "vectors"

T = TypeVar("T", bound=Callable[..., None])
COVERED: set[tuple[str, str]] = set()
"""Function and quirk of the tests below."""


def instead_of(function: Callable[..., Any], *quirks: str) -> Callable[[T], T]:
    def note(test: T) -> T:
        COVERED.update((function.__name__, quirk) for quirk in quirks)
        return test

    return note


convert = compat.convert_in_context_letta_messages_to_openai
request_approval = compat.create_approval_request_message_from_llm_response
answer_approval = compat.create_approval_response_message_from_input
step = compat.create_letta_messages_from_llm_response
parallel = compat.create_parallel_tool_messages_from_llm_response
read_request = compat.get_user_message_from_chat_completions_request
stream = compat.sse_async_generator

AGENT = {"id": "agent-1", "model": "tiny-1", "timezone": "UTC"}
SYSTEM = m.system_message("You are helpful.")


def one_step(**changes: Any) -> list[Message]:
    usual = {
        "agent_id": "agent-1",
        "model": "tiny-1",
        "function_name": "search",
        "function_arguments": {"q": "cats"},
        "tool_execution_result": {"status": "success"},
        "tool_call_id": "call_1",
        "function_response": "done",
        "timezone": "UTC",
    }
    return step(**{**usual, **changes})


def several(specs: list[dict[str, Any]], results: int | None = None, responses: int | None = None) -> list[Message]:
    return parallel(
        agent_id="agent-1",
        model="tiny-1",
        tool_call_specs=specs,
        tool_execution_results=[{"status": "success"}] * (len(specs) if results is None else results),
        function_responses=["r"] * (len(specs) if responses is None else responses),
        timezone="UTC",
    )


def ask(**changes: Any) -> Message:
    usual = {
        "agent_id": "agent-1",
        "model": "tiny-1",
        "function_name": "rm",
        "function_arguments": {"p": 1},
        "tool_call_id": "call_1",
    }
    return request_approval(**{**usual, **changes})


def test_every_kind_of_quirk_has_a_test():
    recorded = {
        (case["function"], case["quirk"])
        for path in VECTORS.glob("*.json")
        for case in json.loads(path.read_text(encoding="utf-8"))
        if "quirk" in case and hasattr(compat, case["function"])
    }

    assert recorded <= COVERED


# What the converter loses


@instead_of(convert, "one bad stored call makes the whole history unreadable")
@pytest.mark.parametrize("arguments", ['{"message": null}', '{"message": "cut', "[]"])
def test_a_bad_stored_call_stays_a_call_and_the_rest_is_read(arguments):
    bad = m.assistant_message("", [m.tool_call("send_message", arguments, call_id="1")])

    chat = convert([SYSTEM, bad, m.user_message("hi")])

    assert [e["role"] for e in chat] == ["system", "assistant", "user"]
    assert chat[1]["tool_calls"][0]["function"]["arguments"] == arguments


@instead_of(
    convert,
    "one odd user text makes the whole history unreadable",
    "any JSON text with a message key loses the rest",
    "the other parts are lost",
)
@pytest.mark.parametrize("typed", ['{"message": {"a": 1}}', '{"message": "hi", "priority": "high"}'])
def test_json_that_a_person_typed_is_what_she_said_and_further_parts_stay(typed):
    chat = convert([SYSTEM, m.user_message([TextPart(text=typed), TextPart(text="second")])])

    assert chat[1]["content"] == typed + "\n\nsecond"


@instead_of(convert, "a picture as the first part makes the whole history unreadable")
def test_a_picture_stays_a_picture():
    picture = ImagePart(source=Base64Image(media_type="image/png", data="aaaa"))

    chat = convert([SYSTEM, m.user_message([picture, TextPart(text="what?")])])

    assert [p["type"] for p in chat[1]["content"]] == ["image_url", "text"]


@instead_of(convert, "a thought without an answer makes the whole history unreadable")
def test_a_thought_without_an_answer_is_kept_as_a_thought():
    chat = convert([SYSTEM, m.assistant_message([ReasoningPart(is_native=True, reasoning="only")])])

    assert chat[1] == {"role": "assistant", "content": "", "reasoning_content": "only"}


@instead_of(convert, "an answered approval makes the whole history unreadable")
def test_an_answered_approval_says_what_was_decided():
    request = ask()

    chat = convert([SYSTEM, request, m.approval_reply_to(request, approve=False, reason="no")])

    assert [e["role"] for e in chat] == ["system", "assistant", "tool"]
    assert "no" in chat[2]["content"]


@instead_of(convert, "only the first text survives", "the other call is lost, its return is kept")
def test_all_spoken_texts_and_all_other_calls_stay():
    calls = [
        m.tool_call("search", call_id="1"),
        m.tool_call("send_message", {"message": "one"}, call_id="2"),
        m.tool_call("send_message", {"message": "two"}, call_id="3"),
    ]

    chat = convert([SYSTEM, *m.step_messages("", calls, [m.tool_return(i, "r") for i in "123"])])

    assert chat[1]["content"] == "one\n\ntwo"
    assert [c["id"] for c in chat[1]["tool_calls"]] == ["1"]
    assert [e["tool_call_id"] for e in chat[2:]] == ["1"]


@instead_of(convert, "a return without a name is not recognised and stays behind")
def test_a_return_is_known_by_its_call_id():
    said = m.assistant_message("", [m.tool_call("send_message", {"message": "x"}, call_id="1")])
    nameless = Message(role="tool", tool_call_id="1", content=(TextPart(text="{}"),))

    assert [e["role"] for e in convert([SYSTEM, said, nameless])] == ["system", "assistant"]


@instead_of(convert, "the first message is passed as it is, whatever its role")
def test_the_first_message_is_read_as_the_others_are():
    assert convert([m.user_message(m.envelopes.user_message("raw"))]) == [{"role": "user", "content": "raw"}]


@instead_of(convert, "all returns are joined under the first call id")
def test_each_return_stands_under_its_own_call():
    chat = convert([SYSTEM, *several([{"name": "a", "id": "1"}, {"name": "b", "id": "2"}])])

    assert [e.get("tool_call_id") for e in chat] == [None, None, "1", "2"]


@instead_of(convert, "raises a bare IndexError")
def test_an_empty_history_is_an_empty_chat():
    assert convert([]) == []


# What callers give stays theirs


@instead_of(step, "the caller's argument dict is changed")
@instead_of(parallel, "the caller's call specs are changed")
@instead_of(compat.create_input_messages, "the picture is fetched synchronously and the caller's object is changed")
def test_nobodys_arguments_are_changed():
    arguments, specs = {"request_heartbeat": True, "q": 1}, [{"name": "a", "arguments": {}}, {"name": "b", "id": ""}]
    given = [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "test:/cat"}}]}]
    before = copy.deepcopy((arguments, specs, given))

    one_step(function_arguments=arguments)
    ask(function_arguments=arguments)
    asked, answered = several(specs)
    (seen,) = compat.create_input_messages(given, agent_id="agent-1", timezone="UTC", run_id="run-1")

    assert (arguments, specs, given) == before
    assert [r.tool_call_id for r in answered.tool_returns] == [c.id for c in asked.tool_calls]
    assert seen.content[0].source.url == "test:/cat"  # an address stays an address; nothing is fetched


# Ids and links


@instead_of(step, "no id is generated")
@instead_of(request_approval, "no id is generated")
def test_a_missing_call_id_is_invented_and_used_throughout():
    asked, answered = one_step(tool_call_id=None)

    assert asked.tool_calls[0].id == answered.tool_call_id == answered.tool_returns[0].tool_call_id
    assert ask(tool_call_id=None).tool_calls[0].id.startswith("call_")


@instead_of(step, "a tool message with no call id", "a tool message without a call before it")
def test_a_return_that_answers_nothing_is_refused():
    with pytest.raises(InputError, match="needs the id of the call"):
        one_step(tool_call_id=None, is_approval_response=True)
    with pytest.raises(InputError, match="a return for call 'call_5', and no call"):
        one_step(function_name=None, tool_call_id="call_5")


@instead_of(step, "the heartbeat message loses the batch item id")
def test_every_message_of_a_step_keeps_the_batch_item_id():
    messages = one_step(continue_stepping=True, llm_batch_item_id="batch_item-1")

    assert [x.batch_item_id for x in messages] == ["batch_item-1"] * 3


def test_an_empty_step_id_is_none():
    (_, answered) = parallel("a", "m", [{"name": "f", "id": "1"}], [{"status": "success"}], ["r"], "UTC", step_id="")

    assert answered.step_id is None


@instead_of(parallel, "two ids which differ only after the 29th character become equal in the chat form")
def test_distinct_ids_stay_distinct():
    ids = ["toolu_0123456789ABCDEFGHIJKLMNOP", "toolu_0123456789ABCDEFGHIJKLMNOQ"]
    messages = several([{"name": "a", "id": i} for i in ids])

    assert [e["tool_call_id"] for e in to_openai(messages)[1:]] == ids
    cut = convert([SYSTEM, *messages])
    assert len({e["tool_call_id"] for e in cut[2:]}) == 2
    assert [c["id"] for c in cut[1]["tool_calls"]] == [e["tool_call_id"] for e in cut[2:]]


# Arguments and content


@instead_of(step, "raises a bare TypeError", "arguments become the text null")
@instead_of(request_approval, "raises a bare TypeError", "arguments become the text null")
@instead_of(parallel, "arguments become the text null")
def test_missing_arguments_are_an_empty_object():
    texts = [
        one_step(function_arguments=None, force_set_request_heartbeat=False)[0].tool_calls[0].function.arguments,
        ask(function_arguments=None, append_request_heartbeat=False).tool_calls[0].function.arguments,
        several([{"name": "a", "id": "1", "arguments": None}])[0].tool_calls[0].function.arguments,
    ]

    assert texts == ["{}"] * 3
    asked = one_step(function_arguments=None)[0].tool_calls[0].function.arguments
    assert json.loads(asked) == {"request_heartbeat": False}


@instead_of(step, "empty text is dropped, empty reasoning is kept")
@instead_of(request_approval, "an empty text part is kept here and dropped elsewhere")
def test_hollow_text_and_hollow_reasoning_are_dropped_everywhere():
    hollow = [{"type": "text", "text": ""}, {"type": "reasoning", "is_native": True, "reasoning": ""}]

    assert one_step(reasoning_content=hollow)[0].content == ()
    assert ask(reasoning_content=hollow).content == ()


@instead_of(compat.create_input_messages, "an empty text part passes where empty text does not")
@instead_of(read_request, "empty text is accepted here and refused by create_input_messages")
def test_empty_text_is_refused_everywhere():
    with pytest.raises(InputError, match="this one is empty"):
        compat.create_input_messages(
            [{"role": "user", "content": [{"type": "text", "text": ""}]}], "agent-1", "UTC", "run-1"
        )
    with pytest.raises(compat.ChatRequestError, match="must not be empty"):
        read_request({"messages": [{"role": "user", "content": ""}]})


@instead_of(compat.create_assistant_messages_from_openai_response, "a missing answer is accepted and stored as null")
def test_a_missing_answer_is_no_message():
    with pytest.raises(InputError, match="response_text is None"):
        compat.create_assistant_messages_from_openai_response(None, "agent-1", "tiny-1", "UTC")


@instead_of(compat.create_heartbeat_system_message, "the zone of the host is used")
def test_a_missing_zone_is_not_guessed():
    with pytest.raises(TimezoneError, match="None is no IANA time zone"):
        compat.create_heartbeat_system_message("agent-1", "tiny-1", True, None)


# Lists that do not match


@instead_of(
    parallel,
    "the extra calls get no return, silently",
    "the extra results are lost, silently",
    "raises a bare IndexError",
)
@pytest.mark.parametrize(("calls", "results", "responses"), [(2, 1, 2), (2, 2, 1), (1, 2, 2), (0, 0, 0), (1, 0, 0)])
def test_lists_that_do_not_match_are_refused_with_their_lengths(calls, results, responses):
    specs = [{"name": "a", "arguments": {}, "id": str(n)} for n in range(calls)]

    with pytest.raises(InputError, match=f"got {calls} calls, {results} results, {responses} responses"):
        several(specs, results, responses)


# Approvals


@instead_of(answer_approval, "the message id is put where a call id belongs")
def test_an_answer_by_message_id_reaches_the_call_it_means():
    request = ask()

    (reply,) = answer_approval(AGENT, {"approve": False, "approval_request_id": request.id, "reason": "no"})

    assert lint([request, reply]) == []
    assert to_openai([request, reply])[1]["tool_call_id"] == "call_1"
    assert m.mend([request, m.user_message("?"), reply])[1].approvals[0].tool_call_id == "call_1"


@instead_of(answer_approval, "the two styles may contradict each other")
def test_an_answer_that_contradicts_itself_is_refused():
    said = {"approve": False, "approval_request_id": "message-1", "reason": "top"}

    with pytest.raises(InputError, match="contradicts itself"):
        answer_approval(AGENT, {**said, "approvals": [{"type": "approval", "tool_call_id": "1", "approve": True}]})


@instead_of(answer_approval, "accepted: a response which answers nothing", "raises a bare TypeError")
@pytest.mark.parametrize("given", [{"approvals": []}, {"approvals": None}, {}])
def test_an_answer_that_decides_nothing_is_refused(given):
    with pytest.raises(InputError, match="answers nothing"):
        answer_approval(AGENT, given)


# Chat requests


@instead_of(read_request, "everything before the last message is dropped", "the sender's name is dropped")
def test_the_name_is_kept_and_a_whole_conversation_can_be_read():
    chat = [{"role": "user", "content": "first"}, {"role": "assistant", "content": "a"}]
    last = {"role": "user", "content": "second", "name": "ann"}

    assert [x.text for x in from_openai([*chat, last])] == ["first", "a", "second"]
    (only,) = read_request({"messages": [*chat, last]})
    assert (only.content, only.name) == ((TextPart(text="second"),), "ann")


@instead_of(read_request, "raises a bare IndexError", "raises a bare TypeError", "raises a bare KeyError")
@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], "must not be empty"),
        ("hello", "must be a list of messages, not str"),
        ([{"role": "user"}], "'messages\\[-1\\].content' must be a 'string'"),
        ([{"content": "x"}], "'messages\\[-1\\].role' must be a 'user'"),
    ],
)
def test_a_malformed_request_gets_a_clear_answer(messages, text):
    with pytest.raises(compat.ChatRequestError, match=text) as caught:
        read_request({"messages": messages})

    assert caught.value.status_code == 400


# Frames and streams


@instead_of(compat.sse_formatter, "the frame is not one event: a line break in the text ends the data field")
@instead_of(stream, "the text is cut into several events")
async def test_text_with_line_breaks_is_one_event_with_a_line_each():
    assert compat.sse_formatter("one\n\nthree") == "data: one\ndata: \ndata: three\n\n"
    assert await read(stream(source("a\n\nb"))) == ["data: a\ndata: \ndata: b\n\n", END]


@instead_of(compat.sse_formatter, "the payload is not valid JSON", "values outside JSON raise")
@instead_of(
    stream,
    "a model with a non-JSON field ends the stream with the decoder error",
    "a non-string enum inside a model ends the stream",
)
async def test_times_enums_and_nan_have_their_json():
    class Event(BaseModel):
        at: datetime
        status: Enum

    at, status = datetime(2026, 1, 2, tzinfo=UTC), Enum("Status", {"ONE": "x"}).ONE
    frame = 'data: {"at":"2026-01-02T00:00:00Z","status":"x"}\n\n'

    assert await read(stream(source(Event(at=at, status=status)))) == [frame, END]
    assert compat.sse_formatter({"at": at, "status": status}) == frame
    assert compat.sse_formatter({"x": float("nan")}) == 'data: {"x":null}\n\n'


@instead_of(compat.sse_formatter, "subclasses of dict and str are refused")
@instead_of(
    stream,
    "a dict subclass ends the stream with the decoder error",
    "non-dict values are sent as their Python text, not as JSON",
)
async def test_subclasses_are_what_they_extend_and_plain_values_are_json():
    class Text(str):
        __slots__ = ()

    frames = await read(stream(source(OrderedDict(a=1), Text("t"), None, [1, "a"])))

    assert frames == ['data: {"a":1}\n\n', "data: t\n\n", "data: null\n\n", 'data: [1,"a"]\n\n', END]
    assert [compat.sse_formatter(OrderedDict(a=1)), compat.sse_formatter(Text("t"))] == frames[:2]


@instead_of(stream, "raised by the source, the error loses its code; raised by the usage task, it keeps it")
@pytest.mark.parametrize("error", [ContextWindowError("too long"), RateLimitError("slow down")])
async def test_an_error_keeps_its_code_wherever_it_was_raised(error):
    async def fail() -> None:
        raise error

    from_source, from_usage = await read(stream(source(error))), await read(stream(source(), fail()))

    assert from_source == from_usage
    assert json.loads(from_source[0][6:]) == {"error": f"Stream failed: {error.code}: {error}", "code": error.code}


@instead_of(stream, "after a failure of the source the usage task is neither awaited nor reported")
async def test_the_usage_of_a_stream_that_failed_is_told():
    async def use() -> compat.LettaUsageStatistics:
        return compat.LettaUsageStatistics(total_tokens=357)

    _, usage, end = await read(stream(source(ContextWindowError("too long")), asyncio.create_task(use())))

    assert json.loads(usage[6:])["total_tokens"] == 357
    assert end == END


@instead_of(stream, "the finish frame is sent before the cancellation propagates")
async def test_a_source_that_was_cancelled_is_told_to_a_reader_who_is_still_there():
    told, end = await read(stream(source(asyncio.CancelledError())))

    assert json.loads(told[6:])["code"] == "CANCELLED"
    assert end == END


@instead_of(stream, "closing the stream early raises, because the finish frame is sent while closing")
async def test_a_stream_can_be_closed_early():
    frames = stream(source("a", "b"))

    assert await anext(frames) == "data: a\n\n"
    await frames.aclose()
    assert await read(frames) == []


@instead_of(
    stream,
    "without a first chunk the span is never ended",
    "raises before the first frame, and no finish frame is sent",
)
async def test_the_first_token_needs_neither_a_model_nor_a_token():
    with observed() as seen:
        assert await read(stream(source(), request_start_timestamp_ns=0)) == [END]

    assert [span.name for span in seen.spans] == ["time_to_first_token"]
    assert seen.times() == []


def test_an_error_goes_to_sentry_only_when_its_address_is_set(monkeypatch):
    monkeypatch.delenv("SENTRY_DSN", raising=False)

    assert compat.capture_sentry_exception(ValueError("x")) is None
