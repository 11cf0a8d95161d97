"""Stamps events with run, step, sequence number and time, and hands them to the trace, the journal and live readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from agentlab import clock
from agentlab.trace.events import Event, EventBase
from agentlab.trace.journal import Journal
from agentlab.trace.trace import Trace


class Recorder:
    """The one place through which a run's events pass."""

    def __init__(self, run_id: str, trace: Trace, journal: Journal | None = None) -> None:
        self.run_id = run_id
        self.trace = trace
        self.step = trace.steps[-1].number if trace.steps else 0
        # A run that goes on in another process has another clock: its time goes on where it stood.
        self._shift_ns = trace.events[-1].t_ns - clock.monotonic_ns() if trace.events else 0
        self._journal = journal
        self._readers: list[asyncio.Queue[Event | None]] = []

    def emit(self, event_type: type[EventBase], /, **fields: Any) -> int:
        """Record what happened now: in the trace, in the journal, to live readers. Its sequence number."""
        event = self._stamp(event_type, fields)
        self.trace.append(event)
        if self._journal is not None:
            self._journal.append(event)
        self._publish(event)
        return event.seq

    @property
    def has_readers(self) -> bool:
        """True while somebody follows the run live."""
        return bool(self._readers)

    def announce(self, event_type: type[EventBase], /, **fields: Any) -> None:
        """Tell live readers only; nothing is made when nobody reads."""
        if self._readers:
            self._publish(self._stamp(event_type, fields))

    def now_ns(self) -> int:
        """The time of the run [ns]."""
        return clock.monotonic_ns() + self._shift_ns

    def in_run_time(self, t_ns: int) -> int:
        """A time of the clock in force, in the time of the run [ns]."""
        return t_ns + self._shift_ns

    def flush(self) -> None:
        """Return when all that was recorded survives the end of the process."""
        if self._journal is not None:
            self._journal.flush()

    def close(self) -> None:
        """The run is over: the journal lets go, live readers come to their end."""
        self.trace.close()
        if self._journal is not None:
            self._journal.close()
        self._publish(None)

    async def follow(self) -> AsyncGenerator[Event, None]:
        """All events from the first, then each as it comes, to the end of the run.

        A reader that falls behind keeps what it has not read; it never holds up the run.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        for event in self.trace.events:
            queue.put_nowait(event)
        if self.trace.live:
            self._readers.append(queue)
        else:
            queue.put_nowait(None)
        try:
            while (item := await queue.get()) is not None:
                yield item
        finally:
            if queue in self._readers:
                self._readers.remove(queue)

    def _stamp(self, event_type: type[EventBase], fields: dict[str, Any]) -> Event:
        event: Event = event_type(  # type: ignore[assignment]
            run_id=self.run_id, step=self.step, seq=len(self.trace.events), t_ns=self.now_ns(), **fields
        )
        return event

    def _publish(self, event: Event | None) -> None:
        for queue in self._readers:
            queue.put_nowait(event)
