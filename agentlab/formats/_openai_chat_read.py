"""OpenAI chat messages, read into messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agentlab import clock
from agentlab.errors import InputError
from agentlab.messages import envelopes
from agentlab.messages.builders import tool_message
from agentlab.messages.message import FunctionCall, Message, Role, ToolCall
from agentlab.messages.parts import (
    Base64Image,
    ImagePart,
    Part,
    ReasoningPart,
    RedactedReasoningPart,
    TextPart,
    UrlImage,
)

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


def from_openai(messages: Iterable[Mapping[str, Any]]) -> list[Message]:
    """The messages of an OpenAI chat conversation.

    Calls without an id get a fresh one. A tool message takes its name from its call, and counts as failed when its
    text is the envelope of a failed return; the form itself does not say.

    Args:
        messages: Decoded chat messages, as a request or a reply holds them.

    Raises:
        InputError: One of them is malformed; the text says which and why.
    """
    out: list[Message] = []
    names: dict[str, str] = {}
    for position, given in enumerate(messages):
        try:
            message = _message(given, names)
        except InputError as exc:
            raise InputError(f"messages[{position}]: {exc}") from None
        names.update((c.id, c.function.name) for c in message.tool_calls or ())
        out.append(message)
    return out


def _message(given: Mapping[str, Any], names: Mapping[str, str]) -> Message:
    if not isinstance(given, Mapping):
        raise InputError(f"it is {type(given).__name__}, and should be an object with a role")
    role = _ROLES.get(given.get("role", ""))
    if role is None:
        raise InputError(f"its role is {given.get('role')!r}; known are {', '.join(_ROLES)}")
    content = (*_reasoning(given), *_content(given.get("content")))
    if role == "tool":
        return _tool(given, content, names)
    if role == "assistant":
        refusal = given.get("refusal")
        if refusal:
            content = (*content, TextPart(text=_string(refusal, "refusal")))
        calls = tuple(_call(c) for c in given.get("tool_calls") or ())
        first = calls[0].id if len(calls) == 1 else None
        return Message(role=role, content=content, name=_name(given), tool_calls=calls or None, tool_call_id=first)
    return Message(role=role, content=content, name=_name(given))


def _tool(given: Mapping[str, Any], content: tuple[Part, ...], names: Mapping[str, str]) -> Message:
    call_id = given.get("tool_call_id")
    if not call_id or not isinstance(call_id, str):
        raise InputError("a tool message needs the tool_call_id of the call that it answers")
    name = _name(given) or names.get(call_id)
    only = content[0].text if len(content) == 1 and isinstance(content[0], TextPart) else None
    packed = envelopes.unpack(only) if only else None
    message = tool_message(call_id, name, only, ok=packed is None or packed.ok is not False)
    return message if only is not None else message.model_copy(update={"content": content})


def _call(given: object) -> ToolCall:
    if not isinstance(given, Mapping) or not isinstance(given.get("function"), Mapping):
        raise InputError("a tool call has no function; other kinds of call are not known")
    function = given["function"]
    arguments = function.get("arguments")
    if not isinstance(arguments, str):  # some servers decode them
        arguments = json.dumps({} if arguments is None else arguments)
    name = _string(function.get("name"), "a call's function name")
    return ToolCall(id=given.get("id") or clock.new_call_id(), function=FunctionCall(arguments=arguments, name=name))


def _reasoning(given: Mapping[str, Any]) -> Iterator[Part]:
    if given.get("role") != "assistant":
        return
    thought = given.get("reasoning_content") or given.get("reasoning")
    signature = given.get("reasoning_content_signature")
    if thought or signature:
        yield ReasoningPart(is_native=True, reasoning=_string(thought or "", "reasoning_content"), signature=signature)
    redacted = given.get("redacted_reasoning_content")
    if redacted:
        for data in [redacted] if isinstance(redacted, str) else redacted:
            yield RedactedReasoningPart(data=_string(data, "redacted_reasoning_content"))


def _content(given: object) -> tuple[Part, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        return (TextPart(text=given),)
    if not isinstance(given, list | tuple):
        raise InputError(f"its content is {type(given).__name__}; it takes text, null or a list of parts")
    return tuple(_part(p) for p in given)


def _part(given: object) -> Part:
    kind = given.get("type") if isinstance(given, Mapping) else type(given).__name__
    if isinstance(given, Mapping):
        if kind in ("text", "refusal"):
            return TextPart(text=_string(given.get(kind), kind))
        if kind == "image_url":
            return _picture(given.get("image_url"))
    raise InputError(f"a part of its content is {kind!r}; known are text, refusal and image_url")


def _picture(given: object) -> ImagePart:
    url = given.get("url") if isinstance(given, Mapping) else given
    url = _string(url, "image_url")
    if not url.startswith("data:"):
        return ImagePart(source=UrlImage(url=url))
    head, comma, data = url.removeprefix("data:").partition(",")
    if not comma or not head.endswith(";base64"):
        raise InputError("a picture's data address is not in base64")
    detail = given.get("detail") if isinstance(given, Mapping) else None
    return ImagePart(source=Base64Image(media_type=head.removesuffix(";base64"), data=data, detail=detail))


def _name(given: Mapping[str, Any]) -> str | None:
    name = given.get("name")
    return None if name is None else _string(name, "name")


def _string(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{what} is {type(value).__name__}, and should be text")
    return value
