"""The trace of a run in a notebook, step by step as it runs, and its calls that wait, to be decided right there."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from agentlab.agent.front_end import notebook_loop
from agentlab.agent.run import Run, living_run
from agentlab.errors import AgentLabError, InputError
from agentlab.lab.lab import Lab
from agentlab.lab.listing import RunInfo
from agentlab.trace._sections import started
from agentlab.trace.safe import visible
from agentlab.trace.trace import Trace
from agentlab.widgets.asks import decision_from
from agentlab.widgets.base import LabWidget
from agentlab.widgets.copies import events_json, row_json
from agentlab.widgets.feed import Feed
from agentlab.widgets.live_run import LiveInLab, LiveRun
from agentlab.widgets.request_view import request_of_step
from agentlab.widgets.rows import row_of
from agentlab.widgets.script import script, style
from agentlab.widgets.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

_PAGES_AT_ONCE = 20


class TraceView(LabWidget):
    """The steps of one run, as a list that is quick however long it is.

    A run that goes on is shown as it goes, and its calls that wait can be decided here. Everything a page sends is only
    passed on; decisions that come late, twice or for another call change nothing and are told so.

    Args:
        source: A run, or a trace.
        at: A row of a frame: its message, call or step is shown first.
        follow: Where more of the trace comes from; None: a run tells itself, a trace has ended.
        compact: Only what was said and done, as in a chat: no head, no strip, no tools to search with.

    Raises:
        InputError: The row is of another run.
    """

    _esm = script("trace_view")
    _css = style("trace_view")
    _is_closed = False
    _watching: asyncio.Task[None] | None = None
    """It is held, for a loop forgets tasks that nobody holds. It does not hold the view."""

    def __init__(
        self,
        source: Run | Trace,
        *,
        at: Mapping[str, Any] | pd.Series | None = None,
        follow: LiveInLab | None = None,
        compact: bool = False,
    ) -> None:
        if not isinstance(source, Run | Trace):
            raise InputError(
                f"a view shows a run or a trace, not {source!r:.80}; of a lab, `lab.view(run_id)` opens one"
            )
        self._take(source, follow)
        self._compact = compact
        self._shown: list[Shown] = []
        self.loads = 0
        """How often a page has loaded the view: once when it was made, and once for each page that came later."""
        if at is not None:
            self._feed.goto = self._feed.rows.of_frame_row(at)
        super().__init__()
        self._watch()

    def state(self) -> dict[str, Any]:
        """All that a page needs to draw the trace."""
        self.loads += 1
        self._feed.heard()
        return self._snapshot()

    def at(self, row: Mapping[str, Any] | pd.Series) -> TraceView:
        """Show the message, call or step that a row of a frame is about; this view.

        Raises:
            InputError: It is of another run.
        """
        self._feed.goto = self._feed.rows.of_frame_row(row)
        self.tell("goto", row=self._feed.goto)
        return self

    def resync(self) -> None:
        """Tell the pages all again; in a message, for `state` takes each question for a page that is loaded."""
        self.tell("snapshot", **self._snapshot())

    def on_page(self, message: dict[str, Any]) -> None:
        """Answer a page."""
        self._feed.heard()
        answer = _ANSWERS.get(str(message.get("type")))
        if answer is not None:
            answer(self, message)

    def _hear(self, widget: Any, content: Any, buffers: Any) -> None:
        """Hear a page. What takes long on a long trace is answered on a thread: runs in this loop go on meanwhile."""
        if isinstance(content, dict) and content.get("type") in _SLOW:
            _answering().submit(super()._hear, widget, content, buffers)
        else:
            super()._hear(widget, content, buffers)

    def describe(self) -> str:
        """The run."""
        begin = started(self._trace)
        return "of an empty trace" if begin is None else f"of {begin.run_id}"

    def close(self) -> None:
        """Be no longer shown, and follow nothing."""
        self._is_closed = True
        _cancel(self._watching)
        super().close()

    def _take(self, source: Run | Trace, follow: LiveInLab | None = None) -> None:
        """Take what is shown, and where more of it comes from; of a run that was resumed, what it goes on as."""
        self._run = _newest(source) if isinstance(source, Run) else None
        self._trace: Trace = source if isinstance(source, Trace) else _newest(source).trace
        self._live: LiveRun | LiveInLab | None = follow
        if self._run is not None and self._trace.stop_reason is None:
            self._live = LiveRun(self._run)
        self._feed = Feed(self._trace, self._live, partial(_tell, weakref.ref(self)))

    def _look(self) -> None:
        """Calls wait, or wait no more, or the run was resumed."""
        if self._run is None or self._run.resumed_as is None:
            self._feed.changed()
            return
        self._follow_no_more()
        _cancel(self._watching)
        self._take(self._run)
        self.tell("snapshot", **self._snapshot())
        self._watch()

    def _watch(self) -> None:
        """Follow the run, in this loop; of a run that goes on in a thread, in the notebook's."""
        if self._live is None:
            return
        if self._run is not None:
            self._stops = (self._run.on_pending(partial(_look, weakref.ref(self))),)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            loop = notebook_loop()  # None: nobody to follow with, and what is there now is shown
            if loop is not None:
                loop.call_soon_threadsafe(self._begin_to_watch)
        else:
            self._begin_to_watch()

    def _begin_to_watch(self) -> None:
        if self._live is None or self._is_closed:
            return
        events = self._live.follow()  # from now on nothing is missed, whenever the task begins
        self._watching = asyncio.get_running_loop().create_task(self._feed.watch(events))
        self._watching.add_done_callback(partial(_keep, weakref.ref(self)))

    def _keep(self) -> None:
        """What stands for the view in a saved notebook tells the whole run."""
        for shown in self._shown:
            shown.update(self._trace._repr_mimebundle_())

    def _snapshot(self) -> dict[str, Any]:
        return {**self._feed.snapshot(), "compact": self._compact}

    def _on_page_wanted(self, message: dict[str, Any]) -> None:
        numbers = [number for number in message.get("pages", ())[:_PAGES_AT_ONCE] if type(number) is int]
        self.tell("page", pages=self._feed.pages(numbers))

    def _on_search(self, message: dict[str, Any]) -> None:
        text = str(message.get("q", ""))
        rows, more = self._feed.search(text) if text else ([], False)
        self.tell("found", q=text, rows=rows, more=more)

    def _on_whole(self, message: dict[str, Any]) -> None:
        number, field = message.get("row"), str(message.get("field"))
        entry, _ = self._feed.entry_and_row(number)
        self.tell("whole", row=number, field=field, text=str(row_of(entry, None).get(field, "")))

    def _on_copy(self, message: dict[str, Any]) -> None:
        number = message.get("row")
        if number is None:
            text = events_json(list(self._trace.events))
        else:
            text = row_json(self._trace, *self._feed.entry_and_row(number))
        self.tell("copy", row=number, text=text)

    def _on_raw(self, message: dict[str, Any]) -> None:
        try:
            text = request_of_step(self._trace, int(message.get("step", 0)))
        except AgentLabError as exc:
            text = str(exc)
        self.tell("raw", step=message.get("step"), text=text)

    def _on_ping(self, message: dict[str, Any]) -> None:
        if self._live is not None:
            self._live.seen()

    def _on_stop(self, message: dict[str, Any]) -> None:
        if self._live is not None:
            self._live.stop()

    def _on_decide(self, message: dict[str, Any]) -> None:
        call_id, error = str(message.get("call_id")), None
        try:
            if self._live is None:
                raise InputError("the run is over: nothing is decided any more")
            self._live.seen()
            call = next((call for call in self._live.pending() if call.call_id == call_id), None)
            if call is None:
                raise InputError("this call does not wait any more")
            self._live.decide(call_id, decision_from(message, call), str(message.get("call_hash")))
        except AgentLabError as exc:
            error = visible(str(exc))
        self.tell("decided", call_id=call_id, error=error)
        self._feed.flush()

    def _ipython_display_(self) -> None:
        self._shown.append(Shown(self, self._trace._repr_mimebundle_()))


