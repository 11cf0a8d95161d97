"""The events of a run as rows of five tables, which is what frames are made of.

One fold serves a trace in memory and a run in a lab, so both give the same frames. Times are monotonic [ns], as in the
events; a value that is not known is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from agentlab.messages.message import Message
from agentlab.messages.parts import ReasoningPart, TextPart
from agentlab.trace.events import (
    ContinuationDecided,
    ErrorRaised,
    Event,
    MessageAdded,
    ModelCalled,
    ModelReplied,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    ToolReturned,
    ToolStarted,
)


@dataclass(slots=True)
class RunRow:
    """The run itself."""

    started_at: datetime | None = None
    started_ns: int | None = None
    last_ns: int | None = None
    input_ns: int | None = None
    """When the user's message came in."""
    clock: str | None = None
    agent_name: str | None = None
    model: str | None = None
    provider: str | None = None
    protocol: str | None = None
    parent_run_id: str | None = None
    tags: str | None = None
    """JSON object."""
    stop_reason: str | None = None
    n_events: int = 0
    n_messages: int = 0
    n_errors: int = 0


@dataclass(slots=True)
class StepRow:
    """A step: when, what was decided, what went wrong."""

    step: int
    step_id: str
    started_ns: int
    finished_ns: int | None = None
    go_on: bool | None = None
    policy: str | None = None
    reason: str | None = None
    stop_reason: str | None = None
    error_type: str | None = None
    error_code: str | None = None


@dataclass(slots=True)
class ModelCallRow:
    """One request to the model, and what came back."""

    step: int
    call: int
    """Which call of its step, from 1."""
    called_ns: int
    model: str
    provider: str
    n_messages: int
    replied_seq: int | None = None
    replied_ns: int | None = None
    complete: bool | None = None
    request_ns: int | None = None
    headers_ns: int | None = None
    """Offset from the request, as all below."""
    close_ns: int | None = None
    connect_started_ns: int | None = None
    connected_ns: int | None = None
    request_sent_ns: int | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    total_tokens: int | None = None
    usage_source: str | None = None
    finish_reason: str | None = None
    response_id: str | None = None
    response_model: str | None = None
    retries: int | None = None
    queue_s: float | None = None
    prefill_s: float | None = None


@dataclass(slots=True)
class ToolCallRow:
    """One call of a tool."""

    step: int
    call_id: str
    tool: str
    requested_arguments: str | None
    """As they stand in the conversation."""
    arguments: str | None = None
    """As the tool got them."""
    started_ns: int | None = None
    returned_ns: int | None = None
    status: str | None = None
    text: str | None = None
    error_type: str | None = None


class MessageRow(NamedTuple):
    """A message, at the moment it joined."""

    step: int
    seq: int
    t_ns: int
    message_id: str
    role: str
    source: str
    created_at: datetime
    name: str | None
    text: str | None
    reasoning: str | None
    n_tool_calls: int
    call_id: str | None
    is_error: bool | None
    replaces: str | None


@dataclass(slots=True)
class Projection:
    """Rows of one run, grown event by event."""

    run: RunRow = field(default_factory=RunRow)
    steps: dict[int, StepRow] = field(default_factory=dict)
    model_calls: list[ModelCallRow] = field(default_factory=list)
    tool_calls: dict[str, ToolCallRow] = field(default_factory=dict)
    messages: list[MessageRow] = field(default_factory=list)
    _requested: dict[str, str] = field(default_factory=dict)

    def extend(self, events: Iterable[Event]) -> None:
        """Take the next events of the run."""
        run = self.run
        for event in events:
            if run.started_ns is None:
                run.started_ns = event.t_ns
            run.n_events += 1
            run.last_ns = event.t_ns
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
            "messages": self.messages,
        }

    def _run_started(self, event: RunStarted) -> None:
        run = self.run
        run.started_at, run.clock = event.started_at, event.clock
        run.agent_name, run.model, run.provider = event.agent_name, event.model, event.provider
        run.protocol, run.parent_run_id = event.protocol, event.parent_run_id
        run.tags = orjson.dumps(event.tags).decode() if event.tags else None

    def _run_finished(self, event: RunFinished) -> None:
        self.run.stop_reason = event.stop_reason

    def _step_started(self, event: StepStarted) -> None:
        self.steps[event.step] = StepRow(event.step, event.step_id, event.t_ns)

    def _step_finished(self, event: StepFinished) -> None:
        self.steps[event.step].finished_ns = event.t_ns

    def _continuation_decided(self, event: ContinuationDecided) -> None:
        step = self.steps[event.step]
        step.go_on, step.policy, step.reason = event.go_on, event.policy, event.reason
        step.stop_reason = event.stop_reason

    def _error_raised(self, event: ErrorRaised) -> None:
        self.run.n_errors += 1
        if (step := self.steps.get(event.step)) is not None:
            step.error_type, step.error_code = event.error_type, event.code

    def _model_called(self, event: ModelCalled) -> None:
        before = self.model_calls[-1] if self.model_calls else None
        number = before.call + 1 if before is not None and before.step == event.step else 1
        row = ModelCallRow(event.step, number, event.t_ns, event.model, event.provider, event.n_messages)
        self.model_calls.append(row)

    def _model_replied(self, event: ModelReplied) -> None:
        row, log, usage, marks = self.model_calls[-1], event.chunks, event.usage, event.marks_ns
        row.replied_seq, row.replied_ns, row.complete = event.seq, event.t_ns, event.complete
        row.request_ns, row.headers_ns, row.close_ns = log.request_ns, log.headers_ns, log.close_ns
        row.connect_started_ns = marks.get("connect_started")
        row.connected_ns = marks.get("tls_finished", marks.get("connect_finished"))
        row.request_sent_ns = marks.get("request_sent")
        row.input_tokens, row.cached_tokens = usage.input_tokens, usage.cached_tokens
        row.cache_write_tokens, row.output_tokens = usage.cache_write_tokens, usage.output_tokens
        row.reasoning_tokens, row.total_tokens = usage.reasoning_tokens, usage.total_tokens
        row.usage_source, row.finish_reason = usage.source, event.finish_reason
        row.response_id, row.response_model = event.response_id, event.response_model
        row.retries, row.queue_s, row.prefill_s = event.retries, event.queue_s, event.prefill_s

    def _tool_started(self, event: ToolStarted) -> None:
        row = self._tool_call(event)
        row.started_ns, row.arguments = event.t_ns, event.arguments

    def _tool_returned(self, event: ToolReturned) -> None:
        row = self._tool_call(event)
        row.returned_ns, row.status, row.text, row.error_type = event.t_ns, event.status, event.text, event.error_type

    def _tool_call(self, event: ToolStarted | ToolReturned) -> ToolCallRow:
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
            run.input_ns = event.t_ns
        calls = message.tool_calls or ()
        for call in calls:
            self._requested[call.id] = call.function.arguments
        self.messages.append(
            MessageRow(
                event.step,
                event.seq,
                event.t_ns,
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
            )
        )


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
    StepStarted: Projection._step_started,
    StepFinished: Projection._step_finished,
    ContinuationDecided: Projection._continuation_decided,
    ErrorRaised: Projection._error_raised,
    ModelCalled: Projection._model_called,
    ModelReplied: Projection._model_replied,
    ToolStarted: Projection._tool_started,
    ToolReturned: Projection._tool_returned,
    MessageAdded: Projection._message_added,
}
