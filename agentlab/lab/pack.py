"""Rows as Arrow record batches, packed to bytes and back: what frames are read from, a run at a time.

The columns are those of `rows`. Packs are made from the journal, so a later layout only has to count
`LAYOUT` up: older packs are then made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from types import NoneType
from typing import Any, get_args, get_type_hints

import pyarrow as pa

from agentlab.lab.encode import writable
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

LAYOUT = 2

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


def to_batches(projection: Projection) -> dict[str, pa.RecordBatch]:
    """The rows by column."""
    return {name: _batch(rows, SCHEMAS[name]) for name, rows in projection.tables.items()}


def to_bytes(batch: pa.RecordBatch) -> bytes:
    """A batch without its schema, which is known."""
    data: bytes = batch.serialize().to_pybytes()
    return data


def from_bytes(name: str, data: bytes) -> pa.RecordBatch:
    """What `to_bytes` made; the columns stay in the given bytes."""
    return pa.ipc.read_record_batch(pa.py_buffer(data), SCHEMAS[name])


def to_table(name: str, batches: Iterable[pa.RecordBatch], run_ids: Sequence[str]) -> pa.Table:
    """The batches of several runs one below the other, with a first column `run_id`."""
    found = list(batches)
    ids = [pa.repeat(run_id, len(batch)) for run_id, batch in zip(run_ids, found, strict=True)]
    table = pa.Table.from_batches(found, SCHEMAS[name])
    return table.add_column(0, "run_id", pa.chunked_array(ids, pa.string())).combine_chunks()


def _batch(rows: list[Any], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*map(attrgetter(*schema.names), rows), strict=True) if rows else [()] * len(schema.names)
    return pa.record_batch([_array(values, kind) for values, kind in zip(columns, schema.types, strict=True)], schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([None if value is None else writable(value) for value in values], kind)
