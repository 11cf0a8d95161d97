"""A lab's runs in a list: what is told of each, as text and as a table for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agentlab.trace.safe import as_html, in_one_line
from agentlab.trace.trace import RunStatus

SHOWN = 20
"""Runs in the table; a longer list is told of by its number."""

_TITLE_CHARS = 60
_ID_CHARS = 12
_HEAD = ("run", "started (UTC)", "agent", "model", "asked", "steps", "ended")


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run of a lab, without its events."""

    run_id: str
    started_at: datetime | None
    """Wall time, UTC; for display."""
    status: RunStatus
    """`paused`: it waits for decisions. `interrupted`: it has no end, and no process writes it any more."""
    stop_reason: str | None
    agent_name: str | None
    model: str | None
    provider: str | None
    protocol: str | None
    parent_run_id: str | None
    title: str | None
    """The beginning of what the user asked."""
    n_steps: int
    n_events: int

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run_id

    def __repr__(self) -> str:
        return f"<run {self.run_id}: {in_one_line(self.title or '')!r}, {self.n_steps} steps, {self.end}>"

    @property
    def end(self) -> str:
        """Why it ended, or that it has not."""
        return self.stop_reason or self.status


def listing_html(title: str, runs: Sequence[RunInfo], n_runs: int) -> str:
    """A table of runs. Every text in it is escaped; it reads without a style sheet."""
    if not runs:
        return f"<p>{as_html(title)} is empty. Runs that are started with <code>lab=…</code> are kept in it.</p>"
    head = "".join(f'<th style="text-align:left">{name}</th>' for name in _HEAD)
    rows = "".join(_row(run) for run in runs)
    more = f"<p>… and {n_runs - len(runs):,} older runs: <code>lab.runs()</code></p>" if n_runs > len(runs) else ""
    caption = f'<caption style="text-align:left">{as_html(title)}</caption>'
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _row(run: RunInfo) -> str:
    cells = (
        run.run_id.removeprefix("run-")[:_ID_CHARS],
        "" if run.started_at is None else f"{run.started_at:%Y-%m-%d %H:%M:%S}",
        run.agent_name or "",
        run.model or "",
        in_one_line(run.title or "", _TITLE_CHARS),
        str(run.n_steps),
        run.end,
    )
    tds = "".join(f'<td style="text-align:left">{as_html(in_one_line(cell))}</td>' for cell in cells)
    return f'<tr title="{as_html(in_one_line(run.run_id))}">{tds}</tr>'
