"""Who says whether a call may run: what was allowed for good, the policy's rules, then the approvers in turn."""

from __future__ import annotations

import orjson

from agentlab.agent.approval import Decision, call_hash
from agentlab.agent.approval_policy import ASK_ALWAYS, ApprovalPolicy, Judgement
from agentlab.agent.approvers import Approver, ask_in_time
from agentlab.agent.desk import Answer, PendingCall
from agentlab.agent.state import RunState
from agentlab.trace.events import ApprovalDecided, ApprovalRequested, ApproverKind, ErrorRaised

APPROVE = Answer(Decision(action="approve"), "no policy")


async def judge(call: PendingCall, state: RunState) -> Answer | None:
    """The decision on a call; None when the run has to pause for it.

    Raises:
        asyncio.CancelledError: The run was cancelled while it waited.
    """
    policy = _policy_for(call, state)
    if policy is None:
        return APPROVE
    record = state.trace.tool_calls.get(call.call_id)
    if record is not None and record.decision is not None:  # decided before the run was resumed
        decided = record.decision
        arguments = None if decided.arguments is None else orjson.loads(decided.arguments)
        decision = Decision(
            action=decided.action, arguments=arguments, reason=decided.reason, response=decided.response
        )
        return Answer(decision, decided.approver)
    asked_before = record is not None and record.requested is not None
    grant = state.grants.use(call.tool, call.arguments)
    if grant is not None:
        return _decided(call, Answer(APPROVE.decision, f"{grant.by}, for good"), "policy", state)
    judgement = policy.judge(call.tool, call.arguments)
    if judgement.verdict == "ask" or asked_before:
        return await _ask(call, judgement, policy, state, asked_before=asked_before)
    return _decided(call, Answer(_as_decision(judgement), judgement.rule), "policy", state)


def _policy_for(call: PendingCall, state: RunState) -> ApprovalPolicy | None:
    """The policy that has a say; a call that somebody was asked about stays asked, whatever changed since."""
    if call.tool in {tool.name for tool in state.settings.protocol.own_tools()}:
        return None  # to speak with the user is no deed
    if state.approval is not None:
        return state.approval
    record = state.trace.tool_calls.get(call.call_id)
    if state.settings.rules.needs_approval(call.tool) or (record is not None and record.requested is not None):
        return ASK_ALWAYS
    return None


async def _ask(
    call: PendingCall, judgement: Judgement, policy: ApprovalPolicy, state: RunState, *, asked_before: bool
) -> Answer | None:
    if not asked_before:
        state.recorder.emit(
            ApprovalRequested,
            call_id=call.call_id,
            tool=call.tool,
            arguments=orjson.dumps(call.arguments).decode(),
            call_hash=call.call_hash,
            rule=judgement.rule,
        )
        state.recorder.flush()
    left = state.left_answer(call)
    if left is not None:
        return _decided(call, left, "person", state)
    silent = False
    for approver in policy.approvers:
        answer = await _answer_of(approver, call, state)
        if answer is None:
            silent = True
            continue
        _decided(call, answer, approver.answers_as, state)
        if answer.decision.action != "escalate":
            _remember(call, answer, state)
            return answer
    if silent and policy.unattended == "pause":
        return None
    approved = silent and policy.unattended == "approve"
    reason = "nobody was there to decide" if silent else "nobody decided"
    decision = Decision(action="approve") if approved else Decision(action="deny", reason=reason)
    return _decided(call, Answer(decision, "unattended" if silent else "last resort"), "policy", state)


async def _answer_of(approver: Approver, call: PendingCall, state: RunState) -> Answer | None:
    """The approver's answer; one that fails, or answers with what the tool refuses, has none."""
    try:
        answer = await ask_in_time(approver, call, state)
        if answer is not None:
            call.check(answer.decision)
    except Exception as exc:  # noqa: BLE001  # whatever an approver raises, the call must not run for it
        state.recorder.emit(
            ErrorRaised,
            error_type=type(exc).__name__,
            code="APPROVER_FAILED",
            message=f"approver {approver.kind!r} failed: {exc}",
        )
        return None
    return answer


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
    return answer


def _remember(call: PendingCall, answer: Answer, state: RunState) -> None:
    if answer.decision.always is not None:
        state.grants.add(call.tool, call.arguments, answer.decision.always, answer.by)


def _as_decision(judgement: Judgement) -> Decision:
    if judgement.verdict == "approve":
        return Decision(action="approve")
    if judgement.verdict == "respond":
        return Decision(action="respond", response=judgement.response)
    return Decision(action="stop" if judgement.verdict == "stop" else "deny", reason=judgement.reason)
