"""What frames are made from: files, folders, experiments, and runs that go on from each other."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from agentlab import Agent, ScriptedModel, frozen, say
from agentlab.analysis.context import context_df
from agentlab.analysis.frames import events_df, messages_df, runs_df, steps_df
from agentlab.analysis.latency_frames import latency_df
from agentlab.analysis.sources import tables_of
from agentlab.analysis.usage import ledger, usage_df
from agentlab.errors import AgentLabError, InputError, StoreError
from agentlab.lab.lab import Lab
from agentlab.lab.reader import Reader
from agentlab.trace.trace import Trace
from tests.analysis.test_frames import FRAMES, rows
from tests.factories import Story, reply, trace_of
from tests.lab.test_lab import keep


def lab_at(path: Path, *traces: Trace) -> Path:
    with Lab(path) as lab:
        for trace in traces:
            keep(lab, trace)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a trace, a lab and an export."""
    trace_of(3, "run-a").to_jsonl(tmp_path / "a.jsonl")
    lab_at(tmp_path / "b.db", trace_of(2, "run-b"), trace_of(4, "run-c"))
    trace_of(5, "run-d").to_parquet(tmp_path / "c-frames")
    (tmp_path / ".hidden").write_text("not looked at")
    return tmp_path


@pytest.mark.parametrize("name", FRAMES)
def test_a_folder_of_files_is_read_as_what_was_written(name: str, folder: Path) -> None:
    expected = FRAMES[name]([trace_of(3, "run-a"), trace_of(2, "run-b"), trace_of(4, "run-c"), trace_of(5, "run-d")])

    pd.testing.assert_frame_equal(FRAMES[name](folder), expected)
    some = FRAMES[name](folder, runs=["run-d", "run-b"])
    assert len(some) > 0 or name == "approvals"
    assert set(some["run_id"]) <= {"run-b", "run-d"}


def test_a_file_alone_is_read_too(folder: Path) -> None:
    assert runs_df(folder / "a.jsonl")["run_id"].tolist() == ["run-a"]
    assert runs_df(str(folder / "b.db"))["run_id"].tolist() == ["run-b", "run-c"]
    assert runs_df([folder / "c-frames", folder / "a.jsonl"])["run_id"].tolist() == ["run-d", "run-a"]


def test_a_lab_that_was_opened_for_a_frame_is_closed_again(folder: Path) -> None:
    messages_df(folder / "b.db")

    assert sorted(path.name for path in folder.iterdir() if path.name.startswith("b.db")) == ["b.db"]


def test_files_that_sqlite_keeps_beside_an_open_lab_are_overlooked(folder: Path) -> None:
    with Lab(folder / "b.db") as lab:
        keep(lab, trace_of(1, "run-e"))
        assert (folder / "b.db-wal").exists()

        assert runs_df(folder)["run_id"].tolist() == ["run-a", "run-b", "run-c", "run-e", "run-d"]


def test_a_run_in_two_files_counts_once(folder: Path) -> None:
    trace_of(2, "run-b").to_jsonl(folder / "z.jsonl")

    assert runs_df(folder)["run_id"].tolist() == ["run-a", "run-b", "run-c", "run-d"]
    assert runs_df([folder / "z.jsonl", folder])["n_steps"].tolist() == [2, 3, 4, 5]


def test_an_empty_folder_gives_an_empty_frame(tmp_path: Path) -> None:
    for make in FRAMES.values():
        pd.testing.assert_frame_equal(make(tmp_path), make(Lab()))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", b"Remember the cats.", r"notes\.txt is no trace .* it begins with b'Remember the cat'"),
        ("empty.db", b"", r"empty\.db is no trace .* it is empty"),
        ("part.parquet", b"PAR1....PAR1", r"part\.parquet is a single Parquet file; name the folder"),
        ("chat.jsonl", b'{"role": "user"}\n', r"chat\.jsonl, line 1 is no event of a trace"),
        ("other.db", b"SQLite format 3\0" + bytes(100), r"other\.db is no lab"),
        ("newer.jsonl", b'{"type":"run_started","schema_version":9}\n', r"newer\.jsonl, line 1 has schema version 9"),
    ],
)
def test_something_else_in_a_folder_is_named(name: str, content: bytes, said: str, folder: Path) -> None:
    (folder / name).write_bytes(content)

    with pytest.raises(AgentLabError, match=said):
        runs_df(folder)


