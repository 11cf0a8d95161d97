"""A text that is being streamed: what of it may be shown, and what of that a page does not have yet.

Keys and hidden characters are taken out before anything is shown, so a word is shown when it is whole, and the line
that grows is looked at again as a whole.
"""

from __future__ import annotations

import re

from agentlab.trace.safe import visible

HELD_BACK_CHARS = 400
"""The longest unfinished word that is held back: a key is shorter, or has been seen to be one by then."""
LINE_CHARS = 4_000
"""Of a longer line only the end is looked at again."""

_WORD_END = re.compile(r"[^\w+/=.:~-]")
_ADDRESS_END = re.compile(r"[\s/]")
_OPEN_TOKEN = re.compile(r"(?i)token(?:\\*[\"'])?\s*[:=]\s*(?:\\*[\"'])?([^\s\"',;&]+)\Z")


class LiveText:
    """A text that grows, as a page shows it."""

    def __init__(self) -> None:
        self._raw = ""
        """The line that is still looked at; what came before it is not needed any more."""
        self._kept: list[str] = []
        """What is shown of all before it."""
        self._n_kept = 0
        """Characters of that."""
        self._tail = ""
        """What is shown of it."""
        self._over = False

    @property
    def shown(self) -> str:
        """All that is shown."""
        return "".join(self._kept) + self._tail

    def add(self, text: str) -> None:
        """Take the next piece."""
        self._raw += text

    def news(self) -> tuple[int, str] | None:
        """Where what is shown changes, and what stands there now; None when nothing new can be shown."""
        end = self._end_of_words()
        before, n_kept = self._tail, self._n_kept
        tail = visible(self._raw[:end])
        same = len(before) if tail.startswith(before) else _common(before, tail)
        self._tail = tail
        self._settle(end)
        return None if tail == before else (n_kept + same, tail[same:])

    def close(self) -> None:
        """No more comes: the last word is whole."""
        self._over = True

    def _end_of_words(self) -> int:
        if self._over:
            return len(self._raw)
        start = max(0, len(self._raw) - HELD_BACK_CHARS)
        ends = [match.end() for match in _WORD_END.finditer(self._raw, start)]
        return min(ends[-1] if ends else start, self._address(), self._token(start))

    def _address(self) -> int:
        """Where an address begins that may still turn out to have a password; else the end."""
        place = self._raw.rfind("://")
        rest = self._raw[place + 3 :]
        if place < 0 or _ADDRESS_END.search(rest) or (":" not in rest and len(rest) > HELD_BACK_CHARS):
            return len(self._raw)
        return place

    def _token(self, start: int) -> int:
        """Where the value of a token begins that may still turn out to be a long one; else the end."""
        value = _OPEN_TOKEN.search(self._raw, start)
        return len(self._raw) if value is None else value.start(1)

    def _settle(self, end: int) -> None:
        """Lines that are over are not looked at again, unless a secret is, or may come to be, on both sides."""
        line = self._last_line(end)
        if end > LINE_CHARS and line == 0:
            near = end - LINE_CHARS // 2
            line = max(self._raw.rfind(" ", 0, near), self._raw.rfind("\t", 0, near)) + 1 or near
        if line == 0 or "PRIVATE KEY" in self._raw[:end]:
            return
        kept, tail = visible(self._raw[:line]), visible(self._raw[line:end])
        if kept + tail == self._tail:
            self._kept.append(kept)
            self._n_kept += len(kept)
            self._tail, self._raw = tail, self._raw[line:]

    def _last_line(self, end: int) -> int:
        """Where the last line begins that is over and has something in it: a value may stand below its name."""
        return self._raw[: self._raw.rfind("\n", 0, end) + 1].rstrip().rfind("\n") + 1


def _common(before: str, after: str) -> int:
    """How many characters two texts begin with alike."""
    for number, (one, other) in enumerate(zip(before, after, strict=False)):
        if one != other:
            return number
    return min(len(before), len(after))
