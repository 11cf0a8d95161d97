"""What prompts were made of, over whole runs: every prompt counts, so what stays in the context counts each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from agentlab.analysis.columns import to_pandas
from agentlab.analysis.context import counted_by
from agentlab.analysis.prompt_parts import Prompts
from agentlab.analysis.usage_columns import PARTS
from agentlab.analysis.usage_sums import by_keys


def role_usage(prompts: Prompts, keys: Sequence[str]) -> pd.DataFrame:
    """One row a part of prompts.

    Args:
        prompts: The prompts.
        keys: `part`, with `run_id` before it for rows of each run.
    """
    call, part = np.nonzero(prompts.n_items > 0)
    rows = pa.table(
        {"run_id": prompts.calls["run_id"].take(pa.array(call)), "part": pa.array(PARTS).take(pa.array(part))}
    )
    found, groups = by_keys(rows, keys)
    scaled = prompts.scaled_tokens[call, part]
    tokens = groups.sum(prompts.tokens[call, part], of_nothing=np.nan)
    n_missing = groups.count(np.isnan(scaled))
    known = groups.sum(np.nan_to_num(scaled), of_nothing=np.nan)
    frame = to_pandas(
        "usage_roles",
        {
            "run_id": pa.nulls(groups.n_groups, pa.string()),
            **{key: found[key] for key in keys},
            "n_prompts": groups.count(),
            "n_items": groups.sum(prompts.n_items[call, part].astype(np.float64), of_nothing=0),
            "tokens": tokens,
            "source": counted_by(tokens, prompts.counter.source),
            "scaled_tokens": groups.sum(scaled, of_nothing=np.nan),
            "n_missing": n_missing,
            "known_scaled_tokens": np.where(n_missing == groups.count(), np.nan, known),
        },
    )
    return frame if "run_id" in keys else frame.drop(columns="run_id")
