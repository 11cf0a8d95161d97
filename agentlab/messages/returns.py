"""The returns that a message carries, one for each call it answers.

A tool message of one call keeps what the model reads in its content. A message for several parallel calls keeps one
`tool_returns` entry a call, and some providers write returns as parts of the content. This is the one place that knows.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    parts = [p for p in content if p.type == "tool_return"]
    if parts:
        found = [CallReturn(p.tool_call_id, (TextPart(text=p.content),), not p.is_error, message.name) for p in parts]
        return _with_rest(found, tuple(p for p in content if p.type != "tool_return"))
    if len(returns) > 1:
        found = [CallReturn(r.tool_call_id, _content(r, content, n), _ok(r), None) for n, r in enumerate(returns)]
        return _with_rest(found, tuple(p for p in content if p.type != "text"))
    only = returns[0] if returns else None
    call_id = message.tool_call_id or (only.tool_call_id if only else None)
    text = only.func_response if only and not content else None
    shown = content if text is None else (TextPart(text=text),)
    return [CallReturn(call_id, shown, only is None or _ok(only), message.name)]


def answered_ids(message: Message) -> list[str | None]:
    """The ids of the calls that a tool message answers."""
    if message.tool_call_id and _is_plain(message):
        return [message.tool_call_id]
    return [r.call_id for r in returns_of(message)]


def failed_ids(message: Message) -> list[str | None]:
    """The ids of the calls that a tool message says have failed."""
    if _is_plain(message) and not (message.tool_returns and not _ok(message.tool_returns[0])):
        return []
    return [r.call_id for r in returns_of(message) if not r.ok]


def with_returns(message: Message, call_ids: Mapping[int, str]) -> Message:
    """A tool message with some of its returns, under other call ids.

    Args:
        message: The message.
        call_ids: By the position of a return in `returns_of`: the id of the call that it answers. The others go.
    """
    shown, returns = returns_of(message), message.tool_returns or ()
    first = call_ids[min(call_ids)]
    if any(p.type == "tool_return" for p in message.content or ()):
        parts = [
            ToolReturnPart(tool_call_id=i, content=_joined(shown[n].content), is_error=not shown[n].ok)
            for n, i in call_ids.items()
        ]
        rest = [p for n in call_ids for p in shown[n].content if p.type != "text"]
        return message.model_copy(update={"content": (*parts, *rest), "tool_returns": None, "tool_call_id": first})
    if len(returns) > 1:
        kept = [
            returns[n].model_copy(update={"tool_call_id": i, "func_response": _joined(shown[n].content)})
            for n, i in call_ids.items()
        ]
        content = tuple(p for n in call_ids for p in shown[n].content)
    else:
        kept, content = [r.model_copy(update={"tool_call_id": first}) for r in returns], message.content or ()
    return message.model_copy(update={"content": content, "tool_returns": tuple(kept), "tool_call_id": first})


def decisions_of(message: Message, request: Message | None = None) -> list[CallReturn]:
    """What an approval reply says in the place of returns: denials, and tools that the client ran itself.

    An approval is no return: the tool has yet to run.

    Args:
        message: The reply; other messages decide nothing.
        request: The message it answers: its id in the place of a call id stands for all its calls.
    """
    if not message.is_approval_reply:
        return []
    return [
        CallReturn(call_id, *said)
        for entry in message.approvals or ()
        if (said := _said(entry)) is not None
        for call_id in decided_calls(entry, request)
    ]


def decided_calls(entry: ApprovalReturn | ToolReturn, request: Message | None) -> list[str]:
    """The ids of the calls that an entry of an approval reply speaks of."""
    if request is not None and entry.tool_call_id == request.id:
        return [c.id for c in request.tool_calls or ()]
    return [entry.tool_call_id or ""]


def denial_text(reason: str | None) -> str:
    """What the model reads in the place of a denied call's return."""
    return f"The call was denied. Reason: {reason}" if reason else "The call was denied; no reason was given."


def _said(entry: ApprovalReturn | ToolReturn) -> tuple[tuple[Part, ...], bool, None] | None:
    if isinstance(entry, ToolReturn):
        return (TextPart(text=entry.func_response or ""),), _ok(entry), None
    return None if entry.approve else ((TextPart(text=denial_text(entry.reason)),), False, None)


def _is_plain(message: Message) -> bool:
    """True for the usual tool message: one call, answered by one text."""
    content, returns = message.content, message.tool_returns
    return (
        content is not None
        and len(content) == 1
        and content[0].type == "text"
        and (returns is None or len(returns) <= 1)
    )


def _with_rest(returns: list[CallReturn], rest: tuple[Part, ...]) -> list[CallReturn]:
    """Parts that belong to no return in particular go with the last, so that they are not lost."""
    if rest:
        last = returns[-1]
        returns[-1] = last._replace(content=(*last.content, *rest))
    return returns


def _joined(content: tuple[Part, ...]) -> str:
    return "\n\n".join(p.text for p in content if p.type == "text")


def _content(entry: ToolReturn, content: tuple[Part, ...], position: int) -> tuple[Part, ...]:
    if entry.func_response is not None:
        return (TextPart(text=entry.func_response),)
    return content[position : position + 1]


def _ok(entry: ToolReturn) -> bool:
    return entry.status == "success"
