"""Long traces for the widgets, made without running anything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from agentlab.messages import builders
from agentlab.trace.chunks import ChunkRecorder
from agentlab.trace.events import (
    EventBase,
    MessageAdded,
    ModelCalled,
    ModelReplied,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)
from agentlab.trace.trace import Trace


def long_trace(n_messages: int, *, text_chars: int = 500, messages_per_step: int = 10) -> Trace:
    """A finished run of so many messages."""
    trace, step = Trace(), 0
    text = ("words that a model may say " * (text_chars // 27 + 1))[:text_chars]

    def add(kind: type[EventBase], **fields: Any) -> None:
        seq = len(trace.events)
        trace.append(kind(run_id="run-long", step=step, seq=seq, t_ns=seq * 1_000_000, **fields))  # type: ignore[arg-type]

    add(
        RunStarted,
        started_at=datetime(2026, 11, 1, tzinfo=UTC),
        clock="virtual",
        agent_name="long",
        model="none",
        provider="none",
        protocol="native",
    )
    for number in range(n_messages):
        if number % messages_per_step == 0:
            if step:
                add(StepFinished, step_id=f"step-{step}")
            step += 1
            add(StepStarted, step_id=f"step-{step}")
            add(ModelCalled, model="none", provider="none", n_messages=number, tool_choice="auto")
            add(ModelReplied, complete=True, chunks=ChunkRecorder().pack(0, None, None))
        message = builders.user_message(f"{number}: {text}")
        add(MessageAdded, message=message, source="input")
    add(StepFinished, step_id=f"step-{step}")
    add(RunFinished, stop_reason="end_turn")
    return trace
