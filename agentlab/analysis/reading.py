"""How a frame is read: which runs, which columns, which rows, and as what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, overload

import pandas as pd
import pyarrow as pa

from agentlab.analysis.column import Column
from agentlab.analysis.columns import chosen, columns_of, documented
from agentlab.analysis.engines import ENGINES, Engine, plain_schema, to_table
from agentlab.analysis.filters import Filter, Where
from agentlab.analysis.inherited import NEEDED, Inherited, Shared
from agentlab.analysis.parquet import Export
from agentlab.analysis.sources import Picked, Source, picked
from agentlab.analysis.tables import Tables
from agentlab.errors import InputError, StoreError
from agentlab.lab import pack
from agentlab.lab.lab import Lab

if TYPE_CHECKING:
    import polars as pl

Maker: TypeAlias = Callable[[Tables, frozenset[str]], Mapping[str, Any]]
"""From the tables of some runs, and the names of the columns that are needed, to at least these columns: arrays, or
functions that make them."""

_MOST_ROWS = 2**62
"""More than any frame has; Arrow counts with 64 bits."""

_ARGUMENTS = """
    Args:
        source: A run, a trace, a lab, an experiment, a file or folder of these, or a list of them.
        runs: Only runs with these ids, which must be there; the others count as not there.
        columns: Only these columns, in this order; the others are not read.
        where: Only rows that meet these conditions: by column a value, several, or `(operator, value)`; or an
            expression of `pyarrow.compute`. See `agentlab.analysis.filters`.
        limit: At most so many rows.
        offset: Rows to leave out first; the order of the rows is always the same.
        inherited: Messages that a run took over from its parent: `once` counts each with the run where it joined, as
            long as that run is in the source and in `runs`, whatever `where` says; `each` counts it with every run
            that has it.
        engine: `pandas`, `pyarrow` (a table), or `polars`.

    Raises:
        InputError: The source is something else, or an argument does not fit; told with what would.
        StoreError: A file of the source cannot be read.
