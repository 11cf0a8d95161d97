"""Frames in Parquet: written whole or not at all, read back equal, and read by others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import duckdb
import pandas as pd
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentlab.analysis import export
from agentlab.analysis.columns import columns_of
from agentlab.analysis.frames import ALL, messages_df, runs_df, steps_df
from agentlab.errors import InputError, NewerSchemaError, StoreError
from agentlab.lab import reader
from agentlab.lab.lab import Lab
from agentlab.trace.trace import Trace
from tests.analysis.test_frames import FRAMES, rename, rows
from tests.factories import Story, reply, tool, trace_of, traces
from tests.lab.test_lab import keep

HOSTILE_IDS = ["../../up", "/etc/passwd", "a/b", "..", "nul\0l", "x" * 300, "<b>", "run=1", "caf\udce9", ".hidden", ""]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Written into several files."""
    monkeypatch.setattr(reader, "_GROUP_BYTES", 1)
    lab = Lab(tmp_path / "lab.db")
    for n in (4, 9, 2):
        keep(lab, trace_of(n, f"run-{n}", minutes=n))
    keep(lab, Story("run-other").step(reply(calls=["fetch"]), tool("fetch", asked_s=0.5)).end("error"))
    return lab


@pytest.mark.parametrize("engine", ["pandas", "pyarrow", "polars"])
@pytest.mark.parametrize("name", FRAMES)
def test_an_export_reads_back_as_the_frames_of_the_lab(name: str, engine: Any, lab: Lab, tmp_path: Path) -> None:
    folder = lab.to_parquet(tmp_path / "frames")

    made, expected = FRAMES[name](folder, engine=engine), FRAMES[name](lab, engine=engine)

    assert len(list((folder / name).iterdir())) == 4
    assert made.equals(expected)
    assert len(made) > 0
    if engine == "pandas":
        pd.testing.assert_frame_equal(made, expected)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(traces(), max_size=3))
def test_any_runs_read_back_equal(tmp_path: Path, drawn: list[Trace]) -> None:
    renamed = [rename(trace, f"run-{n}") for n, trace in enumerate(drawn)]

    folder = export.to_parquet(renamed, tmp_path / "frames")

    for make in FRAMES.values():
        pd.testing.assert_frame_equal(make(folder), make(renamed))


def test_columns_rows_and_pages_of_an_export(lab: Lab, tmp_path: Path) -> None:
    folder = lab.to_parquet(tmp_path / "frames")
    for query in (
        {"columns": ["text", "role"], "where": {"role": "tool"}},
        {"where": {"name": ["search", None], "step": (">", 1)}, "limit": 5, "offset": 2},
        {"runs": ["run-2", "run-9"], "where": {"run_id": ("!=", "run-2")}},
        {"where": pc.field("step") > 3, "columns": ["message_id"]},
        {"offset": 10_000},
    ):
        pd.testing.assert_frame_equal(messages_df(folder, **query), messages_df(lab, **query))


def test_duckdb_reads_a_frame_in_one_line(lab: Lab, tmp_path: Path) -> None:
    folder = lab.to_parquet(tmp_path / "frames")

    read = duckdb.sql(f"SELECT * FROM '{folder}/messages/*.parquet'")  # noqa: S608

    expected = messages_df(lab).sort_values(["run_id", "seq"])
    assert read.columns == list(expected.columns)
    assert read.order("run_id, seq").project("run_id, seq, role, text").fetchall() == rows(
        expected, "run_id", "seq", "role", "text"
    )
    tools = f"SELECT tool, count(*), sum(duration_s) FROM '{folder}/tool_calls/*.parquet' GROUP BY tool ORDER BY tool"  # noqa: S608
    calls = lab.tool_calls_df().groupby("tool", observed=True)["duration_s"]
    assert [row[:2] for row in duckdb.sql(tools).fetchall()] == list(calls.size().items())


@pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")  # of dask, from pandas 3.1 on
def test_dask_reads_a_frame_in_one_line(lab: Lab, tmp_path: Path) -> None:
    folder = lab.to_parquet(tmp_path / "frames")

    read = dd.read_parquet(folder / "steps")

    expected = steps_df(lab)
    assert list(read.columns) == list(expected.columns)
    assert read.npartitions >= 1
    pd.testing.assert_series_equal(
        read["ttft_s"].compute().reset_index(drop=True), expected["ttft_s"], check_dtype=False
    )
    assert read.groupby("run_id")["n_tool_calls"].sum().compute().to_dict() == (
        expected.groupby("run_id")["n_tool_calls"].sum().to_dict()
    )


