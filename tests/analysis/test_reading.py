"""Which columns, rows and runs of a frame, and as what."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from agentlab.analysis import reading, tables
from agentlab.analysis.columns import columns_of
from agentlab.analysis.frames import ALL, chunks_df, events_df, messages_df, runs_df, steps_df, tool_calls_df
from agentlab.errors import InputError
from agentlab.lab import reader
from agentlab.lab.lab import Lab
from tests.analysis.test_frames import FRAMES, rows
from tests.factories import Story, reply, tool, trace_of
from tests.lab.test_lab import keep


@pytest.fixture(scope="module")
def lab() -> Lab:
    lab = Lab()
    for n in (4, 9, 2):
        keep(lab, trace_of(n, f"run-{n}", minutes=n))
    keep(lab, Story("run-other").step(reply(calls=["fetch"]), tool("fetch", asked_s=0.5)).end("error"))
    return lab


@pytest.mark.parametrize("name", FRAMES)
def test_each_column_can_be_had_alone_and_in_any_order(name: str, lab: Lab) -> None:
    whole = FRAMES[name](lab)

    for column in whole.columns:
        pd.testing.assert_series_equal(FRAMES[name](lab, columns=[column])[column], whole[column])
    turned = list(whole.columns)[::-1]
    pd.testing.assert_frame_equal(FRAMES[name](lab, columns=turned), whole[turned])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["role", "colour"], r"`messages` has no column 'colour'; it has run_id, step, seq"),
        ([["role"]], r"`messages` has no column \['role'\]"),
        (["role", "role"], "names 'role' more than once"),
        ("role", "takes a list of names, not 'role'"),
        ([], "names none"),
        (3, "takes a list of names, not 3"),
    ],
)
def test_unknown_columns_are_refused_with_those_there_are(columns: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        messages_df(Lab(), columns=columns)


def test_what_is_not_asked_for_is_not_read(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    packed = reader.Reader._packed
    monkeypatch.setattr(
        reader.Reader, "_packed", lambda self, names, run_ids: asked.append(names) or packed(self, names, run_ids)
    )
    monkeypatch.setattr(reader.Reader, "chunk_logs", lambda *_: pytest.fail("chunk logs were read"))

    messages_df(lab, columns=["role"])
    messages_df(lab, columns=["role"], where={"text": None})
    steps_df(lab, columns=["n_tool_calls", "duration_s", "input_tokens"])
    tool_calls_df(lab, columns=["arguments"])

    assert asked[:2] == [["messages"], ["messages", "messages.text"]]
    assert "tool_calls.text" not in [name for names in asked for name in names]
    assert asked[-1] == ["tool_calls", "tool_calls.arguments"]


@pytest.mark.parametrize(
    ("make", "column", "read"),
    [
        (runs_df, "run_id", {"runs"}),
        (runs_df, "n_steps", {"runs", "steps"}),
        (runs_df, "n_tool_errors", {"runs", "tool_calls"}),
        (runs_df, "input_tokens", {"runs", "model_calls"}),
        (steps_df, "step", {"steps"}),
        (steps_df, "model", {"runs", "steps", "model_calls"}),
        (steps_df, "n_tool_calls", {"runs", "steps", "tool_calls"}),
    ],
)
def test_a_table_that_no_column_needs_is_not_read(
    make: Any, column: str, read: set[str], lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    columns = Lab.columns
    monkeypatch.setattr(
        Lab, "columns", lambda lab, name, *ids, **which: asked.add(name) or columns(lab, name, *ids, **which)
    )

    make(lab, columns=[column], inherited="each")

    assert asked == read


LATE = pd.Timestamp("2026-01-02 03:10", tz="UTC")

TAKES_THE_ROWS_WHERE = [
    ({"role": "tool"}, lambda f: f["role"] == "tool"),
    ({"role": ["tool", "user"]}, lambda f: f["role"].isin(["tool", "user"])),
    ({"text": None}, lambda f: f["text"].isna()),
    ({"name": ["search", None]}, lambda f: (f["name"] == "search") | f["name"].isna()),
    ({"step": (">=", 3)}, lambda f: f["step"] >= 3),
    ({"step": [1, 2.5, 3.0]}, lambda f: f["step"].isin([1, 3])),
    ({"step": ("<", 2.5)}, lambda f: f["step"] < 2.5),
    ({"t_s": [(">", 0.5), ("<=", 1.5)]}, lambda f: (f["t_s"] > 0.5) & (f["t_s"] <= 1.5)),
    ({"name": ("!=", "search")}, lambda f: (f["name"] != "search") & f["name"].notna()),
    ({"name": ("not in", ["search"])}, lambda f: (f["name"] != "search") & f["name"].notna()),
    ({"name": ("!=", None)}, lambda f: f["name"].notna()),
    ({"is_error": True}, lambda f: f["is_error"].fillna(False)),
    ({"text": ("contains", "cats")}, lambda f: f["text"].str.contains("cats").fillna(False)),
    ({"run_id": "run-9", "step": 2}, lambda f: (f["run_id"] == "run-9") & (f["step"] == 2)),
    ({"run_id": ("!=", "run-9")}, lambda f: f["run_id"] != "run-9"),
    ({"seq": np.int64(2)}, lambda f: f["seq"] == 2),
    (
        {"created_at": (">", LATE)},
        lambda f: f["created_at"] > LATE,
    ),
    ({}, lambda f: f["seq"] >= 0),
    (pc.field("step") * 2 > pc.field("n_tool_calls"), lambda f: f["step"] * 2 > f["n_tool_calls"]),
]


@pytest.mark.parametrize(
    ("where", "expected"), TAKES_THE_ROWS_WHERE, ids=[str(w)[:40] for w, _ in TAKES_THE_ROWS_WHERE]
)
def test_only_rows_that_meet_the_conditions(where: Any, expected: Any, lab: Lab) -> None:
    whole = messages_df(lab)
    wanted = whole[expected(whole).astype(bool)].reset_index(drop=True)

    found = messages_df(lab, where=where)

    assert len(found) > 0
    assert found["seq"].tolist() == wanted["seq"].tolist()
    assert found["run_id"].tolist() == wanted["run_id"].tolist()
    assert messages_df(lab, where=where, columns=["text"])["text"].equals(wanted["text"])


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"colour": 1}, "names no column of this frame: 'colour'; there are run_id, step"),
        ({3: 1}, "names no column of this frame: 3"),
        ({"role": "asistant"}, "`role` is never 'asistant'; it is one of system, user, assistant"),
        ({"step": "3"}, "`step` is int64 and cannot be compared with '3'"),
        ({"step": True}, "`step` is int64 and cannot be compared with True"),
        ({"step": (">", None)}, "`step` is int64 and cannot be compared with None"),
        ({"is_error": 1}, "`is_error` is bool and cannot be compared with 1"),
        ({"text": {"a": 1}}, "`text` is string and cannot be compared with"),
        ({"step": ("in", 3)}, "'in' takes a list of values, not 3"),
        ({"step": ("contains", "3")}, "'contains' looks for a text in texts"),
        ({"step": ("=>", 2)}, "`step`: '=>' is no operator; there are ==, !=, <"),
        ({"role": ("<>", "tool")}, "`role`: '<>' is no operator"),
        ({"created_at": (">", "yesterday")}, "cannot be compared with 'yesterday'"),
        ("role == 'tool'", 'takes conditions by column or an Arrow expression, not "role'),
        (pc.field("colour") == 1, "does not fit the columns run_id, step, .*colour"),
        (pc.field("step") == "a", "does not fit the columns"),
        (pc.field("step") + 1, "does not fit the columns"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_conditions_that_do_not_fit_are_refused(where: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        messages_df(Lab(), where=where)


@pytest.mark.parametrize("name", FRAMES)
def test_pages_make_up_the_whole(name: str, lab: Lab) -> None:
    whole = FRAMES[name](lab, engine="pyarrow")
    size = max(1, len(whole) // 3)

    pages = [FRAMES[name](lab, limit=size, offset=n, engine="pyarrow") for n in range(0, len(whole), size)]

    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
    assert pa.concat_tables(pages, promote_options="permissive").to_pylist() == whole.to_pylist()
    assert len(FRAMES[name](lab, limit=0)) == len(FRAMES[name](lab, offset=len(whole))) == 0
    assert len(FRAMES[name](lab, offset=1)) == len(whole) - 1


def test_no_more_runs_are_read_than_the_page_needs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_GROUP_BYTES", 1)
    read: list[list[str]] = []
    columns = Lab.columns
    monkeypatch.setattr(
        Lab, "columns", lambda self, name, ids, **which: read.append(ids) or columns(self, name, ids, **which)
    )

    assert len(messages_df(lab, limit=3)) == 3

    assert read == [["run-4"]]


@pytest.mark.parametrize("name", FRAMES)
def test_groups_of_runs_make_up_the_whole(name: str, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = FRAMES[name](lab)
    monkeypatch.setattr(reader, "_GROUP_BYTES", 1)

    pd.testing.assert_frame_equal(FRAMES[name](lab), whole)
    later = FRAMES[name](lab, offset=len(whole) - 1, limit=3)
    assert later.astype(object).equals(whole.iloc[-1:].reset_index(drop=True).astype(object))


@pytest.mark.parametrize(
    "wrong", [{"limit": -1}, {"limit": 1.5}, {"offset": -1}, {"offset": True}, {"engine": "dask"}, {"inherited": "no"}]
)
def test_other_arguments_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"`{next(iter(wrong))}`"):
        runs_df(Lab(), **wrong)


@pytest.mark.parametrize("runs", ["run-1", [1]], ids=repr)
def test_runs_are_given_as_a_list(runs: Any) -> None:
    with pytest.raises(InputError, match="`runs` takes a list of run ids"):
        runs_df(Lab(), runs=runs)


@pytest.mark.parametrize("name", FRAMES)
def test_all_engines_hold_the_same(name: str, lab: Lab) -> None:
    table, frame = FRAMES[name](lab, engine="pyarrow"), FRAMES[name](lab, engine="polars")

    assert isinstance(table, pa.Table)
    assert isinstance(frame, pl.DataFrame)
    assert frame.to_dicts() == table.to_pylist()
    in_pandas = FRAMES[name](lab).astype(object)
    assert table.to_pandas(types_mapper=pd.ArrowDtype).astype(object).equals(in_pandas.where(in_pandas.notna(), pd.NA))


@pytest.mark.parametrize("engine", ["pyarrow", "polars"])
@pytest.mark.parametrize("name", FRAMES)
def test_an_empty_lab_has_the_types_of_a_full_one(name: str, engine: Any, lab: Lab) -> None:
    nothing, full = FRAMES[name](Lab(), engine=engine), FRAMES[name](lab, engine=engine)

    assert len(nothing) == 0
    assert nothing.schema == full.schema
    for column in columns_of(name):
        if engine == "polars" and column.is_category:
            assert isinstance(nothing.schema[column.name], pl.Enum if column.words else pl.Categorical)


def test_without_polars_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fails(name: str, *rest: Any) -> Any:
        if name == "polars":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", fails)
    with pytest.raises(InputError, match=r"polars is not installed: `pip install \"agentlab-jupyter\[scale\]\"`"):
        runs_df(Lab(), engine="polars")


def test_frames_of_traces_hold_no_keys() -> None:
    key = "sk-proj-abcdefghijklmnop1234567890"
    trace = Story(question=f"My key is {key}.").step(reply(calls=["a"]), tool("a", text=f"password={key}")).end()

    for name, make in FRAMES.items():
        assert key not in make(trace).to_csv(), name
    assert messages_df(trace)["text"][1] == "My key is [redacted]."


def test_events_tell_what_happened() -> None:
    story = Story().step(reply(calls=["search"], ttft_s=1.0, gap_s=0.0), tool("search", 0.5, ok=False))
    story.step(reply(purpose="approval"), reply(complete=False), error="ServerError")
    story.decide("call-9", "wipe", "deny")

    frame = events_df(story.end("llm_api_error"))

    found = rows(frame[frame["outcome"].notna()], "type", "call_id", "tool", "outcome")
    assert found == [
        ("tool_returned", "call-run-1-1", "search", "error"),
        ("error_raised", None, None, "INTERNAL_SERVER_ERROR"),
        ("approval_decided", "call-9", "wipe", "deny"),
        ("run_finished", None, None, "llm_api_error"),
    ]
    assert rows(frame[frame["purpose"].notna()], "step", "type", "purpose") == [
        (1, "model_called", "step"),
        (1, "model_replied", "step"),
        (2, "model_called", "approval"),
        (2, "model_replied", "approval"),
        (2, "model_called", "step"),
        (2, "model_replied", "step"),
    ]
    assert rows(frame[frame["role"].notna()], "message_id", "role")[0] == ("message-run-1-1", "system")
    assert frame["seq"].tolist() == list(range(len(frame)))
    assert frame["t_s"].tolist()[:2] == [0.0, 0.001]
    assert frame["data"].str.startswith("{").all()
    assert '"chunks":{"request_ns"' in frame.loc[frame["type"] == "model_replied", "data"].iloc[0]


def test_events_build_no_event_and_no_message(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "decode", lambda *_, **__: pytest.fail("events were built"))

    assert len(events_df(lab)) == runs_df(lab)["n_events"].sum()
    assert len(messages_df(lab)) == runs_df(lab)["n_messages"].sum()


def test_small_traces_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = tables.TraceTables.__init__
    monkeypatch.setattr(
        tables.TraceTables, "__init__", lambda self, found: made.append(len(found)) or real(self, found)
    )

    chunks_df([trace_of(2, f"run-{n}") for n in range(7)])

    assert made == [7]


def test_every_frame_here_has_a_reader() -> None:
    assert [frame.name for frame in ALL] == list(FRAMES) == list(reading.MADE)


def test_a_folder_may_be_named_by_a_text(tmp_path: Path) -> None:
    trace_of(2, "run-1").to_jsonl(tmp_path / "a.jsonl")

    assert runs_df(str(tmp_path))["run_id"].tolist() == runs_df(tmp_path)["run_id"].tolist() == ["run-1"]


@pytest.mark.parametrize("of", [pd.Series, np.array, pa.array, lambda values: pd.Series(values, dtype="category")])
def test_values_may_come_from_another_frame(of: Any, lab: Lab) -> None:
    whole = messages_df(lab)

    for where in ({"name": of(["search", None])}, {"name": ("in", of(["search", None]))}):
        found = messages_df(lab, where=where)
        assert len(found) == ((whole["name"] == "search") | whole["name"].isna()).sum()
    assert len(messages_df(lab, where={"step": of([1, 2])})) == whole["step"].isin([1, 2]).sum()
    assert len(messages_df(lab, where={"role": of(["tool"])})) == (whole["role"] == "tool").sum()


@pytest.mark.parametrize(
    "where",
    [
        {"text": "\ud800"},
        {"text": ("contains", "\ud800")},
        {"run_id": ["run-4", "\ud800"]},
        {"role": np.array([["tool"]])},
        {"step": (">", np.array([1, 2]))},
        {"step": np.array([[1, 2]])},
        pc.field("text").cast(pa.int64()) > 3,
        {"step": pd.Series},
    ],
    ids=lambda where: str(where)[:30].encode("ascii", "replace").decode(),
)
def test_conditions_that_no_row_can_be_held_against_are_told(where: Any, lab: Lab, tmp_path: Path) -> None:
    for source in (lab, lab.to_parquet(tmp_path / "frames")):
        with pytest.raises(InputError):
            messages_df(source, where=where)


@pytest.mark.parametrize("number", [2**31, 2**63 - 1, 2**63, 10**30])
def test_any_number_of_rows_may_be_named(number: int, lab: Lab) -> None:
    assert len(runs_df(lab, limit=number)) == len(runs_df(lab)) == len(runs_df(lab, limit=number, offset=1)) + 1
    assert runs_df(lab, offset=number, limit=number).empty
