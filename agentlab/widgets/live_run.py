"""A run that a view follows: one of this process, or one that a lab keeps and another process writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from agentlab.agent.approval import Decision
from agentlab.agent.desk import PendingCall
from agentlab.agent.run import Run
from agentlab.lab.deciding import waiting_in
from agentlab.lab.lab import Lab
from agentlab.trace.events import Event
from agentlab.trace.trace import Trace
from agentlab.widgets.asks import asks_in

LOOK_S = 0.5
"""How often a run of another process is looked at [s]."""
STILL_S = 2.0
"""How often one is that stands still: paused, or cut off [s]."""


class LiveRun:
    """A run of this process."""

    can_stop = True

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def trace(self) -> Trace:
        """All that happened so far."""
        return self._run.trace

    def asks(self) -> dict[str, dict[str, Any]]:
        """The calls that a page may decide now, by the call in whose row it is asked.

        What a run asks that a tool has started is asked in the row of that tool, one after the other.
        """
        found: dict[str, dict[str, Any]] = {}
        for ask in asks_in(self.trace, self._run.pending, self._run.now_ns()):
            found.setdefault(self._row_for(ask["call_id"]), ask)
        return found

    def _row_for(self, call_id: str) -> str:
        calls = self.trace.tool_calls
        running = (record.call_id for record in calls.values() if record.status == "running")
        return call_id if call_id in calls else next(running, call_id)

    def decide(self, call_id: str, decision: Decision, call_hash: str | None) -> None:
        """Pass on a person's decision."""
        self._run.decide(call_id, decision, call_hash=call_hash)

    def pending(self) -> list[PendingCall]:
        """The calls that wait."""
        return self._run.pending

    def seen(self) -> None:
        """A page has spoken."""
        self._run.seen()

    def stop(self) -> None:
        """Cancel the run."""
        self._run.cancel()

    def now_ns(self) -> int:
        """The time of the run [ns]."""
        return self._run.now_ns()

    def follow(self) -> AsyncIterator[Event]:
        """Its events, from the first to the last."""
        return self._run.follow()


class LiveInLab:
    """A run of a lab that has not ended, whoever writes it. The file is looked at now and then, for what is new."""

    can_stop = False
    """Only the process of a run can cancel it."""

    def __init__(self, lab: Lab, trace: Trace) -> None:
        self._lab, self.trace = lab, trace

    def pending(self) -> list[PendingCall]:
        """The calls that wait."""
        return waiting_in(self.trace, self._lab.answers(self.trace.run_id))

    def asks(self) -> dict[str, dict[str, Any]]:
        """The calls that a page may decide now, by id."""
        return {ask["call_id"]: ask for ask in asks_in(self.trace, self.pending())}

    def decide(self, call_id: str, decision: Decision, call_hash: str | None) -> None:
        """Leave a person's decision for whoever runs the call."""
        self._lab.decide(call_id, decision, call_hash=call_hash, run_id=self.trace.run_id)

    def seen(self) -> None:
        """Nothing to do: the other process asks its own people."""

    def stop(self) -> None:
        """Nothing to do: no button is shown."""

    def now_ns(self) -> int:
        """The time of the last event [ns]: the other process's clock is not ours."""
        return self.trace.events[-1].t_ns

    async def follow(self) -> AsyncIterator[Event]:
        """Its events, from the first to the last."""
        for event in self.trace.events:
            yield event
        while self.trace.stop_reason is None:
            await asyncio.sleep(LOOK_S if self.trace.status == "running" else STILL_S)
            run_id = self.trace.run_id
            status = self._lab.statuses([run_id]).get(run_id)  # before the events: of its last ones none is missed
            if status is None:  # it was deleted
                return
            for event in self._lab.events_after(run_id, self.trace.events[-1].seq):
                self.trace.append(event)
                yield event
            self.trace.live = status == "running"
