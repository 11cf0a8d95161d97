"""What one run carries along: its settings, its books, its desk, and what was used so far."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from agentlab import clock
from agentlab.agent.approval import Decision
from agentlab.agent.asking import ask
from agentlab.agent.conversation import Conversation
from agentlab.agent.desk import Answer, Desk, PendingCall
from agentlab.agent.grants import Grants
from agentlab.agent.heartbeat import CallOutcome, StepState, StepSummary
from agentlab.agent.inbox import POLL_S, RunStore
from agentlab.agent.presence import Presence
from agentlab.agent.settings import AgentSettings
from agentlab.agent.tool_rules import Offer, PastCall
from agentlab.errors import AgentLabError, ApprovalError
from agentlab.models.base import ChatModel, ModelRequest
from agentlab.models.reply import Reply
from agentlab.trace.events import StopReason
from agentlab.trace.intervals import total_s
from agentlab.trace.recorder import Recorder
from agentlab.trace.steps import Step
from agentlab.trace.trace import Trace

_T = TypeVar("_T")

BROKEN_REPLY = "broken_reply"
"""What the trace names in the place of a policy when a reply could not be used."""


class StopRun(AgentLabError):  # noqa: N818  # a signal, not a failure
    """Ends the run with a stop reason of its own; calls that wait get the text as their return."""

    def __init__(self, stop_reason: StopReason, text: str) -> None:
        super().__init__(stop_reason, text)
        self.stop_reason: StopReason = stop_reason
        self.text = text


class RunState:
    """One run on its way. Approvers see it as their surroundings."""

    def __init__(
        self,
        settings: AgentSettings,
        recorder: Recorder,
        grants: Grants,
        store: RunStore | None = None,
    ) -> None:
        self.settings = settings
        self.recorder = recorder
        self.grants = grants
        self._store = store
        self.conversation = Conversation(settings, recorder)
        self.desk = Desk()
        self.presence = Presence()
        self.left: dict[str, Answer] = {}
        """Decisions on calls at which the run is paused, or was: by call id."""
        self.past: list[PastCall] = []
        """The calls that ran, or that somebody answered in the tool's place; oldest first."""
        self.summaries: list[StepSummary] = []
        """The steps that are over."""
        self.broken_replies = 0
        """Replies in a row that could not be used."""

    def take_up(self) -> None:
        """Read out of the trace where a run stood that goes on."""
        self.conversation.take_up()
        open_step = self.trace.steps[-1].number if self.trace.steps and self.trace.steps[-1].decision is None else 0
        for step in self.trace.steps:
            if step.number != open_step:
                self._take_up_step(step)
                broken = step.decision is not None and step.decision.policy == BROKEN_REPLY
                self.broken_replies = self.broken_replies + 1 if broken else 0

    def _take_up_step(self, step: Step) -> None:
        for record in step.tool_calls:
            success = record.status == "success"
            if record.returned is not None and (success or record.started is not None):
                self.past.append(PastCall(tool=record.tool, success=success, returned=record.returned.text))
        inputs = step.decision.inputs if step.decision else {}
        calls = tuple(CallOutcome(**call) for call in inputs.get("calls", ()))
        self.summaries.append(StepSummary(calls=calls, input_tokens=inputs.get("input_tokens")))

    @property
    def trace(self) -> Trace:
        """All that happened so far."""
        return self.recorder.trace

    @property
    def elapsed_s(self) -> float:
        """Time of the run so far, without the time in which people decided [s]."""
        return (self.trace.duration_s or 0.0) + self._since_last_s() - total_s(self.trace.human_intervals())

    @property
    def known_tokens(self) -> int:
        """Tokens of all model calls, as far as they were told: at least so many were used."""
        calls = (*self.trace.model_calls, *self.trace.side_calls)
        return sum((c.usage.input_tokens or 0) + (c.usage.output_tokens or 0) for c in calls)

    @property
    def known_cost_usd(self) -> float | None:
        """Cost of all model calls whose tokens are known [US dollars]; None without a price."""
        price = self.settings.limits.price
        if price is None:
            return None
        calls = (*self.trace.model_calls, *self.trace.side_calls)
        return sum(price.cost_usd(c.usage) or 0.0 for c in calls)

    def remaining_s(self) -> float | None:
        """What the time limit leaves [s]; None without one.

        Raises:
            StopRun: Some limit has been reached.
        """
        limits = self.settings.limits
        reached = limits.reached(self.known_tokens, self.known_cost_usd, self.elapsed_s)
        if reached is not None:
            raise StopRun(reached, f"the run came to its limit ({reached}) before this call was answered")
        return None if limits.seconds is None else limits.seconds - self.elapsed_s

    async def in_time(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """The result of some work of the run, broken off when the run's time is over.

        Raises:
            StopRun: A limit has been reached.
        """
        remaining_s = self.remaining_s()
        try:
            return await clock.within(work(), remaining_s)
        except clock.LimitPassed:
            raise StopRun("time_limit", "the run came to its time limit before this call was answered") from None

    def offer(self) -> Offer:
        """What may be called now."""
        return self.settings.rules.offer(tuple(self.settings.tools), self.past)

    def uncalled(self) -> tuple[str, ...]:
        """Tools that the rules demand before the end and that were not called yet."""
        return self.settings.rules.uncalled(self.settings.tools, self.past)

    def step_state(self, outcomes: tuple[CallOutcome, ...]) -> StepState:
        """What the heartbeat policy sees."""
        trace, step = self.trace, self.trace.steps[-1]
        return StepState(
            step=step.number,
            max_steps=self.settings.max_steps,
            calls=outcomes,
            earlier=tuple(self.summaries),
            usage=trace.usage,
            known_tokens=self.known_tokens,
            input_tokens=step.model_calls[-1].usage.input_tokens if step.model_calls else None,
            context_window_tokens=self.settings.context_window_tokens,
            cost_usd=self.known_cost_usd,
            elapsed_s=self.elapsed_s,
            required_tools=self.uncalled(),
        )

    def decide(self, call_id: str, decision: Decision, by: str, call_hash: str | None) -> bool:
        """Take a decision on a call that waits; False when the same one was there already."""
        known = self.left.get(call_id) or self.desk.decided(call_id)
        if known is not None:
            return known.repeats(call_id, decision)
        if self.trace.status == "paused":
            return self._decide_paused(call_id, decision, by, call_hash)
        self.desk.call(call_id).check_for(decision, call_hash)
        return self.desk.decide(call_id, self._first_answer(call_id, Answer(decision, by)), call_hash=call_hash)

    def waiting_calls(self) -> list[PendingCall]:
        """The calls at which the run is paused, without those that were decided since."""
        tools, trace = self.settings.tools, self.trace
        return [
            PendingCall.of_record(record, trace.run_id, spec=tool.spec, tool=tool)
            for record in trace.waiting
            if record.call_id not in self.left and (tool := tools.get(record.tool)) is not None
        ]

    def _decide_paused(self, call_id: str, decision: Decision, by: str, call_hash: str | None) -> bool:
        """Keep a decision for whoever resumes the run."""
        waiting = {call.call_id: call for call in self.waiting_calls()}
        if call_id not in waiting or decision.action == "escalate":
            raise ApprovalError(f"no call `{call_id}` waits for a decision; waiting: {', '.join(waiting) or 'none'}")
        waiting[call_id].check_for(decision, call_hash)
        self.left[call_id] = self._first_answer(call_id, Answer(decision, by))
        self.desk.listeners.tell()
        return True

    def _first_answer(self, call_id: str, answer: Answer) -> Answer:
        """The answer, kept where the run is kept; of two at once, from two processes, the first."""
        if self._store is None or answer.decision.action == "escalate":
            return answer
        first = self._store.leave_answer(self.trace.run_id, call_id, answer.decision, answer.by)
        if first != answer and not first.repeats(call_id, answer.decision):
            return first
        self.left[call_id] = answer  # here with its keys, which the store does not keep
        return answer

    def left_answer(self, call: PendingCall) -> Answer | None:
        """A decision that was left for this call while the run was paused, or by another process."""
        if call.call_id in self.left or self._store is None:
            return self.left.get(call.call_id)
        return self._store.answers(self.trace.run_id).get(call.call_id)

    async def wait_for_person(self, call: PendingCall) -> Answer:
        """The decision that somebody takes, here or in another process."""
        waiting = asyncio.ensure_future(self.desk.wait(call))
        try:
            while True:
                await asyncio.wait({waiting}, timeout=None if self._store is None else POLL_S)
                if waiting.done():
                    return waiting.result()
                if (left := self.left_answer(call)) is not None:
                    return left
        finally:
            waiting.cancel()

    async def ask_model(self, model: ChatModel, request: ModelRequest) -> Reply:
        """A model's judgement of a tool call, booked apart from the run's own tokens."""
        return await self.in_time(partial(ask, model, request, self.recorder, purpose="approval"))

    def _since_last_s(self) -> float:
        events = self.trace.events
        return (self.recorder.now_ns() - events[-1].t_ns) / 1e9 if events else 0.0