def test_polars_scans_a_frame_in_one_line(lab: Lab, tmp_path: Path) -> None:
    folder = lab.to_parquet(tmp_path / "frames")

    found = pl.scan_parquet(folder / "chunks").filter(pl.col("payload")).select(pl.len()).collect().item()

    assert found == lab.chunks_df()["payload"].sum()


@pytest.mark.parametrize("name", FRAMES)
def test_an_empty_lab_is_exported_with_its_types(name: str, tmp_path: Path) -> None:
    folder = Lab().to_parquet(tmp_path / "frames")

    pd.testing.assert_frame_equal(FRAMES[name](folder), FRAMES[name](Lab()))
    assert duckdb.sql(f"SELECT count(*) FROM '{folder}/{name}/*.parquet'").fetchall() == [(0,)]  # noqa: S608
    assert list(dd.read_parquet(folder / name).columns) == [c.name for c in columns_of(name)]


def test_names_of_runs_never_become_paths(tmp_path: Path) -> None:
    inside = tmp_path / "in" / "side"
    inside.mkdir(parents=True)
    hostile = [rename(trace_of(2), run_id) for run_id in HOSTILE_IDS]

    folder = export.to_parquet(hostile, inside / "frames")

    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    parts = {f"in/side/frames/{frame.name}/part-00000.parquet" for frame in ALL}
    assert written == parts | {"in/side/frames/_agentlab.json"}
    assert runs_df(folder)["run_id"].tolist() == [run_id.replace("\udce9", r"\udce9") for run_id in HOSTILE_IDS]


def test_no_key_reaches_a_file(tmp_path: Path) -> None:
    key = "sk-proj-abcdefghijklmnop1234567890"
    trace = Story(question=f"My key is {key}.").step(reply(calls=["a"]), tool("a", text=f"password={key}")).end()

    folder = trace.to_parquet(tmp_path / "frames")

    for path in folder.rglob("*.parquet"):
        assert key not in str(pq.read_table(path).to_pylist())
    assert "[redacted]" in str(pq.read_table(folder / "events").to_pylist())


def test_an_older_export_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    export.to_parquet([trace_of(2, "run-1"), trace_of(2, "run-2")], folder)

    assert trace_of(3, "run-3").to_parquet(folder) == folder

    assert runs_df(folder)["run_id"].tolist() == ["run-3"]
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


@pytest.mark.parametrize(
    "made", ["notes.txt", "messages/notes.txt", "frames/part-00000.parquet", "messages/part-00000.parquet"]
)
def test_a_folder_with_something_else_in_it_is_left_alone(made: str, tmp_path: Path) -> None:
    path = tmp_path / "frames" / made
    path.parent.mkdir(parents=True)
    path.write_text("mine")

    with pytest.raises(InputError, match=r"frames is not empty, and '.*' in it is of no export; name another folder"):
        trace_of(1).to_parquet(tmp_path / "frames")

    assert path.read_text() == "mine"


def test_an_export_to_which_something_was_added_is_left_alone(tmp_path: Path) -> None:
    folder = trace_of(1).to_parquet(tmp_path / "frames")
    (folder / "messages" / "mine.parquet").write_text("mine")

    with pytest.raises(InputError, match=r"'mine\.parquet' in it is of no export"):
        trace_of(1).to_parquet(folder)
    assert (folder / "messages" / "mine.parquet").read_text() == "mine"


def test_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path)

    for name, said in (("file", "is no folder"), ("link", "is no folder"), ("no/where", "there is no folder")):
        with pytest.raises(InputError, match=said):
            trace_of(1).to_parquet(tmp_path / name)
    assert trace_of(1).to_parquet(tmp_path / "new").is_dir()


