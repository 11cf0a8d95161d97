"""The colours, hatches, markers and line styles of all plots.

After Okabe and Ito (2008), moved apart in lightness so that a grey print tells them apart too; a test holds every set
to a least step in CIELAB lightness, and to a least distance as people without red or green cones see them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Style: TypeAlias = dict[str, Any]
"""Keywords of matplotlib's patches."""

INK, MUTED, GRID, PAPER = "#1f2328", "#57606a", "#e4e7eb", "#ffffff"


@dataclass(frozen=True, slots=True)
class Look:
    """How one of several groups is drawn; colour, line and marker each tell it apart from its neighbours."""

    color: str
    linestyle: Any
    marker: str


GROUPS = (
    Look("#005f9e", "-", "o"),
    Look("#eda724", (0, (6, 1.6)), "s"),
    Look("#2b0f40", (0, (1.2, 1.2)), "^"),
    Look("#0fad88", (0, (7, 1.6, 1.2, 1.6)), "D"),
    Look("#7a2300", (0, (3, 1.2)), "v"),
    Look("#bb5a90", (0, (4, 1.4, 1.2, 1.4, 1.2, 1.4)), "P"),
)

_MORE_MARKERS = ("X", "<", ">", "p", "h", "*", "d")


def look_of_group(number: int) -> Look:
    """The look of the group with this number, from 0. After six the colours come again, with other markers."""
    look = GROUPS[number % len(GROUPS)]
    if number < len(GROUPS):
        return look
    marker = _MORE_MARKERS[(number - len(GROUPS)) % len(_MORE_MARKERS)]
    return Look(look.color, GROUPS[(number + number // len(GROUPS)) % len(GROUPS)].linestyle, marker)


TIMES: dict[str, Style] = {
    "waiting for the first token": {"facecolor": "#b9dcf2", "edgecolor": "#0072b2", "linewidth": 0.8},
    "model streaming": {"facecolor": "#0072b2", "edgecolor": "#0072b2", "linewidth": 0.8},
    "tool": {"facecolor": "#f5b43c", "edgecolor": "#7a4a00", "linewidth": 0.8, "hatch": "////"},
    "tool failed": {"facecolor": PAPER, "edgecolor": "#b3261e", "linewidth": 1.1, "hatch": "xxxx"},
    "waiting for a person": {"facecolor": "#f6e3ee", "edgecolor": "#a8508a", "linewidth": 1.0, "hatch": ".."},
    "waiting for a decision": {"facecolor": PAPER, "edgecolor": "#a8508a", "linewidth": 1.0, "hatch": "oo"},
    "idle": {"facecolor": "#d3d8de", "linewidth": 0},
}
"""Where the time of a run goes. Light and dark differ besides the hue, and what a tool did is hatched."""

TOKENS: dict[str, Style] = {
    "cached input": {"facecolor": "#cfe8f7", "edgecolor": "#2f86c1", "linewidth": 0.7},
    "fresh input": {"facecolor": "#2f86c1", "edgecolor": "#2f86c1", "linewidth": 0.7},
    "input, cached part not reported": {
        "facecolor": "#86bde0",
        "edgecolor": "#0b3f66",
        "linewidth": 0.7,
        "hatch": "//",
    },
    "output": {"facecolor": "#eda724", "edgecolor": "#8a5a00", "linewidth": 0.7},
    "reasoning": {"facecolor": "#5c1d00", "edgecolor": "#5c1d00", "linewidth": 0.7},
    "output, reasoning part not reported": {
        "facecolor": "#f6d38f",
        "edgecolor": "#8a5a00",
        "linewidth": 0.7,
        "hatch": "\\\\",
    },
}
"""Kinds of tokens. Where a provider does not tell the parts of a sum, the sum is hatched."""

PARTS: dict[str, Style] = {
    "system": {"facecolor": "#2b0f40", "edgecolor": PAPER, "linewidth": 0.5},
    "tool_schemas": {"facecolor": "#7a2300", "edgecolor": PAPER, "linewidth": 0.5, "hatch": ".."},
    "history": {"facecolor": "#005f9e", "edgecolor": PAPER, "linewidth": 0.5},
    "summary": {"facecolor": "#b0568f", "edgecolor": PAPER, "linewidth": 0.5, "hatch": "xx"},
    "user": {"facecolor": "#0fad88", "edgecolor": INK, "linewidth": 0.5},
    "heartbeat": {"facecolor": "#e3a32b", "edgecolor": INK, "linewidth": 0.5, "hatch": ".."},
    "assistant": {"facecolor": "#9fd0ee", "edgecolor": INK, "linewidth": 0.5},
    "tool": {"facecolor": "#f9f1d3", "edgecolor": INK, "linewidth": 0.5, "hatch": "//"},
}
"""Parts of a prompt, from the dark bottom of a stack to its pale top; every other one is hatched."""

VERDICTS: dict[str, Style] = {
    "better": {"marker": "o", "color": "#005f9e", "markerfacecolor": "#005f9e"},
    "worse": {"marker": "s", "color": "#7a2300", "markerfacecolor": "#7a2300"},
    "no difference shown": {"marker": "o", "color": MUTED, "markerfacecolor": PAPER},
    "too few pairs": {"marker": "D", "color": MUTED, "markerfacecolor": PAPER, "linestyle": (0, (1, 1.5))},
}

UNKNOWN: Style = {"marker": "x", "color": "#b3261e", "linewidths": 1.4, "s": 34}
"""The mark of a value that was not reported."""
