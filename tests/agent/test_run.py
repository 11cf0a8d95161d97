from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap

import pytest

from agentlab import Agent, ScriptedModel, call, clock, tool
from agentlab.errors import ConversationError, InputError, RunError, TimezoneError
from agentlab.messages import builders
from agentlab.messages.history import lint


@tool
def search(query: str) -> str:
    """Search the notes."""
    return query


@tool
async def endless() -> None:
    """Never returns."""
    await asyncio.Event().wait()


def test_in_a_script_wait_does_it_all():
    agent = Agent(ScriptedModel([call("search", query="a"), "done"]), [search])

    run = agent.run("x")
    assert run.status == "running"

    assert run.wait() is run
    assert (run.status, run.text) == ("finished", "done")
    assert run.wait() is run, "waiting again is harmless"


async def test_wait_inside_a_running_loop_says_what_to_do():
    run = Agent(ScriptedModel(["hi"])).run("x")
    with pytest.raises(RunError, match="use `await run`"):
        run.wait()
    await run


async def test_a_run_starts_at_once_where_a_loop_runs():
    run = Agent(ScriptedModel(["hi"])).run("x")
    for _ in range(20):
        await asyncio.sleep(0)
    assert run.status == "finished"
    assert await run is run
    assert await run is run, "awaiting again is harmless"


async def test_watching_gives_every_event_once_from_the_first_to_the_last():
    run = Agent(ScriptedModel([call("search", query="a"), "two words"]), [search]).run("x")

    seen = [event async for event in run]

    kept = [event for event in seen if event.type != "model_delta"]
    assert kept == run.trace.events
    assert "".join(e.content for e in seen if e.type == "model_delta") == "two words"
    assert [event async for event in run] == run.trace.events, "a late reader reads the journal"


async def test_two_readers_see_the_same_and_one_may_leave_early():
    run = Agent(ScriptedModel([call("search", query="a"), "done"]), [search]).run("x")

    async def leave():
        async for _ in run:
            break

    async def stay():
        return [e async for e in run]

    _, seen = await asyncio.gather(leave(), stay())
    assert seen[-1].type == "run_finished"


async def until(run, event_type):
    async for event in run:
        if event.type == event_type:
            return


@pytest.mark.parametrize("moment", ["run_started", "model_called", "model_delta", "tool_started", "step_finished"])
async def test_cancel_at_any_moment_leaves_a_history_that_providers_accept(moment):
    model = ScriptedModel([call("search", query="a") + call("endless") + call("search", query="b")], ttft_s=1, gap_s=1)
    with clock.frozen():
        run = Agent(model, [search, endless]).run("x")
        watch = asyncio.ensure_future(until(run, moment))
        if moment == "step_finished":
            watch.cancel()
            await until(run, "tool_returned")
        else:
            await watch
        run.cancel()
        await run

    assert run.stop_reason == "cancelled"
    assert run.trace.events[-1].type == "run_finished"
    assert lint(run.messages) == []
    run.cancel()  # harmless


async def test_a_run_cancelled_before_its_first_step_is_finished_too():
    run = Agent(ScriptedModel(["hi"])).run("x")
    run.cancel()
    await run
    assert (run.status, run.stop_reason) == ("finished", "cancelled")


def test_cancel_before_wait_ends_a_run_that_never_started():
    run = Agent(ScriptedModel(["hi"])).run("x")
    run.cancel()
    assert run.wait().stop_reason == "cancelled"


async def test_an_interrupted_wait_cancels_the_run_and_says_so():
    run = Agent(ScriptedModel([call("endless")]), [endless]).run("x")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run, 0.02)
    assert run.stop_reason == "cancelled"


async def test_no_task_is_left_behind():
    before = asyncio.all_tasks()
    run = Agent(ScriptedModel([call("endless")]), [endless]).run("x")
    await until(run, "tool_started")
    run.cancel()
    await run
    await asyncio.sleep(0.01)  # the reader that left early is closed by the event loop
    assert asyncio.all_tasks() == before


async def test_a_conversation_goes_on_from_a_run():
    agent = Agent(ScriptedModel(["Hi Ann.", "You are Ann."]), system="Be brief.")

    first = await agent.run("I am Ann")
    second = await agent.run("Who am I?", history=first)

    assert [m.text for m in second.messages] == ["Be brief.", "I am Ann", "Hi Ann.", "Who am I?", "You are Ann."]
    assert second.trace.started.parent_run_id == first.id
    assert [e.source for e in second.trace.entries] == ["system", "history", "history", "input", "model"]
    assert len(first.messages) == 3, "the first run stays as it was"


async def test_a_cancelled_run_can_go_on():
    agent = Agent(ScriptedModel([call("endless"), "back again"]), [endless])
    first = agent.run("x")
    await until(first, "tool_started")
    first.cancel()
    second = await agent.run("go on", history=await first)
    assert second.text == "back again"


def test_a_history_that_a_provider_would_refuse_is_refused_with_the_reason():
    from agentlab.messages.calls import tool_call

    broken = [builders.user_message("x"), builders.assistant_message("", [tool_call("search", {"query": "a"})])]
    with pytest.raises(ConversationError, match="a provider would refuse this history"):
        Agent(ScriptedModel(["hi"])).run("y", history=broken)


@pytest.mark.parametrize("prompt", ["", "  \n", []], ids=["empty", "blank", "no-messages"])
def test_an_empty_prompt_is_refused(prompt):
    with pytest.raises(InputError, match="empty"):
        Agent(ScriptedModel(["hi"])).run(prompt)


def test_input_may_be_messages():
    run = Agent(ScriptedModel(["hi"])).run([builders.user_message("a"), builders.user_message("b")]).wait()
    assert [m.text for m in run.messages] == ["a", "b", "hi"]
    with pytest.raises(InputError, match="input holds dict"):
        Agent(ScriptedModel(["hi"])).run([{"role": "user"}])


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"timezone": "Mars/Olympus"}, TimezoneError, "'Mars/Olympus' is no IANA time zone"),
        ({"max_steps": 0}, InputError, "max_steps is 0"),
        ({"protocol": "chatty"}, InputError, "protocol is 'chatty'; it takes 'native' or 'memgpt'"),
        ({"inner_thoughts": True}, InputError, "set protocol='memgpt'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(settings, error, text):
    with pytest.raises(error, match=text):
        Agent(ScriptedModel([]), **settings)


def test_an_interrupted_script_ends_its_run_in_order(tmp_path):
    script = textwrap.dedent("""
        import asyncio, os, signal, threading
        from agentlab import Agent, ScriptedModel, call, tool
        from agentlab.messages.history import lint

        @tool
        async def endless() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()

        run = Agent(ScriptedModel([call("endless")]), [endless]).run("x")
        try:
            run.wait()
        except KeyboardInterrupt:
            print(run.stop_reason, lint(run.messages), run.status)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == ["cancelled", "[]", "finished"], done.stderr


async def test_a_run_tells_what_it_is():
    run = await Agent(ScriptedModel(["Hello there."]), name="greeter").run("x")
    assert "greeter" in repr(run)
    assert "end_turn" in repr(run)
    assert "\n" not in repr([run]), "a list of runs is a list of lines"
    assert "Hello there." in str(run)
    assert run._repr_mimebundle_() == {"text/plain": str(run), "text/html": run._repr_html_()}
    assert "Hello there." in run._repr_html_()
