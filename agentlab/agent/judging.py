"""Who says whether a call may run: what was allowed for good, the policy's rules, then the approvers in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from agentlab import clock
from agentlab.agent.approval import Decision, call_hash
from agentlab.agent.approval_policy import ASK_ALWAYS, ApprovalPolicy, Judgement
from agentlab.agent.approvers import Approver
from agentlab.agent.desk import Answer, PendingCall
from agentlab.agent.state import RunState, StopRun
from agentlab.trace.events import ApprovalDecided, ApprovalRequested, ApproverKind, ErrorRaised
from agentlab.trace.redact import REDACTED

APPROVE = Answer(Decision(action="approve"), "no policy")
ANOTHER_CALL = Answer(
    Decision(action="deny", reason="its arguments are no longer those that were decided on"), "the agent"
)
KEY_NOT_KEPT = Answer(
    Decision(action="deny", reason="a key among its arguments was not kept, so it cannot run any more"), "the agent"
)


async def judge(call: PendingCall, state: RunState) -> Answer | None:
    """The decision on a call; None when the run has to pause for it.

    Raises:
        asyncio.CancelledError: The run was cancelled while it waited.
    """
    policy = _policy_for(call, state)
    if policy is None:
        return APPROVE
    record = state.trace.tool_calls.get(call.call_id)
    if record is not None and record.decision is not None:
        return _decided_before(call, record.decision, state)
    asked_before = None if record is None else record.requested
    judgement = policy.judge(call.tool, call.arguments)
    if judgement.verdict == "approve" and state.settings.rules.needs_approval(call.tool):
        judgement = Judgement(verdict="ask", rule="tool rule")  # no policy's word is a person's
    if judgement.verdict != "ask" and asked_before is None:
        return _decided(call, Answer(_as_decision(judgement), judgement.rule), "policy", state)
    grant = state.grants.use(call.tool, call.arguments)
    if grant is not None:
        return _decided(call, Answer(APPROVE.decision, f"{grant.by}, for good"), "policy", state)
    return await _ask(call, judgement, policy, state, asked_before)


def _decided_before(call: PendingCall, decided: ApprovalDecided, state: RunState) -> Answer:
    """The decision that was taken before the run was resumed; it holds for the call it was taken on."""
    arguments = None if decided.arguments is None else orjson.loads(decided.arguments)
    if call_hash(call.tool, call.arguments if arguments is None else arguments) != decided.call_hash:
        return _decided(call, ANOTHER_CALL, "policy", state)
    decision = Decision(action=decided.action, arguments=arguments, reason=decided.reason, response=decided.response)
    return Answer(decision, decided.approver)


def _policy_for(call: PendingCall, state: RunState) -> ApprovalPolicy | None:
    """The policy that has a say; a call that somebody was asked about stays asked, whatever changed since."""
    policy, record = state.settings.approval, state.trace.tool_calls.get(call.call_id)
    asked_before = record is not None and record.requested is not None
    if asked_before or state.settings.rules.needs_approval(call.tool):
        return ASK_ALWAYS if policy is None else policy
    only_speaks = any(call.tool_object is tool for tool in state.settings.protocol.own_tools())
    if only_speaks and not (policy is not None and policy.names(call.tool)):
        return None  # to speak with the user is no deed, unless a rule names it
    return policy


async def _ask(
    call: PendingCall,
    judgement: Judgement,
    policy: ApprovalPolicy,
    state: RunState,
    asked_before: ApprovalRequested | None,
) -> Answer | None:
    call = replace(call, rule=judgement.rule)
    same = asked_before is None or asked_before.call_hash == call.call_hash
    if policy.approvers[0].opens_desk(state.presence):
        state.desk.open(call)  # who reads the question can answer it
    try:
        if asked_before is None or not same:
            _record_question(call, judgement, state)
        left = state.left_answer(call)
        if left is not None:
            stands = _as_it_stands(left, call, same=same)
            return _decided(call, stands, "person" if stands is left else "policy", state)
        return await _ask_in_turn(call, policy, state)
    finally:
        state.desk.withdraw(call.call_id)


def _as_it_stands(left: Answer, call: PendingCall, *, same: bool) -> Answer:
    """A decision that was left for a call. Only what ran as it was asked for has to be the same call still."""
    edited, lost_before = left.decision.arguments, _has_lost_a_key(call.arguments)
    if edited is not None:
        return KEY_NOT_KEPT if _has_lost_a_key(edited) and not (same and lost_before) else left
    if same or left.decision.action != "approve":
        return left
    return KEY_NOT_KEPT if lost_before else ANOTHER_CALL


def _has_lost_a_key(arguments: Mapping[str, Any]) -> bool:
    return REDACTED.encode() in orjson.dumps(arguments)


def _record_question(call: PendingCall, judgement: Judgement, state: RunState) -> None:
    state.recorder.emit(
        ApprovalRequested,
        call_id=call.call_id,
        tool=call.tool,
        arguments=orjson.dumps(call.arguments).decode(),
        call_hash=call.call_hash,
        rule=judgement.rule,
    )
    state.recorder.flush()


async def _ask_in_turn(call: PendingCall, policy: ApprovalPolicy, state: RunState) -> Answer | None:
    """What the first approver says that has an answer; None when the run has to pause."""
    silent, failed = False, False
    for approver in policy.approvers:
        try:
            answer = await _answer_of(approver, call, state)
        except StopRun:
            raise
        except Exception as exc:  # noqa: BLE001  # whatever an approver raises, the call must not run for it
            _tell_failure(approver, exc, state)
            failed = True
            continue
        if answer is not None and answer.decision.action != "escalate":
            return answer
        silent = silent or answer is None
    if (silent or failed) and policy.unattended == "pause":
        return None
    return _decided(call, _last_resort(policy, silent=silent, failed=failed), "policy", state)


async def _answer_of(approver: Approver, call: PendingCall, state: RunState) -> Answer | None:
    """The approver's answer, written down; None when it has none, or not in time.

    Where somebody else has left a decision meanwhile, that was the first and stands: he was told so.
    """
    try:
        answer = await clock.within(approver.ask(call, state), approver.timeout_s)
    except clock.LimitPassed:
        late = Decision(action="escalate", reason=f"no answer within {approver.timeout_s:g} s")
        _decided(call, Answer(late, approver.kind), approver.answers_as, state)
        answer = None
    left = state.left_answer(call)
    if left is not None and left != answer:
        return _decided(call, left, "person", state)
    if answer is not None:
        call.check(answer.decision)
        _decided(call, answer, approver.answers_as, state)
    return answer


def _last_resort(policy: ApprovalPolicy, *, silent: bool, failed: bool) -> Answer:
    """What happens where no approver has decided; one that failed may have wanted to say no."""
    by = "unattended" if silent or failed else "last resort"
    if silent and not failed and policy.unattended == "approve":
        return Answer(Decision(action="approve"), by)
    reason = "an approver failed" if failed else "nobody was there to decide" if silent else "nobody decided"
    return Answer(Decision(action="deny", reason=reason), by)


def _tell_failure(approver: Approver, exc: Exception, state: RunState) -> None:
    state.recorder.emit(
        ErrorRaised,
        error_type=type(exc).__name__,
        code="APPROVER_FAILED",
        message=f"approver {approver.kind!r} failed: {exc}",
    )


def _decided(call: PendingCall, answer: Answer, kind: ApproverKind, state: RunState) -> Answer:
    decision = answer.decision
    arguments = call.arguments if decision.arguments is None else decision.arguments
    state.recorder.emit(
        ApprovalDecided,
        call_id=call.call_id,
        tool=call.tool,
        action=decision.action,
        approver=answer.by,
        approver_kind=kind,
        arguments=None if decision.arguments is None else orjson.dumps(decision.arguments).decode(),
        call_hash=call_hash(call.tool, arguments),
        reason=decision.reason,
        response=decision.response,
        always=None if decision.always is None else decision.always.model_dump(mode="json", exclude_none=True),
    )
    state.recorder.flush()
    if decision.always is not None:
        state.grants.add(call.tool, call.arguments, decision.always, answer.by)
    return answer


def _as_decision(judgement: Judgement) -> Decision:
    if judgement.verdict == "approve":
        return Decision(action="approve")
    if judgement.verdict == "respond":
        return Decision(action="respond", response=judgement.response)
    return Decision(action="stop" if judgement.verdict == "stop" else "deny", reason=judgement.reason)
