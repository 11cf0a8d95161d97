"""The pictures that the plots are held to: `python -m tests.analysis.pictures` draws them anew into `baseline/`.

Texts are left out, as fonts differ from machine to machine; other tests read them. Each is also drawn with its data a
little changed, so that a test can see that it would notice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from agentlab.analysis.compare import compare
from agentlab.analysis.comparison import Comparisons
from agentlab.analysis.plots import (
    context_growth,
    cost_vs_success,
    forest,
    token_gaps,
    tokens_by_step,
    ttft_ecdf,
    waterfall,
)
from agentlab.trace.trace import Trace
from agentlab.trace.usage import NO_USAGE
from tests.factories import Story, reply, tokens, tool

BASELINE = Path(__file__).parent / "baseline"


def busy_trace(*, asked_s: float = 1.0) -> Trace:
    """A run with everything that a waterfall shows."""
    story = Story()
    used = [tool("search", 0.5), tool("fail", 0.3, ok=False), tool("delete", 0.2, asked_s=asked_s)]
    story.step(reply(complete=False), reply(calls=["search"], gap_s=0.1), *used, idle_s=0.3)
    return story.step(reply("Two cats.")).end()


def variants(*, slower: float = 1.0) -> list[Trace]:
    """Twelve runs of three variants, with three model calls each."""
    rng = np.random.default_rng(7)
    found = []
    for number, variant in enumerate(("short", "long", "tools")):
        for run in range(4):
            story = Story(f"run-{number}-{run}", tags={"variant": variant})
            for _ in range(3):
                ttft_s = float(rng.lognormal(-1 + 0.5 * number * slower, 0.4))
                gap_s = float(rng.choice([0.0, 0.012, 0.03]) * rng.lognormal(0, 0.5) * slower)
                story.step(reply(calls=["f"], ttft_s=ttft_s, gap_s=gap_s, n_chunks=9), tool("f"))
            found.append(story.end())
    return found


def long_trace(*, cached_share: float = 0.7, found: int = 6) -> Trace:
    """A run whose prompt grows; one call tells no tokens, others only sums."""
    story = Story()
    for n in range(9):
        cached = None if n in (6, 7) else round((500 + 300 * n) * cached_share) if n else 0
        usage = tokens(500 + 300 * n, 300, cached_tokens=cached, reasoning_tokens=None if n in (7, 8) else 80 * (n % 3))
        story.step(
            reply("Let me look at that. " * 3, calls=["f"], usage=NO_USAGE if n == 4 else usage),
            tool("f", text="What the tool found. " * found),
        )
    return story.end()


def study(*, share: float = 0.9) -> pd.DataFrame:
    """Three variants on twelve tasks, three trials each."""
    rng = np.random.default_rng(3)
    arms = {"small": (0.4, 0.01), "large": (share, 0.04), "three tries": (0.85, 0.07)}
    rows = [
        (variant, f"t{task}", trial, float(rng.random() < chance), usd * rng.lognormal(0, 0.4), rng.lognormal(1, 0.2))
        for variant, (chance, usd) in arms.items()
        for task in range(12)
        for trial in range(3)
    ]
    return pd.DataFrame(rows, columns=["variant", "task", "trial", "solved", "cost_usd", "wall_s"])


def comparisons(*, share: float = 0.9) -> Comparisons:
    """Three metrics of two of the variants."""
    runs = study(share=share)
    a, b = (runs[runs["variant"] == variant] for variant in ("small", "large"))
    lower = {"cost_usd": "lower", "wall_s": "lower"}
    return compare(a, b, ["solved", "cost_usd", "wall_s"], better=lower, n_resamples=500)  # type: ignore[arg-type]


PICTURES: dict[str, tuple[Callable[[Axes], Axes], Callable[[Axes], Axes]]] = {
    "waterfall": (lambda ax: waterfall(busy_trace(), ax), lambda ax: waterfall(busy_trace(asked_s=1.2), ax)),
    "ttft_ecdf": (
        lambda ax: ttft_ecdf(variants(), ax, by="variant", confidence=0.8),
        lambda ax: ttft_ecdf(variants(slower=1.1), ax, by="variant", confidence=0.8),
    ),
    "token_gaps": (
        lambda ax: token_gaps(variants(), ax, by="variant"),
        lambda ax: token_gaps(variants(slower=1.3), ax, by="variant"),
    ),
    "tokens_by_step": (
        lambda ax: tokens_by_step(long_trace(), ax),
        lambda ax: tokens_by_step(long_trace(cached_share=0.65), ax),
    ),
    "context_growth": (
        lambda ax: context_growth(long_trace(), ax),
        lambda ax: context_growth(long_trace(found=5), ax),
    ),
    "cost_vs_success": (
        lambda ax: cost_vs_success(study(), ax, success="solved", n_resamples=500),
        lambda ax: cost_vs_success(study(share=0.7), ax, success="solved", n_resamples=500),
    ),
    "forest": (lambda ax: forest(comparisons(), ax), lambda ax: forest(comparisons(share=0.7), ax)),
}
"""By name: how it is drawn, and how with its data a little changed."""


def render(draw: Callable[[Axes], Axes], path: Path) -> None:
    """Draw a picture without its texts into a PNG."""
    with mpl.rc_context(mpl.rcParamsDefault):
        figure = Figure(figsize=(5, 3.2), dpi=60)
        FigureCanvasAgg(figure)
        draw(figure.add_axes((0.04, 0.05, 0.92, 0.9)))
        for written in (*figure.findobj(Text), *figure.findobj(Legend)):
            written.set_visible(False)
        figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    BASELINE.mkdir(exist_ok=True)
    for name, (draw, _) in PICTURES.items():
        render(draw, BASELINE / f"{name}.png")
        print(BASELINE / f"{name}.png")
