"""An interrupt, or the end of a time limit, for work that keeps the event loop waiting: somebody types in a cell.

The kernel of a notebook keeps an interrupt of an `async` cell for its event loop. That stands still while the cell
asks, so without this nothing could end the question but a restart.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import threading
from collections.abc import Iterator

from agentlab.clock import LimitPassed


@contextlib.contextmanager
def interruptible(limit_s: float | None) -> Iterator[None]:
    """Let an interrupt break off the block at once; who kept interrupts before is told of it.

    Args:
        limit_s: How long the block may take [s]; None: as long as it takes.

    Raises:
        KeyboardInterrupt: A person has interrupted.
        LimitPassed: The time is over.
    """
    if threading.current_thread() is not threading.main_thread():  # no signal comes here
        yield
        return
    keeper = signal.signal(signal.SIGINT, signal.default_int_handler)
    limit = _Limit(limit_s)
    try:
        with limit:
            yield
    except KeyboardInterrupt:
        if limit.passed:
            raise LimitPassed(limit_s) from None
        if callable(keeper) and keeper is not signal.default_int_handler:
            keeper(signal.SIGINT, None)
        raise
    finally:
        signal.signal(signal.SIGINT, keeper or signal.SIG_DFL)


class _Limit:
    """Interrupts the main thread when the time of a block is over."""

    def __init__(self, limit_s: float | None) -> None:
        self.passed = False
        self._left = False
        self._lock = threading.Lock()
        self._timer = None if limit_s is None else threading.Timer(max(limit_s, 0.0), self._pass)

    def __enter__(self) -> None:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._left = True
        if self._timer is not None:
            self._timer.cancel()

    def _pass(self) -> None:
        with self._lock:
            if not self._left:
                self.passed = True
                _thread.interrupt_main()