def test_what_fails_half_way_leaves_what_was_there(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = trace_of(1).to_parquet(tmp_path / "frames")
    wrote = pq.write_table
    written: list[Path] = []

    def fails(table: Any, path: Path, **how: Any) -> None:
        written.append(path)
        if len(written) > 10:
            raise OSError(28, "No space left on device")
        wrote(table, path, **how)

    monkeypatch.setattr(export.pq, "write_table", fails)
    with pytest.raises(StoreError, match=r"frames cannot be written: .*No space left"):
        lab.to_parquet(folder)

    assert runs_df(folder)["run_id"].tolist() == ["run-1"]
    assert sorted(path.name for path in tmp_path.iterdir() if "lab.db" not in path.name) == ["frames"]


KILLED = """
import sys, time
from agentlab.analysis import export
from agentlab.trace.trace import Trace
wrote = export.pq.write_table
def slowly(table, path, **how):
    wrote(table, path, **how)
    print("written", flush=True)
    time.sleep(60)
export.pq.write_table = slowly
export.to_parquet(sys.argv[1], sys.argv[2])
"""


def test_what_is_killed_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    source, folder = trace_of(3, "run-new").to_jsonl(tmp_path / "new.jsonl"), tmp_path / "frames"
    trace_of(1, "run-old").to_parquet(folder)
    with subprocess.Popen([sys.executable, "-c", KILLED, source, folder], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        os.kill(process.pid, signal.SIGKILL)

    assert runs_df(folder)["run_id"].tolist() == ["run-old"]
    assert runs_df(tmp_path)["run_id"].tolist() == ["run-old", "run-new"]
    assert runs_df(Trace.from_jsonl(source).to_parquet(folder))["run_id"].tolist() == ["run-new"]


def test_a_reader_sees_the_old_or_the_new(tmp_path: Path) -> None:
    folder = trace_of(1).to_parquet(tmp_path / "frames")
    before = (folder / "runs").stat().st_ino

    trace_of(1).to_parquet(folder)

    assert (folder / "runs").stat().st_ino != before


@pytest.mark.parametrize(
    ("marker", "error", "said"),
    [
        (b"", StoreError, "is damaged"),
        (b"[]", StoreError, "is damaged"),
        (b'{"format": "cats", "version": 1, "frames": {}}', StoreError, "is of another format: 'cats'"),
        (b'{"format": "agentlab frames", "version": 2, "frames": {}}', NewerSchemaError, "schema version 2"),
        (b'{"format": "agentlab frames", "version": 1, "frames": {}}', StoreError, "has no `runs`, it has "),
    ],
)
def test_a_damaged_export_is_told(marker: bytes, error: type[Exception], said: str, tmp_path: Path) -> None:
    folder = trace_of(1).to_parquet(tmp_path / "frames")
    (folder / "_agentlab.json").write_bytes(marker)

    with pytest.raises(error, match=said):
        runs_df(folder)


def test_files_that_are_missing_or_broken_are_told(tmp_path: Path) -> None:
    folder = trace_of(1).to_parquet(tmp_path / "frames")
    (folder / "messages" / "part-00000.parquet").write_bytes(b"PAR1 cats PAR1")
    (folder / "steps" / "part-00000.parquet").unlink()

    with pytest.raises(StoreError, match="of `steps` 1 files were written, 0 are there"):
        steps_df(folder)
    with pytest.raises(StoreError, match=r"cannot be read: .*part-00000"):
        messages_df(folder)


def test_a_column_that_an_older_export_lacks_is_not_known(tmp_path: Path) -> None:
    folder = trace_of(2).to_parquet(tmp_path / "frames")
    path = folder / "steps" / "part-00000.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["ttft_s"]), path)

    assert steps_df(folder)["ttft_s"].isna().all()
    assert steps_df(folder)["n_tool_calls"].tolist() == steps_df(trace_of(2))["n_tool_calls"].tolist()


def test_the_marker_says_what_is_there(lab: Lab, tmp_path: Path) -> None:
    folder = lab.to_parquet(tmp_path / "frames")

    told = json.loads((folder / "_agentlab.json").read_text())

    assert told["frames"] == {name: {"files": 4, "rows": len(make(lab))} for name, make in FRAMES.items()}


def test_an_export_of_an_export_is_refused(tmp_path: Path) -> None:
    folder = trace_of(1).to_parquet(tmp_path / "frames")

    with pytest.raises(InputError, match="has frames and no events"):
        export.to_parquet(folder, tmp_path / "again")
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]
