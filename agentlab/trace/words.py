"""Numbers and long texts in the words of a trace. A value that is not known is an en dash, never 0."""

from __future__ import annotations

import json

from agentlab.trace.usage import Usage

MISSING = "\N{EN DASH}"

_PRETTY_UP_TO_CHARS = 100_000
"""Longer JSON is shown as it came: nobody reads it, and it will be cut."""

_ONE_LINE_CHARS = 60


def seconds(value_s: float | None) -> str:
    """A duration with its unit, rounded to about three digits."""
    if value_s is None:
        return MISSING
    if value_s < 0.9995:
        return f"{_milliseconds(value_s * 1e3)} ms"
    if value_s < 59.95:
        return f"{value_s:.2f} s" if value_s < 9.995 else f"{value_s:.1f} s"
    minutes, rest_s = divmod(round(value_s), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def count(value: int | None) -> str:
    """A number with thousands marked."""
    return MISSING if value is None else f"{value:,}"


def counted(value: int, noun: str) -> str:
    """A number and its noun: `1 step`, `2 steps`."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def tokens(usage: Usage) -> str:
    """Input and output of a call, a step or a run."""
    return f"{count(usage.input_tokens)} → {count(usage.output_tokens)} tokens"


def cut(text: str, limit_chars: int | None) -> tuple[str, int]:
    """The beginning of a text, and how many characters were left out."""
    if limit_chars is None or len(text) <= limit_chars:
        return text, 0
    return text[:limit_chars], len(text) - limit_chars


def pretty(text: str) -> str:
    """JSON objects and arrays on indented lines, keys in their order; anything else as it is.

    What fits on a short line stays on one.
    """
    if len(text) > _PRETTY_UP_TO_CHARS or not text.lstrip().startswith(("{", "[")):
        return text
    try:
        value = json.loads(text)
        short = json.dumps(value, ensure_ascii=False)
        return short if len(short) <= _ONE_LINE_CHARS else as_json(value)
    except (ValueError, RecursionError):
        return text


def as_json(value: object) -> str:
    """A value as JSON on indented lines, keys in their order."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _milliseconds(value_ms: float) -> str:
    if value_ms == 0:
        return "0"
    if value_ms < 0.01:
        return "< 0.01"
    return f"{value_ms:.2f}" if value_ms < 0.995 else f"{value_ms:.1f}" if value_ms < 9.95 else f"{value_ms:.0f}"
