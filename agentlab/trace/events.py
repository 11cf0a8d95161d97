"""What can happen in a run: one frozen class an event, told apart by `type`.

The schema carries a version. A reader skips types that it does not know, and reads older versions.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import ConfigDict, Field, TypeAdapter

from agentlab.messages.message import Message
from agentlab.messages.parts import Value
from agentlab.trace.chunks import ChunkLog
from agentlab.trace.usage import NO_USAGE, Usage

SCHEMA_VERSION = 1

StopReason: TypeAlias = Literal[
    "end_turn",
    "max_steps",
    "token_limit",
    "time_limit",
    "cost_limit",
    "no_progress",
    "tool_rule",
    "no_tool_allowed",
    "stopped",
    "invalid_llm_response",
    "context_window",
    "llm_api_error",
    "error",
    "cancelled",
]
"""Why a run ended."""

CallPurpose: TypeAlias = Literal["step", "approval", "compaction"]
"""What a model was called for: the step itself, to judge a tool call, or to sum up earlier messages."""

ApproverKind: TypeAlias = Literal["person", "policy", "model", "callback", "script"]

Action: TypeAlias = Literal["approve", "edit", "deny", "respond", "escalate", "stop"]
"""What the approver said of one tool call."""

MessageSource: TypeAlias = Literal["history", "system", "input", "model", "tool", "heartbeat"]
"""Where a message came from; `history` was inherited from an earlier run."""


class EventBase(Value):
    """What all events share."""

    run_id: str
    step: int
    """The step it belongs to, from 1; 0 before the first."""
    seq: int
    """Position in the run, from 0, without gaps; live-only events have the next event's."""
    t_ns: int
    """Monotonic time [ns]; only differences mean anything. Between the processes of a resumed run it stands."""


class ToolSpec(Value):
    """A tool as the model is told of it."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the arguments."""


class RunStarted(EventBase):
    """A run begins."""

    type: Literal["run_started"] = "run_started"
    schema_version: int = SCHEMA_VERSION
    started_at: datetime
    """Wall time, UTC; for display."""
    clock: Literal["system", "virtual"]
    agentlab_version: str | None = None
    agent_name: str
    model: str
    provider: str
    protocol: Literal["memgpt", "native"]
    settings: dict[str, Any] = Field(default_factory=dict)
    """The agent's other settings, as data."""
    tools: tuple[ToolSpec, ...] = ()
    parent_run_id: str | None = None
    """The run whose conversation goes on."""
    tags: dict[str, str] = Field(default_factory=dict)


class StepStarted(EventBase):
    """A step begins."""

    type: Literal["step_started"] = "step_started"
    step_id: str


class ModelCalled(EventBase):
    """A request is about to leave. Its messages are those of the context at this point of the trace."""

    type: Literal["model_called"] = "model_called"
    model: str
    provider: str
    n_messages: int
    tools: tuple[str, ...] = ()
    tool_choice: str
    params: dict[str, Any] = Field(default_factory=dict)
    purpose: CallPurpose = "step"


class ModelDelta(EventBase):
    """A piece of the reply, for live readers; the chunk log keeps its time, the message its text."""

    type: Literal["model_delta"] = "model_delta"
    kind: int
    """`ChunkKind` flags."""
    content: str = ""
    reasoning: str = ""
    tool_name: str = ""
    tool_args: str = ""
    call_index: int | None = None


class ModelReplied(EventBase):
    """The stream ended, or was cut."""

    type: Literal["model_replied"] = "model_replied"
    complete: bool
    """False: cut, cancelled or failed before its end."""
    called_seq: int | None = None
    """`seq` of the `model_called` that it answers; None: the last one."""
    chunks: ChunkLog
    usage: Usage = NO_USAGE
    finish_reason: str | None = None
    response_id: str | None = None
    response_model: str | None = None
    retries: int = 0
    queue_s: float | None = None
    """Time in the server's queue, where it says so [s]."""
    prefill_s: float | None = None
    """Time to read the prompt, where the server says so [s]."""
    marks_ns: dict[str, int] = Field(default_factory=dict)
    """The transport's own instants, offsets from the request [ns]: `connect_started`, `request_sent`, …, and when the
    consumer got the first token (`first_token_handed_over`) and what waited longest (`slowest_…`)."""


class ApprovalRequested(EventBase):
    """A call waits for a decision."""

    type: Literal["approval_requested"] = "approval_requested"
    call_id: str
    tool: str
    arguments: str
    """JSON text of what the tool would get."""
    call_hash: str
    """Hash of the tool's name and canonical arguments, to which a decision is bound."""
    rule: str
    """Why somebody is asked."""


class ApprovalDecided(EventBase):
    """An approver spoke of one call."""

    type: Literal["approval_decided"] = "approval_decided"
    call_id: str
    tool: str
    action: Action
    approver: str
    """Who it was."""
    approver_kind: ApproverKind
    arguments: str | None = None
    """JSON text of what the tool gets instead, when they were edited."""
    call_hash: str
    """Hash of the tool's name and of the arguments that may run."""
    reason: str | None = None
    response: str | None = None
    """What the model reads in the place of the tool's return."""
    always: dict[str, Any] | None = None
    """Scope of later calls that need no question."""


class ToolStarted(EventBase):
    """A tool starts, with arguments that have passed its schema."""

    type: Literal["tool_started"] = "tool_started"
    call_id: str
    tool: str
    arguments: str
    """JSON text of what the tool gets."""


class ToolReturned(EventBase):
    """A call was answered. Without a `tool_started` before it, the tool never ran."""

    type: Literal["tool_returned"] = "tool_returned"
    call_id: str
    tool: str
    status: Literal["success", "error"]
    text: str | None
    """What came back, before it is packed for the model."""
    error_type: str | None = None
    """Name of the exception's class."""


class MessageAdded(EventBase):
    """A message joined the conversation."""

    type: Literal["message_added"] = "message_added"
    message: Message
    source: MessageSource
    replaces: str | None = None
    """Id of the message whose place it takes (a system message with newer memory)."""


class ContinuationDecided(EventBase):
    """The heartbeat policy spoke."""

    type: Literal["continuation_decided"] = "continuation_decided"
    go_on: bool
    policy: str
    inputs: dict[str, Any] = Field(default_factory=dict)
    """What the policy looked at."""
    reason: str | None = None
    """What the model will read."""
    stop_reason: StopReason | None = None
    wait_s: float = 0.0
    """How long the run waits before the next step [s]."""


class StepFinished(EventBase):
    """A step is over."""

    type: Literal["step_finished"] = "step_finished"
    step_id: str


class ErrorRaised(EventBase):
    """Something failed outside a tool."""

    type: Literal["error_raised"] = "error_raised"
    error_type: str
    code: str
    message: str


class ContextCompacted(EventBase):
    """Messages left the context; the trace keeps them."""

    type: Literal["context_compacted"] = "context_compacted"
    how: Literal["drop", "summary"]
    removed: tuple[str, ...]
    """Ids of the messages that the model no longer reads."""
    summary: Message | None = None
    """What stands in their place."""


class RunPaused(EventBase):
    """The run waits for decisions without a process: it is resumed by whoever has them."""

    type: Literal["run_paused"] = "run_paused"
    pending: tuple[str, ...]
    """Ids of the calls that wait."""


class RunResumed(EventBase):
    """The run goes on, perhaps in another process."""

    type: Literal["run_resumed"] = "run_resumed"
    resumed_at: datetime
    """Wall time, UTC; for display."""
    differences: tuple[str, ...] = ()
    """What the agent has that differs from the recorded one, in words."""


class RunFinished(EventBase):
    """The run is over."""

    type: Literal["run_finished"] = "run_finished"
    stop_reason: StopReason


Event: TypeAlias = Annotated[
    RunStarted
    | StepStarted
    | ModelCalled
    | ModelDelta
    | ModelReplied
    | ApprovalRequested
    | ApprovalDecided
    | ToolStarted
    | ToolReturned
    | MessageAdded
    | ContinuationDecided
    | StepFinished
    | ErrorRaised
    | ContextCompacted
    | RunPaused
    | RunResumed
    | RunFinished,
    Field(discriminator="type"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event, config=ConfigDict(defer_build=True))
"""One event from and to JSON, built once."""

EVENT_TYPES = frozenset(cls.model_fields["type"].default for cls in get_args(get_args(Event)[0]))
"""The types that this version knows."""
