"""Labs on drives that cannot be written: a process of its own, which has given up the rights of root."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agentlab.lab.lab import Lab
from tests.factories import trace_of

ROOT = Path(__file__).resolve().parents[2]

LOOK = """
import os, sys
from agentlab import Lab, messages_df, runs_df
from agentlab.errors import StoreError
import agentlab.analysis.frames
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
try:
    with Lab(sys.argv[1]) as lab:
        trace, choices = lab.trace("run-1"), lab.finder().choices()
        print(len(messages_df(lab)), len(runs_df(lab)), len(lab.runs()), len(trace), choices)
        lab.delete("run-1")
except StoreError as exc:
    print(exc)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that others may look into, which those of `tmp_path` are not."""
    with TemporaryDirectory() as name:
        made = Path(name)
        yield made
        made.chmod(0o755)


def lab_in(folder: Path) -> Path:
    with Lab(folder / "lab ü%.db") as lab:
        journal = lab.journal("run-1")
        for event in trace_of(2, "run-1"):
            journal.append(event)
        journal.close()
    return folder / "lab ü%.db"


def look(path: Path) -> list[str]:
    for each in path.parent.iterdir():
        each.chmod(0o444)
    path.parent.chmod(0o555)
    command = [sys.executable, "-c", LOOK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "change",
    ["SELECT 1", "DELETE FROM packs", "UPDATE runs SET tags = NULL", "ALTER TABLE runs DROP COLUMN tags"],
    ids=["as it is", "without packs", "tags in the journal alone", "of an older agentlab"],
)
def test_a_lab_that_cannot_be_written_is_read(change: str, folder: Path) -> None:
    path = lab_in(folder)
    db = sqlite3.connect(path)
    db.execute(change)
    db.commit()
    db.close()
    before = path.read_bytes()

    found, refused = look(path)

    with Lab() as memory:
        journal = memory.journal("run-1")
        for event in trace_of(2, "run-1"):
            journal.append(event)
        journal.close()
        expected = len(memory.messages_df()), 1, 1, len(memory.trace("run-1")), memory.finder().choices()
    assert found == " ".join(map(str, expected))
    assert "can only be read here; copy it to a folder in which you may write" in refused
    assert path.read_bytes() == before


def test_a_lab_that_somebody_writes_is_read_with_all_that_is_written(folder: Path) -> None:
    path = lab_in(folder)
    with Lab(path) as lab:
        journal = lab.journal("run-2")
        for event in trace_of(2, "run-2"):
            journal.append(event)
        journal.close()
        assert path.with_name(path.name + "-wal").stat().st_size > 0

        found, _ = look(path)

    assert found.split()[1:3] == ["2", "2"]


def test_an_empty_file_that_cannot_be_written_is_no_lab(folder: Path) -> None:
    (folder / "lab.db").touch()

    assert "is empty and cannot be written" in look(folder / "lab.db")[0]
