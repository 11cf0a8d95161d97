"""Short ways to call a model in tests."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from agentlab.errors import ModelError
from agentlab.messages.message import Message
from agentlab.messages.parts import TextPart
from agentlab.models.base import CallRecord, ChatModel, ModelRequest
from agentlab.models.reply import Reply, ReplyBuilder
from agentlab.trace.chunks import Chunk
from agentlab.trace.events import ToolSpec

SEARCH = ToolSpec(
    name="search",
    description="Find pages.",
    parameters={"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
)


def message(role: Any, text: str, **fields: Any) -> Message:
    return Message(role=role, content=(TextPart(text=text),), **fields)


def asking(text: str = "Hello?", **fields: Any) -> ModelRequest:
    """A request of one user message."""
    return ModelRequest(messages=[message("user", text)], **fields)


async def chunks_of(
    model: ChatModel, request: ModelRequest | None = None, record: CallRecord | None = None
) -> list[Chunk]:
    """All chunks of one call."""
    async with aclosing(model.stream(request or asking(), record or CallRecord())) as stream:
        return [chunk async for chunk in stream]


async def chunks_and_error(model: ChatModel) -> tuple[list[Chunk], ModelError]:
    """The chunks of a call that fails, and how it does."""
    chunks = []
    try:
        async with aclosing(model.stream(asking(), CallRecord())) as stream:
            async for chunk in stream:
                chunks.append(chunk)  # noqa: PERF401  # what came before the error counts
    except ModelError as error:
        return chunks, error
    raise AssertionError("the call did not fail")


async def reply_of(model: ChatModel, request: ModelRequest | None = None, record: CallRecord | None = None) -> Reply:
    """The reply to one call."""
    return built(await chunks_of(model, request, record))


def built(chunks: list[Chunk]) -> Reply:
    builder = ReplyBuilder()
    for chunk in chunks:
        builder.add(chunk)
    return builder.build()
