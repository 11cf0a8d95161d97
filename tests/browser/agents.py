"""What the notebooks of the browser tests import: a shop whose orders a person approves, and models behind gates."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from agentlab import (  # noqa: F401  # some are for the notebooks alone
    Agent,
    ApprovalPolicy,
    ApprovalRule,
    Ask,
    ScriptedModel,
    Trace,
    call,
    clock,
    think,
    tool,
)
from agentlab.models.base import CallRecord, ModelRequest
from agentlab.models.scripted import Scripted, ScriptedReply
from agentlab.trace.chunks import Chunk, ChunkKind
from tests.factories import Story, reply
from tests.factories import tool as tool_of

ordered: list[dict[str, Any]] = []
"""Every order that ran, with the arguments that the tool got."""


class Address(BaseModel):
    """Where to."""

    street: str
    zip_code: Annotated[str, Field(pattern=r"^\d{5}$")] = "10115"


@tool
def order(
    item: str,
    count: Annotated[int, Field(ge=1, le=100)],
    wrap: Literal["plain", "red"] = "plain",
    gift: bool = False,
) -> str:
    """Order items. They are paid at once."""
    ordered.append({"item": item, "count": count, "wrap": wrap, "gift": gift})
    return f"ordered {count} x {item}"


@tool
def send(to: Address, notes: list[str]) -> str:
    """Send a parcel."""
    ordered.append({"to": to.model_dump() if isinstance(to, Address) else to, "notes": notes})
    return "sent"


class Gated(ScriptedModel):
    """A scripted model that stops after so many chunks of each reply, until `gate` is opened."""

    def __init__(self, script: Sequence[Scripted], *, after: int = 8, **fields: Any) -> None:
        super().__init__(script, **fields)
        self.gate = asyncio.Event()
        self._after = after

    async def stream(self, request: ModelRequest, record: CallRecord) -> AsyncGenerator[Chunk, None]:
        """Stream the next reply."""
        n = 0
        async for chunk in super().stream(request, record):
            yield chunk
            n += 1
            if n == self._after:
                await self.gate.wait()


class Torrent(ScriptedModel):
    """A model that has said a long text at once, and goes on at so many tokens a second."""

    def __init__(self, head: str, *, tokens: int, per_s: float) -> None:
        super().__init__([""], name="torrent")
        self._head, self._tokens, self._per_s = head, tokens, per_s

    async def stream(self, request: ModelRequest, record: CallRecord) -> AsyncGenerator[Chunk, None]:
        """Stream the reply."""
        record.request_ns = record.headers_ns = clock.monotonic_ns()
        yield Chunk(clock.monotonic_ns(), ChunkKind.CONTENT, content=self._head)
        start_s = time.monotonic()
        for n in range(self._tokens):
            await asyncio.sleep(max(0.0, start_s + n / self._per_s - time.monotonic()))
            yield Chunk(clock.monotonic_ns(), ChunkKind.CONTENT, content=f"word{n} ")
        yield Chunk(clock.monotonic_ns(), ChunkKind.DONE, finish_reason="stop")
        record.close_ns = clock.monotonic_ns()


def long_trace(messages: int, *, text_bytes: int = 500) -> Trace:
    """A run of so many messages, of which each third is a tool's return."""
    story, n = Story("run-long"), 2
    text = ("The third box holds two cats, one of them asleep. " * (text_bytes // 50 + 1))[:text_bytes]
    while n < messages:
        story.step(reply(f"{n} {text}", calls=["search"], n_chunks=4), tool_of("search", text=f"{n + 1} {text}"))
        story.say("user", f"{n + 2} {text}", source="heartbeat")
        n += 3
    return story.end()


def orders(*items: str, count: int = 2) -> ScriptedReply:
    """One reply that asks for an order of each item, all at once."""
    reply = ScriptedReply()
    for number, item in enumerate(items):
        reply += call("order", item=item, count=count + number)
    return reply


def shop(*script: Scripted, **fields: Any) -> Agent:
    """An agent whose every call a person is asked about."""
    fields.setdefault("approval", ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Ask(),)))
    return Agent(ScriptedModel(script or (orders("gloves"), "Gloves are ordered.")), [order, send], **fields)
