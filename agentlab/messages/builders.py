"""The message builders: from texts, calls and returns to messages.

They never change what they are given, they invent the ids that are missing, and they drop parts without anything in
them. Texts go in as they are; a MemGPT-style agent wraps them first, with `agentlab.messages.envelopes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agentlab import clock
from agentlab.errors import InputError
from agentlab.messages import envelopes
from agentlab.messages.calls import tool_return
from agentlab.messages.message import Message, Role, ToolCall, ToolReturn
from agentlab.messages.parts import Part, ReasoningPart, TextPart


@dataclass(frozen=True, slots=True)
class Links:
    """What a message belongs to."""

    agent_id: str | None = None
    model: str | None = None
    run_id: str | None = None
    step_id: str | None = None
    batch_item_id: str | None = None


NO_LINKS = Links()


def user_message(
    content: str | Iterable[Part], *, name: str | None = None, links: Links = NO_LINKS, message_id: str | None = None
) -> Message:
    """What a person says.

    Raises:
        InputError: There is nothing in it.
    """
    return _spoken("user", content, name, links, message_id)


def system_message(
    content: str | Iterable[Part], *, name: str | None = None, links: Links = NO_LINKS, message_id: str | None = None
) -> Message:
    """What the agent is told about itself and its task.

    Raises:
        InputError: There is nothing in it.
    """
    return _spoken("system", content, name, links, message_id)


def assistant_message(
    content: str | Iterable[Part] = (),
    tool_calls: Iterable[ToolCall] = (),
    *,
    links: Links = NO_LINKS,
    message_id: str | None = None,
) -> Message:
    """What the model says, thinks and asks for.

    Raises:
        InputError: There is neither text nor thought nor call.
    """
    parts, calls = _parts(content), tuple(tool_calls)
    if not parts and not calls:
        raise InputError("an assistant message needs text, reasoning or a tool call; this one has none of them")
    _check_call_ids(calls)
    return Message(
        id=message_id or clock.new_message_id(),
        role="assistant",
        content=parts,
        tool_calls=calls or None,
        tool_call_id=calls[0].id if len(calls) == 1 else None,
        agent_id=links.agent_id,
        model=links.model,
        run_id=links.run_id,
        step_id=links.step_id,
        batch_item_id=links.batch_item_id,
    )


def tool_message(
    call_id: str,
    text: str | None,
    *,
    name: str | None = None,
    ok: bool = True,
    stdout: Iterable[str] | None = None,
    stderr: Iterable[str] | None = None,
    links: Links = NO_LINKS,
    message_id: str | None = None,
) -> Message:
    """What one call gave back: the form in which providers want each return, also of parallel calls.

    Args:
        call_id: The call that this answers.
        text: What the model reads; never a traceback.
        name: The tool's name.
        ok: False when the tool failed, or never ran.
        stdout: Lines that the tool printed.
        stderr: Lines that the tool printed as errors.
        links: What it belongs to.
        message_id: The message's own id; a fresh one when there is none.

    Raises:
        InputError: The call id is empty.
    """
    entry = tool_return(call_id, text, ok=ok, stdout=stdout, stderr=stderr)
    return _tool((entry,), call_id, name, links, message_id)


def heartbeat_message(
    reason: str | None = None,
    *,
    ok: bool = True,
    timezone: str = envelopes.DEFAULT_TIMEZONE,
    links: Links = NO_LINKS,
    message_id: str | None = None,
) -> Message:
    """The automated message that gives the agent another step. Its role is `user`.

    Args:
        reason: What the model reads; the default says whether the last tool worked.
        ok: Whether it did.
        timezone: IANA name of the zone for the time.
        links: What it belongs to.
        message_id: The message's own id; a fresh one when there is none.

    Raises:
        TimezoneError: There is no such zone.
    """
    text = envelopes.heartbeat(reason or envelopes.heartbeat_reason(ok=ok), timezone=timezone)
    return Message(
        id=message_id or clock.new_message_id(),
        role="user",
        content=(TextPart(text=text),),
        tool_calls=(),
        agent_id=links.agent_id,
        model=links.model,
        run_id=links.run_id,
        step_id=links.step_id,
        batch_item_id=links.batch_item_id,
    )


def _spoken(
    role: Role, content: str | Iterable[Part], name: str | None, links: Links, message_id: str | None
) -> Message:
    parts = _parts(content)
    if not parts:
        raise InputError(f"a {role} message needs text or a picture; this one is empty")
    return Message(
        id=message_id or clock.new_message_id(),
        role=role,
        content=parts,
        name=name,
        agent_id=links.agent_id,
        model=links.model,
        run_id=links.run_id,
        step_id=links.step_id,
        batch_item_id=links.batch_item_id,
    )


def _tool(
    returns: tuple[ToolReturn, ...], call_id: str | None, name: str | None, links: Links, message_id: str | None
) -> Message:
    return Message(
        id=message_id or clock.new_message_id(),
        role="tool",
        content=tuple(TextPart(text=r.func_response or "") for r in returns),
        name=name,
        tool_calls=(),
        tool_call_id=call_id,
        tool_returns=returns,
        agent_id=links.agent_id,
        model=links.model,
        run_id=links.run_id,
        step_id=links.step_id,
        batch_item_id=links.batch_item_id,
    )


def _parts(content: str | Iterable[Part]) -> tuple[Part, ...]:
    """Without the parts that hold nothing."""
    if isinstance(content, str):
        return (TextPart(text=content),) if content else ()
    return tuple(p for p in content if not _hollow(p))


def _hollow(part: Part) -> bool:
    if isinstance(part, TextPart):
        return not part.text and part.signature is None
    return isinstance(part, ReasoningPart) and not part.reasoning and part.signature is None


def _check_call_ids(calls: tuple[ToolCall, ...]) -> None:
    if len(calls) > 1 and len({c.id for c in calls}) != len(calls):
        seen = ", ".join(repr(c.id) for c in calls)
        raise InputError(f"each call of a message needs an id of its own; these are {seen}")
