"""A lab that fails in the middle of a run, or has the run already: told, and nobody is left waiting."""

from __future__ import annotations

import asyncio

import pytest

from agentlab import Agent, Lab, ScriptedModel, call, frozen, tool
from agentlab.errors import StoreError


async def test_a_lab_that_fails_ends_the_run_and_everybody_who_reads_it(tmp_path):
    lab = Lab(tmp_path / "a.db")

    @tool
    def pull_the_plug() -> str:
        lab.close()
        return "done"

    run = Agent(ScriptedModel([call("pull_the_plug"), "never"]), [pull_the_plug]).run("x", lab=lab)
    seen = await asyncio.wait_for(read(run), 20)
    await run

    assert run.stop_reason == "error"
    assert "is closed" in run.error.message
    assert seen[-1].type == "run_finished"


async def read(run):
    return [event async for event in run]


async def test_a_run_of_the_same_seed_is_told_and_the_lab_stays_usable(tmp_path):
    agent = Agent(ScriptedModel(["hi"]))
    with Lab(tmp_path / "a.db") as lab:
        for _ in range(3):
            with frozen(seed=5):
                if not len(lab):
                    first = await agent.run("x", lab=lab)
                    continue
                with pytest.raises(StoreError, match=r"is in this lab already: .* the same seed"):
                    agent.run("x", lab=lab)
        assert [(info.run_id, info.status) for info in lab.runs()] == [(first.id, "finished")]
        assert lab.trace(first.id).events == first.trace.events
        lab.delete(first.id)
        with frozen(seed=5):
            assert (await agent.run("x", lab=lab)).text == "hi"


async def test_a_run_can_be_waited_for_in_another_thread():
    run = Agent(ScriptedModel(["hi"], ttft_s=0.05)).run("x")
    assert (await asyncio.wait_for(asyncio.to_thread(run.wait), 20)).text == "hi"


async def test_a_paused_run_is_shown():
    from agentlab import ApprovalPolicy, ApprovalRule

    @tool
    def pay() -> str:
        return "paid"

    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), unattended="pause")
    run = await Agent(ScriptedModel([call("pay"), "ok"]), [pay], approval=policy).run("x")
    assert "waits for decisions" in run._repr_html_()
    assert "paused" in str(run)
