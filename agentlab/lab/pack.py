"""Rows as Arrow record batches, packed to bytes and back: what frames are read from, a run at a time.

The columns are those of `rows`. Those of long texts stand apart, each in a pack of its own, so that who does not ask
for them does not read them. Packs are made from the journal, so a later layout only has to count `LAYOUT` up: older
packs are then made again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Any, get_args, get_type_hints

import pyarrow as pa

from agentlab.errors import StoreError
from agentlab.lab.project import Projection
from agentlab.lab.rows import (
    ApprovalRow,
    CompactionRow,
    MessageRow,
    ModelCallRow,
    RequestedCallRow,
    RunRow,
    StepRow,
    ToolCallRow,
    ToolSpecRow,
)
from agentlab.trace.clean import writable

LAYOUT = 3

_ROWS: dict[str, type] = {
    "runs": RunRow,
    "steps": StepRow,
    "model_calls": ModelCallRow,
    "tool_calls": ToolCallRow,
    "approvals": ApprovalRow,
    "messages": MessageRow,
    "requested_calls": RequestedCallRow,
    "compactions": CompactionRow,
    "tool_specs": ToolSpecRow,
}
_TYPES = {
    int: pa.int64(),
    str: pa.string(),
    bool: pa.bool_(),
    float: pa.float64(),
    datetime: pa.timestamp("us", tz="UTC"),
}


def _schema(row: type) -> pa.Schema:
    fields = {}
    for name, hint in get_type_hints(row).items():
        (kind,) = {*get_args(hint)} - {NoneType} or {hint}
        fields[name] = _TYPES[kind]
    return pa.schema(list(fields.items()))


SCHEMAS: dict[str, pa.Schema] = {name: _schema(row) for name, row in _ROWS.items()}
"""The columns of each table."""

APART = {"messages": ("text", "reasoning"), "tool_calls": ("requested_arguments", "arguments", "text")}
"""Long texts."""


def schema_of(name: str, texts: Collection[str] | None = None) -> pa.Schema:
    """The columns of a table; of the long texts only these."""
    return _schema_of(name, None if texts is None else frozenset(texts))


def part_names(name: str, texts: Collection[str] | None = None) -> list[str]:
    """The packs of a table; of the long texts only these."""
    return [name, *(f"{name}.{text}" for text in APART.get(name, ()) if texts is None or text in texts)]


@cache
def _schema_of(name: str, texts: frozenset[str] | None) -> pa.Schema:
    left_out = set() if texts is None else set(APART.get(name, ())) - texts
    return pa.schema([field for field in SCHEMAS[name] if field.name not in left_out])


_PART_SCHEMAS = {
    **{name: schema_of(name, ()) for name in SCHEMAS},
    **{f"{name}.{text}": pa.schema([(text, pa.string())]) for name, texts in APART.items() for text in texts},
}
_HEADS = {name: schema.serialize().to_pybytes() for name, schema in _PART_SCHEMAS.items()}
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
"""What a stream of Arrow begins and ends with. https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format"""


def to_batches(projection: Projection) -> dict[str, pa.RecordBatch]:
    """The rows by column."""
    return {name: _batch(rows, SCHEMAS[name]) for name, rows in projection.tables.items()}


def to_parts(batches: Mapping[str, pa.RecordBatch]) -> dict[str, bytes]:
    """The tables as packs, without their schemas, which are known. A text that no row has is an empty pack."""
    parts = {}
    for table, batch in batches.items():
        for name in part_names(table):
            part = batch.select(_PART_SCHEMAS[name].names)
            says_nothing = name != table and part.column(0).null_count == len(part)
            parts[name] = b"" if says_nothing else part.serialize().to_pybytes()
    return parts


def from_parts(
    name: str, run_ids: Sequence[str], packed: Sequence[Mapping[str, bytes]], texts: Collection[str] | None = None
) -> pa.Table:
    """A table of several runs, one below the other, out of what `to_parts` made of each; `run_id` comes first.

    Raises:
        StoreError: A pack is none.
    """
    rows = _joined(name, [parts[name] for parts in packed])
    columns: dict[str, pa.ChunkedArray] = dict(zip(rows.column_names, rows.columns, strict=True))
    counts = [len(chunk) for chunk in rows.column(0).chunks]
    for part in part_names(name, texts)[1:]:
        told = iter(_joined(part, [data for parts in packed if (data := parts[part])]).column(0).chunks)
        chunks = [
            next(told) if parts[part] else pa.nulls(n, pa.string()) for parts, n in zip(packed, counts, strict=True)
        ]
        if list(map(len, chunks)) != counts:
            raise StoreError(f"a pack of {part} is damaged: it is of other rows; `lab.rebuild()` makes all packs again")
        columns[part.removeprefix(f"{name}.")] = pa.chunked_array(chunks, pa.string())
    schema = schema_of(name, texts)
    return _under_runs(pa.table([columns[column] for column in schema.names], schema), run_ids, counts)


def _joined(part: str, packs: Sequence[bytes]) -> pa.Table:
    """The packs as one stream, a chunk each: reading a stream costs far less than reading each pack by itself."""
    stream = pa.py_buffer(b"".join([_HEADS[part], *packs, _END_OF_STREAM]))
    try:
        table = pa.ipc.open_stream(stream).read_all()
    except (pa.ArrowException, OSError) as exc:
        raise StoreError(f"a pack of {part} is damaged: {exc}; `lab.rebuild()` makes all packs again") from exc
    if table.column(0).num_chunks != len(packs):
        raise StoreError(f"a pack of {part} is damaged: it is cut short; `lab.rebuild()` makes all packs again")
    return table


def to_table(
    name: str, batches: Iterable[pa.RecordBatch], run_ids: Sequence[str], texts: Collection[str] | None = None
) -> pa.Table:
    """The batches of several runs one below the other, with a first column `run_id`."""
    found = list(batches)
    table = pa.Table.from_batches(found, schema_of(name, texts))
    return _under_runs(table, run_ids, [len(batch) for batch in found])


def _under_runs(table: pa.Table, run_ids: Sequence[str], counts: Sequence[int]) -> pa.Table:
    ids = [pa.repeat(run_id, n_rows) for run_id, n_rows in zip(run_ids, counts, strict=True)]
    return table.add_column(0, "run_id", pa.chunked_array(ids, pa.string())).combine_chunks()


def _batch(rows: list[Any], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*map(attrgetter(*schema.names), rows), strict=True) if rows else [()] * len(schema.names)
    return pa.record_batch([_array(values, kind) for values, kind in zip(columns, schema.types, strict=True)], schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([None if value is None else writable(value) for value in values], kind)
