from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given

from agentlab.lab import pack
from agentlab.lab.project import Projection
from agentlab.trace.trace import Trace
from tests.factories import trace_of, traces


def batches_of(trace: Trace) -> dict[str, pa.RecordBatch]:
    return pack.to_batches(Projection.of(trace))


@given(traces())
def test_a_pack_reads_back_as_it_was(trace: Trace) -> None:
    for name, batch in batches_of(trace).items():
        assert pack.from_bytes(name, pack.to_bytes(batch)).equals(batch)


@given(traces())
def test_columns_hold_the_rows(trace: Trace) -> None:
    projection = Projection.of(trace)

    batches = pack.to_batches(projection)

    assert batches["messages"].to_pylist() == [row._asdict() for row in projection.messages]
    assert [row["status"] for row in batches["tool_calls"].to_pylist()] == [
        row.status for row in projection.tool_calls.values()
    ]


@pytest.mark.parametrize("name", pack.SCHEMAS)
def test_runs_stand_one_below_the_other_under_their_ids(name: str) -> None:
    batches = [batches_of(trace_of(n))[name] for n in (2, 3)]

    table = pack.to_table(name, batches, ["run-a", "run-b"])

    assert table.column_names == ["run_id", *pack.SCHEMAS[name].names]
    assert table["run_id"].to_pylist() == ["run-a"] * len(batches[0]) + ["run-b"] * len(batches[1])
    assert pa.Table.from_batches(batches).equals(table.drop_columns("run_id").combine_chunks())


@pytest.mark.parametrize("name", pack.SCHEMAS)
def test_nothing_packs_to_an_empty_table(name: str) -> None:
    table = pack.to_table(name, [], [])

    assert table.num_rows == 0
    assert table.schema.names == ["run_id", *pack.SCHEMAS[name].names]


def test_every_column_has_a_plain_type() -> None:
    kinds = {str(kind) for schema in pack.SCHEMAS.values() for kind in schema.types}

    assert kinds == {"int64", "string", "bool", "double", "timestamp[us, tz=UTC]"}
