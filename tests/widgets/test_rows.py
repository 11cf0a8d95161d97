"""The rows of a trace view: every item has one, long texts are cut and can be had whole, frames' rows are found."""

from __future__ import annotations

import json

import pytest

from agentlab import Agent, ApprovalPolicy, ApprovalRule, OnFailure, Script, ScriptedModel, call, say, think, tool
from agentlab.errors import InputError
from agentlab.messages.message import FunctionCall, ToolCall
from agentlab.trace.events import ToolStarted
from agentlab.trace.trace import Trace
from agentlab.widgets.rows import TEXT_CHARS, Rows, _cut, _cut_json, row_of, search_in
from tests.factories import Story, reply
from tests.factories import tool as plan_of


@tool
def search(q: str) -> str:
    """Find."""
    if q == "fail":
        raise ValueError("nothing there")
    return f"found {q} " * 3


async def run_of(*script, text="look", **settings):
    return await Agent(ScriptedModel(script), [search], **settings).run(text)


TWO_STEPS = (think("Hm.") + say("I will.") + call("search", q="cats"), "Found two.")


async def test_every_step_has_a_heading_and_a_row_for_all_that_happened():
    rows = Rows((await run_of(*TWO_STEPS)).trace)
    assert rows.kinds == "uSracdSad"
    assert [rows.step_of(n) for n in range(len(rows))] == [0, *[1] * 5, *[2] * 3]
    shown = rows.rows(0, len(rows))
    assert [row.get("text") for row in shown if row["k"] in "ura"] == ["look", "Hm.", "I will.", "Found two."]
    assert shown[1]["title"] == "Step 1"
    assert [name for name, *_ in shown[1]["facts"]] == ["tokens", "TTFT", "took"]
    called = shown[4]
    assert (called["title"], called["status"], called["args"]) == ("search", "success", '{"q": "cats"}')
    assert called["ret"].startswith("found cats")


async def test_a_failed_call_and_a_denied_one_say_so():
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Script(True, "not today"),))
    run = await run_of(call("search", q="fail"), call("search", q="x"), "Done.", approval=policy, heartbeat=OnFailure())
    first, second = (row for row in Rows(run.trace).rows(0, 99) if row["k"] == "c")
    assert (first["status"], first["error"]) == ("error", "ValueError")
    assert (second["note"], second["approval"]) == ("never ran", "denied by script: not today")


async def test_a_long_text_is_cut_and_can_be_had_whole():
    long = "all of it. " * 1_000
    rows = Rows((await run_of(long)).trace)
    number = rows.kinds.index("a")
    row = rows.row(number)
    assert len(row["text"]) == TEXT_CHARS
    assert row["text_more"] == len(long) - TEXT_CHARS
    assert row_of(rows.entry(number), None)["text"] == long


async def test_the_last_rows_can_be_made_again_when_more_has_happened():
    trace = (await run_of(*TWO_STEPS)).trace
    whole = Rows(trace)
    n_events = len(trace.events) // 2
    grows = Trace(trace.events[:n_events])
    partly = Rows(grows)
    for event in trace.events[n_events:]:
        grows.append(event)
    first = partly.renew(1)
    assert (first, partly.kinds) == (1, whole.kinds)
    assert partly.rows(0, 99) == whole.rows(0, 99)
    assert partly.renew(7) == len(partly), "no such step has begun"
    assert partly.rows(0, 99) == whole.rows(0, 99)


async def test_rows_are_the_same_in_whatever_order_they_are_asked_for():
    first = await run_of(call("search", q="a") + call("search", q="fail"), "Two.")
    script = [call("search", q="b"), "Three."]
    trace = (await Agent(ScriptedModel(script), [search]).run("again", history=first)).trace
    rows = Rows(trace)
    turn = rows.rows(0, len(rows))
    assert [row["k"] for row in turn] == list(rows.kinds)
    assert [rows.row(n) for n in reversed(range(len(rows)))] == turn[::-1]
    for number in (-1, len(rows)):
        with pytest.raises(IndexError):
            rows.row(number)


async def test_the_rows_of_a_step_that_goes_on_are_those_that_were_told():
    whole = (await run_of(*TWO_STEPS)).trace
    n_called = next(n for n, event in enumerate(whole.events) if event.type == "tool_started") + 1
    trace = Trace(whole.events[:n_called], live=True)
    rows = Rows(trace)
    told, kinds = Rows(trace).rows(2, 99), rows.kinds
    for event in whole.events[n_called:]:
        trace.append(event)
    assert (rows.rows(2, 99), rows.kinds) == (told, kinds)
    assert rows.read_texts(99)
    rows.renew(1)
    assert rows.kinds == Rows(whole).kinds != kinds
    assert rows.read_texts(99)
    assert search_in(rows.texts(), "found two", 9)[0] == [rows.kinds.rindex("a")], (
        "texts of rows made again are read again"
    )


async def test_tools_are_told_once_and_by_row():
    rows = Rows((await run_of(call("search", q="a") + call("search", q="b"), call("nothing", x=1), "Done.")).trace)
    calls = [n for n, kind in enumerate(rows.kinds) if kind == "c"]
    assert rows.tools(0) == (["search", "nothing"], [(calls[0], 0), (calls[1], 0), (calls[2], 1)])
    assert rows.tools(calls[2])[1] == [(calls[2], 1)]


