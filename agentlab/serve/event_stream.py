"""A response of server-sent events that ends, with all that belongs to it, when the client is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class EventStream(Response):
    """Sends frames as they come; when the client goes away, their source is closed and nothing is said about it.

    Args:
        frames: What to send.
        closed: Called at the end, whoever brought it about.
    """

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncGenerator[str, None], *, closed: Callable[[], None] | None = None) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._frames, self._closed = frames, closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(send))
        gone = asyncio.ensure_future(until_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            gone.cancel()
            await asyncio.wait({sending, gone})
            await self._frames.aclose()
            if self._closed is not None:
                self._closed()
        failure = None if sending.cancelled() else sending.exception()
        if failure is not None and not isinstance(failure, OSError):
            raise failure

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for frame in self._frames:
            await send({"type": "http.response.body", "body": frame.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def until_gone(receive: Receive) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
