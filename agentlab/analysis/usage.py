"""What runs used in tokens, and what that cost."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from agentlab.analysis.columns import documented
from agentlab.analysis.ledger import By, Ledger
from agentlab.analysis.prices import Prices
from agentlab.analysis.sources import Source, tables_of
from agentlab.analysis.tokenizers import Tokenizer


@documented("usage")
def usage_df(
    source: Source,
    *,
    by: By | Sequence[str] = "call",
    runs: Sequence[str] | None = None,
    prices: Prices | None = None,
    tokenizer: Tokenizer | None = None,
) -> pd.DataFrame:
    """The token ledger, or totals of it: one row a model call, step, run, model, tool or part of the prompt.

    A sum that lacks a part is NA, never less than it was: `n_missing` says how many calls it lacks, and `known_…` is
    what the others add up to. Calls in which a model judged a tool call or summed up have rows of their own, by
    `purpose`, and are never added to those of the steps.

    | `by` | a row stands for |
    |---|---|
    | `call` | a model call |
    | `number` | one count of a model call, with who counted it |
    | `step`, `run` | a step or run, and a purpose; the steps' row is there also where no model was called |
    | `model`, `purpose` | a model and a purpose; a purpose |
    | `tool` | a tool: its definition, calls and returns; columns in `describe("usage_tools")` |
    | `role` | a part of the steps' prompts; columns in `describe("usage_roles")` |

    `by=("run", "model")`, and the same with `tool` and `role`, has these rows for each run.

    Args:
        source: A run, a trace, a lab, an experiment, a file or folder of these, or a list of them.
        by: What a row stands for; columns that say nothing of it are left out.
        runs: Only runs with these ids.
        prices: By model, for endpoints of one's own; they go before those of genai-prices, which come with the extra
            `cost` and are never fetched. A model without a price has no cost.
        tokenizer: Counts the tokens of a text, for tools and roles; None: one for every four characters begun, and
            `source` says so.

    Raises:
        InputError: The source, or an argument, is something else.
    """
    return Ledger(tables_of(source, runs), prices=prices, tokenizer=tokenizer).by(by)


def ledger(
    source: Source,
    *,
    runs: Sequence[str] | None = None,
    prices: Prices | None = None,
    tokenizer: Tokenizer | None = None,
) -> Ledger:
    """The token ledger: all totals of `usage_df`, what does not hold among the counts, and models without a price.

    Args:
        source: A run, a trace, a lab, an experiment, a file or folder of these, or a list of them.
        runs: Only runs with these ids.
        prices: As in `usage_df`.
        tokenizer: As in `usage_df`.

    Raises:
        InputError: The source, or an argument, is something else.
    """
    return Ledger(tables_of(source, runs), prices=prices, tokenizer=tokenizer)
