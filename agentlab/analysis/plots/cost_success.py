"""What each variant cost, and how often it succeeded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from agentlab.analysis.arguments import need_draws, need_name, need_share
from agentlab.analysis.arms import again_and_again, runs_with_tags
from agentlab.analysis.paired import clusters_of
from agentlab.analysis.plots.canvas import Handle, canvas, frame, head, say
from agentlab.analysis.plots.lettering import column_label, label, labels
from agentlab.analysis.plots.palette import PAPER, look_of_group
from agentlab.analysis.prices import Prices
from agentlab.analysis.resampling import bootstrap_interval, need_stats, rate_interval
from agentlab.analysis.sources import Source
from agentlab.analysis.usage import usage_df
from agentlab.errors import InputError
from agentlab.trace.words import counted

Floats: TypeAlias = npt.NDArray[np.float64]

_YES_AND_NO = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
"""How tags say it."""


def cost_vs_success(
    data: pd.DataFrame | Source,
    ax: Axes | None = None,
    *,
    success: str,
    cost: str = "cost_usd",
    by: str = "variant",
    cluster: str | None = "task",
    confidence: float = 0.95,
    n_resamples: int = 10_000,
    seed: int = 0,
    prices: Prices | None = None,
) -> Axes:
    """A point a variant: what a run of it cost on average, and how often it succeeded, with intervals of both.

    Trials of one task are not independent: the cost has the interval over whole tasks that `compare` has, a share of
    yes has Wilson's with as many trials as the tasks are worth, other scores are treated as the cost. A point that
    lacks an interval is hollow: too few tasks (5 at 95 %), or values that do not vary. Runs without a value are left
    out of its mean, and counted in the key.

    Args:
        data: A frame with a row a run, or runs: then the columns are those of `runs_df`, `cost_usd`, and their tags.
        ax: Where to draw; a new figure when not given.
        success: Column of yes and no, or of a score.
        cost: Column of what a run cost, in any unit.
        by: Column of the variants.
        cluster: Column of the tasks; None: every run is independent of the others.
        confidence: Of the intervals.
        n_resamples: Bootstrap samples.
        seed: The same seed gives the same intervals.
        prices: Of models, where `data` are runs; as in `usage_df`.

    Raises:
        InputError: A column is missing or holds no numbers.
    """
    need_stats()
    for setting, column in {"success": success, "cost": cost, "by": by, "cluster": cluster}.items():
        if setting != "cluster" or column is not None:
            need_name(setting, column)
    need_share("confidence", confidence, usual=0.95)
    need_draws(n_resamples, seed)
    runs = data if isinstance(data, pd.DataFrame) else _runs_with_costs(data, prices)
    ax = canvas(ax, n_groups=runs[by].nunique(dropna=False) if by in runs.columns else 0)
    title = f"cost and success, with {confidence:.0%} intervals".replace("%", " %")
    if not len(runs):
        return say(ax, "nothing to show: there are no runs", title)
    _need(runs, [success, cost, by, *([cluster] if cluster else [])])
    rng = np.random.default_rng(seed)
    points = _points(runs, success, cost, by, cluster, confidence, n_resamples, rng)
    if not any(point.drawn for point in points.values()):
        return say(ax, f"nothing to show: no run has both {label(success)!r} and {label(cost)!r}", title)
    key = [
        (_draw(ax, point, number), _told(name, point, cluster))
        for number, (name, point) in enumerate(zip(labels(points), points.values(), strict=True))
    ]
    rate = all(point.success.is_rate for point in points.values() if point.drawn)
    _frame(ax, cost, success, rate=rate)
    head(ax, title, key)
    return ax


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval, which is infinite where there is none."""

    n: int
    n_missing: int
    mean: float
    low: float
    high: float
    is_rate: bool

    @property
    def bars(self) -> Any:
        """How far the interval reaches to both sides, shape (2, 1); nothing where there is none."""
        known = np.isfinite([self.low, self.high]).all()
        return [[max(0.0, self.mean - self.low)], [max(0.0, self.high - self.mean)]] if known else [[0.0], [0.0]]


@dataclass(frozen=True, slots=True)
class Point:
    """A variant."""

    cost: Estimate
    success: Estimate
    n_clusters: int

    @property
    def drawn(self) -> bool:
        """It has a value on both axes."""
        return self.cost.n > 0 and self.success.n > 0


def estimate(
    values: Floats,
    clusters: npt.NDArray[np.object_],
    confidence: float,
    n_resamples: int,
    rng: np.random.Generator,
    *,
    is_rate: bool,
) -> Estimate:
    """The mean of the known values, with its interval over clusters.

    Args:
        values: One a run, shape (n,); NaN where it is not known.
        clusters: Which of the independent clusters each run belongs to, shape (n,).
        confidence: Of the interval.
        n_resamples: Bootstrap samples.
        rng: Draws them.
        is_rate: The values are yes and no, 1 and 0. The column says so, not these values: those of a score, or of what
            costs nothing, may all be 0.
    """
    known = ~np.isnan(values)
    n_missing = int((~known).sum())
    if not known.any():
        return Estimate(0, n_missing, np.nan, -np.inf, np.inf, is_rate)
    found = clusters_of(values[known], clusters[known])
    low, high = bootstrap_interval(found, confidence, n_resamples, rng)
    if is_rate and len(found) > 1:
        low, high = rate_interval(found, confidence)
    return Estimate(int(known.sum()), n_missing, found.mean, low, high, is_rate)


