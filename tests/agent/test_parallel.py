"""Several calls in one reply: who runs beside whom, whose return comes first, and what one failure costs the others."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from agentlab import (
    Agent,
    ApprovalPolicy,
    ApprovalRule,
    Ask,
    MaxCount,
    ScriptedModel,
    ToolError,
    call,
    clock,
    tool,
)
from agentlab.messages.history import lint

BOTH = pytest.mark.parametrize("protocol", ["native", "memgpt"])


@tool(parallel=True)
async def fetch(name: str, seconds: float) -> str:
    """Fetch something; may run beside others."""
    await clock.sleep(seconds)
    if name == "bad":
        raise ToolError("no such page")
    return name


@tool
async def edit(name: str, seconds: float) -> str:
    """Change something; alone."""
    await clock.sleep(seconds)
    return name


def batch(*calls: tuple[str, str, float]) -> Any:
    first, *rest = [call(kind, name=name, seconds=seconds) for kind, name, seconds in calls]
    for each in rest:
        first = first + each
    return first


async def run_batch(*calls: tuple[str, str, float], protocol: str = "native", **settings: Any) -> Any:
    after = call("send_message", message="Done.") if protocol == "memgpt" else "Done."
    with clock.frozen():
        run = await Agent(ScriptedModel([batch(*calls), after]), [fetch, edit], protocol=protocol, **settings).run("x")
    assert lint(run.messages) == []
    return run


def spans(run: Any) -> list[tuple[float, float]]:
    """From when to when each call of the first reply ran, in their order [s]."""
    asking = next(m for m in run.messages if m.tool_calls)
    records = [run.trace.tool_calls[each.id] for each in asking.tool_calls]
    return [(r.started.t_ns / 1e9, r.returned.t_ns / 1e9) for r in records]


def order(run: Any) -> list[str]:
    """What the model reads, in its order."""
    return [m.text for m in run.messages if m.role == "tool"]


@BOTH
async def test_tools_that_allow_it_run_at_the_same_time(protocol):
    run = await run_batch(("fetch", "a", 30), ("fetch", "b", 20), ("fetch", "c", 10), protocol=protocol)

    assert spans(run) == [(0, 30), (0, 20), (0, 10)]
    assert run.steps[0].duration_s == 30


async def test_returns_come_in_the_order_of_the_calls_whoever_was_first():
    run = await run_batch(("fetch", "a", 30), ("fetch", "b", 20), ("fetch", "c", 10))

    assert order(run) == ["a", "b", "c"]
    returned = [event.call_id for event in run.trace if event.type == "tool_returned"]
    calls = [c.id for c in run.messages[1].tool_calls]
    assert returned == calls[::-1], "the trace keeps when each came back"
    assert [m.tool_call_id for m in run.messages if m.role == "tool"] == calls


async def test_tools_that_do_not_allow_it_run_one_after_the_other_in_the_order_of_the_calls():
    run = await run_batch(("edit", "a", 30), ("edit", "b", 20), ("edit", "c", 10))

    assert spans(run) == [(0, 30), (30, 50), (50, 60)]
    assert order(run) == ["a", "b", "c"]


async def test_the_two_kinds_mix():
    run = await run_batch(("edit", "a", 10), ("fetch", "b", 25), ("edit", "c", 10), ("fetch", "d", 5))

    assert spans(run) == [(0, 10), (0, 25), (10, 20), (0, 5)]
    assert order(run) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("kind", ["fetch", "edit"])
async def test_one_that_fails_does_not_lose_the_others(kind):
    run = await run_batch((kind, "a", 10), ("fetch", "bad", 5), (kind, "c", 20))

    assert order(run) == ["a", "Error: no such page", "c"]
    assert [record.status for record in run.trace.tool_calls.values()] == ["success", "error", "success"]
    assert run.text == "Done."


async def test_calls_that_cannot_run_are_answered_beside_those_that_can():
    reply = call("fetch", name="a", seconds=1) + call("fetch", name="b") + call("nope") + call("fetch", '{"name": ')
    run = await Agent(ScriptedModel([reply, "Done."]), [fetch]).run("x")

    assert [record.status for record in run.trace.tool_calls.values()] == ["success", "error", "error", "error"]
    assert [record.started is not None for record in run.trace.tool_calls.values()] == [True, False, False, False]
    assert lint(run.messages) == []
    assert run.stop_reason == "end_turn"


def test_plain_functions_run_at_the_same_time_too():
    meet = threading.Barrier(2, timeout=20)

    @tool(parallel=True)
    def wait_for_the_other(name: str) -> str:
        meet.wait()
        return name

    reply = call("wait_for_the_other", name="a") + call("wait_for_the_other", name="b")
    run = Agent(ScriptedModel([reply, "Done."]), [wait_for_the_other]).run("x").wait()

    assert order(run) == ["a", "b"]


def test_plain_functions_run_alone_unless_they_allow_it():
    inside: list[int] = [0]
    most: list[int] = []

    @tool
    def alone(n: int) -> int:
        inside[0] += 1
        most.append(inside[0])
        inside[0] -= 1
        return n

    reply = call("alone", n=0) + call("alone", n=1) + call("alone", n=2)
    run = Agent(ScriptedModel([reply, "Done."]), [alone]).run("x").wait()

    assert (order(run), max(most)) == (["0", "1", "2"], 1)


async def test_a_call_that_waits_for_a_person_holds_up_nobody():
    policy = ApprovalPolicy(
        rules=(ApprovalRule(where=("name == b",), decide="ask"), ApprovalRule(decide="approve")),
        approvers=(Ask(attended=True),),
    )
    with clock.frozen():
        reply = batch(("edit", "a", 10), ("edit", "b", 10), ("edit", "c", 10))
        run = Agent(ScriptedModel([reply, "Done."]), [edit], approval=policy).run("x")

        async def person():
            await clock.sleep(100)
            run.approve(run.pending[0].call_id)

        await asyncio.gather(run, person())

    assert spans(run) == [(0, 10), (100, 110), (10, 20)]
    assert order(run) == ["a", "b", "c"]


async def test_under_rules_of_order_even_parallel_tools_run_one_after_the_other():
    run = await run_batch(("fetch", "a", 10), ("fetch", "b", 10), rules=[MaxCount("fetch", max_count=5)])

    assert spans(run) == [(0, 10), (10, 20)]


async def test_a_batch_knows_only_its_own_returns():
    agent = Agent(ScriptedModel([batch(("fetch", "a", 0), ("fetch", "b", 0)), "Done."]), [fetch])
    first, second = await agent.run("x"), await agent.run("y")

    assert order(first) == order(second) == ["a", "b"]
    for run in (first, second):
        assert [m.tool_call_id for m in run.messages if m.role == "tool"] == [c.id for c in run.messages[1].tool_calls]


@pytest.mark.parametrize("kind", ["fetch", "edit"])
async def test_cancelled_in_the_middle_a_batch_keeps_what_came_back_and_answers_the_rest(kind):
    with clock.frozen():
        reply = batch((kind, "a", 1), (kind, "b", 1000), (kind, "c", 1000))
        run = Agent(ScriptedModel([reply]), [fetch, edit]).run("x")
        async for event in run:
            if event.type == "tool_returned":
                break
        run.cancel()
        await run

    assert run.stop_reason == "cancelled"
    assert order(run)[0] == "a"
    assert order(run)[1:] == ["Error: the run was cancelled before this call was answered"] * 2
    started = [record.started is not None for record in run.trace.tool_calls.values()]
    assert started == [True, kind == "fetch", kind == "fetch"]
    assert lint(run.messages) == []


@pytest.mark.parametrize(
    ("wanted", "protocol", "told"),
    [(None, "native", True), (False, "native", False), (None, "memgpt", False), (True, "memgpt", True)],
)
async def test_the_model_is_told_whether_it_may_ask_for_several_calls(wanted, protocol, told):
    model = ScriptedModel([call("send_message", message="Done.") if protocol == "memgpt" else "Done."])
    await Agent(model, [fetch], protocol=protocol, parallel_tool_calls=wanted).run("x")

    assert model.requests[0].parallel_tool_calls is told
