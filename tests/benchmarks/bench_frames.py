"""Frames from a lab file, against pandas over the same rows already in memory; and a lab that is large."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import sqlalchemy as sa

from agentlab.analysis.frames import chunks_df, messages_df, runs_df, steps_df
from agentlab.lab.lab import Lab
from agentlab.lab.store import chunk_logs, journal, packs, runs
from tests.benchmarks.figures import Figure, cpu_seconds
from tests.factories import Story, reply, tool

RUNS, STEPS = 200, 50
TARGET = 1.0
TEXT = "The third box holds two cats, one of them asleep. " * 6
"""300 bytes."""

MANY_MESSAGES = 1_000_000
MEMORY_MIB = 2048
"""Targets of a large lab."""

TABLES = (runs, journal, chunk_logs, packs)

TAKEN = """
import resource, sys
from agentlab.analysis.export import to_parquet
from agentlab.analysis.frames import messages_df
from agentlab.analysis.usage import usage_df
from agentlab.lab.lab import Lab
with Lab(sys.argv[2]) as lab:
    match sys.argv[1]:
        case "read":
            messages_df(lab)
        case "write":
            to_parquet(lab, sys.argv[3])
        case "roles":
            usage_df(lab, by="role")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
"""The most memory of a process that does this and nothing else [KiB, on Linux]."""

READ_ONCE = """
import re, sys
from pathlib import Path
from agentlab.analysis.frames import messages_df
from agentlab.lab.lab import Lab
messages_df(Lab())  # loads all that is loaded with the first frame
lab = Lab(sys.argv[1])
taken_kib = lambda name: int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = taken_kib("VmRSS")
frame = messages_df(lab)
print(taken_kib("VmHWM") - before)
"""


def run() -> Iterator[Figure]:
    """Speed and memory of reading 200 runs of 50 steps."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lab.db"
        with Lab(path) as lab:
            for n in range(RUNS):
                write_run(lab, f"run-{n:03}-0b1c2d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e")
        with Lab(path) as lab:
            yield from _speed(lab)
        yield _memory(path)
    with TemporaryDirectory() as folder:
        yield from _large(Path(folder))


def _large(folder: Path) -> Iterator[Figure]:
    path = folder / "lab.db"
    n_messages = write_large_lab(path)
    for what, name in (
        ("read", "`messages_df` of a large lab, memory"),
        ("write", "`to_parquet` of it, memory"),
        ("roles", "`usage_df` of it by role, memory"),
    ):
        started_s = time.perf_counter()
        taken_mib = run_apart(TAKEN, what, path, folder / "frames") / 1024
        detail = (
            f"{n_messages:,} messages, {path.stat().st_size / 2**20:,.0f} MiB: {time.perf_counter() - started_s:.0f} s"
        )
        yield Figure(name, taken_mib, "MiB", MEMORY_MIB, higher_is_better=False, detail=detail)


def write_large_lab(path: Path) -> int:
    """A lab of a million messages: one run as it is written, and copies of its rows under other ids; their number."""
    model = "run-00000-0b1c2d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e"
    with Lab(path) as lab:
        write_run(lab, model)
        n_messages = len(messages_df(lab))
    n_runs = -(-MANY_MESSAGES // n_messages)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as db:
        rows = {table: [row._asdict() for row in db.execute(sa.select(table))] for table in TABLES}
        for n in range(1, n_runs):
            run_id = model.replace("00000", f"{n:05}", 1)
            for table, found in rows.items():
                db.execute(table.insert(), [_copy(row, n, model, run_id) for row in found])
    engine.dispose()
    return n_runs * n_messages


def _copy(row: dict[str, Any], n: int, old: str, new: str) -> dict[str, Any]:
    """The row with the other id in it, which is of the same length, so that offsets in bytes stay right."""
    named = {name: value.replace(old, new) for name, value in row.items() if isinstance(value, str)}
    packed = {
        name: value.replace(old.encode(), new.encode()) for name, value in row.items() if isinstance(value, bytes)
    }
    return {**row, **named, **packed, "run_key": row["run_key"] + n}


def run_apart(code: str, *arguments: object) -> int:
    """What a process of its own prints: the most memory that was ever taken does not shrink."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def write_run(lab: Lab, run_id: str) -> None:
    """A run of two messages at its start and three in each step."""
    story = Story(run_id, question=TEXT)
    for _ in range(STEPS):
        story.step(reply(TEXT, calls=["search"], n_chunks=20), tool("search", text=TEXT))
        story.say("user", TEXT, source="heartbeat")
    journal = lab.journal(run_id)
    for event in story.end():
        journal.append(event)
    journal.close()


def as_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as a program that keeps them itself would have them."""
    plain = frame.astype(object)
    return [
        {str(name): None if value is pd.NA else value for name, value in row.items()}
        for row in plain.to_dict("records")
    ]


def _speed(lab: Lab) -> Iterator[Figure]:
    records = as_records(messages_df(lab))
    ours_s = cpu_seconds(lambda: messages_df(lab))
    pandas_s = cpu_seconds(lambda: pd.DataFrame.from_records(records))
    detail = f"{len(records):,} messages: {ours_s * 1e3:.0f} ms from the file, {pandas_s * 1e3:.0f} ms from_records"
    yield Figure("`messages_df` from a lab file, against from_records", pandas_s / ours_s, "x", TARGET, True, detail)
    yield Figure("`messages_df`", len(records) / ours_s / 1000, "k rows/s", None, higher_is_better=True)
    for make in (runs_df, steps_df, chunks_df):
        rows, seconds = len(make(lab)), cpu_seconds(lambda make=make: make(lab), repeats=3)  # type: ignore[misc]
        detail = f"{rows:,} rows in {seconds * 1e3:.0f} ms"
        yield Figure(
            f"`{make.__name__}`", rows / seconds / 1000, "k rows/s", None, higher_is_better=True, detail=detail
        )


def _memory(path: Path) -> Figure:
    """What reading adds to a process that has loaded pandas. Linux tells of it."""
    taken_kib = run_apart(READ_ONCE, path)
    return Figure("`messages_df`, peak memory", taken_kib / 1024, "MiB", None, higher_is_better=False)