def _runs_with_costs(source: Source, prices: Prices | None) -> pd.DataFrame:
    """`runs_df` with tags and `cost_usd`: of all model calls of a run, NA when that of one is not known."""
    source = again_and_again(source)
    runs, usage = runs_with_tags(source), usage_df(source, by="run", prices=prices)
    cost = pd.Series(usage["cost_usd"].to_numpy(dtype=float, na_value=np.nan), usage["run_id"].to_numpy(dtype=object))
    total = cost.groupby(level=0).sum(skipna=False)
    return runs.assign(cost_usd=runs["run_id"].map(total).astype("Float64"))


def _points(
    runs: pd.DataFrame,
    success: str,
    cost: str,
    by: str,
    cluster: str | None,
    confidence: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> dict[str, Point]:
    costs, successes = _numbers(runs, cost), _numbers(runs, success)
    clusters = np.arange(len(runs)).astype(object) if cluster is None else runs[cluster].to_numpy(dtype=object)
    names = runs[by].astype("string").fillna(f"no {by}").to_numpy(dtype=object)
    is_rate = bool(np.isin(successes[~np.isnan(successes)], (0.0, 1.0)).all())
    points = {}
    for name in dict.fromkeys(names):
        rows = names == name
        of_cost, of_success = (
            estimate(values[rows], clusters[rows], confidence, n_resamples, rng, is_rate=rate)
            for values, rate in ((costs, False), (successes, is_rate))
        )
        points[str(name)] = Point(of_cost, of_success, len(set(clusters[rows])))
    return points


def _need(runs: pd.DataFrame, columns: list[str]) -> None:
    missing = [name for name in columns if name not in runs.columns]
    if missing:
        hint = "; cluster=None takes runs for independent" if missing == columns[3:] else ""
        raise InputError(f"there is no column {missing[0]!r:.80}; there are {', '.join(map(str, runs.columns))}{hint}")
    if len(columns) > 3 and runs[columns[3]].isna().any():
        raise InputError(
            f"{int(runs[columns[3]].isna().sum())} runs lack {columns[3]!r:.80}, which says what hangs together"
        )


def _numbers(runs: pd.DataFrame, column: str) -> Floats:
    """The values of a column; tags say yes and no in words, and numbers as text."""
    values = runs[column]
    if not (is_numeric_dtype(values) or is_bool_dtype(values)):
        words = values.astype("string").str.lower()
        said = words.map(_YES_AND_NO)
        values = said.fillna(pd.to_numeric(words, errors="coerce")).astype("Float64")
        strange = words[values.isna() & words.notna()]
        if len(strange):
            raise InputError(f"{column!r:.80} holds {str(strange.iloc[0])!r:.80}; it takes numbers, or true and false")
    numbers: Floats = values.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(numbers).any():
        raise InputError(f"{column!r:.80} has infinite values; set what was not measured to NA")
    return numbers


def _draw(ax: Axes, point: Point, number: int) -> Handle:
    look = look_of_group(number)
    known = bool(np.isfinite([point.cost.low, point.success.low]).all())
    marker: dict[str, Any] = {
        "marker": look.marker,
        "color": look.color,
        "markerfacecolor": look.color if known else PAPER,
    }
    if point.drawn:
        ax.errorbar(
            [point.cost.mean],
            [point.success.mean],
            xerr=point.cost.bars,
            yerr=point.success.bars,
            markersize=8,
            elinewidth=1.6,
            capsize=3.5,
            capthick=1.6,
            **marker,
        )
    return Line2D([], [], linewidth=1.6, markersize=7, **marker)


def _told(name: str, point: Point, cluster: str | None) -> str:
    groups = f" of {counted(point.n_clusters, 'task' if cluster == 'task' else 'cluster')}" if cluster else ""
    parts = [name, f"{counted(max(point.cost.n, point.success.n), 'run')}{groups}"]
    parts += [f"{point.cost.n_missing:,} without cost"] * bool(point.cost.n_missing)
    parts += [f"{point.success.n_missing:,} without success"] * bool(point.success.n_missing)
    return " · ".join(parts)


def _frame(ax: Axes, cost: str, success: str, *, rate: bool) -> None:
    ax.margins(0.12)
    y_label = f"share of runs: {label(success)}" if rate else column_label(success, "mean {} of a run")
    frame(ax, column_label(cost, "mean {} of a run"), y_label, grid="both")
    if rate:
        ax.set_ylim(-0.03, 1.03)
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
