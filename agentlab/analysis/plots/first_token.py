"""How long model calls took to their first token, as a distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from agentlab.analysis.arguments import is_number, need_draws, need_share
from agentlab.analysis.arms import again_and_again, group_of_runs, groups_in_order
from agentlab.analysis.bands import clustered_half_width, dkw_half_width
from agentlab.analysis.definitions import DefinitionName, rows_with
from agentlab.analysis.latency_columns import LATENCY
from agentlab.analysis.latency_frames import latency_df
from agentlab.analysis.plots.canvas import Handle, canvas, frame, head, say
from agentlab.analysis.plots.lettering import label, labels
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
    cluster: str | None = "run_id",
    n_resamples: int = 1000,
    seed: int = 0,
) -> Axes:
    """The share of model calls that had their first token after so many seconds at most, with a band.

    With this confidence the band holds the whole true curve. Calls of one run hang together, so it is a bootstrap over
    whole runs, and a group of fewer than 6 runs (at 95 %) has none; where calls are independent, `cluster=None` gives
    the band of Dvoretzky, Kiefer and Wolfowitz. Calls without the measure, such as failed ones, are left out and
    counted in the key.

    Args:
        source: A run, a trace, a lab or a list of them.
        ax: Where to draw; a new figure when not given.
        by: What parts the calls: a tag of the runs, such as `variant`, or a column of `runs_df`, such as `model`.
        measure: A column of `latency_df` in seconds.
        definition: Whose meaning of the measure: `agentlab`, `vllm`, `guidellm`, `aiperf`, `otel` or `letta`.
        confidence: Of the band; 0 draws none.
        cluster: Whose values are independent of each other: a column of `runs_df` or a tag, such as `task` where runs
            repeat tasks. None: every call is.
        n_resamples: Draws.
        seed: The same seed gives the same band.

    Raises:
        InputError: There is no such measure, definition or tag, or a setting is out of its range.

    Source: for the bands, `agentlab.analysis.bands`.
    """
    if not isinstance(measure, str) or measure not in {column.name for column in LATENCY if column.unit == "s"}:
        raise InputError(f"{measure!r:.80} is no column of `latency_df` in seconds; {', '.join(_NAMES)} are")
    if not is_number(confidence) or confidence != 0:
        need_share("confidence", confidence, usual=0.95)
    need_draws(n_resamples, seed, usual="1,000")
    source = again_and_again(source)
    calls = latency_df(source, definition=definition)
    calls = rows_with(calls[calls["purpose"] == "step"], measure, definition)
    clusters = None if cluster is None else group_of_runs(source, cluster)
    groups = _values_by_group(calls, group_of_runs(source, by), clusters, measure)
    ax = canvas(ax, n_groups=len(groups))
    name = _NAMES.get(measure, measure.removesuffix("_s").replace("_", " "))
    name += "" if definition == "agentlab" else f" as {definition} means it"
    if not any(len(group.values) for group in groups.values()):
        return say(ax, f"nothing to show: no model call has {measure!r}", name)
    end_s = 1.05 * max(float(group.values.max()) for group in groups.values() if len(group.values)) or 1.0
    halves = [group.half_width(confidence, n_resamples, seed) for group in groups.values()]
    key = _draw_groups(ax, list(groups.values()), labels(groups) if by else [""], end_s, halves)
    if confidence and cluster is not None:
        key = [
            (line, text + f" · too few {_said(cluster)} for a band" * (half is None))
            for (line, text), half in zip(key, halves, strict=True)
        ]
    ax.set(xlim=(0, end_s), ylim=(0, 1.02))
    frame(ax, f"{name} [s]", "share of model calls", grid="both")
    whose = "independent calls" if cluster is None else f"whole {_said(cluster)}"
    bands = f", with {confidence:.0%} bands of {whose}".replace("%", " %")
    head(ax, name + bands * any(half is not None for half in halves), key)
    return ax


@dataclass(frozen=True, slots=True)
class _Group:
    """The known values of a group of calls, the clusters they come in, and how many values are not known."""

    values: Floats
    clusters: npt.NDArray[np.object_] | None
    n_missing: int

    def half_width(self, confidence: float, n_resamples: int, seed: int) -> float | None:
        """Of its band; None where there is none."""
        if not confidence or not len(self.values):
            return None
        if self.clusters is None:
            return dkw_half_width(len(self.values), confidence)
        return clustered_half_width(self.values, self.clusters, confidence, n_resamples, np.random.default_rng(seed))


def ecdf(values: Floats) -> tuple[Floats, Floats]:
    """Where an empirical distribution steps up, and how high it stands from there on.

    Args:
        values: Shape (n,), without NaN.

    Returns:
        The distinct values in order, and the share of all values up to each.
    """
    at, counts = np.unique(values, return_counts=True)
    return at, np.cumsum(counts) / max(1, len(values))


def _said(cluster: str) -> str:
    """Clusters of this name, in the plural."""
    return "runs" if cluster == "run_id" else "tasks" if cluster == "task" else f"groups of {label(cluster)}"


def _values_by_group(
    calls: pd.DataFrame, of_run: dict[str, str], cluster_of_run: dict[str, str] | None, measure: str
) -> dict[str, _Group]:
    values = calls[measure].to_numpy(dtype=float, na_value=np.nan)
    known = ~np.isnan(values)
    group = calls["run_id"].map(of_run).to_numpy(dtype=object)
    clusters = None if cluster_of_run is None else calls["run_id"].map(cluster_of_run).to_numpy(dtype=object)
    found = {}
    for name in groups_in_order(of_run):
        rows = (group == name) & known
        found[name] = _Group(
            values[rows], None if clusters is None else clusters[rows], int(((group == name) & ~known).sum())
        )
    return found


def _draw_groups(
    ax: Axes, groups: Sequence[_Group], names: Sequence[str], end_s: float, halves: Sequence[float | None]
) -> list[tuple[Handle, str]]:
    key: list[tuple[Handle, str]] = []
    for number, (name, group, half) in enumerate(zip(names, groups, halves, strict=True)):
        line = _draw_curve(ax, group.values, look_of_group(number), end_s, half)
        key.append((line, _told(name, group.values, group.n_missing)))
    ax.axhline(0.5, color=MUTED, linewidth=0.8, linestyle=(0, (1, 3)), zorder=1)
    return key


def _draw_curve(ax: Axes, values: Floats, look: Look, end_s: float, half: float | None) -> Line2D:
    at, share = ecdf(values)
    known = len(values) > 0
    x = np.concatenate([[0.0], at, [end_s]]) if known else at
    y = np.concatenate([[0.0], share, [1.0]]) if known else share
    if half is not None:
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
