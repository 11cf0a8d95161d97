"""Whether a person is there, at a notebook's page, behind a server or at a terminal; and what shows runs there."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from importlib import import_module
from typing import Any, Protocol

_SCREENS = "agentlab.widgets.screen"
"""What shows runs in a notebook. It lives floors above and is loaded when a notebook runs an agent."""

_behind_a_server: ContextVar[bool] = ContextVar("agentlab_behind_a_server", default=False)

outer_run: ContextVar[Any] = ContextVar("agentlab_outer_run", default=None)
"""In the tools of a run, and in all that they start: that run."""


@contextlib.contextmanager
def people_behind_a_server() -> Iterator[None]:
    """Runs started in this block are asked about through a server: they wait until somebody decides."""
    token = _behind_a_server.set(True)
    try:
        yield
    finally:
        _behind_a_server.reset(token)


def person_at_front_end() -> bool:
    """True in a notebook whose cell a person ran, and behind a server; false in `nbclient`, `nbval` and scripts.

    A front end that runs notebooks without people does not let them ask for input.
    """
    if _behind_a_server.get():
        return True
    return bool(getattr(_kernel(), "_allow_stdin", False))


def in_notebook() -> bool:
    """True in the kernel of a notebook, whoever runs its cells."""
    return _kernel() is not None


def notebook_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop of the kernel, in which cells and what they start run; None where there is no notebook."""
    loop: asyncio.AbstractEventLoop | None = getattr(getattr(_kernel(), "io_loop", None), "asyncio_loop", None)
    return loop


def cell_is_running() -> bool:
    """True while a notebook's cell runs: then, and only then, `input()` is the kernel's own and reaches the page."""
    kernel = _kernel()
    return kernel is not None and getattr(builtins.input, "__self__", None) is kernel


def person_at_terminal() -> bool:
    """True in a script that was started from a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


class Screen(Protocol):
    """Where a notebook shows a run."""

    def awaited(self) -> None:
        """A cell has waited for the run, which is over."""
        ...

    def is_in_this_cell(self) -> bool:
        """True while the cell runs that shows the run already."""
        ...

    def asks(self) -> None:
        """A person is about to be asked about a call: it must be seen."""
        ...


def prepare_screen() -> None:
    """Load what shows runs, before the first one begins."""
    if _is_shown():
        import_module(_SCREENS).prepare(attended=person_at_front_end())


def screen_for(run: object, *, attended: bool) -> Screen | None:
    """Show a run that has started; None where there is no notebook, and for the runs that a run starts.

    Args:
        run: The run.
        attended: Whether a person is at the page.
    """
    if not _is_shown():
        return None
    screen: Screen = import_module(_SCREENS).show(run, attended=attended)
    return screen


def _is_shown() -> bool:
    return in_notebook() and outer_run.get() is None and not _behind_a_server.get()


def _kernel() -> Any:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None)
