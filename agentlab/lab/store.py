"""The tables of a lab, and the one connection through which a process reads and writes them.

The journal is the truth. It holds one row a flush, with the events of that flush as a JSON array: a group of events
costs one insert, and no column has to be kept in step with the text. `packs` holds what frames are read from, column
by column; it is made from the journal and can be made again at any time.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from agentlab.errors import NewerSchemaError, NotALabError, StoreError

SCHEMA_VERSION = 1
"""Of the tables; events carry a version of their own."""

APPLICATION_ID = 0x61674C62
"""What says, in the header of an SQLite file, that it is a lab: `agLb`."""

_BUSY_TIMEOUT_S = 30.0
_CACHE_KIB = 65_536
"""What is read again and again in a notebook stays in memory up to so much. Mapping the file would serve as well, but
a file that somebody cuts short, or a drive that fails, would then end the process and not raise an error."""
_HEADER_BYTES = 100
_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

metadata = sa.MetaData()

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_key", _Key, primary_key=True, comment="A short name for joins; grows with each new run."),
    sa.Column("run_id", sa.Text, nullable=False, unique=True),
    sa.Column("started_at", sa.Text, comment="Wall time, UTC, ISO 8601 with microseconds."),
    sa.Column("agent_name", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("provider", sa.Text),
    sa.Column("protocol", sa.Text),
    sa.Column("parent_run_id", sa.Text),
    sa.Column("title", sa.Text, comment="The beginning of what the user asked."),
    sa.Column(
        "tags", sa.Text, comment="JSON object. NULL: written by an agentlab that kept them in the journal alone."
    ),
    sa.Column("stop_reason", sa.Text, comment="NULL until the run has ended."),
    sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false(), comment="It waits for decisions."),
    sa.Column("owner", sa.Text, comment="The process that writes: pid, start, host. NULL when none does."),
)

journal = sa.Table(
    "journal",
    metadata,
    sa.Column("run_key", sa.ForeignKey("runs.run_key"), primary_key=True),
    sa.Column("first_seq", sa.Integer, primary_key=True),
    sa.Column("n_events", sa.Integer, nullable=False),
    sa.Column("last_step", sa.Integer, nullable=False, comment="Step of the last event."),
    sa.Column("events", sa.Text, nullable=False, comment="JSON array, in order."),
)

chunk_logs = sa.Table(
    "chunk_logs",
    metadata,
    sa.Column("run_key", sa.ForeignKey("runs.run_key"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, comment="Of the `model_replied` event whose log this is."),
    sa.Column("data", sa.LargeBinary, nullable=False, comment="Offsets int64, then kinds uint8, then sizes int32."),
)

packs = sa.Table(
    "packs",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("run_key", sa.ForeignKey("runs.run_key"), primary_key=True),
    sa.Column("layout", sa.Integer, nullable=False, comment="Version of the columns."),
    sa.Column("n_events", sa.Integer, nullable=False, comment="How many events it was made from."),
    sa.Column("data", sa.LargeBinary, nullable=False, comment="An Arrow record batch."),
)

answers = sa.Table(
    "answers",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("call_id", sa.Text, primary_key=True),
    sa.Column("decision", sa.Text, nullable=False, comment="JSON."),
    sa.Column("decided_by", sa.Text, nullable=False),
    sa.Column("decided_at", sa.Text, nullable=False, comment="Wall time, UTC, ISO 8601 with microseconds."),
)
"""Decisions left for runs, by whichever process; the run that takes one writes it into its journal."""

_EVENTS_VIEW = """
CREATE VIEW events AS
SELECT runs.run_id,
       json_extract(event.value, '$.step') AS step,
       json_extract(event.value, '$.seq') AS seq,
       json_extract(event.value, '$.t_ns') AS t_ns,
       json_extract(event.value, '$.type') AS type,
       event.value AS event
