"""The runs of a server that are under way: started, found, cancelled, and followed as far as they are kept.

A reader is told of an event when the journal has it, not before: what it was told of is still there when the process
dies, and under the same number.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass

from agentlab.agent.agent import Agent, History, Input
from agentlab.agent.approval import Decision
from agentlab.agent.desk import Answer
from agentlab.agent.front_end import people_behind_a_server
from agentlab.agent.run import Run
from agentlab.lab.lab import Lab
from agentlab.serve.problems import Problem
from agentlab.trace.events import Event
from agentlab.trace.journal import Journal


class KeptJournal:
    """A journal that says how many events of its run are kept, and wakes those who wait for more."""

    def __init__(self, inner: Journal, closed: Callable[[], None]) -> None:
        self.n_kept = 0
        self.is_closed = False
        self._inner, self._closed = inner, closed
        self._n_taken = 0
        self._news = asyncio.Event()

    def append(self, event: Event) -> None:
        self._inner.append(event)
        self._n_taken = event.seq + 1

    def flush(self) -> None:
        self._inner.flush()
        self.n_kept = self._n_taken
        self._wake()

    def close(self) -> None:
        try:
            self._inner.close()
            self.n_kept = self._n_taken
        finally:
            self.is_closed = True
            self._closed()
            self._wake()

    async def beyond(self, n_events: int) -> bool:
        """Wait for more events than these; False when there will be none."""
        while self.n_kept <= n_events and not self.is_closed:
            await self._news.wait()
        return self.n_kept > n_events

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


@dataclass(slots=True)
class LiveRun:
    """A run of this process, and its journal."""

    run: Run
    journal: KeptJournal
    n_readers: int = 0
    """How many clients read it now."""

    async def follow(self, after: int) -> AsyncGenerator[Event, None]:
        """The events behind this number, each when it is kept, to the end of the run or to its pause."""
        number = after + 1
        while await self.journal.beyond(number):
            yield self.run.trace.events[number]
            number += 1

    def left(self, *, cancel: bool) -> None:
        """A reader has gone away; with `cancel`, the last one ends the run, if it has not ended."""
        self.n_readers -= 1
        if cancel and not self.n_readers and not self.journal.is_closed:
            self.run.cancel()


class LiveRuns:
    """The runs under way; also the store into which they write.

    Args:
        agent: Whose runs they are.
        lab: Where they are kept.
        limit: How many there may be at once.
        keep: How many that have ended are kept; None: all.
    """

    def __init__(self, agent: Agent, lab: Lab, *, limit: int, keep: int | None = None) -> None:
        self._agent, self._lab, self._limit, self._keep = agent, lab, limit, keep
        self._journals: dict[str, KeptJournal] = {}
        self._live: dict[str, LiveRun] = {}
        self._ended: deque[str] = deque()
        self._closing = False

    def __len__(self) -> int:
        return len(self._live)

    def start(self, given: Input, *, history: History | None = None, tags: Mapping[str, str] | None = None) -> LiveRun:
        """Start a run.

        Raises:
            Problem: There are too many, or the server is closing.
            InputError: The input or the history cannot be used.
        """
        self._refuse_too_many()
        with people_behind_a_server():
            return self._take(self._agent.run(given, history=history, lab=self, tags=tags))

    def resume(self, run_id: str) -> LiveRun:
        """Go on with a run that was paused, or whose process ended.

        Raises:
            Problem: There are too many, or the server is closing.
            RunError: The run is over, or is still running.
        """
        self._refuse_too_many()
        with people_behind_a_server():
            return self._take(self._agent.resume(self._lab.trace(run_id), lab=self))

    def find(self, run_id: str) -> LiveRun | None:
        """The run, when it is under way here."""
        return self._live.get(run_id)

    def all(self) -> list[LiveRun]:
        """The runs under way here, oldest first."""
        return list(self._live.values())

    async def close(self) -> None:
        """Cancel what is under way, and return when it has ended; nothing starts any more."""
        self._closing = True
        runs = self.all()
        for live in runs:
            live.run.cancel()
        await asyncio.gather(*(live.run for live in runs))

    def journal(self, run_id: str) -> KeptJournal:
        kept = KeptJournal(self._lab.journal(run_id), lambda: self._let_go(run_id))
        self._journals[run_id] = kept
        return kept

    def answers(self, run_id: str) -> Mapping[str, Answer]:
        return self._lab.answers(run_id)

    def leave_answer(self, run_id: str, call_id: str, decision: Decision, by: str) -> Answer:
        return self._lab.leave_answer(run_id, call_id, decision, by)

    def _take(self, run: Run) -> LiveRun:
        live = self._live[run.id] = LiveRun(run, self._journals.pop(run.id))
        return live

    def _let_go(self, run_id: str) -> None:
        live = self._live.pop(run_id, None)
        if self._keep is None or live is None or live.run.status != "finished":
            return
        self._ended.append(run_id)
        while len(self._ended) > self._keep:
            self._lab.delete(self._ended.popleft())

    def _refuse_too_many(self) -> None:
        if self._closing:
            raise Problem(429, "the server is closing", code="closing")
        if len(self._live) >= self._limit:
            told = f"{len(self._live)} runs are under way, as many as the server takes; try again when some have ended"
            raise Problem(429, told, headers={"Retry-After": "1"})
