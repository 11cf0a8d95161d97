from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.errors import StoreError
from agentlab.lab import pack
from agentlab.lab.project import Projection
from agentlab.trace.trace import Trace
from tests.factories import trace_of, traces


def batches_of(trace: Trace) -> dict[str, pa.RecordBatch]:
    return pack.to_batches(Projection.of(trace))


@given(st.lists(traces(), max_size=4), st.booleans())
def test_packs_read_back_as_they_were(drawn: list[Trace], with_texts: bool) -> None:
    made = [batches_of(trace) for trace in drawn]
    texts = None if with_texts else ()

    packed = [pack.to_parts(batches) for batches in made]

    run_ids = [f"run-{n}" for n in range(len(made))]
    for name in pack.SCHEMAS:
        names = pack.schema_of(name, texts).names
        expected = pack.to_table(name, [batches[name].select(names) for batches in made], run_ids, texts)
        assert pack.from_parts(name, run_ids, packed, texts).equals(expected)


def test_long_texts_are_read_only_when_they_are_asked_for() -> None:
    batches = batches_of(trace_of(3))
    parts = pack.to_parts(batches)
    del parts["messages.text"]

    read = pack.from_parts("messages", ["run-1"], [parts], ["reasoning"])

    assert read.drop_columns("run_id").to_batches()[0].equals(batches["messages"].drop_columns(["text"]))
    assert "text" not in pack.from_parts("messages", ["run-1"], [parts], []).schema.names


@pytest.mark.parametrize(
    "damaged", [b"", b"\xff\xff\xff\xff\0\0\0\0", b"nine cats" * 9], ids=["none", "an end", "cats"]
)
def test_a_damaged_pack_is_told_of_and_gives_no_row_to_another_run(damaged: bytes) -> None:
    parts = pack.to_parts(batches_of(trace_of(2)))

    with pytest.raises(StoreError, match=r"a pack of messages is damaged: .*`lab\.rebuild\(\)`"):
        pack.from_parts("messages", ["run-1", "run-2"], [parts | {"messages": damaged}, parts])


def test_a_text_never_gets_into_the_rows_of_another_run() -> None:
    short, long = (pack.to_parts(batches_of(trace_of(n))) for n in (1, 3))
    swapped = [parts | {"messages.text": other["messages.text"]} for parts, other in ((short, long), (long, short))]

    with pytest.raises(StoreError, match=r"a pack of messages\.text is damaged: it is of other rows"):
        pack.from_parts("messages", ["run-1", "run-2"], swapped)


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
