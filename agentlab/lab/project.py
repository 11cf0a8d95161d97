"""The events of a run as rows of tables, which is what frames are made of.

One fold serves a trace in memory and a run in a lab, so both give the same frames.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from agentlab.lab.rows import (
    ApprovalRow,
    CompactionRow,
    MessageRow,
    ModelCallRow,
    RequestedCallRow,
    RunRow,
    StepRow,
    ToolCallRow,
    ToolSpecRow,
)
from agentlab.messages.message import Message
from agentlab.messages.parts import ImagePart, ReasoningPart, TextPart
from agentlab.trace.events import (
    ApprovalDecided,
    ApprovalRequested,
    ContextCompacted,
    ContinuationDecided,
    ErrorRaised,
    Event,
    MessageAdded,
    ModelCalled,
    ModelReplied,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
    StepStarted,
    ToolReturned,
    ToolStarted,
)


@dataclass(slots=True)
class Projection:
    """Rows of one run, grown event by event."""

    run: RunRow = field(default_factory=RunRow)
    steps: dict[int, StepRow] = field(default_factory=dict)
    model_calls: list[ModelCallRow] = field(default_factory=list)
    tool_calls: dict[str, ToolCallRow] = field(default_factory=dict)
    approvals: list[ApprovalRow] = field(default_factory=list)
    messages: list[MessageRow] = field(default_factory=list)
    requested_calls: list[RequestedCallRow] = field(default_factory=list)
    compactions: list[CompactionRow] = field(default_factory=list)
    tool_specs: list[ToolSpecRow] = field(default_factory=list)
    _zero_ns: int | None = None
    """Monotonic time of the first event; times of the rows count from it."""
    _open_calls: dict[int, ModelCallRow] = field(default_factory=dict)
    _questions: dict[str, ApprovalRow] = field(default_factory=dict)
    """The question about each call, with the first answer to it."""
    _lost_waits: set[str] = field(default_factory=set)
    """Questions of an earlier process: how long they waited is not known, as no clock ran between the two."""
    _requested: dict[str, str] = field(default_factory=dict)
    """Arguments of each call, as the model wrote them."""
    _in_context: dict[str, int | CompactionRow] = field(default_factory=dict)
    """What the model would read now, by message id: place of the message among the rows, or the summary it is."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> Projection:
        """The rows of the events of a run."""
        projection = cls()
        projection.extend(events)
        return projection

    def extend(self, events: Iterable[Event]) -> None:
        """Take the next events of the run."""
        run = self.run
        for event in events:
            if self._zero_ns is None:
                self._zero_ns = event.t_ns
            run.n_events += 1
            run.last_ns = event.t_ns - self._zero_ns
            fold = _FOLDS.get(type(event))
            if fold is not None:
                fold(self, event)

    @property
    def tables(self) -> dict[str, list[Any]]:
        """The rows by table."""
        return {
            "runs": [self.run],
            "steps": list(self.steps.values()),
            "model_calls": self.model_calls,
            "tool_calls": list(self.tool_calls.values()),
            "approvals": self.approvals,
            "messages": self.messages,
            "requested_calls": self.requested_calls,
            "compactions": self.compactions,
            "tool_specs": self.tool_specs,
        }

    def _run_started(self, event: RunStarted) -> None:
        run = self.run
        run.started_at, run.clock = event.started_at, event.clock
        run.agent_name, run.model, run.provider = event.agent_name, event.model, event.provider
        run.protocol, run.parent_run_id = event.protocol, event.parent_run_id
        run.tags = orjson.dumps(event.tags).decode() if event.tags else None
        self.tool_specs = [ToolSpecRow(spec.name, _json(spec.model_dump())) for spec in event.tools]

    def _run_finished(self, event: RunFinished) -> None:
        self.run.stop_reason = event.stop_reason

    def _run_resumed(self, event: RunResumed) -> None:
        self._lost_waits.update(self._questions)

    def _step_started(self, event: StepStarted) -> None:
        self.steps[event.step] = StepRow(event.step, event.step_id, self.run.last_ns)

    def _step_finished(self, event: StepFinished) -> None:
        self.steps[event.step].finished_ns = self.run.last_ns

    def _continuation_decided(self, event: ContinuationDecided) -> None:
        step = self.steps[event.step]
        step.go_on, step.policy, step.reason = event.go_on, event.policy, event.reason
        step.known_tokens = event.inputs.get("known_tokens")

    def _error_raised(self, event: ErrorRaised) -> None:
        self.run.n_errors += 1
        if (step := self.steps.get(event.step)) is not None:
            step.error_type, step.error_code = event.error_type, event.code

    def _model_called(self, event: ModelCalled) -> None:
        before = self.model_calls[-1] if self.model_calls else None
        number = before.call + 1 if before is not None and before.step == event.step else 1
        now_ns, n_messages = self.run.last_ns, event.n_messages
        row = ModelCallRow(event.step, number, now_ns, event.purpose, event.model, event.provider, n_messages)
        row.called_seq, row.offered = event.seq, _json(event.tools)
        self.model_calls.append(row)
        self._open_calls[event.seq] = row

    def _model_replied(self, event: ModelReplied) -> None:
        row = self._open_calls.pop(max(self._open_calls) if event.called_seq is None else event.called_seq)
        log, usage, marks = event.chunks, event.usage, event.marks_ns
        row.replied_seq, row.replied_ns, row.complete = event.seq, self.run.last_ns, event.complete
        row.request_ns = log.request_ns - (self._zero_ns or 0)
        row.headers_ns, row.close_ns = log.headers_ns, log.close_ns
        row.connect_started_ns = marks.get("connect_started")
        row.connected_ns = marks.get("tls_finished", marks.get("connect_finished"))
        row.request_sent_ns = marks.get("request_sent")
        row.first_token_handed_ns = marks.get("first_token_handed_over")
        if "slowest_handed_over" in marks and "slowest_arrived" in marks:
            row.lag_max_ns = marks["slowest_handed_over"] - marks["slowest_arrived"]
        row.input_tokens, row.cached_tokens = usage.input_tokens, usage.cached_tokens
        row.cache_write_tokens, row.output_tokens = usage.cache_write_tokens, usage.output_tokens
        row.reasoning_tokens, row.total_tokens = usage.reasoning_tokens, usage.total_tokens
        row.usage_source, row.finish_reason = usage.source, event.finish_reason
        row.response_id, row.response_model = event.response_id, event.response_model
        row.retries, row.queue_s, row.prefill_s = event.retries, event.queue_s, event.prefill_s

    def _approval_requested(self, event: ApprovalRequested) -> None:
        self._tool_call(event).status = "waiting"
        row = self._questions.get(event.call_id)
        if row is None or row.action is not None:
            row = self._questions[event.call_id] = ApprovalRow(event.step, event.call_id, event.tool)
            self.approvals.append(row)
        row.rule, row.requested_ns = event.rule, self.run.last_ns  # a question that is put again waits anew
        self._lost_waits.discard(event.call_id)

    def _approval_decided(self, event: ApprovalDecided) -> None:
        row = self._answered(event)
        row.decided_ns, row.action = self.run.last_ns, event.action
        if row.requested_ns is not None and event.call_id not in self._lost_waits:
            row.latency_ns = row.decided_ns - row.requested_ns
        row.approver, row.approver_kind, row.arguments = event.approver, event.approver_kind, event.arguments
        row.reason, row.response = event.reason, event.response
        if event.action != "escalate":
            self._tool_call(event).status = "running"

    def _answered(self, event: ApprovalDecided) -> ApprovalRow:
        """The row of a decision: that of the question, where it is the first answer to one."""
        asked = self._questions.get(event.call_id)
        if asked is not None and asked.action is None:
            return asked
        row = ApprovalRow(event.step, event.call_id, event.tool)
        if asked is not None:
            row.rule, row.requested_ns = asked.rule, asked.requested_ns
        self.approvals.append(row)
        return row

    def _tool_started(self, event: ToolStarted) -> None:
        row = self._tool_call(event)
        row.started_ns, row.arguments = self.run.last_ns, event.arguments

    def _tool_returned(self, event: ToolReturned) -> None:
        row = self._tool_call(event)
        row.returned_ns, row.status = self.run.last_ns, event.status
        row.text, row.error_type = event.text, event.error_type

    def _tool_call(self, event: ApprovalRequested | ApprovalDecided | ToolStarted | ToolReturned) -> ToolCallRow:
        row = self.tool_calls.get(event.call_id)
        if row is None:
            row = ToolCallRow(event.step, event.call_id, event.tool, self._requested.get(event.call_id))
            self.tool_calls[event.call_id] = row
        return row

    def _message_added(self, event: MessageAdded) -> None:
        message = event.message
        run = self.run
        run.n_messages += 1
        if event.source == "input" and run.input_ns is None:
            run.input_ns = self.run.last_ns
        calls = message.tool_calls or ()
        for call in calls:
            name, arguments = call.function.name, call.function.arguments
            self._requested[call.id] = arguments
            self.requested_calls.append(RequestedCallRow(event.step, event.seq, call.id, name, arguments))
        for leaving in (event.replaces, message.id):
            self._leave(leaving, event.seq)
        self._in_context[message.id] = len(self.messages)
        self.messages.append(
            MessageRow(
                event.step,
                event.seq,
                self.run.last_ns,
                message.id,
                message.role,
                event.source,
                message.created_at,
                message.name,
                _text(message),
                _reasoning(message),
                len(calls),
                _call_id(message),
                _is_error(message),
                event.replaces,
                None,
                sum(type(part) is ImagePart for part in message.content or ()),
            )
        )

    def _context_compacted(self, event: ContextCompacted) -> None:
        for message_id in event.removed:
            self._leave(message_id, event.seq)
        row = CompactionRow(event.step, event.seq, event.how, len(event.removed))
        if event.summary is not None:
            row.summary = _text(event.summary)
            self._in_context[event.summary.id] = row
        self.compactions.append(row)

    def _leave(self, message_id: str | None, seq: int) -> None:
        left = None if message_id is None else self._in_context.pop(message_id, None)
        if isinstance(left, CompactionRow):
            left.left_seq = seq
        elif left is not None:
            self.messages[left] = self.messages[left]._replace(left_seq=seq)


