"""Small traces by hand, event by event, for tests of what shows a trace."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from agentlab.messages import envelopes
from agentlab.messages.message import FunctionCall, Message, ToolCall
from agentlab.messages.parts import Part, TextPart
from agentlab.trace.chunks import Chunk, ChunkKind, ChunkRecorder
from agentlab.trace.events import (
    ContinuationDecided,
    ErrorRaised,
    EventBase,
    MessageAdded,
    MessageSource,
    ModelCalled,
    ModelReplied,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    StopReason,
    ToolReturned,
    ToolStarted,
)
from agentlab.trace.trace import Trace
from agentlab.trace.usage import NO_USAGE, Usage

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MS_NS = 1_000_000


def usage(input_tokens: int, output_tokens: int, *, cached: int = 0, reasoning: int = 0) -> Usage:
    return Usage(
        input_tokens=input_tokens,
        cached_tokens=cached,
        output_tokens=output_tokens,
        reasoning_tokens=reasoning,
        total_tokens=input_tokens + output_tokens,
        source="provider",
    )


class Building:
    """A trace that grows; times are given in milliseconds since the event before."""

    def __init__(self, **fields: Any) -> None:
        self.trace = Trace()
        self.run_id = fields.pop("run_id", "run-1")
        self.step = 0
        self._t_ns = 5 * MS_NS
        known = {"agent_name": "ada", "model": "tiny", "provider": "scripted", "protocol": "memgpt", "clock": "system"}
        self.add(RunStarted, started_at=START, **{**known, **fields})

    def add(self, event_type: type[EventBase], /, *, after_ms: float = 0, **fields: Any) -> Building:
        self._t_ns += round(after_ms * MS_NS)
        event = event_type(run_id=self.run_id, step=self.step, seq=len(self.trace), t_ns=self._t_ns, **fields)
        self.trace.append(event)  # type: ignore[arg-type]
        return self

    def message(self, source: MessageSource, role: str, content: str | Sequence[Part], **fields: Any) -> Building:
        parts = (TextPart(text=content),) if isinstance(content, str) else tuple(content)
        made = Message(id=f"message-{len(self.trace)}", role=role, content=parts, created_at=START, **fields)
        return self.add(MessageAdded, message=made, source=source)

    def user(self, text: str) -> Building:
        return self.message("input", "user", envelopes.user_message(text))

    def begin(self, *, ttft_ms: float = 100, tokens: int = 5, gap_ms: float = 10, **replied: Any) -> Building:
        """A step, and a model call that answers after `ttft_ms`."""
        self.step += 1
        self.add(StepStarted, step_id=f"step-{self.step}")
        self.add(ModelCalled, model="tiny", provider="scripted", n_messages=1, tool_choice="auto")
        called_ns, log = self._t_ns, ChunkRecorder()
        for n in range(tokens):
            log.add(Chunk(called_ns + round((ttft_ms + n * gap_ms) * MS_NS), ChunkKind.TOOL_ARGS))
        length_ms = ttft_ms + (tokens - 1) * gap_ms
        fields = {"complete": True, "usage": NO_USAGE, "finish_reason": "tool_calls", **replied}
        return self.add(ModelReplied, after_ms=length_ms, chunks=log.pack(called_ns, None, None), **fields)

    def asks(self, *calls: tuple[str, str, str], thoughts: Sequence[Part] | str = ()) -> Building:
        """The model's reply: calls as id, tool and arguments."""
        made = tuple(ToolCall(id=i, function=FunctionCall(name=name, arguments=text)) for i, name, text in calls)
        return self.message("model", "assistant", thoughts, tool_calls=made or None)

    def runs(self, call_id: str, tool: str, arguments: str, *, ms: float = 20) -> Building:
        """A tool that takes so long; `returns` comes next."""
        self.add(ToolStarted, call_id=call_id, tool=tool, arguments=arguments)
        self._t_ns += round(ms * MS_NS)
        return self

    def returns(self, call_id: str, tool: str, text: str | None, *, error: str | None = None) -> Building:
        status = "error" if error else "success"
        self.add(ToolReturned, call_id=call_id, tool=tool, status=status, text=text, error_type=error)
        packed = envelopes.tool_return(text, ok=error is None)
        return self.message("tool", "tool", packed, tool_call_id=call_id, name=tool)

    def goes_on(self, reason: str = envelopes.HEARTBEAT_SUCCESS) -> Building:
        self.add(ContinuationDecided, go_on=True, policy="on_request", reason=reason)
        self.message("heartbeat", "user", envelopes.heartbeat(reason))
        return self.add(StepFinished, step_id=f"step-{self.step}")

    def stops(self, stop_reason: StopReason = "end_turn") -> Trace:
        self.add(ContinuationDecided, go_on=False, policy="on_request", stop_reason=stop_reason)
        self.add(StepFinished, step_id=f"step-{self.step}")
        return self.finish(stop_reason)

    def fails(self, error_type: str, message: str, code: str = "INTERNAL_SERVER_ERROR") -> Building:
        return self.add(ErrorRaised, error_type=error_type, code=code, message=message)

    def finish(self, stop_reason: StopReason = "end_turn") -> Trace:
        return self.add(RunFinished, stop_reason=stop_reason).trace
