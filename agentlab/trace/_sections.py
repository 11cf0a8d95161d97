"""The sections of a trace: what came before its first step, then its steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import TYPE_CHECKING, Literal

from agentlab.errors import StoreError
from agentlab.trace.events import ErrorRaised, RunStarted

if TYPE_CHECKING:
    from agentlab.trace.steps import Entry, Step
    from agentlab.trace.trace import Trace


@dataclass(frozen=True, slots=True)
class Section:
    """One step, or a part of what came before the first."""

    kind: Literal["input", "history", "step"]
    entries: list[Entry]
    errors: list[ErrorRaised]
    step: Step | None = None


def started(trace: Trace) -> RunStarted | None:
    """The first event; None where a trace is empty or has lost its beginning."""
    try:
        return trace.started
    except StoreError:
        return None


def sections(trace: Trace) -> list[Section]:
    """What came before the first step, the inherited history apart; then one section for each step."""
    return sections_from(trace, 0)


def sections_from(trace: Trace, first_step: int) -> list[Section]:
    """The sections from a step on; of step 0, all of them."""
    by_step: defaultdict[int, list[Entry]] = defaultdict(list)
    for entry in reversed(trace.entries):
        if entry.step < first_step:
            break  # they stand in the order of their steps
        by_step[entry.step].append(entry)
    steps = takewhile(lambda step: step.number >= first_step, reversed(trace.steps))
    later = [Section("step", by_step[step.number][::-1], step.errors, step) for step in steps][::-1]
    return later if first_step else [*_before_the_first(by_step[0][::-1], trace), *later]


def _before_the_first(entries: list[Entry], trace: Trace) -> Iterator[Section]:
    for inherited, group in groupby(entries, lambda entry: entry.source == "history"):
        yield Section("history" if inherited else "input", list(group), [])
    early = [error for error in trace.errors if not error.step]
    if early:
        yield Section("input", [], early)


def step_failed(step: Step) -> bool:
    """True when a tool or the step itself failed."""
    return bool(step.errors) or any(call.status == "error" for call in step.tool_calls)