@cache
def _answering() -> ThreadPoolExecutor:
    """The thread of slow answers, one after the other, in the order of the questions."""
    return ThreadPoolExecutor(1, thread_name_prefix="agentlab-view")


def _newest(run: Run) -> Run:
    """What a run goes on as, that was resumed; any other run."""
    while run.resumed_as is not None:
        run = run.resumed_as
    return run


def _tell(of: weakref.ref[TraceView], kind: str, **fields: Any) -> None:
    if (view := of()) is not None:
        view.tell(kind, **fields)


def _look(of: weakref.ref[TraceView]) -> None:
    if (view := of()) is not None:
        view._look()


def _keep(of: weakref.ref[TraceView], _: asyncio.Task[None]) -> None:
    if (view := of()) is not None:
        view._keep()


def _cancel(task: asyncio.Task[None] | None) -> None:
    """End a task, from any thread."""
    if task is not None:
        with contextlib.suppress(RuntimeError):  # its loop is closed, and so it is over
            task.get_loop().call_soon_threadsafe(task.cancel)


def view_in_lab(lab: Lab, run: str | RunInfo) -> TraceView:
    """A run of a lab; one that has not ended is followed, and one that goes on in this process is stopped here too."""
    trace = lab.trace(run)
    living = living_run(trace.run_id)
    if living is not None and trace.stop_reason is None:
        return TraceView(living)
    return TraceView(trace, follow=None if trace.stop_reason else LiveInLab(lab, trace))


_ANSWERS = {
    "page": TraceView._on_page_wanted,
    "search": TraceView._on_search,
    "whole": TraceView._on_whole,
    "copy": TraceView._on_copy,
    "raw": TraceView._on_raw,
    "ping": TraceView._on_ping,
    "stop": TraceView._on_stop,
    "decide": TraceView._on_decide,
}
"""What a page may ask for."""
_SLOW = frozenset({"search", "whole", "copy", "raw"})
"""What a thread answers."""
