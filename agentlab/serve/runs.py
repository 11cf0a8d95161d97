"""`/v1/runs`: start a run, look at it, read its events from wherever a reader was cut, cancel it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from agentlab.serve.chat_request import ChatMessage, conversation_in
from agentlab.serve.event_stream import EventStream
from agentlab.serve.live import LiveRun
from agentlab.serve.problems import Problem, responses
from agentlab.serve.run_view import RunView, view_of
from agentlab.serve.security import BEARER, TOKEN_IN_QUERY
from agentlab.serve.service import Service, ServiceHere
from agentlab.serve.sse import ServerEvent, stream_events
from agentlab.serve.strict_json import StrictRoute
from agentlab.trace.events import Event, ModelDelta
from agentlab.trace.trace import Trace

router = APIRouter(prefix="/v1/runs", route_class=StrictRoute, tags=["runs"])

_LOOK_AGAIN_S = 0.5
"""How often a run of another process is looked at."""


class RunRequest(BaseModel):
    """A run to start."""

    model_config = ConfigDict(extra="forbid")

    input: str | Annotated[list[ChatMessage], Field(min_length=1)]
    """What the user says; or a conversation whose last message is the user's."""
    continues: str | None = None
    """Id of a run whose conversation goes on; then `input` is text."""
    tags: dict[str, str] = Field(default_factory=dict)
    """Labels, for finding and grouping runs."""


@router.post("", status_code=201, dependencies=[BEARER], responses=responses(400, 401, 404, 409, 413, 415, 429, 503))
async def start_run(asked: RunRequest, service: ServiceHere, response: Response) -> RunView:
    """Start a run, and return at once."""
    if asked.continues is not None:
        if not isinstance(asked.input, str):
            raise Problem(400, "with `continues` the input is text: the history is that of the run", param="input")
        earlier = await service.trace(asked.continues)
        if earlier.status == "running":
            raise Problem(409, f"run {earlier.run_id} is still under way", param="continues")
        live = service.live.start(asked.input, history=earlier, tags=asked.tags)
    elif isinstance(asked.input, str):
        live = service.live.start(asked.input, tags=asked.tags)
    else:
        text, history = conversation_in(asked.input, service.agent)
        live = service.live.start(text, history=history, tags=asked.tags)
    response.headers["Location"] = f"/v1/runs/{live.run.id}"
    return view_of(live.run.trace)


@router.get("/{run_id}", dependencies=[BEARER], responses=responses(400, 401, 404, 503))
async def get_run(run_id: str, service: ServiceHere) -> RunView:
    """The run as it stands."""
    return view_of(await service.trace(run_id))


@router.delete("/{run_id}", dependencies=[BEARER], responses=responses(400, 401, 404, 409, 429, 503))
async def cancel_run(run_id: str, service: ServiceHere) -> RunView:
    """Cancel the run; harmless when it has ended. A paused one ends too, its calls unanswered no more."""
    trace = await service.trace(run_id)
    if trace.status == "finished":
        return view_of(trace)
    live = service.live.find(run_id)
    if live is None and trace.status == "running":
        raise Problem(409, f"run {run_id} is under way in another process, which has to cancel it")
    if live is None:
        live = service.live.resume(run_id)
    live.run.cancel()
    await live.run
    return view_of(live.run.trace)


@router.get(
    "/{run_id}/events",
    dependencies=[BEARER, TOKEN_IN_QUERY],
    response_class=Response,
    responses={
        200: {
            "description": "The run's events as JSON, each under its number as id. The last frame is `[DONE]`.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        204: {"description": "The reader has all there is, and need not ask again."},
        **responses(400, 401, 404, 503),
    },
)
async def read_events(
    run_id: str,
    service: ServiceHere,
    last_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", pattern=r"^[0-9]{0,18}$", description="The last event that was read."),
    ] = None,
    last_event_id: Annotated[
        int | None, Query(ge=0, lt=10**18, description="The same, for readers that cannot set the header.")
    ] = None,
    deltas: Annotated[
        bool, Query(description="Also the pieces of replies while they arrive; they have no ids and are not kept.")
    ] = False,
) -> Response:
    """The events of the run as they happen, from the first, or behind the last one that was read.

    It ends when the run ends or pauses. Each event that is kept comes once, also across restarts of the server.
    """
    after = int(last_id) if last_id else -1 if last_event_id is None else last_event_id
    trace = await service.trace(run_id)
    live = service.live.find(run_id)
    if live is None and trace.status != "running" and after >= len(trace) - 1:
        return Response(status_code=204)
    if live is None:
        return _streamed(_kept(service, trace, after), service)
    live.n_readers += 1
    gone = partial(live.left, cancel=service.runs_on_disconnect == "cancel")
    return _streamed(_with_deltas(live, after) if deltas else live.follow(after), service, gone)


def _streamed(
    events: AsyncGenerator[Event, None], service: Service, gone: Callable[[], None] | None = None
) -> EventStream:
    return EventStream(stream_events(_as_sent(events, service), ping_s=service.ping_s), closed=gone)


async def _as_sent(events: AsyncGenerator[Event, None], service: Service) -> AsyncGenerator[ServerEvent, None]:
    async with aclosing(events):
        async for event in events:
            kept = service.lab.as_kept(event)
            number = None if isinstance(event, ModelDelta) else event.seq
            yield ServerEvent(kept.model_dump(mode="json", exclude_none=True), id=number)


async def _with_deltas(live: LiveRun, after: int) -> AsyncGenerator[Event, None]:
    """All events, those that are kept not before they are."""
    async with aclosing(aiter(live.run)) as events:
        async for event in events:
            if event.seq > after and (isinstance(event, ModelDelta) or await live.journal.beyond(event.seq)):
                yield event


async def _kept(service: Service, trace: Trace, after: int) -> AsyncGenerator[Event, None]:
    """The events of a run that has ended, or that another process writes."""
    while True:
        for event in trace.events[after + 1 :]:
            yield event
        after = max(after, len(trace) - 1)
        if trace.status != "running":
            return
        await asyncio.sleep(_LOOK_AGAIN_S)
        trace = await service.trace(trace.run_id)
