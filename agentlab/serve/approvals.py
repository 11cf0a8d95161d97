"""`/v1/approvals`: the tool calls that wait for a person, and the decisions on them."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, ValidationError

from agentlab.agent.approval import Decision, Scope
from agentlab.agent.desk import PendingCall
from agentlab.serve.problems import Problem, responses
from agentlab.serve.run_view import WaitingCall, waiting_view
from agentlab.serve.security import BEARER
from agentlab.serve.service import Service, ServiceHere
from agentlab.serve.strict_json import StrictRoute

router = APIRouter(prefix="/v1/approvals", route_class=StrictRoute, dependencies=[BEARER], tags=["approvals"])


class DecisionRequest(BaseModel):
    """A decision on one call."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["approve", "edit", "deny", "respond", "stop"]
    arguments: dict[str, Any] | None = None
    """Of an edit: what the tool gets instead."""
    reason: str | None = None
    """Of a denial or a stop: why; the model reads it."""
    response: str | None = None
    """Of a response: what the model reads in the place of the tool's return."""
    always: Scope | None = None
    """Of an approval: later calls that need no question any more."""
    by: str = "person"
    """Who decides, for the trace."""
    call_hash: str | None = None
    """Of the call that was looked at: another call under this id is then refused."""
    run_id: str | None = None
    """The run of the call, where several runs have calls of one id."""

    def decision(self) -> Decision:
        """What was decided.

        Raises:
            Problem: Its parts do not fit together.
        """
        try:
            return Decision.model_validate(self.model_dump(exclude={"by", "call_hash", "run_id"}))
        except ValidationError as exc:
            raise Problem(400, exc.errors()[0]["msg"], param="action") from None


class Decided(BaseModel):
    """A decision that was taken."""

    call_id: str
    run_id: str
    action: str
    repeated: bool
    """The same was decided before; nothing has changed."""
    resumed: bool
    """The run had been waiting without a process, and goes on now."""


class WaitingCalls(BaseModel):
    """Calls that wait for a decision, those of the oldest run first."""

    data: list[WaitingCall]


@router.get("", responses=responses(401, 503))
async def list_waiting_calls(service: ServiceHere) -> WaitingCalls:
    """The tool calls that wait for a decision."""
    return WaitingCalls(data=[waiting_view(call) for call in await _waiting(service)])


@router.post("/{call_id}", responses=responses(400, 401, 404, 409, 413, 415, 429, 503))
async def decide_call(call_id: str, asked: DecisionRequest, service: ServiceHere) -> Decided:
    """Decide a call. Once is enough; the same again is harmless, anything else is a conflict.

    A run that waits without a process goes on when the last of its calls is decided.
    """
    decision = asked.decision()
    run_id = await _run_of(call_id, asked.run_id, service)
    known = service.lab.answers(run_id).get(call_id)
    if known is not None:
        known.repeats(call_id, decision)
        taken = False
    elif (live := service.live.find(run_id)) is not None:
        taken = live.run.decide(call_id, decision, by=asked.by, call_hash=asked.call_hash)
    else:
        taken = service.lab.decide(call_id, decision, by=asked.by, call_hash=asked.call_hash, run_id=run_id)
    resumed = await _go_on(run_id, service)
    return Decided(call_id=call_id, run_id=run_id, action=decision.action, repeated=not taken, resumed=resumed)


async def _waiting(service: Service) -> list[PendingCall]:
    """Of runs under way here with the arguments that the tools would get; of others as they are kept."""
    here = {live.run.id: live.run.pending for live in service.live.all()}
    kept = await run_in_threadpool(service.lab.pending)
    return [call for calls in here.values() for call in calls] + [call for call in kept if call.run_id not in here]


async def _run_of(call_id: str, run_id: str | None, service: Service) -> str:
    """The run that asks, or asked, about this call."""
    runs = {call.run_id for call in await _waiting(service) if call.call_id == call_id}
    runs = runs or set(service.lab.answers_to(call_id))
    if run_id is not None:
        runs &= {run_id}
    if not runs:
        raise Problem(404, f"no call {call_id[:80]!r} waits for a decision", param="call_id")
    if len(runs) > 1:
        raise Problem(409, f"{len(runs)} runs have a call {call_id[:80]!r}: give its `run_id`", param="run_id")
    return runs.pop()


async def _go_on(run_id: str, service: Service) -> bool:
    """Resume a run that waits without a process, when nothing of it waits any more."""
    if service.live.find(run_id) is not None:
        return False
    trace = await service.trace(run_id)
    if trace.status not in ("paused", "interrupted") or trace.started.agent_name != service.agent.name:
        return False
    answers = service.lab.answers(run_id)
    if any(record.call_id not in answers for record in trace.waiting):
        return False
    if service.live.find(run_id) is not None:  # another decision was quicker
        return False
    service.live.resume(run_id)
    return True
