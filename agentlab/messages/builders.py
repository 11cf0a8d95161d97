"""The message builders: from texts, calls and returns to messages.

They never change what they are given, they invent the ids that are missing, and they drop parts without anything in
them. Texts go in as they are; a MemGPT-style agent wraps them first, with `agentlab.messages.envelopes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypedDict, Unpack

from agentlab import clock
from agentlab.errors import InputError
from agentlab.messages.calls import tool_return
from agentlab.messages.message import Message, Role, ToolCall, ToolReturn, unchecked
from agentlab.messages.parts import Part, TextPart


class Links(TypedDict, total=False):
    """What a message belongs to: keywords that every builder takes."""

    agent_id: str | None
    model: str | None
    run_id: str | None
    step_id: str | None
    batch_item_id: str | None
    group_id: str | None
    sender_id: str | None
    otid: str | None


def user_message(
    content: str | Iterable[Part], *, name: str | None = None, message_id: str | None = None, **links: Unpack[Links]
) -> Message:
    """What a person says.

    Raises:
        InputError: There is nothing in it.
    """
    return _spoken("user", content, name, message_id, links)


def system_message(
    content: str | Iterable[Part], *, name: str | None = None, message_id: str | None = None, **links: Unpack[Links]
) -> Message:
    """What the agent is told about itself and its task.

    Raises:
        InputError: There is nothing in it.
    """
    return _spoken("system", content, name, message_id, links)


def assistant_message(
    content: str | Iterable[Part] = (),
    tool_calls: Iterable[ToolCall] = (),
    *,
    message_id: str | None = None,
    **links: Unpack[Links],
) -> Message:
    """What the model says, thinks and asks for.

    Raises:
        InputError: There is neither text nor thought nor call, or two calls have one id.
    """
    parts, calls = filled_parts(content), tuple(tool_calls)
    if not parts and not calls:
        raise InputError("an assistant message needs text, reasoning or a tool call; this one has none of them")
    return asking_message("assistant", parts, calls, message_id, links)


def tool_message(
    call_id: str,
    name: str | None,
    text: str | None,
    *,
    ok: bool = True,
    stdout: Iterable[str] | None = None,
    stderr: Iterable[str] | None = None,
    message_id: str | None = None,
    **links: Unpack[Links],
) -> Message:
    """What one call gave back: the form in which providers want each return, also of parallel calls.

    Args:
        call_id: The call that this answers.
        name: The tool's name.
        text: What the model reads; never a traceback.
        ok: False when the tool failed, or never ran.
        stdout: Lines that the tool printed.
        stderr: Lines that the tool printed as errors.
        message_id: The message's own id; a fresh one when there is none.
        links: What it belongs to.

    Raises:
        InputError: The call id is empty.
    """
    entry = tool_return(call_id, text, ok=ok, stdout=stdout, stderr=stderr)
    return returning_message((entry,), name, message_id, links)


def heartbeat_message(text: str, *, message_id: str | None = None, **links: Unpack[Links]) -> Message:
    """The automated message that gives the agent another step. Its role is `user`.

    Args:
        text: What the model reads, usually made by `envelopes.heartbeat`.
        message_id: The message's own id; a fresh one when there is none.
        links: What it belongs to.
    """
    if not isinstance(text, str):
        raise InputError(f"a heartbeat's text is {type(text).__name__}; it takes text")
    content = (unchecked(TextPart, {"text": text}),)
    return _made({"role": "user", "content": content, "tool_calls": ()}, message_id, links)


def asking_message(
    role: Role, parts: tuple[Part, ...], calls: tuple[ToolCall, ...], message_id: str | None, links: Links
) -> Message:
    """A message that asks for tools, or for leave to run them; for builders.

    Raises:
        InputError: Two calls have one id.
    """
    if len(calls) > 1 and len({c.id for c in calls}) != len(calls):
        seen = ", ".join(repr(c.id) for c in calls)
        raise InputError(f"each call of a message needs an id of its own; these are {seen}")
    values = {
        "role": role,
        "content": parts,
        "tool_calls": calls or None,
        "tool_call_id": calls[0].id if len(calls) == 1 else None,
    }
    return _made(values, message_id, links)


def returning_message(
    returns: tuple[ToolReturn, ...], name: str | None, message_id: str | None, links: Links
) -> Message:
    """A message with the returns of one or more calls; for builders."""
    values = {
        "role": "tool",
        "content": tuple([unchecked(TextPart, {"text": r.func_response or ""}) for r in returns]),
        "name": name,
        "tool_calls": (),
        "tool_call_id": returns[0].tool_call_id,
        "tool_returns": returns,
    }
    return _made(values, message_id, links)


def filled_parts(content: str | Iterable[Part]) -> tuple[Part, ...]:
    """The parts that hold something."""
    if isinstance(content, str):
        return (TextPart(text=content),) if content else ()
    return tuple([p for p in content if not _is_hollow(p)])


def _made(values: dict[str, Any], message_id: str | None, links: Links) -> Message:
    values["id"] = message_id or clock.new_message_id()
    values["created_at"] = clock.now()
    values.update(links)
    return unchecked(Message, values)


def _spoken(
    role: Role, content: str | Iterable[Part], name: str | None, message_id: str | None, links: Links
) -> Message:
    parts = filled_parts(content)
    if not parts:
        raise InputError(f"a {role} message needs text or a picture; this one is empty")
    return Message(id=message_id or clock.new_message_id(), role=role, content=parts, name=name, **links)


def _is_hollow(part: Part) -> bool:
    kind = getattr(part, "type", None)
    if kind is None:
        raise InputError(f"a part of the content is {type(part).__name__}; it takes text, or a list of parts")
    if part.type == "text":
        return not part.text and part.signature is None
    return part.type == "reasoning" and not part.reasoning and part.signature is None
