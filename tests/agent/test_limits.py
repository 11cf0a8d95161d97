"""What a run may use at the most: each limit stops it with a reason of its own, and with a whole history."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from pydantic import ValidationError

from agentlab import (
    Agent,
    ApprovalPolicy,
    ApprovalRule,
    Ask,
    Judge,
    Limits,
    Price,
    Retries,
    ScriptedModel,
    Summarize,
    approval,
    call,
    clock,
    fail,
    say,
    tool,
)
from agentlab.errors import ContextWindowError, RateLimitError
from agentlab.messages.history import lint
from agentlab.trace.usage import Usage

PRICE = Price(input_usd=1e5, output_usd=1e5)


@tool(parallel=True)
async def nap(seconds: float) -> str:
    """Sleep."""
    await clock.sleep(seconds)
    return f"slept {seconds:g}"


def agent(script: Any, *, ttft_s: float = 1.0, **settings: Any) -> Agent:
    return Agent(ScriptedModel(script, ttft_s=ttft_s), [nap], **settings)


def naps(request: Any) -> Any:
    return call("nap", seconds=1)


def ended(run: Any) -> str:
    assert lint(run.messages) == []
    assert run.trace.events[-1].type == "run_finished"
    return run.stop_reason


@pytest.mark.parametrize(
    ("settings", "stop_reason", "steps"),
    [
        ({"max_steps": 3}, "max_steps", 3),
        ({"limits": Limits(tokens=20)}, "token_limit", 3),
        ({"limits": Limits(cost_usd=2.0, price=PRICE)}, "cost_limit", 3),
        ({"limits": Limits(seconds=5)}, "time_limit", 3),
        ({"limits": Limits(seconds=5, tokens=3)}, "token_limit", 1),
        ({"limits": Limits(seconds=50, tokens=1000), "max_steps": 2}, "max_steps", 2),
    ],
    ids=["steps", "tokens", "cost", "seconds", "first-of-two", "steps-first"],
)
async def test_each_limit_is_a_stop_reason_of_its_own(settings, stop_reason, steps):
    with clock.frozen():
        run = await agent(naps, **settings).run("x")

    assert (ended(run), len(run.steps)) == (stop_reason, steps)
    assert run.trace.events[-1].stop_reason == stop_reason
    assert run.error is None, "a limit is no error"


async def test_calls_beyond_a_limit_do_not_run_and_say_so():
    run = await agent([call("nap", seconds=0) + call("nap", seconds=0)], ttft_s=0, limits=Limits(tokens=1)).run("x")

    assert ended(run) == "token_limit"
    assert [record.started for record in run.trace.tool_calls.values()] == [None, None]
    assert {record.returned.text for record in run.trace.tool_calls.values()} == {
        "the run came to its limit (token_limit) before this call was answered"
    }


async def test_an_answer_beyond_a_limit_is_still_an_answer():
    run = await agent(["A long answer."], ttft_s=0, limits=Limits(tokens=1)).run("x")

    assert (ended(run), run.text) == ("end_turn", "A long answer.")


async def test_the_time_limit_breaks_off_a_model_call():
    with clock.frozen():
        run = await Agent(ScriptedModel([say("one two three four")], ttft_s=5, gap_s=5), limits=Limits(seconds=12)).run(
            "x"
        )

    assert ended(run) == "time_limit"
    assert run.trace.duration_s == 12
    assert run.messages[-1].text == "one two", "what had come is kept"
    assert run.steps[0].model_calls[0].replied.complete is False


async def test_the_time_limit_breaks_off_a_tool():
    stopped = []

    @tool
    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(True)
            raise

    with clock.frozen():
        run = await Agent(ScriptedModel([call("endless")]), [endless], limits=Limits(seconds=7)).run("x")

    assert ended(run) == "time_limit"
    assert (run.trace.duration_s, stopped) == (7, [True])
    assert run.messages[-1].text == "Error: the run came to its time limit while this call ran"


async def test_a_tool_that_was_done_in_time_keeps_its_return():
    with clock.frozen():
        reply = call("nap", seconds=2) + call("nap", seconds=100)
        run = await agent([reply], limits=Limits(seconds=10)).run("x")

    assert ended(run) == "time_limit"
    first, second = (record.returned for record in run.trace.tool_calls.values())
    assert (first.text, first.status) == ("slept 2", "success")
    assert second.status == "error"


def test_a_plain_function_is_given_up_at_the_time_limit():
    release = threading.Event()

    @tool
    def stuck() -> None:
        release.wait(20)

    run = Agent(ScriptedModel([call("stuck")]), [stuck], limits=Limits(seconds=0.05)).run("x").wait()
    release.set()

    assert ended(run) == "time_limit"


async def test_the_time_limit_breaks_off_the_wait_before_another_try():
    script = [[fail(RateLimitError("slow down", retry_after_s=3600)), "never asked"]]
    with clock.frozen():
        run = await agent(script, limits=Limits(seconds=10), retries=Retries(model_errors=1)).run("x")

    assert (ended(run), run.trace.duration_s) == ("time_limit", 10)


async def test_the_time_limit_breaks_off_a_summary():
    def script(request: Any) -> Any:
        if not request.tools:
            return say("a summary", ttft_s=1000)
        return call("nap", seconds=0) if request.turn < 2 else fail(ContextWindowError("too long"))

    with clock.frozen():
        run = await agent(script, limits=Limits(seconds=10), compaction=Summarize()).run("x")

    assert (ended(run), run.trace.duration_s) == ("time_limit", 10)


ASK = (ApprovalRule(decide="ask"),)


async def test_the_time_limit_breaks_off_a_model_that_judges():
    judge = ScriptedModel(["APPROVE"], ttft_s=1000, name="judge")
    for unattended in ("deny", "approve", "pause"):
        policy = ApprovalPolicy(rules=ASK, approvers=(Judge(judge),), unattended=unattended)
        with clock.frozen():
            run = await agent(naps, limits=Limits(seconds=10), approval=policy).run("x")

        assert (ended(run), run.trace.duration_s) == ("time_limit", 10)
        assert next(iter(run.trace.tool_calls.values())).started is None


async def decided_after(run: Any, seconds: float) -> None:
    async for event in run:
        if event.type == "approval_requested":
            break
    await clock.sleep(seconds)
    run.approve(run.pending[0].call_id)


async def test_waiting_for_a_person_does_not_count():
    policy = ApprovalPolicy(rules=ASK, approvers=(Ask(attended=True),))
    with clock.frozen():
        run = agent([naps(None), "Done."], limits=Limits(seconds=10), approval=policy).run("x")
        await asyncio.gather(run, decided_after(run, 10_000))

    assert ended(run) == "end_turn"
    assert run.trace.duration_s == 10_003
    assert run.steps[-1].decision.inputs["elapsed_s"] == 3


async def test_waiting_for_a_person_who_does_not_come_does_not_count_either():
    policy = ApprovalPolicy(rules=ASK, approvers=(Ask(attended=True, timeout_s=10_000),), unattended="approve")
    with clock.frozen():
        run = await agent([naps(None), "Done."], limits=Limits(seconds=10), approval=policy).run("x")

    assert ended(run) == "end_turn"
    record = next(iter(run.trace.tool_calls.values()))
    assert [(d.action, d.approver, d.approver_kind) for d in record.decisions] == [
        ("escalate", "ask", "person"),
        ("approve", "unattended", "policy"),
    ]
    assert record.decisions[0].reason == "no answer within 10000 s"
    assert run.steps[-1].decision.inputs["elapsed_s"] == 3


async def test_waiting_in_a_resumed_run_does_not_count_either():
    policy = ApprovalPolicy(rules=ASK, unattended="pause")
    with clock.frozen():
        paused_agent = agent([naps(None), "Done."], limits=Limits(seconds=10), approval=policy)
        paused = await paused_agent.run("x")
        await clock.sleep(50_000)
        with approval(ApprovalPolicy(rules=ASK, approvers=(Ask(attended=True),))):
            run = paused_agent.resume(paused)

        async def person():
            for _ in range(100):
                await asyncio.sleep(0)
            await clock.sleep(10_000)
            run.approve(run.pending[0].call_id)

        await asyncio.gather(run, person())

    assert ended(run) == "end_turn"
    assert run.steps[-1].decision.inputs["elapsed_s"] == 3


async def test_what_was_used_before_a_pause_counts_after_it():
    policy = ApprovalPolicy(rules=ASK, unattended="pause")
    limited = agent(naps, ttft_s=0, limits=Limits(tokens=9), approval=policy)
    paused = await limited.run("x")
    with approval(ApprovalPolicy(rules=(ApprovalRule(decide="approve"),), unattended="approve")):
        run = await limited.resume(paused)

    assert ended(run) == "token_limit"
    assert len(run.steps) == 2


@pytest.mark.parametrize(
    ("usage", "price", "cost_usd"),
    [
        (Usage(input_tokens=1000, output_tokens=100), Price(input_usd=2, output_usd=8), 0.0028),
        (Usage(input_tokens=1000, output_tokens=100, cached_tokens=600), Price(input_usd=2, output_usd=8), 0.0028),
        (
            Usage(input_tokens=1000, output_tokens=100, cached_tokens=600),
            Price(input_usd=2, output_usd=8, cached_usd=0.5),
            0.0019,
        ),
        (Usage(input_tokens=1000, output_tokens=100), Price(input_usd=2, output_usd=8, cached_usd=0.5), 0.0028),
        (Usage(input_tokens=0, output_tokens=0), Price(input_usd=2, output_usd=8), 0.0),
        (Usage(input_tokens=1000), Price(input_usd=2, output_usd=8), None),
        (Usage(), Price(input_usd=2, output_usd=8), None),
    ],
    ids=["plain", "cache-unpriced", "cached", "cache-unknown", "nothing", "output-unknown", "unknown"],
)
def test_a_price_tells_what_tokens_cost(usage, price, cost_usd):
    assert price.cost_usd(usage) == (None if cost_usd is None else pytest.approx(cost_usd))


async def test_tokens_that_no_provider_told_of_add_nothing():
    limits = Limits(tokens=1, cost_usd=0.001, price=PRICE)
    script = [*[call("nap", seconds=0) + say("", usage=False)] * 3, say("Done.", usage=False)]
    run = await agent(script, ttft_s=0, limits=limits).run("x")

    assert (ended(run), len(run.steps)) == ("end_turn", 4)
    assert run.usage.total_tokens is None, "not known, which is not zero"
    assert run.steps[-1].decision.inputs["cost_usd"] == 0.0


async def test_calls_in_which_a_model_judges_count_too():
    judge = ScriptedModel(lambda request: "APPROVE", name="judge")
    policy = ApprovalPolicy(rules=ASK, approvers=(Judge(judge),))
    run = await agent(naps, ttft_s=0, limits=Limits(tokens=15), approval=policy).run("x")

    assert ended(run) == "token_limit"
    assert run.usage.total_tokens < 15 <= run.usage.total_tokens + run.trace.side_usage.total_tokens


async def test_tokens_are_booked_step_by_step_and_not_as_a_running_total():
    run = await agent([naps(None), naps(None), "Done."], ttft_s=0).run("x")

    assert run.usage.total_tokens == sum(step.usage.total_tokens for step in run.steps)
    assert [step.usage.output_tokens for step in run.steps] == [3, 3, 1]


@pytest.mark.parametrize(
    "fields",
    [{"tokens": 0}, {"seconds": 0}, {"cost_usd": 1.0}, {"cost_usd": 0, "price": PRICE}, {"minutes": 3}],
    ids=str,
)
def test_a_limit_that_makes_no_sense_is_refused(fields):
    with pytest.raises(ValidationError):
        Limits(**fields)


async def test_limits_stand_in_the_trace():
    run = await agent(
        ["Done."], ttft_s=0, limits=Limits(cost_usd=2.0, price=PRICE), retries=Retries(model_errors=3)
    ).run("x")

    assert Limits.model_validate(run.trace.started.settings["limits"]) == Limits(cost_usd=2.0, price=PRICE)
    assert run.trace.started.settings["retries"]["model_errors"] == 3
