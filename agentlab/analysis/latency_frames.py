"""Latencies call by call, under anybody's definitions: long for work with them, wide to see how they differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from agentlab.analysis.calls import ModelCalls
from agentlab.analysis.columns import documented
from agentlab.analysis.definitions import DEFINITIONS, Definition, DefinitionName, definition_named
from agentlab.analysis.engines import Engine, to_pandas
from agentlab.analysis.filters import Where
from agentlab.analysis.gaps import Gaps
from agentlab.analysis.latency import Floats
from agentlab.analysis.latency_columns import LATENCY
from agentlab.analysis.reading import Frame, read_made
from agentlab.analysis.sources import Source, tables_of
from agentlab.analysis.tables import Tables
from agentlab.errors import InputError

_KEYS = ("run_id", "step", "call", "purpose")
_COPIED = (*_KEYS, "model", "complete", "usage_source")
_MEASURES = tuple(c.name for c in LATENCY if c.name not in (*_COPIED, "definition"))
_KEY_COLUMNS = tuple(c for c in LATENCY if c.name in _KEYS)
_GAP_QUANTILES = {"icl_p50_s": 0.5, "icl_p99_s": 0.99, "icl_max_s": 1.0}
_GAP_COLUMNS = (*_GAP_QUANTILES, "n_gaps")
_SECONDS = tuple(c.name for c in LATENCY if c.unit == "s")


@documented("latency")
def latency_df(
    source: Source,
    *,
    definition: DefinitionName | Sequence[DefinitionName] = "agentlab",
    runs: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    limit: int | None = None,
    offset: int = 0,
    engine: Engine = "pandas",
) -> Any:
    """One row a model call, its latencies measured as one tool or another does.

    The columns are always the same. A measure that a definition has not is NA, and so is one that cannot be told from
    the chunk log; `agentlab.analysis.definitions.formulas()` is a table of who means what. What the transport saw is
    told under `agentlab` only.

    Args:
        source: A run, a trace, a lab, an experiment, a file or folder of these, or a list of them.
        definition: Whose: `agentlab`, `vllm`, `guidellm`, `aiperf`, `otel` or `letta`. Of several each call has a row
            for each.
        runs: Only runs with these ids.
        columns: Only these columns, in this order; the others are not computed.
        where: Only rows that meet these conditions, as in `steps_df`.
        limit: At most so many rows.
        offset: Rows to leave out first.
        engine: `pandas`, `pyarrow` (a table), or `polars`.

    Raises:
        InputError: There is no such definition, or another argument does not fit.
    """
    names = list(definition) if isinstance(definition, list | tuple) else [definition]
    chosen = [definition_named(name) for name in names]
    if not chosen or len({each.name for each in chosen}) < len(chosen):
        raise InputError(f"`definition` takes one or several different ones of {', '.join(DEFINITIONS)}, not {names}")
    made = Frame("latency", partial(_columns, chosen), ("runs", "model_calls"), logs=True)
    return read_made(made, source, runs=runs, columns=columns, where=where, limit=limit, offset=offset, engine=engine)


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
    frame: pd.DataFrame = to_pandas(_KEY_COLUMNS, calls.table)
    for name in having:
        seconds = DEFINITIONS[name].measures(calls, run_table)[measure]
        frame[f"{name}_{measure}"] = pd.arrays.ArrowExtensionArray(pa.array(seconds, from_pandas=True))
    return frame


def _columns(definitions: Sequence[Definition], tables: Tables, needed: frozenset[str]) -> dict[str, Any]:
    """A row a call and definition, the definitions of a call one below the other."""
    calls, runs = ModelCalls.of(tables), tables.table("runs")
    n_calls, n_times = len(calls.table), len(definitions)
    of_row = np.repeat(np.arange(n_calls), n_times)
    copied = calls.table.select(list(_COPIED)).take(pa.array(of_row))
    measured = cache(lambda: [each.measures(calls, runs) for each in definitions])
    gaps = cache(lambda: [_gap_columns(each, calls) for each in definitions])

    def woven(parts: Callable[[], list[dict[str, Floats]]], name: str) -> Floats:
        """One figure of all definitions, in the order of the rows; NaN for those who have it not."""
        unknown = np.full(n_calls, np.nan)
        return np.column_stack([part.get(name, unknown) for part in parts()]).ravel()

    return {
        **{name: copied[name] for name in _COPIED},
        "definition": pa.array([each.name for each in definitions] * n_calls, pa.string()),
        **{name: partial(woven, gaps if name in _GAP_COLUMNS else measured, name) for name in _MEASURES},
    }


def _gap_columns(definition: Definition, calls: ModelCalls) -> dict[str, Floats]:
    if not definition.takes_gaps:
        return {}
    gaps = Gaps.of(calls.logs, definition.counted(calls.logs))
    answered = ~np.isnan(calls.column("replied_ns"))
    return {
        **{name: gaps.quantile_s(q) for name, q in _GAP_QUANTILES.items()},
        "n_gaps": np.where(answered, gaps.count, np.nan),
    }
