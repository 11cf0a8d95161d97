"""Two texts compared word by word, in a time that does not grow without bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal, TypeAlias
from zlib import crc32

from agentlab.widgets.alignment import equal_pairs
from agentlab.widgets.lines_compared import WALL_TIME

Op: TypeAlias = Literal["=", "-", "+", "…"]
"""The same in both, only in the first, only in the second, and a number of same characters that are not shown."""

Span: TypeAlias = tuple[Op, str]

MOST_CHARS = 6_000
"""Of each text, from shortly before the first difference on."""

_CONTEXT_CHARS = 160
"""Of the same text around a difference."""

_MOST_PAIRS = 60_000
"""Equal pairs of words up to which words are matched; then pieces of lines; then all of it is different."""

_PIECE_WORDS = 12
"""Words in a piece of a line, about."""

_LEAST_ALIKE = 0.2
"""Share of the same characters below which single words that agree say nothing."""

_NO_SPACES = "\u3040-\u30ff\u3400-\u9fff"
"""Scripts that do not part words: there each character stands for itself."""

_WORDS = re.compile(
    rf"(?:{WALL_TIME})\s*|\d+(?:[.,:]\d+)+\s*|[{_NO_SPACES}]\s*|(?:[^\W{_NO_SPACES}]|-)+\s*|[^\w\s]\s*|\s+"
)
_HAS_WORD = re.compile(r"\w")

Plain: TypeAlias = Callable[[str], str]
"""What a word counts as: ids, for one, all as the same."""


def compared(a: str, b: str, *, plain: tuple[Plain, Plain] = (str, str)) -> tuple[list[Span], list[Span]]:
    """Two texts in spans, those that are the same and those that differ.

    Args:
        a: A text.
        b: Another.
        plain: What a word of each counts as.
    """
    one, other = _WORDS.findall(a), _WORDS.findall(b)
    left_keys, right_keys = [plain[0](word) for word in one], [plain[1](word) for word in other]
    kept = _kept(one, other, list(_equal_blocks(left_keys, right_keys)))
    left, right = [(m, size) for m, _, size in kept], [(n, size) for _, n, size in kept]
    return list(_spans(one, left, "-")), list(_spans(other, right, "+"))


def around_differences(
    a: str, b: str, *, plain: tuple[Plain, Plain] = (str, str), most_chars: int = MOST_CHARS
) -> tuple[list[Span], list[Span], int, int]:
    """The spans of long texts from shortly before the first difference on, the middle of long same ones left out.

    With them, how many characters at the end of each are not in them.

    Args:
        a: A text.
        b: Another.
        plain: What a word of each counts as.
        most_chars: The most of each that is compared.
    """
    skipped = _back_to_a_word(a, _same_beginning(a, b) - 2 * _CONTEXT_CHARS)
    end = skipped + most_chars
    left, right = compared(a[skipped:end], b[skipped:end], plain=plain)
    if len(a) > end and len(b) > end:
        left, right = _without_a_cut_end(left), _without_a_cut_end(right)
    more = [len(text) - skipped - sum(len(t) for _, t in spans) for text, spans in ((a, left), (b, right))]
    left, right = _shortened(left), _shortened(right)
    if skipped:
        head: Span = ("…", str(skipped))
        left, right = [head, *left], [head, *right]
    return left, right, more[0], more[1]


def _without_a_cut_end(spans: list[Span]) -> list[Span]:
    """Where both texts were cut, what ends there differs by the cut alone."""
    if len(spans) > 1 and spans[-1][0] != "=" and len(spans[-1][1]) < 2 * _CONTEXT_CHARS:
        return spans[:-1]
    return spans


def _same_beginning(a: str, b: str) -> int:
    """How many characters two texts begin with alike."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _back_to_a_word(text: str, place: int) -> int:
    return max(0, text.rfind(" ", 0, place) + 1) if place > _CONTEXT_CHARS else 0


_Block: TypeAlias = tuple[int, int, int]
"""Beginning in the one, in the other, and length, in words."""


