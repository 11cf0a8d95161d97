from __future__ import annotations

import pytest

import agentlab
from agentlab import Agent, ScriptedModel, call, say, think, tool
from agentlab.messages import envelopes
from agentlab.messages.message import ApprovalReturn, FunctionCall, ToolCall, ToolReturn
from agentlab.messages.parts import (
    Base64Image,
    ImagePart,
    OmittedReasoningPart,
    ReasoningPart,
    SummarizedReasoningPart,
    SummaryEntry,
    TextPart,
    UrlImage,
)
from agentlab.trace._items import Called, Decided, Failed, Item, Said, Thought, Told, items_of
from agentlab.trace._sections import Sections
from agentlab.trace.trace import Trace
from tests.trace.building import Building


def items(trace: Trace) -> list[Item]:
    return [item for section in Sections(trace) for item in items_of(section, trace)]


def only(trace: Trace, kind: type[Item]) -> list[Item]:
    return [item for item in items(trace) if isinstance(item, kind)]


@tool
def look(place: str) -> str:
    """Look at a place."""
    if place == "nowhere":
        raise ValueError("nothing there")
    return f"a {place}"


async def traces_of_an_agent(protocol: str) -> list[Trace]:
    """A run with parallel, failing, malformed and unknown calls, and a second one that goes on from it."""
    answer = call("send_message", message="A barn.") if protocol == "memgpt" else say("A barn.")
    asks = True if protocol == "memgpt" else None
    script = [
        think("Let me see.") + call("look", place="barn", heartbeat=asks) + call("look", place="nowhere"),
        call("look", '{"place": '),
        call("fly"),
        answer,
    ]
    with agentlab.frozen():
        first = await Agent(ScriptedModel(script), [look], protocol=protocol).run("What is there?")
        second = await Agent(ScriptedModel([*script, answer]), [look], protocol=protocol).run("Sure?", history=first)
    return [first.trace, second.trace]


@pytest.mark.parametrize("protocol", ["memgpt", "native"])
async def test_items_stand_for_each_message_once(protocol: str) -> None:
    for trace in await traces_of_an_agent(protocol):
        assert trace.stop_reason == "end_turn"
        assert sum(item.messages for item in items(trace)) == len(trace.entries)


@pytest.mark.parametrize("protocol", ["memgpt", "native"])
async def test_calls_of_the_history_are_joined_with_their_returns(protocol: str) -> None:
    _, second = await traces_of_an_agent(protocol)
    history = next(section for section in Sections(second) if section.kind == "history")

    calls = [item for item in items_of(history, second) if isinstance(item, Called)]

    assert [(c.tool, c.status) for c in calls[:4]] == [
        ("look", "success"),
        ("look", "error"),
        ("look", "error"),
        ("fly", "error"),
    ]
    assert calls[0].returned == "a barn"
    assert all(c.duration_s is None for c in calls)


def test_what_the_user_wrote_and_what_came_back_is_taken_out_of_its_envelope() -> None:
    build = Building().user("How warm?").begin().asks(("c1", "weather", '{"place": "Oslo"}'))
    trace = build.runs("c1", "weather", '{"place": "Oslo"}').returns("c1", "weather", "4 degrees").stops()

    said, called = only(trace, Said)[0], only(trace, Called)[0]

    assert said == Said("user", "How warm?", 1)
    assert called == Called("weather", '{"place": "Oslo"}', "success", "4 degrees", duration_s=0.02, messages=2)


def test_json_that_a_user_typed_is_no_envelope_in_a_native_run() -> None:
    typed = envelopes.heartbeat("wake up")
    trace = Building(protocol="native").message("input", "user", typed).finish()

    assert items(trace) == [Said("user", typed, 1)]


def test_an_alert_is_no_word_of_the_user() -> None:
    trace = Building().message("input", "user", envelopes.system_alert("Memory is full.")).finish()

    assert items(trace) == [Told("system alert", "Memory is full.", 1)]


def test_a_message_to_the_user_is_told_from_the_call_that_sent_it() -> None:
    arguments = '{"message": "Four.", "request_heartbeat": false}'
    build = Building().begin().asks(("c1", "send_message", arguments), thoughts="Easy.")
    trace = build.runs("c1", "send_message", '{"message": "Four."}').returns("c1", "send_message", "None").stops()

    assert items(trace)[:3] == [
        Thought("inner thoughts", "Easy.", 1),
        Said("agent", "Four."),
        Called("send_message", None, "success", duration_s=0.02, messages=1),
    ]


def test_a_message_that_failed_did_not_reach_the_user() -> None:
    build = Building().begin().asks(("c1", "send_message", '{"message": "Four."}'))
    trace = build.returns("c1", "send_message", "no", error="CancelledError").finish("cancelled")

    assert only(trace, Said) == []
    assert only(trace, Called)[0].arguments == '{"message": "Four."}'


