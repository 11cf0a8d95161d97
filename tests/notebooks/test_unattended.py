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
