"""Who has the last word on a call: grants, rules, approvers, and decisions that were taken before a resume."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentlab import (
    Agent,
    AgentDiffersWarning,
    ApprovalPolicy,
    ApprovalRule,
    Ask,
    Callback,
    Decision,
    Judge,
    Lab,
    RequiresApproval,
    RunFirst,
    Scope,
    Script,
    ScriptedModel,
    Trace,
    approval,
    call,
    tool,
)
from agentlab.agent.approval import call_hash
from agentlab.errors import ConversationError, InputError, ToolArgumentError
from agentlab.messages.history import lint

PAID: list[tuple[str, int]] = []


@pytest.fixture(autouse=True)
def _nothing_paid():
    PAID.clear()


@tool
def pay(to: str, amount: int = 1) -> str:
    """Send money."""
    PAID.append((to, amount))
    return f"paid {amount}"


ASK = (ApprovalRule(decide="ask"),)
APPROVE_ALL = ApprovalPolicy(rules=(ApprovalRule(decide="approve"),))


def agent(*script: Any, policy: Any = None, tools: Any = (pay,), **settings: Any) -> Agent:
    return Agent(ScriptedModel(script), tools, approval=policy, **settings)


def records(run: Any) -> list[Any]:
    return list(run.trace.tool_calls.values())


def answers(run: Any) -> list[str]:
    return [record.returned.text for record in records(run)]


def always(**scope: Any) -> Decision:
    return Decision(action="approve", always=Scope(kind="tool", **scope))


async def until_pending(run: Any) -> Any:
    for _ in range(1000):
        if run.pending:
            return run.pending
        await asyncio.sleep(0)
    raise AssertionError("nothing waits")


# Grants


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (ApprovalRule(where=("amount > 100",), decide="deny", reason="too much"), "too much"),
        (ApprovalRule(where=("amount > 100",), decide="respond", response="ask the bank"), "ask the bank"),
        (ApprovalRule(where=("amount > 100",), decide="stop", reason="thief"), "thief"),
    ],
    ids=["deny", "respond", "stop"],
)
async def test_what_was_allowed_for_good_does_not_overrule_a_rule(rule, told):
    policy = ApprovalPolicy(rules=(rule, *ASK), approvers=(Script(always()),))
    script = [
        call("pay", to="ann", amount=5),
        call("pay", to="ann", amount=6),
        call("pay", to="eve", amount=900),
        "Done.",
    ]
    run = await agent(*script, policy=policy).run("x")

    assert PAID == [("ann", 5), ("ann", 6)], "the second needed no question"
    assert [record.requested is not None for record in records(run)] == [True, False, False]
    assert told in answers(run)[2]


async def test_a_grant_lives_with_its_agent_and_can_be_forgotten():
    policy = ApprovalPolicy(rules=ASK, approvers=(Script(always()),))
    paying = agent(call("pay", to="ann"), "Done.", policy=policy)
    await paying.run("x")
    assert repr(paying.grants) == "<Grants: pay (tool)>"

    with approval(ApprovalPolicy(rules=ASK)):
        second = await paying.run("y")
    assert len(PAID) == 2
    assert records(second)[0].decision.approver == "script, for good"

    paying.grants.clear()
    with approval(ApprovalPolicy(rules=ASK)):
        await paying.run("z")
    assert len(PAID) == 2
    assert len(paying.grants) == 0


async def test_a_grant_of_one_use_covers_one_of_two_calls_at_once():
    policy = ApprovalPolicy(rules=ASK, approvers=(Script(always(uses=1), "no", "no"),))
    batch = call("pay", to="bob") + call("pay", to="eve")
    run = await agent(call("pay", to="ann"), batch, "Done.", policy=policy).run("x")

    assert PAID == [("ann", 1), ("bob", 1)]
    assert records(run)[2].status == "error"


async def test_a_person_may_allow_for_good_from_another_process(tmp_path):
    policy = ApprovalPolicy(rules=ASK, unattended="pause")
    paying = agent(call("pay", to="ann"), call("pay", to="bob"), "Done.", policy=policy)
    with Lab(tmp_path / "a.db") as lab:
        run = await paying.run("x", lab=lab)
        lab.decide(lab.pending()[0].call_id, always())
        run = await lab.resume(run.id, paying)

    assert run.stop_reason == "end_turn"
    assert PAID == [("ann", 1), ("bob", 1)]


# Speaking with the user


def memgpt(policy: Any, **settings: Any) -> Agent:
    return agent(
        call("send_message", message="Hi."),
        call("send_message", message="Again."),
        policy=policy,
        protocol="memgpt",
        **settings,
    )


async def test_an_own_tool_in_the_place_of_the_protocols_is_a_deed():
    sent: list[str] = []

    @tool
    def send_message(message: str) -> str:
        sent.append(message)
        return "sent"

    run = await memgpt(ApprovalPolicy(), tools=[send_message], max_steps=1).run("x")

    assert sent == []
    assert "no rule of the approval policy allows it" in answers(run)[0]


@pytest.mark.parametrize(
    ("policy", "rules", "ran"),
    [
        (ApprovalPolicy(), (), True),
        (ApprovalPolicy(rules=(ApprovalRule(decide="deny"),)), (), True),
        (ApprovalPolicy(rules=(ApprovalRule(tool="send_message", decide="deny"),)), (), False),
        (None, (RequiresApproval("send_message"),), False),
        (APPROVE_ALL, (RequiresApproval("send_message"),), False),
    ],
    ids=["no-rule", "for-all", "named", "tool-rule", "tool-rule-first"],
)
async def test_to_speak_needs_no_leave_unless_a_rule_names_it(policy, rules, ran):
    run = await memgpt(policy, rules=rules, max_steps=1).run("x")

    assert (records(run)[0].status == "success") is ran


async def test_words_that_waited_are_not_let_out_by_another_policy():
    named = ApprovalPolicy(rules=(ApprovalRule(tool="send_message", decide="ask"),), unattended="pause")
    speaking = memgpt(named)
    paused = await speaking.run("x")
    assert paused.status == "paused"

    with approval(ApprovalPolicy(rules=(ApprovalRule(decide="approve"),))):
        run = await speaking.resume(paused)

    assert records(run)[0].decision.approver == "unattended"
    assert records(run)[0].started is None


# Approvers that fail, and those that do not know


class Oops(Exception):  # noqa: N818
    pass


def failing(call: Any) -> bool:
    raise Oops("oops")


def unsure(call: Any) -> None:
    return None


@pytest.mark.parametrize(
    ("approvers", "unattended", "ended"),
    [
        ((Callback(failing),), "deny", ("denied", "an approver failed")),
        ((Callback(failing),), "approve", ("denied", "an approver failed")),
        ((Callback(failing),), "pause", ("paused", None)),
        ((Callback(failing), Script(True)), "deny", ("paid", None)),
        ((Callback(failing), Callback(unsure)), "approve", ("denied", "an approver failed")),
        ((Callback(unsure),), "approve", ("paid", None)),
        ((Callback(unsure),), "deny", ("denied", "nobody was there to decide")),
        ((Script(Decision(action="escalate")),), "approve", ("denied", "nobody decided")),
        ((Script(Decision(action="escalate")), Callback(unsure)), "pause", ("paused", None)),
        ((Script(Decision(action="edit", arguments={"to": 3})),), "approve", ("denied", "an approver failed")),
        ((Callback(lambda call: 3),), "approve", ("denied", "an approver failed")),
    ],
)
async def test_where_no_approver_decides_the_policy_says_what_happens(approvers, unattended, ended):
    policy = ApprovalPolicy(rules=ASK, approvers=approvers, unattended=unattended)
    run = await agent(call("pay", to="ann"), "Done.", policy=policy).run("x")

    outcome, reason = ended
    assert run.status == ("paused" if outcome == "paused" else "finished")
    assert len(PAID) == (outcome == "paid")
    if reason is not None:
        assert answers(run)[0].endswith(f"Reason: {reason}")
    if failing in [getattr(approver, "function", None) for approver in approvers]:
        assert (run.trace.errors[0].code, run.trace.errors[0].error_type) == ("APPROVER_FAILED", "Oops")


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        ("APPROVE", "paid 1"),
        (" approve \n", "paid 1"),
        ("DENY: too odd", "The call was denied by judge. Reason: too odd"),
        ("DENY", "The call was denied by judge. Reason: none was given"),
        ("ESCALATE", "The call was denied by last resort. Reason: nobody decided"),
        ("I would APPROVE this", "The call was denied by unattended. Reason: nobody was there to decide"),
        ("APPROVE\nDENY: no", "The call was denied by unattended. Reason: nobody was there to decide"),
        ("", "The call was denied by unattended. Reason: nobody was there to decide"),
    ],
)
async def test_a_model_must_say_clearly_what_it_means(said, ended):
    judge = Judge(ScriptedModel(lambda request: said, name="judge"))
    run = await agent(call("pay", to="ann"), "Done.", policy=ApprovalPolicy(rules=ASK, approvers=(judge,))).run("x")

    assert answers(run) == [ended]


async def test_approvers_from_data_without_their_code_let_nothing_run():
    bare = (Callback(name="clerk"), Judge(name="judge"))
    policy = ApprovalPolicy(rules=ASK, approvers=bare, unattended="approve")
    run = await agent(call("pay", to="ann"), "Done.", policy=policy).run("x")

    assert PAID == []
    assert [error.error_type for error in run.trace.errors] == [InputError.__name__] * 2


# Decisions and resumes


def paying_with(amount: int, policy: Any, *more: Any) -> Agent:
    """An agent that fills in the amount."""
    rules = [RunFirst("pay", arguments={"amount": amount})]
    return agent(call("pay", to="ann"), *more, "Done.", policy=policy, rules=rules)


PAUSE = ApprovalPolicy(rules=ASK, unattended="pause")


@pytest.mark.filterwarnings("ignore::agentlab.AgentDiffersWarning")
async def test_a_decision_holds_only_for_the_arguments_it_was_taken_on():
    policy = ApprovalPolicy(rules=ASK, approvers=(Script(True),))
    whole = await paying_with(1, policy).run("x")
    decided = next(e.seq for e in whole.trace if e.type == "approval_decided")
    PAID.clear()

    run = await paying_with(1_000_000, policy).resume(Trace(whole.trace.events[: decided + 1]))

    assert PAID == []
    assert answers(run)[0] == (
        "The call was denied by the agent. Reason: its arguments are no longer those that were decided on"
    )
    assert records(run)[0].decision.action == "deny"
    assert lint(run.messages) == []


@pytest.mark.filterwarnings("ignore::agentlab.AgentDiffersWarning")
async def test_a_question_is_put_again_when_the_arguments_have_changed():
    paused = await paying_with(1, PAUSE).run("x")
    other = paying_with(2, PAUSE)
    with approval(ApprovalPolicy(rules=ASK, approvers=(Ask(attended=True),))):
        run = other.resume(paused)
    (pending,) = await until_pending(run)
    assert pending.arguments == {"to": "ann", "amount": 2}
    run.approve(
        pending.call_id,
    )
    await run

    assert PAID == [("ann", 2)]
    asked = [e.call_hash for e in run.trace if e.type == "approval_requested"]
    assert asked == [call_hash("pay", {"to": "ann", "amount": n}) for n in (1, 2)]


@pytest.mark.filterwarnings("ignore::agentlab.AgentDiffersWarning")
async def test_a_decision_from_elsewhere_holds_only_for_the_arguments_it_was_taken_on(tmp_path):
    with Lab(tmp_path / "a.db") as lab:
        paused = await paying_with(1, PAUSE).run("x", lab=lab)
        lab.decide(lab.pending()[0].call_id, Decision(action="approve"))
        run = await lab.resume(paused.id, paying_with(1_000_000, PAUSE))

    assert PAID == []
    assert "no longer those that were decided on" in answers(run)[0]


async def test_a_question_is_not_put_twice_when_nothing_has_changed():
    paused = await paying_with(1, PAUSE).run("x")
    with approval(ApprovalPolicy(rules=ASK, approvers=(Script(True),))), pytest.warns(AgentDiffersWarning):
        run = await agent(
            call("pay", to="ann"), "Done.", policy=PAUSE, rules=[RunFirst("pay", arguments={"amount": 1})], max_steps=9
        ).resume(paused)

    assert [e.type for e in run.trace].count("approval_requested") == 1
    assert PAID == [("ann", 1)]


async def test_a_script_goes_on_with_its_own_decisions_after_a_resume():
    batch = call("pay", to="ann") + call("pay", to="bob") + call("pay", to="eve")
    scripted = ApprovalPolicy(rules=ASK, approvers=(Script(True, "not bob", True),))
    paused = await agent(batch, "Done.", policy=PAUSE).run("x")
    with approval(scripted):
        run = await agent(batch, "Done.", policy=PAUSE).resume(paused)

    assert PAID == [("ann", 1), ("eve", 1)]
    assert "not bob" in answers(run)[1]


async def test_a_paused_run_can_be_cancelled_by_resuming_it():
    paying = agent(call("pay", to="ann"), "Done.", policy=PAUSE)
    paused = await paying.run("x")
    run = paying.resume(paused)
    run.cancel()
    await run

    assert (run.stop_reason, PAID) == ("cancelled", [])
    goes_on = await Agent(ScriptedModel(lambda request: "Well."), [pay]).run("and now?", history=run)
    assert goes_on.text == "Well."


async def test_no_other_message_is_taken_while_a_call_waits():
    paying = agent(call("pay", to="ann"), "Done.", policy=ApprovalPolicy(rules=ASK, approvers=(Ask(attended=True),)))
    run = paying.run("x")
    (pending,) = await until_pending(run)
    with pytest.raises(
        ConversationError, match=rf"waits for a decision on `{pending.call_id}` \(pay\): decide and await"
    ):
        paying.run("hello?", history=run)
    run.approve(pending.call_id)
    await run

    assert (await paying.run("hello?", history=run)).stop_reason in ("end_turn", "llm_api_error")


@pytest.mark.parametrize("amount", [{1, 2}, 2**70, "lots", None], ids=["set", "huge", "text", "none"])
async def test_an_edit_that_no_tool_could_take_is_refused_and_the_call_still_waits(amount):
    run = agent(call("pay", to="ann"), "Done.", policy=ApprovalPolicy(rules=ASK, approvers=(Ask(attended=True),))).run(
        "x"
    )
    (pending,) = await until_pending(run)
    with pytest.raises(ToolArgumentError, match="`pay` was called with bad arguments"):
        run.edit(pending.call_id, {"to": "ann", "amount": amount})
    assert run.pending == [pending]
    run.edit(pending.call_id, {"to": "ann", "amount": 2})
    await run

    assert PAID == [("ann", 2)]


async def test_a_block_is_for_the_task_that_opened_it():
    paying = agent(call("pay", to="ann"), "Done.", policy=ApprovalPolicy(rules=(ApprovalRule(decide="deny"),)))
    inside, outside = asyncio.Event(), asyncio.Event()

    async def with_block() -> Any:
        with approval(APPROVE_ALL):
            inside.set()
            await outside.wait()
            return await paying.run("x")

    async def without() -> Any:
        await inside.wait()
        run = await paying.run("x")
        outside.set()
        return run

    allowed, denied = await asyncio.gather(with_block(), without())
    assert records(allowed)[0].status == "success"
    assert records(denied)[0].status == "error"
    assert len(PAID) == 1


async def test_blocks_lie_in_each_other():
    deny = ApprovalPolicy(rules=(ApprovalRule(decide="deny"),))
    paying = agent(call("pay", to="ann"), "Done.")
    with approval(deny):
        with approval(APPROVE_ALL):
            await paying.run("x")
        assert len(PAID) == 1
        await paying.run("x")
        assert len(PAID) == 1
    await paying.run("x")
    assert len(PAID) == 2
