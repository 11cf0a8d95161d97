from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from agentlab.analysis import columns, frames
from agentlab.analysis.column import Column
from agentlab.analysis.columns import FRAMES
from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from agentlab.trace.trace import Trace
from tests.factories import Story, reply, tool, trace_of

MAKERS = {
    "runs": frames.runs_df,
    "steps": frames.steps_df,
    "messages": frames.messages_df,
    "tool_calls": frames.tool_calls_df,
    "approvals": frames.approvals_df,
    "chunks": frames.chunks_df,
    "events": frames.events_df,
}
WORDS_OF_THE_ROWS = {c.name for frame in FRAMES.values() for c in frame if c.is_category and c.words is None}
UNITS = {"s": "_s", "bytes": "_bytes", "tokens": "_tokens"}


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_has_the_declared_columns_and_types(frame: str) -> None:
    made = MAKERS[frame](approved_trace())

    assert len(made) > 0
    assert list(made.columns) == [c.name for c in FRAMES[frame]]
    assert [kind_of(made[c.name]) for c in FRAMES[frame]] == [kind_of(c) for c in FRAMES[frame]]


@pytest.mark.parametrize("frame", FRAMES)
def test_an_empty_lab_gives_the_same_frame_without_rows(frame: str) -> None:
    made, nothing = MAKERS[frame](trace_of(4)), MAKERS[frame](Lab())

    assert len(nothing) == 0
    assert [kind_of(nothing[c.name]) for c in FRAMES[frame]] == [kind_of(made[c.name]) for c in FRAMES[frame]]
    pd.testing.assert_frame_equal(nothing, columns.empty(frame))
    pd.testing.assert_frame_equal(MAKERS[frame]([]), nothing)


@pytest.mark.parametrize("frame", FRAMES)
def test_the_documentation_is_the_declaration(frame: str) -> None:
    told = columns.describe(frame)

    assert list(told.index) == [c.name for c in FRAMES[frame]]
    assert told["meaning"].tolist() == [c.meaning for c in FRAMES[frame]]
    for column in FRAMES[frame]:
        assert f"    {column.name}: {column.meaning}" in (MAKERS[frame].__doc__ or "")


@pytest.mark.parametrize("frame", FRAMES)
def test_no_column_holds_python_objects(frame: str) -> None:
    for column in FRAMES[frame]:
        assert isinstance(column.dtype, pd.ArrowDtype | pd.CategoricalDtype)
        assert column.words is None or len(column.words) > 1
        assert not pa.types.is_nested(column.arrow_type)


@pytest.mark.parametrize("column", [c for frame in FRAMES.values() for c in frame], ids=lambda c: c.name)
def test_a_unit_stands_in_the_name(column: Column) -> None:
    if column.unit in UNITS:
        assert column.name.endswith(UNITS[column.unit])
    elif column.unit:
        assert column.unit == "tokens/s"
        assert "tokens_per_s" in column.name


def test_frames_of_two_runs_stick_together_without_losing_their_types() -> None:
    for make in MAKERS.values():
        one, two = make(trace_of(3, "run-a")), make(trace_of(2, "run-b"))

        both = pd.concat([one, two])

        pd.testing.assert_series_equal(both.dtypes, one.dtypes)


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_survives_a_parquet_file(frame: str, tmp_path: object) -> None:
    made = MAKERS[frame](trace_of(4))

    made.to_parquet(f"{tmp_path}/{frame}.parquet")
    back = pd.read_parquet(f"{tmp_path}/{frame}.parquet", dtype_backend="pyarrow")

    assert back.astype(made.dtypes.to_dict()).equals(made)


def test_words_stand_in_order_and_what_is_not_known_is_none_of_them() -> None:
    steps = MAKERS["steps"](trace_of(3))

    assert steps["finish_reason"].cat.categories.tolist() == ["stop", "tool_calls"]
    assert steps["finish_reason"].tolist() == ["tool_calls", "tool_calls", "stop"]
    assert steps["error_type"].isna().all()
    assert steps["error_type"].cat.categories.dtype == pd.ArrowDtype(pa.string())


def test_frames_with_other_words_stick_together_and_join_as_text() -> None:
    one, two = MAKERS["tool_calls"](trace_of(3)), MAKERS["tool_calls"](Story().step(*used("wipe")).end())

    both = pd.concat([one, two])
    joined = one.merge(two[["tool"]].assign(known=True), on="tool", how="outer")

    assert both["tool"].tolist() == [*one["tool"], "wipe"]
    assert both["tool"].dtype == joined["tool"].dtype == pd.ArrowDtype(pa.string())
    assert MAKERS["tool_calls"]([trace_of(3), Story("run-2").step(*used("wipe")).end()])["tool"].dtype == "category"


def used(name: str) -> tuple[Any, ...]:
    return reply(calls=[name]), tool(name)


def kind_of(typed: Any) -> Any:
    """Its dtype; of a category whose words only the rows know, that it is one."""
    known = isinstance(typed, Column) and typed.is_category and typed.words is None
    known = known or (isinstance(typed, pd.Series) and typed.name in WORDS_OF_THE_ROWS and typed.dtype == "category")
    return "category" if known else typed.dtype


def approved_trace() -> Trace:
    story = Story()
    for n in range(3):
        story.step(reply(calls=["delete"]), tool("delete", asked_s=0.1 * n))
    return story.end()


def test_an_unknown_frame_is_told() -> None:
    with pytest.raises(InputError, match="there is no frame 'cats'; there are runs, steps, messages"):
        columns.describe("cats")


def test_arrays_of_another_frame_are_refused() -> None:
    with pytest.raises(InputError, match="`chunks` is made of other columns"):
        columns.to_pandas("chunks", {"run_id": pa.array(["run-1"])})
