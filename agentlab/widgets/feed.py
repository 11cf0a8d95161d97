"""What a trace view is fed with: the rows of a trace, and of a run that goes on, every tenth of a second what is new.

A batch replaces the rows from some number on. It is numbered, so a page that has missed one asks for all again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection
from functools import partial
from typing import Any, Protocol

from agentlab.agent.front_end import cell_is_running
from agentlab.errors import InputError
from agentlab.trace.events import (
    ErrorRaised,
    Event,
    ModelCalled,
    ModelDelta,
    ModelReplied,
    RunStarted,
)
from agentlab.trace.trace import Trace
from agentlab.widgets.head import Heads
from agentlab.widgets.live_text import LiveReply
from agentlab.widgets.rows import Entry, Row, Rows, Texts, search_in

BATCH_S = 0.1
"""Between two batches [s]; the first of something new goes at once."""
TIMES_S = 1.0
"""How often the times in head and strip are told while nothing happens but that a reply grows [s]."""
STILL_S = 2.0
"""How often a run is looked at that stands still: paused, or cut off [s]."""
SILENT_S = 90.0
"""How long no page may have spoken before nobody is taken to look on [s]. Each speaks every 20 s."""
RARE_S = 5.0
"""Between two batches when nobody looks on [s]."""
PAGE_ROWS = 100
_FOUND_ROWS = 10_000
_READ_ROWS = 500
"""So many are read for a search before a run may go on."""

_LOG = logging.getLogger("agentlab.widgets")


class Live(Protocol):
    """A run that goes on, here or in another process."""

    @property
    def can_stop(self) -> bool:
        """Whether it can be cancelled from here."""
        ...

    def asks(self) -> dict[str, dict[str, Any]]:
        """The calls that a page may decide now, by id, as it is asked about them."""
        ...

    def now_ns(self) -> int:
        """The time of the run [ns]."""
        ...


class Feed:
    """What pages know of one trace. Its methods may be called on any thread."""

    def __init__(self, trace: Trace, live: Live | None, tell: Callable[..., None]) -> None:
        """Take what is shown.

        Args:
            trace: What is there now.
            live: Where more of it comes from; None: there will be no more.
            tell: Sends a message to all pages.
        """
        self._trace, self._live, self._tell = trace, live, tell
        self._lock = threading.Lock()
        self._rows, self._heads = Rows(trace), Heads(trace)
        self._reply: LiveReply | None = None
        self._n_live = 0
        """Rows of the reply that pages have."""
        self._asks = {} if live is None else live.asks()
        self._dirty: int | None = None
        """The first step in which something has happened that pages do not know."""
        self._n_known = len(trace.events)
        """Events that the rows were made of; a follower is told of them again."""
        self._times_are_old = False
        """Something has happened of which head and strip do not tell yet."""
        self._times_told_s = 0.0
        self._wake: Callable[[], object] | None = None
        """Lets whoever watches look at once, from any thread; None: nobody watches."""
        self._heard_s = time.monotonic()
        """When a page was loaded, or spoke."""
        self._seq = 0
        self.goto: int | None = None
        """The row that a page shows first."""

    @property
    def rows(self) -> Rows:
        """The rows, without those of a reply on its way."""
        return self._rows

    def snapshot(self) -> dict[str, Any]:
        """All that a page needs."""
        with self._lock:
            n_rows = len(self._rows) + len(self._reply or ())
            last, there = max(n_rows - 1, 0) // PAGE_ROWS, (self.goto or 0) // PAGE_ROWS
            wanted = {0, 1, there - 1, there, there + 1, last - 1, last}
            return {
                "run_id": self._run_id(),
                "seq": self._seq,
                "live": self._trace.status == "running",
                "head": self._head(),
                "strip": self._strip(),
                "kinds": self._rows.kinds + (self._reply.kinds if self._reply else ""),
                **self._tools(0),
                "page_size": PAGE_ROWS,
                "pages": {str(page): self._page(page) for page in sorted(wanted) if 0 <= page <= last},
                "goto": self.goto,
            }

    def pages(self, numbers: list[int]) -> dict[str, list[Row]]:
        """The rows of these pages."""
        with self._lock:
            return {str(number): self._page(number) for number in numbers}

    def search(self, text: str) -> tuple[list[int], bool]:
        """The rows in which a text stands, and whether there are more than can be told."""
        texts: list[Texts] | None = None
        while texts is None:
            with self._lock:
                texts = self._rows.texts() if self._rows.read_texts(_READ_ROWS) else None
        return search_in(texts, text, _FOUND_ROWS)

    def entry_and_row(self, number: object) -> tuple[Entry, Row]:
        """A row, and what it was made of.

        Raises:
            InputError: There is no such row.
        """
        with self._lock:
            if type(number) is not int or not 0 <= number < len(self._rows):
                raise InputError(f"there is no row {number!r}")
            return self._rows.entry(number), self._rows.row(number)

    async def watch(self, events: AsyncIterator[Event]) -> None:
        """Tell pages what is new, until the run is over.

        Args:
            events: The run's, from the first.
        """
        wake = asyncio.Event()
        self._wake = partial(asyncio.get_running_loop().call_soon_threadsafe, wake.set)
        reading = asyncio.ensure_future(self._read(events, wake))
        try:
            while not reading.done():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), TIMES_S if self._trace.status == "running" else STILL_S)
                wake.clear()
                self.flush()
                await asyncio.wait({reading}, timeout=BATCH_S if self._is_looked_at() else RARE_S)
            reading.result()
            self._wake = None
            self.end()
        except Exception:  # noqa: BLE001  # whoever looks on does no harm
            _LOG.exception("a view of `%s` has stopped following it; the run goes on", self._run_id())
        finally:
            self._wake = None
            reading.cancel()

    def heard(self) -> None:
        """A page was loaded, or has spoken."""
        self._heard_s = time.monotonic()

    def changed(self) -> None:
        """Calls wait, or wait no more: pages are told soon."""
        wake = self._wake
        if wake is None:
            self.flush()
        else:
            wake()

    def _is_looked_at(self) -> bool:
        """Whether a page may be there. While a cell runs, none may be heard."""
        if cell_is_running():
            self.heard()
        return time.monotonic() - self._heard_s < SILENT_S

    async def _read(self, events: AsyncIterator[Event], wake: asyncio.Event) -> None:
        try:
            async for event in events:
                with self._lock:
                    self._take(event)
                wake.set()
        finally:
            wake.set()

    def end(self) -> None:
        """Nothing more comes."""
        with self._lock:
            self._reply = None
            if self._trace.status != "paused":  # what a paused run waits for can be decided still
                self._live = None
            last = self._trace.steps[-1].number if self._trace.steps else 0
            self._dirty, self._times_are_old = last if self._dirty is None else min(last, self._dirty), True
        self.flush()

    def flush(self) -> None:
        """Tell pages what is new."""
        with self._lock:
            batch = self._batch()
            self._seq += 1
            self._tell("batch", seq=self._seq, **batch)

    def _take(self, event: Event) -> None:
        match event:
            case ModelDelta():
                if self._reply is not None:
                    self._reply.add(event)
                return
            case ModelCalled(purpose="step"):
                self._reply = self._reply_of(event)
            case ModelReplied() | ErrorRaised():
                self._reply = None
        self._times_are_old = True
        if event.seq >= self._n_known:
            self._dirty = event.step if self._dirty is None else min(self._dirty, event.step)

    def _reply_of(self, event: ModelCalled) -> LiveReply:
        begin = self._trace.events[0]
        memgpt = isinstance(begin, RunStarted) and begin.protocol == "memgpt"
        kind, label = ("r", "inner thoughts") if memgpt else ("a", "agent")
        return LiveReply(seq=event.seq, step=event.step, text_kind=kind, text_label=label)

    def _batch(self) -> dict[str, Any]:
        """What changed since the last batch."""
        self._look_at_asks()
        batch: dict[str, Any] = {}
        reply_changed = (len(self._reply) if self._reply else 0) != self._n_live
        if self._dirty is not None or reply_changed:
            batch |= self._new_rows(self._dirty)
            self._dirty = None
        elif self._reply is not None:
            news = self._reply.news(len(self._rows))
            if news:
                batch["live"] = news
        if self._times_are_old or time.monotonic() - self._times_told_s >= TIMES_S:
            batch |= {"head": self._head(), "strip": self._strip()}
            self._times_are_old, self._times_told_s = False, time.monotonic()
        return batch

    def _new_rows(self, dirty: int | None) -> dict[str, Any]:
        first = len(self._rows) if dirty is None else self._rows.renew(dirty)
        self._n_live = len(self._reply) if self._reply else 0
        rows = [self._row(number) for number in range(first, len(self._rows))]
        live_rows = self._reply.rows() if self._reply else []
        kinds = self._rows.kinds[first:] + (self._reply.kinds if self._reply else "")
        return {"from": first, "kinds": kinds, "rows": rows + live_rows, **self._tools(first)}

    def _look_at_asks(self) -> None:
        """A call that waits now, or waits no more, changes its row."""
        asks = {} if self._live is None else self._live.asks()
        if asks.keys() != self._asks.keys():
            steps = [record.step for call_id in asks.keys() ^ self._asks.keys() if (record := self._record(call_id))]
            self._dirty = min([*steps, *([] if self._dirty is None else [self._dirty])], default=self._dirty)
            self._times_are_old = True
        self._asks = asks

    def _record(self, call_id: str) -> Any:
        return self._trace.tool_calls.get(call_id)

    def _row(self, number: int) -> Row:
        row = self._rows.row(number)
        call_id = getattr(self._rows.entry(number), "call_id", "")
        if call_id and call_id in self._asks:
            row["ask"] = self._asks[call_id]
        return row

    def _page(self, page: int) -> list[Row]:
        first, n_rows = page * PAGE_ROWS, len(self._rows)
        rows = [self._row(number) for number in range(first, min(first + PAGE_ROWS, n_rows))]
        if self._reply is not None and len(rows) < PAGE_ROWS and first + PAGE_ROWS > n_rows:
            rows += self._reply.rows()[max(first - n_rows, 0) : first + PAGE_ROWS - n_rows]
        return rows

    def _tools(self, first: int) -> dict[str, Any]:
        names, rows = self._rows.tools(first)
        return {"tools": names, "row_tools": rows}

    def _head(self) -> dict[str, Any]:
        now_ns = self._now_ns()
        stoppable = now_ns is not None and self._live is not None and self._live.can_stop
        return self._heads.head(now_ns=now_ns, stoppable=stoppable, pending=len(self._asks), asked=self._asked(now_ns))

    def _strip(self) -> dict[str, Any]:
        now_ns = self._now_ns()
        return self._heads.strip(self._rows.first_of_step, now_ns=now_ns, asked=self._asked(now_ns))

    def _asked(self, now_ns: int | None) -> Collection[str]:
        """The calls for which a person is waited for; nobody waits while a run stands still."""
        return () if now_ns is None else self._asks.keys()

    def _now_ns(self) -> int | None:
        """The time of a run that goes on [ns]."""
        return None if self._live is None or self._trace.status != "running" else self._live.now_ns()

    def _run_id(self) -> str:
        return self._trace.events[0].run_id if self._trace.events else ""
