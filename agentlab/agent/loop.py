"""The loop of one run: model call, tool calls, decision; until a stop reason, or until it must wait for a person."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from agentlab import clock
from agentlab.agent.calling import Calls, PauseRun
from agentlab.agent.deciding import decide
from agentlab.agent.heartbeat import Continuation
from agentlab.agent.model_step import ask_for_step
from agentlab.agent.protocol import OpenedCall
from agentlab.agent.state import RunState, StopRun
from agentlab.errors import InvalidReplyError, ModelError
from agentlab.messages.message import ToolCall
from agentlab.messages.parts import TextPart
from agentlab.models.reply import Reply
from agentlab.trace.events import (
    ContinuationDecided,
    ErrorRaised,
    RunFinished,
    RunPaused,
    StepFinished,
    StepStarted,
    StopReason,
)
from agentlab.trace.steps import Step

CANCELLED = "the run was cancelled before this call was answered"
FAILED = "the run failed before this call was answered"


class Loop:
    """Drives one run. It emits events and does not ask who listens."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._settings = state.settings
        self._conversation = state.conversation
        self._recorder = state.recorder

    async def run(self) -> None:
        """Step until something says stop; every call is answered then, and the last event says how it ended."""
        try:
            stop_reason = await self._steps()
        except PauseRun as pause:
            self._recorder.emit(RunPaused, pending=pause.pending)
            self._recorder.flush()
            return
        except StopRun as stop:
            stop_reason = self._abort(stop.text, stop, stop.stop_reason)
        except asyncio.CancelledError as exc:
            stop_reason = self._abort(CANCELLED, exc, "cancelled")
        except Exception as exc:  # noqa: BLE001  # the trace tells of every error, also of our own
            stop_reason = self._abort(FAILED, exc, self._report(exc))
        self._state.desk.close(f"the run has ended: {stop_reason}")
        self._recorder.emit(RunFinished, stop_reason=stop_reason)
        self._recorder.flush()

    async def _steps(self) -> StopReason:
        number, decision = await self._take_up()
        while decision.go_on:
            if decision.wait_s:
                await self._state.in_time(partial(clock.sleep, decision.wait_s))
            number += 1
            self._start(number)
            decision = await self._step()
            self._finish(decision)
        return decision.stop_reason or "end_turn"

    async def _take_up(self) -> tuple[int, Continuation]:
        """Where the run stands: the last step, and what was decided after it."""
        if not self._state.trace.steps:
            return 0, Continuation(go_on=True)
        step = self._state.trace.steps[-1]
        if step.finished_ns is None:
            return step.number, await self._finish_open_step(step)
        made = step.decision
        return step.number, Continuation(go_on=True) if made is None else _as_made(made)

    def _start(self, number: int) -> None:
        self._recorder.step = number
        self._conversation.step_id = clock.new_step_id()
        self._recorder.emit(StepStarted, step_id=self._conversation.step_id)
        self._conversation.refresh_system()

    async def _step(self) -> Continuation:
        reply = await ask_for_step(self._state)
        opened = self._take(reply)
        return await self._act(opened)

    async def _act(self, opened: Sequence[OpenedCall]) -> Continuation:
        outcomes = await Calls(opened, self._state).execute() if opened else ()
        return decide(opened, outcomes, self._state)

    def _take(self, reply: Reply) -> list[OpenedCall]:
        """Write down what the model said, and read its calls."""
        opened = self._open(self._conversation.own_ids(reply.tool_calls))
        thoughts = tuple(TextPart(text=call.thinking) for call in opened if call.thinking)
        self._conversation.add_assistant((*reply.content, *thoughts), [call.call for call in opened])
        self._recorder.flush()
        return opened

    def _open(self, calls: Sequence[ToolCall]) -> list[OpenedCall]:
        return [self._settings.protocol.open(call) for call in calls]

    def _finish(self, decision: Continuation) -> None:
        step = self._state.trace.steps[-1]
        told = any(entry.source == "heartbeat" and entry.step == step.number for entry in self._state.trace.entries)
        if decision.go_on and decision.reason is not None and not told:
            self._conversation.add_heartbeat(decision.reason)
        self._recorder.emit(StepFinished, step_id=self._conversation.step_id)
        self._recorder.flush()

    async def _finish_open_step(self, step: Step) -> Continuation:
        """Take up a step in the middle of which the run paused, or its process ended."""
        self._recorder.step = step.number
        said = [
            entry.message
            for entry in self._state.trace.entries
            if entry.source == "model" and entry.step == step.number
        ]
        if step.decision is not None:
            decision = _as_made(step.decision)
        elif said:
            decision = await self._act(self._open(said[-1].tool_calls or ()))
        else:
            decision = await self._step()
        self._finish(decision)
        return decision

    def _abort(self, text: str, exc: BaseException, stop_reason: StopReason) -> StopReason:
        """Leave a history that providers accept."""
        self._conversation.answer_open_calls(text, type(exc).__name__)
        return stop_reason

    def _report(self, exc: Exception) -> StopReason:
        self._recorder.emit(
            ErrorRaised,
            error_type=type(exc).__name__,
            code=exc.code if isinstance(exc, ModelError) else ModelError.code,
            message=str(exc),
        )
        if isinstance(exc, InvalidReplyError):
            return "invalid_llm_response"
        return "llm_api_error" if isinstance(exc, ModelError) else "error"


def _as_made(recorded: ContinuationDecided) -> Continuation:
    return Continuation(go_on=recorded.go_on, reason=recorded.reason, stop_reason=recorded.stop_reason)
