"""What the notebooks of the browser tests import: a shop whose orders a person approves, and models held up by gates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from agentlab import Agent, ApprovalPolicy, ApprovalRule, Ask, ScriptedModel, call, tool
from agentlab.models.base import CallRecord, ModelRequest
from agentlab.models.scripted import Scripted, ScriptedReply
from agentlab.trace.chunks import Chunk

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
