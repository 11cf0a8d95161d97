"""Messages as values: what they are made of, how they are built, and what a provider would refuse of a history."""

from __future__ import annotations

from agentlab.messages import builders, envelopes
from agentlab.messages.builders import (
    Links,
    assistant_message,
    heartbeat_message,
    system_message,
    tool_message,
    user_message,
)
from agentlab.messages.calls import tool_call, tool_return
from agentlab.messages.message import MESSAGES, ApprovalReturn, FunctionCall, Message, ToolCall, ToolReturn
from agentlab.messages.parts import ImagePart, Part, ReasoningPart, TextPart

__all__ = [
    "MESSAGES",
    "ApprovalReturn",
    "FunctionCall",
    "ImagePart",
    "Links",
    "Message",
    "Part",
    "ReasoningPart",
    "TextPart",
    "ToolCall",
    "ToolReturn",
    "assistant_message",
    "builders",
    "envelopes",
    "heartbeat_message",
    "system_message",
    "tool_call",
    "tool_message",
    "tool_return",
    "user_message",
]
