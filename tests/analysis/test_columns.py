from __future__ import annotations

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
}
UNITS = {"s": "_s", "bytes": "_bytes", "tokens": "_tokens"}


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_has_the_declared_columns_and_types(frame: str) -> None:
    made = MAKERS[frame](approved_trace())

    assert len(made) > 0
    assert list(made.columns) == [c.name for c in FRAMES[frame]]
    assert [made[c.name].dtype for c in FRAMES[frame]] == [c.dtype for c in FRAMES[frame]]


@pytest.mark.parametrize("frame", FRAMES)
def test_an_empty_lab_gives_the_same_frame_without_rows(frame: str) -> None:
    made, nothing = MAKERS[frame](trace_of(4)), MAKERS[frame](Lab())

    assert len(nothing) == 0
    pd.testing.assert_series_equal(nothing.dtypes, made.dtypes)
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
