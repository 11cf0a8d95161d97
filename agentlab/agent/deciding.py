"""Whether there is another step: broken reply, heartbeat policy, tool rules and step limit speak in this order."""

from __future__ import annotations

from collections.abc import Sequence

from agentlab.agent.heartbeat import CallOutcome, Continuation, StepState, StepSummary
from agentlab.agent.protocol import OpenedCall
from agentlab.agent.state import BROKEN_REPLY, RunState
from agentlab.messages.envelopes import AUTOMATED
from agentlab.trace.events import ContinuationDecided


def decide(opened: Sequence[OpenedCall], outcomes: tuple[CallOutcome, ...], state: RunState) -> Continuation:
    """The decision after a step, written down."""
    seen = state.step_state(outcomes)
    broken = _after_broken_reply(opened, state)
    if broken is not None:
        decision, policy = broken, BROKEN_REPLY
    else:
        decision, policy = state.settings.heartbeat.decide(seen), state.settings.heartbeat.kind
        ruled = _by_rules(decision, outcomes, state)
        if ruled is not decision:
            decision, policy = ruled, "tool_rules"
    if decision.go_on and seen.step >= seen.max_steps:
        decision = Continuation(go_on=False, stop_reason="max_steps")
    if decision.go_on and decision.reason is None:
        decision = decision.model_copy(update={"reason": _default_reason(outcomes, state)})
    state.summaries.append(StepSummary(calls=outcomes, input_tokens=seen.input_tokens))
    _record(decision, policy, seen, state)
    return decision


def _after_broken_reply(opened: Sequence[OpenedCall], state: RunState) -> Continuation | None:
    """A reply without the call that is demanded, or of which no call could be read, is told to the model; so often."""
    offer = state.offer()
    demanded = state.settings.protocol.demands_call or offer.demanded
    unreadable = bool(opened) and all(call.arguments is None for call in opened)
    if not unreadable and (opened or not demanded):
        state.broken_replies = 0
        return None
    state.broken_replies += 1
    if state.broken_replies > state.settings.retries.broken_replies:
        return Continuation(go_on=False, stop_reason="invalid_llm_response")
    if unreadable:
        return Continuation(go_on=True)  # the failed returns say what is wrong
    return Continuation(go_on=True, reason=f"{AUTOMATED}Your reply had no tool call and cannot be used: call a tool.")


def _by_rules(decision: Continuation, outcomes: tuple[CallOutcome, ...], state: RunState) -> Continuation:
    """What the tool rules make of the policy's decision; a limit of the policy stays the last word."""
    rules = state.settings.rules
    if not decision.go_on and decision.stop_reason not in (None, "end_turn"):
        return decision
    uncalled, exits = state.uncalled(), any(rules.ends(outcome.tool) and outcome.success for outcome in outcomes)
    if exits and not uncalled:
        return Continuation(go_on=False, stop_reason="tool_rule") if decision.go_on else decision
    if decision.go_on and not exits:
        return decision
    reason = rules.goes_on([outcome.tool for outcome in outcomes if outcome.done])
    if uncalled and (exits or reason is None):
        names = ", ".join(f"`{name}`" for name in uncalled)
        reason = f"{AUTOMATED}Before your turn can end you must still call {names}."
    return decision if reason is None else Continuation(go_on=True, reason=reason)


def _default_reason(outcomes: tuple[CallOutcome, ...], state: RunState) -> str | None:
    if not outcomes:
        return f"{AUTOMATED}Go on."
    return state.settings.protocol.default_reason(ok=all(outcome.success for outcome in outcomes))


def _record(decision: Continuation, policy: str, seen: StepState, state: RunState) -> None:
    state.recorder.emit(
        ContinuationDecided,
        go_on=decision.go_on,
        policy=policy,
        inputs=seen.as_inputs(),
        reason=decision.reason,
        stop_reason=decision.stop_reason,
        wait_s=decision.wait_s,
    )
