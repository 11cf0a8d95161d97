"""What is read from a lab: the list of runs, the events of one, and the columns of many."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa
import sqlalchemy as sa

from agentlab.lab import pack
from agentlab.lab.encode import decode
from agentlab.lab.journal import keep_packs
from agentlab.lab.listing import RunInfo
from agentlab.lab.owner import Owner
from agentlab.lab.project import Projection
from agentlab.lab.store import Store, chunk_logs, journal, packs, runs
from agentlab.trace.events import Event
from agentlab.trace.trace import RunStatus

_IDS_AT_ONCE = 500
"""SQLite takes a limited number of values in one query."""

_GROUP_BYTES = 32 * 2**20
"""Runs that are read at once hold about so much: a lab may be larger than the memory."""

_ROWS_PER_LOG_BYTE = 10
"""A row of a frame takes so much more room than that of a packed chunk log."""

_n_events = (
    sa.select(journal.c.first_seq + journal.c.n_events)
    .where(journal.c.run_key == runs.c.run_key)
    .order_by(journal.c.first_seq.desc())
    .limit(1)
    .scalar_subquery()
)
_last_step = (
    sa.select(journal.c.last_step)
    .where(journal.c.run_key == runs.c.run_key)
    .order_by(journal.c.first_seq.desc())
    .limit(1)
    .scalar_subquery()
)


Moment: TypeAlias = dict[str, dict[str, bytes]]
"""Runs that were being written when they were first read: all their packs, as they were then, by run."""


class LogRow(NamedTuple):
    """A chunk log as it is kept."""

    run_id: str
    seq: int
    data: bytes


class Reader:
    """Reads a store. What it has to make from the journal it keeps for the next time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def count(self) -> int:
        """How many runs there are."""
        with self._store.reading() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(runs)).scalar_one()

    def listing(self, *, limit: int | None = None, run_id: str | None = None) -> list[RunInfo]:
        """The runs, newest first; at most `limit`, or the one with this id."""
        query = (
            sa.select(runs, _n_events.label("n_events"), _last_step.label("n_steps"))
            .order_by(runs.c.started_at.desc(), runs.c.run_key.desc())
            .limit(limit)
        )
        if run_id is not None:
            query = query.where(runs.c.run_id == run_id)
        with self._store.reading() as connection:
            return [_info(row) for row in connection.execute(query).mappings()]

    def ids_starting_with(self, prefix: str, limit: int) -> list[str]:
        """Ids of runs that begin so, or whose id does after `run-`."""
        begins = runs.c.run_id.startswith(prefix, autoescape=True)
        short = runs.c.run_id.startswith("run-" + prefix, autoescape=True)
        with self._store.reading() as connection:
            query = sa.select(runs.c.run_id).where(begins | short).order_by(runs.c.run_key).limit(limit)
            return list(connection.execute(query).scalars())

    def events(self, run_id: str, *, after: int = -1) -> list[Event]:
        """The events of a run after the one of this number, in order; no others are read."""
        with self._store.reading() as connection:
            run_key = connection.execute(sa.select(runs.c.run_key).where(runs.c.run_id == run_id)).scalar_one()
            return list(_events(connection, run_key, str(self._store), after))

    def families(self) -> list[tuple[str, str | None]]:
        """Each run and the run whose conversation it took up, if it did; oldest first."""
        with self._store.reading() as connection:
            query = sa.select(runs.c.run_id, runs.c.parent_run_id).order_by(runs.c.run_key)
            return [(run_id, parent) for run_id, parent in connection.execute(query)]

    def statuses(self, run_ids: Sequence[str] | None = None) -> dict[str, RunStatus]:
        """How each run stands, by id; oldest first."""
        query = sa.select(runs.c.run_id, runs.c.stop_reason, runs.c.paused, runs.c.owner, runs.c.run_key)
        return {row.run_id: _status(row._mapping) for row in self._select(query, run_ids)}

    def groups(self, run_ids: Sequence[str], parts: Collection[str], *, logs: bool) -> Iterator[list[str]]:
        """The runs in groups that can be in memory at once, oldest first.

        Args:
            run_ids: The runs.
            parts: The packs that will be read of them.
            logs: Whether their chunk logs will be.
        """
        group: list[str] = []
        taken = 0
        for run_id, n_bytes in self._sizes(run_ids, parts, logs=logs):
            if group and (taken + n_bytes > _GROUP_BYTES or len(group) == _IDS_AT_ONCE):
                yield group
                group, taken = [], 0
            group.append(run_id)
            taken += n_bytes
        if group:
            yield group

    def table(
        self,
        name: str,
        run_ids: Sequence[str] | None = None,
        texts: Collection[str] | None = None,
        moment: Moment | None = None,
    ) -> pa.Table:
        """One of the tables of `pack.SCHEMAS`, for all runs or some, with all long texts or some; oldest run first.

        Args:
            name: The table.
            run_ids: The runs; None: all.
            texts: Of its long texts only these; None: all.
            moment: Given to the reading of each of several tables, it has them fit together, though runs grow.
        """
        names = pack.part_names(name, texts)
        grown = {} if moment is None else moment
        found, packed = [], []
        for run, parts in self._packed(names, run_ids):
            if len(parts) < len(names) and run.run_id not in grown:
                parts = self._packed_anew(run)
                if _is_written(run.owner):
                    grown[run.run_id] = parts
            found.append(run.run_id)
            packed.append(grown.get(run.run_id, parts))
        return pack.from_parts(name, found, packed, texts)

    def event_texts(self, run_ids: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The journal as it is written: for each run JSON arrays of its events, in order; oldest run first."""
        columns = runs.c.run_id, journal.c.events, journal.c.first_seq, runs.c.run_key
        for row in self._select(sa.select(*columns).join_from(runs, journal), run_ids, "first_seq"):
            yield row.run_id, row.events

    def chunk_logs(self, run_ids: Sequence[str] | None = None) -> list[LogRow]:
        """The chunk logs, for all runs or some; oldest run first."""
        query = sa.select(runs.c.run_id, chunk_logs.c.seq, chunk_logs.c.data, runs.c.run_key).join(chunk_logs)
        return [LogRow(run_id, seq, data) for run_id, seq, data, _ in self._select(query, run_ids, "seq")]

    def rebuild(self) -> int:
        """Make all packs again, from the journal; how many runs that were."""
        with self._store.writing() as db:
            db.execute("DELETE FROM packs")
        return len(self.table("runs"))

    def _packed(self, names: Sequence[str], run_ids: Sequence[str] | None) -> list[tuple[Any, dict[str, bytes]]]:
        """Each run with those of its packs that hold all that has happened, by name; from one look at the file."""
        match = (packs.c.run_key == runs.c.run_key) & packs.c.name.in_(names) & (packs.c.layout == pack.LAYOUT)
        query = sa.select(
            runs.c.run_id, runs.c.owner, _n_events.label("n_events"), packs.c.name, packs.c.data, runs.c.run_key
        ).outerjoin_from(runs, packs, match & (packs.c.n_events == _n_events))
        found: dict[int, tuple[Any, dict[str, bytes]]] = {}
        for row in self._select(query, run_ids):
            _, parts = found.setdefault(row.run_key, (row, {}))
            if row.name is not None:
                parts[row.name] = row.data
        return list(found.values())

    def _packed_anew(self, run: Any) -> dict[str, bytes]:
        """All packs of a run, made from its journal and kept for the next time, unless somebody still writes it."""
        with self._store.reading() as connection:
            projection = Projection.of(_events(connection, run.run_key, str(self._store)))
        batches = pack.to_batches(projection)
        if not self._store.is_read_only and not _is_written(run.owner):
            with self._store.writing() as db:
                keep_packs(db, run.run_key, projection.run.n_events, batches)
        return pack.to_parts(batches)

    def _sizes(self, run_ids: Sequence[str], parts: Collection[str], *, logs: bool) -> Iterator[tuple[str, int]]:
        """About how many bytes each run takes in memory."""
        size = _total_bytes(packs, packs.c.name.in_(parts))
        if logs:
            size = size + _ROWS_PER_LOG_BYTE * _total_bytes(chunk_logs)
        for row in self._select(sa.select(runs.c.run_id, size.label("size"), runs.c.run_key), run_ids):
            yield row.run_id, row.size

    def _select(self, query: sa.Select[Any], run_ids: Sequence[str] | None, *by: str) -> list[Any]:
        """The rows, oldest run first, those of a run by these columns. SQLite would copy all blobs to put them so."""
        with self._store.reading() as connection:
            rows: list[Any] = []
            if run_ids is None:
                rows += connection.execute(query).all()
            else:
                ids = iter(run_ids)
                while group := list(islice(ids, _IDS_AT_ONCE)):
                    rows += connection.execute(query.where(runs.c.run_id.in_(group))).all()
        return sorted(rows, key=attrgetter("run_key", *by))


def _total_bytes(table: sa.Table, *where: sa.ColumnElement[bool]) -> Any:
    """Bytes of a run's rows; SQLite knows the length of a blob without reading it."""
    size = sa.func.coalesce(sa.func.sum(sa.func.length(table.c.data)), 0)
    return sa.select(size).where(table.c.run_key == runs.c.run_key, *where).scalar_subquery()


def _events(connection: sa.Connection, run_key: int, where: str, after: int = -1) -> Iterator[Event]:
    new_logs = (chunk_logs.c.run_key == run_key) & (chunk_logs.c.seq > after)
    found = connection.execute(sa.select(chunk_logs.c.seq, chunk_logs.c.data).where(new_logs))
    logs = {seq: data for seq, data in found}  # noqa: C416  # rows are no pairs to the type checker
    new = (journal.c.run_key == run_key) & (journal.c.first_seq + journal.c.n_events > after + 1)
    for text in connection.execute(sa.select(journal.c.events).where(new).order_by(journal.c.first_seq)).scalars():
        for event in decode(text, logs, where=where):
            if event.seq > after:
                yield event


def _is_written(owner: str | None) -> bool:
    return owner is not None and Owner.read(owner).is_alive()


def _info(row: Any) -> RunInfo:
    return RunInfo(
        run_id=row["run_id"],
        started_at=None if row["started_at"] is None else datetime.fromisoformat(row["started_at"]),
        status=_status(row),
        stop_reason=row["stop_reason"],
        agent_name=row["agent_name"],
        model=row["model"],
        provider=row["provider"],
        protocol=row["protocol"],
        parent_run_id=row["parent_run_id"],
        title=row["title"],
        n_steps=row["n_steps"],
        n_events=row["n_events"],
    )


def _status(row: Any) -> RunStatus:
    if row["stop_reason"]:
        return "finished"
    if row["paused"]:
        return "paused"
    return "running" if _is_written(row["owner"]) else "interrupted"
