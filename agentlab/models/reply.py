"""Chunks put together again: the text, the reasoning and the tool calls of one reply."""

from __future__ import annotations

from dataclasses import dataclass

from agentlab import clock
from agentlab.messages.message import FunctionCall, ToolCall
from agentlab.messages.parts import Part, ReasoningPart, TextPart
from agentlab.trace.chunks import Chunk, ToolCallDelta
from agentlab.trace.usage import NO_USAGE, Usage


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said."""

    content: tuple[Part, ...]
    """Reasoning first, then text; empty parts are left out."""
    tool_calls: tuple[ToolCall, ...]
    usage: Usage
    finish_reason: str | None

    @property
    def text(self) -> str:
        """The text, without the reasoning."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


class _OpenCall:
    """A tool call whose pieces are still coming."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id: str | None = None
        self.name: list[str] = []
        self.arguments: list[str] = []

    def add(self, delta: ToolCallDelta) -> None:
        if delta.id:
            self.id = delta.id
        if delta.name:
            self.name.append(delta.name)
        if delta.arguments:
            self.arguments.append(delta.arguments)


class ReplyBuilder:
    """Collects chunks; `build` gives the reply at any time, also of a stream that was cut."""

    def __init__(self) -> None:
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, _OpenCall] = {}
        self._usage = NO_USAGE
        self._finish_reason: str | None = None

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk. Of several usage reports the last one counts."""
        if chunk.content:
            self._content.append(chunk.content)
        if chunk.reasoning:
            self._reasoning.append(chunk.reasoning)
        for delta in chunk.tool_calls:
            call = self._calls.get(delta.index)
            if call is None:
                call = self._calls[delta.index] = _OpenCall()
            call.add(delta)
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.finish_reason is not None:
            self._finish_reason = chunk.finish_reason

    def build(self) -> Reply:
        """The reply so far. Calls come in the order of their index; a missing id is made up."""
        content: list[Part] = []
        if reasoning := "".join(self._reasoning):
            content.append(ReasoningPart(is_native=True, reasoning=reasoning))
        if text := "".join(self._content):
            content.append(TextPart(text=text))
        calls = tuple(
            ToolCall(
                id=call.id or clock.new_call_id(),
                function=FunctionCall(name="".join(call.name), arguments="".join(call.arguments)),
            )
            for _, call in sorted(self._calls.items())
        )
        return Reply(tuple(content), calls, self._usage, self._finish_reason)
