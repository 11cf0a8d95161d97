"""An agent behind HTTP: OpenAI's chat completions, runs with their events, approvals.

    app = create_app(agent, lab=Lab("runs.db"), token="...")

`agentlab serve` does the same from the command line.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from agentlab.agent.agent import Agent
from agentlab.lab.lab import Lab
from agentlab.serve import approvals, chat_completions, runs
from agentlab.serve.limits import BodyLimit, ServeLimits
from agentlab.serve.live import LiveRuns
from agentlab.serve.problems import tell_problems
from agentlab.serve.security import TokenGuard, token_or_new
from agentlab.serve.service import OnDisconnect, Service
from agentlab.version import __version__

_PAGES_OF_THIS_MACHINE = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"


class Health(BaseModel):
    """That the server answers."""

    status: Literal["ok"] = "ok"


def create_app(
    agent: Agent,
    *,
    lab: Lab | None = None,
    token: str | None = None,
    limits: ServeLimits | None = None,
    chat_on_disconnect: OnDisconnect = "cancel",
    runs_on_disconnect: OnDisconnect = "continue",
    origins: Sequence[str] = (),
    ping_s: float = 15.0,
) -> FastAPI:
    """The agent as a web application. Its token is in `app.state.token`.

    Args:
        agent: Who answers.
        lab: Where the runs are kept; None: in memory.
        token: What clients have to send; None: a random one.
        limits: What the server takes.
        chat_on_disconnect: What becomes of a chat completion's run when its client goes away.
        runs_on_disconnect: The same for a run, when the last reader of its events goes away.
        origins: Web pages that may talk with the server, besides those of this machine: `https://lab.example.org`.
        ping_s: Streams that have nothing to say send a comment after this long [s].

    Raises:
        InputError: The token is too short.
    """
    secret, taken = token_or_new(token), limits or ServeLimits()
    kept = Lab() if lab is None else lab
    live = LiveRuns(agent, kept, limit=taken.runs, keep=taken.kept_runs if lab is None else None)
    app = FastAPI(
        title="agentlab",
        version=__version__,
        description="An agent behind HTTP.",
        docs_url=None,  # the pages load code from elsewhere
        redoc_url=None,
        lifespan=_lifespan,
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=list(origins),
                allow_origin_regex=_PAGES_OF_THIS_MACHINE,
                allow_methods=["*"],
                allow_headers=["*"],
            ),
            Middleware(TokenGuard, token=secret),
            Middleware(BodyLimit, limit_bytes=taken.body_bytes),
        ],
    )
    app.state.token = secret
    app.state.service = Service(agent, kept, live, taken, chat_on_disconnect, runs_on_disconnect, ping_s)
    for part in (chat_completions, runs, approvals):
        app.include_router(part.router)
    app.add_api_route("/healthz", healthz, tags=["server"])
    tell_problems(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # how FastAPI wants it
    return app


async def healthz() -> Health:
    """That the server answers; for everybody."""
    return Health()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await app.state.service.live.close()


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The description, without the answer 422 that FastAPI would give: ours is 400, in OpenAI's shape."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(unused, None)
        app.openapi_schema = schema
    return app.openapi_schema
