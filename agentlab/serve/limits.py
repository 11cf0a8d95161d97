"""How much a client may ask for at once: bytes of a body, levels of its JSON, runs."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentlab.serve.problems import Problem

_DRAINED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ServeLimits:
    """What the server takes."""

    body_bytes: int = 1024 * 1024
    """The longest body of a request [bytes]."""
    depth: int = 64
    """The deepest nesting of a body's JSON."""
    runs: int = 256
    """Runs under way at once, those that wait for a decision too."""
    kept_runs: int = 1000
    """Runs that have ended and are still told of, where the lab is in memory."""


class BodyLimit:
    """Refuses bodies that are too large, whether they say so at once or not."""

    def __init__(self, app: ASGIApp, *, limit_bytes: int) -> None:
        self._app, self._limit_bytes = app, limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "")
        if told.isdecimal() and len(told) < 20 and int(told) > self._limit_bytes:
            await _drain(receive)
            await self._refusal().response()(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit_bytes:
                await _drain(receive)
                raise self._refusal()
            return message

        await self._app(scope, counted, send)

    def _refusal(self) -> Problem:
        return Problem(413, f"the body is larger than {self._limit_bytes:,} bytes", headers={"Connection": "close"})


async def _drain(receive: Receive) -> None:
    """Let the client finish: one that is cut off while it sends never reads why."""
    left = _DRAINED_BYTES
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return
