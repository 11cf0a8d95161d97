"""What tools cost in tokens: their definitions, their calls, and their returns as often as a prompt repeats them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from agentlab.analysis.columns import to_pandas
from agentlab.analysis.latency import Floats
from agentlab.analysis.prompt_parts import Prompts
from agentlab.analysis.usage_sums import by_keys


def tool_usage(prompts: Prompts, keys: Sequence[str]) -> pd.DataFrame:
    """One row a tool, also one that was offered and never called.

    Args:
        prompts: The prompts.
        keys: `tool`, with `run_id` before it for rows of each run.
    """
    pieces, n_prompts = prompts.pieces, prompts.spans.n_prompts
    asked, returned = pieces.where("kind", "call"), pieces.where("kind", "return")
    own = ~prompts.pieces.inherited
    offered, schema_tokens = _offered(prompts)
    rows = pa.concat_tables([pieces.table.select(["run_id", "tool"]), offered]).combine_chunks()
    named = rows["tool"].is_valid()
    found, groups = by_keys(rows.filter(named), keys)
    named_pieces = named.to_numpy()[: len(pieces.tokens)]

    def total(values: Floats, where: Any) -> Floats:
        """Sum over pieces; 0 where a tool has none, as that is known."""
        padded = np.concatenate([np.where(where, values, 0.0)[named_pieces], np.zeros(len(offered))])
        return groups.sum(padded, of_nothing=0)

    tokens = pieces.tokens
    schemas = np.concatenate([np.zeros(int(named_pieces.sum())), schema_tokens])
    blank = pa.nulls(groups.n_groups, pa.string())
    frame = to_pandas(
        "usage_tools",
        {
            "run_id": blank,
            **{key: found[key] for key in keys},
            "n_calls": total(np.ones_like(tokens), asked & own),
            "n_returns": total(np.ones_like(tokens), returned & own),
            "argument_tokens": total(tokens, asked & own),
            "argument_prompt_tokens": total(_times(tokens, n_prompts), asked),
            "return_tokens": total(tokens, returned & own),
            "first_read_tokens": total(_times(tokens, np.minimum(n_prompts, 1)), returned),
            "reread_tokens": total(_times(tokens, np.maximum(n_prompts - 1, 0)), returned),
            "schema_prompt_tokens": groups.sum(schemas, of_nothing=0),
            "source": pa.repeat(prompts.counter.source, groups.n_groups),
        },
    )
    return frame if "run_id" in keys else frame.drop(columns="run_id")


def _offered(prompts: Prompts) -> tuple[pa.Table, Floats]:
    """The tools that each prompt told of, one row a prompt and tool, and the tokens of their definitions."""
    run_ids = prompts.calls["run_id"].to_pylist()
    rows = [(run_id, *each) for run_id, offer in zip(run_ids, prompts.offers, strict=True) for each in offer.items()]
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    table = pa.table({"run_id": pa.array(columns[0], pa.string()), "tool": pa.array(columns[1], pa.string())})
    return table, np.array(columns[2], np.float64)


def _times(tokens: Floats, n: Any) -> Floats:
    """Tokens as often as they were read; what was never read is 0, whatever its length."""
    return np.where(n > 0, tokens * n, 0.0)
