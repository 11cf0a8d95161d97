"""How the prompt grew from step to step, and what it was made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator

from agentlab.analysis.arms import again_and_again, group_of_runs, groups_in_order
from agentlab.analysis.calls import ModelCalls
from agentlab.analysis.context import context_df
from agentlab.analysis.grouping import take, under_steps
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
from agentlab.analysis.plots.lettering import labels
from agentlab.analysis.plots.palette import PARTS, UNKNOWN, look_of_group
from agentlab.analysis.sources import Source, tables_of
from agentlab.analysis.tokenizers import TokenCounter, Tokenizer
from agentlab.trace.words import counted

_TITLE = "prompt by step"
_MOST_IN, _LEAST_STEPS, _MOST_TICKS = 14.0, 6, 16
_SHARED, _MEASURED = "scaled_tokens", "tokens"


def context_growth(
    source: Source, ax: Axes | None = None, *, by: str | None = None, tokenizer: Tokenizer | None = None
) -> Axes:
    """The tokens of the prompt at each step: of one run stacked by part, of several a line a run.

    A step's prompt is that of its last model call. Parts are shares of what the provider counted, in proportion to the
    tokens of their texts, or these tokens where it counted in no step; the title says which. A step that it did not
    count is a cross, or a gap in a line: a missing count is never 0.

    Args:
        source: A run, a trace, a lab or a list of them.
        ax: Where to draw; a new figure when not given.
        by: What parts the runs: one of their tags, such as `variant`, or a column of `runs_df`, such as `model`.
        tokenizer: Counts the tokens of a text, as in `context_df`; None: one for every four characters begun.

    Raises:
        InputError: There is no such tag, or the tokenizer is something else.
    """
    source = again_and_again(source)
    prompts, of_run = _prompts(source), group_of_runs(source, by)
    steps = sorted(set(prompts["step"]))
    width_in = min(max(WIDTH_IN, 2.5 + 0.28 * len(steps)), _MOST_IN)
    ax = canvas(ax, width_in=width_in, n_groups=len(groups_in_order(of_run)))
    counter = TokenCounter(tokenizer)
    parts = context_df(source, tokenizer=tokenizer) if len(of_run) == 1 else None
    if not steps or (prompts["tokens"].isna().all() and (parts is None or parts["tokens"].isna().all())):
        why = "no model call told how long its prompt was" if steps else "no run has asked its model yet"
        return say(ax, f"nothing to show: {why}", _TITLE)
    if parts is None:
        title, key = f"{_TITLE} of {counted(len(of_run), 'run')}", _draw_runs(ax, prompts, of_run, by)
    else:
        title, key = _draw_parts(ax, prompts, parts, counter)
    _frame(ax, steps)
    head(ax, title, key)
    return ax


def _prompts(source: Source) -> pd.DataFrame:
    """Columns `run_id`, `step` and `tokens`, which the provider counted: floats, NaN where it did not."""
    tables = tables_of(source)
    calls, steps = ModelCalls.of(tables), tables.table("steps")
    last = under_steps(calls.table, steps, tables.table("runs")).only(calls.for_steps).last()
    tokens = take(calls.column("input_tokens"), last)
    asked = ~last.is_null().to_numpy(zero_copy_only=False)
    columns = {"run_id": steps["run_id"].to_pylist(), "step": steps["step"].to_pylist(), "tokens": tokens}
    prompts: pd.DataFrame = pd.DataFrame(columns).loc[asked]
    return prompts


def _draw_parts(
    ax: Axes, prompts: pd.DataFrame, parts: pd.DataFrame, counter: TokenCounter
) -> tuple[str, list[tuple[Handle, str]]]:
    shared = bool(parts[_SHARED].notna().any())
    steps = prompts["step"].tolist()
    heights = pd.DataFrame({name: parts[name] for name in ("step", "part", _SHARED, _MEASURED)})
    heights["height"] = heights[_SHARED if shared else _MEASURED].to_numpy(dtype=float, na_value=np.nan)
    table = heights.pivot_table(index="step", columns="part", values="height", observed=True).reindex(steps)
    key: list[tuple[Handle, str]] = []
    bottom, room_pt = np.zeros(len(steps)), bar_pt(ax, len(steps), across=False)
    for part, style in PARTS.items():
        if part in table.columns:
            tokens = table[part].to_numpy(dtype=float)
            there = ~np.isnan(tokens)
            at, below = np.array(steps)[there], bottom[there]
            bars = ax.bar(at, tokens[there], width=0.72, bottom=below, label=part, **of_bars(style, room_pt))
            key.append((bars, part.replace("_", " ")))
            bottom[there] += tokens[there]
    estimated = counter.source == "estimated"
    if not shared:
        how = "estimated by length of text" if estimated else "told by a tokenizer"
        return f"{_TITLE}: nobody counted it, {how}", key
    by_what = "length of text" if estimated else "a tokenizer"
    return f"{_TITLE}: what the provider counted, shared out by {by_what}", key + _mark_untold(ax, prompts)


def _mark_untold(ax: Axes, prompts: pd.DataFrame) -> list[tuple[Handle, str]]:
    untold = prompts[prompts["tokens"].isna()]
    if not len(untold):
        return []
    at = ax.get_xaxis_transform()
    marks = ax.scatter(untold["step"], [0.03] * len(untold), transform=at, zorder=4, clip_on=False, **UNKNOWN)
    return [(marks, "not reported")]


def _draw_runs(ax: Axes, prompts: pd.DataFrame, of_run: dict[str, str], by: str | None) -> list[tuple[Handle, str]]:
    groups = groups_in_order(of_run)
    names = labels(groups) if by else [""]
    key: list[tuple[Handle, str]] = []
    for number, (group, name) in enumerate(zip(groups, names, strict=True)):
        look = look_of_group(number)
        runs = [run_id for run_id, own in of_run.items() if own == group]
        style = {"color": look.color, "linestyle": look.linestyle, "marker": look.marker, "markersize": 3.5}
        for _, run in prompts[prompts["run_id"].isin(runs)].groupby("run_id", sort=False):
            ax.plot(run["step"], run["tokens"], linewidth=1.3, alpha=0.75, **style)
        (sample,) = ax.plot([], [], linewidth=1.8, **style)
        key.append((sample, " · ".join(filter(None, [name, counted(len(runs), "run")]))))
    return key


def _frame(ax: Axes, steps: Sequence[int]) -> None:
    ax.set_xlim(steps[0] - 0.7, max(steps[-1] + 0.7, steps[0] + _LEAST_STEPS - 0.3))
    few = len(steps) <= _MOST_TICKS
    ax.xaxis.set_major_locator(FixedLocator(steps) if few else MaxNLocator(nbins=_MOST_TICKS, integer=True))
    ax.set_ylim(0, 1.05 * ax.dataLim.y1 or 1)  # prompts of 0 tokens leave no room above them
    whole_numbers(ax)
    frame(ax, "step", "prompt [tokens]", grid="y")
