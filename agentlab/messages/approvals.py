"""Messages that ask a person for leave to run tools, and messages that carry the answer.

Answers go by call id. Older clients answer by the id of the asking message; `approval_reply_to` and
`agentlab.messages.history.mend` know which call they mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from agentlab import clock
from agentlab.errors import InputError
from agentlab.messages.builders import Links, asking_message, filled_parts
from agentlab.messages.message import ApprovalReturn, Message, ToolCall, ToolReturn
from agentlab.messages.parts import Part


def approval_request(
    tool_calls: Iterable[ToolCall],
    content: str | Iterable[Part] = (),
    *,
    message_id: str | None = None,
    **links: Unpack[Links],
) -> Message:
    """The message that asks for a decision on calls.

    Args:
        tool_calls: The calls that wait.
        content: What the model said and thought.
        message_id: The message's own id; a fresh one when there is none.
        links: What it belongs to.

    Raises:
        InputError: There is no call, or two calls have one id.
    """
    calls = tuple(tool_calls)
    if not calls:
        raise InputError("an approval request needs at least one tool call")
    return asking_message("approval", filled_parts(content), calls, message_id, links)


def approval_reply(
    decisions: Iterable[ApprovalReturn | ToolReturn], *, message_id: str | None = None, **links: Unpack[Links]
) -> Message:
    """The message that carries decisions, and the returns of tools that the client ran itself.

    Raises:
        InputError: It decides nothing, or two entries speak of one call.
    """
    entries = tuple(decisions)
    if not entries:
        raise InputError("an approval reply needs at least one decision; this one answers nothing")
    ids = [e.tool_call_id for e in entries]
    if not all(ids):
        raise InputError("a decision needs the id of its call, and one has none")
    if len(set(ids)) != len(ids):
        raise InputError(f"an approval reply takes one decision a call; these are for {ids}")
    return Message(id=message_id or clock.new_message_id(), role="approval", approvals=entries, **links)


def approval_reply_to(
    request: Message, *, approve: bool, reason: str | None = None, message_id: str | None = None
) -> Message:
    """The same decision for every call of a request; run, step and agent are those of the request.

    Raises:
        InputError: The message asks for nothing.
    """
    if not request.is_approval_request:
        raise InputError(f"message {request.id} has role {request.role!r} and asks for no approval")
    decisions = [
        ApprovalReturn(tool_call_id=call.id, approve=approve, reason=reason) for call in request.tool_calls or ()
    ]
    return approval_reply(
        decisions,
        message_id=message_id,
        agent_id=request.agent_id,
        model=request.model,
        run_id=request.run_id,
        step_id=request.step_id,
        batch_item_id=request.batch_item_id,
    )