FROM journal JOIN runs ON runs.run_key = journal.run_key, json_each(journal.events) AS event
"""
"""One row an event, for people who look into the file with other tools."""

_NO_TAGS_YET = "tags IS NULL AND started_at IS NOT NULL"
_TAGS_IN_JOURNAL = (
    "(SELECT COALESCE(json_extract(events, '$[0].tags'), '{}') FROM journal"
    " WHERE journal.run_key = runs.run_key AND first_seq = 0)"
)

_inherited: list[Any] = []
"""Connections that a forked process got from its parent: never used, and never closed, which would harm the parent."""


class Store:
    """A lab's file, or a lab in memory.

    One connection serves all threads of the process, one at a time: a second SQLite connection from the same process
    would gain nothing, and closing one drops the locks of the other.

    A file that may not be written, as on a read-only drive, can be read all the same.

    Raises:
        NotALabError: The file is something else.
        NewerSchemaError: A later agentlab wrote it.
        StoreError: The file cannot be opened.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.closed = False
        self._connect()

    def __str__(self) -> str:
        return "the lab in memory" if self.path is None else f"the lab {self.path}"

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """The connection, for queries."""
        self._make_sure_it_is_mine()
        with self._lock, _telling(self), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The driver's own connection inside a transaction that other processes wait for."""
        self._make_sure_it_is_mine()
        if self.is_read_only:
            raise StoreError(f"{self} can only be read here; copy it to a folder in which you may write")
        with self._lock, _telling(self):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def delete(self, run_id: str) -> None:
        """Remove all rows of a run."""
        with self.writing() as db:
            db.execute("DELETE FROM answers WHERE run_id = ?", (run_id,))
            for table in (packs, chunk_logs, journal, runs):
                which = "run_key IN (SELECT run_key FROM runs WHERE run_id = ?)"
                db.execute(f"DELETE FROM {table.name} WHERE {which}", (run_id,))  # noqa: S608  # our own names

    def close(self) -> None:
        """Let go of the file."""
        if not self.closed and self._pid == os.getpid():
            self._engine.dispose()
        self.closed = True

    def _make_sure_it_is_mine(self) -> None:
        if self.closed:
            raise StoreError(f"{self} is closed; open it again with `Lab(...)`")
        if self._pid != os.getpid():
            _inherited.append((self._engine, self._db))
            self._connect()

    def _connect(self) -> None:
        if self.path is not None:
            _refuse_other_files(self.path)
        self._pid, self._lock = os.getpid(), RLock()
        self.is_read_only = self.path is not None and _may_only_be_read(self.path)
        with _telling(self):
            self._engine = _engine(self.path, read_only=self.is_read_only)
            db = self._engine.raw_connection().driver_connection
            assert isinstance(db, sqlite3.Connection)  # noqa: S101  # for the type checker
            self._db = db
            try:
                self._prepare()
            except BaseException:
                self._engine.dispose()
                raise

    def _prepare(self) -> None:
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if self.is_read_only:
            self._prepare_to_read()
            return
        if not self._version():
            self._db.execute("BEGIN IMMEDIATE")
            if not self._version():  # nobody else was quicker
                self._make_tables()
            self._db.execute("COMMIT")
        if (found := self._version()) > SCHEMA_VERSION:
            raise NewerSchemaError(str(self), found, SCHEMA_VERSION)
        _use_wal(self._db)
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._keep_tags()

    def _prepare_to_read(self) -> None:
        """Show the tags of runs that an older agentlab wrote, as they cannot be kept."""
        if not (found := self._version()):
            raise StoreError(f"{self} is empty and cannot be written; name a file that `Lab` has made")
        if found > SCHEMA_VERSION:
            raise NewerSchemaError(str(self), found, SCHEMA_VERSION)
        if not self._has_all_tags():
            others = ", ".join(column.name for column in runs.columns if column.name != "tags")
            seen = f"SELECT {others}, {_TAGS_IN_JOURNAL} AS tags FROM main.runs AS runs"  # noqa: S608  # our own names
            self._db.execute(f"CREATE TEMP VIEW runs AS {seen}")

    def _keep_tags(self) -> None:
        """Take the tags of runs that an older agentlab wrote from their first events. It can go on with the file."""
        if self._has_all_tags():
            return
        self._db.execute("BEGIN IMMEDIATE")
        if not self._has_tags():  # nobody else was quicker
            self._db.execute("ALTER TABLE runs ADD COLUMN tags TEXT")
        self._db.execute(f"UPDATE runs SET tags = {_TAGS_IN_JOURNAL} WHERE {_NO_TAGS_YET}")  # noqa: S608  # the same
        self._db.execute("COMMIT")

    def _has_all_tags(self) -> bool:
        some = f"SELECT 1 FROM runs WHERE {_NO_TAGS_YET} LIMIT 1"  # noqa: S608  # our own names
        return self._has_tags() and self._db.execute(some).fetchone() is None

    def _has_tags(self) -> bool:
        return any(row[1] == "tags" for row in self._db.execute("PRAGMA table_info(runs)"))

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _make_tables(self) -> None:
        """All in one transaction, so that a file is either no lab yet or a whole one."""
        for table in metadata.sorted_tables:
            self._db.execute(str(sa.schema.CreateTable(table).compile(self._engine)))
        self._db.execute(_EVENTS_VIEW)
        self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _engine(path: Path | None, *, read_only: bool) -> sa.Engine:
    name = ":memory:" if path is None else _to_read(path) if read_only else str(path)

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            name, isolation_level=None, timeout=_BUSY_TIMEOUT_S, check_same_thread=False, uri=read_only
        )

    # Transactions are begun and ended here, by their names.
    return sa.create_engine("sqlite://", creator=connect, poolclass=StaticPool, pool_reset_on_return=None)


