"""The calls of a run that wait for a person, as a card of their own, to be put where there is room for it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from agentlab.agent.desk import PendingCall
from agentlab.agent.run import Run
from agentlab.errors import AgentLabError, InputError
from agentlab.trace._items import approval_in_words
from agentlab.trace.events import ApprovalDecided, ApprovalRequested, Event, RunFinished, RunPaused, RunResumed
from agentlab.trace.observing import observe
from agentlab.trace.safe import in_one_line, visible
from agentlab.trace.steps import ToolCallRecord
from agentlab.trace.trace import Trace
from agentlab.widgets.asks import asks_in, decision_from
from agentlab.widgets.base import LabWidget
from agentlab.widgets.script import script, style

_DONE_SHOWN = 20
_TOLD = (ApprovalRequested, ApprovalDecided, RunPaused, RunFinished)
_WORDS_CHARS = 300


class ApprovalCard(LabWidget):
    """All calls of a run that wait, one open and the others in a queue, and those that were decided.

    Cards of one run, and other views of it, agree: the first decision on a call counts, whoever comes later is told.

    Args:
        run: The run.
        call_id: Only this call; None: all.
        by: Who decides at this page, for the trace.

    Raises:
        InputError: It is no run.
    """

    _esm = script("approval_card")
    _css = style("approval_card")

    def __init__(self, run: Run, call_id: str | None = None, *, by: str = "person") -> None:
        if not isinstance(run, Run):
            raise InputError(f"an approval card is of a run, not {in_one_line(repr(run))}")
        self._run, self._call_id, self._by = run, call_id, by
        self._lock = threading.Lock()
        super().__init__()
        self._follow()

    def state(self) -> dict[str, Any]:
        """What waits, what was decided, and how the run stands."""
        run, trace = self._run, self._run.trace
        records = [record for record in trace.tool_calls.values() if self._shows(record.call_id)]
        done = [record for record in records if record.decisions][-_DONE_SHOWN:]
        return {
            "run_id": run.id,
            "asks": asks_in(trace, self._pending(), run.now_ns()),
            "done": [{"tool": in_one_line(r.tool), "call_id": r.call_id, "words": _words(r, trace)} for r in done],
            "note": _note(run),
        }

    def on_page(self, message: dict[str, Any]) -> None:
        """Take a decision, or hear that somebody is there."""
        match message.get("type"):
            case "ping":
                self._run.seen()
            case "decide":
                call_id = str(message.get("call_id"))
                self.tell("decided", call_id=call_id, error=self._decide(call_id, message))

    def refresh(self) -> None:
        """Tell the pages what is true now."""
        with self._lock:
            self.snapshot += 1

    def _follow(self) -> None:
        """Hear of the run, and of what it goes on as, as long as somebody has the card."""
        while self._run.resumed_as is not None:
            self._run = self._run.resumed_as
        self._stops = (weakref.finalize(self, _watch(self._run, weakref.ref(self))),)

    def _look(self) -> None:
        """Something has changed."""
        if self._run.resumed_as is not None:
            self._follow_no_more()
            self._follow()
        self.refresh()

    def describe(self) -> str:
        """The run and how many of its calls wait."""
        return f"of {self._run.id}, {len(self._pending())} waiting"

    def _decide(self, call_id: str, message: dict[str, Any]) -> str | None:
        """Pass on a decision; what is wrong with it, for the person."""
        try:
            call = next((call for call in self._pending() if call.call_id == call_id), None)
            if call is None:
                raise InputError(self._why_not(call_id))
            call_hash = message.get("call_hash")
            if not isinstance(call_hash, str):
                raise InputError("the page did not say which arguments it showed: reload it")
            self._run.decide(call_id, decision_from(message, call), by=self._by, call_hash=call_hash)
        except AgentLabError as exc:
            return visible(str(exc))
        return None

    def _why_not(self, call_id: str) -> str:
        record = self._run.trace.tool_calls.get(call_id)
        if record is None or not self._shows(call_id):
            return "no such call waits in this run"
        if record.decision is None:
            return "this call does not wait any more"
        return f"this call was decided before: {_words(record, self._run.trace)}"

    def _pending(self) -> list[PendingCall]:
        return [call for call in self._run.pending if self._shows(call.call_id)]

    def _shows(self, call_id: str) -> bool:
        return self._call_id is None or call_id == self._call_id


def _watch(run: Run, card: weakref.ref[ApprovalCard]) -> Callable[[], None]:
    """Have a card look whenever calls of this run begin or cease to wait, or are decided; what ends that."""

    def look() -> None:
        shown = card()
        if shown is not None:
            shown._look()

    def hear(of: Trace, event: Event) -> None:
        if of is run.trace and isinstance(event, _TOLD):
            look()
            if isinstance(event, RunPaused | RunFinished):  # no event comes after it
                unseen()

    def stop() -> None:
        deaf()
        unseen()

    deaf, unseen = run.on_pending(look), observe(hear) if run.trace.live else _nothing
    return stop


def _nothing() -> None:
    """What ends what never began."""


def _note(run: Run) -> str:
    if run.status == "paused":
        return "the run is paused: it goes on with what is decided here when it is resumed"
    return "" if run.stop_reason is None else f"the run has ended: {run.stop_reason}"


def _words(record: ToolCallRecord, trace: Trace) -> str:
    """Who decided what, after how long, and when."""
    told = in_one_line(approval_in_words(record) or "", _WORDS_CHARS)
    if any(isinstance(event, RunResumed) for event in trace.events):
        return told  # its clock is no guide to the time of day
    at = trace.started.started_at + timedelta(seconds=(record.decisions[-1].t_ns - trace.started.t_ns) / 1e9)
    return f"{told} ({at:%H:%M:%S} UTC)"
