"""Two runs side by side in a notebook, with their first difference marked, and the same as static HTML and as text."""

from __future__ import annotations

from typing import Any

from agentlab.analysis.sources import Source
from agentlab.widgets.base import LabWidget
from agentlab.widgets.compare_html import compare_html
from agentlab.widgets.compare_text import compare_text
from agentlab.widgets.comparison import Comparison
from agentlab.widgets.script import script, style
from agentlab.widgets.shown import show

PAGE_SIZE = 25
"""Rows that are sent at once."""

_PAGES_AT_ONCE = 20


class CompareView(LabWidget):
    """Two runs, row beside row: their common beginning, then step by step, texts and arguments word by word.

    Ids, times and durations are no differences. Above stand the settings that differ, below tokens, first-token times,
    durations and outcome of both. A run that goes on is compared as it stands when the view is made.

        run.diff(other)

    Args:
        a: A run or a trace.
        b: Another.

    Raises:
        InputError: One of them is neither.
    """

    _esm = script("compare_view")
    _css = style("compare_view")

    def __init__(self, a: Source, b: Source) -> None:
        self._compared = Comparison(a, b)
        super().__init__()

    def state(self) -> dict[str, Any]:
        """All that a page needs to draw the beginning, and where the first difference is."""
        found = self._compared
        first = found.first
        pages = {0} if first is None else {0, first // PAGE_SIZE}
        return {
            "heads": found.heads(),
            "settings": found.shown_settings(),
            "totals": [[t.name, t.left, t.right, t.difference, t.same] for t in found.totals()],
            "marks": found.marks,
            "kinds": "".join(row.line.kind for row in found.rows),
            "first": first,
            "words": found.in_words,
            "page_size": PAGE_SIZE,
            "pages": self._pages(sorted(pages)),
        }

    def on_page(self, message: dict[str, Any]) -> None:
        """Answer a page: more rows, or one row with all of its texts."""
        kind, n_rows = message.get("type"), len(self._compared.rows)
        if kind == "page":
            asked = [number for number in message.get("pages", ())[:_PAGES_AT_ONCE] if type(number) is int]
            self.tell("page", pages=self._pages(asked))
        elif kind == "whole" and type(number := message.get("row")) is int and 0 <= number < n_rows:
            self.tell("whole", row=number, shown=self._compared.shown_row(number, None))

    def describe(self) -> str:
        """How alike the runs are."""
        return self._compared.in_words

    def __str__(self) -> str:
        return compare_text(self._compared)

    def _repr_html_(self) -> str:
        """What is kept in a notebook, and what GitHub and `nbconvert` show."""
        return compare_html(self._compared)

    def _ipython_display_(self, **_kinds: Any) -> None:
        show(self, {"text/plain": str(self), "text/html": self._repr_html_()})

    def _pages(self, numbers: list[int]) -> dict[str, list[dict[str, Any]]]:
        n_rows = len(self._compared.rows)
        return {
            str(page): [self._compared.shown_row(n) for n in range(start, min(start + PAGE_SIZE, n_rows))]
            for page in numbers
            if 0 <= (start := page * PAGE_SIZE) < n_rows
        }
