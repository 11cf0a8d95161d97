"""Stamps events with run, step, sequence number and time, and hands them to the trace, the journal and live readers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any
from weakref import WeakSet

from agentlab import clock
from agentlab.trace.events import Event, EventBase, ModelDelta
from agentlab.trace.journal import Journal
from agentlab.trace.observing import tell
from agentlab.trace.trace import Trace


class Following(AsyncIterator[Event]):
    """A reader of a run, from its first event to its last."""

    def __init__(self) -> None:
        self._unread: asyncio.Queue[Event | None] = asyncio.Queue()
        self._ended = False
        self._n_told = 0
        """Recorded events so far: who begins to read while an event is on its way may be told of it twice."""
        self._thread = threading.get_ident()
        self._loop = _running_loop()

    def tell(self, event: Event | None) -> None:
        """Take the next event, from any thread; None: there are no more."""
        if self._ended or (event is not None and not self._is_new(event)):
            return
        if self._loop is None or threading.get_ident() == self._thread:
            self._unread.put_nowait(event)
        else:
            with contextlib.suppress(RuntimeError):  # the reader's loop is over, and so is the reader
                self._loop.call_soon_threadsafe(self._unread.put_nowait, event)

    def _is_new(self, event: Event) -> bool:
        if event.seq < self._n_told:
            return False
        if not isinstance(event, ModelDelta):  # these are not recorded, and bear the number of the next that is
            self._n_told = event.seq + 1
        return True

    async def __anext__(self) -> Event:
        event = None if self._ended else await self._unread.get()
        if event is None:
            self._ended = True
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Read no more."""
        self._ended = True
        self._unread = asyncio.Queue()


class Recorder:
    """The one place through which a run's events pass."""

    def __init__(self, run_id: str, trace: Trace, journal: Journal | None = None) -> None:
        self.run_id = run_id
        self.trace = trace
        self.step = trace.steps[-1].number if trace.steps else 0
        # A run that goes on in another process has another clock: its time goes on where it stood.
        self._shift_ns = trace.events[-1].t_ns - clock.monotonic_ns() if trace.events else 0
        self._journal = journal
        self._failed_journal: Journal | None = None
        self._readers: WeakSet[Following] = WeakSet()  # who is forgotten reads no more
        self._meeting = threading.Lock()
        """Held while a reader joins: it may come from another thread."""

    def emit(self, event_type: type[EventBase], /, **fields: Any) -> int:
        """Record what happened now: in trace and journal, to live readers and observers. Its sequence number."""
        event = self._stamp(event_type, fields)
        self.trace.append(event)
        with self._writing() as journal:
            if journal is not None:
                journal.append(event)
        self._publish(event)
        tell(self.trace, event)
        return event.seq

    @property
    def has_readers(self) -> bool:
        """True while somebody follows the run live."""
        return len(self._readers) > 0

    def announce(self, event_type: type[EventBase], /, **fields: Any) -> None:
        """Tell live readers only; nothing is made when nobody reads."""
        if self.has_readers:
            self._publish(self._stamp(event_type, fields))

    def now_ns(self) -> int:
        """The time of the run [ns]."""
        return clock.monotonic_ns() + self._shift_ns

    def in_run_time(self, t_ns: int) -> int:
        """A time of the clock in force, in the time of the run [ns]."""
        return t_ns + self._shift_ns

    def flush(self) -> None:
        """Return when all that was recorded survives the end of the process."""
        with self._writing() as journal:
            if journal is not None:
                journal.flush()

    def close(self) -> None:
        """The run is over: the journal lets go, live readers come to their end whatever the journal says."""
        self.trace.close()
        try:
            if self._journal is not None:
                self._journal.close()
        finally:
            if self._failed_journal is not None:
                with contextlib.suppress(Exception):  # it has failed before, and that was told
                    self._failed_journal.close()
            self._publish(None)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Journal | None]:
        """The journal; one that fails tells of it once, and is left alone from then on."""
        try:
            yield self._journal
        except Exception:
            self._journal, self._failed_journal = None, self._journal
            raise

    def follow(self) -> Following:
        """All events from the first, then each as it comes, to the end of the run; from now on nothing is missed.

        A reader that falls behind keeps what it has not read; it never holds up the run.
        """
        reader = Following()
        with self._meeting:
            for event in list(self.trace.events):
                reader.tell(event)
            if self.trace.live:
                self._readers.add(reader)
            else:
                reader.tell(None)
        return reader

    def _stamp(self, event_type: type[EventBase], fields: dict[str, Any]) -> Event:
        event: Event = event_type(  # type: ignore[assignment]
            run_id=self.run_id, step=self.step, seq=len(self.trace.events), t_ns=self.now_ns(), **fields
        )
        return event

    def _publish(self, event: Event | None) -> None:
        if not self._readers:
            return
        with self._meeting:
            readers = list(self._readers)
        for reader in readers:
            reader.tell(event)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
