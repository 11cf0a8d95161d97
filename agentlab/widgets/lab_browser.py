"""The runs of a lab in a table: sorted, filtered and paged in Python, each to open under the table, two to compare.

The table and what it opens are two widgets in a box of ipywidgets: JupyterLab lays them out, so a trace or a comparison
is the same widget here as anywhere else, and neither has to know of the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from typing import Any, get_args

import ipywidgets

from agentlab.errors import AgentLabError, InputError
from agentlab.lab.finding import WAITS, Choices, Finder, Found, FoundRun, RunQuery, SortKey
from agentlab.lab.lab import Lab
from agentlab.trace.safe import in_one_line
from agentlab.widgets.base import LabWidget
from agentlab.widgets.compare_view import CompareView
from agentlab.widgets.head import TONES
from agentlab.widgets.script import script, style
from agentlab.widgets.shown import show

PAGE_SIZE = 50
_TITLE_CHARS = 100
_NAMES = {field.name for field in fields(RunQuery)} - {"sort", "descending"}
_TEXT_CHARS = 200


class RunTable(LabWidget):
    """The table alone. What is chosen in it is told to whoever made it.

    Args:
        lab: Whose runs.
        open_run: Shows a run, by id; None: shows none.
        compare: Shows two runs beside one another, by id.
    """

    _esm = script("lab_browser")
    _css = style("lab_browser")

    def __init__(self, lab: Lab, open_run: Callable[[str | None], None], compare: Callable[[str, str], None]) -> None:
        self._lab, self._open_run, self._compare = lab, open_run, compare
        self._finder: Finder = lab.finder()
        self._query, self._page = RunQuery(), 0
        self._ticked: list[str] = []
        self._opened: list[str] = []
        self._note = ""
        self._choices = Choices([], [], [])
        self._last: dict[str, Any] = {}
        super().__init__()

    def state(self) -> dict[str, Any]:
        """The page that is shown, read anew."""
        try:
            found, self._choices = self._found(), self._finder.choices()
        except AgentLabError as exc:  # the file is gone, or the lab was closed
            found, self._note = Found([], 0), in_one_line(str(exc), _TEXT_CHARS)
        return self._told(found)

    def _told(self, found: Found) -> dict[str, Any]:
        choices = self._choices
        self._last = {
            "title": in_one_line(repr(self._lab)[1:-1], _TEXT_CHARS),
            "rows": [_row(run) for run in found.runs],
            "first": self._page * PAGE_SIZE,
            "n_found": found.n_found,
            "page": self._page,
            "n_pages": max(1, -(-found.n_found // PAGE_SIZE)),
            "query": asdict(self._query),
            "choices": {
                "status": [[status, status, n] for status, n in choices.statuses],
                "agent": [[name, in_one_line(name), None] for name in choices.agents],
                "model": [[name, in_one_line(name), None] for name in choices.models],
            },
            "ticked": self._ticked,
            "opened": self._opened,
            "note": self._note,
            "goes_on": any(status in (WAITS, "running") for status, _ in choices.statuses),
        }
        return self._last

    def on_page(self, message: dict[str, Any]) -> None:
        """Answer a page."""
        kind = message.get("type")
        if kind == "refresh":
            before = self._last
            if before == self.state():
                self.tell("same")
                return
        elif kind == "ask":
            self._ask(message)
            self.tell("snapshot", **self._told(self._found()))
            return
        elif kind == "tick":
            self._tick(str(message.get("id")), on=message.get("on") is True)
        elif kind == "open":
            self._show(str(message.get("id")))
        elif kind == "compare" and len(self._ticked) == 2:
            self._show(*self._ticked)
        elif kind == "close":
            self._opened, self._note = [], ""
            self._open_run(None)
        else:
            return
        self._last |= {"ticked": self._ticked, "opened": self._opened, "note": self._note}
        self.tell("snapshot", **self._last)

    def describe(self) -> str:
        """The lab."""
        return f"of {repr(self._lab)[1:-1]}"

    def _found(self) -> Found:
        found = self._finder.find(self._query, limit=PAGE_SIZE, offset=self._page * PAGE_SIZE)
        if not found.runs and self._page:  # runs were deleted
            self._page = max(0, -(-found.n_found // PAGE_SIZE) - 1)
            found = self._finder.find(self._query, limit=PAGE_SIZE, offset=self._page * PAGE_SIZE)
        return found

    def _ask(self, message: dict[str, Any]) -> None:
        asked = message.get("query")
        if isinstance(asked, dict):
            texts = {name: text[:_TEXT_CHARS] for name in _NAMES & asked.keys() if isinstance(text := asked[name], str)}
            sort = asked.get("sort") if asked.get("sort") in get_args(SortKey) else None
            cleared = dict.fromkeys(_NAMES & asked.keys())
            self._query = replace(
                self._query, **{**cleared, **texts}, sort=sort, descending=asked.get("descending") is True
            )
        page = message.get("page")
        self._page = page if type(page) is int and 0 <= page < 10**9 else 0
        self._note = ""

    def _tick(self, run_id: str, *, on: bool) -> None:
        """Two at most: a third takes the place of the first."""
        rest = [ticked for ticked in self._ticked if ticked != run_id]
        self._ticked = [*rest, run_id][-2:] if on else rest

    def _show(self, *run_ids: str) -> None:
        self._opened, self._note = list(run_ids), ""
        try:
            if len(run_ids) == 1:
                self._open_run(run_ids[0])
            else:
                self._compare(*run_ids)
        except AgentLabError as exc:
            self._opened, self._note = [], in_one_line(str(exc), _TEXT_CHARS)


class LabBrowser(ipywidgets.VBox):
    """The runs of a lab, to be looked through: `lab.browse()`.

    Args:
        lab: Whose runs.

    Raises:
        InputError: It is no lab.
    """

    def __init__(self, lab: Lab) -> None:
        if not isinstance(lab, Lab):
            raise InputError(f"a browser shows a lab, not {lab!r:.80}; `Lab(path)` opens one")
        self._lab = lab
        self._below: tuple[Any, ...] = ()
        self.table = RunTable(lab, self._open_run, self._compare)
        super().__init__([self.table], layout=ipywidgets.Layout(overflow="visible"))

    def __repr__(self) -> str:
        return f"<LabBrowser of {repr(self._lab)[1:-1]}>"

    def _ipython_display_(self, **_kinds: Any) -> None:
        show(self, {"text/plain": repr(self), "text/html": self._lab._repr_html_()})

    def _open_run(self, run_id: str | None) -> None:
        self._put(None if run_id is None else self._lab.view(run_id))

    def _compare(self, one: str, other: str) -> None:
        self._put(CompareView(self._lab.trace(one), self._lab.trace(other)))

    def _put(self, widget: Any) -> None:
        """Show a widget under the table, in the place of the one that is there."""
        before = self._below
        self._below = () if widget is None else (widget,)
        self.children = (self.table,) if widget is None else (self.table, widget)
        for old in before:
            old.close()


def _row(run: FoundRun) -> dict[str, Any]:
    return {
        "id": run.run_id,
        "run": in_one_line(run.run_id.removeprefix("run-"), 12),
        "whole_id": in_one_line(run.run_id),
        "status": run.status if not run.n_pending else f"{run.status} ({run.n_pending})",
        "tone": "warn" if run.status == WAITS else TONES.get(run.status, "bad"),
        "started": "" if run.started_at is None else f"{run.started_at:%Y-%m-%d %H:%M:%S}",
        "agent": in_one_line(run.agent_name or ""),
        "model": in_one_line(run.model or ""),
        "asked": in_one_line(run.title or "", _TITLE_CHARS),
        "tags": [[in_one_line(f"{name}={value}", 40), f"{name}={value}"] for name, value in run.tags.items()],
        "steps": f"{run.n_steps:,}",
    }
