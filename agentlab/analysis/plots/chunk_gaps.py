"""The gaps between the payload chunks of model replies, as a distribution on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, FixedFormatter, FixedLocator, PercentFormatter

from agentlab.analysis.arms import again_and_again, group_of_runs, groups_in_order
from agentlab.analysis.definitions import DefinitionName
from agentlab.analysis.gaps import gaps_df
from agentlab.analysis.plots.canvas import Handle, canvas, frame, head, say
from agentlab.analysis.plots.lettering import labels
from agentlab.analysis.plots.palette import MUTED, look_of_group
from agentlab.analysis.sources import Source
from agentlab.trace.words import seconds

Floats: TypeAlias = npt.NDArray[np.float64]

_BINS_PER_DECADE = 8
_ZERO_ROOM = 0.9
"""Decades to the left of the smallest gap, for those of 0."""


def token_gaps(
    source: Source, ax: Axes | None = None, *, by: str | None = None, definition: DefinitionName = "agentlab"
) -> Axes:
    """How long the pauses within replies were: the gaps between neighbouring payload chunks of a call.

    Gaps of 0 are real, as two events can come with one read, and have no place on a logarithmic axis: they stand at its
    left, as a bar of their own. The bars of a group add up to all of its gaps. A chunk may carry several tokens.

    Args:
        source: A run, a trace, a lab or a list of them.
        ax: Where to draw; a new figure when not given.
        by: What parts the calls: a tag of the runs, such as `variant`, or a column of `runs_df`, such as `model`.
        definition: Which chunks count: those of `agentlab`, `vllm`, `aiperf` or `otel`.

    Raises:
        InputError: There is no such tag or definition, or the definition takes no gaps.
    """
    source = again_and_again(source)
    gaps = gaps_df(source, definition=definition)
    groups = _gaps_by_group(gaps[gaps["purpose"] == "step"], group_of_runs(source, by))
    ax = canvas(ax, n_groups=len(groups))
    title = "gaps between the payload chunks of a reply"
    title += "" if definition == "agentlab" else f", as {definition} counts them"
    if not any(len(gaps) for gaps in groups.values()):
        return say(ax, "nothing to show: no reply has two payload chunks", title)
    bins = _Bins.of(list(groups.values()))
    names = labels(groups) if by else [""]
    key: list[tuple[Handle, str]] = []
    for number, (name, gaps_s) in enumerate(zip(names, groups.values(), strict=True)):
        key.append((_draw(ax, bins, gaps_s, number, len(groups)), _told(name, gaps_s)))
    _frame(ax, bins)
    head(ax, title, key)
    return ax


@dataclass(frozen=True, slots=True)
class _Bins:
    """Bins of equal width on a logarithmic axis, and the slot of the zeros at their left."""

    edges_s: Floats
    zero_s: tuple[float, float]

    @classmethod
    def of(cls, groups_s: Sequence[Floats]) -> _Bins:
        some = np.concatenate([gaps_s[gaps_s > 0] for gaps_s in groups_s])
        low, high = (np.floor(np.log10(some.min())), np.ceil(np.log10(some.max()))) if len(some) else (-3.0, 0.0)
        high = max(high, low + 1)
        edges = 10 ** np.linspace(low, high, round(high - low) * _BINS_PER_DECADE + 1)
        edges[-1] *= 1 + 1e-9  # a gap of a whole power of ten is in the last bin, whatever the rounding
        return cls(edges, (10 ** (low - _ZERO_ROOM * 0.75), 10 ** (low - _ZERO_ROOM * 0.3)))

    def shares(self, gaps_s: Floats) -> tuple[float, Floats]:
        """The share of zeros, and the share of the gaps in each bin."""
        counts, _ = np.histogram(gaps_s[gaps_s > 0], self.edges_s)
        n = max(1, len(gaps_s))
        return float(np.sum(gaps_s == 0)) / n, counts / n


def _gaps_by_group(gaps: pd.DataFrame, of_run: dict[str, str]) -> dict[str, Floats]:
    values = gaps["icl_s"].to_numpy(dtype=float)
    group = gaps["run_id"].map(of_run).to_numpy(dtype=object)
    return {name: values[group == name] for name in groups_in_order(of_run)}


def _draw(ax: Axes, bins: _Bins, gaps_s: Floats, number: int, n_groups: int) -> Patch:
    look = look_of_group(number)
    zeros, shares = bins.shares(gaps_s)
    fill = (look.color, 0.5 if n_groups == 1 else 0.1)
    outline: dict[str, Any] = {"edgecolor": look.color, "linestyle": look.linestyle, "linewidth": 1.6}
    ax.stairs(shares, bins.edges_s, fill=True, linewidth=0, facecolor=fill)
    ax.stairs(shares, bins.edges_s, color=look.color, linestyle=look.linestyle, linewidth=1.6)
    start, end = np.log10(bins.zero_s)
    left, right = 10 ** (start + (end - start) * np.array([number, number + 0.86]) / n_groups)
    ax.bar(left, zeros, right - left, align="edge", facecolor=fill, **outline)
    return Patch(facecolor=fill, **outline)


def _frame(ax: Axes, bins: _Bins) -> None:
    low, high = np.log10(bins.edges_s[0]), np.log10(bins.edges_s[-1])
    decades = [10.0**n for n in range(round(low), round(high) + 1)]
    ax.set_xscale("log")
    ax.set_xlim(10 ** (low - _ZERO_ROOM), bins.edges_s[-1])
    ax.set_ylim(bottom=0)
    as_time = EngFormatter(unit="s")
    frame(ax, "gap to the chunk before, on a logarithmic scale", "share of gaps", grid="y")
    ax.xaxis.set_major_locator(FixedLocator([float(np.sqrt(bins.zero_s[0] * bins.zero_s[1])), *decades]))
    ax.xaxis.set_major_formatter(FixedFormatter(["0", *(as_time(decade) for decade in decades)]))
    ax.xaxis.set_minor_locator(FixedLocator([]))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if ax.get_ylim()[1] > 0.06 else 1, symbol=" %"))
    ax.axvline(10 ** (low - _ZERO_ROOM * 0.1), color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))


def _told(name: str, gaps_s: Floats) -> str:
    """What the key says of a group."""
    parts = [name] if name else []
    parts.append(f"n = {len(gaps_s):,}")
    if len(gaps_s):
        parts += [f"{np.mean(gaps_s == 0):.1%} are 0".replace("%", " %"), f"median {seconds(float(np.median(gaps_s)))}"]
    return " · ".join(parts)
