"""The reply that is being streamed: its reasoning, its text and its calls, as pages show them."""

from __future__ import annotations

from typing import Any

from agentlab.trace.events import ModelDelta
from agentlab.trace.safe import in_one_line
from agentlab.widgets.growing_text import LiveText
from agentlab.widgets.live_json import LiveJson


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
        self._parts: dict[str, tuple[dict[str, Any], str, LiveText | LiveJson]] = {}

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

    def _part(self, key: str, row: dict[str, Any], field: str) -> LiveText | LiveJson:
        if key not in self._parts:
            named = row | {"id": f"live {self._seq} {key}", "live": True, "step": self.step}
            self._parts[key] = named, field, LiveJson() if field == "args" else LiveText()
        return self._parts[key][2]