def _may_only_be_read(path: Path) -> bool:
    """Whether it is there and may not be written. SQLite also writes beside a lab, into files that it makes there."""
    beside = [path.parent] if os.access(path.parent, os.W_OK) else [_beside(path, "-wal"), _beside(path, "-shm")]
    return path.exists() and not all(os.access(each, os.W_OK) for each in (path, *beside))


def _to_read(path: Path) -> str:
    """The file for reading alone. Without a log beside it nobody is writing it, and SQLite needs no file of its own."""
    log = _beside(path, "-wal")
    is_written = log.exists() and log.stat().st_size > 0
    return f"{path.as_uri()}?mode=ro" + ("" if is_written else "&immutable=1")


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _use_wal(db: sqlite3.Connection) -> None:
    """Readers and a writer at once. SQLite does not wait for others here, so we do."""
    give_up_s = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > give_up_s:
                raise
            time.sleep(0.01)
        else:
            return


def _refuse_other_files(path: Path) -> None:
    """Look at the header before SQLite does: opening a file may change it."""
    if path.is_dir():
        raise StoreError(f"{path} is a folder; a lab is a file, such as {path / 'lab.db'}")
    if not path.parent.is_dir():
        raise StoreError(f"there is no folder {path.parent}; make it first, or name another one")
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise StoreError(f"{path} cannot be read: {exc.strerror}") from exc
    if not header:
        return
    if not header.startswith(b"SQLite format 3\0") or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise NotALabError(f"{path} is no lab, and is left as it is; name a new file, or one that `Lab` has made")
    if (found := int.from_bytes(header[60:64], "big")) > SCHEMA_VERSION:
        raise NewerSchemaError(str(path), found, SCHEMA_VERSION)


@contextmanager
def _telling(store: Store) -> Iterator[None]:
    """Errors of the database, in our words."""
    try:
        yield
    except (sqlite3.Error, sa.exc.DBAPIError) as exc:
        cause = exc.orig if isinstance(exc, sa.exc.DBAPIError) else exc
        hint = "; another process has held it for long" if "locked" in str(cause) else ""
        raise StoreError(f"{store} cannot be used: {cause}{hint}") from exc
