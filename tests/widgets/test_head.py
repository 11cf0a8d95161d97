"""The head of a trace view: its times are those of `runs_df`, its sums are missing where a part is."""

from __future__ import annotations

import asyncio

import pandas as pd
import pytest

from agentlab import (
    Agent,
    ApprovalPolicy,
    ApprovalRule,
    Ask,
    Callback,
    Judge,
    Limits,
    Price,
    ScriptedModel,
    call,
    tool,
)
from agentlab.analysis.frames import runs_df
from agentlab.trace.events import ToolReturned
from agentlab.trace.trace import Trace
from agentlab.trace.words import MISSING
from agentlab.widgets.feed import Feed
from agentlab.widgets.head import BINS, Heads
from agentlab.widgets.live_run import LiveRun
from tests.factories import Story
from tests.widgets.traces import long_trace


@tool
async def slow() -> str:
    """Take a moment."""
    await asyncio.sleep(0.02)
    return "done"


@tool
async def asked() -> str:
    """Take a moment when allowed."""
    await asyncio.sleep(0.01)
    return "done"


PERSON = Ask(attended=True)
JUDGE = Judge(ScriptedModel(["ESCALATE"] * 3, ttft_s=0.05))
POLICY = ApprovalPolicy(
    rules=(ApprovalRule(tool="slow", decide="approve"), ApprovalRule(decide="ask")), approvers=(PERSON,)
)


async def decided_run(**settings):
    script = [call("slow") + call("slow") + call("asked"), "Done."]
    agent = Agent(ScriptedModel(script), [slow, asked], approval=POLICY, **settings)
    run = agent.run("go", tags={"task": "t1"})
    async for event in run:
        if event.type == "approval_requested":
            await asyncio.sleep(0.03)
            run.approve(event.call_id)
    return await run


def facts(head):
    return {name: value for name, value, *_ in head["facts"]}


async def test_model_tool_and_human_time_are_those_of_the_frame():
    run = await decided_run()
    strip = Heads(run.trace).strip({1: 0, 2: 9}.__getitem__)
    frame = run.runs_df().iloc[0]
    for n, name in ((3, "model_s"), (4, "tool_s"), (5, "human_s")):
        assert sum(bar[n] for bar in strip["bins"]) == pytest.approx(frame[name], abs=1e-9), name
    assert [bar[:2] for bar in strip["bins"]] == [[0, 1], [9, 2]]
    assert strip["bins"][0][2].startswith("Step 1: model ")


async def test_the_head_says_how_the_run_stands():
    run = await decided_run()
    head = Heads(run.trace).head(now_ns=None, stoppable=False, pending=0)
    assert (head["title"], head["status"], head["tone"]) == ("agent", "end_turn", "good")
    assert facts(head)["steps"] == "2"
    assert "task=t1" in head["note"]
    waiting = Heads(run.trace).head(now_ns=None, stoppable=True, pending=2)
    assert (waiting["status"], waiting["tone"]) == ("waits for you", "warn")


async def test_cost_is_told_where_a_price_is_known_and_missing_where_tokens_are():
    priced = await decided_run(limits=Limits(price=Price(input_usd=1e6, output_usd=0)))
    used = priced.usage.input_tokens
    assert facts(Heads(priced.trace).head(now_ns=None, stoppable=False, pending=0))["cost"] == f"${used:.4f}"
    unpriced = await decided_run()
    assert "cost" not in facts(Heads(unpriced.trace).head(now_ns=None, stoppable=False, pending=0))


def test_a_head_drawn_again_as_the_run_goes_on_is_the_head_of_the_whole():
    trace, growing = long_trace(40), Trace()
    heads = Heads(growing)
    for event in trace.events:
        growing.append(event)
        if event.type == "step_finished":
            heads.head(now_ns=None, stoppable=False, pending=0)
    ended = {"now_ns": None, "stoppable": False, "pending": 0}
    assert heads.head(**ended) == Heads(trace).head(**ended)


def test_a_strip_holds_although_steps_begin_while_it_is_drawn():
    trace = long_trace(400)
    growing, rest = Trace(trace.events[:20]), iter(trace.events[20:])

    class Racing(Heads):
        def _settle(self) -> None:
            super()._settle()
            for event in rest:  # as from another thread
                growing.append(event)
                if event.type == "step_started":
                    break

    racing = Racing(growing)
    for _ in range(20):
        n_begun = len(growing.steps)
        assert len(racing.strip(lambda step: step)["bins"]) >= n_begun
    for event in rest:
        growing.append(event)
    assert racing.strip(lambda step: step) == Heads(growing).strip(lambda step: step)


async def hands_on(call):
    """Take a moment over a call."""
    await asyncio.sleep(0.03)


def without_open_questions(trace):
    waiting = {record.call_id for record in trace.waiting}
    return Trace([event for event in trace.events if getattr(event, "call_id", None) not in waiting])


