"""What there is to show of two runs side by side: settings that differ, aligned rows, totals with their difference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, TypeAlias

from agentlab.analysis.sources import Source, trace_of
from agentlab.trace._sections import started
from agentlab.trace.events import RunStarted
from agentlab.trace.safe import in_one_line, visible
from agentlab.trace.trace import Trace
from agentlab.trace.words import MISSING, count, counted, pretty, seconds
from agentlab.widgets.alignment import Row, align, first_difference
from agentlab.widgets.head import TONES, step_times
from agentlab.widgets.lines_compared import Line
from agentlab.widgets.word_diff import MOST_CHARS, around_differences, compared

SAME_CHARS = 1_200
"""Of a text that is the same in both; the rest is sent on demand."""

WHOLE_CHARS = 400_000
"""Of a text that was asked for whole."""

Shown: TypeAlias = dict[str, Any]

_EMPTY = Line("", 0, "", "")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that differs. None: the run has no such thing."""

    name: str
    left: str | None
    right: str | None


@dataclass(frozen=True, slots=True)
class Total:
    """A figure of both runs, in words."""

    name: str
    left: str
    right: str
    difference: str
    """Second less first; empty where there is nothing to subtract."""
    same: bool
    """Both read alike."""


class Comparison:
    """Two runs, as far as they have got now.

    Args:
        a: A run or a trace.
        b: Another.

    Raises:
        InputError: One of them is something else.
    """

    def __init__(self, a: Source, b: Source) -> None:
        self.traces = _as_it_is(trace_of(a)), _as_it_is(trace_of(b))
        self.rows: list[Row] = align(*self.traces)

    @property
    def marks(self) -> str:
        """A letter for each row: `=` same, `~` different, `<` and `>` in one run alone."""
        return "".join(row.mark for row in self.rows)

    @property
    def first(self) -> int | None:
        """The first row that differs."""
        return first_difference(self.rows)

    @cached_property
    def n_differences(self) -> int:
        """Rows that differ; the headings of steps are none."""
        return sum(row.mark != "=" and row.line.kind != "S" for row in self.rows)

    @property
    def in_words(self) -> str:
        """How alike the runs are."""
        if self.first is None:
            return f"the same in all {counted(len(self.rows), 'row')}"
        step = self.rows[self.first].line.step
        where = f"in step {step}" if step else "before the first step"
        return f"{counted(self.n_differences, 'difference')}, the first {where}"

    def heads(self) -> list[Shown]:
        """What is told of each run above the rows."""
        return [_head(trace) for trace in self.traces]

    @cached_property
    def settings(self) -> list[Setting]:
        """The settings that differ: model, tools, system prompt, policies, parameters."""
        left, right = (_settings(started(trace)) for trace in self.traces)
        names = [*left, *(name for name in right if name not in left)]
        return [Setting(name, left.get(name), right.get(name)) for name in names if left.get(name) != right.get(name)]

    def shown_settings(self, most_chars: int = MOST_CHARS) -> list[Shown]:
        """The settings that differ, compared word by word."""
        return [
            {"name": in_one_line(each.name, 120)} | _both(each.left, each.right, most_chars) for each in self.settings
        ]

    def totals(self) -> list[Total]:
        """Outcome, steps, tokens and times of both, with the difference."""
        one, other = (_figures(trace) for trace in self.traces)
        return [
            _total(name, one[name], other[name])
            for name in one
            if one[name] or other[name] or name not in _SHOWN_IF_ANY
        ]

    def shown_row(self, number: int, most_chars: int | None = MOST_CHARS) -> Shown:
        """A row as a page draws it.

        Args:
            number: Which.
            most_chars: The most of each text; None: all of it, up to a size that nobody reads.
        """
        row = self.rows[number]
        left, right = row.left, row.right
        shown: Shown = {"m": row.mark, "k": row.line.kind, "label": row.line.label}
        for side, line in (("l", left), ("r", right)):
            if line is not None:
                shown[side] = _facts(line)
        if row.mark == "=":
            limit = WHOLE_CHARS if most_chars is None else min(SAME_CHARS, most_chars)
            shown["same"] = [_same(name, text, limit) for name, text in row.line.fields]
            if left and right and row.line.kind != "S" and left.facts != right.facts:  # both stand in one cell
                shown["l"]["facts"] = [
                    f"{run} {fact}" for run, line in (("A", left), ("B", right)) for fact in line.facts
                ]
        elif left is None or right is None:
            shown["r" if left is None else "l"]["fields"] = [
                _same(*field, most_chars or WHOLE_CHARS) for field in row.line.fields
            ]
        else:
            shown["l"]["fields"], shown["r"]["fields"] = _fields(left, right, most_chars)
        return shown


def _as_it_is(trace: Trace) -> Trace:
    """A run that goes on is compared as it stands now."""
    return Trace(trace.events[:]) if trace.live else trace


