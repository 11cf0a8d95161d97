"""The request of a chat completion, and the conversation that is in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from agentlab.agent.agent import Agent
from agentlab.agent.protocol import SEND_MESSAGE
from agentlab.formats.openai_chat import from_openai
from agentlab.messages import builders, envelopes
from agentlab.messages.calls import tool_call
from agentlab.messages.message import Message
from agentlab.serve.problems import Problem


class TextContent(BaseModel):
    """A part of a message's content. Only text is taken."""

    type: Literal["text"]
    text: str


def _only_text(content: object) -> object:
    for number, part in enumerate(content if isinstance(content, list) else ()):
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind != "text":
            raise ValueError(f"part {number} is {kind[:40]!r}: the agent takes text, no pictures, sounds or files")
    return content


class ChatMessage(BaseModel):
    """One message of the conversation."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str | list[TextContent] | None, BeforeValidator(_only_text)] = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class StreamOptions(BaseModel):
    """Settings of a stream."""

    include_usage: bool | None = None
    """True: usage in a chunk of its own; false: none; not given: in the last chunk."""


class ChatRequest(BaseModel):
    """A chat completion to make. The agent's own settings hold: sampling settings are taken and not used."""

    model_config = ConfigDict(extra="allow")

    messages: list[ChatMessage] = Field(min_length=1)
    """The last one is the user's; the earlier ones are the history."""
    model: str | None = None
    """The agent's name; not given: the agent that is there."""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    """One answer is given."""
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    """The agent has its own tools: a client's are not called, and refused."""
    user: str | None = None
    """A label, kept with the run."""


def text_of(message: ChatMessage) -> str:
    """All text of a message."""
    if isinstance(message.content, list):
        return "\n\n".join(part.text for part in message.content)
    return message.content or ""


def conversation_in(messages: Sequence[ChatMessage], agent: Agent) -> tuple[str, list[Message]]:
    """What the user says now, and the history before it as the agent would have it.

    Raises:
        Problem: The last message is not the user's, or has no text.
        InputError: One of the earlier ones is malformed.
    """
    *earlier, last = messages
    place = f"messages[{len(earlier)}]"
    if last.role != "user":
        raise Problem(400, f"{place}.role is {last.role!r}: the last message has to be the user's", param=place)
    text = text_of(last)
    if not text.strip():
        raise Problem(400, f"{place}.content has no text", param=place)
    read = from_openai(message.model_dump(exclude_none=True) for message in earlier)
    return text, [message for given in read for message in _as_the_agent_has_it(given, agent)]


def _as_the_agent_has_it(given: Message, agent: Agent) -> list[Message]:
    """What the user saw as plain text may be wrapped for the model, or may have been a call."""
    if agent.protocol.name == "memgpt" and given.role == "user":
        return [builders.user_message(agent.protocol.user_text(given.text, agent.timezone), name=given.name)]
    if given.role != "assistant":
        return [given]
    if agent.protocol.name == "memgpt" and given.text and not given.tool_calls:
        call = tool_call(SEND_MESSAGE, {"message": given.text})
        returned = envelopes.tool_return(None, timezone=agent.timezone)
        return [
            builders.assistant_message("", [call], model=agent.model.name),
            builders.tool_message(call.id, SEND_MESSAGE, returned),
        ]
    return [given.model_copy(update={"model": agent.model.name})]
