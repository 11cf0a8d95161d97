"""Where the time of one run went, step by step."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from agentlab.analysis.plots.canvas import SMALL_PT, Handle, bar_pt, canvas, frame, head, of_bars, say
from agentlab.analysis.plots.lettering import label, lettering
from agentlab.analysis.plots.palette import INK, MUTED, PAPER, TIMES
from agentlab.analysis.sources import Source, trace_of
from agentlab.analysis.waterfall import Bar, Mark, Since, Waterfall
from agentlab.trace.trace import Trace
from agentlab.trace.words import counted, seconds

_BAR_HEIGHT, _IDLE_HEIGHT = 0.62, 0.12
_FIRST_TOKEN = "first token"  # noqa: S105  # of a reply
_NAMES_CHARS = 56
_FEW_STEPS = 30
"""More rows than that leave no room for names; and on one time axis each step would be a dot on a diagonal."""

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
    ax = canvas(ax, width_in=_WIDTH_IN, height_in=min(max(_FRAME_IN + _ROW_IN * len(trace.steps), _LEAST_IN), _MOST_IN))
    if not bars:
        return say(ax, "nothing to show: the run has no step yet", _title(trace))
    key = [
        *_draw_marks(ax, picture.first_tokens, few=few),
        *_draw_bars(ax, bars, bar_pt(ax, len(trace.steps), across=True)),
    ]
    if few:
        _name_tools(ax, picture, bars)
    frame(ax, f"time since the {since} started [s]", "step", grid="x")
    _set_limits(ax, len(trace.steps), max(bar.end_s for bar in bars))
    head(ax, _title(trace), key)
    return ax


def _draw_bars(ax: Axes, bars: Sequence[Bar], room_pt: float) -> list[tuple[Handle, str]]:
    key: list[tuple[Handle, str]] = []
    for kind, style in TIMES.items():
        some = [bar for bar in bars if bar.kind == kind]
        if some:
            drawn = ax.barh(
                [_middle(bar) for bar in some],
                [bar.end_s - bar.start_s for bar in some],
                left=[bar.start_s for bar in some],
                height=[_height(bar) for bar in some],
                label=kind,
                zorder=1.5 if kind == "idle" else 2,  # idle time lies under the rest
                **of_bars(style, room_pt),
            )
            key.append((drawn, kind))
    return key


def _height(bar: Bar) -> float:
    return _IDLE_HEIGHT if bar.kind == "idle" else _BAR_HEIGHT / bar.lanes


def _middle(bar: Bar) -> float:
    """Steps stand at whole numbers, lanes one below the other."""
    return bar.step + (bar.lane - (bar.lanes - 1) / 2) * _height(bar)


def _draw_marks(ax: Axes, marks: Sequence[Mark], *, few: bool) -> list[tuple[Handle, str]]:
    if not marks:
        return []
    drawn = ax.scatter(
        [mark.t_s for mark in marks],
        [mark.step for mark in marks],
        label=_FIRST_TOKEN,
        marker="D",
        s=26 if few else 11,
        color=INK,
        edgecolors=PAPER,
        linewidths=0.9 if few else 0.5,
        zorder=3,
        clip_on=False,
    )
    return [(drawn, _FIRST_TOKEN)]


def _name_tools(ax: Axes, picture: Waterfall, bars: Sequence[Bar]) -> None:
    """The names of its tools behind each row that has some."""
    for step in picture.steps:
        tools = picture.tools_of(step)
        if not tools:
            continue
        names = label(", ".join(tools))
        ax.annotate(
            names,
            (max(bar.end_s for bar in bars if bar.step == step), step),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=MUTED,
            fontsize=SMALL_PT,
            **lettering(names),
        )


def _set_limits(ax: Axes, n_steps: int, end_s: float) -> None:
    ax.set_xlim(0, max(end_s, 1e-3) * (1.14 if n_steps <= _FEW_STEPS else 1.02))
    ax.set_ylim(n_steps + 0.6, 0.4)
    every = 1 if n_steps <= _FEW_STEPS else 5 if n_steps <= 2 * _FEW_STEPS else 10 * (1 + n_steps // 200)
    ax.set_yticks([1, *(n for n in range(2, n_steps + 1) if n % every == 0)])


def _title(trace: Trace) -> str:
    if not trace.events:
        return "an empty trace"
    begin = trace.started
    names = label(f"{begin.agent_name} · {begin.model}", _NAMES_CHARS)
    steps = counted(len(trace.steps), "step")
    return f"{names} · {steps} in {seconds(trace.duration_s)} · {trace.stop_reason or trace.status}"
