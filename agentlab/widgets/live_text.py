"""The reply that is being streamed: what of it may be shown, and what of that a page does not have yet.

Keys and hidden characters are taken out before anything is shown, so a word is shown when it is whole, and the line
that grows is looked at again as a whole.
"""

from __future__ import annotations

import re
from typing import Any

from agentlab.trace.events import ModelDelta
from agentlab.trace.safe import in_one_line, visible

HELD_BACK_CHARS = 400
"""The longest unfinished word that is held back: a key is shorter, or has been seen to be one by then."""
LINE_CHARS = 4_000
"""Of a longer line only the end is looked at again."""

_WORD_END = re.compile(r"[^\w+/=.:~-]")


class LiveText:
    """A text that grows, as a page shows it."""

    def __init__(self) -> None:
        self._raw = ""
        self._line = 0
        """Where the line begins that is still looked at."""
        self._kept = ""
        """What is shown of all before it."""
        self._tail = ""
        """What is shown of it."""

    @property
    def shown(self) -> str:
        """All that is shown."""
        return self._kept + self._tail

    def add(self, text: str) -> None:
        """Take the next piece."""
        self._raw += text

    def news(self) -> tuple[int, str] | None:
        """Where what is shown changes, and what stands there now; None when nothing new can be shown."""
        end = self._end_of_words()
        before, kept_chars = self._tail, len(self._kept)
        tail = visible(self._raw[self._line : end])
        same = len(before) if tail.startswith(before) else _common(before, tail)
        self._tail = tail
        self._settle(end)
        return None if tail == before else (kept_chars + same, tail[same:])

    def _end_of_words(self) -> int:
        start = max(self._line, len(self._raw) - HELD_BACK_CHARS)
        ends = [match.end() for match in _WORD_END.finditer(self._raw, start)]
        return ends[-1] if ends else start

    def _settle(self, end: int) -> None:
        """Lines that are over are not looked at again, unless a secret of several lines may be among them."""
        line = self._raw.rfind("\n", self._line, end) + 1
        if end - self._line > LINE_CHARS:
            line = max(line, end - LINE_CHARS // 2)
        if line > self._line and "PRIVATE KEY" not in self._raw[self._line : end]:
            self._kept += visible(self._raw[self._line : line])
            self._tail = visible(self._raw[line:end])
            self._line = line


class LiveReply:
    """A reply on its way: reasoning, text and tool calls, a row for each."""

    def __init__(self, *, seq: int, step: int, text_kind: str, text_label: str) -> None:
        """Take what names the rows.

        Args:
            seq: Number of the event that began the call.
            step: Its step.
            text_kind: The letter of rows of its text.
            text_label: Their label.
        """
        self._seq, self.step = seq, step
        self._of_text = text_kind, text_label
        self._parts: dict[str, tuple[dict[str, Any], str, LiveText]] = {}

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def kinds(self) -> str:
        """A letter for each row."""
        return "".join(row["k"] for row, _, _ in self._parts.values())

    def add(self, delta: ModelDelta) -> None:
        """Take the next piece of the reply."""
        if delta.reasoning:
            self._part("reasoning", {"k": "r", "label": "reasoning"}, "text").add(delta.reasoning)
        if delta.content:
            kind, label = self._of_text
            self._part("content", {"k": kind, "label": label}, "text").add(delta.content)
        if delta.tool_name or delta.tool_args:
            key = f"call {delta.call_index}"
            row = {"k": "c", "title": in_one_line(delta.tool_name), "status": "running", "note": "is being written"}
            self._part(key, row, "args").add(delta.tool_args)

    def rows(self) -> list[dict[str, Any]]:
        """The rows with all that is shown of them now."""
        for _, _, text in self._parts.values():
            text.news()
        return [row | {field: text.shown} for row, field, text in self._parts.values()]

    def news(self, first_row: int) -> list[tuple[int, str, int, str]]:
        """What pages do not have yet: row, field, where, text."""
        found = []
        for number, (_, field, text) in enumerate(self._parts.values(), start=first_row):
            if (news := text.news()) is not None:
                found.append((number, field, *news))
        return found

    def _part(self, key: str, row: dict[str, Any], field: str) -> LiveText:
        if key not in self._parts:
            named = row | {"id": f"live {self._seq} {key}", "live": True, "step": self.step}
            self._parts[key] = named, field, LiveText()
        return self._parts[key][2]


def _common(before: str, after: str) -> int:
    """How many characters two texts begin with alike."""
    for number, (one, other) in enumerate(zip(before, after, strict=False)):
        if one != other:
            return number
    return min(len(before), len(after))
