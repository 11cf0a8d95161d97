"""A trace view and its pages: what they may ask for, what they are told, and what never leaves."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from agentlab import Agent, ApprovalPolicy, ApprovalRule, Ask, Lab, ScriptedModel, Trace, call, say, tool
from agentlab.errors import InputError
from agentlab.widgets import live_run, request_view, trace_view
from agentlab.widgets.approval_card import ApprovalCard
from agentlab.widgets.base import LabWidget
from agentlab.widgets.live_run import LiveInLab
from agentlab.widgets.request_view import request_of_step
from agentlab.widgets.trace_view import TraceView
from tests.widgets.traces import long_trace

KEY = "sk-abcdefghijklmnopqrstuvwx0123"
PAID: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def _nothing_paid():
    PAID.clear()


@tool
def pay(to: str, amount: int) -> str:
    """Send money."""
    PAID.append({"to": to, "amount": amount})
    return f"paid {amount} to {to}"


ATTENDED = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Ask(attended=True),))
PAUSING = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), unattended="pause")


def agent_of(*script, policy=None):
    return Agent(ScriptedModel(script), [pay], approval=policy)


class Pages:
    """The pages of a view: what they hear."""

    def __init__(self, view: TraceView) -> None:
        self.view, self.heard = view, list[tuple[str, dict[str, Any]]]()
        view.tell = lambda kind, **fields: self.heard.append((kind, orjson.loads(orjson.dumps(fields))))
        view._feed._tell = view.tell

    def say(self, **message: Any) -> dict[str, Any]:
        """Send a message; the answer of its kind."""
        before = len(self.heard)
        self.view._hear(self.view, message, [])
        trace_view._answering().submit(int).result(10)  # what a thread answers is answered
        answers = [fields for kind, fields in self.heard[before:] if kind != "batch"]
        return answers[0] if answers else {}

    def approve(self, ask: dict[str, Any]) -> str | None:
        """Approve a call; what was wrong."""
        answer = self.say(type="decide", call_id=ask["call_id"], call_hash=ask["call_hash"], action="approve")
        return answer["error"]

    def asks(self) -> list[dict[str, Any]]:
        """The calls that a new page would be asked about."""
        rows = [row for page in self.view.state()["pages"].values() for row in page]
        return [row["ask"] for row in rows if "ask" in row]


def elsewhere(lab: Lab, run_id: str) -> TraceView:
    """The view that another process opens of a run that goes on."""
    trace = lab.trace(run_id)
    return TraceView(trace, follow=LiveInLab(lab, trace))


async def until(there: Callable[[], object]) -> None:
    for _ in range(400):
        if there():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come")


async def waiting_run(policy=ATTENDED, **settings):
    run = agent_of(call("pay", to="ann", amount=5), "Done.", policy=policy).run("pay ann", **settings)
    async for event in run:
        if event.type == "approval_requested":
            break
    return run


async def test_a_page_decides_a_call_with_edited_arguments():
    run = await waiting_run()
    pages = Pages(TraceView(run))
    (ask,) = pages.asks()
    answer = pages.say(
        type="decide",
        call_id=ask["call_id"],
        call_hash=ask["call_hash"],
        action="edit",
        arguments_json='{"to": "bob", "amount": 1}',
    )
    assert answer == {"call_id": ask["call_id"], "error": None}
    await run
    assert PAID == [{"to": "bob", "amount": 1}]
    assert run.trace.tool_calls[ask["call_id"]].decision.approver_kind == "person"


async def test_late_double_and_foreign_decisions_change_nothing_and_are_told():
    run = await waiting_run()
    pages, other = Pages(TraceView(run)), Pages(TraceView(run))
    (ask,) = pages.asks()
    known = {"type": "decide", "call_id": ask["call_id"], "call_hash": ask["call_hash"]}
    assert "does not wait" in pages.say(**{**known, "call_id": "call-of-nobody"}, action="approve")["error"]
    assert "another call" in pages.say(**{**known, "call_hash": "0" * 64}, action="approve")["error"]
    assert "amount" in pages.say(**known, action="edit", arguments_json='{"to": "x", "amount": "y"}')["error"]
    assert "nothing that can be decided" in pages.say(**known, action="explode")["error"]
    assert run.pending, "it still waits"
    assert pages.say(**known, action="deny", reason="no")["error"] is None
    assert other.say(**known, action="approve")["error"] is not None
    await run
    assert "does not wait" in other.say(**known, action="approve")["error"]
    assert PAID == []


async def test_two_views_of_one_run_agree():
    run = await waiting_run()
    views = [Pages(TraceView(run)), Pages(TraceView(run))]
    (ask,) = views[0].asks()
    views[0].say(type="decide", call_id=ask["call_id"], call_hash=ask["call_hash"], action="approve")
    await run
    await asyncio.sleep(0.3)
    first, second = (pages.view.state() for pages in views)
    assert first["pages"] == second["pages"]
    assert first["head"] == second["head"]
    assert first["live"] is False


async def test_a_paused_run_is_decided_in_its_view():
    agent = agent_of(call("pay", to="ann", amount=5), "Done.", policy=PAUSING)
    paused = await agent.run("pay ann")
    pages = Pages(TraceView(paused))
    (ask,) = pages.asks()
    assert (
        pages.say(type="decide", call_id=ask["call_id"], call_hash=ask["call_hash"], action="approve")["error"] is None
    )
    assert pages.asks() == []
    await agent.resume(paused)
    assert PAID == [{"to": "ann", "amount": 5}]


async def test_views_and_cards_of_a_paused_run_hear_of_each_other():
    agent = agent_of(call("pay", to="ann", amount=5) + call("pay", to="bob", amount=6), "Done.", policy=PAUSING)
    run = await agent.run("pay")
    first, second, card = Pages(TraceView(run)), Pages(TraceView(run)), ApprovalCard(run)
    await asyncio.sleep(0.3)  # both have followed it to its end
    first.heard.clear()
    second.heard.clear()

    run.approve(first.asks()[0]["call_id"])
    assert [len(pages.asks()) for pages in (first, second)] == [1, 1]
    mark = card.snapshot
    assert second.approve(second.asks()[0]) is None

    told = [fields for kind, fields in first.heard if kind == "batch"]
    assert [batch["head"]["pending"] for batch in told] == [1, 0]
    assert all("rows" in batch for batch in told)
    assert card.snapshot > mark


async def test_views_of_a_run_that_is_resumed_go_on_with_it():
    agent = agent_of(call("pay", to="ann", amount=5), call("pay", to="bob", amount=6), "Done.", policy=PAUSING)
    run = await agent.run("pay")
    pages = Pages(TraceView(run))
    await asyncio.sleep(0.3)
    pages.approve(pages.asks()[0])
    pages.heard.clear()

    resumed = await agent.resume(run)
    await asyncio.sleep(0.3)
    assert pages.heard[0][0] == "snapshot"
    assert [ask["arguments_json"].count("bob") for ask in pages.asks()] == [1]
    assert pages.approve(pages.asks()[0]) is None
    await agent.resume(resumed)
    await asyncio.sleep(0.3)

    last = TraceView(run).state()
    assert pages.view.state() | {"seq": 0} == last | {"seq": 0}
    assert last["head"]["status"] == "end_turn"
    assert PAID == [{"to": "ann", "amount": 5}, {"to": "bob", "amount": 6}]


@pytest.mark.parametrize("in_lab", [False, True], ids=["here", "elsewhere"])
async def test_a_view_that_was_closed_follows_nothing_and_is_forgotten(in_lab, tmp_path):
    lab = Lab(tmp_path / "lab.db")
    run = await waiting_run(lab=lab)

    def followers() -> int:
        return sum("Feed." in repr(task.get_coro()) for task in asyncio.all_tasks())

    def view() -> TraceView:
        return elsewhere(lab, run.id) if in_lab else TraceView(run)

    closed = view()
    await asyncio.sleep(0.05)
    assert followers() == 2
    closed.close()
    await asyncio.sleep(0.05)
    assert followers() == 0

    forgotten = view()
    await asyncio.sleep(0.05)
    assert followers() == 2
    super(LabWidget, forgotten).close()  # from now on ipywidgets does not hold it
    there = weakref.ref(closed), weakref.ref(forgotten)
    del closed, forgotten
    gc.collect()
    await asyncio.sleep(0.05)
    assert [view() for view in there] == [None, None]
    assert followers() == 0
    assert run._state.desk.listeners._acts == {}
    run.cancel()
    await run


async def test_of_a_run_elsewhere_only_what_is_new_is_read(tmp_path, monkeypatch):
    lab = Lab(tmp_path / "lab.db")
    run = await waiting_run(lab=lab)
    view = elsewhere(lab, run.id)
    n_known, read = len(run.trace.events), list[int]()
    after = Lab.events_after
    monkeypatch.setattr(Lab, "trace", None)

    def events_after(*args: Any) -> list[Any]:
        found = after(*args)
        read.extend(event.seq for event in found)
        return found

    monkeypatch.setattr(Lab, "events_after", events_after)

    run.approve(run.pending[0].call_id)
    await run
    await until(lambda: view.state()["head"]["status"] == "end_turn")

    assert read == [event.seq for event in run.trace.events[n_known:]]


async def test_a_run_that_was_cut_off_is_looked_at_seldom(tmp_path, monkeypatch):
    lab = Lab(tmp_path / "lab.db")
    run = await agent_of(call("pay", to="ann", amount=5), "Done.", policy=PAUSING).run("pay", lab=lab)
    monkeypatch.setattr(live_run, "STILL_S", 0.2)
    monkeypatch.setattr(live_run, "LOOK_S", 0.001)
    looks = list[str]()
    statuses = Lab.statuses
    monkeypatch.setattr(Lab, "statuses", lambda *args: looks.append("") or statuses(*args))

    view = elsewhere(lab, run.id)
    await asyncio.sleep(0.5)
    view.close()

    assert len(looks) == 2


async def test_a_lab_shows_a_run_of_this_process_as_the_run_itself(tmp_path, monkeypatch):
    lab = Lab(tmp_path / "lab.db")
    run = await waiting_run(lab=lab)
    pages, heard = Pages(lab.view(run.id)), list[Any]()
    monkeypatch.setattr(type(run), "seen", lambda self: heard.append(self))

    pages.say(type="ping")
    assert heard == [run]
    assert pages.view.state()["head"]["stoppable"] is True
    pages.say(type="stop")
    await run
    assert run.stop_reason == "cancelled"
    assert lab.view(run.id).state()["head"]["stoppable"] is False


async def test_a_run_of_a_lab_is_followed_and_decided_though_it_runs_elsewhere(tmp_path):
    lab = Lab(tmp_path / "lab.db")
    run = await waiting_run(lab=lab)
    pages = Pages(elsewhere(Lab(tmp_path / "lab.db"), run.id))
    (ask,) = pages.asks()
    assert pages.view.state()["head"]["stoppable"] is False
    assert (
        pages.say(type="decide", call_id=ask["call_id"], call_hash=ask["call_hash"], action="approve")["error"] is None
    )
    await asyncio.wait_for(run, 10)
    kinds = TraceView(run.trace).state()["kinds"]
    await until(lambda: pages.view.state()["kinds"] == kinds)  # rows come with the next batch
    assert pages.view.state()["head"]["status"] == "end_turn"
    assert PAID == [{"to": "ann", "amount": 5}]


async def test_a_finished_run_of_a_lab_and_an_imported_trace_can_be_opened(tmp_path):
    lab = Lab()
    run = await agent_of("Hello.").run("hi", lab=lab)
    path = run.trace.to_jsonl(tmp_path / "trace.jsonl")
    kinds = {TraceView(run).state()["kinds"], lab.view(run.id).state()["kinds"]}
    kinds.add(Trace.from_jsonl(path).view().state()["kinds"])
    assert kinds == {"uSad"}


async def test_a_page_can_search_copy_and_read_on():
    long = "words " * 2_000
    run = await agent_of(call("pay", to="ann", amount=5), long).run("pay")
    pages = Pages(run.view())
    number = pages.view.state()["kinds"].rindex("a")
    assert pages.say(type="search", q="WORDS") == {"q": "WORDS", "rows": [number], "more": False}
    assert pages.say(type="search", q="") == {"q": "", "rows": [], "more": False}
    assert pages.say(type="whole", row=number, field="text")["text"] == long
    copied = orjson.loads(pages.say(type="copy", row=pages.view.state()["kinds"].index("c"))["text"])
    assert [event["type"] for event in copied] == ["tool_started", "tool_returned"]
    message = orjson.loads(pages.say(type="copy", row=0)["text"])
    assert (message["role"], message["content"][0]["text"]) == ("user", "pay")
    everything = pages.say(type="copy", row=None)["text"].splitlines()
    assert [orjson.loads(line)["type"] for line in everything] == [event.type for event in run.trace.events]


@pytest.mark.parametrize(
    ("message", "work"),
    [
        ({"type": "search", "q": "pay"}, "agentlab.widgets.feed.search_in"),
        ({"type": "whole", "row": 0, "field": "text"}, "agentlab.widgets.trace_view.row_of"),
        ({"type": "copy", "row": None}, "agentlab.widgets.trace_view.events_json"),
        ({"type": "copy", "row": 0}, "agentlab.widgets.trace_view.row_json"),
        ({"type": "raw", "step": 1}, "agentlab.widgets.trace_view.request_of_step"),
    ],
)
async def test_what_takes_long_keeps_neither_the_loop_nor_the_batches(message, work, monkeypatch):
    pages = Pages(TraceView((await agent_of("Done.").run("pay")).trace))
    goes_on, began = threading.Event(), threading.Event()

    def takes_long(*_):
        began.set()
        assert goes_on.wait(10), "the loop, or a batch, waits for the answer"
        return {} if work.endswith("row_of") else ([], False)

    monkeypatch.setattr(work, takes_long)
    pages.view._hear(pages.view, message, [])
    assert began.wait(10)
    pages.view._feed.flush()
    assert [kind for kind, _ in pages.heard] == ["batch"]
    goes_on.set()
    trace_view._answering().submit(int).result(10)
    assert [kind for kind, _ in pages.heard][1:] != ["problem"]


async def test_rows_are_read_while_no_batch_makes_them_again():
    pages = Pages(TraceView((await agent_of("Done.").run("pay")).trace))
    feed = pages.view._feed

    class Watched:
        def __getattr__(self, name):
            assert feed._lock.locked(), name
            return getattr(rows, name)

        def __len__(self):
            assert feed._lock.locked()
            return len(rows)

    rows, feed._rows = feed._rows, Watched()
    for message in ({"type": "search", "q": "pay"}, {"type": "whole", "row": 0, "field": "text"}):
        assert "text" not in pages.say(**message) or pages.say(**message)["text"] == "pay"
    assert "pay" in pages.say(type="copy", row=0)["text"]
    assert [kind for kind, _ in pages.heard if kind == "problem"] == []


async def test_the_request_of_a_step_is_what_the_model_was_sent():
    run = await agent_of(call("pay", to="ann", amount=5), "Done.").run("pay ann")
    first, second = (orjson.loads(Pages(run.view()).say(type="raw", step=n)["text"]) for n in (1, 2))
    assert [m["role"] for m in first["messages"]] == ["user"]
    assert [m["role"] for m in second["messages"]] == ["user", "assistant", "tool"]
    assert second["messages"][2]["content"] == "paid 5 to ann"
    assert second["tools"][0]["function"]["name"] == "pay"
    assert "made no request" in Pages(run.view()).say(type="raw", step=9)["text"]


def test_a_very_long_request_is_shown_without_its_middle(monkeypatch):
    trace = long_trace(40, text_chars=100)
    step = trace.steps[-1].number
    whole = orjson.loads(request_of_step(trace, step))["messages"]
    assert len(whole) == 30
    monkeypatch.setattr(request_view, "REQUEST_BYTES", 4_000)
    shown = orjson.loads(request_of_step(trace, step))["messages"]
    (place,) = (n for n, message in enumerate(shown) if "note" in message)
    n_last = len(shown) - place - 1
    assert 0 < place < 15
    assert 0 < n_last < 15
    assert shown[place] == {"note": f"{30 - place - n_last} messages left out here"}
    assert shown[:place] + shown[place + 1 :] == whole[:place] + whole[-n_last:]


async def test_keys_do_not_reach_a_page():
    run = await agent_of(call("pay", to=KEY, amount=5), say(f"The key is {KEY}.")).run(f"use {KEY}")
    pages = Pages(run.view())
    told = orjson.dumps(pages.view.state()).decode()
    for message in ({"type": "raw", "step": 2}, {"type": "copy", "row": None}, {"type": "copy", "row": 2}):
        told += orjson.dumps(pages.say(**message)).decode()
    told += orjson.dumps(pages.say(type="whole", row=pages.view.state()["kinds"].index("a"), field="text")).decode()
    assert "[redacted]" in told
    assert KEY not in told


async def test_whatever_a_page_sends_the_run_goes_on():
    run = await waiting_run()
    pages = Pages(TraceView(run))
    for message in (
        {"type": "page", "pages": ["x", None, -5, 10**9]},
        {"type": "whole", "row": 10**9, "field": "text"},
        {"type": "copy", "row": "x"},
        {"type": "raw", "step": "x"},
        {"type": "decide"},
        {"type": "__class__"},
        {},
    ):
        pages.say(**message)
    assert (run.status, len(run.pending)) == ("running", 1)
    pages.say(type="stop")
    await run
    assert run.stop_reason == "cancelled"


async def test_a_view_opens_at_the_row_of_a_frame_and_moves_to_another():
    run = await agent_of(call("pay", to="ann", amount=5), "Done.").run("pay")
    view = run.at(run.tool_calls_df().iloc[0])
    pages = Pages(view)
    assert view.state()["kinds"][view.state()["goto"]] == "c"
    assert view.at(run.messages_df().iloc[0]) is view
    assert pages.heard[-1] == ("goto", {"row": 0})
    with pytest.raises(InputError, match="no step 7"):
        run.at({"step": 7})


def test_a_view_is_of_a_run_or_a_trace_and_says_so():
    with pytest.raises(InputError, match="shows a run or a trace"):
        TraceView("run-1")
    assert repr(TraceView(Trace())) == "<TraceView of an empty trace>"
    with pytest.raises(TypeError):
        TraceView(Trace(), colour="red")


def test_a_run_that_a_script_has_awaited_can_be_viewed_without_a_loop():
    run = agent_of("Hello.").run("hi").wait()
    assert TraceView(run).state()["head"]["status"] == "end_turn"
