"""Heartbeat policies: after each step, whether the agent gets another one, and what it is told.

Policies are data: they are stored with the run and compared.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

from agentlab.messages.parts import Value
from agentlab.trace.events import StopReason


class CallOutcome(Value):
    """How one tool call of the step went."""

    tool: str
    success: bool
    executed: bool
    """False: the call was refused before anything ran (no such tool, bad arguments)."""
    heartbeat_requested: bool
    """The model asked for another step along with this call."""


class StepState(Value):
    """What a policy sees after a step."""

    step: int
    """The step just made, from 1."""
    max_steps: int
    calls: tuple[CallOutcome, ...]


class Continuation(Value):
    """What a policy decided."""

    go_on: bool
    reason: str | None = None
    """What the model will read; None: the protocol's own words, where it has any."""
    stop_reason: StopReason | None = None


class HeartbeatPolicy(Protocol):
    """Decides after each step. A frozen pydantic model with a `kind`, so that it can be stored."""

    @property
    def kind(self) -> str:
        """The policy's name in traces."""
        ...

    def decide(self, state: StepState) -> Continuation:
        """Go on or stop, and why."""
        ...

    def model_dump(self) -> dict[str, Any]:
        """The policy as data."""
        ...


class OnRequest(Value):
    """Go on when the model asks for it, and when it must learn that a call was refused; else the turn ends."""

    kind: Literal["on_request"] = "on_request"

    def decide(self, state: StepState) -> Continuation:
        """Follow the model's request."""
        refused = any(not call.executed for call in state.calls)
        if not refused and not any(call.heartbeat_requested for call in state.calls):
            return Continuation(go_on=False, stop_reason="end_turn")
        return Continuation(go_on=True)
