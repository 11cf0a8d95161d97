"""The tables that frames are computed from, of traces in memory or of runs in a lab: a group of runs at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache, cached_property, partial
from typing import Protocol, TypeAlias, TypeVar

import pyarrow as pa

from agentlab.errors import StoreError
from agentlab.lab import pack
from agentlab.lab.encode import encode, split_log
from agentlab.lab.lab import Lab
from agentlab.lab.project import Projection
from agentlab.lab.reader import Moment
from agentlab.trace.clean import writable
from agentlab.trace.events import Event, ModelReplied
from agentlab.trace.redact import Redactor
from agentlab.trace.trace import Trace

_T = TypeVar("_T")

_DAMAGES = (pa.ArrowException, ValueError, KeyError, TypeError, AttributeError, IndexError)
"""What reading bytes raises that nobody wrote so."""

PackedLog: TypeAlias = tuple[bytes, bytes, bytes]
"""Offsets, kinds and sizes."""


def run_id_of(trace: Trace) -> str:
    """The run of a trace that has events, also where its beginning was cut off."""
    return writable(trace.events[0].run_id)


class Tables(Protocol):
    """Tables of `pack.SCHEMAS` over some runs, each with a first column `run_id`."""

    def table(self, name: str, texts: Collection[str] | None = None) -> pa.Table:
        """A table; rows of one run stand together, in the order of the runs. Of its long texts all, or these."""
        ...

    def logs(self) -> dict[tuple[str, int], PackedLog]:
        """The chunk logs, by run and number of the reply's event."""
        ...

    def statuses(self) -> dict[str, str]:
        """`running`, `paused`, `finished` or `interrupted`, by run."""
        ...

    def event_texts(self) -> Iterator[tuple[str, str]]:
        """The events as JSON arrays, in order, each with its run; a run may have several."""
        ...

    def in_groups(self, parts: Sequence[str]) -> Iterator[Tables]:
        """The same, so many runs at a time as fit into the memory when these packs are read (`pack.part_names`)."""
        ...


class TraceTables:
    """Traces, as far as they have come, without keys and tokens: as a lab would have kept them."""

    def __init__(self, traces: Sequence[Trace]) -> None:
        self._kept = [_Kept(trace) for trace in traces if len(trace)]

    def table(self, name: str, texts: Collection[str] | None = None) -> pa.Table:
        names = pack.schema_of(name, texts).names
        batches = [kept.batches[name].select(names) for kept in self._kept]
        return pack.to_table(name, batches, [kept.run_id for kept in self._kept], texts)

    def logs(self) -> dict[tuple[str, int], PackedLog]:
        return {
            (kept.run_id, event.seq): (event.chunks.offsets, event.chunks.kinds, event.chunks.sizes)
            for kept in self._kept
            for event in kept.events
            if isinstance(event, ModelReplied)
        }

    def statuses(self) -> dict[str, str]:
        return {kept.run_id: kept.status for kept in self._kept}

    def event_texts(self) -> Iterator[tuple[str, str]]:
        return ((kept.run_id, kept.text) for kept in self._kept)

    def in_groups(self, parts: Sequence[str]) -> Iterator[Tables]:
        yield self


class _Kept:
    """A trace as it is now, made fit to be looked at."""

    def __init__(self, trace: Trace) -> None:
        self._events, self.status = list(trace.events), trace.status
        self.run_id = run_id_of(trace)

    @cached_property
    def _encoded(self) -> tuple[list[Event], str]:
        return encode(self._events, _redactor())

    @property
    def events(self) -> list[Event]:
        return self._encoded[0]

    @property
    def text(self) -> str:
        return self._encoded[1]

    @cached_property
    def batches(self) -> dict[str, pa.RecordBatch]:
        return pack.to_batches(Projection.of(self.events))


class LabTables:
    """Runs of a lab, read by columns."""

    def __init__(self, lab: Lab, run_ids: Sequence[str]) -> None:
        self._lab, self._run_ids = lab, run_ids
        self._read: dict[tuple[str, frozenset[str] | None], pa.Table] = {}
        self._moment: Moment = {}
        """So that calls, messages and steps of a run that goes on fit together."""

    def table(self, name: str, texts: Collection[str] | None = None) -> pa.Table:
        key = name, None if texts is None else frozenset(texts)
        if key not in self._read:
            self._read[key] = self._told(partial(self._lab.columns, name, texts=texts, moment=self._moment))
        return self._read[key]

    def logs(self) -> dict[tuple[str, int], PackedLog]:
        return self._told(lambda ids: {(run_id, seq): _log(data) for run_id, seq, data in self._lab.chunk_logs(ids)})

    def statuses(self) -> dict[str, str]:
        return dict(self._lab.statuses(self._run_ids))

    def event_texts(self) -> Iterator[tuple[str, str]]:
        return self._lab.event_texts(self._run_ids)

    def in_groups(self, parts: Sequence[str]) -> Iterator[Tables]:
        return (LabTables(self._lab, run_ids) for run_ids in self._lab.groups(self._run_ids, parts))

    def _told(self, read: Callable[[Sequence[str]], _T]) -> _T:
        """What is read of the runs.

        Raises:
            StoreError: One of them is damaged; named with the lab.
        """
        try:
            return read(self._run_ids)
        except _DAMAGES as exc:
            run_id = next((each for each in self._run_ids if _fails(read, each)), "a run")
            raise StoreError(f"{run_id} is damaged in {self._lab!r}: {exc!r:.200}") from exc


def _log(data: bytes) -> PackedLog:
    offsets, kinds, sizes = split_log(data)
    if not len(offsets) == 8 * len(kinds) == 2 * len(sizes):
        raise ValueError(f"a chunk log has {len(data)} bytes")
    return offsets, kinds, sizes


def _fails(read: Callable[[Sequence[str]], object], run_id: str) -> bool:
    try:
        read([run_id])
    except _DAMAGES:
        return True
    return False


class SeveralTables:
    """Several groups, one below the other."""

    def __init__(self, parts: Sequence[Tables]) -> None:
        self._parts = parts

    def table(self, name: str, texts: Collection[str] | None = None) -> pa.Table:
        empty = pack.to_table(name, [], [], texts)
        return pa.concat_tables([empty, *(part.table(name, texts) for part in self._parts)]).combine_chunks()

    def logs(self) -> dict[tuple[str, int], PackedLog]:
        return {key: log for part in self._parts for key, log in part.logs().items()}

    def statuses(self) -> dict[str, str]:
        return {run_id: status for part in self._parts for run_id, status in part.statuses().items()}

    def event_texts(self) -> Iterator[tuple[str, str]]:
        return (each for part in self._parts for each in part.event_texts())

    def in_groups(self, parts: Sequence[str]) -> Iterator[Tables]:
        return (group for part in self._parts for group in part.in_groups(parts))


@cache
def _redactor() -> Redactor:
    """Made at first use: its regular expressions take a moment."""
    return Redactor()
