"""What a waterfall shows of a run, as data: bars and marks, in seconds since the run or their step began."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentlab.lab.project import Projection
from agentlab.lab.rows import ModelCallRow, StepRow, ToolCallRow
from agentlab.trace.events import ModelReplied
from agentlab.trace.instants import Instants
from agentlab.trace.trace import Trace

Kind: TypeAlias = Literal[
    "idle",
    "waiting for the first token",
    "model streaming",
    "tool",
    "tool failed",
    "waiting for a person",
    "waiting for a decision",
]
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


class Waterfall:
    """Bars and marks of a run. What has not ended reaches to the last event."""

    def __init__(self, trace: Trace, since: Since = "run") -> None:
        self._rows = Projection.of(trace)
        self._first_token_ns = {
            event.seq: Instants.of(event.chunks).first_token_ns for event in trace if isinstance(event, ModelReplied)
        }
        self._since = since
        self.steps = list(self._rows.steps)
        """Numbers of the steps."""

    @property
    def bars(self) -> list[Bar]:
        """The bars, by step."""
        return [bar for step in self._rows.steps.values() for bar in self._bars(step)]

    @property
    def first_tokens(self) -> list[Mark]:
        """The first token of every reply to a step."""
        marks = ((call.step, self._first_token(call)) for call in self._rows.model_calls if call.purpose == "step")
        return [Mark(step, self._s(step, t_ns)) for step, t_ns in marks if t_ns is not None]

    def tools_of(self, step: int) -> list[str]:
        """Names of the tools that a step called, each once."""
        return list(dict.fromkeys(call.tool for call in self._rows.tool_calls.values() if call.step == step))

    def _bars(self, step: StepRow) -> Iterator[Bar]:
        yield self._bar("idle", step.step, step.started_ns, step.finished_ns)
        for call in self._rows.model_calls:
            if call.step == step.step:
                yield from self._model_bars(call)
        yield from self._human_bars(step.step)
        yield from self._tool_bars([call for call in self._rows.tool_calls.values() if call.step == step.step])

    def _model_bars(self, call: ModelCallRow) -> Iterator[Bar]:
        first_ns = self._first_token(call)
        if first_ns is None:
            yield self._bar("waiting for the first token", call.step, call.called_ns, call.replied_ns)
        else:
            yield self._bar("waiting for the first token", call.step, call.called_ns, first_ns)
            yield self._bar("model streaming", call.step, first_ns, call.replied_ns)

    def _human_bars(self, step: int) -> Iterator[Bar]:
        """From the question to the answer of a person; not while another was asked first, who handed the call on."""
        asked = [row for row in self._rows.approvals if row.step == step and row.requested_ns is not None]
        handed_on_ns: dict[str, int] = {}
        for row in asked:
            since_ns = max(row.requested_ns or 0, handed_on_ns.get(row.call_id, 0))
            if row.approver_kind == "person":
                yield self._bar("waiting for a person", step, since_ns, row.decided_ns)
            if row.decided_ns is not None:
                handed_on_ns[row.call_id] = row.decided_ns
        for row in {row.call_id: row for row in asked}.values():
            if row.action in (None, "escalate"):
                since_ns = max(row.requested_ns or 0, handed_on_ns.get(row.call_id, 0))
                returned_ns = self._rows.tool_calls[row.call_id].returned_ns
                yield self._bar("waiting for a decision", step, since_ns, returned_ns)

    def _tool_bars(self, calls: Sequence[ToolCallRow]) -> Iterator[Bar]:
        ran = [call for call in calls if call.started_ns is not None]
        ran.sort(key=lambda call: call.started_ns or 0)
        spans = [self._bar(_tool_kind(call), call.step, call.started_ns, call.returned_ns) for call in ran]
        lanes = _lanes(spans)
        for bar, lane in zip(spans, lanes, strict=True):
            yield Bar(bar.kind, bar.step, bar.start_s, bar.end_s, lane, max(lanes) + 1)

    def _first_token(self, call: ModelCallRow) -> int | None:
        offset_ns = None if call.replied_seq is None else self._first_token_ns[call.replied_seq]
        return None if offset_ns is None or call.request_ns is None else call.request_ns + offset_ns

    def _bar(self, kind: Kind, step: int, start_ns: int | None, end_ns: int | None) -> Bar:
        return Bar(kind, step, self._s(step, start_ns), self._s(step, end_ns))

    def _s(self, step: int, t_ns: int | None) -> float:
        zero_ns = self._rows.steps[step].started_ns if self._since == "step" else 0
        return ((self._rows.run.last_ns if t_ns is None else t_ns) - zero_ns) / 1e9


def _tool_kind(call: ToolCallRow) -> Kind:
    return "tool failed" if call.status == "error" else "tool"


def _lanes(bars: Sequence[Bar]) -> list[int]:
    """A lane for each bar, so that no two in one lane overlap."""
    free_at_s: list[float] = []
    lanes = []
    for bar in bars:
        lane = next((n for n, free_s in enumerate(free_at_s) if free_s <= bar.start_s), len(free_at_s))
        free_at_s[lane : lane + 1] = [bar.end_s]
        lanes.append(lane)
    return lanes