"""


class FrameReader(Protocol):
    """A function that reads a frame."""

    @overload
    def __call__(
        self,
        source: Source,
        *,
        runs: Sequence[str] | None = ...,
        columns: Sequence[str] | None = ...,
        where: Where | None = ...,
        limit: int | None = ...,
        offset: int = ...,
        inherited: Inherited = ...,
        engine: Literal["pandas"] = ...,
    ) -> pd.DataFrame: ...

    @overload
    def __call__(
        self,
        source: Source,
        *,
        runs: Sequence[str] | None = ...,
        columns: Sequence[str] | None = ...,
        where: Where | None = ...,
        limit: int | None = ...,
        offset: int = ...,
        inherited: Inherited = ...,
        engine: Literal["pyarrow"],
    ) -> pa.Table: ...

    @overload
    def __call__(
        self,
        source: Source,
        *,
        runs: Sequence[str] | None = ...,
        columns: Sequence[str] | None = ...,
        where: Where | None = ...,
        limit: int | None = ...,
        offset: int = ...,
        inherited: Inherited = ...,
        engine: Literal["polars"],
    ) -> pl.DataFrame: ...

    @overload
    def __call__(
        self,
        source: Source,
        *,
        runs: Sequence[str] | None = ...,
        columns: Sequence[str] | None = ...,
        where: Where | None = ...,
        limit: int | None = ...,
        offset: int = ...,
        inherited: Inherited = ...,
        engine: Engine,
    ) -> pd.DataFrame | pa.Table | pl.DataFrame: ...


@dataclass(frozen=True)
class Frame:
    """How a frame is made."""

    name: str
    maker: Maker
    reads: tuple[str, ...]
    """Tables of `pack.SCHEMAS` that it is made from."""
    logs: bool
    """Whether it may look at chunk logs."""

    def groups(self, store: Picked, needed: frozenset[str]) -> Iterator[Tables]:
        """The tables of the runs of a store, as many at a time as fit into the memory."""
        parts = [part for table in self.reads for part in pack.part_names(table, needed)]
        return store.groups(parts, logs=self.logs)

    def made(self, tables: Tables, columns: Sequence[Column]) -> pa.Table:
        """Rows of the frame, in plain types."""
        arrays = self.maker(tables, frozenset(column.name for column in columns))
        return to_table(columns, {column.name: _now(arrays[column.name]) for column in columns})


def lazily(make: Callable[[], Mapping[str, Any]], names: Iterable[str]) -> dict[str, Callable[[], Any]]:
    """Columns that are made together, once, when the first of them is needed."""
    once = cache(make)
    return {name: partial(_entry, once, name) for name in names}


def _entry(make: Callable[[], Mapping[str, Any]], name: str) -> Any:
    return make()[name]


def _now(values: Any) -> Any:
    return values() if callable(values) else values


MADE: dict[str, Frame] = {}
"""The frames that are made from tables, by name."""


def frame(name: str, *, reads: Sequence[str], logs: bool = False) -> Callable[[Maker], FrameReader]:
    """Makes of a maker the function that reads its frame from any source.

    Args:
        name: The frame's name in `columns.FRAMES`.
        reads: Tables of `pack.SCHEMAS` that the maker looks at.
        logs: Whether it may look at chunk logs.
    """

    def make(maker: Maker) -> FrameReader:
        MADE[name] = Frame(name, maker, tuple(reads), logs)

        def read_frame(
            source: Source,
            *,
            runs: Sequence[str] | None = None,
            columns: Sequence[str] | None = None,
            where: Where | None = None,
            limit: int | None = None,
            offset: int = 0,
            inherited: Inherited = "once",
            engine: Engine = "pandas",
        ) -> Any:
            wanted = chosen(name, columns)
            rows = Filter.of(where, columns_of(name))
            _check(limit, offset, inherited, engine)
            with picked(source, runs) as stores:
                kept = [store.only(rows.runs(store.run_ids)) for store in stores]
                shared = Shared()
                if inherited == "once" and _counts_messages(name, (*wanted, *rows.columns)):
                    shared = _shared(stores, kept)
                table = _page(read(name, kept, wanted, rows, shared), wanted, limit, offset)
            return ENGINES[engine](wanted, table)

        read_frame.__name__ = read_frame.__qualname__ = f"{name}_df"
        read_frame.__module__ = maker.__module__
        read_frame.__doc__ = f"{(maker.__doc__ or '').rstrip()}\n{_ARGUMENTS}"
        return documented(name)(read_frame)

    return make


def read(
    name: str, stores: Sequence[Picked], columns: Sequence[Column], rows: Filter, shared: Shared
) -> Iterator[pa.Table]:
    """Rows of a frame, some at a time, in plain types."""
    needed = {column.name: column for column in (*columns, *rows.columns)}
    if len(shared.keys):
        keys = NEEDED if name == "messages" else ("run_id", "n_messages")
        needed |= {column.name: column for column in columns_of(name) if column.name in keys}
    for store in (each for each in stores if each.families):
        for table in _unfiltered(name, store, tuple(needed.values()), rows if not len(shared.keys) else None):
            counted = shared.counted(table) if name == "runs" and "n_messages" in needed else table
            counted = shared.without(counted) if name == "messages" else counted
            yield rows.rows(counted).select([column.name for column in columns])


def read_made(
    made: Frame,
    source: Source,
    *,
    runs: Sequence[str] | None,
    columns: Sequence[str] | None,
    where: Where | None,
    limit: int | None,
    offset: int,
    engine: Engine,
) -> Any:
    """Rows of a frame that has settings of its own, and so is made anew each time; exports do not have it."""
    wanted, rows = chosen(made.name, columns), Filter.of(where, columns_of(made.name))
    _check(limit, offset, "once", engine)
    needed = tuple({column.name: column for column in (*wanted, *rows.columns)}.values())
    names = frozenset(column.name for column in needed)
    with picked(source, runs, with_events=True) as stores:
        kept = (store.only(rows.runs(store.run_ids)) for store in stores)
        groups = (tables for store in kept for tables in made.groups(store, names))
        found = (rows.rows(made.made(tables, needed)).select([c.name for c in wanted]) for tables in groups)
        table = _page(found, wanted, limit, offset)
    return ENGINES[engine](wanted, table)


def _unfiltered(name: str, store: Picked, columns: Sequence[Column], rows: Filter | None) -> Iterator[pa.Table]:
    """Rows of the picked runs; an export leaves out what is not wanted while it reads."""
    if isinstance(store.store, Export):
        pushed = None if rows is None or rows.is_free else rows.expression
        yield from store.store.batches(name, columns, store.run_ids, pushed)
        return
    made = MADE[name]
    for tables in made.groups(store, frozenset(column.name for column in columns)):
        try:
            table = made.made(tables, columns)
        except StoreError as exc:
            if not isinstance(lab := store.store, Lab) or repr(lab) in str(exc):
                raise
            raise StoreError(f"{exc}; in {lab!r}") from exc
        yield table


def _counts_messages(name: str, columns: Sequence[Column]) -> bool:
    return name == "messages" or (name == "runs" and any(column.name == "n_messages" for column in columns))


def _shared(stores: Sequence[Picked], kept: Sequence[Picked]) -> Shared:
    """The messages that runs of these stores share with the run they go on from; none are read where none matter."""
    if not any(parent is not None for store in kept for _, parent in store.families):
        return Shared()
    children = [store.only(run_id for run_id, parent in store.families if parent is not None) for store in stores]
    columns = [column for column in columns_of("messages") if column.name in NEEDED]
    every = partial(read, "messages", columns=columns, rows=Filter.of(None, ()), shared=Shared())
    return Shared.of(every(stores=children), every(stores=stores))


def _page(tables: Iterator[pa.Table], columns: Sequence[Column], limit: int | None, offset: int) -> pa.Table:
    """The rows from `offset` on; reading ends when there are enough."""
    found = [plain_schema(columns).empty_table()]
    skipped, wanted = min(offset, _MOST_ROWS), None if limit is None else min(limit, _MOST_ROWS)
    for table in tables:
        left = table.slice(skipped, wanted)
        skipped = max(0, skipped - len(table))
        found.append(left)
        if wanted is not None:
            wanted -= len(left)
            if wanted <= 0:
                break
    return pa.concat_tables(found)


def _check(limit: object, offset: object, inherited: object, engine: object) -> None:
    for name, value in (("limit", 0 if limit is None else limit), ("offset", offset)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InputError(f"`{name}` takes a number of rows, 0 or more, not {value!r:.80}")
    for name, value, words in (("inherited", inherited, ("once", "each")), ("engine", engine, tuple(ENGINES))):
        if value not in words:
            raise InputError(f"`{name}` is one of {', '.join(words)}, not {value!r:.80}")
