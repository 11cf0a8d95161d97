"""One entry of a conversation, as a frozen value. Field names are the reference's."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter

from agentlab import clock
from agentlab.messages.parts import Part, TextPart, Value

Role: TypeAlias = Literal["system", "user", "assistant", "tool", "approval"]


class FunctionCall(Value):
    """Name and arguments of a call."""

    arguments: str
    """JSON text, exactly as the model wrote it or as it was executed."""
    name: str


class ToolCall(Value):
    """A model asks for a tool."""

    id: str
    function: FunctionCall
    type: Literal["function"] = "function"


class ToolReturn(Value):
    """What a tool gave back, or why it failed."""

    type: Literal["tool"] | None = None
    tool_call_id: str | None = None
    """The `id` of the `ToolCall` that this answers."""
    status: Literal["success", "error"]
    stdout: tuple[str, ...] | None = None
    stderr: tuple[str, ...] | None = None
    func_response: str | None = None
    """The text that the model reads. Never a traceback."""


class ApprovalReturn(Value):
    """What the approver said of one call."""

    type: Literal["approval"] = "approval"
    tool_call_id: str
    approve: bool
    reason: str | None = None


class Message(Value):
    """One entry of a conversation.

    An approval request is a message of role `approval` with `tool_calls`; the reply has `approvals` instead.
    """

    id: str = Field(default_factory=clock.new_message_id)
    role: Role
    content: tuple[Part, ...] | None = None
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str | None = None
    tool_returns: tuple[ToolReturn, ...] | None = None
    approvals: tuple[Annotated[ApprovalReturn | ToolReturn, Field()], ...] | None = None
    approval_request_id: str | None = None
    approve: bool | None = None
    denial_reason: str | None = None
    is_err: bool | None = None
    agent_id: str | None = None
    model: str | None = None
    run_id: str | None = None
    step_id: str | None = None
    otid: str | None = None
    """The client's own id for the message."""
    group_id: str | None = None
    sender_id: str | None = None
    batch_item_id: str | None = None
    created_at: datetime = Field(default_factory=clock.now)
    """Wall time, UTC; for display."""

    @property
    def text(self) -> str:
        """All text parts, joined by a blank line; empty when there is none."""
        return "\n\n".join(p.text for p in self.content or () if isinstance(p, TextPart))

    @property
    def is_approval_request(self) -> bool:
        """True for the message that asks for a decision."""
        return self.role == "approval" and bool(self.tool_calls)

    @property
    def is_approval_reply(self) -> bool:
        """True for the message that carries the decisions."""
        return self.role == "approval" and not self.tool_calls


MESSAGES: TypeAdapter[list[Message]] = TypeAdapter(list[Message], config=ConfigDict(defer_build=True))
"""Lists of messages from and to JSON, built once."""

_V = TypeVar("_V", bound=Value)
_BLANKS: dict[type[Value], dict[str, Any]] = {
    kind: {name: field.default for name, field in kind.model_fields.items()}
    for kind in (Message, ToolCall, FunctionCall, ToolReturn, TextPart)
}


def unchecked(kind: type[_V], values: dict[str, Any]) -> _V:
    """A value made without validation, equal to the validated one; for builders, which know what they put in.

    A loop makes several messages a step, and checking what was just made took most of the time.

    Args:
        kind: One of the classes of the messages' inner circle.
        values: All fields without a default, and others; a message's id and time belong to them.
    """
    blank = _BLANKS[kind]
    fields = {**blank, **values}
    if len(fields) != len(blank):
        return kind(**values)  # says which field does not exist
    value = object.__new__(kind)
    fill = object.__setattr__
    fill(value, "__dict__", fields)
    fill(value, "__pydantic_fields_set__", set(values))
    fill(value, "__pydantic_extra__", None)
    fill(value, "__pydantic_private__", None)
    return value
