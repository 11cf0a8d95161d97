"""What a whole step leaves behind: the model's message, the returns of its calls, and the heartbeat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Unpack

from agentlab.errors import InputError
from agentlab.messages import envelopes
from agentlab.messages.builders import (
    Links,
    asking_message,
    assistant_message,
    filled_parts,
    heartbeat_message,
    returning_message,
)
from agentlab.messages.calls import tool_call, tool_return
from agentlab.messages.message import Message, ToolCall, ToolReturn
from agentlab.messages.parts import Part


def step_messages(
    content: str | Iterable[Part] = (),
    calls: Sequence[ToolCall] = (),
    returns: Sequence[ToolReturn] = (),
    *,
    heartbeat: str | None = None,
    message_id: str | None = None,
    **links: Unpack[Links],
) -> list[Message]:
    """The messages of one step: the model's, then one for each return, then the heartbeat.

    Args:
        content: What the model said and thought.
        calls: What it asked for; may be empty.
        returns: The answers, one for each call; empty while the calls wait.
        heartbeat: The heartbeat's text, usually made by `envelopes.heartbeat`; None for no heartbeat.
        message_id: The id of the model's message.
        links: What the messages belong to.

    Raises:
        InputError: Calls and returns do not match.
    """
    parts, calls = filled_parts(content), tuple(calls)
    messages = [assistant_message(parts, calls, message_id=message_id, **links)] if parts or calls else []
    if returns:
        check_returns(calls, returns)
        names = {c.id: c.function.name for c in calls}
        messages += [returning_message((r,), names[r.tool_call_id or ""], None, links) for r in returns]
    if heartbeat is not None:
        messages.append(heartbeat_message(heartbeat, **links))
    return messages


def parallel_messages(
    content: str | Iterable[Part],
    calls: Sequence[ToolCall],
    returns: Sequence[ToolReturn],
    *,
    message_id: str | None = None,
    **links: Unpack[Links],
) -> list[Message]:
    """The messages of parallel calls as some servers store them: the model's, and one with all returns.

    `agentlab.formats.openai_chat.to_openai` sends each return under its own call id all the same.

    Raises:
        InputError: Calls and returns do not match, or there are none.
    """
    calls = tuple(calls)
    check_returns(calls, returns)
    asking = asking_message("assistant", filled_parts(content), calls, message_id, links)
    # the reference leaves the id out here, also of a single call
    return [asking.model_copy(update={"tool_call_id": None}), returns_message(returns, **links)]


def returns_message(returns: Sequence[ToolReturn], **links: Unpack[Links]) -> Message:
    """One message with the returns of several calls, as some servers store them.

    Raises:
        InputError: There are none.
    """
    if not returns:
        raise InputError("a message of returns needs at least one return")
    return returning_message(tuple(returns), None, None, links)


def said_messages(
    text: str, *, timezone: str = envelopes.DEFAULT_TIMEZONE, message_id: str | None = None, **links: Unpack[Links]
) -> list[Message]:
    """A plain answer as a MemGPT-style agent keeps it: a call of `send_message` and its empty return.

    Raises:
        TimezoneError: There is no such zone.
    """
    call = tool_call("send_message", {"message": text}, request_heartbeat=False)
    answer = tool_return(call.id, envelopes.tool_return(None, timezone=timezone))
    return step_messages((), (call,), (answer,), message_id=message_id, **links)


def check_returns(calls: Sequence[ToolCall], returns: Sequence[ToolReturn]) -> None:
    """Make sure that each call has one return and each return a call.

    Raises:
        InputError: They do not match; the text names the ids.
    """
    asked, answered = [c.id for c in calls], [r.tool_call_id for r in returns]
    if not asked:
        raise InputError(f"there are no calls, and {len(answered)} returns")
    if asked != answered and (len(asked) != len(answered) or set(asked) != set(answered)):
        raise InputError(f"each call needs one return: the calls are {asked}, the returns answer {answered}")
