"""The token ledger: every model call with its counts, who counted them and what it cost, and totals of these."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from agentlab.analysis.columns import to_pandas
from agentlab.analysis.cost import Costs, costs_of
from agentlab.analysis.grouping import Groups, floats
from agentlab.analysis.latency import Floats
from agentlab.analysis.ledger_text import ledger_html, ledger_text
from agentlab.analysis.prices import PriceBook, Prices
from agentlab.analysis.prompt_parts import READ_OF_PROMPTS, Prompts
from agentlab.analysis.role_usage import role_usage
from agentlab.analysis.sources import Tables
from agentlab.analysis.tokenizers import TokenCounter, Tokenizer
from agentlab.analysis.tool_usage import tool_usage
from agentlab.analysis.usage_checks import problems
from agentlab.analysis.usage_sums import by_keys, usage_sums
from agentlab.errors import InputError
from agentlab.trace.usage import COUNTS

By: TypeAlias = Literal["call", "number", "step", "run", "model", "purpose", "tool", "role"]
"""What a row of the ledger stands for."""

_ALL_KEYS = ("run_id", "step", "call", "purpose", "provider", "model")
_KEYS: dict[str, tuple[str, ...]] = {
    "call": _ALL_KEYS,
    "step": ("run_id", "step", "purpose"),
    "run": ("run_id", "purpose"),
    "model": ("provider", "model", "purpose"),
    "purpose": ("purpose",),
}
_WITHIN_RUNS: dict[str, tuple[str, ...]] = {"model": ("run_id", *_KEYS["model"])}
_BASES = {"step": "steps", "run": "runs"}
"""What has a row of its own also where no model was called."""


class Ledger:
    """What the model calls of some runs used, and what they cost.

        books = ledger(lab, prices={"our-llama": Price(input_usd=0.1, output_usd=0.3)})
        books.by("model"), books.by("role"), books.problems, books.unpriced

    A sum that lacks a part is NA; `n_missing` says how many calls it lacks, and `known_…` is what the others add up to.
    Side calls, in which a model judged a tool call or summed up, are never added to those of the steps.

    Args:
        tables: What to read.
        prices: By model; they go before those of genai-prices.
        tokenizer: Counts the tokens of a text, for what prompts were made of; None: estimated from its length.

    Raises:
        InputError: Prices or tokenizer are something else.
    """

    def __init__(self, tables: Tables, *, prices: Prices | None = None, tokenizer: Tokenizer | None = None) -> None:
        self._tables = tables
        self._book, self._counter = PriceBook(prices), TokenCounter(tokenizer)

    def by(self, by: By | Sequence[str] = "call") -> pd.DataFrame:
        """The ledger, or totals of it.

        Args:
            by: What a row stands for: see `usage_df`.

        Raises:
            InputError: There is no such total.
        """
        match _word(by):
            case "number", False:
                return self._numbers()
            case "tool", in_runs:
                return tool_usage(self.prompts, ("run_id", "tool") if in_runs else ("tool",))
            case "role", in_runs:
                some = (Prompts(tables, self._counter) for tables in self._tables.in_groups(READ_OF_PROMPTS))
                return role_usage(some, self._counter, ("run_id", "part") if in_runs else ("part",))
            case word, False if word in _KEYS:
                return self._totals(_KEYS[word], _BASES.get(word))
            case word, True if word in _WITHIN_RUNS:
                return self._totals(_WITHIN_RUNS[word], None)
        each = ", ".join(f"'{word}'" for word in get_args(By))
        raise InputError(f"`by` is {by!r:.80}; it takes {each}, or 'run' with one of 'model', 'tool', 'role'")

    @cached_property
    def prompts(self) -> Prompts:
        """What the prompts were made of."""
        return Prompts(self._tables, self._counter)

    @cached_property
    def problems(self) -> pd.DataFrame:
        """What does not hold among the counts, one row each: run, step, call, check and both numbers."""
        return problems(self._tables, self.prompts)

    @property
    def unpriced(self) -> list[str]:
        """The models of which some call has no price, as `provider/model`."""
        rows = zip(self._calls["provider"].to_pylist(), self._calls["model"].to_pylist(), strict=True)
        priced = self._costs.source.is_valid().to_pylist()
        return list(
            dict.fromkeys(f"{provider}/{model}" for (provider, model), has in zip(rows, priced, strict=True) if not has)
        )

    def __len__(self) -> int:
        return len(self._calls)

    def __bool__(self) -> bool:
        return True  # a ledger without calls is a ledger

    def __repr__(self) -> str:
        n_runs = len(self._tables.table("runs"))
        return f"<Ledger of {n_runs:,} {'run' if n_runs == 1 else 'runs'}, {len(self):,} model calls>"

    def __str__(self) -> str:
        return ledger_text(repr(self)[1:-1], self.by("model"), len(self.problems))

    def _repr_html_(self) -> str:
        return ledger_html(repr(self)[1:-1], self.by("model"), len(self.problems))

    @cached_property
    def _calls(self) -> pa.Table:
        return self._tables.table("model_calls")

    @cached_property
    def _costs(self) -> Costs:
        return costs_of(self._calls, self._tables.table("runs"), self._book)

    def _totals(self, keys: Sequence[str], base: str | None) -> pd.DataFrame:
        found, groups = by_keys(self._with_base(keys, base), keys)
        n_base = len(groups.of_row) - len(self._calls)
        groups = Groups(groups.of_row[n_base:], groups.n_groups)
        lacks = np.isnan(floats(self._calls["input_tokens"])) | np.isnan(floats(self._calls["output_tokens"]))
        unpriced = np.isnan(self._costs.usd)
        frame = to_pandas(
            "usage",
            {
                **{key: pa.nulls(groups.n_groups, pa.string()) for key in ("run_id", "purpose", "provider", "model")},
                **{key: pa.nulls(groups.n_groups, pa.int64()) for key in ("step", "call")},
                **{key: found[key] for key in keys},
                "n_calls": groups.count(),
                "n_missing": groups.count(lacks),
                **usage_sums(self._calls, groups),
                "known_input_tokens": _known(groups, floats(self._calls["input_tokens"])),
                "known_output_tokens": _known(groups, floats(self._calls["output_tokens"])),
                "cost_usd": groups.sum(self._costs.usd, of_nothing=np.nan),
                "n_unpriced": groups.count(unpriced),
                "known_cost_usd": _known(groups, self._costs.usd),
                "cost_source": _joined(groups, self._costs.source),
                "cost_note": _joined(groups, self._costs.note),
            },
        )
        return frame.drop(columns=[key for key in _ALL_KEYS if key not in keys])

    def _with_base(self, keys: Sequence[str], base: str | None) -> pa.Table:
        """The keys of the calls, below those that have a row in any case."""
        calls = self._calls.select(keys)
        if base is None:
            return calls
        rows = self._tables.table(base)
        columns = {key: rows[key] if key in rows.column_names else pa.repeat("step", len(rows)) for key in keys}
        return pa.concat_tables([pa.table(columns), calls]).combine_chunks()

    def _numbers(self) -> pd.DataFrame:
        n_calls = len(self._calls)
        row = np.repeat(np.arange(n_calls), len(COUNTS))
        values = np.stack([floats(self._calls[name]) for name in COUNTS], axis=1).reshape(-1)
        of_call = self._calls.select([*_ALL_KEYS, "usage_source"]).take(pa.array(row))
        source = pc.if_else(pa.array(np.isnan(values)), "missing", of_call["usage_source"].fill_null("missing"))
        count = pa.array(np.tile(np.array(COUNTS, object), n_calls), pa.string())
        keys = {key: of_call[key] for key in _ALL_KEYS}
        return to_pandas("usage_numbers", {**keys, "count": count, "tokens": values, "source": source})


def _word(by: object) -> tuple[object, bool]:
    """What a row stands for, and whether it does so within a run."""
    words = [by] if isinstance(by, str) else list(by) if isinstance(by, list | tuple) else []
    if len(words) == 2 and "run" in words:
        words.remove("run")
        return words[0], True
    return (words[0] if len(words) == 1 else None), False


def _known(groups: Groups, values: Floats) -> Floats:
    """The sum of what is known in each group; NaN where nothing is."""
    return groups.only(~np.isnan(values)).sum(values, of_nothing=np.nan)


def _joined(groups: Groups, texts: pa.Array) -> pa.Array:
    """The texts of each group, each once, in the order in which they come."""
    found: list[dict[str, None]] = [{} for _ in range(groups.n_groups)]
    for row in np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False)).tolist():
        found[groups.of_row[row]][texts[row].as_py()] = None
    return pa.array(["; ".join(each) or None for each in found], pa.string())
