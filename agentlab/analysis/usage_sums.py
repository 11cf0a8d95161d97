"""Rows gathered by their keys, and token counts summed over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agentlab.analysis.grouping import Groups, floats
from agentlab.trace.usage import COUNTS, WEAKEST_FIRST


def by_keys(table: pa.Table, keys: Sequence[str]) -> tuple[pa.Table, Groups]:
    """The keys that occur, each once, in the order in which the words of each first come; and the rows under them."""
    code = np.zeros(len(table), np.int64)
    for key in keys:
        words = table[key].combine_chunks().dictionary_encode(null_encoding="encode")
        code = code * max(1, len(words.dictionary)) + words.indices.to_numpy()
    _, first, of_row = np.unique(code, return_index=True, return_inverse=True)
    return table.select(keys).take(pa.array(first)), Groups(of_row, len(first))


def usage_sums(calls: pa.Table, groups: Groups) -> dict[str, Any]:
    """Tokens of each group; a count that one call lacks is not known of the group, and its source is the weakest."""
    sources = pc.index_in(calls["usage_source"], value_set=pa.array(WEAKEST_FIRST)).fill_null(0).to_numpy()
    weakest = np.full(groups.n_groups, len(WEAKEST_FIRST))
    np.minimum.at(weakest, groups.of_row[groups.of_row >= 0], sources[groups.of_row >= 0])
    weakest[weakest == len(WEAKEST_FIRST)] = 0  # no call, nothing counted
    counts = {name: groups.sum(floats(calls[name]), of_nothing=np.nan) for name in COUNTS}
    return {**counts, "usage_source": pa.array(WEAKEST_FIRST).take(pa.array(weakest))}
