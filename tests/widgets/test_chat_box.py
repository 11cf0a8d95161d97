"""A chat with an agent: each turn is a run of the lab that goes on with the one before."""

from __future__ import annotations

import asyncio
import threading

import pytest

from agentlab import Agent, ApprovalPolicy, ApprovalRule, Lab, ScriptedModel, call, chat, say, tool
from agentlab.errors import InputError
from agentlab.widgets import chat_box
from agentlab.widgets.chat_box import ChatBox
from agentlab.widgets.trace_view import TraceView


@tool
def search(q: str) -> str:
    """Find."""
    return f"found {q}"


def agent_of(*script, **settings):
    return Agent(ScriptedModel(script, **settings), [search], name="guide")


def line(box: ChatBox) -> dict:
    return box.children[-1].state()


async def until(true):
    for _ in range(2_000):
        if true():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it never came to that")


def write(box, text):
    """As a page does: by a message, which may come on another thread."""
    thread = threading.Thread(target=box.children[-1].on_page, args=({"type": "send", "text": text},))
    thread.start()
    thread.join()


async def test_every_turn_is_a_run_of_the_lab_that_goes_on_with_the_last():
    lab = Lab()
    box = chat(agent_of(call("search", q="cats"), "Two cats.", "You asked of cats."), lab=lab)
    write(box, "Are there cats?")
    await until(lambda: box.runs and box.runs[0].status == "finished")
    write(box, "What did I ask?")
    await until(lambda: len(box.runs) == 2 and box.runs[1].status == "finished")

    assert [run.text for run in box.runs] == ["Two cats.", "You asked of cats."]
    assert [m.role for m in box.runs[1].messages] == ["user", "assistant", "tool", "assistant", "user", "assistant"]
    kept = {info.run_id: info for info in lab.runs()}
    assert set(kept) == {run.id for run in box.runs}
    assert box.runs[1].trace.started.parent_run_id == box.runs[0].id
    assert len({run.trace.started.tags["chat"] for run in box.runs}) == 1
    assert [isinstance(child, TraceView) for child in box.children] == [True, True, False]


async def test_the_line_is_free_again_when_the_turn_is_over_and_not_before():
    box = chat(agent_of(say("a few words that take a while"), gap_s=0.02))
    run = box.send("go")
    assert line(box) == {"to": "guide", "busy": True, "note": "", "taken": 1}
    write(box, "too early")
    await until(lambda: "still running" in line(box)["note"])
    assert line(box)["taken"] == 1, "what was written stays in the line"
    assert len(box.runs) == 1
    await run
    assert line(box)["busy"] is False


async def test_a_turn_can_be_stopped_and_the_next_goes_on_from_there():
    box = chat(agent_of(say("And on with many words"), gap_s=0.05))
    run = box.send("go")
    box.children[-1].on_page({"type": "stop"})
    await run
    assert run.stop_reason == "cancelled"
    assert (await box.send("go on")).text == "And on with many words"


async def test_an_empty_line_is_told_and_starts_nothing():
    box = chat(agent_of("Hi."))
    write(box, "   ")
    await until(lambda: "empty" in line(box)["note"])
    assert box.runs == []


async def test_what_a_page_may_send_besides_is_nothing():
    box = chat(agent_of("Hi."))
    for message in ({}, {"type": "send"}, {"type": "send", "text": 5}, {"type": "what"}, {"type": "stop"}):
        box.children[-1].on_page(message)
    await asyncio.sleep(0.01)
    assert box.runs == []


async def test_a_chat_goes_on_with_a_conversation_that_was_there():
    first = await agent_of("One.").run("count")
    box = chat(Agent(ScriptedModel(["One.", "Two."]), []), history=first)
    assert (await box.send("more")).text == "Two."


async def test_a_chat_goes_on_after_a_turn_that_was_paused_and_resumed():
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), unattended="pause")
    agent = Agent(ScriptedModel([call("search", q="cats"), "Two.", "Again two."]), [search], approval=policy)
    box = chat(agent)
    paused = await box.send("cats?")
    assert "waits for decisions" in line(box)["note"]
    paused.approve(paused.pending[0].call_id)
    resumed = await agent.resume(paused, show=False)
    again = await box.send("and now?")
    assert (resumed.text, again.text) == ("Two.", "Again two.")
    assert box.runs == [resumed, again]
    assert again.trace.started.parent_run_id == resumed.id


async def test_what_fails_in_a_turn_is_told_and_the_line_is_free_again(monkeypatch, caplog):
    box = chat(agent_of("Hi.", "Ho."))

    def broken(*_, **__):
        raise ValueError("no room")

    monkeypatch.setattr(chat_box, "TraceView", broken)
    write(box, "hello")
    await until(lambda: bool(box.runs) and box.runs[0].status == "finished")
    assert line(box)["busy"] is False
    assert "could not begin, or not be shown" in caplog.text


async def test_a_text_that_is_much_too_long_is_told():
    box = chat(agent_of("Hi."))
    write(box, "x" * 1_000_001)
    assert "at most 1,000,000" in line(box)["note"]
    assert box.runs == []


def test_a_chat_takes_an_agent_and_says_so():
    with pytest.raises(InputError, match="takes an agent"):
        chat("hello")


async def test_what_a_notebook_keeps_of_a_chat_is_safe_and_limited():
    box = chat(agent_of(*["<img src=x onerror=alert(1)> " * 200] * 60))
    for _ in range(60):
        await box.send("<script>alert(2)</script>")
    html = box._bundle()["text/html"]
    assert "60 turns" in html
    assert "10 earlier turns" in html
    assert "<img" not in html
    assert "<script" not in html
    assert html.count("<style>") == 1
    assert len(html.encode()) < 200_000
    assert repr(box) == "<ChatBox with 'guide', 60 turns>"
