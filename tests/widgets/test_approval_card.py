"""The card of calls that wait: what it shows, and that a page decides through it once, whatever else it sends."""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import json
import operator
import threading
from typing import Any

import orjson
import pytest

from agentlab import Agent, ApprovalPolicy, ApprovalRule, Ask, Callback, ScriptedModel, call, tool
from agentlab.agent.approval import Decision
from agentlab.agent.run import Run
from agentlab.errors import ApprovalError, InputError
from agentlab.trace import observing
from agentlab.widgets.approval_card import ApprovalCard
from tests.browser.jlab import XSS_PAYLOADS

KEY = "sk-" + "a1" * 12
saved: list[tuple[str, str]] = []


@tool(parallel=True)
def save(path: str, text: str) -> str:
    """Save a text."""
    saved.append((path, text))
    return "saved"


class Page:
    """What a page would be sent, and what it says."""

    def __init__(self, card: ApprovalCard) -> None:
        self.card, self.heard = card, list[dict[str, Any]]()
        card.send = self._hear

    def _hear(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        self.heard.append({**content, **orjson.loads(buffers[0])})

    def says(self, **message: Any) -> str | None:
        """What Python answers to a decision: an error, or None."""
        self.heard.clear()
        self.card._hear(None, {"type": "decide", **message}, [])
        (answer,) = self.heard
        assert answer.items() >= {"type": "decided", "call_id": message.get("call_id")}.items()
        return answer["error"]

    @property
    def asks(self) -> list[dict[str, Any]]:
        return self.card.state()["asks"]

    def on(self, n: int) -> dict[str, Any]:
        """What a page sends with every decision on this call."""
        return {name: self.asks[n][name] for name in ("call_id", "call_hash")}


def a_run(*calls: Any, approvers: tuple[Any, ...] = (Ask(attended=True),), **settings: Any) -> Run:
    saved.clear()
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=approvers, **settings)
    model = ScriptedModel([functools.reduce(operator.add, calls), "done"])
    return Agent(model, tools=[save], approval=policy, protocol="native").run("go")


async def until(there: Any) -> None:
    for _ in range(400):
        if there():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come")


async def three_waiting(run: Run | None = None) -> tuple[Run, Page]:
    run = run or a_run(*(call("save", path=f"{name}.txt", text="x", id=name) for name in "abc"))
    page = Page(ApprovalCard(run))
    await until(lambda: len(page.asks) == 3)
    return run, page


async def test_all_calls_that_wait_are_shown_with_their_place() -> None:
    run, page = await three_waiting()

    state = json.loads(orjson.dumps(page.card.state()))

    assert [(ask["call_id"], ask["queue"], ask["rule"]) for ask in state["asks"]] == [
        ("a", [1, 3], "rule 1"),
        ("b", [2, 3], "rule 1"),
        ("c", [3, 3], "rule 1"),
    ]
    assert state["asks"][0]["schema"]["required"] == ["path", "text"]
    assert 0 <= state["asks"][0]["asked_s"] < 10
    assert (state["done"], state["note"], state["run_id"]) == ([], "", run.id)
    assert repr(page.card) == f"<ApprovalCard of {run.id}, 3 waiting>"
    run.cancel()
    await run


async def test_a_page_decides_in_any_order_and_each_call_does_as_it_was_told() -> None:
    run, page = await three_waiting()

    assert page.says(**page.on(2), action="deny", reason="not c") is None
    assert page.says(**page.on(0), action="approve") is None
    assert page.says(**page.on(0), action="edit", arguments_json='{"path": "b.txt", "text": "y"}') is None
    await run

    assert sorted(saved) == [("a.txt", "x"), ("b.txt", "y")]
    assert [record.decisions[0].action for record in run.trace.tool_calls.values()] == ["approve", "edit", "deny"]
    assert page.card.state()["note"] == "the run has ended: end_turn"


