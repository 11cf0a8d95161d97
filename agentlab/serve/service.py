"""What the routes share: the agent, the lab, the runs under way, and what the server takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from agentlab.agent.agent import Agent
from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from agentlab.serve.limits import ServeLimits
from agentlab.serve.live import LiveRuns
from agentlab.serve.problems import Problem
from agentlab.trace.trace import Trace

OnDisconnect: TypeAlias = Literal["cancel", "continue"]
"""What becomes of a run whose client has gone away."""


@dataclass(frozen=True, slots=True)
class Service:
    """One agent, served."""

    agent: Agent
    lab: Lab
    live: LiveRuns
    limits: ServeLimits
    chat_on_disconnect: OnDisconnect
    runs_on_disconnect: OnDisconnect
    ping_s: float

    async def trace(self, run_id: str) -> Trace:
        """The trace of a run, under way or kept.

        Raises:
            Problem: There is no such run.
        """
        live = self.live.find(run_id)
        if live is not None:
            return live.run.trace
        try:
            trace = await run_in_threadpool(self.lab.trace, run_id)
        except InputError:
            trace = None
        if trace is None or trace.run_id != run_id:
            raise Problem(404, f"there is no run {run_id[:80]!r}", param="run_id")
        return trace


def _service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceHere = Annotated[Service, Depends(_service_of)]
"""The service, for a route."""
