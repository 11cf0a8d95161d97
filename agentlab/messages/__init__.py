"""Messages as values: what they are made of, how they are built, and what a provider would refuse of a history."""

from __future__ import annotations

from agentlab.messages import builders, envelopes
from agentlab.messages.approvals import approval_reply, approval_reply_to, approval_request
from agentlab.messages.builders import (
    Links,
    assistant_message,
    heartbeat_message,
    system_message,
    tool_message,
    user_message,
)
from agentlab.messages.calls import tool_call, tool_return
from agentlab.messages.history import Problem, lint, mend
from agentlab.messages.inputs import InputMessage, input_messages
from agentlab.messages.message import MESSAGES, ApprovalReturn, FunctionCall, Message, ToolCall, ToolReturn
from agentlab.messages.parts import (
    Base64Image,
    ImagePart,
    OmittedReasoningPart,
    Part,
    ReasoningPart,
    RedactedReasoningPart,
    StoredImage,
    SummarizedReasoningPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UrlImage,
)
from agentlab.messages.steps import parallel_messages, returns_message, said_messages, step_messages

__all__ = [
    "MESSAGES",
    "ApprovalReturn",
    "Base64Image",
    "FunctionCall",
    "ImagePart",
    "InputMessage",
    "Links",
    "Message",
    "OmittedReasoningPart",
    "Part",
    "Problem",
    "ReasoningPart",
    "RedactedReasoningPart",
    "StoredImage",
    "SummarizedReasoningPart",
    "TextPart",
    "ToolCall",
    "ToolCallPart",
    "ToolReturn",
    "ToolReturnPart",
    "UrlImage",
    "approval_reply",
    "approval_reply_to",
    "approval_request",
    "assistant_message",
    "builders",
    "envelopes",
    "heartbeat_message",
    "input_messages",
    "lint",
    "mend",
    "parallel_messages",
    "returns_message",
    "said_messages",
    "step_messages",
    "system_message",
    "tool_call",
    "tool_message",
    "tool_return",
    "user_message",
]
