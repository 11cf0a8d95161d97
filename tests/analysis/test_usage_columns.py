from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pytest

from agentlab.analysis import columns
from agentlab.analysis.column import Column
from agentlab.analysis.context import context_df
from agentlab.analysis.usage import ledger, usage_df
from agentlab.analysis.usage_columns import USAGE_FRAMES
from agentlab.trace.trace import Trace
from tests.factories import Story, reply, tokens, tool

MAKERS: dict[str, Callable[[Trace], pd.DataFrame]] = {
    "usage": usage_df,
    "usage_numbers": lambda trace: usage_df(trace, by="number"),
    "usage_roles": lambda trace: usage_df(trace, by=("run", "role")),
    "usage_tools": lambda trace: usage_df(trace, by=("run", "tool")),
    "usage_problems": lambda trace: ledger(trace).problems,
    "context": context_df,
}


def told() -> Trace:
    return (
        Story().step(reply(calls=["search"], usage=tokens(10, 1, cached_tokens=11)), tool("search")).step(reply()).end()
    )


@pytest.mark.parametrize("frame", USAGE_FRAMES)
def test_a_frame_has_the_declared_columns_and_types(frame: str, tmp_path: object) -> None:
    made = MAKERS[frame](told())

    assert len(made) > 0
    assert list(made.columns) == [c.name for c in USAGE_FRAMES[frame]]
    for column in USAGE_FRAMES[frame]:
        assert str(made[column.name].dtype) == str(column.dtype)
        assert not pa.types.is_nested(column.arrow_type)
    pd.testing.assert_series_equal(columns.empty(frame).dtypes.astype(str), made.dtypes.astype(str))


@pytest.mark.parametrize("frame", USAGE_FRAMES)
def test_the_columns_are_told(frame: str) -> None:
    assert columns.describe(frame)["meaning"].tolist() == [c.meaning for c in USAGE_FRAMES[frame]]


@pytest.mark.parametrize("make", [usage_df, context_df])
def test_the_documentation_is_the_declaration(make: Callable[..., pd.DataFrame]) -> None:
    frame = {usage_df: "usage", context_df: "context"}[make]

    for column in USAGE_FRAMES[frame]:
        assert f"    {column.name}: {column.meaning}" in (make.__doc__ or "")


@pytest.mark.parametrize("column", [c for frame in USAGE_FRAMES.values() for c in frame], ids=lambda c: c.name)
def test_a_unit_stands_in_the_name(column: Column) -> None:
    if column.unit:
        assert column.name == column.unit or column.name.endswith(f"_{column.unit.lower()}")


@pytest.mark.parametrize("frame", USAGE_FRAMES)
def test_a_frame_survives_a_parquet_file(frame: str, tmp_path: object) -> None:
    made = MAKERS[frame](told())

    made.to_parquet(f"{tmp_path}/{frame}.parquet")
    back = pd.read_parquet(f"{tmp_path}/{frame}.parquet", dtype_backend="pyarrow")

    assert back.astype(made.dtypes.to_dict()).equals(made)
