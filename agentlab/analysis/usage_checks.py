"""What does not hold among token counts. It is reported, never mended."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from agentlab.analysis.columns import to_pandas
from agentlab.analysis.grouping import floats, under_runs, under_steps
from agentlab.analysis.latency import Floats, Ints
from agentlab.analysis.prompt_parts import Flags, Prompts
from agentlab.analysis.sources import Tables
from agentlab.analysis.usage_columns import PARTS
from agentlab.trace.usage import COUNTS

_KEYS = ("run_id", "step", "call", "purpose")


def problems(tables: Tables, prompts: Prompts) -> pd.DataFrame:
    """One row a check that does not hold, with both of its numbers; no rows when all is well.

    Of each call: no count is below 0; what is a part of something is not more than it; the total is the sum; a count
    comes with who counted. Of each run: its response ids are all different, as one that comes again was booked twice;
    the calls up to each step add up to what the run itself had counted when it decided to go on; and each prompt had
    as many messages as the request said.
    """
    found = [*_of_counts(tables), *_of_sources(tables), *_of_responses(tables)]
    found += [*_of_running_sums(tables), *_of_prompts(prompts)]
    rows = pa.concat_tables([_schema().empty_table(), *found]).combine_chunks()
    return to_pandas("usage_problems", {name: rows[name] for name in rows.column_names})


def _schema() -> pa.Schema:
    text, number = pa.string(), pa.float64()
    kinds = {"run_id": text, "step": pa.int64(), "call": pa.int64(), "purpose": text, "check": text}
    return pa.schema(list((kinds | {"found": number, "against": number}).items()))


def _broken(rows: pa.Table, check: str, found: Floats, against: Floats, breaks: Flags) -> pa.Table:
    """The rows where a check does not hold."""
    at = pa.array(np.flatnonzero(breaks))
    keys = [rows[name].take(at) if name in rows.column_names else pa.nulls(len(at)) for name in _KEYS]
    columns = [*keys, pa.repeat(check, len(at)), pa.array(found).take(at), pa.array(against).take(at)]
    return pa.Table.from_arrays(columns, names=_schema().names).cast(_schema())


def _of_counts(tables: Tables) -> Iterator[pa.Table]:
    calls = tables.table("model_calls")
    n = {name: floats(calls[name]) for name in COUNTS}
    zero = np.zeros(len(calls))
    for name in COUNTS:
        yield _broken(calls, f"{name} >= 0", n[name], zero, n[name] < 0)
    for part, whole in (
        ("cached_tokens", "input_tokens"),
        ("cache_write_tokens", "input_tokens"),
        ("reasoning_tokens", "output_tokens"),
    ):
        yield _broken(calls, f"{part} <= {whole}", n[part], n[whole], n[part] > n[whole])
    both, whole_prompt = n["cached_tokens"] + n["cache_write_tokens"], n["input_tokens"]
    one_is_more = (n["cached_tokens"] > whole_prompt) | (n["cache_write_tokens"] > whole_prompt)
    check = "cached_tokens + cache_write_tokens <= input_tokens"
    yield _broken(calls, check, both, whole_prompt, (both > whole_prompt) & ~one_is_more)
    sums = n["input_tokens"] + n["output_tokens"]
    differs = ~np.isnan(sums) & ~np.isnan(n["total_tokens"]) & (n["total_tokens"] != sums)
    yield _broken(calls, "total_tokens = input_tokens + output_tokens", n["total_tokens"], sums, differs)


def _of_sources(tables: Tables) -> Iterator[pa.Table]:
    """Counts that nobody counted, and somebody who counted nothing."""
    calls = tables.table("model_calls")
    n_counts = sum((~np.isnan(floats(calls[name]))).astype(np.float64) for name in COUNTS) + np.zeros(len(calls))
    missing = calls["usage_source"].fill_null("missing").combine_chunks().to_numpy(zero_copy_only=False) == "missing"
    limit = np.where(missing, 0.0, 1.0)
    yield _broken(calls, "counts without a source = 0", n_counts, limit, missing & (n_counts > 0))
    yield _broken(calls, "counts with a source >= 1", n_counts, limit, ~missing & (n_counts == 0))


def _of_responses(tables: Tables) -> Iterator[pa.Table]:
    """Responses that were booked more than once in their run; the first booking stands."""
    calls = tables.table("model_calls")
    keys = list(zip(calls["run_id"].to_pylist(), calls["response_id"].to_pylist(), strict=True))
    seen: dict[tuple[str, str | None], int] = {}
    times = np.zeros(len(keys))
    for row, key in enumerate(keys):
        seen[key] = seen.get(key, 0) + 1
        times[row] = seen[key] if key[1] else 1
    yield _broken(calls, "bookings of a response = 1", times, np.ones(len(keys)), times > 1)


def _of_running_sums(tables: Tables) -> Iterator[pa.Table]:
    """What the run had counted at each decision, against its calls up to then."""
    steps, calls, runs = tables.table("steps"), tables.table("model_calls"), tables.table("runs")
    known = np.nan_to_num(floats(calls["input_tokens"])) + np.nan_to_num(floats(calls["output_tokens"]))
    of_step = under_steps(calls, steps, runs).sum(known, of_nothing=0)
    so_far = np.cumsum(of_step) - _before(under_runs(steps, runs).of_row, of_step)
    recorded = floats(steps["known_tokens"])
    differs = ~np.isnan(recorded) & (recorded != so_far)
    yield _broken(steps, "sum of calls = run", so_far, recorded, differs)


def _before(run: Ints, of_step: Floats) -> Floats:
    """The sum over the steps of all earlier runs, for each step."""
    total = np.concatenate([[0.0], np.cumsum(of_step)])
    first = np.flatnonzero(np.diff(run, prepend=-1))
    return np.asarray(total[first][np.searchsorted(first, np.arange(len(run)), "right") - 1])


def _of_prompts(prompts: Prompts) -> Iterator[pa.Table]:
    """Messages of each prompt, as the trace puts them together, against those that were sent."""
    messages = np.delete(prompts.n_items, PARTS.index("tool_schemas"), axis=1).sum(axis=1).astype(np.float64)
    sent = floats(prompts.calls["n_messages"])
    yield _broken(prompts.calls, "messages of the prompt = messages sent", messages, sent, messages != sent)
