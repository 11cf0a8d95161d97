"""What comparisons found: differences with their intervals, one below the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from agentlab.analysis.comparison import Comparison
from agentlab.analysis.plots.canvas import LABEL_PT, SMALL_PT, Handle, canvas, frame, head, say
from agentlab.analysis.plots.lettering import column_label, labels, lettering
from agentlab.analysis.plots.palette import GRID, INK, MUTED, VERDICTS
from agentlab.errors import InputError

_WIDTH_IN, _ROW_IN, _FRAME_IN, _MOST_IN = 11.0, 0.36, 1.6, 14.0
_CHAR_PT, _GAP_PT = 5.1, 16.0
_MINUS = "\N{MINUS SIGN}"
_TITLE = "b against a"
_COULD_SHOW = "smaller than this sample could show"


def forest(comparisons: Comparison | Iterable[Comparison] | Mapping[str, Comparison], ax: Axes | None = None) -> Axes:
    """A forest plot: a row a comparison, the difference with its interval, p value, number of pairs and verdict.

    Differences of one metric stand in its unit; of several metrics in per cent of a's mean, which is taken for known.
    Grey is what the sample was too small to show.

    Args:
        comparisons: What `compare` found. P values of several stand as they are: `compare` with several metrics, and
            `adjusted`, adjust them. A mapping gives the rows their names.
        ax: Where to draw; the words stand at its right, where it needs room. A new figure when not given.

    Raises:
        InputError: One of them is no comparison.
    """
    named = _named(comparisons)
    rows = [_Row(name, each, relative=_relative(named)) for name, each in named]
    ax = canvas(ax, width_in=_WIDTH_IN, height_in=min(_FRAME_IN + _ROW_IN * max(1, len(rows)), _MOST_IN))
    if not rows:
        return say(ax, "nothing to show: there is no comparison", _TITLE)
    _set_limits(ax, rows)
    key = _draw_reach(ax, rows)
    for place, row in enumerate(rows):
        _draw_row(ax, place, row)
    _write(ax, rows)
    what = " [% of a's mean]" if _relative(named) else f": {column_label(rows[0].found.metric)}"
    frame(ax, f"b minus a{what}", "", grid="x")
    ax.axvline(0, color=INK, linewidth=1.0, zorder=1.8)
    ax.set_yticks(range(len(rows)), labels([row.name for row in rows]), **lettering(*(row.name for row in rows)))
    ax.tick_params(axis="y", labelcolor=INK, labelsize=LABEL_PT)
    head(ax, _TITLE, key)
    return ax


@dataclass(frozen=True, slots=True)
class _Row:
    """A comparison on the scale of the picture."""

    name: str
    found: Comparison
    relative: bool

    @property
    def scale(self) -> float:
        """What a difference is multiplied by; NaN where a's mean is 0 and nothing can be said in per cent."""
        if not self.relative:
            return 1.0
        return 100 / abs(self.found.mean_a) if self.found.mean_a else float("nan")

    @property
    def at(self) -> tuple[float, float, float]:
        """Low end, difference, high end."""
        found = self.found
        return found.low * self.scale, found.difference * self.scale, found.high * self.scale

    @property
    def reach(self) -> float:
        """The smallest difference that the sample could have shown; 0 where that is not known."""
        return (self.found.smallest_effect or 0.0) * self.scale

    @property
    def words(self) -> tuple[str, str, str, str]:
        """Difference with interval, p value, pairs, verdict."""
        found = self.found
        known = np.isfinite([found.low, found.high]).all()
        interval = f"{found.difference:+.3g}  " + (f"[{found.low:.3g}, {found.high:.3g}]" if known else "no interval")
        p = f"{found.p:.3f}" if found.p >= 0.001 else "< 0.001"
        n = f"{found.n_pairs:,} in {found.n_clusters:,}"
        verdict = found.verdict if np.isfinite(self.scale) else f"{found.verdict} (a is 0)"
        return interval.replace("-", _MINUS), p, n, verdict


