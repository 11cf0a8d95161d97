"""Who wants to know that calls wait, and is told from any thread, once for each change, whatever others do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from agentlab import Agent, ApprovalPolicy, ApprovalRule, Ask, ScriptedModel, call, tool
from agentlab.agent.listeners import Listeners


async def until(there: Callable[[], object]) -> None:
    for _ in range(400):
        if there():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come")


@tool
def save(path: str) -> str:
    """Save."""
    return path


def test_a_listener_is_told_until_it_is_stopped_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    listeners, heard = Listeners(), list[str]()

    def fails() -> None:
        raise ValueError("x")

    listeners.add(fails)
    stop = listeners.add(lambda: heard.append("told"))
    listeners.tell()
    stop()
    stop()
    listeners.tell()

    assert heard == ["told"]
    assert "a listener failed" in caplog.text


async def test_whoever_listens_to_a_run_is_told_as_calls_come_and_go() -> None:
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Ask(attended=True),))
    agent = Agent(
        ScriptedModel([call("save", path="a", id="a"), call("save", path="b", id="b")]), [save], approval=policy
    )
    run = agent.run("go")
    seen: list[list[str]] = []
    stop = run.on_pending(lambda: seen.append([waiting.call_id for waiting in run.pending]))  # takes the desk's lock
    await until(lambda: run.pending)

    thread = threading.Thread(target=run.approve, args=("a",))
    thread.start()
    await until(lambda: [waiting.call_id for waiting in run.pending] == ["b"])
    thread.join()
    assert seen == [["a"], [], ["b"]]

    stop()
    run.cancel()
    await run
    assert seen == [["a"], [], ["b"]]


async def test_a_run_that_is_cancelled_takes_its_questions_back() -> None:
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Ask(attended=True),))
    run = Agent(ScriptedModel([call("save", path="a", id="a")]), [save], approval=policy).run("go")
    seen: list[int] = []
    run.on_pending(lambda: seen.append(len(run.pending)))
    await until(lambda: run.pending)

    run.cancel()
    await run

    assert seen == [1, 0]


async def test_an_outer_run_tells_what_its_inner_runs_ask() -> None:
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Ask(attended=True),))
    inner = Agent(ScriptedModel([call("save", path="a", id="a"), "done"]), [save], approval=policy)

    @tool
    async def delegate() -> str:
        """Let another agent do it."""
        return (await inner.run("go")).text or ""

    run = Agent(ScriptedModel([call("delegate"), "done"]), [delegate]).run("go")
    seen: list[list[str]] = []
    run.on_pending(lambda: seen.append([waiting.call_id for waiting in run.pending]))
    await until(lambda: run.pending)

    run.approve("a")
    await run

    assert seen == [["a"], []]
