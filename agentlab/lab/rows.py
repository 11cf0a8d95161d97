"""The rows of the tables that frames are made of.

Times are counted from the run's first event [ns]. A value that is not known is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(slots=True)
class RunRow:
    """The run itself."""

    started_at: datetime | None = None
    last_ns: int = 0
    """Time of the last event: how long the run took so far."""
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
    error_type: str | None = None
    error_code: str | None = None
    known_tokens: int | None = None
    """Input and output of all calls of the run so far, as the run itself had counted them at the decision."""


@dataclass(slots=True)
class ModelCallRow:
    """One request to the model, and what came back."""

    step: int
    call: int
    """Which call of its step, from 1."""
    called_ns: int
    purpose: str
    model: str
    provider: str
    n_messages: int
    replied_seq: int | None = None
    replied_ns: int | None = None
    complete: bool | None = None
    request_ns: int | None = None
    headers_ns: int | None = None
    """Offset from the request, as all that follow."""
    close_ns: int | None = None
    connect_started_ns: int | None = None
    connected_ns: int | None = None
    request_sent_ns: int | None = None
    first_token_handed_ns: int | None = None
    """When the consumer got the first token."""
    lag_max_ns: int | None = None
    """The longest that a piece of the reply waited for the consumer; a duration."""
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
    called_seq: int | None = None
    """Number of the event with which it was made: what had joined the conversation before, the model read."""
    offered: str | None = None
    """Names of the tools that it was told of, as a JSON array."""


@dataclass(slots=True)
class ToolCallRow:
    """One call of a tool."""

    step: int
    call_id: str
    tool: str
    requested_arguments: str | None
    """As they stand in the conversation."""
    status: str = "running"
    arguments: str | None = None
    """As the tool got them."""
    started_ns: int | None = None
    returned_ns: int | None = None
    text: str | None = None
    error_type: str | None = None


@dataclass(slots=True)
class ApprovalRow:
    """What one approver said of a call, or that nobody has said anything yet."""

    step: int
    call_id: str
    tool: str
    rule: str | None = None
    """Why somebody was asked; None when nobody had to be."""
    requested_ns: int | None = None
    decided_ns: int | None = None
    latency_ns: int | None = None
    """Question to answer; None when nobody was asked, and when the answer came to another process."""
    action: str | None = None
    approver: str | None = None
    approver_kind: str | None = None
    arguments: str | None = None
    """What the tool gets instead, when they were edited."""
    reason: str | None = None
    response: str | None = None


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
    left_seq: int | None = None
    """Number of the event with which it left the conversation; None while it is in it."""
    n_images: int = 0


class RequestedCallRow(NamedTuple):
    """A tool call as it stands in a message, also in one that was inherited."""

    step: int
    seq: int
    """Of the message."""
    call_id: str
    tool: str
    arguments: str


@dataclass(slots=True)
class CompactionRow:
    """Messages left the conversation."""

    step: int
    seq: int
    how: str
    n_removed: int
    summary: str | None = None
    """Text of what stands in their place."""
    left_seq: int | None = None
    """As that of a message, of the summary."""


class ToolSpecRow(NamedTuple):
    """A tool as the model is told of it."""

    tool: str
    spec: str
    """Name, description and schema of the arguments, as a JSON object."""
