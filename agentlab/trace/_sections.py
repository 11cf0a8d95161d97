"""The sections of a trace: what came before its first step, then its steps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from itertools import groupby
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


class Sections:
    """The sections of a trace as it is now, each made when it is asked for.

    First comes what there was before the first step, the inherited history apart; then one section for each step.
    """

    def __init__(self, trace: Trace) -> None:
        self._steps, self._entries = trace.steps, trace.entries
        self._early = list(_before_the_first(trace))
        self._places = range(-len(self._early), len(trace.steps))
        """Those of steps are their places in `_steps`, those of what came before count backwards in `_early`."""

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> Section:
        place = self._places[number]
        begin = self._first_entry(place)
        return self._section(place, begin, self._end_of(place, begin))

    def __iter__(self) -> Iterator[Section]:
        begin = self._first_entry(self._places.start)
        for place in self._places:
            end = self._end_of(place, begin)
            yield self._section(place, begin, end)
            begin = end

    def part(self, first: int, end: int | None = None) -> Sections:
        """Those from one number up to, and without, another; from the end where they are negative."""
        part = copy(self)
        part._places = self._places[first:end]
        return part

    def up_to_now(self) -> Sections:
        """These, and those of the steps that have begun since."""
        grown = copy(self)
        grown._places = range(self._places.start, len(self._steps))
        return grown

    @property
    def n_messages(self) -> int:
        """Messages in them."""
        if not self._places:
            return 0
        early = sum(len(self._early[place].entries) for place in self._places if place < 0)
        return early + self._first_entry(self._places.stop) - self._first_entry(self._places.start)

    @property
    def n_steps(self) -> int:
        """Steps among them."""
        return len(range(max(0, self._places.start), self._places.stop))

    def _first_entry(self, place: int) -> int:
        """The first entry after those of the step before; of the first step for all that came before it."""
        before = self._steps[place - 1].number if place > 0 else 0
        return bisect_right(self._entries, before, key=lambda entry: entry.step)

    def _end_of(self, place: int, begin: int) -> int:
        if place < 0:
            return begin
        entries, end, step = self._entries, begin, self._steps[place].number
        while end < len(entries) and entries[end].step <= step:  # they stand in the order of their steps
            end += 1
        return end

    def _section(self, place: int, begin: int, end: int) -> Section:
        if place < 0:
            return self._early[place]
        step = self._steps[place]
        return Section("step", self._entries[begin:end], step.errors, step)


def started(trace: Trace) -> RunStarted | None:
    """The first event; None where a trace is empty or has lost its beginning."""
    try:
        return trace.started
    except StoreError:
        return None


def _before_the_first(trace: Trace) -> Iterator[Section]:
    n_early = bisect_right(trace.entries, 0, key=lambda entry: entry.step)
    for inherited, group in groupby(trace.entries[:n_early], lambda entry: entry.source == "history"):
        yield Section("history" if inherited else "input", list(group), [])
    early = [error for error in trace.errors if not error.step]
    if early:
        yield Section("input", [], early)


def step_failed(step: Step) -> bool:
    """True when a tool or the step itself failed."""
    return bool(step.errors) or any(call.status == "error" for call in step.tool_calls)
