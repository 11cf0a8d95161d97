"""What frames can be made of: a run, a trace, a lab, or a list of them; all of them end as the same tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol, TypeAlias, runtime_checkable

import pyarrow as pa

from agentlab.errors import InputError
from agentlab.lab import pack
from agentlab.lab.encode import split_log
from agentlab.lab.lab import Lab
from agentlab.lab.project import Projection
from agentlab.trace.events import ModelReplied
from agentlab.trace.trace import Trace

PackedLog: TypeAlias = tuple[bytes, bytes, bytes]
"""Offsets, kinds and sizes."""


@runtime_checkable
class HasTrace(Protocol):
    """A run."""

    @property
    def trace(self) -> Trace:
        """All that happened."""
        ...


Source: TypeAlias = "Trace | HasTrace | Lab | Iterable[Trace | HasTrace | Lab]"


class Tables(Protocol):
    """Tables of `pack.SCHEMAS` over some runs, each with a first column `run_id`."""

    def table(self, name: str) -> pa.Table:
        """A table; rows of one run stand together, in the order of the runs."""
        ...

    def logs(self) -> dict[tuple[str, int], PackedLog]:
        """The chunk logs, by run and number of the reply's event."""
        ...

    def statuses(self) -> dict[str, str]:
        """`running`, `finished` or `interrupted`, by run."""
        ...


def tables_of(source: Source, runs: Sequence[str] | None = None) -> Tables:
    """The tables of a source; a run that is in it twice counts once.

    Args:
        source: A run, a trace, a lab or an iterable of them.
        runs: Only runs with these ids.

    Raises:
        InputError: The source is something else.
    """
    found = list(_flat(source))
    if len(found) == 1:
        return _part(found[0], set(), runs)
    parts: list[Tables] = []
    seen: set[str] = set()
    for each in found:
        parts.append(_part(each, seen, runs))
        seen.update(parts[-1].statuses())
    return _Several(parts)


def trace_of(source: Source) -> Trace:
    """The one trace of a source.

    Raises:
        InputError: It has none or several, or is something else.
    """
    found = list(_flat(source))
    if len(found) == 1 and isinstance(found[0], Trace):
        return found[0]
    raise InputError(f"one run or trace is needed here, not {source!r:.80}; of a lab, `lab.trace(run_id)` gives one")


def _flat(source: Any) -> Iterator[Trace | Lab]:
    if isinstance(source, Trace | Lab):
        yield source
    elif isinstance(source, HasTrace):
        yield source.trace
    elif isinstance(source, Iterable) and not isinstance(source, str | bytes | dict):
        for each in source:
            yield from _flat(each)
    else:
        raise InputError(f"frames are made from a run, a trace, a lab or a list of them, not from {source!r:.80}")


def _part(source: Trace | Lab, seen: set[str], runs: Sequence[str] | None) -> Tables:
    if isinstance(source, Lab):
        wanted = runs
        if seen:
            known = [info.run_id for info in reversed(source.runs())] if runs is None else runs
            wanted = [run_id for run_id in known if run_id not in seen]
        return _LabTables(source, wanted)
    return _TraceTables(source, wanted=len(source) > 0 and _is_new(source, seen, runs))


def _is_new(trace: Trace, seen: set[str], runs: Sequence[str] | None) -> bool:
    run_id = trace.events[0].run_id
    return run_id not in seen and (runs is None or run_id in runs)


class _TraceTables:
    """One trace, as far as it has come."""

    def __init__(self, trace: Trace, *, wanted: bool) -> None:
        self._events = list(trace.events) if wanted else []
        self._status = trace.status

    @cached_property
    def _run_ids(self) -> list[str]:
        return [self._events[0].run_id] if self._events else []

    @cached_property
    def _batches(self) -> dict[str, pa.RecordBatch]:
        return pack.to_batches(Projection.of(self._events))

    def table(self, name: str) -> pa.Table:
        return pack.to_table(name, [self._batches[name]] if self._events else [], self._run_ids)

    def logs(self) -> dict[tuple[str, int], PackedLog]:
        return {
            (event.run_id, event.seq): (event.chunks.offsets, event.chunks.kinds, event.chunks.sizes)
            for event in self._events
            if isinstance(event, ModelReplied)
        }

    def statuses(self) -> dict[str, str]:
        return dict.fromkeys(self._run_ids, self._status)


class _LabTables:
    """The runs of a lab, read by columns."""

    def __init__(self, lab: Lab, run_ids: Sequence[str] | None) -> None:
        self._lab, self._run_ids = lab, run_ids

    def table(self, name: str) -> pa.Table:
        return self._lab.columns(name, self._run_ids)

    def logs(self) -> dict[tuple[str, int], PackedLog]:
        return {(run_id, seq): split_log(data) for run_id, seq, data in self._lab.chunk_logs(self._run_ids)}

    def statuses(self) -> dict[str, str]:
        wanted = None if self._run_ids is None else set(self._run_ids)
        return {info.run_id: info.status for info in self._lab.runs() if wanted is None or info.run_id in wanted}


class _Several:
    """Several sources, one below the other."""

    def __init__(self, parts: Sequence[Tables]) -> None:
        self._parts = parts

    def table(self, name: str) -> pa.Table:
        empty = pack.to_table(name, [], [])
        return pa.concat_tables([empty, *(part.table(name) for part in self._parts)]).combine_chunks()

    def logs(self) -> dict[tuple[str, int], PackedLog]:
        return {key: log for part in self._parts for key, log in part.logs().items()}

    def statuses(self) -> dict[str, str]:
        return {run_id: status for part in self._parts for run_id, status in part.statuses().items()}
