"""What comes in from a client, messages and answers to approval requests: checked once, here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar, Unpack

from pydantic import Field, ValidationError

from agentlab.errors import InputError
from agentlab.messages import envelopes
from agentlab.messages.approvals import approval_reply
from agentlab.messages.builders import Links, system_message, user_message
from agentlab.messages.calls import tool_return
from agentlab.messages.message import ApprovalReturn, Message, ToolReturn
from agentlab.messages.parts import Part, Value

_T = TypeVar("_T", bound=Value)


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


class ClientReturn(Value):
    """A tool's return that the client sends with its approvals, because it ran the tool itself."""

    type: Literal["tool"] = "tool"
    tool_call_id: str
    tool_return: str
    status: Literal["success", "error"]
    stdout: tuple[str, ...] | None = None
    stderr: tuple[str, ...] | None = None


class ApprovalInput(Value):
    """A client's answer to an approval request, in the new style or the old one."""

    type: Literal["approval"] = "approval"
    approvals: tuple[Annotated[ApprovalReturn | ClientReturn, Field(discriminator="type")], ...] | None = None
    approve: bool | None = None
    """Old style."""
    approval_request_id: str | None = None
    """Old style: the id of the message that asked."""
    reason: str | None = None
    """Old style."""
    group_id: str | None = None


def input_messages(inputs: Iterable[InputMessage | Mapping[str, Any]], **links: Unpack[Links]) -> list[Message]:
    """The messages for what a client sent, in order. Pictures by address stay addresses: nothing is fetched.

    Args:
        inputs: What came in, as values or as decoded JSON.
        links: What the messages belong to; what an input says of itself wins.

    Raises:
        InputError: One of them is empty or malformed; the text says which and why.
    """
    return [_message(given, f"input message {n}", links) for n, given in enumerate(inputs)]


def input_approval(
    given: ApprovalInput | Mapping[str, Any], *, timezone: str = envelopes.DEFAULT_TIMEZONE, **links: Unpack[Links]
) -> Message:
    """The approval reply for what a client sent.

    The old style has no call id: the id of the message that asked stands in its place, as in stored conversations,
    and `agentlab.messages.history` knows the calls it means.

    Args:
        given: What came in, as a value or as decoded JSON.
        timezone: IANA name of the zone for the times in packed returns.
        links: What the message belongs to.

    Raises:
        InputError: It is malformed, decides nothing, or its two styles contradict each other.
        TimezoneError: There is no such zone.
    """
    answer = _checked(ApprovalInput, given, "the approval")
    decisions = [_decision(entry, timezone) for entry in _entries(answer)]
    reply = approval_reply(decisions, **links)
    return reply.model_copy(
        update={
            "group_id": answer.group_id or reply.group_id,
            "approve": answer.approve,
            "approval_request_id": answer.approval_request_id,
            "denial_reason": answer.reason,
        }
    )


def _message(given: InputMessage | Mapping[str, Any], what: str, links: Links) -> Message:
    message = _checked(InputMessage, given, what)
    build = user_message if message.role == "user" else system_message
    own = message.model_dump(include={"otid", "sender_id", "group_id", "batch_item_id"}, exclude_none=True)
    try:
        return build(message.content, name=message.name, **{**links, **own})
    except InputError as exc:
        raise InputError(f"{what}: {exc}") from None


def _entries(answer: ApprovalInput) -> tuple[ApprovalReturn | ClientReturn, ...]:
    old, entries = answer.approve, answer.approvals or ()
    if not entries and old is not None and answer.approval_request_id:
        return (ApprovalReturn(tool_call_id=answer.approval_request_id, approve=old, reason=answer.reason),)
    said = {e.approve for e in entries if isinstance(e, ApprovalReturn)}
    if old is not None and said - {old}:
        raise InputError(f"the approval contradicts itself: approve is {old}, and one of its approvals says {not old}")
    return entries


def _decision(entry: ApprovalReturn | ClientReturn, timezone: str) -> ApprovalReturn | ToolReturn:
    if isinstance(entry, ApprovalReturn):
        return entry
    ok = entry.status == "success"
    text = envelopes.tool_return(entry.tool_return, ok=ok, timezone=timezone)
    return tool_return(entry.tool_call_id, text, ok=ok, stdout=entry.stdout, stderr=entry.stderr)


def _checked(model: type[_T], given: _T | Mapping[str, Any], what: str) -> _T:
    if isinstance(given, model):
        return given
    try:
        return model.model_validate(given)
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in exc.errors())
        raise InputError(f"{what} cannot be used: {problems}") from None
