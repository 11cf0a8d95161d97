"""How many tokens each step took, by kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator

from agentlab.analysis.frames import steps_df
from agentlab.analysis.plots.canvas import (
    WIDTH_IN,
    Handle,
    bar_pt,
    canvas,
    frame,
    head,
    of_bars,
    say,
    whole_numbers,
)
from agentlab.analysis.plots.palette import TOKENS, UNKNOWN
from agentlab.analysis.sources import Source
from agentlab.trace.words import counted

_TITLE = "tokens by step"
_NOT_REPORTED = "not reported"
_COUNTS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
_MOST_IN = 14.0
_LEAST_STEPS, _MOST_TICKS = 6, 16


def tokens_by_step(source: Source, ax: Axes | None = None) -> Axes:
    """The tokens of each step, stacked by kind: cached and fresh input, output, reasoning.

    Of several runs the mean over those that told. Where only a sum was told it is drawn as that, and what was told in
    no way is a cross: a missing count is never 0. A step whose request was sent again counts all its calls.

    Args:
        source: A run, a trace, a lab or a list of them.
        ax: Where to draw; a new figure when not given.
    """
    steps = steps_df(source)
    parts = token_parts(steps)
    numbers = sorted(set(steps["step"].astype(int)))
    ax = canvas(ax, width_in=min(max(WIDTH_IN, 2.5 + 0.28 * len(numbers)), _MOST_IN))
    if parts.isna().all(axis=None):
        why = "no model call told how many tokens it took" if numbers else "no run has a step yet"
        return say(ax, f"nothing to show: {why}", _TITLE)
    stacks = parts.groupby(steps["step"].astype(int).to_numpy()).mean().reindex(numbers)
    key = _draw_stacks(ax, numbers, stacks)
    untold = [n for n, known in zip(numbers, _all_told(steps, numbers), strict=True) if not known]
    if untold:
        key.append(_mark_untold(ax, untold))
    _frame(ax, numbers)
    n_runs = steps["run_id"].nunique()
    head(ax, _TITLE if n_runs == 1 else f"{_TITLE}, mean of {counted(n_runs, 'run')}", key)
    return ax


def token_parts(steps: pd.DataFrame) -> pd.DataFrame:
    """The tokens of steps, parted so far as their provider told.

    Args:
        steps: Rows of `steps_df`.

    Returns:
        A column a kind of `TOKENS`, floats; NaN where a step has nothing to say of that kind. Where the cached part of
        the input is known, cached and fresh input add up to it, else the input stands undivided; so with reasoning.
    """
    counts = {name: steps[name].to_numpy(dtype=float, na_value=np.nan) for name in _COUNTS}
    kinds = list(TOKENS)
    columns = {}
    for (inside, outside, whole), total, part in (
        (kinds[:3], counts["input_tokens"], counts["cached_tokens"]),
        ((kinds[4], kinds[3], kinds[5]), counts["output_tokens"], counts["reasoning_tokens"]),
    ):
        columns[inside] = np.where(np.isnan(total), np.nan, part)
        columns[outside] = total - part
        columns[whole] = np.where(np.isnan(part), total, np.nan)
    return pd.DataFrame(columns, index=steps.index)[kinds]


def _draw_stacks(ax: Axes, numbers: Sequence[int], stacks: pd.DataFrame) -> list[tuple[Handle, str]]:
    key: list[tuple[Handle, str]] = []
    bottom, room_pt = np.zeros(len(numbers)), bar_pt(ax, len(numbers), across=False)
    for kind, style in TOKENS.items():
        heights = stacks[kind].to_numpy(dtype=float)
        if np.isnan(heights).all():
            continue
        known = ~np.isnan(heights)
        at = np.array(numbers)[known]
        bars = ax.bar(at, heights[known], width=0.72, bottom=bottom[known], label=kind, **of_bars(style, room_pt))
        bottom += np.nan_to_num(heights)
        key.append((bars, kind))
    return key


def _all_told(steps: pd.DataFrame, numbers: Sequence[int]) -> list[bool]:
    """Of each step, whether input and output were told in all runs."""
    known = steps[["input_tokens", "output_tokens"]].notna().all(axis=1)
    return [bool(known[(steps["step"] == number).to_numpy(dtype=bool)].all()) for number in numbers]


def _mark_untold(ax: Axes, numbers: Sequence[int]) -> tuple[Handle, str]:
    """Crosses just above the axis, whatever its scale."""
    marks = ax.scatter(
        numbers, [0.03] * len(numbers), transform=ax.get_xaxis_transform(), zorder=4, clip_on=False, **UNKNOWN
    )
    return marks, _NOT_REPORTED


def _frame(ax: Axes, numbers: Sequence[int]) -> None:
    ax.set_xlim(numbers[0] - 0.7, max(numbers[-1] + 0.7, numbers[0] + _LEAST_STEPS - 0.3))
    few = len(numbers) <= _MOST_TICKS
    ax.xaxis.set_major_locator(FixedLocator(numbers) if few else MaxNLocator(nbins=_MOST_TICKS, integer=True))
    ax.set_ylim(0, 1.05 * ax.dataLim.y1 or 1)  # a bar of height 0 on top would leave no room above it
    whole_numbers(ax)
    frame(ax, "step", "tokens", grid="y")
