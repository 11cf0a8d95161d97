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
    batches = batches_of(trace)

    parts = pack.to_parts(batches)

    for name, batch in batches.items():
        assert pack.from_parts(name, parts).equals(batch)


def test_long_texts_are_read_only_when_they_are_asked_for() -> None:
    batches = batches_of(trace_of(3))
    parts = pack.to_parts(batches)
    del parts["messages.text"]

    read = pack.from_parts("messages", parts, ["reasoning"])

    assert read.equals(batches["messages"].drop_columns(["text"]))
    assert "text" not in pack.from_parts("messages", {"messages": parts["messages"]}, []).schema.names


def test_a_text_that_no_message_has_takes_no_room() -> None:
    assert pack.to_parts(batches_of(trace_of(1)))["messages.reasoning"] == b""


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