def test_the_text_of_a_native_agent_is_what_the_user_reads() -> None:
    trace = Building(protocol="native").begin().asks(thoughts="Four.").stops()

    assert items(trace)[0] == Said("agent", "Four.", 1)


def test_a_call_that_was_refused_never_ran() -> None:
    build = Building().begin().asks(("c1", "weather", '{"place": '))
    trace = build.returns("c1", "weather", "no JSON", error="ToolArgumentError").stops()

    called = only(trace, Called)[0]

    assert (called.ran, called.duration_s, called.error_type) == (False, None, "ToolArgumentError")
    assert called.arguments == '{"place": '


@pytest.mark.parametrize("asked", ["true", '"True"', "1"])
def test_a_wish_for_a_heartbeat_is_seen(asked: str) -> None:
    trace = Building().begin().asks(("c1", "weather", f'{{"request_heartbeat": {asked}}}')).stops()

    assert only(trace, Called)[0].heartbeat


def test_a_decision_stands_for_its_heartbeat() -> None:
    trace = Building().begin().goes_on("because").trace

    decided = items(trace)[-1]

    assert isinstance(decided, Decided)
    assert (decided.decision.reason, decided.messages) == ("because", 1)


def test_a_heartbeat_without_a_decision_is_told() -> None:
    trace = Building().message("history", "user", envelopes.heartbeat("wake up")).finish()

    assert items(trace) == [Told("heartbeat", "wake up", 1)]


def test_a_call_whose_message_was_lost_is_still_shown() -> None:
    trace = Building().begin().runs("c1", "weather", "{}").trace

    assert items(trace) == [Called("weather", "{}", "running")]


def test_one_message_may_answer_several_calls() -> None:
    returns = tuple(ToolReturn(tool_call_id=f"c{n}", status="success", func_response=str(n)) for n in (1, 2))
    build = Building().begin().asks(("c1", "one", "{}"), ("c2", "two", "{}"))
    trace = build.message("tool", "tool", (), tool_returns=returns).stops()

    calls = only(trace, Called)

    assert [(c.tool, c.returned, c.messages) for c in calls] == [("one", "1", 2), ("two", "2", 0)]


def test_a_return_without_its_call_is_shown_alone() -> None:
    trace = Building().message("history", "tool", "4", tool_call_id="gone", name="weather").finish()

    assert items(trace) == [Called("weather", None, "success", "4", messages=1)]


def test_a_message_that_answers_a_call_and_a_stranger_counts_once() -> None:
    returns = tuple(ToolReturn(tool_call_id=i, status="success", func_response=i) for i in ("gone", "c1"))
    trace = Building().begin().asks(("c1", "one", "{}")).message("tool", "tool", (), tool_returns=returns).stops()

    assert [(c.tool, c.returned, c.messages) for c in only(trace, Called)] == [("one", "c1", 2), ("?", "gone", 0)]


def test_every_kind_of_reasoning_is_a_thought() -> None:
    parts = (
        ReasoningPart(is_native=True, reasoning="Hm."),
        SummarizedReasoningPart(id="r", summary=(SummaryEntry(index=0, text="A"), SummaryEntry(index=1, text="B"))),
        OmittedReasoningPart(),
    )
    trace = Building().begin().asks(thoughts=parts).stops()

    assert [(t.label, t.text) for t in only(trace, Thought)] == [
        ("reasoning", "Hm."),
        ("reasoning, summarised", "A\n\nB"),
        ("reasoning, not shown by the provider", ""),
    ]


def test_pictures_are_told_of_and_never_shown() -> None:
    pictures = (
        TextPart(text="Look:"),
        ImagePart(source=UrlImage(url="https://example.org/a.png")),
        ImagePart(source=Base64Image(media_type="image/png", data="AAAA")),
    )
    trace = Building(protocol="native").message("input", "user", pictures).finish()

    assert items(trace)[0].text == (
        "Look:\n\n[picture: at https://example.org/a.png, not fetched]\n\n[picture: image/png, 4 base64 characters]"
    )


def test_newer_system_messages_and_errors_before_the_first_step_are_shown() -> None:
    early = Building().message("system", "system", "Be brief.").fails("ValueError", "no model").trace
    later = Building().begin().message("system", "system", "Be long.").trace

    assert items(early)[0] == Told("system message", "Be brief.", 1)
    assert isinstance(items(early)[1], Failed)
    assert items(later) == [Told("system message, new version", "Be long.", 1)]


def test_approvals_of_a_history_are_told() -> None:
    request = {"tool_calls": (ToolCall(id="c1", function=FunctionCall(name="pay", arguments="{}")),)}
    replies = (ApprovalReturn(tool_call_id="c1", approve=False, reason="too much"),)
    build = Building().message("history", "approval", (), **request)
    trace = build.message("history", "approval", (), approvals=replies).finish()

    assert items(trace) == [Called("pay", "{}", "unanswered", messages=1), Told("approval", "c1: denied (too much)", 1)]