async def test_a_text_is_found_in_any_case_and_the_number_of_hits_is_limited():
    rows = Rows((await run_of(*TWO_STEPS)).trace)
    assert not rows.read_texts(len(rows) - 1)
    assert rows.read_texts(1)
    assert search_in(rows.texts(), "FOUND", 10) == ([rows.kinds.index("c"), len(rows) - 2], False)
    assert search_in(rows.texts(), "found", 1) == ([rows.kinds.index("c")], True)
    assert search_in(rows.texts(), "elephants", 10) == ([], False)


async def test_the_row_of_a_frame_is_found():
    run = await run_of(*TWO_STEPS)
    rows = Rows(run.trace)
    messages, calls, steps = run.messages_df(), run.tool_calls_df(), run.steps_df()
    of_answer = rows.of_frame_row(messages[messages.text == "Found two."].iloc[0])
    assert rows.row(of_answer)["text"] == "Found two."
    assert rows.kinds[rows.of_frame_row(calls.iloc[0])] == "c"
    assert rows.row(rows.of_frame_row(steps.iloc[1]))["title"] == "Step 2"


async def test_a_heartbeat_is_found_in_the_decision_that_tells_its_reason():
    script = [call("search", q="a", request_heartbeat=True), call("send_message", message="Done.")]
    run = await Agent(ScriptedModel(script), [search], protocol="memgpt").run("go")
    messages = run.messages_df()
    (heartbeat,) = (row for _, row in messages.iterrows() if row["source"] == "heartbeat")
    rows = Rows(run.trace)
    assert rows.row(rows.of_frame_row(heartbeat))["label"] == "goes on"


async def test_a_row_of_another_run_is_refused_by_name():
    run, other = await run_of("Hi."), await run_of("Ho.")
    with pytest.raises(InputError, match=f"is of run '{other.id}'"):
        Rows(run.trace).of_frame_row(other.steps_df().iloc[0])
    with pytest.raises(InputError, match="there is no step 7"):
        Rows(run.trace).of_frame_row({"step": 7})
    with pytest.raises(InputError, match="takes a row of a frame"):
        Rows(run.trace).of_frame_row(5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is no step"):
        Rows(run.trace).of_frame_row({})


async def test_an_inherited_conversation_has_a_heading_of_its_own():
    first = await run_of("One.")
    agent = Agent(ScriptedModel(["One.", "Two."]), [search])
    second = await agent.run("again", history=first)
    rows = Rows(second.trace)
    assert rows.kinds == "SuauSad"
    assert rows.row(0)["facts"] == [["", "2 messages"]]


WORDS = "correct horse battery staple"
KEY = "sk-abcdefghijklmnopqrstuvwxyz123456"


@tool
def login(password: str, note: str = "") -> str:
    """Log in."""
    return json.dumps({"password": password, "note": note})


async def test_a_password_is_taken_out_before_a_long_text_is_cut():
    run = await Agent(ScriptedModel([call("login", password=WORDS, note="n " * 20_000), "Done."]), [login]).run("x")
    rows = Rows(run.trace)
    number = rows.kinds.index("c")
    row = rows.row(number)
    assert row["args_more"] > 0 < row["ret_more"]
    shown = (row["args"], row["ret"], row_of(rows.entry(number), None)["args"], run._repr_html_(), str(run))
    for text in shown:
        assert "[redacted]" in text
        assert not any(word in text for word in WORDS.split())


def test_no_piece_of_a_key_is_left_where_a_text_is_cut():
    for start in range(TEXT_CHARS - len(KEY) - 1, TEXT_CHARS + 2):
        text = "x" * (start - 1) + " " + KEY + " tail"
        for row in (_cut("text", text, TEXT_CHARS), _cut_json("args", json.dumps([text]), TEXT_CHARS)):
            assert KEY[:6] not in str(row), start
        assert _cut("text", text, None) == {"text": text.replace(KEY, "[redacted]")}


def test_tools_and_first_rows_made_again_at_every_event_are_those_of_the_whole():
    story = Story()
    for names in (["search"], ["delete", "search"], [], ["look", "delete", "look"]):
        story.step(reply(calls=names), *map(plan_of, names))
    story.step(finished=False)
    for name in ("zip", "ask"):
        story.emit(ToolStarted, call_id=f"late-{name}", tool=name, arguments="{}")
    late = [ToolCall(id=f"late-{name}", function=FunctionCall(name=name, arguments="{}")) for name in ("ask", "zip")]
    story.say("assistant", source="model", tool_calls=tuple(late))  # the calls change places
    events = story.end().events
    trace = Trace()
    rows = Rows(trace)
    for event in events:
        trace.append(event)
        rows.renew(event.step)
        whole = Rows(trace)
        assert rows.kinds == whole.kinds
        calls = [number for number, kind in enumerate(rows.kinds) if kind == "c"]
        names, of_rows = rows.tools(0)
        assert (names, of_rows) == whole.tools(0)
        assert [(number, names[place]) for number, place in of_rows] == [
            (number, rows.row(number)["title"]) for number in calls
        ]
        for first in range(len(rows) + 1):
            assert rows.tools(first) == (names, [pair for pair in of_rows if pair[0] >= first])
        heads = [number for number, kind in enumerate(rows.kinds) if kind == "S"]
        assert [rows.first_of_step(step.number) for step in trace.steps] == heads
    assert rows.tools(0)[0] == ["search", "delete", "look", "ask", "zip"]
    assert rows.first_of_step(99) == 0
