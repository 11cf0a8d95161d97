"""Frames from a lab file, against pandas over the same rows already in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from agentlab.analysis.frames import chunks_df, messages_df, runs_df, steps_df
from agentlab.lab.lab import Lab
from tests.benchmarks.figures import Figure, cpu_seconds
from tests.factories import Story, reply, tool

RUNS, STEPS = 200, 50
TARGET = 1.0
TEXT = "The third box holds two cats, one of them asleep. " * 6
"""300 bytes."""

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
    """In a process of its own, as the most that was ever taken does not shrink. Linux tells of it."""
    done = subprocess.run([sys.executable, "-c", READ_ONCE, str(path)], capture_output=True, check=True, text=True)
    return Figure("`messages_df`, peak memory", int(done.stdout) / 1024, "MiB", None, higher_is_better=False)