def _json(value: object) -> str:
    """As a model is told of it; half of a surrogate pair stays, and does not fail."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _text(message: Message) -> str | None:
    texts = [part.text for part in message.content or () if type(part) is TextPart]
    return "\n\n".join(texts) if texts else None


def _reasoning(message: Message) -> str | None:
    texts = [part.reasoning for part in message.content or () if type(part) is ReasoningPart]
    return "\n\n".join(texts) if texts else None


def _call_id(message: Message) -> str | None:
    """The call that a message asks for or answers; of several the first."""
    if message.tool_call_id is not None:
        return message.tool_call_id
    if message.tool_returns:
        return message.tool_returns[0].tool_call_id
    return message.tool_calls[0].id if message.tool_calls else None


def _is_error(message: Message) -> bool | None:
    """Whether a tool message tells of a failure; None for other messages."""
    if message.tool_returns:
        return any(each.status == "error" for each in message.tool_returns)
    return message.is_err


_FOLDS: dict[type, Callable[[Projection, Any], None]] = {
    RunStarted: Projection._run_started,
    RunFinished: Projection._run_finished,
    RunResumed: Projection._run_resumed,
    StepStarted: Projection._step_started,
    StepFinished: Projection._step_finished,
    ContinuationDecided: Projection._continuation_decided,
    ErrorRaised: Projection._error_raised,
    ModelCalled: Projection._model_called,
    ModelReplied: Projection._model_replied,
    ApprovalRequested: Projection._approval_requested,
    ApprovalDecided: Projection._approval_decided,
    ToolStarted: Projection._tool_started,
    ToolReturned: Projection._tool_returned,
    MessageAdded: Projection._message_added,
    ContextCompacted: Projection._context_compacted,
}
