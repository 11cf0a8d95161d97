"""The model call of a step, with what is done when it fails: another try, or a shorter conversation."""

from __future__ import annotations

from functools import partial

from agentlab import clock
from agentlab.agent.asking import ask
from agentlab.agent.compaction import NoCompaction, Summarize, as_text, split
from agentlab.agent.state import RunState, StopRun
from agentlab.agent.tool_rules import Offer
from agentlab.errors import ContextWindowError, ModelError
from agentlab.messages import builders
from agentlab.models.base import ModelRequest
from agentlab.models.reply import Reply
from agentlab.trace.chunks import PAYLOAD
from agentlab.trace.events import ErrorRaised, StopReason


async def ask_for_step(state: RunState) -> Reply:
    """The model's reply to the conversation.

    Raises:
        StopRun: No tool may be called, a limit was reached, or the conversation does not fit the model's window.
        ModelError: The call failed, also when it was tried again.
    """
    offer = state.offer()
    if not offer.tools and (offer.demanded or state.settings.protocol.demands_call):
        raise _stop(state, "no_tool_allowed", f"the tool rules allow no call now: {' '.join(offer.because)}")
    retries = state.settings.retries
    tries = 0
    compacted = False
    while True:
        try:
            return await _ask_once(state, offer, attempt=tries + compacted)
        except ContextWindowError as exc:
            if compacted or not await _compact(state):
                raise _stop(state, "context_window", str(exc)) from exc
            compacted = True
        except ModelError as exc:
            if tries >= retries.model_errors or not _may_try_again(exc, state):
                raise
            _tell(state, exc)
            wait_s = retries.wait_s * 2**tries if exc.retry_after_s is None else exc.retry_after_s
            await state.in_time(partial(clock.sleep, wait_s))
            tries += 1


async def _ask_once(state: RunState, offer: Offer, *, attempt: int) -> Reply:
    conversation = state.conversation

    def keep(reply: Reply) -> None:
        calls = conversation.own_ids([call for call in reply.tool_calls if call.function.name])
        if reply.content or calls:
            conversation.add_assistant(reply.content, calls)

    request = conversation.request(offer, attempt=attempt)
    return await state.in_time(partial(ask, state.settings.model, request, state.recorder, keep_partial=keep))


def _may_try_again(exc: ModelError, state: RunState) -> bool:
    """Not when something of the reply had come: it stands in the conversation already."""
    replied = state.trace.steps[-1].model_calls[-1].replied
    return exc.retryable and (replied is None or not _has_payload(replied.chunks.kinds))


def _has_payload(kinds: bytes) -> bool:
    return any(kind & PAYLOAD for kind in kinds)


async def _compact(state: RunState) -> bool:
    """Make the conversation shorter; False when the policy does not, or nothing can leave."""
    policy = state.settings.compaction
    if isinstance(policy, NoCompaction):
        return False
    leaving = state.conversation.may_leave(split(state.trace.messages, policy.keep_fraction)[0])
    if not leaving:
        return False
    if not isinstance(policy, Summarize):
        state.conversation.compact("drop", leaving, None)
        return True
    request = ModelRequest([builders.system_message(policy.instructions), builders.user_message(as_text(leaving))])
    try:
        reply = await state.in_time(partial(ask, state.settings.model, request, state.recorder, purpose="compaction"))
    except ContextWindowError:
        return False  # what leaves does not fit either
    total = state.trace.n_messages
    text = state.settings.protocol.summary_text(reply.text, len(leaving), total, state.settings.timezone)
    state.conversation.compact("summary", leaving, text)
    return True


def _stop(state: RunState, stop_reason: StopReason, text: str) -> StopRun:
    state.recorder.emit(ErrorRaised, error_type="StopRun", code=stop_reason.upper(), message=text)
    return StopRun(stop_reason, f"the run stopped before this call was answered: {text}")


def _tell(state: RunState, exc: ModelError) -> None:
    state.recorder.emit(ErrorRaised, error_type=type(exc).__name__, code=exc.code, message=f"tried again: {exc}")
