"""Latencies call by call, under anybody's definitions: long for work with them, wide to see how they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from agentlab.analysis.calls import ModelCalls
from agentlab.analysis.columns import documented, to_pandas
from agentlab.analysis.definitions import DEFINITIONS, Definition, DefinitionName, definition_named
from agentlab.analysis.gaps import Gaps
from agentlab.analysis.latency_columns import LATENCY
from agentlab.analysis.sources import Source, tables_of
from agentlab.errors import InputError

_KEYS = ("run_id", "step", "call", "purpose")
_COPIED = (*_KEYS, "model", "complete", "usage_source")
_MEASURES = tuple(c.name for c in LATENCY if c.name not in (*_COPIED, "definition"))
_SECONDS = tuple(c.name for c in LATENCY if c.unit == "s")


@documented("latency")
def latency_df(
    source: Source,
    *,
    definition: DefinitionName | Sequence[DefinitionName] = "agentlab",
    runs: Sequence[str] | None = None,
) -> pd.DataFrame:
    """One row a model call, its latencies measured as one tool or another does.

    The columns are always the same. A measure that a definition has not is NA, and so is one that cannot be told from
    the chunk log; `agentlab.analysis.definitions.formulas()` is a table of who means what. What the transport saw is
    told under `agentlab` only.

    Args:
        source: A run, a trace, a lab or a list of them.
        definition: Whose: `agentlab`, `vllm`, `guidellm`, `aiperf`, `otel` or `letta`; of several the rows follow each
            other.
        runs: Only runs with these ids.

    Raises:
        InputError: There is no such definition.
    """
    names = list(definition) if isinstance(definition, list | tuple) else [definition]
    chosen = [definition_named(name) for name in names]
    if not chosen or len({each.name for each in chosen}) < len(chosen):
        raise InputError(f"`definition` takes one or several different ones of {', '.join(DEFINITIONS)}, not {names}")
    tables = tables_of(source, runs)
    calls, run_table = ModelCalls.of(tables), tables.table("runs")
    frames = [to_pandas("latency", _columns(each, calls, run_table)) for each in chosen]
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def definitions_df(source: Source, *, measure: str = "ttft_s", runs: Sequence[str] | None = None) -> pd.DataFrame:
    """One measure by everybody's definition side by side: one row a model call.

    Args:
        source: A run, a trace, a lab or a list of them.
        measure: A measure of `latency_df` in seconds, such as `ttft_s`, `itl_mean_s` or `e2e_s`.
        runs: Only runs with these ids.

    Returns:
        Columns `run_id`, `step`, `call`, `purpose`, and one for each definition that has the measure, such as
        `vllm_ttft_s` [s].

    Raises:
        InputError: There is no such measure.
    """
    having = [name for name, each in DEFINITIONS.items() if measure in each.formulas]
    if measure not in _SECONDS or not having:
        shared = [name for name in _SECONDS if any(name in each.formulas for each in DEFINITIONS.values())]
        raise InputError(f"no definition has the measure {measure!r:.80}; there are {', '.join(shared)}")
    tables = tables_of(source, runs)
    calls, run_table = ModelCalls.of(tables), tables.table("runs")
    frame = to_pandas("latency", _columns(DEFINITIONS["agentlab"], calls, run_table))[list(_KEYS)]
    for name in having:
        seconds = DEFINITIONS[name].measures(calls, run_table)[measure]
        frame[f"{name}_{measure}"] = pd.arrays.ArrowExtensionArray(pa.array(seconds, from_pandas=True))
    return frame


def _columns(definition: Definition, calls: ModelCalls, runs: pa.Table) -> dict[str, Any]:
    n_calls = len(calls.table)
    unknown = np.full(n_calls, np.nan)
    measures = {**_gap_columns(definition, calls), **definition.measures(calls, runs)}
    return {
        **{name: calls.table[name] for name in _COPIED},
        "definition": pa.repeat(definition.name, n_calls),
        **{name: measures.get(name, unknown) for name in _MEASURES},
    }


def _gap_columns(definition: Definition, calls: ModelCalls) -> dict[str, Any]:
    counted = definition.counted(calls.logs)
    if counted is None:
        return {}
    gaps = Gaps.of(calls.logs, counted)
    quantiles = {f"icl_{name}_s": gaps.quantile_s(q) for name, q in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}
    answered = ~np.isnan(calls.column("replied_ns"))
    return {**quantiles, "n_gaps": np.where(answered, gaps.count, np.nan)}
