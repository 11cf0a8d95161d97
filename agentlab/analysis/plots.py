"""Pictures of runs. Each takes and returns an `Axes`; colours are told apart by colour-blind eyes and in grey."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from agentlab.analysis.sources import Source, trace_of
from agentlab.analysis.waterfall import Bar, Kind, Mark, Since, Waterfall
from agentlab.trace.safe import in_one_line
from agentlab.trace.trace import Trace
from agentlab.trace.words import counted, seconds

_INK, _MUTED, _GRID = "#1f2328", "#6e7781", "#e4e7eb"
_STYLES: dict[Kind, dict[str, Any]] = {
    "waiting for the first token": {"zorder": 2, "facecolor": "#b9dcf2", "edgecolor": "#0072b2", "linewidth": 0.8},
    "model streaming": {"zorder": 2, "facecolor": "#0072b2", "edgecolor": "#0072b2", "linewidth": 0.8},
    "tool": {"zorder": 2, "facecolor": "#f5b43c", "edgecolor": "#7a4a00", "linewidth": 0.8, "hatch": "////"},
    "tool failed": {"zorder": 2, "facecolor": "#ffffff", "edgecolor": "#b3261e", "linewidth": 1.1, "hatch": "xxxx"},
    "waiting for a person": {"zorder": 2, "facecolor": "#f6e3ee", "edgecolor": "#a8508a", "hatch": ".."},
    "idle": {"facecolor": "#d3d8de", "linewidth": 0, "zorder": 1.5},
}
"""Light and dark differ besides the hue, and what a tool did is hatched. Idle time lies under the rest."""

_BAR_HEIGHT, _IDLE_HEIGHT = 0.62, 0.12
_FIRST_TOKEN = "first token"  # noqa: S105  # of a reply
_FEW_STEPS = 30
"""More rows than that leave no room for names; and on one time axis each step would be a dot on a diagonal."""

_LABEL_CHARS = 36
_WIDTH_IN, _ROW_IN, _FRAME_IN, _LEAST_IN, _MOST_IN = 9.0, 0.30, 1.45, 2.3, 14.0


def waterfall(run: Source, ax: Axes | None = None, *, since: Since | None = None) -> Axes:
    """Where the time of a run went: a row a step, with model, tool and idle time, and each reply's first token.

    The pale part of a model call is the wait for its first token. What has not ended reaches to the run's last event.

    Args:
        run: A run or a trace.
        ax: Where to draw; a new figure, as high as the run needs, when not given.
        since: Times count from the start of the `run`, or in each row from the start of its `step`; when not given,
            from the run's up to 30 steps.

    Raises:
        InputError: There is not exactly one run in it.
    """
    trace = trace_of(run)
    few = len(trace.steps) <= _FEW_STEPS
    since = since or ("run" if few else "step")
    picture = Waterfall(trace, since)
    bars = picture.bars
    if ax is None:
        height_in = min(max(_FRAME_IN + _ROW_IN * len(trace.steps), _LEAST_IN), _MOST_IN)
        _, ax = plt.subplots(figsize=(_WIDTH_IN, height_in), layout="constrained")
    _draw_bars(ax, bars)
    _draw_marks(ax, picture.first_tokens, few=few)
    if few:
        _name_tools(ax, picture, bars)
    _frame(ax, len(trace.steps), max((bar.end_s for bar in bars), default=0.0))
    ax.set_xlabel(f"time since the {since} started [s]", color=_INK)
    ax.set_title(_title(trace), loc="left", pad=26, fontsize=11, color=_INK, parse_math=False)
    _explain(ax)
    return ax


def save_picture(ax: Axes, path: Path, *, dpi: int = 120) -> None:
    """Write the figure of this plot to a file, its kind by the ending, and let the figure go."""
    figure = ax.get_figure(root=True)
    if figure is not None:
        figure.savefig(path, dpi=dpi)
        plt.close(figure)


def _draw_bars(ax: Axes, bars: Sequence[Bar]) -> None:
    for kind, style in _STYLES.items():
        some = [bar for bar in bars if bar.kind == kind]
        if some:
            ax.barh(
                [_middle(bar) for bar in some],
                [bar.end_s - bar.start_s for bar in some],
                left=[bar.start_s for bar in some],
                height=[_height(bar) for bar in some],
                label=kind,
                **style,
            )


def _height(bar: Bar) -> float:
    return _IDLE_HEIGHT if bar.kind == "idle" else _BAR_HEIGHT / bar.lanes


def _middle(bar: Bar) -> float:
    """Steps stand at whole numbers, lanes one below the other."""
    return bar.step + (bar.lane - (bar.lanes - 1) / 2) * _height(bar)


def _draw_marks(ax: Axes, marks: Sequence[Mark], *, few: bool) -> None:
    if marks:
        ax.scatter(
            [mark.t_s for mark in marks],
            [mark.step for mark in marks],
            label=_FIRST_TOKEN,
            marker="D",
            s=26 if few else 11,
            color=_INK,
            edgecolors="white",
            linewidths=0.9 if few else 0.5,
            zorder=3,
            clip_on=False,
        )


def _name_tools(ax: Axes, picture: Waterfall, bars: Sequence[Bar]) -> None:
    """The names of its tools behind each row."""
    for step in picture.steps:
        end_s = max(bar.end_s for bar in bars if bar.step == step)
        ax.annotate(
            in_one_line(", ".join(picture.tools_of(step)), _LABEL_CHARS),
            (end_s, step),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=_MUTED,
            fontsize=8.5,
            parse_math=False,
        )


def _frame(ax: Axes, n_steps: int, end_s: float) -> None:
    ax.set_xlim(0, max(end_s, 1e-3) * (1.14 if n_steps <= _FEW_STEPS else 1.02))
    ax.set_ylim(max(n_steps, 1) + 0.6, 0.4)
    every = 1 if n_steps <= _FEW_STEPS else 5 if n_steps <= 2 * _FEW_STEPS else 10 * (1 + n_steps // 200)
    ax.set_yticks([1, *(n for n in range(2, n_steps + 1) if n % every == 0)])
    ax.set_ylabel("step", color=_INK)
    ax.grid(axis="x", color=_GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(length=0, colors=_MUTED, labelsize=9)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(_GRID)


def _explain(ax: Axes) -> None:
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    shown = [name for name in (_FIRST_TOKEN, *_STYLES) if name in handles]
    if shown:
        ax.legend(
            [handles[name] for name in shown],
            shown,
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            borderaxespad=0.3,
            ncols=len(shown),
            columnspacing=1.3,
            handlelength=1.7,
            frameon=False,
            fontsize=8.5,
        )


def _title(trace: Trace) -> str:
    if not trace.events:
        return "an empty trace"
    begin = trace.started
    names = in_one_line(f"{begin.agent_name} · {begin.model}", 2 * _LABEL_CHARS)
    steps = counted(len(trace.steps), "step")
    return f"{names} · {steps} in {seconds(trace.duration_s)} · {trace.stop_reason or trace.status}"
