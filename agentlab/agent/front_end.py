"""Whether a person is there to be asked: at a notebook's page, or at a terminal."""

from __future__ import annotations

import sys


def person_at_front_end() -> bool:
    """True in a notebook whose cell a person ran; false in `nbclient`, `nbval` and scripts.

    A front end that runs notebooks without people does not let them ask for input.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    kernel = getattr(shell, "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False))


def person_at_terminal() -> bool:
    """True in a script that was started from a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
