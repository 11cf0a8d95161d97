"""The tool calls of one step: checked, decided, run, answered in their order.

Whatever goes wrong in a tool is the model's to read and never ends the run.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import orjson

from agentlab import clock
from agentlab.agent.approval_policy import ASK_ALWAYS
from agentlab.agent.desk import Answer, PendingCall
from agentlab.agent.heartbeat import CallOutcome
from agentlab.agent.judging import judge
from agentlab.agent.protocol import OpenedCall
from agentlab.agent.state import RunState, StopRun
from agentlab.agent.tool_rules import PastCall
from agentlab.agent.tools import sendable, to_text, truncate
from agentlab.errors import AgentLabError, ToolArgumentError, ToolError, ToolRuleError, UnknownToolError
from agentlab.trace.events import ToolStarted

_LOST = "the process ended while the tool ran; it may have had effects, and its return is lost"


class PauseRun(Exception):  # noqa: N818  # a signal, not a failure
    """Calls wait for a decision that nobody can take now."""

    def __init__(self, pending: tuple[str, ...]) -> None:
        super().__init__(pending)
        self.pending = pending


class Calls:
    """The calls of one reply on their way."""

    def __init__(self, opened: Sequence[OpenedCall], state: RunState) -> None:
        self._opened = opened
        self._state = state
        self._one_at_a_time = asyncio.Lock()

    async def execute(self) -> tuple[CallOutcome, ...]:
        """Run what may run; how each call went, in order.

        Raises:
            PauseRun: Some wait for a decision; the others have run.
            StopRun: An approver stopped the run, or a limit was reached.
        """
        in_order = self._state.settings.rules.in_order
        outcomes = await (self._one_by_one() if in_order else self._side_by_side())
        waiting = tuple(c.call.id for c, outcome in zip(self._opened, outcomes, strict=True) if outcome is None)
        if waiting:
            raise PauseRun(waiting)
        self._state.conversation.write_returns()
        return tuple(outcome for outcome in outcomes if outcome is not None)

    async def _one_by_one(self) -> list[CallOutcome | None]:
        """Each sees what the ones before did; behind one that waits, all wait."""
        outcomes: list[CallOutcome | None] = []
        for call in self._opened:
            held_up = bool(outcomes) and outcomes[-1] is None
            outcomes.append(None if held_up else await self._handle(call))
        return outcomes

    async def _side_by_side(self) -> list[CallOutcome | None]:
        """Those that wait for a decision hold up nobody; the first that stops the run stops them all."""
        tasks = [asyncio.ensure_future(self._handle(call)) for call in self._opened]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, opened: OpenedCall) -> CallOutcome | None:
        """See one call through; None when it waits for a decision that nobody can take now."""
        record = self._state.trace.tool_calls.get(opened.call.id)
        if record is not None and record.returned is not None:  # answered before the run was resumed
            text, ok = record.returned.text or "", record.returned.status == "success"
            return self._outcome(opened, text, ok=ok, executed=record.started is not None)
        if record is not None and record.started is not None:
            return self._answer(opened, _LOST, error_type="ProcessLost", executed=True)
        try:
            arguments = self._checked(opened)
        except ToolError as exc:
            return self._answer(opened, str(exc), error_type=type(exc).__name__, executed=False)
        call = self._pending(opened, arguments)
        answer = await judge(call, self._state)
        return None if answer is None else await self._obey(opened, call, answer)

    async def _obey(self, opened: OpenedCall, call: PendingCall, answer: Answer) -> CallOutcome:
        decision = answer.decision
        match decision.action:
            case "deny":
                told = self._denial(call, answer)
                return self._answer(opened, told, error_type="Denied", executed=False)
            case "respond":
                return self._answer(opened, decision.response or "", executed=False)
            case "stop":
                raise StopRun("stopped", f"the run was stopped by {answer.by}: {decision.reason or 'no reason given'}")
            case "edit":
                return await self._run(opened, call, decision.arguments or {})
        return await self._run(opened, call, call.arguments)

    async def _run(self, opened: OpenedCall, call: PendingCall, arguments: dict[str, Any]) -> CallOutcome:
        tool = self._state.settings.tools[call.tool]
        if tool.parallel:
            return await self._run_now(opened, call, arguments)
        async with self._one_at_a_time:
            return await self._run_now(opened, call, arguments)

    async def _run_now(self, opened: OpenedCall, call: PendingCall, arguments: dict[str, Any]) -> CallOutcome:
        state = self._state
        remaining_s = state.remaining_s()
        executed = orjson.dumps(arguments).decode()
        state.recorder.emit(ToolStarted, call_id=call.call_id, tool=call.tool, arguments=executed)
        state.recorder.flush()
        try:
            work = state.settings.tools[call.tool].run(arguments)
            text, error_type = to_text(await clock.within(work, remaining_s)), None
        except clock.LimitPassed:
            raise StopRun("time_limit", "the run came to its time limit while this call ran") from None
        except BaseException as exc:
            if isinstance(exc, (KeyboardInterrupt, GeneratorExit)) or _is_cancelled():
                raise
            text, error_type = _error_text(exc), type(exc).__name__
        return self._answer(opened, text, error_type=error_type, executed=True)

    def _answer(self, opened: OpenedCall, text: str, *, executed: bool, error_type: str | None = None) -> CallOutcome:
        ok, told = error_type is None, truncate(sendable(text), self._state.settings.tool_return_limit_chars)
        self._state.conversation.record_return(opened.call, told, ok=ok, error_type=error_type)
        return self._outcome(opened, told, ok=ok, executed=executed)

    def _outcome(self, opened: OpenedCall, text: str, *, ok: bool, executed: bool) -> CallOutcome:
        name = opened.call.function.name
        print_of = orjson.dumps([name, opened.arguments, text], option=orjson.OPT_SORT_KEYS)
        outcome = CallOutcome(
            tool=name,
            success=ok,
            executed=executed,
            heartbeat_requested=opened.heartbeat_requested,
            fingerprint=hashlib.sha256(print_of).hexdigest()[:16],
        )
        if outcome.done:
            self._state.past.append(PastCall(tool=name, success=ok, returned=text))
        return outcome

    def _checked(self, opened: OpenedCall) -> dict[str, Any]:
        """The arguments that the tool would get: the model's, and over them those that a rule fills in."""
        settings, name = self._state.settings, opened.call.function.name
        if name not in settings.tools:
            raise UnknownToolError(name, tuple(settings.tools))
        offer = self._state.offer()
        if name not in offer.tools:
            raise ToolRuleError(name, offer.tools, offer.because)
        if opened.arguments is None:
            raise ToolArgumentError(name, opened.problem or "they are missing")
        arguments = {**opened.arguments, **offer.arguments.get(name, {})}
        settings.tools[name].check(arguments)
        return arguments

    def _pending(self, opened: OpenedCall, arguments: dict[str, Any]) -> PendingCall:
        trace, name = self._state.trace, opened.call.function.name
        tool = self._state.settings.tools[name]
        return PendingCall(
            call_id=opened.call.id,
            tool=name,
            arguments=arguments,
            run_id=trace.run_id,
            step=trace.steps[-1].number,
            description=tool.spec.description,
            number=self._questions_before(opened.call.id),
            parameters=tool.spec.parameters,
            tool_object=tool,
        )

    def _questions_before(self, call_id: str) -> int:
        records = self._state.trace.tool_calls.values()
        before = takewhile(lambda record: record.call_id != call_id, records)
        return sum(record.requested is not None for record in before)

    def _denial(self, call: PendingCall, answer: Answer) -> str:
        policy = self._state.settings.approval or ASK_ALWAYS
        return policy.tell_denial(call.tool, answer.by, answer.decision.reason)


def _is_cancelled() -> bool:
    """True when the run itself is asked to stop; false when a tool has cancelled something of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _error_text(exc: BaseException) -> str:
    try:
        return str(exc) if isinstance(exc, AgentLabError) else f"{type(exc).__name__}: {exc}"
    except Exception:  # noqa: BLE001  # an error that cannot be told is an error all the same
        return type(exc).__name__