def _equal_blocks(a: Sequence[str], b: Sequence[str]) -> Iterator[_Block]:
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    if start:
        yield 0, 0, start
    yield from _inner_blocks(a[start : len(a) - end], b[start : len(b) - end], start)
    if end:
        yield len(a) - end, len(b) - end, end


def _inner_blocks(a: Sequence[str], b: Sequence[str], start: int) -> Iterator[_Block]:
    if not a or not b:
        return
    if equal_pairs(a, b) <= _MOST_PAIRS:
        for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks():
            if block.size:
                yield start + block.a, start + block.b, block.size
        return
    yield from ((start + m, start + n, size) for m, n, size in _piece_blocks(a, b))


def _piece_blocks(a: Sequence[str], b: Sequence[str]) -> Iterator[_Block]:
    """Blocks of whole pieces; between them, words are compared where they are few enough."""
    one, other = list(_pieces(a)), list(_pieces(b))
    keys, other_keys = ["".join(a[s:e]) for s, e in one], ["".join(b[s:e]) for s, e in other]
    if equal_pairs(keys, other_keys) > _MOST_PAIRS:
        return
    m = n = 0
    for block in SequenceMatcher(None, keys, other_keys, autojunk=False).get_matching_blocks():
        begin_a, begin_b = _begin(one, block.a, len(a)), _begin(other, block.b, len(b))
        between_a, between_b = a[m:begin_a], b[n:begin_b]
        if equal_pairs(between_a, between_b) <= _MOST_PAIRS // 20:
            yield from ((m + x, n + y, size) for x, y, size in _equal_blocks(between_a, between_b))
        m, n = _begin(one, block.a + block.size, len(a)), _begin(other, block.b + block.size, len(b))
        if m > begin_a:
            yield begin_a, begin_b, m - begin_a


def _pieces(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Lines, cut after certain words: a long line falls into the same pieces wherever the same words stand."""
    start = 0
    for place, word in enumerate(words, start=1):
        if "\n" in word or place == len(words) or not crc32(word.encode(errors="replace")) % _PIECE_WORDS:
            yield start, place
            start = place


def _begin(pieces: Sequence[tuple[int, int]], number: int, length: int) -> int:
    return pieces[number][0] if number < len(pieces) else length


def _kept(one: Sequence[str], other: Sequence[str], blocks: list[_Block]) -> list[_Block]:
    """The blocks that help a reader: no comma alone between differences, and none where hardly anything is the same."""
    last = (len(one), len(other))
    kept = [
        (m, n, size)
        for m, n, size in blocks
        if (m, n) == (0, 0) or (m + size, n + size) == last or any(map(_HAS_WORD.search, one[m : m + size]))
    ]
    alike = sum(len("".join(one[m : m + size]).strip()) for m, _, size in kept)
    if alike < _LEAST_ALIKE * min(len("".join(one).strip()), len("".join(other).strip())):
        return []
    return kept


def _spans(words: Sequence[str], same: Sequence[tuple[int, int]], op: Op) -> Iterator[Span]:
    ops: list[Op] = [op] * len(words)
    for start, size in same:
        ops[start : start + size] = ["="] * size
    unmarked = ""  # a gap behind what differs is not marked
    for found, group in groupby(zip(ops, words, strict=True), lambda pair: pair[0]):
        text = "".join(word for _, word in group)
        marked = (text.rstrip() or text) if found == op else ""
        if marked:
            if unmarked:
                yield "=", unmarked
            yield op, marked
            unmarked = ""
        unmarked += text[len(marked) :]
    if unmarked:
        yield "=", unmarked


def _shortened(spans: Sequence[Span]) -> list[Span]:
    """The spans, with the middle of long same ones left out."""
    shown: list[Span] = []
    for place, (op, text) in enumerate(spans):
        head = _CONTEXT_CHARS if place else 0
        tail = _CONTEXT_CHARS if place < len(spans) - 1 else 0
        hidden = len(text) - head - tail
        if op != "=" or len(spans) == 1 or hidden < 3 * _CONTEXT_CHARS:
            shown.append((op, text))
            continue
        shown += [("=", text[:head])] if head else []
        shown.append(("…", str(hidden)))
        shown += [("=", text[len(text) - tail :])] if tail else []
    return shown
