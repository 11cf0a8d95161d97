"""Whether somebody can answer a run: at a page that shows it, or in the cell that waits for it.

Whether a click reaches a kernel while a cell runs depends on kernel and front end. A page that shows a pending call
says so every second. Where a cell waits for the run and no page has said so for a while, clicks do not arrive, and the
cell itself asks. Where one has said so while the cell ran, they do: should the page be gone now, only a page that is
loaded anew can answer, and no input line would ever be seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

from agentlab.agent.desk import Answer, PendingCall
from agentlab.agent.front_end import Screen, cell_is_running, in_notebook, person_at_front_end
from agentlab.agent.interrupting import interruptible
from agentlab.agent.typed import typed_decision
from agentlab.clock import LimitPassed

GRACE_S = 3.0
"""How long a page may be silent before the cell asks [s]. It speaks every second."""

_LOOK_S = 0.25


class Presence:
    """Who is there for one run."""

    def __init__(self) -> None:
        self.attended = person_at_front_end()
        """A person's front end started the run. Later requests to the kernel may come from programs."""
        self.screen: Screen | None = None
        """Where the run is shown."""
        self._cells = 0
        self._awaited_s = 0.0
        self._seen_s = 0.0
        self._heard_in_cell = False
        """Pages are heard while a cell runs."""

    def seen(self) -> None:
        """A page that shows the run has spoken, from any thread."""
        self._seen_s = time.monotonic()
        self._heard_in_cell = self._heard_in_cell or cell_is_running()

    @contextlib.contextmanager
    def awaited(self) -> Iterator[None]:
        """Somebody's code waits for the run in this block."""
        self._cells += 1
        self._awaited_s = time.monotonic()
        try:
            yield
        finally:
            self._cells -= 1

    def out_of_reach(self, asked_s: float) -> bool:
        """A running cell waits for the run, and no page is heard: none has been for a while, nor since this time."""
        if self._heard_in_cell:
            return False
        last_s = max(asked_s, self._awaited_s, self._seen_s)
        return self._cells > 0 and time.monotonic() - last_s > GRACE_S and cell_is_running()


async def wait_at_page(
    call: PendingCall, waiting: asyncio.Task[Answer], presence: Presence, limit_s: float | None = None
) -> Answer | None:
    """The answer that comes through a page, or by another process; where no page can be heard, one that is typed.

    Args:
        call: What is asked about.
        waiting: Becomes the answer. It is cancelled where another one was faster.
        presence: Who is there.
        limit_s: After how long the caller gives up waiting [s]; None: never.
    """
    if not in_notebook():
        return await waiting
    if presence.screen is not None:
        presence.screen.asks()
    asked_s = time.monotonic()
    while not waiting.done():
        await asyncio.wait({waiting}, timeout=_LOOK_S)
        if not waiting.done() and presence.out_of_reach(asked_s):
            waiting.cancel()
            await asyncio.wait({waiting})  # it has left the desk: a click that comes while the cell asks is told so
            left_s = None if limit_s is None else asked_s + limit_s - time.monotonic()
            return waiting.result() if not waiting.cancelled() else await _typed_in_cell(call, left_s)
    return waiting.result()


async def _typed_in_cell(call: PendingCall, limit_s: float | None) -> Answer | None:
    """Ask in the cell. It holds up the event loop, as the cell does in such a kernel anyway."""
    try:
        with interruptible(limit_s):
            decision = typed_decision(call, print)
    except KeyboardInterrupt:  # it cancels the run, as at any other time
        raise asyncio.CancelledError from None
    except LimitPassed:
        print("\nnobody has answered in time")  # noqa: T201  # to who comes back
        await asyncio.Event().wait()  # until the caller, whose time is over, gives up
    return None if decision is None else Answer(decision, "stdin")