async def test_the_card_tells_who_decided_when_and_how_long_it_took() -> None:
    run, page = await three_waiting()
    card = ApprovalCard(run, by="Ann")

    card._hear(None, {"type": "decide", **page.on(0), "action": "deny", "reason": "no\u202e"}, [])
    await until(lambda: page.card.state()["done"])

    (done,) = page.card.state()["done"]
    assert (done["tool"], done["call_id"]) == ("save", "a")
    assert done["words"].startswith("denied by Ann after ")
    assert ": no⟨U+202E⟩ (" in done["words"]
    assert done["words"].endswith(" UTC)")
    run.cancel()
    await run


async def test_a_key_that_the_page_never_saw_reaches_the_tool() -> None:
    run = a_run(call("save", path="a.txt", text=f"token {KEY}", id="a"))
    page = Page(ApprovalCard(run))
    await until(lambda: page.asks)
    arguments = json.loads(page.asks[0]["arguments_json"])
    assert KEY not in page.asks[0]["arguments_json"]

    error = page.says(**page.on(0), action="edit", arguments_json=json.dumps({**arguments, "path": "b.txt"}))
    await run

    assert error is None
    assert saved == [("b.txt", f"token {KEY}")]


async def test_late_double_foreign_and_broken_answers_change_nothing_and_are_told() -> None:
    run, page = await three_waiting()
    first, second = page.on(0), page.on(1)
    assert page.says(**first, action="approve") is None

    answers = [
        page.says(**first, action="approve"),
        page.says(call_id="of another run", call_hash="x", action="approve"),
        page.says(call_id="b", action="approve"),
        page.says(**{**second, "call_hash": first["call_hash"]}, action="approve"),
        page.says(**second, action="edit", arguments_json='{"path": 3, "text": "x"}'),
        page.says(**second, action="launch"),
    ]

    for answer, told in zip(
        answers,
        ["does not wait|was decided", "no such call", "did not say which", "another call", "`path`", "can be decided"],
        strict=True,
    ):
        assert answer is not None
        assert any(part in answer for part in told.split("|")), answer
    await until(lambda: run.trace.tool_calls["a"].decision)
    assert "decided before: approved by person" in (page.says(**first, action="deny") or "")
    assert [c.call_id for c in run.pending] == ["b", "c"]
    run.cancel()
    await run
    assert "decided before" in (page.says(**first, action="approve") or "")
    assert page.says(**second, action="approve") == "this call does not wait any more"


@pytest.mark.parametrize("message", [{"type": "decide"}, {"type": "decide", "call_id": ["x"]}, {"type": "other"}, {}])
async def test_no_message_of_a_page_raises(message: dict[str, Any]) -> None:
    run, page = await three_waiting()

    page.card._hear(None, message, [])

    assert "problem" not in [heard["type"] for heard in page.heard]
    run.cancel()
    await run


async def test_two_cards_of_a_run_agree() -> None:
    run, page = await three_waiting()
    other = Page(ApprovalCard(run))
    only_b = Page(ApprovalCard(run, call_id="b"))
    marks = [other.card.snapshot, only_b.card.snapshot]
    asked = other.on(1)

    page.says(**page.on(1), action="deny")

    await until(lambda: run.trace.tool_calls["b"].decision)
    assert [ask["call_id"] for ask in other.asks] == ["a", "c"]
    assert (only_b.asks, [done["call_id"] for done in only_b.card.state()["done"]]) == ([], ["b"])
    assert other.card.snapshot > marks[0]
    assert only_b.card.snapshot > marks[1]
    assert "decided before: denied by person" in (other.says(**asked, action="approve") or "")
    run.cancel()
    await run


async def test_the_card_of_one_call_decides_no_other() -> None:
    run, page = await three_waiting()
    only_b = Page(ApprovalCard(run, call_id="b"))

    assert [ask["queue"] for ask in only_b.asks] == [[1, 1]]
    assert only_b.says(**page.on(0), action="approve") == "no such call waits in this run"
    run.cancel()
    await run


