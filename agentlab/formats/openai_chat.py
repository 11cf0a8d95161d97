"""Messages to and from the OpenAI chat form.

Writing never raises: `agentlab.messages.history.lint` says what a provider would refuse, `mend` repairs it. Call ids
stay whole, each return goes out under its own call id, pictures stay pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from agentlab.messages.message import Message, ToolCall
from agentlab.messages.parts import (
    Base64Image,
    ImagePart,
    Part,
    ReasoningPart,
    RedactedReasoningPart,
    StoredImage,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UrlImage,
)
from agentlab.messages.returns import decisions_of, returns_of

Chat: TypeAlias = dict[str, Any]

_NAME_REFUSED = frozenset("<|\\/>")


def to_openai(messages: Sequence[Message], *, reasoning: bool = True) -> list[Chat]:
    """The conversation as OpenAI chat messages.

    An approval request that directly follows an assistant message with calls belongs to the same reply and is joined
    with it. What an approval reply says of a call is left out where a tool message answers that call.

    Args:
        messages: The conversation, in order.
        reasoning: False leaves out the reasoning, for endpoints that refuse it in a request.
    """
    replies = any(m.role == "approval" for m in messages)
    if not replies:
        return [entry for m in messages for entry in message_to_openai(m, reasoning=reasoning)]
    return _with_approvals(messages, reasoning)


def message_to_openai(message: Message, *, reasoning: bool = True) -> list[Chat]:
    """One message as OpenAI chat messages.

    None for a message without anything in it, several for a message that carries the returns of several calls.

    Args:
        message: The message.
        reasoning: False leaves out the reasoning, for endpoints that refuse it in a request.
    """
    role = message.role
    if role == "tool":
        return [_tool(r.call_id, r.content, r.name) for r in returns_of(message)]
    if role == "assistant" or message.is_approval_request:
        entry = _assistant(message, reasoning)
        return [entry] if len(entry) > 1 else []
    if role == "approval":
        return [_tool(r.call_id, r.content, r.name) for r in decisions_of(message)]
    return [_named({"role": role, "content": _content(message.content or ())}, message.name)]


def _assistant(message: Message, reasoning: bool) -> Chat:
    entry: Chat = {"role": "assistant"}
    content = message.content or ()
    shown = [p for p in content if isinstance(p, TextPart | ImagePart)]
    calls = [_call(c) for c in message.tool_calls or ()]
    if len(shown) != len(content):
        known = {c["id"] for c in calls}
        calls += [_part_call(p) for p in content if isinstance(p, ToolCallPart) and p.id not in known]
        if reasoning:
            _add_reasoning(entry, content)
    if shown or calls:
        entry["content"] = _content(tuple(shown)) if shown else None
    elif len(entry) > 1:
        entry["content"] = ""
    if calls:
        entry["tool_calls"] = calls
    return _named(entry, message.name)


def _with_approvals(messages: Sequence[Message], reasoning: bool) -> list[Chat]:
    answered = {r.call_id for m in messages for r in returns_of(m)}
    out: list[Chat] = []
    previous: Message | None = None
    for message in messages:
        entries = message_to_openai(message, reasoning=reasoning)
        if (
            message.is_approval_request
            and previous is not None
            and previous.role == "assistant"
            and previous.tool_calls
        ):
            out[-1] = _joined(out[-1], entries[0])
        elif message.is_approval_reply:
            out += [e for e in entries if e["tool_call_id"] not in answered]
        else:
            out += entries
        previous = message
    return out


def _joined(first: Chat, second: Chat) -> Chat:
    texts = [e["content"] for e in (first, second) if e["content"]]
    known = {c["id"] for c in first["tool_calls"]}
    calls = first["tool_calls"] + [c for c in second["tool_calls"] if c["id"] not in known]
    return {
        **second,
        **first,
        "content": texts[0] if len(texts) == 1 else "\n\n".join(texts) or None,
        "tool_calls": calls,
    }


def _tool(call_id: str | None, content: tuple[Part, ...], name: str | None) -> Chat:
    return _named({"role": "tool", "content": _content(content), "tool_call_id": call_id or ""}, name)


def _content(parts: tuple[Part, ...]) -> str | list[Chat]:
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return parts[0].text
    if any(isinstance(p, ImagePart) for p in parts):
        return [_picture(p) if isinstance(p, ImagePart) else {"type": "text", "text": _text(p)} for p in parts]
    return "\n\n".join(map(_text, parts))


def _text(part: Part) -> str:
    if isinstance(part, TextPart):
        return part.text
    if isinstance(part, ToolReturnPart):
        return part.content
    return part.model_dump_json(exclude_none=True)


def _picture(part: ImagePart) -> Chat:
    source = part.source
    if isinstance(source, UrlImage):
        return {"type": "image_url", "image_url": {"url": source.url}}
    if isinstance(source, StoredImage) and source.data is None:
        return {"type": "text", "text": f"[picture {source.file_id}, kept on another server]"}
    url = f"data:{source.media_type or 'image/png'};base64,{source.data}"
    detail = {"detail": source.detail} if isinstance(source, Base64Image) and source.detail else {}
    return {"type": "image_url", "image_url": {"url": url, **detail}}


def _call(call: ToolCall) -> Chat:
    function = call.function
    return {
        "id": call.id,
        "function": {"arguments": function.arguments, "name": function.name},
        "type": "function",
    }


def _part_call(part: ToolCallPart) -> Chat:
    import json

    return {"id": part.id, "function": {"arguments": json.dumps(part.input), "name": part.name}, "type": "function"}


def _add_reasoning(entry: Chat, content: tuple[Part, ...]) -> None:
    thoughts = [p for p in content if isinstance(p, ReasoningPart)]
    redacted = [p.data for p in content if isinstance(p, RedactedReasoningPart)]
    if thoughts:
        entry["reasoning_content"] = "\n\n".join(p.reasoning for p in thoughts)
        if len(thoughts) == 1 and thoughts[0].signature:
            entry["reasoning_content_signature"] = thoughts[0].signature
    if redacted:
        entry["redacted_reasoning_content"] = redacted[0] if len(redacted) == 1 else redacted


def _named(entry: Chat, name: str | None) -> Chat:
    if name and not any(c in _NAME_REFUSED or c.isspace() for c in name):
        entry["name"] = name
    return entry
