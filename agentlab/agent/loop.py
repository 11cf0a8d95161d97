"""The loop of one run: model call, tool calls, decision; until a stop reason."""

from __future__ import annotations

import asyncio

from agentlab import clock
from agentlab.agent.asking import ask
from agentlab.agent.calling import execute
from agentlab.agent.conversation import Conversation
from agentlab.agent.heartbeat import CallOutcome, Continuation, StepState
from agentlab.agent.settings import AgentSettings
from agentlab.errors import InvalidReplyError, ModelError
from agentlab.messages.parts import TextPart
from agentlab.models.reply import Reply
from agentlab.trace.events import ContinuationDecided, ErrorRaised, RunFinished, StepFinished, StepStarted, StopReason
from agentlab.trace.recorder import Recorder


class Loop:
    """Drives one run. It emits events and does not ask who listens."""

    def __init__(self, settings: AgentSettings, conversation: Conversation, recorder: Recorder) -> None:
        self._settings = settings
        self._conversation = conversation
        self._recorder = recorder

    async def run(self) -> None:
        """Step until something says stop; every call is answered then, and the last event says how it ended."""
        try:
            stop_reason = await self._steps()
        except asyncio.CancelledError as exc:
            stop_reason = self._abort("the run was cancelled before this call was answered", exc)
        except Exception as exc:  # noqa: BLE001  # the trace tells of every error, also of our own
            stop_reason = self._abort("the run failed before this call was answered", exc)
        self._recorder.emit(RunFinished, stop_reason=stop_reason)
        self._recorder.flush()

    async def _steps(self) -> StopReason:
        for number in range(1, self._settings.max_steps + 1):
            self._start(number)
            decision = await self._step(number)
            self._finish(decision)
            if not decision.go_on:
                return decision.stop_reason or "end_turn"
        return "max_steps"

    def _start(self, number: int) -> None:
        self._recorder.step = number
        self._conversation.step_id = clock.new_step_id()
        self._recorder.emit(StepStarted, step_id=self._conversation.step_id)
        self._conversation.refresh_system()

    async def _step(self, number: int) -> Continuation:
        reply = await ask(self._settings.model, self._conversation, self._recorder)
        if not reply.tool_calls and self._settings.protocol.demands_call:
            self._conversation.add_assistant(reply.content, ())
            return Continuation(go_on=False, stop_reason="no_tool_call")
        return self._decide(number, await self._call_tools(reply))

    async def _call_tools(self, reply: Reply) -> tuple[CallOutcome, ...]:
        protocol = self._settings.protocol
        opened = [protocol.open(call) for call in self._conversation.own_ids(reply.tool_calls)]
        thoughts = tuple(TextPart(text=call.thinking) for call in opened if call.thinking)
        self._conversation.add_assistant((*reply.content, *thoughts), [call.call for call in opened])
        self._recorder.flush()
        return tuple([await execute(call, self._settings, self._conversation, self._recorder) for call in opened])

    def _decide(self, number: int, outcomes: tuple[CallOutcome, ...]) -> Continuation:
        settings = self._settings
        state = StepState(step=number, max_steps=settings.max_steps, calls=outcomes)
        decision = settings.heartbeat.decide(state)
        if decision.go_on and number == settings.max_steps:
            decision = Continuation(go_on=False, stop_reason="max_steps")
        if decision.go_on and decision.reason is None:
            reason = settings.protocol.default_reason(ok=all(outcome.success for outcome in outcomes))
            decision = decision.model_copy(update={"reason": reason})
        self._recorder.emit(
            ContinuationDecided,
            go_on=decision.go_on,
            policy=settings.heartbeat.kind,
            inputs=state.model_dump(mode="json"),
            reason=decision.reason,
            stop_reason=decision.stop_reason,
        )
        return decision

    def _finish(self, decision: Continuation) -> None:
        if decision.go_on and decision.reason is not None:
            self._conversation.add_heartbeat(decision.reason)
        self._recorder.emit(StepFinished, step_id=self._conversation.step_id)
        self._recorder.flush()

    def _abort(self, text: str, exc: BaseException) -> StopReason:
        """Leave a history that providers accept, and say what happened."""
        self._conversation.answer_open_calls(text, type(exc).__name__)
        if isinstance(exc, asyncio.CancelledError):
            return "cancelled"
        self._recorder.emit(
            ErrorRaised,
            error_type=type(exc).__name__,
            code=exc.code if isinstance(exc, ModelError) else ModelError.code,
            message=str(exc),
        )
        if isinstance(exc, InvalidReplyError):
            return "invalid_llm_response"
        return "llm_api_error" if isinstance(exc, ModelError) else "error"
