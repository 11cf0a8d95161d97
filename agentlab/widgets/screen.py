"""How a run shows itself in the notebook whose cell starts it.

A person at the page sees the live view, which gives way to the static trace when the run is over: that is what a saved
notebook keeps. Where a notebook runs without a person, the static trace is shown once, by the cell that waits for it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from agentlab.agent.run import Run

if TYPE_CHECKING:
    from agentlab.widgets.trace_view import TraceView

SHOWN_PER_CELL = 4
"""A cell that starts more runs shows only the first ones by itself."""

_LOG = logging.getLogger("agentlab.widgets")
_shown_in: dict[str, int] = {}
"""How many runs the last cell has shown."""


class Screen:
    """Where one run is shown."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._view: TraceView | None = None
        self._handle: Any = None
        self._cell = ""
        """The cell in which it is shown."""

    def open(self) -> None:
        """Show the live view, if the cell has not shown enough."""
        if not self._take_place():
            return
        from agentlab.widgets.trace_view import TraceView  # without a person at the page there is no view

        self._view = TraceView(self._run)
        live = self._view._repr_mimebundle_()
        data, metadata = live if isinstance(live, tuple) else (live, {})
        self._handle = display(data, metadata=metadata, raw=True, display_id=True)
        self._run.when_over(self._give_way)

    def awaited(self) -> None:
        """The cell has waited for the run: show how it ended, unless that is to be seen already."""
        if self._cell == "" and self._take_place():
            display(self._run.trace._repr_mimebundle_(), raw=True)

    def is_in_this_cell(self) -> bool:
        """True while the cell runs in which the run is shown: to show it again would be too much."""
        return self._cell != "" and self._cell == _this_cell()

    def _give_way(self) -> None:
        """The static trace takes the place of the live view."""
        try:
            self._handle.update(self._run.trace._repr_mimebundle_(), raw=True)
            if self._view is not None and self._view.loads == 1:
                self._view.close()  # a page that was opened anew is not reached by `update`, and goes on showing it
        except Exception:  # noqa: BLE001  # the run is over and well
            _LOG.exception("the view of `%s` could not be replaced by its static trace", self._run.id)

    def _take_place(self) -> bool:
        cell = _this_cell()
        if cell not in _shown_in:
            _shown_in.clear()
        _shown_in[cell] = _shown_in.get(cell, 0) + 1
        if _shown_in[cell] == SHOWN_PER_CELL + 1:
            print("More runs of this cell are not shown by themselves: `run.view()` shows one.")  # noqa: T201
        if _shown_in[cell] > SHOWN_PER_CELL:
            return False
        self._cell = cell
        return True


def prepare(*, attended: bool) -> None:
    """Load what it takes to show a run, before the run begins: its clock does not stand still meanwhile."""
    if attended:
        import agentlab.widgets.trace_view  # noqa: F401  # only loaded


def show(run: Run, *, attended: bool) -> Screen:
    """Show a run that has just started.

    Args:
        run: The run.
        attended: Whether a person is at the page.
    """
    screen = Screen(run)
    if attended:
        screen.open()
    return screen


def _this_cell() -> str:
    """The id of the request that runs the cell."""
    kernel = getattr(get_ipython(), "kernel", None)
    parent = kernel.get_parent() if kernel is not None else {}
    return str(parent.get("header", {}).get("msg_id", "")) or "no cell"
