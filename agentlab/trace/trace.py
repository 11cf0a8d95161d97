"""A trace: the events of one run, in order, folded into steps, calls and messages as they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias

from agentlab.errors import StoreError
from agentlab.messages.message import Message
from agentlab.trace.clean import as_lines, in_place_of
from agentlab.trace.events import (
    EVENT_TYPES,
    ApprovalDecided,
    ApprovalRequested,
    ContextCompacted,
    ContinuationDecided,
    ErrorRaised,
    Event,
    MessageAdded,
    ModelCalled,
    ModelReplied,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    StepFinished,
    StepStarted,
    StopReason,
    ToolReturned,
    ToolStarted,
)
from agentlab.trace.html import trace_html
from agentlab.trace.reading import read_lines
from agentlab.trace.redact import Redactor
from agentlab.trace.steps import Entry, ModelCall, Step, ToolCallRecord
from agentlab.trace.text import trace_line, trace_text
from agentlab.trace.usage import Usage, sum_usage
from agentlab.trace.views import FrameViews

RunStatus: TypeAlias = Literal["running", "paused", "finished", "interrupted"]


class Trace(FrameViews):
    """The events of one run and what they add up to.

    It is a `Journal`, so a run can be written into one. Reading never changes it.
    """

    def __init__(self, events: Iterable[Event] = (), *, live: bool = False) -> None:
        self.events: list[Event] = []
        self.live = live
        """True while some task of this process still writes to it."""
        self.steps: list[Step] = []
        self.entries: list[Entry] = []
        self.tool_calls: dict[str, ToolCallRecord] = {}
        self._context: dict[str, Message] = {}
        self._errors: list[ErrorRaised] = []
        self._paused = False
        self._open_calls: dict[int, ModelCall] = {}
        self._started: RunStarted | None = None
        self._finished: RunFinished | None = None
        for event in events:
            self.append(event)

    def append(self, event: Event) -> None:
        """Take the next event."""
        self.events.append(event)
        fold = _FOLDS.get(event.type)
        if fold is not None:
            fold(self, event)

    def flush(self) -> None:
        """Nothing to do: a trace in memory has no disk to wait for."""

    def close(self) -> None:
        """The writer is done."""
        self.live = False

    @property
    def started(self) -> RunStarted:
        """The first event: settings, tools, start time."""
        if self._started is None:
            raise StoreError("this trace has no `run_started` event: it is empty, or its beginning was cut off")
        return self._started

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.started.run_id

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the run ended; None while it has not."""
        return None if self._finished is None else self._finished.stop_reason

    @property
    def status(self) -> RunStatus:
        """Whether it ended, waits for decisions, still runs here, or was cut off (the process died)."""
        if self._finished is not None:
            return "finished"
        if self._paused:
            return "paused"
        return "running" if self.live else "interrupted"

    @property
    def messages(self) -> list[Message]:
        """The conversation as the model would read it now."""
        return list(self._context.values())

    @property
    def n_messages(self) -> int:
        """How many messages the model would read now."""
        return len(self._context)

    @property
    def model_calls(self) -> list[ModelCall]:
        """All model calls, in order."""
        return [call for step in self.steps for call in step.model_calls]

    @property
    def side_calls(self) -> list[ModelCall]:
        """All model calls that judged a tool call or summed up the conversation."""
        return [call for step in self.steps for call in step.side_calls]

    @property
    def usage(self) -> Usage:
        """Tokens of all steps; a count that one call lacks is missing here too. Side calls are booked apart."""
        return sum_usage(call.usage for call in self.model_calls)

    @property
    def side_usage(self) -> Usage:
        """Tokens of the calls in which a model judged a tool call or summed up the conversation."""
        return sum_usage(call.usage for call in self.side_calls)

    @property
    def waiting(self) -> list[ToolCallRecord]:
        """Tool calls that wait for a decision."""
        return [record for record in self.tool_calls.values() if record.status == "waiting"]

    @property
    def errors(self) -> list[ErrorRaised]:
        """What failed outside of tools."""
        return self._errors[:]

    @property
    def duration_s(self) -> float | None:
        """From the first event to the last [s]. Of a resumed run, the time between its processes does not count."""
        return None if not self.events else (self.events[-1].t_ns - self.events[0].t_ns) / 1e9

    def human_intervals(self) -> list[tuple[int, int]]:
        """When somebody was waited for, monotonic [ns]: from each question to the person's answer."""
        return [
            (record.requested.t_ns, decision.t_ns)
            for record in self.tool_calls.values()
            for decision in record.decisions
            if record.requested is not None and decision.approver_kind == "person"
        ]

    def to_jsonl(self, path: str | Path, *, redactor: Redactor | None = None) -> Path:
        """Write one event a line, without keys and tokens; the path that was written.

        The file appears when it is whole: what was there before stays until then.

        Args:
            path: The file.
            redactor: Takes keys and tokens out. `Redactor(extra=[...])` knows yours too.

        Raises:
            StoreError: It cannot be written.
        """
        target = Path(path).expanduser()
        with in_place_of(target) as new, new.open("wb") as file:
            file.writelines(as_lines(self.events, redactor or Redactor()))
        return target

    @classmethod
    def from_jsonl(cls, path: str | Path) -> Trace:
        """Read what `to_jsonl` wrote. A half-written last line (a crash) is left out.

        Raises:
            NewerSchemaError: A later agentlab wrote it.
            StoreError: A line is no event.
        """
        source = Path(path)
        lines = source.read_bytes().splitlines(keepends=True)
        return cls(read_lines(str(source), lines))

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __repr__(self) -> str:
        return f"<{trace_line(self)}>"

    def __str__(self) -> str:
        return trace_text(self)

    def _repr_mimebundle_(self, **kinds: object) -> dict[str, str]:
        """What a notebook keeps: the whole trace as text too, of which `repr` is one line."""
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return trace_html(self)

    def _on_run_started(self, event: RunStarted) -> None:
        self._started = event

    def _on_step_started(self, event: StepStarted) -> None:
        self.steps.append(Step(event.step, event.step_id, event.t_ns))

    def _on_model_called(self, event: ModelCalled) -> None:
        call, step = ModelCall(event), self._step(event)
        self._open_calls[event.seq] = call
        (step.model_calls if event.purpose == "step" else step.side_calls).append(call)

    def _on_model_replied(self, event: ModelReplied) -> None:
        seq = max(self._open_calls, default=-1) if event.called_seq is None else event.called_seq
        call = self._open_calls.pop(seq, None)
        if call is None:
            raise StoreError(f"`model_replied` (seq {event.seq}) answers no `model_called`")
        call.replied = event

    def _on_approval_requested(self, event: ApprovalRequested) -> None:
        record = self._tool_call(event)
        record.requested, record.wait_is_lost = event, False

    def _on_approval_decided(self, event: ApprovalDecided) -> None:
        self._tool_call(event).decisions.append(event)

    def _on_tool_started(self, event: ToolStarted) -> None:
        self._tool_call(event).started = event

    def _on_tool_returned(self, event: ToolReturned) -> None:
        self._tool_call(event).returned = event

    def _on_message_added(self, event: MessageAdded) -> None:
        message = event.message
        self.entries.append(Entry(message, event.source, event.step, event.seq, event.t_ns))
        if event.replaces in self._context:
            self._context = {
                (message.id if key == event.replaces else key): (message if key == event.replaces else value)
                for key, value in self._context.items()
            }
        else:
            self._context[message.id] = message
        if event.step and self.steps:
            self.steps[-1].messages.append(message)

    def _on_continuation_decided(self, event: ContinuationDecided) -> None:
        self._step(event).decision = event

    def _on_step_finished(self, event: StepFinished) -> None:
        self._step(event).finished_ns = event.t_ns

    def _on_error_raised(self, event: ErrorRaised) -> None:
        self._errors.append(event)
        if event.step and self.steps:
            self.steps[-1].errors.append(event)

    def _on_context_compacted(self, event: ContextCompacted) -> None:
        kept = [m for m in self._context.values() if m.id not in event.removed]
        if event.summary is not None:
            place = next((n for n, m in enumerate(kept) if m.role != "system"), len(kept))
            kept.insert(place, event.summary)
        self._context = {m.id: m for m in kept}

    def _on_run_paused(self, event: RunPaused) -> None:
        self._paused = True

    def _on_run_resumed(self, event: RunResumed) -> None:
        self._paused = False
        for record in self.waiting:
            record.wait_is_lost = True

    def _on_run_finished(self, event: RunFinished) -> None:
        self._finished = event

    def _step(self, event: Event) -> Step:
        if not self.steps or self.steps[-1].number != event.step:
            raise StoreError(f"`{event.type}` (seq {event.seq}) belongs to step {event.step}, which has not started")
        return self.steps[-1]

    def _tool_call(self, event: ApprovalRequested | ApprovalDecided | ToolStarted | ToolReturned) -> ToolCallRecord:
        record = self.tool_calls.get(event.call_id)
        if record is None:
            record = self.tool_calls[event.call_id] = ToolCallRecord(event.call_id, event.tool, event.step)
            self._step(event).tool_calls.append(record)
        return record


_FOLDS = {name: getattr(Trace, f"_on_{name}") for name in EVENT_TYPES if hasattr(Trace, f"_on_{name}")}