def _head(trace: Trace) -> Shown:
    begin, ended = started(trace), trace.stop_reason or trace.status
    tone = TONES.get(ended, "bad")
    if begin is None:
        return {"title": "A trace without its beginning", "model": "", "note": "", "status": ended, "tone": tone}
    return {
        "title": in_one_line(begin.agent_name),
        "model": in_one_line(begin.model),
        "note": f"{in_one_line(begin.run_id)} · {begin.started_at:%Y-%m-%d %H:%M:%S} UTC",
        "status": ended,
        "tone": tone,
    }


def _settings(begin: RunStarted | None) -> dict[str, str]:
    if begin is None:
        return {}
    found = {"agent": begin.agent_name, "model": begin.model, "provider": begin.provider, "protocol": begin.protocol}
    found.update(_leaves(begin.settings))
    for tool in begin.tools:
        schema = json.dumps(tool.parameters, ensure_ascii=False, sort_keys=True)
        found[f"tool {tool.name}"] = f"{tool.description}\n{pretty(schema)}".strip()
    return found


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        elif value is not None:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            yield f"{prefix}{name}", pretty(text)


def _facts(line: Line) -> Shown:
    return {
        "step": line.step,
        "title": in_one_line(line.title),
        "flags": [in_one_line(flag) for flag in line.flags],
        "facts": list(line.facts),
    }


def _same(name: str, text: str, limit: int) -> list[Any]:
    shown = visible(text)
    return [name, [["=", shown[:limit]]], max(0, len(shown) - len(shown[:limit]))]


def _fields(left: Line, right: Line, most_chars: int | None) -> tuple[list[Any], list[Any]]:
    """The texts of two lines, those of one name compared."""
    one, other = dict(left.fields), dict(right.fields)
    sides: tuple[list[Any], list[Any]] = [], []
    for name in [*one, *(name for name in other if name not in one)]:
        both = _both(one.get(name), other.get(name), most_chars, left, right)
        for side, letter in zip(sides, "lr", strict=True):
            if both[letter] is not None:
                side.append([name, both[letter], both[f"{letter}_more"]])
    return sides


def _both(left: str | None, right: str | None, most_chars: int | None, a: Line = _EMPTY, b: Line = _EMPTY) -> Shown:
    """Two texts as spans; a text that the other side has not is different throughout."""
    one, other, plain = visible(left or ""), visible(right or ""), (a.plain, b.plain)
    if most_chars is not None:
        spans = around_differences(one, other, plain=plain, most_chars=most_chars)
    else:
        whole = compared(one[:WHOLE_CHARS], other[:WHOLE_CHARS], plain=plain)
        spans = (*whole, max(0, len(one) - WHOLE_CHARS), max(0, len(other) - WHOLE_CHARS))
    return {
        "l": None if left is None else spans[0],
        "r": None if right is None else spans[1],
        "l_more": spans[2],
        "r_more": spans[3],
    }


_Figure: TypeAlias = "str | int | float | None"
"""A word, a number of things, or a time [s]."""


_SHOWN_IF_ANY = ("Failed tool calls", "Cached tokens", "Reasoning tokens", "Time people took")


def _figures(trace: Trace) -> dict[str, _Figure]:
    usage, end_ns = trace.usage, trace.events[-1].t_ns if trace.events else 0
    ttfts = [step.ttft_s for step in trace.steps if step.ttft_s is not None]
    times = [step_times(step, end_ns, over=trace.stop_reason is not None) for step in trace.steps]
    model_s, tool_s, human_s = map(float, map(sum, zip(*times, strict=True))) if times else (None, None, None)
    return {
        "Outcome": trace.stop_reason or trace.status,
        "Steps": len(trace.steps),
        "Tool calls": len(trace.tool_calls),
        "Failed tool calls": sum(call.status == "error" for call in trace.tool_calls.values()),
        "Input tokens": usage.input_tokens,
        "Cached tokens": usage.cached_tokens,
        "Output tokens": usage.output_tokens,
        "Reasoning tokens": usage.reasoning_tokens,
        "TTFT, first step": trace.steps[0].ttft_s if trace.steps else None,
        "TTFT, median of steps": median(ttfts) if ttfts else None,
        "Model time": model_s,
        "Tool time": tool_s,
        "Time people took": human_s,
        "Duration": trace.duration_s,
    }


def _total(name: str, left: _Figure, right: _Figure) -> Total:
    same = left == right
    if isinstance(left, str) or isinstance(right, str):
        return Total(name, str(left), str(right), "same" if same else "differs", same)
    write = seconds if _is_time(name) else _count
    if left is None or right is None:
        return Total(name, write(left), write(right), "" if same else MISSING, same)
    by = right - left
    if not by:
        return Total(name, write(left), write(right), "same", same)
    sign = "+" if by > 0 else "\N{MINUS SIGN}"
    share = f"{abs(by) / left:.0%}" if left else "0%"
    difference = f"{sign}{write(abs(by))}" + (f" ({sign}{share})" if share != "0%" else "")
    return Total(name, write(left), write(right), difference, write(left) == write(right))


def _is_time(name: str) -> bool:
    return name in ("Duration", "Model time", "Tool time", "Time people took") or name.startswith("TTFT")


def _count(value: float | None) -> str:
    return count(None if value is None else round(value))
