"""What all plots share: where they are drawn, their frame, their key, and what they say when nothing is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import Container
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FuncFormatter, MaxNLocator

from agentlab.analysis.plots.lettering import lettering
from agentlab.analysis.plots.palette import GRID, INK, MUTED, Style
from agentlab.errors import InputError

Handle: TypeAlias = "Artist | Container | tuple[Artist, ...]"

WIDTH_IN, HEIGHT_IN = 7.0, 4.0
SMALL_PT, LABEL_PT, TITLE_PT = 8.5, 10.0, 11.0

_HANDLE_IN, _CHAR_IN, _ROW_PT = 0.52, 0.063, 14.5
_FEW_GROUPS = 4
_THIN_PT = 3.0
"""Of bars that are thinner little more than the lines around them would be seen, which have the colour of others."""


def canvas(ax: Axes | None, *, width_in: float = WIDTH_IN, height_in: float = HEIGHT_IN, n_groups: int = 0) -> Axes:
    """The axes that were given, or those of a new figure of this size, higher for a key of many groups.

    Raises:
        InputError: `ax` is something else.
    """
    if ax is not None and not isinstance(ax, Axes):
        raise InputError(f"ax is {ax!r:.80}; it takes the axes of a figure, or None for a new one")
    if ax is None:
        more_in = _ROW_PT / 72 * max(0, n_groups - _FEW_GROUPS)
        _, ax = plt.subplots(figsize=(width_in, height_in + more_in), layout="constrained")
    return ax


def save_picture(ax: Axes, path: Path, *, dpi: int = 120) -> None:
    """Write the figure of this plot to a file, its kind by the ending, and let the figure go."""
    figure = _whole_figure(ax)
    figure.savefig(path, dpi=dpi)
    plt.close(figure)


def frame(ax: Axes, x_label: str, y_label: str, *, grid: str = "y") -> None:
    """Names and units of the axes, a quiet frame, and grid lines across `x`, `y` or `both`."""
    ax.set_xlabel(x_label, color=INK, fontsize=LABEL_PT, **lettering(x_label))
    ax.set_ylabel(y_label, color=INK, fontsize=LABEL_PT, **lettering(y_label))
    ax.grid(visible=True, axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]  # matplotlib checks it
    ax.set_axisbelow(True)
    ax.tick_params(which="both", length=0, colors=MUTED, labelsize=9)
    bare = {"y": ["top", "right", "left"], "x": ["top", "right", "left"], "both": ["top", "right"]}[grid]
    ax.spines[bare].set_visible(False)
    ax.spines[[side for side in ("left", "bottom") if side not in bare]].set_color(GRID)


def head(ax: Axes, title: str, key: Sequence[tuple[Handle, str]] = ()) -> None:
    """The title, and below it the key in as many columns as there is room for."""
    rows = _explain(ax, key) if key else 0
    ax.set_title(
        title, loc="left", pad=8 + _ROW_PT * rows + 2 * bool(rows), fontsize=TITLE_PT, color=INK, **lettering(title)
    )


def _explain(ax: Axes, key: Sequence[tuple[Handle, str]]) -> int:
    """The key above the axes; gives back the number of its rows."""
    names = [name for _, name in key]
    n_columns = _columns_that_fit(ax, names)
    style = lettering(*names)
    font = FontProperties(family=style.pop("fontfamily", None), size=SMALL_PT)
    legend = ax.legend(
        [handle for handle, _ in key],
        [str(number) for number in range(len(key))],  # matplotlib before 3.10 leaves out names with `_` first
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        borderaxespad=0.3,
        ncols=n_columns,
        columnspacing=1.3,
        handlelength=2.2,
        handleheight=1.0,
        frameon=False,
        labelcolor=INK,
        prop=font,
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, **style)
    return -(-len(key) // n_columns)


def bar_pt(ax: Axes, n_bars: int, *, across: bool) -> float:
    """About how much room there is for each of so many bars, lying ones `across` the axes or standing ones."""
    whole, place = _whole_figure(ax).get_size_inches(), ax.get_position()
    size_in: float = whole[1] * place.height if across else whole[0] * place.width
    return 72 * size_in / max(1, n_bars)


def of_bars(style: Style, room_pt: float) -> Style:
    """The style for bars with so much room each: thin ones have no lines around them."""
    return style if room_pt >= _THIN_PT else {**style, "linewidth": 0, "snap": False}


def whole_numbers(ax: Axes) -> None:
    """Numbers at the y axis for what comes in ones, such as tokens."""
    ax.yaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def say(ax: Axes, sentence: str, title: str = "") -> Axes:
    """Write a sentence where the picture would be."""
    ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
    ax.spines[:].set_visible(False)
    ax.text(
        0.5,
        0.5,
        sentence,
        transform=ax.transAxes,
        ha="center",
        va="center",
        color=MUTED,
        fontsize=LABEL_PT,
        wrap=True,
        **lettering(sentence),
    )
    if title:
        head(ax, title)
    return ax


def _whole_figure(ax: Axes) -> Figure:
    """Also of axes in a part of a figure; `get_figure(root=True)` is younger than matplotlib 3.9."""
    whole: Figure = ax.figure.figure
    return whole


def _columns_that_fit(ax: Axes, names: Sequence[str]) -> int:
    room_in = (
        _whole_figure(ax).get_size_inches()[0] * ax.get_position().width * 1.2
    )  # constrained layout leaves more than the default margins
    return next((n for n in range(len(names), 1, -1) if _key_in(names, n) <= room_in), 1)


def _key_in(names: Sequence[str], n_columns: int) -> float:
    """About how wide a key is: its first columns hold one more than the others."""
    each, longer = divmod(len(names), n_columns)
    ends = np.cumsum([each + (column < longer) for column in range(n_columns)])
    columns = (names[start:end] for start, end in zip([0, *ends], ends, strict=False))
    return sum(_HANDLE_IN + _CHAR_IN * max(map(len, column)) for column in columns)
