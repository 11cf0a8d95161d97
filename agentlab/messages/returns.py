"""The returns that a message carries, one for each call it answers.

A tool message of one call keeps what the model reads in its content. A message for several parallel calls keeps one
`tool_returns` entry a call, and some providers write returns as parts of the content. This is the one place that knows.
"""

from __future__ import annotations

from typing import NamedTuple

from agentlab.messages.message import ApprovalReturn, Message, ToolReturn
from agentlab.messages.parts import Part, TextPart, ToolReturnPart


class CallReturn(NamedTuple):
    """What one call gave back."""

    call_id: str | None
    """The call that this answers; None when the message does not say."""
    content: tuple[Part, ...]
    """What the model reads."""
    ok: bool
    name: str | None
    """The tool's name, where the message says it."""


def returns_of(message: Message) -> list[CallReturn]:
    """The returns in a message of role `tool`, in order; empty for other roles."""
    if message.role != "tool":
        return []
    content = message.content or ()
    returns = message.tool_returns or ()
    parts = [p for p in content if isinstance(p, ToolReturnPart)]
    if len(returns) > 1:
        return [CallReturn(r.tool_call_id, _content(r, content, n), _ok(r), None) for n, r in enumerate(returns)]
    if parts:
        return [CallReturn(p.tool_call_id, (TextPart(text=p.content),), not p.is_error, message.name) for p in parts]
    only = returns[0] if returns else None
    call_id = message.tool_call_id or (only.tool_call_id if only else None)
    text = only.func_response if only and not content else None
    shown = content if text is None else (TextPart(text=text),)
    return [CallReturn(call_id, shown, only is None or _ok(only), message.name)]


def decisions_of(message: Message) -> list[CallReturn]:
    """What an approval reply says in the place of returns: denials, and tools that the client ran itself.

    An approval is no return: the tool has yet to run.
    """
    if message.role != "approval":
        return []
    return [r for r in map(_decision, message.approvals or ()) if r is not None]


def denial_text(reason: str | None) -> str:
    """What the model reads in the place of a denied call's return."""
    return f"The call was denied. Reason: {reason}" if reason else "The call was denied; no reason was given."


def _decision(entry: ApprovalReturn | ToolReturn) -> CallReturn | None:
    if isinstance(entry, ToolReturn):
        return CallReturn(entry.tool_call_id, (TextPart(text=entry.func_response or ""),), _ok(entry), None)
    if entry.approve:
        return None
    return CallReturn(entry.tool_call_id, (TextPart(text=denial_text(entry.reason)),), False, None)


def _content(entry: ToolReturn, content: tuple[Part, ...], position: int) -> tuple[Part, ...]:
    if entry.func_response is not None:
        return (TextPart(text=entry.func_response),)
    return content[position : position + 1]


def _ok(entry: ToolReturn) -> bool:
    return entry.status == "success"
