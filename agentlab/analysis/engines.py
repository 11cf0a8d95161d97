"""Columns as a table of Arrow, and that table as a frame of pandas, Arrow or polars, typed as declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from agentlab.analysis.column import TEXT, WORDS, Column
from agentlab.errors import InputError

if TYPE_CHECKING:
    import polars as pl

Engine: TypeAlias = Literal["pandas", "pyarrow", "polars"]


def to_table(columns: Sequence[Column], arrays: Mapping[str, Any]) -> pa.Table:
    """An Arrow table in the plain types, as files have it too.

    Args:
        columns: Which, in order.
        arrays: By column: Arrow arrays, or numpy arrays in which NaN is not known.
    """
    return pa.table([_array(column, arrays[column.name]) for column in columns], plain_schema(columns))


def plain_schema(columns: Sequence[Column]) -> pa.Schema:
    """The columns in the types that they are made from."""
    return pa.schema([(column.name, column.arrow_type) for column in columns])


def with_words(columns: Sequence[Column], table: pa.Table) -> pa.Table:
    """The table with its categories as dictionaries: of all words where they are known, else of those there are."""
    arrays = [_in_dictionary(c, table[c.name]) if c.is_category else table[c.name] for c in columns]
    return pa.Table.from_arrays(arrays, names=[c.name for c in columns])


def to_pandas(columns: Sequence[Column], table: pa.Table) -> pd.DataFrame:
    """A pandas frame: dtypes backed by Arrow, and `category`. Texts stay where they are in the table."""
    encoded = with_words(columns, table)
    index = pd.RangeIndex(table.num_rows)
    return pd.DataFrame({c.name: _series(c, encoded[c.name]) for c in columns}, index=index, copy=False)


def to_polars(columns: Sequence[Column], table: pa.Table) -> pl.DataFrame:
    """A polars frame: `Enum` where all words are known, `Categorical` where only the rows know them.

    Raises:
        InputError: polars is not there.
    """
    try:
        import polars as pl
    except ImportError as exc:
        raise InputError('polars is not installed: `pip install "agentlab-jupyter[scale]"` brings it') from exc
    frame = pl.DataFrame(pl.from_arrow(table.select([c.name for c in columns])))
    kinds = {c.name: pl.Enum(c.words) if c.words else pl.Categorical() for c in columns if c.is_category}
    return frame.with_columns(pl.col(name).cast(kind) for name, kind in kinds.items())


ENGINES: dict[str, Any] = {"pandas": to_pandas, "pyarrow": with_words, "polars": to_polars}
"""By name: from the columns and their table to the frame."""


def _array(column: Column, values: Any) -> Any:
    array = pa.array(values, from_pandas=True) if isinstance(values, np.ndarray) else values
    return array if array.type == column.arrow_type else array.cast(column.arrow_type)


def _series(column: Column, values: pa.ChunkedArray) -> Any:
    if not column.is_category:
        return pd.arrays.ArrowExtensionArray(values)
    words = values.chunk(0).dictionary if values.num_chunks else pa.array(column.words or (), TEXT)
    codes = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in values.chunks]
    categories = pd.Index(pd.arrays.ArrowExtensionArray(words))
    return pd.Categorical.from_codes(np.concatenate([np.empty(0, np.int32), *codes]), categories=categories)


def _in_dictionary(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts, or dictionaries of them, as places in one dictionary that all chunks share."""
    if column.words is not None:
        words = pa.array(column.words, TEXT)
    else:
        words = pc.unique(values).drop_null()
        # In order, so that groups of a frame do not depend on the order of its rows.
        words = words.take(pc.sort_indices(words))
    chunks = [pa.DictionaryArray.from_arrays(pc.index_in(chunk, words), words) for chunk in values.chunks]
    return pa.chunked_array(chunks, WORDS)
