"""What prompts were made of, over whole runs: every prompt counts, so what stays in the context counts each time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from agentlab.analysis.columns import to_pandas
from agentlab.analysis.context import counted_by
from agentlab.analysis.grouping import floats
from agentlab.analysis.prompt_parts import Prompts
from agentlab.analysis.tokenizers import TokenCounter
from agentlab.analysis.usage_columns import PARTS
from agentlab.analysis.usage_sums import by_keys

_SUMS = ("n_prompts", "n_items", "tokens", "scaled_tokens", "n_missing", "known_scaled_tokens")
_ROWS = pa.schema([("run_id", pa.string()), ("part", pa.string()), *((name, pa.float64()) for name in _SUMS)])


def role_usage(prompts: Iterable[Prompts], counter: TokenCounter, keys: Sequence[str]) -> pd.DataFrame:
    """One row a part of prompts.

    Args:
        prompts: The prompts, some runs at a time.
        counter: Who counted their tokens.
        keys: `part`, with `run_id` before it for rows of each run.
    """
    rows = pa.concat_tables([_ROWS.empty_table(), *(_sums(each, keys) for each in prompts)]).combine_chunks()
    found, groups = by_keys(rows, keys)
    sums = {name: groups.sum(floats(rows[name]), of_nothing=np.nan) for name in _SUMS}
    unknown = sums["n_missing"] == sums["n_prompts"]
    frame = to_pandas(
        "usage_roles",
        {
            "run_id": pa.nulls(groups.n_groups, pa.string()),
            **{key: found[key] for key in keys},
            **sums,
            "source": counted_by(sums["tokens"], counter.source),
            "known_scaled_tokens": np.where(unknown, np.nan, sums["known_scaled_tokens"]),
        },
    )
    return frame if "run_id" in keys else frame.drop(columns="run_id")


def _sums(prompts: Prompts, keys: Sequence[str]) -> pa.Table:
    """The sums over some runs, one row a part of prompts, with 0 for what none knows."""
    call, part = np.nonzero(prompts.n_items > 0)
    rows = pa.table(
        {"run_id": prompts.calls["run_id"].take(pa.array(call)), "part": pa.array(PARTS).take(pa.array(part))}
    )
    found, groups = by_keys(rows, keys)
    scaled = prompts.scaled_tokens[call, part]
    sums = {
        "n_prompts": groups.count().astype(np.float64),
        "n_items": groups.sum(prompts.n_items[call, part].astype(np.float64), of_nothing=0),
        "tokens": groups.sum(prompts.tokens[call, part], of_nothing=np.nan),
        "scaled_tokens": groups.sum(scaled, of_nothing=np.nan),
        "n_missing": groups.count(np.isnan(scaled)).astype(np.float64),
        "known_scaled_tokens": groups.sum(np.nan_to_num(scaled), of_nothing=0),
    }
    run_ids = found["run_id"] if "run_id" in keys else pa.nulls(groups.n_groups, pa.string())
    return pa.table({"run_id": run_ids, "part": found["part"], **sums}).cast(_ROWS)
