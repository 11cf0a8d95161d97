"""How the context grew: what each part of the prompt was, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from agentlab.analysis.columns import documented
from agentlab.analysis.engines import Engine
from agentlab.analysis.filters import Where
from agentlab.analysis.grouping import under_steps
from agentlab.analysis.latency import Floats
from agentlab.analysis.prompt_parts import Prompts
from agentlab.analysis.reading import Frame, read_made
from agentlab.analysis.sources import Source
from agentlab.analysis.tables import Tables
from agentlab.analysis.tokenizers import TokenCounter, Tokenizer
from agentlab.analysis.usage_columns import PARTS
from agentlab.trace.usage import UsageSource

_READS = ("runs", "steps", "model_calls", "messages", "requested_calls", "compactions", "tool_specs")


@documented("context")
def context_df(
    source: Source,
    *,
    tokenizer: Tokenizer | None = None,
    runs: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    limit: int | None = None,
    offset: int = 0,
    engine: Engine = "pandas",
) -> Any:
    """One row a step and part of its prompt; of several calls of a step the last, as earlier ones were tried again.

    `tokens` are those of the texts, without what the provider's chat template adds to them, and without the model's
    earlier reasoning, which providers leave out as a rule. `scaled_tokens` share out what the provider counted, so
    they are an estimate in any case, and the parts of a step add up to its `input_tokens`.

    Args:
        source: A run, a trace, a lab, an experiment, a file or folder of these, or a list of them.
        tokenizer: Counts the tokens of a text; None: one for every four characters begun, and `source` says so.
        runs: Only runs with these ids.
        columns: Only these columns, in this order.
        where: Only rows that meet these conditions, as in `steps_df`.
        limit: At most so many rows.
        offset: Rows to leave out first.
        engine: `pandas`, `pyarrow` (a table), or `polars`.

    Raises:
        InputError: The source, or an argument, is something else.
        StoreError: A file of the source cannot be read.
    """
    made = Frame("context", partial(_columns, TokenCounter(tokenizer)), _READS, logs=False)
    return read_made(made, source, runs=runs, columns=columns, where=where, limit=limit, offset=offset, engine=engine)


def _columns(counter: TokenCounter, tables: Tables, needed: frozenset[str]) -> dict[str, Any]:
    prompts, steps = Prompts(tables, counter), tables.table("steps")
    last = under_steps(prompts.calls, steps, prompts.runs).last().drop_null().to_numpy()
    call, part = np.nonzero(prompts.n_items[last] > 0)
    call = last[call]
    rows = prompts.calls.select(["run_id", "step"]).take(pa.array(call))
    tokens = prompts.tokens[call, part]
    return {
        "run_id": rows["run_id"],
        "step": rows["step"],
        "part": pa.array(PARTS).take(pa.array(part)),
        "n_items": pa.array(prompts.n_items[call, part]),
        "tokens": tokens,
        "source": counted_by(tokens, counter.source),
        "scaled_tokens": prompts.scaled_tokens[call, part],
    }


def counted_by(tokens: Floats, source: UsageSource) -> Any:
    """Who counted each number: nobody, where it is not known."""
    return pa.array(np.where(np.isnan(tokens), "missing", source), pa.string())
