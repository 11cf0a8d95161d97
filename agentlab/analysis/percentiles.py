"""Percentiles of latencies, each with an interval: a p99 without one says little, and of few values nothing.

Calls of one run hang together, so whole runs are resampled, as `compare` does it with tasks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from agentlab.analysis.arguments import is_number, need_draws, need_name, need_share
from agentlab.analysis.arms import again_and_again, group_of_runs
from agentlab.analysis.definitions import DefinitionName, rows_with
from agentlab.analysis.latency import Floats, Ints
from agentlab.analysis.latency_frames import latency_df
from agentlab.analysis.sources import Source
from agentlab.errors import InputError

Data: TypeAlias = "Source | pd.DataFrame | pd.Series[float]"

_CLUSTER = "run_id"
_DTYPES: dict[str, pa.DataType] = {
    "measure": pa.string(),
    "q": pa.float64(),
    "n": pa.int64(),
    "n_missing": pa.int64(),
    "n_clusters": pa.int64(),
    "estimate": pa.float64(),
    "low": pa.float64(),
    "high": pa.float64(),
    "level": pa.float64(),
    "note": pa.string(),
}


@dataclass(frozen=True)
class _Sample:
    """Values in order, and the cluster of each."""

    values: Floats
    clusters: Ints
    n_missing: int

    @property
    def n_clusters(self) -> int:
        return int(self.clusters.max(initial=-1)) + 1


def percentiles(
    data: Data,
    measure: str = "ttft_s",
    *,
    q: float | Sequence[float] | Floats = (0.5, 0.9, 0.99),
    by: str | Sequence[str] | None = None,
    cluster: str | None = _CLUSTER,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
    definition: DefinitionName = "agentlab",
) -> pd.DataFrame:
    """Percentiles with bootstrap intervals: one row a group and percentile.

    Clusters are drawn with replacement, whole; the interval is between the quantiles of the percentiles of those draws.
    A percentile lies between two values on the line, as in `Series.quantile`. Values that are NA do not count and are
    told in `n_missing`.

    No interval is given where the data cannot bear one: with fewer than twice the values that it takes to have the
    percentile between the smallest and the largest (at 95 %: 12 for the median, 58 for p90, 598 for p99), or with fewer
    than 6 clusters. Then `low` and `high` are NA and `note` says what is lacking; the estimate is that of the sample
    alone. Near those limits intervals of tails are short: in simulations 92 of 100 had the true percentile in them
    where 95 should, and 87 with 30 runs whose calls depend much on their run (47 when that is ignored).

    Args:
        data: A run, a trace, a lab or a list of them: their calls for steps, from `latency_df`. Or a frame of one's own
            such as `runs_df` or `gaps_df`, or a series.
        measure: A column of numbers; a series has its own name.
        q: Between 0 and 1; one or several. The smallest value of all, 0, and the largest, 1, have no interval.
        by: Columns whose values make groups, such as `model`; of runs also their tags, such as `variant`.
        cluster: Column or tag whose values are independent of each other: `run_id`, or `task` where runs repeat tasks.
            None: every value is. A series has none.
        level: Of the intervals.
        n_resamples: Draws.
        seed: The same seed gives the same figures.
        definition: Whose measures, where a run, a trace or a lab is given.

    Returns:
        The columns of `by`, then `measure`, `q`, `n`, `n_missing`, `n_clusters`, `estimate`, `low`, `high`, `level`,
        `note`; the figures in the measure's unit.

    Raises:
        InputError: A column or tag is missing, a measure is no number, or a setting is out of its range.

    Source: Davison and Hinkley, Bootstrap Methods and their Application (1997), sections 2.4 and 3.8; for the least
        number of values, the interval between the smallest and the largest: Wilks, Annals of Mathematical Statistics
        12 (1941), 91-96.
    """
    q = _shares(q)
    need_share("level", level, usual=0.95)
    need_draws(n_resamples, seed, usual="2,000")
    if isinstance(data, pd.Series):
        measure, cluster = measure if data.name is None else str(data.name), None
    keys = _keys(by, measure, cluster)
    needed = [*keys, *([] if cluster is None else [cluster])]
    frame = _frame(data, measure, definition, needed)
    _need(frame, measure, needed)
    rows: list[dict[str, Any]] = []
    for group, part in _groups(frame, keys):
        sample = _sample(part, measure, cluster)
        drawn = _drawn(sample, q, n_resamples, np.random.default_rng(seed))
        for n, each in enumerate(q):
            told = _row(sample, each, level, drawn[:, n])
            rows.append({**dict(zip(keys, group, strict=True)), "measure": measure, **told})
    return _typed(rows, keys, frame)


def _row(sample: _Sample, q: float, level: float, drawn: Floats) -> dict[str, Any]:
    note = _lacking(sample, q, level)
    low, high = (None, None) if note else np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return {
        "q": q,
        "n": len(sample.values),
        "n_missing": sample.n_missing,
        "n_clusters": sample.n_clusters,
        "estimate": float(np.quantile(sample.values, q)) if len(sample.values) else None,
        "low": low,
        "high": high,
        "level": level,
        "note": note,
    }


def _drawn(sample: _Sample, q: Sequence[float], n_resamples: int, rng: np.random.Generator) -> Floats:
    """The percentiles of each draw, shape (resamples, len(q))."""
    n_clusters = sample.n_clusters
    found = np.full((n_resamples, len(q)), np.nan)
    if n_clusters < 2:
        return found
    values, places = sample.values, np.asarray(q, float)
    for n in range(n_resamples):
        times = np.bincount(rng.integers(0, n_clusters, n_clusters), minlength=n_clusters)
        reached = np.cumsum(times[sample.clusters])  # how many drawn values lie up to each
        place = (reached[-1] - 1) * places
        below = values[np.searchsorted(reached, np.floor(place), side="right")]
        above = values[np.searchsorted(reached, np.ceil(place), side="right")]
        found[n] = below + (above - below) * (place - np.floor(place))
    return found


def _lacking(sample: _Sample, q: float, level: float) -> str | None:
    """What an interval of this level would need; None when it is there."""
    if q in (0, 1):
        return "no interval: draws know no value beyond those of the sample"
    least = _least_values(q, level)
    if len(sample.values) < least:
        return f"too few values: {len(sample.values)} of the {least} that an interval at {level:.0%} takes"
    least_clusters = math.ceil(1 - math.log2(1 - level) - 1e-9)
    if sample.n_clusters < least_clusters:
        return f"too few clusters: {sample.n_clusters} of the {least_clusters} that an interval at {level:.0%} takes"
    return None


def _least_values(q: float, level: float) -> int:
    """Twice the values that it takes for the smallest and the largest to have the percentile between them so often.

    With fewer the draws, which know no larger value than the sample, give intervals that are far too short.
    """
    n = max(2, math.floor(math.log(1 - level) / math.log(max(q, 1 - q))))
    while q**n + (1 - q) ** n > 1 - level:
        n += 1
    return 2 * n


def _shares(q: Any) -> list[float]:
    """The percentiles that are asked for, each once."""
    found = list(q) if isinstance(q, list | tuple | np.ndarray | pd.Series) and np.ndim(q) == 1 else [q]
    if not found or not all(is_number(each) and 0 <= each <= 1 for each in found):
        raise InputError(f"`q` takes numbers between 0 and 1, such as (0.5, 0.99), not {q!r:.80}")
    return list(dict.fromkeys(map(float, found)))


def _keys(by: Any, measure: Any, cluster: Any) -> list[str]:
    """The columns that make groups; neither the measure, nor of the name of a column of the answer."""
    keys = [] if by is None else [by] if isinstance(by, str) else by
    if not isinstance(keys, list | tuple):
        raise InputError(f"by is {by!r:.80}; it takes the name of a column, or a list of them")
    need_name("measure", measure)
    for name in keys:
        need_name("by", name)
    if cluster is not None:
        need_name("cluster", cluster)
    taken = [name for name in keys if name in _DTYPES or name == measure or keys.count(name) > 1]
    if taken:
        raise InputError(f"by has {taken[0]!r:.80}, which the answer has already; name each column once, or rename it")
    if cluster == measure:
        raise InputError(f"cluster is {cluster!r:.80}, which is measured; it takes the column of what is independent")
    return list(keys)


def _frame(data: Data, measure: str, definition: DefinitionName, keys: Sequence[str]) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, pd.Series):
        return data.to_frame(measure)
    source = again_and_again(data)
    frame = rows_with(latency_df(source, definition=definition, where={"purpose": "step"}), measure, definition).copy()
    for key in keys:
        if key not in frame.columns:  # it is said of runs
            frame[key] = frame["run_id"].map(group_of_runs(source, key)).astype("string")
    return frame


def _need(frame: pd.DataFrame, measure: str, keys: Sequence[str]) -> None:
    """Raises InputError where the frame has not what is asked of it."""
    names = ", ".join(map(str, frame.columns))
    for name in (measure, *keys):
        if name not in frame.columns:
            hint = "; give the column of the clusters as `cluster`, or None" if name == _CLUSTER else ""
            raise InputError(f"there is no column {name!r:.80}; there are {names}{hint}")
        if isinstance(frame[name], pd.DataFrame):
            raise InputError(f"there are several columns {name!r:.80}; rename all but one")
    for name in keys:
        try:
            frame[name].unique()
        except TypeError as exc:
            raise InputError(f"`{name}` holds values that are no names, such as lists") from exc
    dtype = frame[measure].dtype
    numbers = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype)
    if not numbers or pd.api.types.is_bool_dtype(dtype):
        raise InputError(f"`{measure}` is no column of numbers but {dtype}")
    if np.isinf(frame[measure].to_numpy(dtype=float, na_value=np.nan)).any():
        raise InputError(f"`{measure}` has infinite values; set what was not measured to NA")


def _groups(frame: pd.DataFrame, keys: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    if not keys:
        yield (), frame
        return
    yield from frame.groupby(keys, observed=True, dropna=False)


def _sample(frame: pd.DataFrame, measure: str, cluster: str | None) -> _Sample:
    values: Floats = frame[measure].to_numpy(dtype=float, na_value=np.nan)
    known = ~np.isnan(values)
    codes: npt.NDArray[np.intp] = np.arange(known.sum())
    if cluster is not None:
        codes = pd.factorize(frame[cluster][known], use_na_sentinel=False)[0]
    order = np.argsort(values[known], kind="stable")
    return _Sample(values[known][order], codes[order], int((~known).sum()))


def _typed(rows: list[dict[str, Any]], keys: list[str], frame: pd.DataFrame) -> pd.DataFrame:
    """The rows as a frame: groups as they were, figures backed by Arrow."""
    columns: dict[str, Any] = {key: pd.Series([row[key] for row in rows], dtype=frame[key].dtype) for key in keys}
    for name, kind in _DTYPES.items():
        columns[name] = pd.Series(
            pd.arrays.ArrowExtensionArray(pa.array([row[name] for row in rows], kind, from_pandas=True))
        )
    return pd.DataFrame(columns)
