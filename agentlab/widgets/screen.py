"""How a run shows itself in the notebook whose cell starts it.

A person at the page sees the live view, which gives way to the static trace when the run is over: that is what a saved
notebook keeps. Where a notebook runs without a person, the static trace is shown once, by the cell that waits for it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from agentlab.agent.run import Run
from agentlab.widgets.shown import Shown

if TYPE_CHECKING:
    from agentlab.widgets.approval_card import ApprovalCard
    from agentlab.widgets.trace_view import TraceView

SHOWN_PER_CELL = 4
"""A cell that starts more runs shows only the first ones by itself."""

_LOG = logging.getLogger("agentlab.widgets")


class Screen:
    """Where one run is shown."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._view: TraceView | None = None
        self._shown: Shown | None = None
        self._cell: Cell | None = None
        """The cell in which it is shown."""
        self._left_out: Cell | None = None
        """The cell that has shown enough without it."""

    def open(self) -> None:
        """Show the live view, if the cell has not shown enough."""
        if not self._take_place():
            return
        from agentlab.widgets.trace_view import TraceView  # without a person at the page there is no view

        self._view = TraceView(self._run)
        self._shown = Shown(self._view, self._bundle())
        self._run.when_over(self._give_way)

    def asks(self) -> None:
        """A person is about to be asked: what a notebook that is saved now holds says so, and the run is to be seen."""
        with _harmless("the question of `%s` could not be shown", self._run.id):
            if self._shown is not None:
                self._shown.update(self._bundle())
            elif self._left_out is not None:
                self._left_out.show_asks(self._run)

    def awaited(self) -> None:
        """The cell has waited for the run: show how it ended, unless that is to be seen already."""
        if self._cell is None and self._take_place():
            display(self._bundle(), raw=True)

    def is_in_this_cell(self) -> bool:
        """True while the cell runs in which the run is shown: to show it again would be too much."""
        return self._cell is not None and self._cell.id == _id_of_this_cell()

    def _give_way(self) -> None:
        """The static trace takes the place of the live view."""
        with _harmless("the view of `%s` could not be replaced by its static trace", self._run.id):
            if self._shown is not None:
                self._shown.settle(self._bundle())
            if self._view is not None and self._view.loads == 1:
                self._view.close()  # a page that was opened anew is not reached by `settle`, and goes on showing it

    def _bundle(self) -> dict[str, str]:
        return self._run.trace._repr_mimebundle_()

    def _take_place(self) -> bool:
        cell = _this_cell()
        if not cell.has_place():
            self._left_out = cell
            return False
        self._cell = cell
        return True


class Cell:
    """What one cell shows by itself."""

    def __init__(self, cell_id: str) -> None:
        self.id = cell_id
        self._n_shown = 0
        self._more: Any = None
        """What says that there are more runs. Of those that ask it shows the questions."""
        self._asks: list[tuple[Run, ApprovalCard]] = []
        """Runs that ask, each with the card of its questions."""

    def has_place(self) -> bool:
        """Whether one more run is shown."""
        self._n_shown += 1
        if self._n_shown == SHOWN_PER_CELL + 1:
            self._more = display({"text/plain": _MORE}, raw=True, display_id=True)
        return self._n_shown <= SHOWN_PER_CELL

    def show_asks(self, run: Run) -> None:
        """Show what a run asks that is not shown."""
        from agentlab.widgets.approval_card import ApprovalCard

        if self._more is None or any(other is run for other, _ in self._asks):
            return
        self._asks.append((run, ApprovalCard(run)))
        run.when_over(lambda: self._forget(run))
        self._draw()

    def _forget(self, run: Run) -> None:
        self._asks = [(other, card) for other, card in self._asks if other is not run]
        with _harmless("the questions of `%s` could not be taken away", run.id):
            self._draw()

    def _draw(self) -> None:
        if not self._asks:
            self._more.update({"text/plain": _MORE}, raw=True)
            return
        import ipywidgets

        data = ipywidgets.VBox([card for _, card in self._asks])._repr_mimebundle_()
        self._more.update(data[0] if isinstance(data, tuple) else data, raw=True)


_MORE = "More runs of this cell are not shown by themselves: `run.view()` shows one."
_last_cell = Cell("no cell")


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


def _this_cell() -> Cell:
    global _last_cell  # only the last one: an earlier one starts no more runs, or those of a loop that nobody looks at
    cell_id = _id_of_this_cell()
    if _last_cell.id != cell_id:
        _last_cell = Cell(cell_id)
    return _last_cell


def _id_of_this_cell() -> str:
    """The id of the request that runs the cell."""
    kernel = getattr(get_ipython(), "kernel", None)
    parent = kernel.get_parent() if kernel is not None else {}
    return str(parent.get("header", {}).get("msg_id", "")) or "no cell"


@contextlib.contextmanager
def _harmless(told: str, run_id: str) -> Iterator[None]:
    """What fails in showing a run is logged, and the run is well."""
    try:
        yield
    except Exception:  # noqa: BLE001  # whatever it is
        _LOG.exception(told, run_id)
