"""How long model calls took to their first token, as a distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from agentlab.analysis.arms import again_and_again, group_of_runs, groups_in_order
from agentlab.analysis.definitions import DefinitionName
from agentlab.analysis.latency_columns import LATENCY
from agentlab.analysis.latency_frames import latency_df
from agentlab.analysis.plots.canvas import Handle, canvas, frame, head, say
from agentlab.analysis.plots.lettering import labels
from agentlab.analysis.plots.palette import MUTED, Look, look_of_group
from agentlab.analysis.sources import Source
from agentlab.errors import InputError
from agentlab.trace.words import seconds

_NAMES = {
    "ttfb_s": "time to the response headers",
    "ttft_s": "time to the first token",
    "ttfot_s": "time to the first token that is no reasoning",
    "ttfa_s": "time to the first answer text",
    "itl_mean_s": "mean time between tokens",
    "e2e_s": "time to the last token",
}
_MARKERS = 7
"""Markers on a curve: enough to tell it, too few to hide it."""

Floats: TypeAlias = npt.NDArray[np.float64]


def ttft_ecdf(
    source: Source,
    ax: Axes | None = None,
    *,
    by: str | None = None,
    measure: str = "ttft_s",
    definition: DefinitionName = "agentlab",
    confidence: float = 0.95,
) -> Axes:
    """The share of model calls that had their first token after so many seconds at most, with a band.

    The band is that of Dvoretzky, Kiefer and Wolfowitz: with this confidence it holds the whole true curve. It takes
    calls for independent. Calls without the measure, such as failed ones, are left out and counted in the key.

    Args:
        source: A run, a trace, a lab or a list of them.
        ax: Where to draw; a new figure when not given.
        by: What parts the calls: a tag of the runs, such as `variant`, or a column of `runs_df`, such as `model`.
        measure: A column of `latency_df` in seconds.
        definition: Whose meaning of the measure: `agentlab`, `vllm`, `guidellm`, `aiperf`, `otel` or `letta`.
        confidence: Of the band; 0 draws none.

    Raises:
        InputError: There is no such measure, definition or tag.

    Source: Massart, The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality (1990).
    """
    if measure not in {column.name for column in LATENCY if column.unit == "s"}:
        raise InputError(f"{measure!r:.80} is no column of `latency_df` in seconds; {', '.join(_NAMES)} are")
    if not 0 <= confidence < 1:
        raise InputError(f"confidence is {confidence!r}; it lies between 0 and 1, such as 0.95")
    source = again_and_again(source)
    calls = latency_df(source, definition=definition)
    groups = _values_by_group(calls[calls["purpose"] == "step"], group_of_runs(source, by), measure)
    ax = canvas(ax, n_groups=len(groups))
    name = _NAMES.get(measure, measure.removesuffix("_s").replace("_", " "))
    name += "" if definition == "agentlab" else f" as {definition} means it"
    if not any(len(values) for values, _ in groups.values()):
        return say(ax, f"nothing to show: no model call has {measure!r}", name)
    end_s = 1.05 * max(float(values.max()) for values, _ in groups.values() if len(values)) or 1.0
    key = _draw_groups(ax, groups, labels(groups) if by else [""], end_s, confidence)
    ax.set(xlim=(0, end_s), ylim=(0, 1.02))
    frame(ax, f"{name} [s]", "share of model calls", grid="both")
    head(ax, name + (f", with {confidence:.0%} bands".replace("%", " %") if confidence else ""), key)
    return ax


def ecdf(values: Floats) -> tuple[Floats, Floats]:
    """Where an empirical distribution steps up, and how high it stands from there on.

    Args:
        values: Shape (n,), without NaN.

    Returns:
        The distinct values in order, and the share of all values up to each.
    """
    at, counts = np.unique(values, return_counts=True)
    return at, np.cumsum(counts) / max(1, len(values))


def dkw_half_width(n: int, confidence: float) -> float:
    """Half the height of a band that holds the whole true distribution with this confidence."""
    return float(np.sqrt(np.log(2 / (1 - confidence)) / (2 * n)))


def _values_by_group(calls: pd.DataFrame, of_run: dict[str, str], measure: str) -> dict[str, tuple[Floats, int]]:
    """The known values of each group, and how many are not known."""
    values = calls[measure].to_numpy(dtype=float, na_value=np.nan)
    group = calls["run_id"].map(of_run).to_numpy(dtype=object)
    parts = {name: values[group == name] for name in groups_in_order(of_run)}
    return {name: (part[~np.isnan(part)], int(np.isnan(part).sum())) for name, part in parts.items()}


def _draw_groups(
    ax: Axes, groups: dict[str, tuple[Floats, int]], names: Sequence[str], end_s: float, confidence: float
) -> list[tuple[Handle, str]]:
    key: list[tuple[Handle, str]] = []
    for number, (name, (values, n_missing)) in enumerate(zip(names, groups.values(), strict=True)):
        line = _draw_curve(ax, values, look_of_group(number), end_s, confidence)
        key.append((line, _told(name, values, n_missing)))
    ax.axhline(0.5, color=MUTED, linewidth=0.8, linestyle=(0, (1, 3)), zorder=1)
    return key


def _draw_curve(ax: Axes, values: Floats, look: Look, end_s: float, confidence: float) -> Line2D:
    at, share = ecdf(values)
    known = len(values) > 0
    x = np.concatenate([[0.0], at, [end_s]]) if known else at
    y = np.concatenate([[0.0], share, [1.0]]) if known else share
    if known and confidence:
        half = dkw_half_width(len(values), confidence)
        low, high = np.clip(share - half, 0, 1), np.clip(share + half, 0, 1)
        ax.fill_between(at, low, high, step="post", color=look.color, alpha=0.16, linewidth=0)
    (line,) = ax.step(x, y, where="post", color=look.color, linestyle=look.linestyle, linewidth=1.8)
    line.set(marker=look.marker, markersize=4.5, markevery=slice(1, len(at) + 1, max(1, len(at) // _MARKERS)))
    return line


def _told(name: str, values: Floats, n_missing: int) -> str:
    """What the key says of a group."""
    parts = [name] if name else []
    parts.append(f"n = {len(values):,}" + (f", {n_missing:,} without" if n_missing else ""))
    if len(values):
        parts.append(f"median {seconds(float(np.median(values)))}")
    return " · ".join(parts)
