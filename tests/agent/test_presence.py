"""Who answers where a cell waits for a run: a page that can be heard, else the cell itself, else the policy."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

import pytest

from agentlab import Agent, ApprovalPolicy, ApprovalRule, Ask, ScriptedModel, call, tool
from agentlab.agent import presence
from agentlab.errors import ApprovalError
from agentlab.messages.history import lint
from agentlab.trace.redact import REDACTED

PAID: list[int] = []


@tool
def pay(amount: int) -> str:
    """Send money."""
    PAID.append(amount)
    return "paid"


POLICY = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Ask(attended=True),))


class Cell:
    """A cell that runs in a kernel, with a person who types."""

    def __init__(self, monkeypatch, *lines):
        self.running, self.lines, self.asked = True, list(lines), 0
        monkeypatch.setattr(presence, "in_notebook", lambda: True)
        monkeypatch.setattr(presence, "cell_is_running", lambda: self.running)
        monkeypatch.setattr(presence, "GRACE_S", 0.2)
        monkeypatch.setattr(presence, "_LOOK_S", 0.01)
        monkeypatch.setattr("builtins.input", self.input)

    def input(self, prompt=""):
        self.asked += 1
        line = self.lines.pop(0)
        if isinstance(line, BaseException):
            raise line
        return line

    def nobody_types(self, prompt=""):
        self.asked += 1
        for _ in range(500):  # as a kernel does, which looks for an answer again and again
            time.sleep(0.01)
        raise AssertionError("nothing has ended the question")


@pytest.fixture(autouse=True)
def _nothing_paid():
    PAID.clear()


def start(policy=POLICY):
    return Agent(ScriptedModel([call("pay", amount=5), "Done."]), [pay], approval=policy).run("pay")


def decision(run):
    return next(iter(run.trace.tool_calls.values())).decision


async def test_the_cell_asks_when_no_page_can_be_heard(monkeypatch, capsys):
    cell = Cell(monkeypatch, "nonsense", 'e {"amount": "lots"}', 'e {"amount": 2}')
    run = await asyncio.wait_for(start(), 5)
    assert (PAID, cell.asked) == ([2], 3)
    assert (decision(run).approver, decision(run).approver_kind) == ("stdin", "person")
    told = capsys.readouterr().out
    assert '"amount": 5' in told
    assert "not taken: 'nonsense' is none of the answers" in told


async def test_the_cell_shows_no_key_and_an_edit_that_leaves_it_alone_keeps_it(monkeypatch, capsys):
    got, key = [], "sk-" + "a1" * 12

    def send(to: str, api_key: str) -> str:
        """Send a letter."""
        got.append((to, api_key))
        return "sent"

    lines = [f'e {{"to": "bob", "api_key": "x{REDACTED}"}}', f'e {{"to": "bob", "api_key": "{REDACTED}"}}', "a"]
    Cell(monkeypatch, *lines)
    script = [call("send", to="ann", api_key=key), call("send", to="cat", api_key=key), "Done."]
    await asyncio.wait_for(Agent(ScriptedModel(script), [send], approval=POLICY).run("send"), 5)
    told = capsys.readouterr().out
    assert (key in told, told.count(f'"api_key": "{REDACTED}"'), told.count("not taken")) == (False, 2, 1)
    assert got == [("bob", key), ("cat", key)]


async def test_a_page_that_is_heard_is_waited_for_however_long_it_takes(monkeypatch):
    cell = Cell(monkeypatch, "a")
    run = start()
    waiting = asyncio.ensure_future(_join(run))
    for _ in range(12):
        await asyncio.sleep(0.05)
        run.seen()
    assert (cell.asked, run.status) == (0, "running")
    run.approve(run.pending[0].call_id)
    await waiting
    assert decision(run).approver == "person"


async def test_a_page_that_is_heard_between_cells_only_is_not_waited_for_for_ever(monkeypatch):
    cell = Cell(monkeypatch, "d too much")
    run = start()
    cell.running = False
    run.seen()
    cell.running = True
    await asyncio.wait_for(_join(run), 5)
    assert (cell.asked, PAID, decision(run).reason) == (1, [], "too much")


async def test_a_page_that_was_heard_while_the_cell_runs_may_be_loaded_anew(monkeypatch):
    cell = Cell(monkeypatch, "a")
    run = start()
    waiting = asyncio.ensure_future(_join(run))
    await asyncio.sleep(0.05)
    run.seen()
    await asyncio.sleep(0.6)  # the input line would ask a page that is gone
    assert (cell.asked, len(run.pending)) == (0, 1)
    run.approve(run.pending[0].call_id)
    await waiting
    assert PAID == [5]


async def test_a_run_that_no_cell_waits_for_asks_nobody_by_itself(monkeypatch):
    cell = Cell(monkeypatch, "a")
    run = start()
    await asyncio.sleep(0.4)
    assert (cell.asked, run.status, len(run.pending)) == (0, "running", 1)
    run.deny(run.pending[0].call_id)
    cell.running = False
    await run


async def test_between_cells_the_input_line_is_left_alone(monkeypatch):
    cell = Cell(monkeypatch, "a")
    cell.running = False
    run = start()
    waiting = asyncio.ensure_future(_join(run))
    await asyncio.sleep(0.4)
    assert cell.asked == 0
    cell.running = True
    await asyncio.wait_for(waiting, 5)
    assert (cell.asked, PAID) == (1, [5])


async def test_a_decision_from_elsewhere_counts_while_the_grace_lasts(monkeypatch):
    cell = Cell(monkeypatch, "a")
    run = start()
    asyncio.get_running_loop().call_later(0.05, lambda: run.respond(run.pending[0].call_id, "it was paid before"))
    await run
    assert (cell.asked, PAID, decision(run).action) == (0, [], "respond")


async def test_to_interrupt_the_question_cancels_the_run(monkeypatch):
    cell, kept = Cell(monkeypatch), []
    monkeypatch.setattr("builtins.input", cell.nobody_types)
    before = signal.signal(signal.SIGINT, lambda *_: kept.append(cell.asked))  # a kernel's, for its event loop
    try:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        run = await asyncio.wait_for(start(), 10)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.01)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (run.stop_reason, PAID, decision(run)) == ("cancelled", [], None)
    assert lint(run.messages) == []
    assert kept == [1, 1], "the kernel, which ends the cell, hears of this interrupt and of later ones"


async def test_a_question_that_nobody_answers_is_given_up_in_time(monkeypatch, capsys):
    cell = Cell(monkeypatch)
    monkeypatch.setattr("builtins.input", cell.nobody_types)
    policy = POLICY.model_copy(update={"approvers": (Ask(attended=True, timeout_s=0.6),)})
    run = await asyncio.wait_for(start(policy), 10)
    (record,) = run.trace.tool_calls.values()
    assert [(d.action, d.approver, d.reason) for d in record.decisions] == [
        ("escalate", "ask", "no answer within 0.6 s"),
        ("deny", "unattended", "nobody was there to decide"),
    ]
    assert (cell.asked, PAID, "in time" in capsys.readouterr().out) == (1, [], True)


async def test_a_click_that_comes_while_the_cell_asks_is_refused(monkeypatch):
    cell, told = Cell(monkeypatch, "d"), []
    run = start()

    def click_and_type(prompt):
        with pytest.raises(ApprovalError, match="waits for a decision"):
            run.approve(next(iter(run.trace.tool_calls)))
        told.append(prompt)
        return cell.input(prompt)

    monkeypatch.setattr("builtins.input", click_and_type)
    await asyncio.wait_for(_join(run), 5)
    assert (decision(run).action, PAID, len(told)) == ("deny", [], 1)


async def test_where_the_input_ends_the_policy_decides(monkeypatch):
    Cell(monkeypatch, EOFError())
    run = await asyncio.wait_for(start(), 5)
    assert (PAID, decision(run).approver) == ([], "unattended")


async def _join(run):
    return await run
