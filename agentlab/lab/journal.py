"""The journal of one run in a lab: events gather in a buffer, and one transaction a flush writes them down."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson
import pyarrow as pa

from agentlab.errors import StoreError
from agentlab.lab import pack
from agentlab.lab.encode import encode, pack_log
from agentlab.lab.owner import Owner
from agentlab.lab.project import Projection
from agentlab.lab.store import Store
from agentlab.messages.envelopes import unpack_user_text
from agentlab.trace.events import Event, MessageAdded, ModelReplied, RunFinished, RunPaused, RunResumed, RunStarted
from agentlab.trace.redact import Redactor

GROUP_LIMIT = 200
"""Events in the buffer at which it flushes by itself."""

_TITLE_CHARS = 100
_NOTED = frozenset({RunStarted, MessageAdded, ModelReplied, RunPaused, RunResumed, RunFinished})
"""Events of which the lab keeps more than their text."""


class LabJournal:
    """Writes the events of one run into a lab, in the order of their numbers.

    Raises:
        StoreError: Another journal writes this run.
    """

    def __init__(self, store: Store, redactor: Redactor, run_id: str) -> None:
        self.run_id = run_id
        self._store, self._redactor = store, redactor
        self._buffer: list[Event] = []
        self._closed = False
        self._run_key, self._next_seq = _claim(store, run_id)
        # Of a run that goes on, the beginning is in the file alone: whoever reads it first packs it.
        self._written: list[Event] | None = [] if self._next_seq == 0 else None

    def append(self, event: Event) -> None:
        """Take one event; it stays in a buffer until `flush`, or until the buffer is full."""
        if self._closed:
            raise StoreError(f"the journal of {self.run_id} is closed")
        if event.seq == 0 and self._next_seq > 0:
            self._release()
            raise StoreError(
                f"{self.run_id} is in this lab already: runs in `frozen` get the same ids from the same seed. "
                "Use another seed or another lab, or remove the old run with `lab.delete(...)`"
            )
        if event.seq != self._next_seq or event.run_id != self.run_id:
            raise StoreError(
                f"event {event.seq} of {event.run_id} is out of order: event {self._next_seq} of {self.run_id} is next"
            )
        self._buffer.append(event)
        self._next_seq += 1
        if len(self._buffer) >= GROUP_LIMIT:
            self.flush()

    def _release(self) -> None:
        """Let go of a run that was taken by mistake, as it was."""
        self._closed = True
        with self._store.writing() as db:
            db.execute("UPDATE runs SET owner = NULL WHERE run_key = ?", (self._run_key,))

    def flush(self) -> None:
        """Return when everything taken so far survives the end of the process."""
        if not self._buffer:
            return
        events, text = encode(self._buffer, self._redactor)
        with self._store.writing() as db:
            run_key = _begin(db, self.run_id) if self._run_key is None else self._run_key
            _write(db, run_key, events, text)
        self._run_key, self._buffer = run_key, []
        if self._written is not None:
            self._written += events

    def close(self) -> None:
        """Flush, pack the run for reading, and let go of it."""
        if self._closed:
            return
        self.flush()
        self._closed = True
        if self._run_key is None:
            return
        batches = {} if self._written is None else pack.to_batches(Projection.of(self._written))
        self._written = None
        with self._store.writing() as db:
            keep_packs(db, self._run_key, self._next_seq, batches)
            db.execute("UPDATE runs SET owner = NULL WHERE run_key = ?", (self._run_key,))


def keep_packs(db: sqlite3.Connection, run_key: int, n_events: int, batches: Mapping[str, pa.RecordBatch]) -> None:
    """Keep what frames read of a run, in place of what was kept before."""
    db.executemany(
        "INSERT INTO packs (name, run_key, layout, n_events, data) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (name, run_key) DO UPDATE "
        "SET layout = excluded.layout, n_events = excluded.n_events, data = excluded.data",
        [(name, run_key, pack.LAYOUT, n_events, data) for name, data in pack.to_parts(batches).items()],
    )


def utc_text(at: datetime) -> str:
    """A wall time as the lab writes it: such texts sort by time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _claim(store: Store, run_id: str) -> tuple[int | None, int]:
    """The run's key and next number, when it is in the lab already and nobody writes it."""
    with store.writing() as db:
        found = db.execute("SELECT run_key, owner FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if found is None:
            return None, 0
        run_key, owner = found
        if owner is not None and (writer := Owner.read(owner)).is_alive():
            raise StoreError(f"{run_id} is being written by process {writer.pid}; wait until it has ended")
        db.execute("UPDATE runs SET owner = ? WHERE run_key = ?", (str(Owner.this_process()), run_key))
        count = "SELECT COALESCE(MAX(first_seq + n_events), 0) FROM journal WHERE run_key = ?"
        return run_key, db.execute(count, (run_key,)).fetchone()[0]


def _begin(db: sqlite3.Connection, run_id: str) -> int:
    row = (run_id, str(Owner.this_process()))
    run_key = db.execute("INSERT INTO runs (run_id, owner) VALUES (?, ?)", row).lastrowid
    assert run_key is not None  # noqa: S101  # an insert has one
    return run_key


def _write(db: sqlite3.Connection, run_key: int, events: list[Event], text: str) -> None:
    db.execute(
        "INSERT INTO journal (run_key, first_seq, n_events, last_step, events) VALUES (?, ?, ?, ?, ?)",
        (run_key, events[0].seq, len(events), events[-1].step, text),
    )
    for event in events:
        if type(event) not in _NOTED:
            continue
        if isinstance(event, ModelReplied):
            log = (run_key, event.seq, pack_log(event.chunks))
            db.execute("INSERT INTO chunk_logs (run_key, seq, data) VALUES (?, ?, ?)", log)
        elif isinstance(event, RunStarted):
            _note_start(db, run_key, event)
        elif isinstance(event, MessageAdded):
            _note_title(db, run_key, event)
        elif isinstance(event, RunFinished):
            db.execute("UPDATE runs SET stop_reason = ? WHERE run_key = ?", (event.stop_reason, run_key))
        else:
            paused = isinstance(event, RunPaused)
            db.execute("UPDATE runs SET paused = ? WHERE run_key = ?", (paused, run_key))


def _note_title(db: sqlite3.Connection, run_key: int, event: MessageAdded) -> None:
    if event.source == "input":
        title = unpack_user_text(event.message.text).strip()[:_TITLE_CHARS]
        db.execute("UPDATE runs SET title = ? WHERE run_key = ? AND title IS NULL", (title, run_key))


def _note_start(db: sqlite3.Connection, run_key: int, event: RunStarted) -> None:
    db.execute(
        "UPDATE runs SET started_at = ?, agent_name = ?, model = ?, provider = ?, protocol = ?, parent_run_id = ?, "
        "tags = ? "
        "WHERE run_key = ?",
        (
            utc_text(event.started_at),
            event.agent_name,
            event.model,
            event.provider,
            event.protocol,
            event.parent_run_id,
            orjson.dumps(event.tags).decode(),
            run_key,
        ),
    )
