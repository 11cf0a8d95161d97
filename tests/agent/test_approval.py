"""The flow of approvals: every way a call can be decided, and every way that can go wrong."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import orjson
import pytest
from pydantic import Field

from agentlab import Agent, ScriptedModel, call, clock, fail, think, tool
from agentlab.agent.approval import ApprovalRule, Decision, Scope, call_hash
from agentlab.agent.approval_policy import ApprovalPolicy, approval
from agentlab.agent.approvers import Approver, Ask, Callback, Judge, Script
from agentlab.agent.desk import Answer
from agentlab.agent.differences import AgentDiffersWarning
from agentlab.agent.tool_rule_kinds import RequiresApproval
from agentlab.errors import ApprovalError, ConversationError, RateLimitError, RunError, ToolArgumentError
from agentlab.messages.history import lint

PAID: list[dict] = []


@pytest.fixture(autouse=True)
def _nothing_paid():
    PAID.clear()


@tool
def pay(to: str, amount: int) -> str:
    """Send money."""
    PAID.append({"to": to, "amount": amount})
    return f"paid {amount} to {to}"


@tool
def look(at: str) -> str:
    """Look at something harmless."""
    return f"saw {at}"


ASK_PAY = (ApprovalRule(tool="look", decide="approve"), ApprovalRule(tool="pay", decide="ask"))
ATTENDED = ApprovalPolicy(rules=ASK_PAY, approvers=(Ask(attended=True),))
PAUSING = ApprovalPolicy(rules=ASK_PAY, unattended="pause")


def agent_of(*script, policy=ATTENDED, **settings):
    return Agent(ScriptedModel(script), [pay, look], approval=policy, **settings)


async def until(true):
    for _ in range(100_000):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


async def until_pending(run, n=1):
    await until(lambda: len(run.pending) >= n or run.status != "running")
    assert len(run.pending) >= n, run
    return run.pending


def record(run, n=0):
    return list(run.trace.tool_calls.values())[n]


ONE = call("pay", to="ann", amount=5)


async def test_an_approved_call_runs():
    run = agent_of(ONE, "Done.").run("pay ann")
    (pending,) = await until_pending(run)
    assert (pending.tool, pending.arguments) == ("pay", {"to": "ann", "amount": 5})
    assert pending.call_hash == call_hash("pay", {"amount": 5, "to": "ann"})

    assert run.approve(pending.call_id)
    await run

    assert PAID == [{"to": "ann", "amount": 5}]
    assert record(run).decision.approver_kind == "person"
    assert run.text == "Done."
    assert lint(run.messages) == []


async def test_a_denied_call_does_not_run_and_the_loop_goes_on_with_the_reason():
    run = agent_of(ONE, "I see.").run("pay ann")
    (pending,) = await until_pending(run)
    run.deny(pending.call_id, "too risky")
    await run

    assert PAID == []
    assert record(run).returned.text == "The call was denied by person. Reason: too risky"
    assert record(run).status == "error"
    assert record(run).duration_s is None
    assert run.text == "I see."


async def test_the_text_of_a_denial_is_a_setting():
    policy = ATTENDED.model_copy(update={"denial_text": "No `{tool}` today: {reason}"})
    run = agent_of(ONE, "I see.", policy=policy).run("pay ann")
    (pending,) = await until_pending(run)
    run.deny(pending.call_id)
    await run
    assert record(run).returned.text == "No `pay` today: none was given"


async def test_an_edited_call_runs_with_the_edited_arguments_and_the_model_is_told():
    run = agent_of(ONE, "Done.").run("pay ann")
    (pending,) = await until_pending(run)
    with pytest.raises(ToolArgumentError, match="`amount`"):
        run.edit(pending.call_id, {"to": "ann", "amount": "lots"})
    assert run.pending == [pending], "it still waits"
    run.edit(pending.call_id, {"to": "bob", "amount": 1})
    await run

    assert PAID == [{"to": "bob", "amount": 1}]
    kept = record(run)
    assert orjson.loads(kept.requested.arguments) == {"to": "ann", "amount": 5}
    assert orjson.loads(kept.decision.arguments) == {"to": "bob", "amount": 1}
    assert orjson.loads(kept.started.arguments) == {"to": "bob", "amount": 1}
    assert kept.decision.call_hash == call_hash("pay", {"to": "bob", "amount": 1}) != kept.requested.call_hash
    told = next(m for m in run.messages if m.role == "tool").text
    assert told.startswith('[person changed the arguments before the call ran, to {"to":"bob","amount":1}]')
    assert "paid 1 to bob" in told


async def test_a_response_stands_in_the_place_of_the_tools_return():
    run = agent_of(ONE, "Done.").run("pay ann")
    (pending,) = await until_pending(run)
    run.respond(pending.call_id, "paid by hand")
    await run

    assert PAID == []
    assert (record(run).status, record(run).returned.text) == ("success", "paid by hand")
    assert record(run).duration_s is None


async def test_stop_ends_the_run_with_a_whole_history():
    run = agent_of(ONE + call("look", at="x"), "never").run("pay ann")
    (pending,) = await until_pending(run)
    run.decide(pending.call_id, Decision(action="stop", reason="enough"))
    await run
    assert run.stop_reason == "stopped"
    assert "enough" in record(run).returned.text
    assert lint(run.messages) == []


@pytest.mark.parametrize(
    "decision",
    [
        Decision(action="approve"),
        Decision(action="deny", reason="no"),
        Decision(action="edit", arguments={"to": "bob", "amount": 1}),
        Decision(action="respond", response="by hand"),
    ],
    ids=lambda d: d.action,
)
@pytest.mark.parametrize("trouble", [False, True], ids=["turn", "turn-after-an-error"])
async def test_another_turn_follows_each_decision(decision, trouble):
    after = [fail(RateLimitError("slow down")), "Third."] if trouble else ["Second.", "Third."]
    agent = agent_of(ONE, *after)
    first = agent.run("pay ann")
    (pending,) = await until_pending(first)
    first.decide(pending.call_id, decision)
    await first
    assert first.stop_reason == ("llm_api_error" if trouble else "end_turn")

    follow_up = Agent(ScriptedModel(lambda request: "Third."), [pay, look], approval=ATTENDED)
    second = await follow_up.run("and now?", history=first)
    assert second.text == "Third."
    assert lint(second.messages) == []


async def test_a_batch_of_three_is_decided_each_for_itself_in_any_order():
    batch = ONE + call("pay", to="bob", amount=6) + call("look", at="tea") + call("pay", to="eve", amount=7)
    run = agent_of(batch, "Done.").run("pay all")
    a, b, c = await until_pending(run, 3)
    await until(lambda: record(run, 2).returned is not None)  # what needs no approval runs, the others wait
    assert PAID == []

    run.deny(c.call_id, "no eve")
    run.approve(a.call_id)
    await until(lambda: PAID)  # one decision is enough for its own call
    assert [p.call_id for p in run.pending] == [b.call_id]
    run.edit(b.call_id, {"to": "bob", "amount": 1})
    await run

    assert PAID == [{"to": "ann", "amount": 5}, {"to": "bob", "amount": 1}]
    answers = [m for m in run.messages if m.role == "tool"]
    assistant = next(m for m in run.messages if m.role == "assistant")
    assert [m.tool_call_id for m in answers] == [c.id for c in assistant.tool_calls], "in the order of the calls"
    assert lint(run.messages) == []


async def test_a_decision_with_nothing_pending_is_refused():
    run = await agent_of("Hi.").run("hello")
    with pytest.raises(ApprovalError, match="the run has ended"):
        run.approve("call_1")


async def test_a_decision_for_another_id_is_refused_and_names_what_waits():
    run = agent_of(ONE, "Done.").run("pay ann")
    (pending,) = await until_pending(run)
    with pytest.raises(ApprovalError, match=f"no call `call_9` waits for a decision; waiting: {pending.call_id}"):
        run.approve("call_9")
    run.cancel()
    await run


async def test_a_repeated_decision_is_harmless_and_a_different_one_refused():
    run = agent_of(ONE, "Done.").run("pay ann")
    (pending,) = await until_pending(run)
    assert run.approve(pending.call_id, by="ann") is True
    assert run.approve(pending.call_id, by="bob") is False
    with pytest.raises(ApprovalError, match="was decided before: approve, by ann"):
        run.deny(pending.call_id)
    await run
    assert len(PAID) == 1


async def test_two_people_at_once_decide_one_call_once():
    run = agent_of(ONE, "Done.").run("pay ann")
    (pending,) = await until_pending(run)
    said = []

    def decide(action):
        try:
            said.append(run.decide(pending.call_id, Decision(action=action), by=action))
        except ApprovalError as exc:
            said.append(str(exc))

    threads = [threading.Thread(target=decide, args=(action,)) for action in ("approve", "deny")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    await run

    assert [s for s in said if s is True] == [True]
    assert len(record(run).decisions) == 1
    assert len(PAID) == (record(run).decision.action == "approve")


async def test_a_decision_is_bound_to_the_call_that_was_looked_at():
    run = agent_of(ONE, "Done.").run("pay ann")
    (pending,) = await until_pending(run)
    with pytest.raises(ApprovalError, match="another call than the one that was looked at"):
        run.decide(pending.call_id, Decision(action="approve"), call_hash=call_hash("pay", {"to": "ann", "amount": 1}))
    run.decide(pending.call_id, Decision(action="approve"), call_hash=pending.call_hash)
    await run


async def test_an_approval_after_the_run_was_cancelled_is_refused():
    run = agent_of(ONE, "Done.").run("pay ann")
    (pending,) = await until_pending(run)
    run.cancel()
    await run
    with pytest.raises(ApprovalError, match=r"the run has ended \(cancelled\)"):
        run.approve(pending.call_id)
    assert PAID == []
    assert lint(run.messages) == []


async def test_arguments_are_checked_before_anybody_is_asked():
    run = await agent_of(call("pay", to="ann", amount="lots"), "Sorry.").run("pay ann")
    assert record(run).requested is None
    assert "`amount`" in record(run).returned.text


async def test_nobody_there_means_no_unless_the_policy_says_otherwise():
    run = await agent_of(ONE, "I see.", policy=ApprovalPolicy(rules=ASK_PAY)).run("pay ann")
    assert record(run).decision.approver == "unattended"
    assert record(run).returned.text == "The call was denied by unattended. Reason: nobody was there to decide"
    assert PAID == []

    policy = ApprovalPolicy(rules=ASK_PAY, unattended="approve")
    run = await agent_of(ONE, "Done.", policy=policy).run("pay ann")
    assert len(PAID) == 1


async def test_where_no_rule_decides_the_answer_is_no():
    run = await agent_of(call("look", at="x"), "I see.", policy=ApprovalPolicy()).run("look")
    assert "no rule of the approval policy allows it" in record(run).returned.text


async def test_rules_are_asked_in_order_and_may_hand_on():
    rules = (
        ApprovalRule(tool="pay", where=("amount > 100",), decide="deny", reason="too much"),
        ApprovalRule(tool_glob="p*", decide="escalate"),
        ApprovalRule(tool="pay", where=('to in ["ann", "bob"]',), decide="approve"),
        ApprovalRule(tool="pay", decide="respond", response="ask the bank"),
    )
    policy = ApprovalPolicy(rules=rules)
    script = [call("pay", to="ann", amount=n) + call("pay", to="eve", amount=n) for n in (500, 5)]
    run = await agent_of(*script, "Done.", policy=policy).run("pay")
    texts = [r.returned.text for r in run.trace.tool_calls.values()]
    assert texts == [
        "The call was denied by rule 1. Reason: too much",
        "The call was denied by rule 1. Reason: too much",
        "paid 5 to ann",
        "ask the bank",
    ]
    assert [r.decision.approver for r in run.trace.tool_calls.values()] == ["rule 1", "rule 1", "rule 3", "rule 4"]


class Broken(Approver):
    answers_as = "callback"
    kind: str = "broken"

    async def ask(self, call, run):
        raise ZeroDivisionError("oops")


class Locked(Approver):
    answers_as = "callback"
    kind: str = "locked"
    lock: Any = Field(default_factory=threading.Lock)

    async def ask(self, call, run):
        return Answer(Decision(action="approve"), by=self.kind)


async def test_a_policy_that_holds_what_json_has_not_is_recorded_by_kind():
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Locked(),))
    with approval(policy):
        run = await agent_of(ONE, "ok").run("pay ann")
    assert len(PAID) == 1
    (told,) = run.trace.started.settings["approval"]["approvers"]
    assert told["lock"] == "<lock>"


class Silent(Approver):
    answers_as = "person"
    kind: str = "silent"

    async def ask(self, call, run):
        await asyncio.Event().wait()


def with_approvers(*approvers, **settings):
    return ApprovalPolicy(rules=ASK_PAY, approvers=approvers, **settings)


async def test_an_approver_that_raises_lets_nothing_run():
    run = await agent_of(ONE, "I see.", policy=with_approvers(Broken())).run("pay ann")
    assert PAID == []
    assert run.trace.errors[0].code == "APPROVER_FAILED"
    assert run.error is None, "the run itself did not fail"


async def test_an_approver_that_never_answers_is_given_up_in_time():
    with clock.frozen():
        policy = with_approvers(Silent(timeout_s=3600), Script("no money today"))
        run = await agent_of(ONE, "I see.", policy=policy).run("pay ann")
    assert record(run).returned.text.endswith("no money today")
    assert run.trace.duration_s == 3600


async def test_an_approver_may_hand_on_to_the_next_and_the_last_resort_is_no():
    policy = with_approvers(Callback(lambda c: Decision(action="escalate")), Script(True))
    run = await agent_of(ONE, "Done.", policy=policy).run("pay ann")
    assert [d.action for d in record(run).decisions] == ["escalate", "approve"]

    policy = with_approvers(Callback(lambda c: Decision(action="escalate")), unattended="approve")
    run = await agent_of(ONE, "I see.", policy=policy).run("pay ann")
    assert record(run).decision.approver == "last resort"
    assert len(PAID) == 1


@pytest.mark.parametrize(
    ("said", "paid"), [(True, 1), (False, 0), ("no", 0), (Decision(action="approve"), 1)], ids=repr
)
async def test_a_function_may_decide(said, paid):
    async def clerk(call):
        return said

    run = await agent_of(ONE, "ok", policy=with_approvers(Callback(clerk))).run("pay ann")
    assert len(PAID) == paid
    assert record(run).decision.approver == "clerk"


async def test_a_model_may_judge_and_its_tokens_are_booked_apart():
    judge = ScriptedModel(lambda request: "DENY: the amount is odd", name="judge")
    run = await agent_of(ONE, "I see.", policy=with_approvers(Judge(judge))).run("pay ann")
    assert record(run).decision.approver_kind == "model"
    assert record(run).returned.text.endswith("the amount is odd")
    assert len(run.trace.model_calls) == 2
    assert [c.called.purpose for c in run.trace.side_calls] == ["approval"]
    assert run.trace.side_usage.total_tokens > 0
    assert run.usage.total_tokens == sum(c.usage.total_tokens for c in run.trace.model_calls)
    assert "ann" in judge.requests[0].messages[1].text


@pytest.mark.parametrize(
    ("scope", "second", "questions"),
    [
        (Scope(kind="exact"), {"to": "ann", "amount": 5}, 1),
        (Scope(kind="exact"), {"to": "ann", "amount": 6}, 2),
        (Scope(kind="pattern", where=("amount < 10",)), {"to": "bob", "amount": 6}, 1),
        (Scope(kind="pattern", where=("amount < 10",)), {"to": "bob", "amount": 60}, 2),
        (Scope(kind="tool"), {"to": "eve", "amount": 600}, 1),
        (Scope(kind="tool", uses=1), {"to": "eve", "amount": 600}, 1),
        (Scope(kind="tool", lifetime_s=5), {"to": "eve", "amount": 600}, 2),
    ],
    ids=["exact", "other-arguments", "pattern", "beyond-the-pattern", "tool", "one-use", "too-late"],
)
async def test_always_reaches_as_far_as_its_scope(scope, second, questions):
    policy = with_approvers(Script(Decision(action="approve", always=scope), True))
    with clock.frozen():
        agent = Agent(ScriptedModel([ONE, call("pay", second), "Done."], ttft_s=10), [pay], approval=policy)
        run = await agent.run("pay twice")
    assert len(PAID) == 2
    assert sum(r.requested is not None for r in run.trace.tool_calls.values()) == questions


async def test_a_grant_is_used_up():
    policy = with_approvers(Script(Decision(action="approve", always=Scope(kind="tool", uses=1)), "no more"))
    run = await agent_of(ONE, ONE, ONE, "Done.", policy=policy).run("pay thrice")
    assert len(PAID) == 2
    assert record(run, 2).returned.text.endswith("no more")


async def test_reasoning_stays_with_the_call_that_waits():
    run = agent_of(think("I should ask first.") + ONE, "Done.").run("pay ann")
    (pending,) = await until_pending(run)
    asking = next(m for m in run.messages if any(c.id == pending.call_id for c in m.tool_calls or ()))
    assert asking.content[0].reasoning == "I should ask first."
    run.cancel()
    await run


async def test_a_rule_sends_a_tool_to_a_person_without_a_policy():
    agent = Agent(ScriptedModel([ONE + call("look", at="x"), "ok"]), [pay, look], rules=[RequiresApproval("pay")])
    run = await agent.run("pay ann")
    assert PAID == []
    assert record(run, 1).status == "success"


async def test_to_speak_with_the_user_needs_no_approval():
    agent = Agent(ScriptedModel([call("send_message", message="Hi.")]), protocol="memgpt", approval=ApprovalPolicy())
    assert (await agent.run("hello")).text == "Hi."


async def test_a_block_puts_a_policy_in_the_place_of_the_agents():
    agent = agent_of(ONE, "ok", policy=ApprovalPolicy(rules=(ApprovalRule(decide="approve"),)))
    with approval(ApprovalPolicy(rules=(ApprovalRule(decide="deny", reason="not here"),))):
        run = agent.run("pay ann")
    await run
    assert PAID == []
    assert run.trace.started.settings["approval"]["rules"][0]["decide"] == "deny", "what held is what is recorded"
    own = await agent.run("pay ann")
    assert len(PAID) == 1
    assert own.trace.started.settings["approval"]["rules"][0]["decide"] == "approve"


async def test_waiting_for_a_person_is_measured_apart():
    with clock.frozen():
        agent = Agent(ScriptedModel([ONE, "Done."], ttft_s=1), [pay], approval=ATTENDED)
        run = agent.run("pay ann")

        async def person():
            async for event in run:
                if event.type == "approval_requested":
                    break
            await clock.sleep(40)
            run.approve(run.pending[0].call_id)

        await asyncio.gather(run, person())
    ((start, end),) = run.trace.human_intervals()
    assert (end - start) / 1e9 == 40
    assert record(run).duration_s == 0
    decision = run.steps[0].decision
    assert decision.inputs["elapsed_s"] == 1


async def test_a_paused_run_tells_what_waits_and_takes_no_other_message():
    agent = agent_of(ONE + call("look", at="x"), "Done.", policy=PAUSING)
    run = await agent.run("pay ann")
    assert (run.status, run.stop_reason) == ("paused", None)
    assert record(run, 1).status == "success", "what needs no approval has run"
    with pytest.raises(ConversationError, match=rf"waits for a decision on `{record(run).call_id}` \(pay\)"):
        agent.run("hello?", history=run)


async def test_a_paused_run_goes_on_when_it_is_resumed_and_decided():
    agent = agent_of(ONE + call("look", at="x"), "Done.", policy=PAUSING)
    paused = await agent.run("pay ann")

    with approval(ATTENDED):
        run = agent.resume(paused)
    (pending,) = await until_pending(run)
    run.approve(pending.call_id)
    await run

    assert PAID == [{"to": "ann", "amount": 5}]
    assert run.text == "Done."
    assert run.id == paused.id
    assert [e.seq for e in run.trace] == list(range(len(run.trace)))
    assert lint(run.messages) == []
    assert sum(e.type == "tool_returned" for e in run.trace) == 2, "nothing ran twice"
    (resumed,) = (e for e in run.trace if e.type == "run_resumed")
    assert resumed.differences == ("setting `approval` differs",), "recorded, and no warning: the block asked for it"


async def test_a_block_with_the_policy_of_the_agent_itself_resumes_without_a_warning():
    agent = agent_of(ONE, "Done.", policy=ATTENDED)
    with approval(PAUSING):
        paused = await agent.run("pay ann")
    with approval(ATTENDED):
        run = agent.resume(paused)
    (pending,) = await until_pending(run)
    run.approve(pending.call_id)
    assert (await run).text == "Done."


async def test_approval_switched_off_does_not_let_a_waiting_call_slip_through():
    paused = await agent_of(ONE, "I see.", policy=PAUSING).run("pay ann")
    careless = agent_of(ONE, "I see.", policy=None)
    with pytest.warns(AgentDiffersWarning, match="setting `approval` differs"):
        run = careless.resume(paused)
    await run
    assert PAID == []
    assert record(run).decision.approver == "unattended"


async def test_only_a_paused_or_interrupted_run_can_be_resumed():
    agent = agent_of("Hi.")
    run = await agent.run("hello")
    with pytest.raises(RunError, match="is finished"):
        agent.resume(run)


async def test_a_trace_cut_anywhere_can_be_resumed_to_its_end():
    """As if the process had died after each event in turn."""
    script = [ONE + call("look", at="x"), call("look", at="y"), "Done."]
    policy = with_approvers(Script(True))
    whole = await agent_of(*script, policy=policy).run("pay ann")
    from agentlab import Trace

    for length in range(3, len(whole.trace)):
        cut = Trace(whole.trace.events[:length])
        run = await agent_of(*script, policy=policy).resume(cut)
        assert run.text == "Done.", length
        assert run.stop_reason == "end_turn"
        assert lint(run.messages) == [], length
        started = [e.call_id for e in run.trace if e.type == "tool_started"]
        assert len(started) == len(set(started)), "a tool that had started is not started again"


async def test_the_trace_shows_who_decided_what_and_how_long_it_took():
    with clock.frozen():
        agent = Agent(ScriptedModel([ONE, ONE, "Done."], ttft_s=1), [pay], approval=ATTENDED)
        run = agent.run("pay ann")

        async def person():
            async for event in run:
                if event.type == "approval_requested":
                    await clock.sleep(40)
                    waiting = run.pending[0].call_id
                    if event.step == 1:
                        run.edit(waiting, {"to": "bob", "amount": 1}, by="<b>eve</b>")
                    else:
                        run.deny(waiting, "once is enough", by="eve")

        await asyncio.gather(run, person())
    for shown in (run._repr_html_(), str(run)):
        assert "approved with other arguments by" in shown
        assert "after 40.0 s" in shown
        assert "denied by eve after 40.0 s: once is enough" in " ".join(shown.split())
    assert "<b>eve" not in run._repr_html_()


async def test_who_reads_the_question_finds_the_call_and_can_decide_it_at_once():
    run = agent_of(ONE, "Done.").run("pay ann")
    async for event in run:
        if event.type == "approval_requested":
            assert [pending.rule for pending in run.pending] == ["rule 2"]
            assert run.approve(event.call_id)
    assert PAID == [{"to": "ann", "amount": 5}]


async def test_a_paused_run_takes_decisions_and_follows_them_when_it_is_resumed():
    agent = agent_of(ONE, "Done.", policy=PAUSING)
    paused = await agent.run("pay ann")
    assert [(p.call_id, p.tool, p.rule) for p in paused.pending] == [(paused.trace.waiting[0].call_id, "pay", "rule 2")]
    call_id = paused.pending[0].call_id
    with pytest.raises(ToolArgumentError):
        paused.edit(call_id, {"to": "ann", "amount": "lots"})
    assert paused.edit(call_id, {"to": "bob", "amount": 1})
    assert not paused.edit(call_id, {"to": "bob", "amount": 1}), "a repeated answer is harmless"
    with pytest.raises(ApprovalError, match="decided before: edit"):
        paused.deny(call_id)
    assert paused.pending == []

    run = await agent.resume(paused)

    assert (run.text, PAID) == ("Done.", [{"to": "bob", "amount": 1}])
