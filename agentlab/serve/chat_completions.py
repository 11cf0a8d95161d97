"""`POST /v1/chat/completions` and `GET /v1/models`: the agent as a model that any OpenAI client can talk with.

Its tools stay hidden. The client reads what the agent tells the user, as it is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from agentlab import clock
from agentlab.agent.run import Run
from agentlab.serve.chat_replies import ChatCompletion, chunk, finish_reason, problem_in, usage_of, whole
from agentlab.serve.chat_request import ChatRequest, conversation_in
from agentlab.serve.event_stream import EventStream, until_gone
from agentlab.serve.problems import Problem, responses
from agentlab.serve.security import BEARER
from agentlab.serve.service import ServiceHere
from agentlab.serve.spoken import Spoken
from agentlab.serve.sse import stream_events
from agentlab.serve.strict_json import StrictRoute
from agentlab.trace.recorder import Following

router = APIRouter(prefix="/v1", route_class=StrictRoute, dependencies=[BEARER], tags=["chat"])


class Model(BaseModel):
    """The agent, as a model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["agentlab"] = "agentlab"


class Models(BaseModel):
    """What may be named as the model of a chat completion."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/models", responses=responses(401))
async def list_models(service: ServiceHere) -> Models:
    """The agent's name, for `model`."""
    return Models(data=[Model(id=service.agent.name, created=0)])


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses={
        200: {
            "description": "The answer; with `stream`, its chunks as server-sent events, the last one `[DONE]`.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **responses(400, 401, 404, 409, 413, 415, 429, 500, 502, 503),
    },
)
async def create_chat_completion(asked: ChatRequest, request: Request, service: ServiceHere) -> Response:
    """Run the agent on a conversation. With `stream`, what it tells the user comes as it is said."""
    name = service.agent.name
    if asked.model not in (None, name):
        told = f"there is no model {asked.model[:80]!r}; this server has {name!r}"
        raise Problem(404, told, code="model_not_found", param="model")
    text, history = conversation_in(asked.messages, service.agent)
    started_ns = clock.monotonic_ns()
    spoken = Spoken()
    live = service.live.start(text, history=history, tags={"user": asked.user} if asked.user else None)
    live.n_readers += 1
    gone = partial(live.left, cancel=service.chat_on_disconnect == "cancel")
    if asked.stream:
        chunks = _chunks(live.run, aiter(live.run), spoken, asked)
        frames = stream_events(chunks, started_ns=started_ns, model=name, ping_s=service.ping_s)
        return EventStream(frames, closed=gone)
    try:
        return await _answered(live.run, spoken, request)
    finally:
        gone()


async def _answered(run: Run, spoken: Spoken, request: Request) -> Response:
    """The whole answer, when the run has ended, or the client has gone away."""
    ended = asyncio.ensure_future(_ended(run))
    gone = asyncio.ensure_future(until_gone(request.receive))
    try:
        await asyncio.wait({ended, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            return Response(status_code=499)  # nobody reads it
    finally:
        for task in (ended, gone):
            task.cancel()
        await asyncio.wait({ended, gone})
    problem = problem_in(run)
    if problem is not None:
        raise problem
    text = "".join(map(spoken.take, run.trace.events))
    return Response(whole(run, text).model_dump_json(), media_type="application/json")


async def _ended(run: Run) -> None:
    """Wait for the end of the run. Unlike `await run`, to be cancelled here leaves it alone."""
    async for _ in run:
        pass


async def _chunks(
    run: Run, events: Following, spoken: Spoken, asked: ChatRequest
) -> AsyncGenerator[dict[str, Any], None]:
    yield chunk(run, {"role": "assistant", "content": ""})
    async with aclosing(events):
        async for event in events:
            if text := spoken.take(event):
                yield chunk(run, {"content": text})
    problem = problem_in(run)
    if problem is not None:
        yield {"error": problem.detail_of_error.model_dump()}
        return
    usage = usage_of(run.usage)
    wish = asked.stream_options.include_usage if asked.stream_options else None
    yield chunk(run, {}, finish=finish_reason(run), usage=usage if wish is None else None)
    if wish:
        yield chunk(run, None, usage=usage)
