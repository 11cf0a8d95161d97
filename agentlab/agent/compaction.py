"""What is done when the conversation is longer than the model's window: nothing, dropping, or a summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from agentlab.messages.message import Message
from agentlab.messages.parts import Value

_TOLD_CHARS = 1500


class NoCompaction(Value):
    """Nothing: the run stops with `context_window`."""

    kind: Literal["none"] = "none"


class DropOldest(Value):
    """The oldest messages leave the context, the newest stay."""

    kind: Literal["drop"] = "drop"
    keep_fraction: float = Field(default=0.5, gt=0, lt=1)
    """Of the messages after the system message."""


class Summarize(Value):
    """A summary, written by the agent's model, takes the place of the oldest messages."""

    kind: Literal["summary"] = "summary"
    keep_fraction: float = Field(default=0.3, gt=0, lt=1)
    """Of the messages after the system message."""
    instructions: str = (
        "Sum up this part of a conversation for the assistant who has to go on with it: what was asked, what was "
        "done, what is known, what is left to do. Be brief and leave out nothing that matters."
    )


Compaction: TypeAlias = Annotated[NoCompaction | DropOldest | Summarize, Field(discriminator="kind")]


def split(messages: Sequence[Message], keep_fraction: float) -> tuple[list[Message], list[Message]]:
    """The messages that leave and those that stay, without the system message.

    Never parts a call from its returns. Nothing leaves where that cannot be.
    """
    body = [m for m in messages if m.role != "system"]
    place = max(0, len(body) - max(1, round(len(body) * keep_fraction)))
    while place < len(body) and body[place].role not in ("user", "assistant"):
        place += 1
    if place >= len(body):
        return [], body
    return body[:place], body[place:]


def as_text(messages: Sequence[Message]) -> str:
    """Messages as text to sum up; long ones are cut."""
    return "\n\n".join(f"{m.role}: {_told(m)}" for m in messages)


def _told(message: Message) -> str:
    calls = [f"[calls {c.function.name} {c.function.arguments}]" for c in message.tool_calls or ()]
    text = " ".join([message.text, *calls]).strip()
    return text if len(text) <= _TOLD_CHARS else f"{text[:_TOLD_CHARS]}… ({len(text) - _TOLD_CHARS} characters more)"
