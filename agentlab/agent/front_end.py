"""Whether a person is there to be asked: at a notebook's page, behind a server, or at a terminal."""

from __future__ import annotations

import builtins
import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

_behind_a_server: ContextVar[bool] = ContextVar("agentlab_behind_a_server", default=False)


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


def cell_is_running() -> bool:
    """True while a notebook's cell runs: then, and only then, `input()` is the kernel's own and reaches the page."""
    kernel = _kernel()
    return kernel is not None and getattr(builtins.input, "__self__", None) is kernel


def person_at_terminal() -> bool:
    """True in a script that was started from a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _kernel() -> Any:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None)