def _named(comparisons: Comparison | Iterable[Comparison] | Mapping[str, Comparison]) -> list[tuple[str, Comparison]]:
    if isinstance(comparisons, Comparison):
        comparisons = [comparisons]
    if isinstance(comparisons, str) or not isinstance(comparisons, Iterable):
        raise InputError(f"a forest is drawn of what `compare` found, not of {comparisons!r:.80}")
    if isinstance(comparisons, Mapping):
        named = [(str(name), each) for name, each in comparisons.items()]
    else:
        named = [(getattr(each, "metric", ""), each) for each in comparisons]
    strange = [each for _, each in named if not isinstance(each, Comparison)]
    if strange:
        raise InputError(f"a forest is drawn of what `compare` found, not of {strange[0]!r:.80}")
    return named


def _relative(named: Sequence[tuple[str, Comparison]]) -> bool:
    return len({each.metric for _, each in named}) > 1


def _set_limits(ax: Axes, rows: Sequence[_Row]) -> None:
    ends = np.array([value for row in rows for value in (*row.at, row.reach, -row.reach)])
    ends = ends[np.isfinite(ends)]
    reach = float(np.abs(ends).max()) if len(ends) and np.abs(ends).max() > 0 else 1.0
    low, high = min(0.0, float(ends.min(initial=0))), max(0.0, float(ends.max(initial=0)))
    ax.set_xlim(low - 0.08 * reach, high + 0.08 * reach)
    ax.set_ylim(len(rows) - 0.4, -0.6)


def _draw_reach(ax: Axes, rows: Sequence[_Row]) -> list[tuple[Handle, str]]:
    places = [place for place, row in enumerate(rows) if np.isfinite(row.reach) and row.reach > 0]
    if not places:
        return []
    reach = np.array([rows[place].reach for place in places])
    ax.barh(places, 2 * reach, left=-reach, height=0.56, color=GRID, linewidth=0, zorder=1.2, label=_COULD_SHOW)
    return [(Patch(facecolor=GRID), _COULD_SHOW)]


def _draw_row(ax: Axes, place: int, row: _Row) -> None:
    low, middle, high = row.at
    if not np.isfinite(middle):
        return
    style = VERDICTS[row.found.verdict]
    line = style.get("linestyle", "-")
    ends = np.clip([low, high], *ax.get_xlim())  # of one cluster the interval has no ends
    ax.plot(ends, [place, place], color=style["color"], linewidth=2.0, linestyle=line, solid_capstyle="butt", zorder=3)
    for end in (low, high):
        if np.isfinite(end):
            ax.plot([end], [place], marker="|", color=style["color"], markersize=8, markeredgewidth=1.6, zorder=3)
    ax.plot([middle], [place], **{**style, "linestyle": "none"}, markersize=8, markeredgewidth=1.6, zorder=4)


def _write(ax: Axes, rows: Sequence[_Row]) -> None:
    """The figures in columns at the right of the axes."""
    adjusted = {row.found.adjusted_by for row in rows} - {None}
    confidence = {f"{100 * row.found.confidence:.4g} %" for row in rows}
    heads = (
        f"b {_MINUS} a  [{' or '.join(sorted(confidence))} interval]",
        f"p ({', '.join(map(str, adjusted))})" if adjusted else "p",
    )
    n = "pairs in clusters" if all(row.found.paired for row in rows) else "pairs or values in clusters"
    x_pt = _GAP_PT
    for column, title in enumerate((*heads, n, "verdict")):
        texts = [row.words[column] for row in rows]
        for place, text in [(-1, title), *enumerate(texts)]:
            ax.annotate(
                text,
                (1, place if place >= 0 else 1),
                xycoords=("axes fraction", "data" if place >= 0 else "axes fraction"),
                xytext=(x_pt, 0 if place >= 0 else 5),
                textcoords="offset points",
                va="center" if place >= 0 else "bottom",
                color=INK if place >= 0 else MUTED,
                fontsize=SMALL_PT,
                annotation_clip=False,
                **lettering(text),
            )
        x_pt += _CHAR_PT * max(map(len, [title, *texts])) + _GAP_PT
