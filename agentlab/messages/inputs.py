"""Messages that come in from a client: checked once, here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, Unpack

from pydantic import ValidationError

from agentlab.errors import InputError
from agentlab.messages.builders import Links, system_message, user_message
from agentlab.messages.message import Message
from agentlab.messages.parts import Part, Value


class InputMessage(Value):
    """What a client asks to add to a conversation."""

    type: Literal["message"] = "message"
    role: Literal["user", "system"]
    content: str | tuple[Part, ...]
    name: str | None = None
    otid: str | None = None
    """The client's own id for the message."""
    sender_id: str | None = None
    group_id: str | None = None
    batch_item_id: str | None = None


Input: TypeAlias = InputMessage | Mapping[str, Any]


def input_messages(inputs: Iterable[Input], **links: Unpack[Links]) -> list[Message]:
    """The messages for what a client sent, in order. Pictures by address stay addresses: nothing is fetched.

    Args:
        inputs: What came in, as values or as decoded JSON.
        links: What the messages belong to; what an input says of itself wins.

    Raises:
        InputError: One of them is empty or malformed; the text says which and why.
    """
    return [_message(_checked(given, n), n, links) for n, given in enumerate(inputs)]


def _checked(given: Input, position: int) -> InputMessage:
    if isinstance(given, InputMessage):
        return given
    try:
        return InputMessage.model_validate(given)
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in exc.errors())
        raise InputError(f"input message {position} cannot be used: {problems}") from None


def _message(given: InputMessage, position: int, links: Links) -> Message:
    build = user_message if given.role == "user" else system_message
    own = {
        key: value
        for key in ("otid", "sender_id", "group_id", "batch_item_id")
        if (value := getattr(given, key)) is not None
    }
    try:
        return build(given.content, name=given.name, **{**links, **own})
    except InputError as exc:
        raise InputError(f"input message {position}: {exc}") from None