async def test_an_answer_may_come_on_any_thread() -> None:
    run, page = await three_waiting()
    asked = [page.on(n) for n in range(3)]
    messages = [{"type": "decide", **one, "action": "approve"} for one in asked * 3]
    threads = [threading.Thread(target=page.card._hear, args=(None, message, [])) for message in messages]

    for thread in threads:
        thread.start()
    await run
    for thread in threads:
        thread.join()

    assert sorted(path for path, _ in saved) == ["a.txt", "b.txt", "c.txt"]
    assert [len(record.decisions) for record in run.trace.tool_calls.values()] == [1, 1, 1]


async def test_the_page_hears_of_every_change_without_asking() -> None:
    run = a_run(call("save", path="a.txt", text="x", id="a"))
    card = ApprovalCard(run)
    seen: list[tuple[int, int, str]] = []
    card.observe(lambda _: seen.append((len((s := card.state())["asks"]), len(s["done"]), s["note"])), names="snapshot")

    await until(lambda: run.pending)
    run.approve("a")
    await run

    told = [state for state, _ in itertools.groupby(seen)]  # a change and the event that tells of it may be two
    assert told == [(1, 0, ""), (0, 0, ""), (0, 1, ""), (0, 1, "the run has ended: end_turn")]


async def test_other_runs_do_not_make_a_card_draw_itself_again() -> None:
    run, page = await three_waiting()
    mark = page.card.snapshot

    other = a_run(call("save", path="a.txt", text="x", id="a"))
    await until(lambda: other.pending)
    other.cancel()
    await other

    assert page.card.snapshot == mark
    run.cancel()
    await run


async def test_a_call_that_is_handed_on_is_asked_about_again() -> None:
    run = a_run(call("save", path="a.txt", text="x", id="a"), approvers=(Ask(attended=True), Ask(attended=True)))
    page = Page(ApprovalCard(run))
    await until(lambda: page.asks)
    mark = page.card.snapshot

    assert page.says(**page.on(0), action="escalate") is None
    await until(lambda: page.asks and page.card.state()["done"])
    await until(lambda: page.card.snapshot >= mark + 3)

    assert page.card.state()["done"][0]["words"].startswith("handed on by person")
    assert page.says(**page.on(0), action="approve") is None
    await run
    assert saved == [("a.txt", "x")]


@pytest.mark.parametrize("first", [Ask(attended=True), Ask(attended=True, timeout_s=0.1)], ids=["handed on", "silent"])
async def test_a_call_that_comes_back_after_a_slow_approver_is_told_of(first: Ask) -> None:
    async def slow(_: Any) -> None:
        await asyncio.sleep(0.3)

    run = a_run(call("save", path="a.txt", text="x", id="a"), approvers=(first, Callback(slow), Ask(attended=True)))
    card = ApprovalCard(run)
    told: list[int] = []
    card.observe(lambda _: told.append(len(card.state()["asks"])), names="snapshot")
    await until(lambda: told and told[-1] == 1)
    if first.timeout_s is None:
        run.decide("a", Decision(action="escalate"))
    await until(lambda: told[-1] == 0)

    await until(lambda: run.pending)

    assert told[-1] == 1
    run.cancel()
    await run


async def test_always_allow_is_kept_to_its_scope() -> None:
    run = a_run(call("save", path="a.txt", text="x", id="a"))
    page = Page(ApprovalCard(run))
    await until(lambda: page.asks)

    page.says(
        **page.on(0), action="approve", always={"kind": "pattern", "where": page.asks[0]["patterns"][0], "uses": 2}
    )
    await run

    decided = run.trace.tool_calls["a"].decision
    assert decided is not None
    assert decided.always == {"kind": "pattern", "where": ['path == "a.txt"'], "uses": 2}


