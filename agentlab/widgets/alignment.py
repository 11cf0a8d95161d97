"""Two runs side by side: their common beginning, then step beside step, and within a step like beside like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby, zip_longest
from typing import Literal, TypeAlias

from agentlab.trace.trace import Trace
from agentlab.widgets.lines_compared import Line, lines_of

Mark: TypeAlias = Literal["=", "~", "<", ">"]
"""The same, different, only in the first run, only in the second."""

_MOST_PAIRS = 100_000
"""Equal pairs among two sequences up to which they are matched; beyond, they are laid side by side in their order."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of each run, or of one alone."""

    left: Line | None
    right: Line | None
    mark: Mark

    @property
    def line(self) -> Line:
        """The line of the first run, or of the second where the first has none."""
        line = self.left or self.right
        assert line is not None  # noqa: S101  # a row has one
        return line

    @property
    def is_system_message(self) -> bool:
        """True for the one that a run begins with."""
        return self.line.label == "system message" and self.line.step == 0


def align(a: Trace, b: Trace) -> list[Row]:
    """The rows of two runs. Ids, times and durations are no differences.

    The common beginning ends with the first line that differs. From there on the next step of the one stands beside
    the next step of the other, also where the one went on from the middle of the other.
    """
    left, right = lines_of(a), lines_of(b)
    rows, m, n = _common_beginning(left, right)
    for one, other in zip_longest(_by_step(left[m:]), _by_step(right[n:]), fillvalue=()):
        rows += _side_by_side(one, other)
    return rows


def first_difference(rows: Sequence[Row]) -> int | None:
    """Number of the first row that is not the same on both sides; None when all are.

    The first system message is a setting: it counts only when nothing else differs.
    """
    differing = (n for n, row in enumerate(rows) if row.mark != "=")
    first = next(differing, None)
    if first is None or not rows[first].is_system_message:
        return first
    return next(differing, first)


def _common_beginning(left: Sequence[Line], right: Sequence[Line]) -> tuple[list[Row], int, int]:
    """The rows of it, and how many lines of each run are in them."""
    rows: list[Row] = []
    m = n = 0
    while m < len(left) or n < len(right):
        one = left[m] if m < len(left) else None
        other = right[n] if n < len(right) else None
        if one and other and (one.kind == "S") == (other.kind == "S") and one.key == other.key:
            rows.append(Row(one, other, "="))
            m, n = m + 1, n + 1
        elif one and one.is_silent and _in_history(right, n):
            rows.append(Row(one, None, "="))
            m += 1
        elif other and other.is_silent and _in_history(left, m):
            rows.append(Row(None, other, "="))
            n += 1
        else:
            break
    return rows, m, n


def _in_history(lines: Sequence[Line], place: int) -> bool:
    """True while the history of a run is being read, up to the line behind it."""
    return any(line.inherited for line in lines[max(0, place - 1) : place + 1])


def _by_step(lines: Sequence[Line]) -> list[Sequence[Line]]:
    return [tuple(group) for _, group in groupby(lines, lambda line: line.step)]


def _side_by_side(left: Sequence[Line], right: Sequence[Line]) -> Iterator[Row]:
    """Lines of one step: first those that are the same, between them those of one kind, then what is left."""
    if not left or not right:
        yield from (Row(line, None, "<") for line in left)
        yield from (Row(None, line, ">") for line in right)
        return
    for one, other in _matched(left, right, (lambda line: line.key, lambda line: line.anchor, lambda line: line.kind)):
        mark: Mark = "<" if other is None else ">" if one is None else "=" if one.key == other.key else "~"
        yield Row(one, other, mark)


_Key: TypeAlias = Callable[[Line], Hashable]


def _matched(
    left: Sequence[Line], right: Sequence[Line], keys: Sequence[_Key]
) -> Iterator[tuple[Line | None, Line | None]]:
    """Pairs of lines whose keys agree; the lines between them are matched by the next, weaker key."""
    if not left or not right or not keys:
        yield from ((line, None) for line in left)
        yield from ((None, line) for line in right)
        return
    a, b = [keys[0](line) for line in left], [keys[0](line) for line in right]
    if equal_pairs(a, b) > _MOST_PAIRS:
        yield from zip_longest(left, right)
        return
    m = n = 0
    for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks():
        yield from _matched(left[m : block.a], right[n : block.b], keys[1:])
        m, n = block.a + block.size, block.b + block.size
        yield from zip(left[block.a : m], right[block.b : n], strict=True)


def equal_pairs(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """How many pairs of equal elements two sequences have: what matching them costs."""
    counts = Counter(b)
    return sum(times * counts[element] for element, times in Counter(a).items())