@pytest.mark.parametrize("approvers", [(JUDGE, PERSON), (Callback(hands_on), PERSON)])
async def test_the_times_of_a_run_that_goes_on_are_those_of_the_frame_at_every_event(approvers):
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=approvers)
    script = [call("asked") + call("slow"), call("slow"), "Done."]
    run = Agent(ScriptedModel(script), [asked, slow], approval=policy).run("go")
    feed = Feed(run.trace, LiveRun(run), lambda *_, **__: None)
    n_looks, n_decided = 0, 0
    while run.status == "running":
        await asyncio.sleep(0.004)
        feed.flush()
        bars, open_at_desk = feed.snapshot()["strip"]["bins"], run.pending
        if not open_at_desk:  # a question that no person has yet is no time of people: the frame of all but it
            n_looks += 1
            frame = runs_df(without_open_questions(run.trace)).iloc[0]
            for n, name in ((3, "model_s"), (4, "tool_s"), (5, "human_s")):
                told_s = sum(bar[n] for bar in bars)
                assert pd.isna(frame[name]) or told_s == pytest.approx(frame[name], abs=1e-9), (name, n_looks)
        else:
            n_decided += 1
            run.approve(open_at_desk[0].call_id)
    assert (n_decided, n_looks > 1) == (3, True)
    ended = runs_df(run.trace).iloc[0]
    told_s = [sum(bar[n] for bar in Heads(run.trace).strip(lambda step: 0)["bins"]) for n in (3, 4, 5)]
    assert told_s == pytest.approx([ended["model_s"], ended["tool_s"], ended["human_s"]], abs=1e-9)
    assert told_s[2] > 0


def test_a_person_who_is_asked_second_is_waited_for_from_then_on():
    story = Story().step(finished=False)
    story.ask("call-1", "delete")
    story.wait(4.0).decide("call-1", "delete", "escalate", approver="judge", approver_kind="model")
    trace = story.trace(live=True)
    (bar,) = Heads(trace).strip(lambda step: 0, now_ns=trace.events[-1].t_ns + 3_000_000_000, asked={"call-1"})["bins"]
    assert bar[5] == 3.0
    story.wait(3.0).decide("call-1", "delete")
    trace = story.end()
    (bar,) = Heads(trace).strip(lambda step: 0)["bins"]
    assert bar[5] == runs_df(trace).iloc[0]["human_s"] == 3.0


@pytest.mark.parametrize("handed_on", [False, True])
@pytest.mark.parametrize("came_back", [False, True])
def test_a_question_that_nobody_answered_counts_as_in_the_frame(handed_on, came_back):
    story = Story().step(finished=False)
    story.ask("call-1", "delete")
    story.wait(4.0)
    if handed_on:
        story.decide("call-1", "delete", "escalate", approver="judge", approver_kind="model")
    story.wait(3.0)
    if came_back:
        story.emit(ToolReturned, call_id="call-1", tool="delete", status="error", text="cancelled")
    story.wait(1.0)
    going_on, trace = story.trace(live=True), story.end("cancelled")
    told_s = [Heads(each).strip(lambda step: 0)["bins"][0][5] for each in (going_on, trace)]
    assert told_s[1] == runs_df(trace).iloc[0]["human_s"] == (3.0 if handed_on else 7.0) + (not came_back)
    assert told_s[0] == (told_s[1] if came_back else 0.0)


async def test_the_time_in_which_a_person_is_waited_for_grows_in_the_strip():
    run = Agent(ScriptedModel([call("asked"), "Done."]), [asked], approval=POLICY).run("go")
    async for event in run:
        if event.type == "approval_requested":
            later_ns = event.t_ns + 5_000_000_000
            (bar,) = Heads(run.trace).strip(lambda step: 0, now_ns=later_ns, asked={event.call_id})["bins"]
            assert bar[5] == 5.0
            (bar,) = Heads(run.trace).strip(lambda step: 0, now_ns=later_ns)["bins"]
            assert bar[5] == 0.0, "the approver who has the call is no person"
            run.deny(event.call_id)


def test_a_strip_drawn_again_as_the_run_goes_on_is_the_strip_of_the_whole():
    trace, growing = long_trace(BINS * 2 + 50, messages_per_step=1), Trace()
    heads = Heads(growing)
    for n, event in enumerate(trace.events):
        growing.append(event)
        if n % 7 == 0:
            assert heads.strip(lambda step: step) == Heads(growing).strip(lambda step: step)
    assert heads.strip(lambda step: step) == Heads(trace).strip(lambda step: step)


def test_a_long_run_has_a_strip_of_bounded_length_that_loses_no_time():
    trace = long_trace(2_000, messages_per_step=2)
    assert len(trace.steps) > BINS
    strip = Heads(trace).strip(lambda step: 0)
    assert len(strip["bins"]) <= BINS
    assert strip["bins"][0][2].startswith("Steps 1 to ")
    assert sum(sum(bar[3:6]) for bar in strip["bins"]) == pytest.approx(strip["total_s"])


def test_a_trace_without_its_beginning_has_a_head_too():
    head = Heads(Trace()).head(now_ns=None, stoppable=False, pending=0)
    assert head["title"] == "A trace without its beginning"
    assert facts(head)["elapsed"] == MISSING
