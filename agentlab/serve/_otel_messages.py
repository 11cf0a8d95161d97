"""Messages in the JSON form that OpenTelemetry gives them: a role, and parts told apart by their type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from agentlab.messages.message import Message
from agentlab.messages.parts import (
    ImagePart,
    Part,
    ReasoningPart,
    SummarizedReasoningPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UrlImage,
)


def input_messages(messages: Iterable[Message]) -> bytes:
    """What a model read, as JSON."""
    return orjson.dumps([_message(message) for message in messages])


def output_messages(message: Message, finish_reason: str | None) -> bytes:
    """What it said, as JSON."""
    return orjson.dumps([{**_message(message), "finish_reason": finish_reason or "error"}])


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "parts": list(_parts(message))}


def _parts(message: Message) -> Iterator[dict[str, Any]]:
    if message.role == "tool" and message.tool_call_id is not None:
        yield {"type": "tool_call_response", "id": message.tool_call_id, "response": message.text}
        return
    yield from map(_part, message.content or ())
    for call in message.tool_calls or ():
        arguments = _value(call.function.arguments)
        yield {"type": "tool_call", "id": call.id, "name": call.function.name, "arguments": arguments}


def _part(part: Part) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "content": part.text}
        case ReasoningPart():
            return {"type": "reasoning", "content": part.reasoning}
        case SummarizedReasoningPart():
            return {"type": "reasoning", "content": "\n\n".join(entry.text for entry in part.summary)}
        case ToolCallPart():
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.input}
        case ToolReturnPart():
            return {"type": "tool_call_response", "id": part.tool_call_id, "response": part.content}
        case ImagePart(source=UrlImage(url=url)):
            return {"type": "uri", "modality": "image", "uri": url}
        case _:
            return {"type": part.type}  # pictures' bytes and encrypted reasoning are nothing to read


def _value(arguments: str) -> Any:
    """The arguments as data; as the model's own text where they are no JSON."""
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
