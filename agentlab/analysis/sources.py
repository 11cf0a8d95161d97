"""What frames can be made of, and the runs that are picked from it.

A run, a trace, a lab, an experiment, a file or folder of any of these, or a list of them: all end as stores, in order,
and a run that is in two of them counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from agentlab.analysis.files import open_path
from agentlab.analysis.parquet import Export
from agentlab.analysis.tables import LabTables, SeveralTables, TraceTables, run_id_of
from agentlab.analysis.tables import Tables as Tables
from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from agentlab.trace.trace import Trace

_EVENTS_AT_ONCE = 100_000
"""Traces in memory are gathered up to so many events, so that a thousand small ones do not take a thousand turns."""


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

    def groups(self, parts: Sequence[str], *, logs: bool) -> Iterator[Tables]:
        """The tables of so many runs at a time as fit into the memory.

        Args:
            parts: The packs that will be read (`pack.part_names`).
            logs: Whether the chunk logs will be.

        Raises:
            InputError: It is an export, which has finished frames and no tables.
        """
        match self.store:
            case Lab() as lab:
                yield from (LabTables(lab, ids) for ids in lab.groups(self.run_ids, parts, logs=logs))
            case Export() as export:
                raise InputError(f"{export} has frames and no events; this needs the lab or the traces themselves")
            case traces:
                yield from map(TraceTables, _gathered(traces))


@contextmanager
def picked(
    source: Source, runs: Sequence[str] | None = None, keep: Callable[[list[str]], Iterable[str]] | None = None
) -> Iterator[list[Picked]]:
    """The runs of a source, store by store; labs that were opened for it are closed in the end.

    Args:
        source: What `Source` says.
        runs: Only runs with these ids.
        keep: Picks among ids of runs.

    Raises:
        InputError: The source is something else.
        StoreError: A file of it cannot be read.
    """
    with ExitStack() as opened:
        yield list(_picked(source, runs, keep, opened))


def tables_of(source: Source, runs: Sequence[str] | None = None) -> Tables:
    """The tables of a source, all at once; a run that is in it twice counts once.

    Args:
        source: A run, a trace, a lab, an experiment, a file or folder of these, or an iterable of them.
        runs: Only runs with these ids.

    Raises:
        InputError: The source is something else, or an export, which has no tables.
        StoreError: A file of it cannot be read.
    """
    parts: list[Tables] = []
    for each in _picked(source, runs, None, ExitStack()):
        if isinstance(each.store, Lab):
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


def _picked(
    source: Source,
    runs: Sequence[str] | None,
    keep: Callable[[list[str]], Iterable[str]] | None,
    opened: ExitStack,
) -> Iterator[Picked]:
    if runs is not None and (isinstance(runs, str) or not all(isinstance(run_id, str) for run_id in runs)):
        raise InputError(f"`runs` takes a list of run ids, not {runs!r:.80}")
    wanted = None if runs is None else set(runs)
    seen: set[str] = set()
    for store, families in _stores(_flat(source, opened)):
        new = dict.fromkeys(run_id for run_id, _ in families if run_id not in seen)
        kept = [run_id for run_id in new if wanted is None or run_id in wanted]
        chosen = set(kept if keep is None else keep(kept))
        seen.update(chosen)
        traces = [each for each in store if run_id_of(each) in chosen] if isinstance(store, list) else store
        yield Picked(traces, [family for family in families if family[0] in chosen])


def _stores(found: Iterable[Trace | Lab | Export]) -> Iterator[tuple[list[Trace] | Lab | Export, list[Family]]]:
    """What was found with its runs; traces in a row together, each run once."""
    traces: dict[str, Trace] = {}
    for each in found:
        if isinstance(each, Trace):
            if len(each):
                traces.setdefault(run_id_of(each), each)
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
    elif isinstance(source, HasTrace):
        yield source.trace
    elif isinstance(source, Iterable) and not isinstance(source, bytes | dict):
        for each in source:
            yield from _flat(each, opened)
    elif isinstance(runs := getattr(source, "runs", None), Iterable) and not isinstance(runs, str | bytes | dict):
        yield from _flat(runs, opened)
    else:
        raise InputError(
            f"frames are made from a run, a trace, a lab, a file or folder, or a list of them, not from {source!r:.80}"
        )


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
