"""Where a notebook runs without a person, a call that somebody should decide is decided at once."""

from __future__ import annotations

import pytest

from tests.notebooks.test_notebooks import execute, shown

SETUP = """
from agentlab import Agent, ApprovalPolicy, ApprovalRule, Ask, ScriptedModel, call, tool

paid = []

@tool
def pay(amount: int) -> str:
    "Send money."
    paid.append(amount)
    return "paid"

def agent(unattended):
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Ask(),), unattended=unattended)
    return Agent(ScriptedModel([call("pay", amount=5), "Done."]), [pay], approval=policy)
"""


@pytest.mark.parametrize(
    ("unattended", "told"),
    [
        ("deny", "('finished', 'end_turn', [], 'unattended')"),
        ("approve", "('finished', 'end_turn', [5], 'unattended')"),
        ("pause", "('paused', None, [], None)"),
    ],
)
def test_a_headless_kernel_does_not_wait_for_a_person(unattended, told):
    *_, cell = execute(
        [
            SETUP,
            f"run = await agent({unattended!r}).run('pay')",
            "decision = next(iter(run.trace.tool_calls.values())).decision\n"
            "run.status, run.stop_reason, paid, decision.approver if decision else None",
        ]
    )
    assert shown(cell) == told


def test_a_headless_notebook_shows_each_run_once_and_holds_no_widget():
    _, started, awaited, both, view = execute(
        [SETUP, "run = agent('deny').run('pay')", "await run;", "other = await agent('deny').run('pay')", "run.view()"]
    )

    assert started.outputs == []
    for cell in (awaited, both, view):
        assert [sorted(output.data) for output in cell.outputs] == [["text/html", "text/plain"]]
        assert "Done." in shown(cell)
