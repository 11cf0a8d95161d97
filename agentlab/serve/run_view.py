"""A run and its waiting calls, as the server tells of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from agentlab.agent.desk import PendingCall
from agentlab.agent.protocol import spoken_text
from agentlab.serve.problems import ErrorDetail, problem_of_run
from agentlab.trace.events import StopReason
from agentlab.trace.trace import RunStatus, Trace
from agentlab.trace.usage import Usage


class RunView(BaseModel):
    """A run as it stands."""

    id: str
    object: Literal["run"] = "run"
    agent: str
    status: RunStatus
    """`paused`: it waits for decisions; `interrupted`: its process ended before it did."""
    stop_reason: StopReason | None
    """Why it ended; null while it has not."""
    text: str | None
    """What the agent told the user last."""
    error: ErrorDetail | None
    """What ended it, when that was an error."""
    waiting: list[str]
    """Ids of the calls that wait for a decision."""
    usage: Usage
    """Tokens of its steps; null where the model did not count."""
    n_steps: int
    n_events: int
    started_at: datetime
    tags: dict[str, str]


class WaitingCall(BaseModel):
    """A tool call that waits for a decision."""

    call_id: str
    run_id: str
    step: int
    tool: str
    description: str
    """What the tool says of itself."""
    arguments: dict[str, Any]
    rule: str
    """Why somebody is asked."""
    call_hash: str
    """Sent back with the decision, it makes sure that this very call is meant."""


_ERRORS = frozenset({"error", "llm_api_error", "invalid_llm_response", "context_window", "no_tool_allowed"})


def view_of(trace: Trace) -> RunView:
    """The run as it stands."""
    failed = trace.errors[-1] if trace.errors and trace.stop_reason in _ERRORS else None
    return RunView(
        id=trace.run_id,
        agent=trace.started.agent_name,
        status=trace.status,
        stop_reason=trace.stop_reason,
        text=spoken_text(trace),
        error=None if failed is None else problem_of_run(failed).detail_of_error,
        waiting=[record.call_id for record in trace.waiting],
        usage=trace.usage,
        n_steps=len(trace.steps),
        n_events=len(trace),
        started_at=trace.started.started_at,
        tags=trace.started.tags,
    )


def waiting_view(call: PendingCall) -> WaitingCall:
    """The call as whoever decides sees it."""
    return WaitingCall(
        call_id=call.call_id,
        run_id=call.run_id,
        step=call.step,
        tool=call.tool,
        description=call.description,
        arguments=call.arguments,
        rule=call.rule,
        call_hash=call.call_hash,
    )
