"""A trace: the events of one run, in order, folded into steps, calls and messages as they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

import orjson

from agentlab.errors import NewerSchemaError, StoreError
from agentlab.messages.message import Message
from agentlab.trace.events import (
    EVENT,
    EVENT_TYPES,
    SCHEMA_VERSION,
    ContinuationDecided,
    ErrorRaised,
    Event,
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
from agentlab.trace.html import trace_html
from agentlab.trace.instants import Instants
from agentlab.trace.text import trace_text
from agentlab.trace.usage import NO_USAGE, Usage, sum_usage

RunStatus: TypeAlias = Literal["running", "finished", "interrupted"]


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
    started: ToolStarted | None = None
    returned: ToolReturned | None = None

    @property
    def status(self) -> Literal["running", "success", "error"]:
        """How it ended."""
        return "running" if self.returned is None else self.returned.status

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


class Trace:
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
        """Whether it ended, still runs here, or was cut off (the process died)."""
        if self._finished is not None:
            return "finished"
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
    def usage(self) -> Usage:
        """Tokens of the whole run; a count that one call lacks is missing here too."""
        return sum_usage(call.usage for call in self.model_calls)

    @property
    def errors(self) -> list[ErrorRaised]:
        """What failed outside of tools."""
        return [e for e in self.events if isinstance(e, ErrorRaised)]

    @property
    def duration_s(self) -> float | None:
        """From the first event to the last [s]."""
        return None if not self.events else (self.events[-1].t_ns - self.events[0].t_ns) / 1e9

    def to_jsonl(self, path: str | Path) -> Path:
        """Write one event a line; the path that was written."""
        target = Path(path)
        with target.open("wb") as file:
            file.writelines(EVENT.dump_json(event, exclude_none=True) + b"\n" for event in self.events)
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
        return cls(event for event in _read_lines(str(source), lines) if event is not None)

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __repr__(self) -> str:
        return trace_text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return trace_html(self)

    def _on_run_started(self, event: RunStarted) -> None:
        self._started = event

    def _on_step_started(self, event: StepStarted) -> None:
        self.steps.append(Step(event.step, event.step_id, event.t_ns))

    def _on_model_called(self, event: ModelCalled) -> None:
        self._step(event).model_calls.append(ModelCall(event))

    def _on_model_replied(self, event: ModelReplied) -> None:
        self._step(event).model_calls[-1].replied = event

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
        if event.step and self.steps:
            self.steps[-1].errors.append(event)

    def _on_run_finished(self, event: RunFinished) -> None:
        self._finished = event

    def _step(self, event: Event) -> Step:
        if not self.steps or self.steps[-1].number != event.step:
            raise StoreError(f"`{event.type}` (seq {event.seq}) belongs to step {event.step}, which has not started")
        return self.steps[-1]

    def _tool_call(self, event: ToolStarted | ToolReturned) -> ToolCallRecord:
        record = self.tool_calls.get(event.call_id)
        if record is None:
            record = self.tool_calls[event.call_id] = ToolCallRecord(event.call_id, event.tool, event.step)
            self._step(event).tool_calls.append(record)
        return record


_FOLDS = {name: getattr(Trace, f"_on_{name}") for name in EVENT_TYPES if hasattr(Trace, f"_on_{name}")}


def read_event(data: bytes | str, *, where: str) -> Event | None:
    """One event from its JSON; None for a type that this version does not know.

    Raises:
        NewerSchemaError: It starts a run that a later agentlab wrote.
        StoreError: It is no event.
    """
    try:
        raw = orjson.loads(data)
        kind = raw["type"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise StoreError(f"{where} is no event of a trace: {data[:80]!r}") from exc
    if kind == "run_started" and raw.get("schema_version", 1) > SCHEMA_VERSION:
        raise NewerSchemaError(where, raw["schema_version"], SCHEMA_VERSION)
    if kind not in EVENT_TYPES:
        return None
    try:
        return EVENT.validate_python(raw)
    except ValueError as exc:
        raise StoreError(f"{where} is a broken `{kind}` event: {exc}") from exc


def _read_lines(source: str, lines: list[bytes]) -> Iterator[Event | None]:
    for number, line in enumerate(lines, start=1):
        try:
            yield read_event(line, where=f"{source}, line {number}")
        except NewerSchemaError:
            raise
        except StoreError:
            if number == len(lines) and not line.endswith(b"\n"):
                return
            raise
