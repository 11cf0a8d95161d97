"""How the context grew: what each part of the prompt was, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from agentlab.analysis.columns import documented, to_pandas
from agentlab.analysis.grouping import under_steps
from agentlab.analysis.latency import Floats
from agentlab.analysis.prompt_parts import Prompts
from agentlab.analysis.sources import Source, tables_of
from agentlab.analysis.tokenizers import TokenCounter, Tokenizer
from agentlab.analysis.usage_columns import PARTS
from agentlab.trace.usage import UsageSource


@documented("context")
def context_df(
    source: Source, *, runs: Sequence[str] | None = None, tokenizer: Tokenizer | None = None
) -> pd.DataFrame:
    """One row a step and part of its prompt; of several calls of a step the last, as earlier ones were tried again.

    `tokens` are those of the texts, without what the provider's chat template adds to them, and without the model's
    earlier reasoning, which providers leave out as a rule. `scaled_tokens` share out what the provider counted, so
    they are an estimate in any case, and the parts of a step add up to its `input_tokens`.

    Args:
        source: A run, a trace, a lab or a list of them.
        runs: Only runs with these ids.
        tokenizer: Counts the tokens of a text; None: one for every four characters begun, and `source` says so.

    Raises:
        InputError: The source or the tokenizer is something else.
    """
    tables = tables_of(source, runs)
    prompts = Prompts(tables, TokenCounter(tokenizer))
    steps = tables.table("steps")
    last = under_steps(prompts.calls, steps, prompts.runs).last().drop_null().to_numpy()
    call, part = np.nonzero(prompts.n_items[last] > 0)
    call = last[call]
    rows = prompts.calls.select(["run_id", "step"]).take(pa.array(call))
    return to_pandas(
        "context",
        {
            "run_id": rows["run_id"],
            "step": rows["step"],
            "part": pa.array(PARTS).take(pa.array(part)),
            "n_items": pa.array(prompts.n_items[call, part]),
            "tokens": prompts.tokens[call, part],
            "source": counted_by(prompts.tokens[call, part], prompts.counter.source),
            "scaled_tokens": prompts.scaled_tokens[call, part],
        },
    )


def counted_by(tokens: Floats, source: UsageSource) -> Any:
    """Who counted each number: nobody, where it is not known."""
    return pa.array(np.where(np.isnan(tokens), "missing", source), pa.string())
