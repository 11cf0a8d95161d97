"""The lab's journal, against `sqlite3` with nothing around it.

The bare loop writes the same events, as JSON, into a table with the same key, with the same durability, in groups of
the same size; it redacts nothing and makes nothing that can be read by columns.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from agentlab.lab.lab import Lab
from agentlab.trace.events import Event
from agentlab.trace.redact import Redactor
from tests.benchmarks.figures import Figure, cpu_seconds
from tests.factories import Story, reply, tool

TARGET = 0.5
STEPS, ROUNDS = 50, 15
GROUP, AS_THE_LOOP_DOES = 100, 3
"""Events a flush: the size of the published figures, and about what a run does between two tools."""

TEXT = "The third box holds two cats, one of them asleep. " * 2
_INSERT = "INSERT INTO events VALUES (?, ?, ?)"


def run() -> Iterator[Figure]:
    """Processor time an event, as ratios to the bare loop's."""
    events = story()
    size = sum(len(text) for text in texts(events)) / len(events)
    for group in (GROUP, AS_THE_LOOP_DOES):
        target = TARGET if group == GROUP else None
        yield from _ratios(events, group, target, f"{len(events)} events of {size:.0f} bytes")
    text = "[" + ",".join(texts(events)) + "]"
    microseconds = cpu_seconds(lambda: Redactor().suspects(text)) / len(events) * 1e6
    yield Figure("journal, looking for secrets", microseconds, "µs/event", None, higher_is_better=False)


def story() -> list[Event]:
    """An ordinary run."""
    told = Story("run-0b1c2d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e", question=TEXT)
    for _ in range(STEPS):
        told.step(reply(TEXT, calls=["search"], n_chunks=20), tool("search", text=TEXT))
        told.say("user", TEXT, source="heartbeat")
    return told.end().events


def texts(events: Sequence[Event]) -> list[str]:
    """The events as JSON."""
    return [event.model_dump_json(exclude_none=True) for event in events]


def _ratios(events: list[Event], group: int, target: float | None, detail: str) -> Iterator[Figure]:
    groups = [events[n : n + group] for n in range(0, len(events), group)]
    ready = [texts(some) for some in groups]
    appended, packed, bare, bare_ready = _least(
        partial(_journal_s, groups),
        partial(_journal_s, groups, close=True),
        lambda path: _bare_s(path, groups, texts),
        lambda path: _bare_s(path, ready, list),
    )
    name = f"journal append, groups of {group}"
    each_us = 1e6 / len(events)
    detail = f"{detail}: {appended * each_us:.1f} µs an event, bare {bare * each_us:.1f} µs"
    yield Figure(name, bare / appended, "x", target, higher_is_better=True, detail=detail)
    packing = f"{packed * each_us:.1f} µs an event"
    yield Figure(f"{name}, packed for reading", bare / packed, "x", None, higher_is_better=True, detail=packing)
    given = f"bare {bare_ready * each_us:.1f} µs, its JSON made beforehand"
    yield Figure(f"{name}, against ready texts", bare_ready / appended, "x", None, higher_is_better=True, detail=given)


def _least(*works: Callable[[Path], float]) -> list[float]:
    """The least time of each, measured in turn, so that a busy moment of the machine hits all."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for n, work in enumerate(works):
            with TemporaryDirectory() as folder:
                best[n] = min(best[n], work(Path(folder) / "lab.db"))
    return best


def _journal_s(groups: Sequence[Sequence[Event]], path: Path, *, close: bool = False) -> float:
    with Lab(path) as lab:
        started = time.process_time()
        journal = lab.journal(groups[0][0].run_id)
        for some in groups:
            for event in some:
                journal.append(event)
            journal.flush()
        if close:
            journal.close()
        return time.process_time() - started


def _bare_s(path: Path, groups: Sequence[Sequence[object]], as_texts: Callable[..., list[str]]) -> float:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("CREATE TABLE events (run_id TEXT, seq INTEGER, event TEXT, PRIMARY KEY (run_id, seq))")
    started, seq = time.process_time(), 0
    for some in groups:
        rows = [("run-0b1c2d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e", seq + n, text) for n, text in enumerate(as_texts(some))]
        seq += len(rows)
        db.execute("BEGIN")
        db.executemany(_INSERT, rows)
        db.execute("COMMIT")
    seconds = time.process_time() - started
    db.close()
    return seconds
