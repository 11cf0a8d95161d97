"""Messages to and from the OpenAI chat form.

Writing never raises: `agentlab.messages.history.lint` says what a provider would refuse, `mend` repairs it. Call ids
stay whole, each return goes out under its own call id, pictures stay pictures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from agentlab.formats._openai_chat_read import from_openai
from agentlab.messages.message import Message, ToolCall
from agentlab.messages.parts import ImagePart, Part, ToolCallPart
from agentlab.messages.returns import decisions_of, returns_of

__all__ = ["Chat", "from_openai", "join_openai", "message_to_openai", "to_openai"]

Chat: TypeAlias = dict[str, Any]

_NAME_REFUSED = re.compile(r"[\s<|\\/>]")


def to_openai(messages: Sequence[Message], *, reasoning: bool = True) -> list[Chat]:
    """The conversation as OpenAI chat messages.

    An approval request that directly follows an assistant message with calls belongs to the same reply and is joined
    with it. What an approval reply says of a call is left out where a tool message answers that call.

    Args:
        messages: The conversation, in order.
        reasoning: False leaves out the reasoning, for endpoints that refuse it in a request.
    """
    return join_openai(messages, messages, reasoning=reasoning)


def join_openai(items: Iterable[Message | Chat], messages: Sequence[Message], *, reasoning: bool = True) -> list[Chat]:
    """The chat form of a list in which some messages have their final form already.

    Args:
        items: What to write, in order; dictionaries go out as they are.
        messages: The whole conversation, where the answers to calls are looked up.
        reasoning: False leaves out the reasoning.
    """
    out: list[Chat] = []
    answered: set[str | None] | None = None
    request: Message | None = None
    asked = False  # whether the item before was an assistant message with calls
    for item in items:
        if isinstance(item, dict):
            out.append(item)
            asked = "tool_calls" in item
        elif item.role != "approval":
            entries = message_to_openai(item, reasoning=reasoning)
            out += entries
            asked = item.role == "assistant" and bool(entries) and "tool_calls" in entries[0]
        elif item.tool_calls:
            (entry,) = message_to_openai(item, reasoning=reasoning)
            if asked:
                out[-1] = _joined(out[-1], entry)
            else:
                out.append(entry)
            request, asked = item, False
        else:
            if answered is None:
                answered = {r.call_id for m in messages for r in returns_of(m)}
            said = (r for r in decisions_of(item, request) if r.call_id not in answered)
            out += [_tool(r.call_id, r.content, r.name) for r in said]
            asked = False
    return out


def message_to_openai(message: Message, *, reasoning: bool = True) -> list[Chat]:
    """One message as OpenAI chat messages.

    None for a message without anything in it, several for a message that carries the returns of several calls.

    Args:
        message: The message.
        reasoning: False leaves out the reasoning, for endpoints that refuse it in a request.
    """
    role = message.role
    if role == "assistant" or (role == "approval" and message.tool_calls):
        entry = _assistant(message, reasoning)
        return [entry] if len(entry) > 1 else []
    if role == "tool":
        return _returns(message)
    if role == "approval":
        return [_tool(r.call_id, r.content, r.name) for r in decisions_of(message)]
    return [_named({"role": role, "content": _content(message.content or ())}, message.name)]


def _assistant(message: Message, reasoning: bool) -> Chat:
    entry: Chat = {"role": "assistant"}
    shown: list[Part] = []
    hidden: list[Part] = []
    for part in message.content or ():
        (shown if part.type == "text" or part.type == "image" else hidden).append(part)
    calls = [_call(c) for c in message.tool_calls or ()]
    if hidden:
        known = {c["id"] for c in calls}
        calls += [_part_call(p) for p in hidden if p.type == "tool_call" and p.id not in known]
        if reasoning:
            _add_reasoning(entry, hidden)
    if shown:
        entry["content"] = _content(shown)
    elif calls:
        entry["content"] = None
    elif len(entry) > 1:
        entry["content"] = ""
    if calls:
        entry["tool_calls"] = calls
    return _named(entry, message.name) if message.name and len(entry) > 1 else entry


def _returns(message: Message) -> list[Chat]:
    content, call_id, returns = message.content, message.tool_call_id, message.tool_returns
    if call_id and content and len(content) == 1 and (returns is None or len(returns) <= 1):
        only = content[0]
        if only.type == "text":  # the usual one, without a detour
            return [_named({"role": "tool", "content": only.text, "tool_call_id": call_id}, message.name)]
    return [_tool(r.call_id, r.content, r.name) for r in returns_of(message)]


def _joined(first: Chat, second: Chat) -> Chat:
    contents = [e["content"] for e in (first, second) if e["content"]]
    content: Any = contents[0] if contents else None
    if len(contents) == 2:
        content = "\n\n".join(contents) if all(isinstance(c, str) for c in contents) else _as_parts(contents)
    known = {c["id"] for c in first["tool_calls"]}
    calls = first["tool_calls"] + [c for c in second["tool_calls"] if c["id"] not in known]
    both = {**second, **first, "content": content, "tool_calls": calls}
    if "reasoning_content" in first and "reasoning_content" in second:
        both["reasoning_content"] = first["reasoning_content"] + "\n\n" + second["reasoning_content"]
        both.pop("reasoning_content_signature", None)
    return both


def _as_parts(contents: list[str | list[Chat]]) -> list[Chat]:
    return [p for c in contents for p in ([{"type": "text", "text": c}] if isinstance(c, str) else c)]


def _tool(call_id: str | None, content: Sequence[Part], name: str | None) -> Chat:
    return _named({"role": "tool", "content": _content(content), "tool_call_id": call_id or ""}, name)


def _content(parts: Sequence[Part]) -> str | list[Chat]:
    if len(parts) == 1:
        only = parts[0]
        if only.type == "text":
            return only.text
    if any(p.type == "image" for p in parts):
        return [_picture(p) if p.type == "image" else {"type": "text", "text": _text(p)} for p in parts]
    return "\n\n".join(map(_text, parts))


def _text(part: Part) -> str:
    if part.type == "text":
        return part.text
    return part.content if part.type == "tool_return" else part.model_dump_json(exclude_none=True)


def _picture(part: ImagePart) -> Chat:
    source = part.source
    if source.type == "url":
        return {"type": "image_url", "image_url": {"url": source.url}}
    if source.type == "letta" and source.data is None:
        return {"type": "text", "text": f"[picture {source.file_id}, kept on another server]"}
    url = f"data:{source.media_type or 'image/png'};base64,{source.data}"
    detail = {"detail": source.detail} if source.detail else {}
    return {"type": "image_url", "image_url": {"url": url, **detail}}


def _call(call: ToolCall) -> Chat:
    function = call.function
    return {
        "id": call.id,
        "function": {"arguments": function.arguments, "name": function.name},
        "type": "function",
    }


def _part_call(part: ToolCallPart) -> Chat:
    arguments = json.dumps(part.input, default=str)
    return {"id": part.id, "function": {"arguments": arguments, "name": part.name}, "type": "function"}


def _add_reasoning(entry: Chat, parts: Sequence[Part]) -> None:
    thoughts = [p for p in parts if p.type == "reasoning" and (p.reasoning or p.signature)]
    redacted = [p.data for p in parts if p.type == "redacted_reasoning"]
    if thoughts:
        entry["reasoning_content"] = "\n\n".join([p.reasoning for p in thoughts])
        if len(thoughts) == 1 and thoughts[0].signature:
            entry["reasoning_content_signature"] = thoughts[0].signature
    if redacted:
        entry["redacted_reasoning_content"] = redacted[0] if len(redacted) == 1 else redacted


def _named(entry: Chat, name: str | None) -> Chat:
    if name and not _NAME_REFUSED.search(name):
        entry["name"] = name
    return entry