async def test_calls_of_a_paused_run_can_be_decided_on_its_card() -> None:
    run = a_run(call("save", path="a.txt", text="x", id="a"), approvers=(Ask(attended=False),), unattended="pause")
    await run
    page, other = Page(ApprovalCard(run)), Page(ApprovalCard(run))
    assert "paused" in page.card.state()["note"]
    mark = other.card.snapshot

    assert page.says(**page.on(0), action="approve") is None

    assert (other.asks, other.card.snapshot > mark) == ([], True)


def a_pausing_agent() -> Agent:
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Ask(attended=False),), unattended="pause")
    calls = call("save", path="a.txt", text="x", id="a") + call("save", path="b.txt", text="x", id="b")
    saved.clear()
    return Agent(ScriptedModel([calls, "done"]), tools=[save], approval=policy, protocol="native")


async def test_the_card_of_a_paused_run_hears_of_decisions_taken_elsewhere() -> None:
    run = await a_pausing_agent().run("go")
    page = Page(ApprovalCard(run))
    mark = page.card.snapshot

    run.approve("a")

    assert ([ask["call_id"] for ask in page.asks], page.card.snapshot > mark) == (["b"], True)


async def test_the_card_of_a_paused_run_follows_it_when_it_is_resumed() -> None:
    agent = a_pausing_agent()
    run = await agent.run("go")
    page, late = Page(ApprovalCard(run)), run.pending[1]
    run.approve("a")

    resumed = agent.resume(run)
    later = Page(ApprovalCard(run))
    with pytest.raises(ApprovalError, match="was resumed: decide its calls at its `resumed_as`"):
        run.approve("b")
    assert (run.pending, page.card.state()["note"]) == ([], "")
    assert (await resumed).status == "paused"

    assert page.says(call_id="b", call_hash=late.call_hash, action="approve") is None
    again = agent.resume(resumed)
    await again
    assert sorted(saved) == [("a.txt", "x"), ("b.txt", "x")]
    assert page.card.state() == later.card.state()
    assert page.card.state()["note"] == "the run has ended: end_turn"


async def test_a_card_that_was_closed_hears_no_more() -> None:
    run = await a_pausing_agent().run("go")
    card = ApprovalCard(run)
    mark, listeners = card.snapshot, run._state.desk.listeners

    card.close()
    run.approve("a")

    assert (card.snapshot, listeners._acts) == (mark, {})
    ApprovalCard(run).close()
    gc.collect()
    assert listeners._acts == {}


async def test_a_ping_tells_the_run_that_somebody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    run, page = await three_waiting()
    heard: list[Run] = []
    monkeypatch.setattr(Run, "seen", lambda self: heard.append(self))

    page.card._hear(None, {"type": "ping"}, [])

    assert heard == [run]
    run.cancel()
    await run


async def test_a_card_that_nobody_has_does_not_listen_for_ever() -> None:
    before = observing._observers
    run, page = await three_waiting()
    assert len(observing._observers) == len(before) + 1

    run.cancel()
    await run

    assert observing._observers == before
    assert page.card.state()["note"] == "the run has ended: cancelled"


@pytest.mark.parametrize("payload", XSS_PAYLOADS.values(), ids=XSS_PAYLOADS)
async def test_hostile_text_stays_text(payload: str) -> None:
    run = a_run(call("save", path=payload, text=payload, id=payload))
    page = Page(ApprovalCard(run))
    await until(lambda: page.asks)

    assert json.loads(page.asks[0]["arguments_json"]) == {"path": payload, "text": payload}
    assert payload in (page.says(**page.on(0), action=payload) or "") + payload
    assert page.says(**page.on(0), action="deny", reason=payload) is None
    await run
    assert run.trace.tool_calls[payload].decision.reason == payload  # type: ignore[union-attr]


def test_a_card_is_of_a_run() -> None:
    with pytest.raises(InputError, match="an approval card is of a run, not 'run-1'"):
        ApprovalCard("run-1")  # type: ignore[arg-type]
