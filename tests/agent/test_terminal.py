"""A person at the terminal of a script answers, one question at a time, each for the call that was shown."""

from __future__ import annotations

import asyncio
import queue

import pytest

from agentlab import Agent, ApprovalPolicy, ApprovalRule, Ask, ScriptedModel, Terminal, call, tool
from agentlab.agent import approvers

PAID: list[int] = []


@tool
def pay(amount: int) -> str:
    """Send money."""
    PAID.append(amount)
    return "paid"


class Keyboard:
    """A person at a terminal who types when told to, or lines given beforehand."""

    def __init__(self, monkeypatch, *lines):
        self._lines, self.waits, self.at_once = queue.SimpleQueue(), 0, 0
        for line in lines:
            self._lines.put(line)
        monkeypatch.setattr(approvers, "person_at_terminal", lambda: True)
        monkeypatch.setattr("builtins.input", self._input)

    def type(self, line):
        self._lines.put(line)

    def _input(self, prompt=""):
        self.waits += 1
        self.at_once = max(self.at_once, self.waits)
        try:
            line = self._lines.get(timeout=5)
        finally:
            self.waits -= 1
        if isinstance(line, BaseException):
            raise line
        return line


@pytest.fixture(autouse=True)
def _nothing_paid():
    PAID.clear()


def start(*amounts, approver=None, unattended="deny"):
    calls = sum((call("pay", amount=amount) for amount in amounts[1:]), call("pay", amount=amounts[0]))
    policy = ApprovalPolicy(
        rules=(ApprovalRule(decide="ask"),), approvers=(approver or Terminal(),), unattended=unattended
    )
    return Agent(ScriptedModel([calls, "Done."]), [pay], approval=policy).run("pay")


def decided(run):
    return [(r.decision.action, r.decision.approver, r.decision.approver_kind) for r in run.trace.tool_calls.values()]


@pytest.mark.parametrize("approver", [Terminal(), Ask()], ids=["terminal", "ask"])
@pytest.mark.parametrize(
    ("lines", "action", "paid"),
    [
        (["a"], "approve", [5]),
        (["yes", 'e {"amount": "lots"}', 'e {"amount": 2}'], "edit", [2]),
        (["d too much"], "deny", []),
        (["r", "r it was paid before"], "respond", []),
        (["s"], "stop", []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_person_at_the_terminal_decides(lines, action, paid, approver, monkeypatch, capsys):
    Keyboard(monkeypatch, *lines)
    run = await start(5, approver=approver)
    assert (decided(run), PAID) == ([(action, "terminal", "person")], paid)
    told = capsys.readouterr().err
    assert ('"amount": 5' in told, told.count("not taken")) == (True, len(lines) - 1)


async def test_of_several_calls_one_is_asked_about_at_a_time(monkeypatch, capsys):
    keyboard = Keyboard(monkeypatch)
    run = asyncio.ensure_future(_join(start(1, 2, 3)))
    for amount, line in ((1, "d"), (2, "a"), (3, "d")):
        await _until(lambda amount=amount: keyboard.waits and f'"amount": {amount}' in capsys.readouterr().err)
        keyboard.type(line)
    assert [action for action, *_ in decided(await run)] == ["deny", "approve", "deny"]
    assert (PAID, keyboard.at_once) == ([2], 1)


async def test_a_line_typed_for_a_call_that_was_decided_elsewhere_decides_no_other(monkeypatch, capsys):
    keyboard = Keyboard(monkeypatch)
    run = start(1, 2)
    await _until(lambda: keyboard.waits)
    first, _ = run.pending
    run.deny(first.call_id)
    await _until(lambda: "press Enter" in capsys.readouterr().err)
    keyboard.type("a")  # meant for the first
    await _until(lambda: '"amount": 2' in capsys.readouterr().err)
    keyboard.type("d")
    assert decided(await run) == [("deny", "person", "person"), ("deny", "terminal", "person")]
    assert PAID == []


async def test_a_terminal_that_is_silent_is_given_up_in_time(monkeypatch):
    keyboard = Keyboard(monkeypatch)
    run = await asyncio.wait_for(start(1, approver=Terminal(timeout_s=0.1)), 5)
    keyboard.type("a")
    assert (decided(run)[-1], PAID) == (("deny", "unattended", "policy"), [])


@pytest.mark.parametrize("unattended", ["deny", "approve"])
async def test_where_no_terminal_is_or_its_input_ends_the_policy_decides(unattended, monkeypatch):
    run = await start(1, unattended=unattended)
    Keyboard(monkeypatch, EOFError())
    ended = await start(1, unattended=unattended)
    assert decided(run) == decided(ended) == [(unattended, "unattended", "policy")]


async def _join(run):
    return await run


async def _until(holds):
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError
