"""What the events of a run add up to: model calls, tool calls, steps, and the messages between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from agentlab.messages.message import Message
from agentlab.trace.events import (
    ApprovalDecided,
    ApprovalRequested,
    ContinuationDecided,
    ErrorRaised,
    MessageSource,
    ModelCalled,
    ModelReplied,
    ToolReturned,
    ToolStarted,
)
from agentlab.trace.instants import Instants
from agentlab.trace.usage import NO_USAGE, Usage, sum_usage


@dataclass
class ModelCall:
    """One request to the model and what came back."""

    called: ModelCalled
    replied: ModelReplied | None = None

    @cached_property
    def _instants(self) -> Instants:
        assert self.replied is not None  # noqa: S101  # `instants` has looked
        return Instants.of(self.replied.chunks)

    @property
    def instants(self) -> Instants | None:
        """The call's instants; None while nothing has come back."""
        return None if self.replied is None else self._instants

    @property
    def usage(self) -> Usage:
        """Tokens, as far as they are known."""
        return NO_USAGE if self.replied is None else self.replied.usage

    @property
    def interval_ns(self) -> tuple[int, int] | None:
        """From the call to the end of its stream, monotonic [ns]; None while it runs."""
        return None if self.replied is None else (self.called.t_ns, self.replied.t_ns)


@dataclass
class ToolCallRecord:
    """One call of a tool, from its start to its answer."""

    call_id: str
    tool: str
    step: int
    requested: ApprovalRequested | None = None
    decisions: list[ApprovalDecided] = field(default_factory=list)
    """What approvers said, in order; all but the last handed on."""
    wait_is_lost: bool = False
    """The run was resumed while the call waited: nobody knows how long that took."""
    started: ToolStarted | None = None
    returned: ToolReturned | None = None

    @property
    def status(self) -> Literal["waiting", "running", "success", "error"]:
        """How it ended, or what it waits for."""
        if self.returned is not None:
            return self.returned.status
        return "waiting" if self.requested is not None and self.decision is None else "running"

    @property
    def decision(self) -> ApprovalDecided | None:
        """The decision that counts; None while there is none."""
        return next((d for d in reversed(self.decisions) if d.action != "escalate"), None)

    @property
    def interval_ns(self) -> tuple[int, int] | None:
        """When the tool ran, monotonic [ns]; None when it never ran or still runs."""
        if self.started is None or self.returned is None:
            return None
        return self.started.t_ns, self.returned.t_ns

    @property
    def duration_s(self) -> float | None:
        """Wall-clock time inside the tool [s]; None when it never ran or still runs."""
        return None if (span := self.interval_ns) is None else (span[1] - span[0]) / 1e9


@dataclass
class Step:
    """One model call, the tool calls it asked for, and the decision whether to go on."""

    number: int
    step_id: str
    started_ns: int
    finished_ns: int | None = None
    model_calls: list[ModelCall] = field(default_factory=list)
    """Calls for the step itself; more than one when a call was tried again."""
    side_calls: list[ModelCall] = field(default_factory=list)
    """Calls in which a model judged a tool call or summed up the conversation."""
    tool_calls: list[ToolCallRecord] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    decision: ContinuationDecided | None = None
    errors: list[ErrorRaised] = field(default_factory=list)

    @property
    def usage(self) -> Usage:
        """Tokens of the step's model calls."""
        return sum_usage(c.usage for c in self.model_calls)

    @property
    def ttft_s(self) -> float | None:
        """First token of the step's last model call [s]: earlier ones were tried again."""
        instants = self.model_calls[-1].instants if self.model_calls else None
        return None if instants is None else instants.ttft_s

    @property
    def duration_s(self) -> float | None:
        """Wall-clock time of the step [s]; None while it runs."""
        return None if self.finished_ns is None else (self.finished_ns - self.started_ns) / 1e9


@dataclass(frozen=True, slots=True)
class Entry:
    """A message of the trace: where it came from and in which step."""

    message: Message
    source: MessageSource
    step: int
    seq: int
    t_ns: int
