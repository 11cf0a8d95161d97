"""What a waterfall shows of a run, as data: bars and marks, in seconds since the run or their step began."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentlab.trace.steps import ModelCall, Step, ToolCallRecord
from agentlab.trace.trace import Trace

Kind: TypeAlias = Literal["idle", "waiting for the first token", "model streaming", "tool", "tool failed"]
Since: TypeAlias = Literal["run", "step"]
"""What times count from."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that took time, in the row of its step."""

    kind: Kind
    step: int
    start_s: float
    end_s: float
    lane: int = 0
    """Tools that ran side by side share the height of their row."""
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """The first token of a reply."""

    step: int
    t_s: float


def bars_of(trace: Trace, since: Since) -> list[Bar]:
    """The bars, by step. What has not ended reaches to the last event."""
    return [bar for step, clock in _clocks(trace, since) for bar in _step_bars(step, clock)]


def first_tokens_of(trace: Trace, since: Since) -> list[Mark]:
    """The first token of every reply that has one."""
    found = (
        (step.number, clock, _first_token_ns(call))
        for step, clock in _clocks(trace, since)
        for call in step.model_calls
    )
    return [Mark(step, clock(t_ns)) for step, clock, t_ns in found if t_ns is not None]


@dataclass(frozen=True, slots=True)
class _Clock:
    """Monotonic times as seconds since a moment; None is the run's last event."""

    zero_ns: int
    last_ns: int

    def __call__(self, t_ns: int | None) -> float:
        return ((self.last_ns if t_ns is None else t_ns) - self.zero_ns) / 1e9


def _clocks(trace: Trace, since: Since) -> Iterator[tuple[Step, _Clock]]:
    for step in trace.steps:
        zero_ns = step.started_ns if since == "step" else trace.events[0].t_ns
        yield step, _Clock(zero_ns, trace.events[-1].t_ns)


def _step_bars(step: Step, clock: _Clock) -> Iterator[Bar]:
    yield Bar("idle", step.number, clock(step.started_ns), clock(step.finished_ns))
    for call in step.model_calls:
        yield from _model_bars(step.number, call, clock)
    ran = [(tool, *_tool_span(tool, clock)) for tool in step.tool_calls if tool.started is not None]
    lanes = _lanes([(start_s, end_s) for _, start_s, end_s in ran])
    for (tool, start_s, end_s), lane in zip(ran, lanes, strict=True):
        kind: Kind = "tool failed" if tool.status == "error" else "tool"
        yield Bar(kind, step.number, start_s, end_s, lane, max(lanes) + 1)


def _model_bars(step: int, call: ModelCall, clock: _Clock) -> Iterator[Bar]:
    start_s, end_s = clock(call.called.t_ns), clock(None if call.replied is None else call.replied.t_ns)
    first_ns = _first_token_ns(call)
    first_s = end_s if first_ns is None else clock(first_ns)
    yield Bar("waiting for the first token", step, start_s, first_s)
    if first_ns is not None:
        yield Bar("model streaming", step, first_s, end_s)


def _first_token_ns(call: ModelCall) -> int | None:
    if call.replied is None or call.instants is None or call.instants.first_token_ns is None:
        return None
    return call.replied.chunks.request_ns + call.instants.first_token_ns


def _tool_span(tool: ToolCallRecord, clock: _Clock) -> tuple[float, float]:
    assert tool.started is not None  # noqa: S101  # the caller has looked
    return clock(tool.started.t_ns), clock(None if tool.returned is None else tool.returned.t_ns)


def _lanes(spans: list[tuple[float, float]]) -> list[int]:
    """A lane for each span, so that no two in one lane overlap."""
    free_at_s: list[float] = []
    lanes = []
    for start_s, end_s in spans:
        lane = next((n for n, free_s in enumerate(free_at_s) if free_s <= start_s), len(free_at_s))
        free_at_s[lane : lane + 1] = [end_s]
        lanes.append(lane)
    return lanes
