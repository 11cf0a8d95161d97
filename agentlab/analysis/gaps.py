"""The gaps between the chunks of replies: one row a gap, and their percentiles call by call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa

from agentlab.analysis.calls import ModelCalls
from agentlab.analysis.columns import documented
from agentlab.analysis.definitions import DEFINITIONS, Definition, DefinitionName, definition_named
from agentlab.analysis.engines import Engine
from agentlab.analysis.filters import Where
from agentlab.analysis.latency import NS_PER_S, ChunkLogs, Flags, Floats, Ints
from agentlab.analysis.reading import Frame, read_made
from agentlab.analysis.sources import Source
from agentlab.analysis.tables import Tables
from agentlab.errors import InputError


@dataclass(frozen=True)
class Gaps:
    """The gaps of many calls, one after the other. A gap of 0 is one: two events came with one read."""

    of_call: Ints
    """Which call each belongs to."""
    event: Ints
    """Which event ended it, counted over all calls."""
    length_ns: Ints
    n_calls: int

    @classmethod
    def of(cls, logs: ChunkLogs, counted: Flags) -> Gaps:
        """Between the events that count."""
        events = np.flatnonzero(counted)
        calls = logs.call_of_event[events]
        inside = calls[1:] == calls[:-1]
        lengths = np.diff(logs.offsets_ns[events])
        return cls(calls[1:][inside], events[1:][inside], lengths[inside], len(logs.n_events))

    @cached_property
    def count(self) -> Ints:
        """How many each call has."""
        return np.bincount(self.of_call, minlength=self.n_calls)

    @cached_property
    def _in_order(self) -> Ints:
        """The lengths, the shortest of each call first."""
        return self.length_ns[np.lexsort((self.length_ns, self.of_call))]

    def quantile_s(self, q: float) -> Floats:
        """The quantile of each call's gaps [s], between two of them on the line; NaN for a call without gaps."""
        some = self.count > 0
        place = (np.cumsum(self.count) - self.count)[some] + (self.count[some] - 1) * q
        below, above = np.floor(place).astype(int), np.ceil(place).astype(int)
        lengths = self._in_order
        found = np.full(self.n_calls, np.nan)
        found[some] = lengths[below] + (lengths[above] - lengths[below]) * (place - below)
        return found / NS_PER_S


@documented("gaps")
def gaps_df(
    source: Source,
    *,
    definition: DefinitionName = "agentlab",
    runs: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    limit: int | None = None,
    offset: int = 0,
    engine: Engine = "pandas",
) -> Any:
    """One row a gap between two chunks of a reply: what the stream felt like, which no mean shows.

    Args:
        source: A run, a trace, a lab, an experiment, a file or folder of these, or a list of them.
        definition: Which events count, of those that take gaps: `agentlab`, `vllm`, `aiperf` or `otel`.
        runs: Only runs with these ids.
        columns: Only these columns, in this order.
        where: Only rows that meet these conditions, as in `chunks_df`.
        limit: At most so many rows.
        offset: Rows to leave out first.
        engine: `pandas`, `pyarrow` (a table), or `polars`.

    Raises:
        InputError: The definition is unknown or takes no gaps, or another argument does not fit.
    """
    chosen = definition_named(definition)
    if not chosen.takes_gaps:
        some = ", ".join(name for name, each in DEFINITIONS.items() if each.takes_gaps)
        raise InputError(f"`{chosen.name}` takes no gaps between chunks; these do: {some}")
    made = Frame("gaps", partial(_columns, chosen), ("model_calls",), logs=True)
    return read_made(made, source, runs=runs, columns=columns, where=where, limit=limit, offset=offset, engine=engine)


def _columns(definition: Definition, tables: Tables, needed: frozenset[str]) -> dict[str, Any]:
    calls = ModelCalls.of(tables)
    logs = calls.logs
    gaps = Gaps.of(logs, definition.counted(logs))
    firsts = np.cumsum(logs.n_events) - logs.n_events
    keys = calls.table.select(["run_id", "step", "call", "purpose"]).take(pa.array(gaps.of_call))
    return {
        **{name: keys[name] for name in keys.column_names},
        "definition": pa.repeat(definition.name, len(gaps.of_call)),
        "event": gaps.event - firsts[gaps.of_call],
        "offset_s": lambda: logs.offsets_ns[gaps.event] / NS_PER_S,
        "icl_s": lambda: gaps.length_ns / NS_PER_S,
    }
