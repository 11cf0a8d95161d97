"""What frames can be made of, and the runs that are picked from it.

A run, a trace, a lab, an experiment, a file or folder of any of these, or a list of them: all end as stores, in order.
A run that is in two of them counts once: the copy with the most events, which was written last. Two runs under one id
are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from io import IOBase
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from agentlab.analysis.copies import copies_in, longer_of, need_copies
from agentlab.analysis.files import open_path
from agentlab.analysis.parquet import Export
from agentlab.analysis.tables import LabTables, SeveralTables, TraceTables, run_id_of
from agentlab.analysis.tables import Tables as Tables
from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from agentlab.trace.events import EventBase
from agentlab.trace.trace import Trace

_EVENTS_AT_ONCE = 100_000
"""Traces in memory are gathered up to so many events, so that a thousand small ones do not take a thousand turns."""

_NAMED_IDS = 5

_OF_TABLES = ("__array__", "__dataframe__", "__arrow_c_stream__")
"""What only tables and arrays have."""


@runtime_checkable
class HasTrace(Protocol):
    """A run."""

    @property
    def trace(self) -> Trace:
        """All that happened."""
        ...


Source: TypeAlias = "Trace | HasTrace | Lab | str | Path | Iterable[Trace | HasTrace | Lab | str | Path]"
"""Also anything whose `runs` are an iterable of these, as those of an experiment."""

Family: TypeAlias = tuple[str, str | None]
"""A run and the run whose conversation it took up."""


@dataclass(frozen=True)
class Picked:
    """Runs of one store: traces in memory, a lab, or an export."""

    store: Sequence[Trace] | Lab | Export
    families: list[Family]

    @property
    def run_ids(self) -> list[str]:
        """The runs, in order."""
        return [run_id for run_id, _ in self.families]

    def only(self, run_ids: Iterable[str]) -> Picked:
        """Of these runs only those."""
        wanted = set(run_ids)
        store = self.store
        kept = [each for each in store if run_id_of(each) in wanted] if isinstance(store, list) else store
        return Picked(kept, [family for family in self.families if family[0] in wanted])

    def groups(self, parts: Sequence[str], *, logs: bool) -> Iterator[Tables]:
        """The tables of so many runs at a time as fit into the memory.

        Args:
            parts: The packs that will be read (`pack.part_names`).
            logs: Whether the chunk logs will be.

        Raises:
            InputError: It is an export, which has finished frames and no tables, and runs are picked from it.
        """
        if not self.families:
            return
        match self.store:
            case Lab() as lab:
                yield from (LabTables(lab, ids) for ids in lab.groups(self.run_ids, parts, logs=logs))
            case Export() as export:
                raise InputError(
                    f"{export} has frames and no events; this needs the lab or the traces themselves of "
                    f"{_some(self.run_ids)}, which stand nowhere else"
                )
            case traces:
                yield from map(TraceTables, _gathered(traces))


@contextmanager
def picked(source: Source, runs: Iterable[str] | None = None, *, with_events: bool = False) -> Iterator[list[Picked]]:
    """The runs of a source, store by store; labs that were opened for it are closed in the end.

    Args:
        source: What `Source` says.
        runs: Only runs with these ids.
        with_events: Whether frames do not do: an export then counts only for runs that stand nowhere else.

    Raises:
        InputError: The source is something else, or has no run of one of these ids.
        StoreError: A file of it cannot be read.
    """
    with ExitStack() as opened:
        yield _picked(source, runs, opened, with_events=with_events)


def tables_of(source: Source, runs: Iterable[str] | None = None) -> Tables:
    """The tables of a source, all at once; a run that is in it twice counts once.

    Args:
        source: A run, a trace, a lab, an experiment, a file or folder of these, or an iterable of them.
        runs: Only runs with these ids.

    Raises:
        InputError: The source is something else, or an export, which has no tables, or has no run of one of these ids.
        StoreError: A file of it cannot be read.
    """
    parts: list[Tables] = []
    for each in _picked(source, runs, ExitStack(), with_events=True):
        if isinstance(each.store, Lab) and each.families:
            parts.append(LabTables(each.store, each.run_ids))
        else:
            parts += each.groups((), logs=True)
    return parts[0] if len(parts) == 1 else SeveralTables(parts)


def trace_of(source: Source) -> Trace:
    """The one trace of a source.

    Raises:
        InputError: It has none or several, or is something else.
    """
    found = list(_flat(source, ExitStack()))
    if len(found) == 1 and isinstance(found[0], Trace):
        return found[0]
    raise InputError(f"one run or trace is needed here, not {source!r:.80}; of a lab, `lab.trace(run_id)` gives one")


def _picked(source: Source, runs: Iterable[str] | None, opened: ExitStack, *, with_events: bool) -> list[Picked]:
    wanted = _ids(runs)
    found = [Picked(store, families) for store, families in _stores(_flat(source, opened))]
    if wanted is not None:
        _need_runs(wanted, found)
        found = [each.only(wanted) for each in found]
    holders: dict[str, list[int]] = {}
    for number, each in enumerate(found):
        for run_id in dict.fromkeys(each.run_ids):
            holders.setdefault(run_id, []).append(number)
    several = {run_id: numbers for run_id, numbers in holders.items() if len(numbers) > 1}
    if not several:
        return found
    copies = [copies_in(each.store, [run_id for run_id in each.run_ids if run_id in several]) for each in found]
    for run_id, numbers in several.items():
        need_copies(run_id, [copies[number][run_id] for number in numbers])

    def rank(number: int, run_id: str) -> tuple[bool, int, bool]:
        has_events = not isinstance(found[number].store, Export)
        return has_events or not with_events, copies[number][run_id].n_events, has_events

    best = {run_id: max(numbers, key=partial(rank, run_id=run_id)) for run_id, numbers in several.items()}
    return [
        each.only(run_id for run_id in each.run_ids if best.get(run_id, number) == number)
        for number, each in enumerate(found)
    ]


def _ids(runs: Iterable[str] | None) -> list[str] | None:
    """The ids that were asked for, also by runs or their entries in `lab.runs()`: an iterator gives them only once."""
    if runs is None:
        return None
    given = list(runs) if isinstance(runs, Iterable) and not isinstance(runs, str | bytes) else [None]
    ids = [getattr(run, "run_id", getattr(run, "id", run)) for run in given]
    if not all(isinstance(run_id, str) for run_id in ids):
        raise InputError(f"`runs` takes a list of run ids, not {runs!r:.80}")
    return list(map(str, ids))


def _need_runs(wanted: Iterable[str], found: Sequence[Picked]) -> None:
    there = list(dict.fromkeys(run_id for each in found for run_id in each.run_ids))
    known = set(there)
    missing = list(dict.fromkeys(run_id for run_id in wanted if run_id not in known))
    if missing:
        told = f"it has {_some(there)}" if there else "it has none at all"
        raise InputError(f"the source has no run {_some(missing)}; {told}")


def _some(ids: Sequence[str]) -> str:
    return ", ".join(f"{run_id:.40}" for run_id in ids[:_NAMED_IDS]) + (", …" if len(ids) > _NAMED_IDS else "")


def _stores(found: Iterable[Trace | Lab | Export]) -> Iterator[tuple[list[Trace] | Lab | Export, list[Family]]]:
    """What was found with its runs; traces in a row together, each run once, as far as it has come."""
    traces: dict[str, Trace] = {}
    for each in found:
        if isinstance(each, Trace):
            if len(each):
                run_id = run_id_of(each)
                traces[run_id] = longer_of(run_id, traces.get(run_id, each), each)
            continue
        if traces:
            yield list(traces.values()), list(map(_family, traces.values()))
            traces = {}
        yield each, each.families()
    yield list(traces.values()), list(map(_family, traces.values()))


def _family(trace: Trace) -> Family:
    first = trace.events[0]
    return run_id_of(trace), first.parent_run_id if first.type == "run_started" else None


def _flat(source: Any, opened: ExitStack) -> Iterator[Trace | Lab | Export]:
    if isinstance(source, Trace | Lab):
        yield source
    elif isinstance(source, str | Path):
        for each in open_path(Path(source)):
            yield opened.enter_context(each) if isinstance(each, Lab) else each
    elif not isinstance(source, type) and isinstance(trace := getattr(source, "trace", None), Trace):
        yield trace
    elif _is_a_list(source):
        for each in source:
            yield from _flat(each, opened)
    elif not isinstance(source, type) and _is_a_list(runs := getattr(source, "runs", None)):
        yield from _flat(runs, opened)
    else:
        raise InputError(
            "frames are made from a run, a trace, a lab, a file or folder, or a list of them, "
            f"not from {type(source).__name__} {source!r:.80}"
        )


def _is_a_list(source: Any) -> bool:
    """Whether it may hold runs: no table or array, whose rows are values, no event, no file that was opened."""
    is_other = isinstance(source, type | str | bytes | bytearray | Mapping | IOBase | EventBase)
    return isinstance(source, Iterable) and not is_other and not any(hasattr(source, name) for name in _OF_TABLES)


def _gathered(traces: Sequence[Trace]) -> Iterator[list[Trace]]:
    group: list[Trace] = []
    taken = 0
    for trace in traces:
        if group and taken + len(trace) > _EVENTS_AT_ONCE:
            yield group
            group, taken = [], 0
        group.append(trace)
        taken += len(trace)
    if group:
        yield group
