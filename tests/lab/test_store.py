from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from agentlab.errors import NewerSchemaError, NotALabError, StoreError
from agentlab.lab.lab import Lab
from agentlab.lab.store import APPLICATION_ID, SCHEMA_VERSION, Store, metadata
from tests.factories import trace_of

ROOT = Path(__file__).resolve().parents[2]


def record(lab: Lab, n_steps: int = 2, run_id: str = "run-1") -> None:
    journal = lab.journal(run_id)
    for event in trace_of(n_steps, run_id):
        journal.append(event)
    journal.close()


def foreign_database(path: Path, journal_mode: str) -> None:
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA journal_mode = {journal_mode}")
    db.execute("CREATE TABLE cats (name TEXT)")
    db.commit()
    db.close()


def state(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_new_lab_says_in_its_header_what_it_is(tmp_path: Path) -> None:
    Lab(tmp_path / "lab.db").close()

    header = (tmp_path / "lab.db").read_bytes()[:100]
    assert int.from_bytes(header[68:72], "big") == APPLICATION_ID
    assert int.from_bytes(header[60:64], "big") == SCHEMA_VERSION


def test_an_empty_file_becomes_a_lab(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    path.touch()

    assert len(Lab(path)) == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("Dear diary, today I counted cats.\n" * 10),
        lambda path: path.write_bytes(b"\x00" * 4096),
        lambda path: path.write_bytes(b"SQLite"),
        lambda path: foreign_database(path, "DELETE"),
        lambda path: foreign_database(path, "WAL"),
    ],
    ids=["text", "zeros", "too short", "another database", "another database in WAL"],
)
def test_a_file_that_is_no_lab_is_refused_and_left_alone(make: object, tmp_path: Path) -> None:
    path = tmp_path / "cats.db"
    make(path)  # type: ignore[operator]
    before = state(tmp_path)

    with pytest.raises(NotALabError, match=r"cats\.db is no lab, and is left as it is"):
        Lab(path)

    assert state(tmp_path) == before


def test_a_lab_of_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    Lab(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    before = state(tmp_path)

    with pytest.raises(NewerSchemaError, match="schema version 2, this agentlab reads up to 1; upgrade"):
        Lab(path)

    assert state(tmp_path) == before


def test_a_later_version_that_only_the_log_knows_is_refused_too(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab.db")  # stays open, so that nothing is moved from the log into the file
    db = sqlite3.connect(tmp_path / "lab.db")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()

    with pytest.raises(NewerSchemaError):
        Lab(tmp_path / "lab.db")
    lab.close()


def test_a_folder_is_no_lab(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is a folder; a lab is a file, such as .*lab\.db"):
        Lab(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no folder .*nowhere; make it first"):
        Lab(tmp_path / "nowhere" / "lab.db")


def test_a_damaged_lab_is_told_of_in_our_words(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Lab(path) as lab:
        record(lab, 40)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)

    with pytest.raises(StoreError, match=r"the lab .*lab\.db cannot be used: "), Lab(path) as lab:
        lab.trace("run-1")


def test_a_lab_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with Lab() as lab:
        record(lab)
        assert len(lab) == 1

    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_means_the_folder_in_which_the_lab_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lab = Lab("lab.db")
    monkeypatch.chdir("/")

    record(lab)

    assert len(Lab(tmp_path / "lab.db")) == 1


def test_a_closed_lab_says_so() -> None:
    lab = Lab()
    lab.close()
    lab.close()

    with pytest.raises(StoreError, match="the lab in memory is closed"):
        lab.runs()


def test_two_labs_on_one_file_see_each_other(tmp_path: Path) -> None:
    first, second = Lab(tmp_path / "lab.db"), Lab(tmp_path / "lab.db")

    record(first, run_id="run-1")
    record(second, run_id="run-2")

    assert [run.run_id for run in first] == [run.run_id for run in second] == ["run-2", "run-1"]


def test_threads_share_a_lab(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab.db")
    threads = [threading.Thread(target=record, args=(lab, 3, f"run-{n}")) for n in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(lab) == 8
    assert {len(lab.trace(f"run-{n}")) for n in range(8)} == {len(trace_of(3))}


FORK = """
import os, sys
from agentlab import Lab
from tests.lab.test_store import record
lab = Lab(sys.argv[1])
record(lab, run_id="run-parent")
connection = lab._store._db
child = os.fork()
if child == 0:
    record(lab, run_id="run-child")
    os._exit(0 if len(lab) == 2 and lab._store._db is not connection else 1)
assert os.waitpid(child, 0)[1] == 0
record(lab, run_id="run-after")
print(*(run.run_id for run in lab))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_process_goes_on_with_a_connection_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(tmp_path / "lab.db")], cwd=ROOT, capture_output=True, check=True, text=True
    )

    assert done.stdout.split() == ["run-after", "run-child", "run-parent"]


def test_people_can_query_the_events_with_other_tools(tmp_path: Path) -> None:
    with Lab(tmp_path / "lab.db") as lab:
        record(lab)

    db = sqlite3.connect(tmp_path / "lab.db")
    rows = db.execute("SELECT run_id, seq, type FROM events ORDER BY seq").fetchall()
    db.close()

    assert rows == [(event.run_id, event.seq, event.type) for event in trace_of(2)]


def test_the_tables_suit_postgresql_too() -> None:
    from sqlalchemy.dialects import postgresql

    made = [str(sa.schema.CreateTable(table).compile(dialect=postgresql.dialect())) for table in metadata.sorted_tables]

    assert len(made) == 5
    assert any("run_key BIGSERIAL NOT NULL" in each for each in made)
    assert any("data BYTEA NOT NULL" in each for each in made)


def test_a_transaction_that_fails_leaves_nothing() -> None:
    store = Store(None)

    with pytest.raises(StoreError, match="no such table"), store.writing() as db:
        db.execute("INSERT INTO runs (run_id) VALUES ('run-1')").execute("INSERT INTO cats VALUES (1)")

    with store.reading() as connection:
        assert connection.execute(sa.text("SELECT COUNT(*) FROM runs")).scalar_one() == 0
