"""An agent behind a real server in the test's own event loop, and what else tests of the server share."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import orjson

from agentlab import Agent, ScriptedModel, call, tool
from agentlab.serve.app import create_app
from agentlab.serve.live import LiveRuns
from agentlab.serve.server import server_for
from agentlab.trace.chunks import Chunk

TOKEN = "a-token-for-tests"  # noqa: S105  # of no use elsewhere
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@tool
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: secret tool return"


def talker(*replies: Any, **settings: Any) -> Agent:
    """An agent that looks something up, and says so."""
    script = replies or (call("look_up", word="cat"), "The cat is in the library.")
    return Agent(ScriptedModel(script), [look_up], **settings)


class GatedModel:
    """A scripted model that stops before its last chunks until the test opens the gate."""

    name, provider = "gated", "scripted"

    def __init__(self, text: str = "one two three") -> None:
        self.gate = asyncio.Event()
        self.closed = asyncio.Event()
        self._inner = ScriptedModel(lambda request: text)

    async def stream(self, request: Any, record: Any) -> AsyncIterator[Chunk]:
        try:
            n_content = 0
            async for chunk in self._inner.stream(request, record):
                n_content += bool(chunk.content)
                if n_content == 2:
                    await self.gate.wait()
                yield chunk
        finally:
            self.closed.set()


class Served:
    """A server that runs."""

    def __init__(self, app: Any, url: str) -> None:
        self.app, self.url = app, url
        self.client = httpx2.AsyncClient(base_url=url, headers=HEADERS, timeout=60)

    @property
    def live(self) -> LiveRuns:
        live: LiveRuns = self.app.state.service.live
        return live


@asynccontextmanager
async def serving(agent: Agent, **settings: Any) -> AsyncIterator[Served]:
    app = create_app(agent, **{"token": TOKEN, **settings})
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = server_for(app, listening=address.set_result)
    task = asyncio.ensure_future(server.serve())
    served = Served(app, await address)
    try:
        yield served
    finally:
        await served.client.aclose()
        server.should_exit = True
        await task


def in_process(agent: Agent, **settings: Any) -> httpx2.AsyncClient:
    """A client of the app, without a socket."""
    app = create_app(agent, **{"token": TOKEN, **settings})
    transport = httpx2.ASGITransport(app)
    return httpx2.AsyncClient(transport=transport, base_url="http://server", headers=HEADERS, timeout=60)


def frames_in(text: str) -> list[tuple[int | None, Any]]:
    """Id and value of each event of a stream that has ended; the end is `[DONE]`."""
    frames = []
    for block in text.split("\n\n"):
        data = "\n".join(re.findall(r"^data: (.*)$", block, re.MULTILINE))
        if data:
            number = re.search(r"^id: (\d+)$", block, re.MULTILINE)
            value = data if data == "[DONE]" else orjson.loads(data)
            frames.append((int(number[1]) if number else None, value))
    return frames


def told_in(text: str) -> str:
    """What the user reads of a streamed chat completion."""
    chunks = [value for _, value in frames_in(text) if value != "[DONE]"]
    return "".join(choice["delta"].get("content", "") for c in chunks for choice in c.get("choices", ()))


async def until(condition: Any) -> None:
    """Wait until something has come true."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")