def test_a_trace_without_its_beginning_is_named(tmp_path: Path) -> None:
    path = trace_of(2).to_jsonl(tmp_path / "cut.jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[6:]))

    with pytest.raises(StoreError, match=r"cut\.jsonl, line 1 has event 6 of 'run-1' where 0 is next"):
        runs_df(tmp_path)


def test_a_folder_in_a_folder_is_named(folder: Path) -> None:
    (folder / "more").mkdir()

    with pytest.raises(InputError, match="more is a folder without an export"):
        runs_df(folder)


@pytest.mark.parametrize("path", ["no/such/place", "run-1", "a\0b", "x" * 5000], ids=["path", "id", "null", "long"])
def test_a_path_with_nothing_there_is_told(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match=r"there is no file or folder|cannot be read"):
        runs_df(path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_several_runs_gives_them_all(tmp_path: Path) -> None:
    both = b"".join(trace_of(n, f"run-{n}").to_jsonl(tmp_path / "one").read_bytes() for n in (2, 3))
    (tmp_path / "one").unlink()
    (tmp_path / "both.jsonl").write_bytes(both)

    assert runs_df(tmp_path)["n_steps"].tolist() == [2, 3]


def test_tables_of_an_export_are_told_to_be_missing(folder: Path) -> None:
    with pytest.raises(InputError, match=r"c-frames has frames and no events; this needs the lab or the traces"):
        tables_of(folder / "c-frames")
    assert len(tables_of([folder / "a.jsonl", folder / "b.db"]).table("runs")) == 3


def test_whatever_has_runs_is_a_source() -> None:
    trials = [SimpleNamespace(trace=trace_of(2, "run-1")), trace_of(3, "run-2")]

    assert runs_df(SimpleNamespace(runs=trials))["n_steps"].tolist() == [2, 3]
    assert runs_df(iter(trials))["n_steps"].tolist() == [2, 3]
    assert runs_df({"runs": trials}["runs"])["n_steps"].tolist() == [2, 3]


def agent(*texts: str) -> Agent:
    """Says these one after the other, those of its history included."""
    return Agent(ScriptedModel([say(text) for text in texts]), name="counter")


async def family(lab: Lab | None = None) -> list[Any]:
    """A run, two that go on from it, and one that goes on from the second."""
    with frozen(seed=1):
        first = await agent("Two.").run("How many cats?", lab=lab)
        second = await agent("Two.", "Three.").run("And dogs?", history=first, lab=lab)
        third = await agent("Two.", "Four.").run("And birds?", history=first, lab=lab)
        fourth = await agent("Two.", "Three.", "Five.").run("And fish?", history=second, lab=lab)
    return [first, second, third, fourth]


ONCE = ["How many cats?", "Two.", "And dogs?", "Three.", "And birds?", "Four.", "And fish?", "Five."]


async def test_messages_of_a_run_that_goes_on_count_once() -> None:
    runs = await family()

    once, each = messages_df(runs), messages_df(runs, inherited="each")

    assert once["text"].tolist() == ONCE
    assert set(once["source"]) == {"input", "model"}
    assert (len(each), each["message_id"].nunique()) == (2 + 4 + 4 + 6, 8)
    assert runs_df(runs)["n_messages"].tolist() == [2, 2, 2, 2]
    assert runs_df(runs, inherited="each")["n_messages"].tolist() == [2, 4, 4, 6]
    assert len(events_df(runs)) == runs_df(runs)["n_events"].sum()


async def test_where_the_parent_is_not_in_the_frame_its_messages_stay_once() -> None:
    first, second, third, fourth = await family()

    assert second.messages_df()["text"].tolist() == ONCE[:4]
    assert second.runs_df()["n_messages"].tolist() == [4]
    assert messages_df([second, third])["text"].tolist() == [*ONCE[:4], *ONCE[4:6]]
    assert messages_df([first, fourth])["text"].tolist() == [*ONCE[:2], *ONCE[2:4], *ONCE[6:]]
    assert runs_df([second, third, fourth])["n_messages"].tolist() == [4, 2, 2]


async def test_the_order_of_the_runs_does_not_matter() -> None:
    runs = await family()

    frame = messages_df(runs[::-1])

    assert sorted(frame["text"]) == sorted(ONCE)
    assert rows(frame[frame["run_id"] == runs[0].id], "text") == [("How many cats?",), ("Two.",)]


async def test_a_lab_and_its_export_count_like_the_runs(tmp_path: Path) -> None:
    with Lab(tmp_path / "lab.db") as lab:
        runs = await family(lab)
        lab.to_parquet(tmp_path / "frames")

        for how in ("once", "each"):
            for make in (messages_df, runs_df):
                expected = make(runs, inherited=how)
                pd.testing.assert_frame_equal(make(lab, inherited=how), expected)
                pd.testing.assert_frame_equal(make(tmp_path / "frames", inherited=how), expected)


async def test_conditions_on_runs_say_which_are_there_and_others_do_not() -> None:
    runs = await family()

    for where in ({"run_id": runs[1].id}, pc.field("run_id") == runs[1].id):
        assert messages_df(runs, where=where)["text"].tolist() == ONCE[2:4]
        assert runs_df(runs, where=where)["n_messages"].tolist() == [2]
        assert runs_df(runs, where=where, columns=["run_id"])["run_id"].tolist() == [runs[1].id]
    assert messages_df(runs, runs=[runs[1].id])["text"].tolist() == ONCE[:4]
    assert messages_df(runs, where={"source": "history"}).empty
    assert messages_df(runs, columns=["text"], where={"text": "Two."}).shape == (1, 1)
    assert runs_df(runs, columns=["n_messages"], where={"n_messages": (">", 2)}).empty


async def test_a_history_of_plain_messages_is_ones_own() -> None:
    with frozen(seed=1):
        first = await agent("Two.").run("How many cats?")
        others = [await agent("Two.", "Three.").run("And dogs?", history=first.messages) for _ in range(2)]

    assert runs_df([first, *others])["n_messages"].tolist() == [2, 4, 4]


def test_steps_of_a_run_that_goes_on_are_its_own() -> None:
    assert steps_df([Story("run-1").step(reply()).end(), Story("run-2").step(reply()).end()])["step"].tolist() == [1, 1]


def cut(n_steps: int, n_events: int) -> Trace:
    return Trace(trace_of(n_steps).events[:n_events])


@pytest.mark.parametrize(("older", "newer"), [("a", "z"), ("z", "a")])
@pytest.mark.parametrize("kind", ["trace", "lab", "export"])
def test_of_two_copies_that_with_the_most_events_counts(kind: str, older: str, newer: str, tmp_path: Path) -> None:
    if kind == "trace":
        cut(5, 10).to_jsonl(tmp_path / f"{older}.jsonl")
    elif kind == "lab":
        lab_at(tmp_path / f"{older}.db", cut(5, 10))
    else:
        cut(5, 10).to_parquet(tmp_path / older)
    lab_at(tmp_path / f"{newer}.db", trace_of(5))

    assert rows(runs_df(tmp_path), "n_steps", "status") == [(5, "finished")]
    assert steps_df(tmp_path)["step"].tolist() == [1, 2, 3, 4, 5]


def test_of_two_traces_in_a_list_the_longer_one_counts() -> None:
    assert runs_df([cut(5, 10), trace_of(5)])["n_steps"].tolist() == [5]
    assert runs_df([trace_of(5), cut(5, 10)])["n_steps"].tolist() == [5]


def placed(trace: Trace, kind: str, path: Path) -> Any:
    """A trace as a source of this kind."""
    if kind == "trace":
        return trace
    if kind == "file":
        return trace.to_jsonl(path.with_suffix(".jsonl"))
    return lab_at(path.with_suffix(".db"), trace) if kind == "lab" else trace.to_parquet(path)


KINDS = ["trace", "file", "lab", "export"]


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
async def test_two_runs_with_one_id_are_refused_and_copies_of_one_are_not(
    first: str, second: str, tmp_path: Path
) -> None:
    async def seeded(name: str, *said: str) -> Trace:
        with frozen(seed=1):
            model = ScriptedModel(said, ttft_s=0.1, gap_s=0.01)
            run = await Agent(model, name=name).run("My key is sk-proj-" + "a1B2" * 10)
        return run.trace

    one, copy = await seeded("brief", "Two."), await seeded("brief", "Two.")
    others = [await seeded("thorough", "Two."), await seeded("brief", "I have counted two of them.")]
    source = placed(one, first, tmp_path / "a")

    assert len(runs_df([source, placed(copy, second, tmp_path / "b")])) == 1
    for n, other in enumerate(others):
        both = [source, placed(other, second, tmp_path / f"other-{n}")]
        for make in (messages_df, runs_df):
            with pytest.raises(InputError, match=rf"two different runs are called {one.run_id}: .* a seed of its own"):
                make(both)


@pytest.mark.parametrize("said", ["Two.", "Six."])
async def test_what_two_runs_said_tells_them_apart_where_their_times_do_not(said: str) -> None:
    runs = []
    for text in ("Two.", said):
        with frozen(seed=1):
            runs.append(await Agent(ScriptedModel([text])).run("How many?"))

    if said == "Two.":
        assert len(runs_df(runs)) == 1
    else:
        with pytest.raises(InputError, match="two different runs are called"):
            runs_df(runs)


@pytest.mark.parametrize("name", ["a-frames", "z-frames"])
def test_an_export_beside_its_lab_is_in_nobodys_way(name: str, tmp_path: Path) -> None:
    lab = lab_at(tmp_path / "lab.db", cut(3, 20))
    expected = latency_df(lab), usage_df(lab)
    trace_of(3).to_parquet(tmp_path / name)

    pd.testing.assert_frame_equal(latency_df(tmp_path), expected[0])
    pd.testing.assert_frame_equal(usage_df(tmp_path), expected[1])
    assert runs_df(tmp_path)["status"].tolist() == ["finished"]


def test_runs_that_only_an_export_has_are_named(folder: Path) -> None:
    for make in (latency_df, usage_df):
        with pytest.raises(
            InputError, match=r"c-frames has frames and no events; .* of run-d, which stand nowhere else"
        ):
            make(folder)
        assert len(make(folder, runs=["run-a"])) > 0


@pytest.mark.parametrize("make", [messages_df, latency_df])
def test_runs_may_come_from_an_iterator(make: Any, folder: Path) -> None:
    assert set(make(folder, runs=iter(["run-b", "run-c"]))["run_id"]) == {"run-b", "run-c"}
    assert set(make(folder, runs=pd.Series(["run-b"]))["run_id"]) == {"run-b"}


@pytest.mark.parametrize("runs", [5, [5], "run-b", b"run-b", [None]], ids=repr)
def test_runs_that_are_no_ids_are_refused(runs: Any) -> None:
    with pytest.raises(InputError, match="`runs` takes a list of run ids, not"):
        runs_df(Lab(), runs=runs)


@pytest.mark.parametrize(
    "source",
    [
        pd.DataFrame({"run_id": ["run-1"]}),
        pd.Series(["run-1"]),
        np.array(["run-1"]),
        pa.table({"run_id": ["run-1"]}),
        pd.DataFrame,
        Trace,
        trace_of(1).events,
        trace_of(1).events[0],
        SimpleNamespace(trace="run-1"),
        {"run-1": trace_of(1)},
        bytearray(b"run-1"),
    ],
    ids=lambda source: type(source).__name__,
)
def test_what_is_no_source_is_told(source: Any) -> None:
    with pytest.raises(InputError, match=r"frames are made from a run, a trace, a lab, .*, not from "):
        runs_df(source)


@pytest.mark.parametrize("name", ["pipe", "pipe.jsonl"])
def test_a_pipe_is_not_waited_for(name: str, folder: Path) -> None:
    os.mkfifo(folder / name)
    writer = os.open(folder / name, os.O_RDWR)  # else a broken check would hang here
    os.write(writer, b"something else than a run")
    try:
        with pytest.raises(InputError, match=r"pipe.* is neither a file nor a folder"):
            runs_df(folder)
    finally:
        os.close(writer)


def lines_of(n_steps: int, tmp_path: Path) -> list[bytes]:
    return trace_of(n_steps).to_jsonl(tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)


def test_a_trace_that_was_written_twice_into_a_file_counts_once(tmp_path: Path) -> None:
    lines = lines_of(3, tmp_path)
    (tmp_path / "whole.jsonl").write_bytes(b"".join(lines + lines))

    pd.testing.assert_frame_equal(runs_df(tmp_path), runs_df(trace_of(3)))
    assert Trace.from_jsonl(tmp_path / "whole.jsonl").events == trace_of(3).events


def test_lines_that_do_not_follow_are_refused(tmp_path: Path) -> None:
    lines, path = lines_of(3, tmp_path), tmp_path / "whole.jsonl"
    other = lines[2].replace(b"How many cats?", b"How many dogs?")
    assert other != lines[2]
    for broken, said in (
        (lines[:5] + lines[6:], r"line 6 has event 6 of 'run-1' where 5 is next: lines are missing"),
        (lines[::-1], r"line 1 has event \d+ of 'run-1' where 0 is next"),
        ([*lines, other], r"line \d+ has another event 2 of 'run-1'"),
        ([*lines[:4], lines[7].strip()], r"line 5 has event 7 of 'run-1' where 4 is next"),
    ):
        path.write_bytes(b"".join(broken))
        for read in (runs_df, Trace.from_jsonl):
            with pytest.raises(StoreError, match=rf"whole\.jsonl, {said}"):
                read(path)


def test_events_of_types_not_known_here_count_as_lines(tmp_path: Path) -> None:
    text = b"".join(lines_of(3, tmp_path))
    later = text.replace(b'"type":"continuation_decided"', b'"type":"later_decided"')
    assert later != text
    (tmp_path / "whole.jsonl").write_bytes(later)

    assert runs_df(tmp_path)["n_steps"].tolist() == [3]


@pytest.mark.parametrize(
    ("damage", "make"),
    [
        ("update chunk_logs set data = x'0011' where run_key = 2", steps_df),
        ("update journal set events = '[{]' where run_key = 2", events_df),
        ("update journal set events = '[{}]' where run_key = 2", events_df),
        ("update journal set events = '[3]' where run_key = 2", events_df),
    ],
)
def test_a_damaged_run_of_a_lab_is_named(damage: str, make: Any, tmp_path: Path) -> None:
    path = lab_at(tmp_path / "lab.db", trace_of(2, "run-a"), trace_of(2, "run-b"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(damage)
        connection.commit()

    with pytest.raises(StoreError, match=r"run-b .*<Lab .*lab\.db"):
        make(path)


def test_a_damaged_journal_is_named_where_frames_are_made_from_it(tmp_path: Path) -> None:
    path = lab_at(tmp_path / "lab.db", trace_of(2, "run-a"), trace_of(2, "run-b"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("delete from packs")
        connection.execute("update journal set events = '[{]' where run_key = 2")
        connection.commit()

    with pytest.raises(StoreError, match=r"run-b is damaged in <Lab .*lab\.db"):
        messages_df(path)


@pytest.mark.parametrize("n_events", [12, 15, 24, 30])
@pytest.mark.parametrize(
    "make",
    [runs_df, steps_df, context_df, lambda source: usage_df(source, by="tool"), lambda source: ledger(source).problems],
    ids=["runs", "steps", "context", "tools", "problems"],
)
def test_a_run_that_grows_while_it_is_read_is_read_as_of_one_moment(
    make: Any, n_events: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = trace_of(6).events
    expected = make(Trace(events[:n_events], live=True))
    lab, rest, read = Lab(), iter(events), Reader.table
    journal = lab.journal("run-1")

    def write(n: int) -> None:
        for event in islice(rest, n):
            journal.append(event)
        journal.flush()

    def read_and_write(reader: Reader, *arguments: Any) -> pa.Table:
        table = read(reader, *arguments)
        write(7)
        return table

    write(n_events)
    monkeypatch.setattr(Reader, "table", read_and_write)
    pd.testing.assert_frame_equal(make(lab), expected)
