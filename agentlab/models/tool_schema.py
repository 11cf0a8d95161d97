"""Tools for endpoints whose own tool calling cannot be relied on (`tool_mode="schema"`).

The tools are told to the model in the system message and offered as one JSON schema that the reply must follow; past
calls and returns are told as plain text. The streamed reply is cut into ordinary tool-call deltas while it arrives,
so that nothing above notices the difference. The first tokens of a reply are its frame: a first token counts when a
call's name, or the first letter of a plain answer, can be read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from agentlab.errors import RequestRefusedError
from agentlab.messages.message import Message
from agentlab.messages.parts import TextPart
from agentlab.models._call_cutter import CallCutter
from agentlab.models._examples import examples_for
from agentlab.models._grammar import Bounds, reply_schema
from agentlab.models._plain_talk import PlainTalk
from agentlab.models.base import ModelRequest
from agentlab.trace.chunks import Chunk, ChunkKind
from agentlab.trace.events import ToolSpec

# Plain numbers: the flags of an IntFlag cost a microsecond each time they are joined.
_CONTENT, _TOOL_NAME, _TOOL_ARGS = int(ChunkKind.CONTENT), int(ChunkKind.TOOL_NAME), int(ChunkKind.TOOL_ARGS)


class SchemaTools:
    """Translates requests that offer tools, and the replies to them.

    Args:
        examples: Messages that come before every conversation and show how tools are used: user, assistant with
            `tool_calls`, tool, and so on. None: a few are made from the schemas of the tools on offer.
        open_envelopes: Whether the model reads texts without their envelopes, and no heartbeat that says nothing new.
            Very small models lose their way among so much JSON; they do not learn the time then.
        max_calls: The most calls in one reply, where parallel calls are allowed.
        string_chars: The most characters of a string for which the tool sets no limit, and of a plain answer.
        array_items: The most entries of a list for which the tool sets no limit.
    """

    def __init__(
        self,
        *,
        examples: Sequence[Message] | None = None,
        open_envelopes: bool = False,
        max_calls: int = 4,
        string_chars: int = 240,
        array_items: int = 8,
    ) -> None:
        self._examples = None if examples is None else tuple(examples)
        self._open_envelopes = open_envelopes
        self._max_calls = max_calls
        self._bounds = Bounds(string_chars=string_chars, array_items=array_items)

    def request(self, request: ModelRequest) -> tuple[ModelRequest, dict[str, Any]]:
        """The request without tools, and the further fields of its body.

        Raises:
            RequestRefusedError: `tool_choice` names a tool that is not on offer.
        """
        choice, tools, in_list = request.tool_choice, request.tools, request.parallel_tool_calls
        if choice == "none" or not tools:
            talk = PlainTalk(text_call=None, in_list=False, open_envelopes=self._open_envelopes)
            return _without_tools(request, talk.tell(request.messages)), {}
        text_call = _text_call(tools) if choice == "auto" else None
        schema = reply_schema(
            tools if choice in ("auto", "required") else [_named(choice, tools)],
            text_call,
            max_calls=self._max_calls if in_list else 1,
            bounds=self._bounds,
        )
        talk = PlainTalk(text_call=text_call, in_list=in_list, open_envelopes=self._open_envelopes)
        talk.tell(self._shown(tools, with_text=text_call is not None))
        messages = talk.tell(request.messages)
        # All tools are told, whichever may be called now: the start of the prompt stays the same from step to step,
        # and the endpoint need not read it again.
        messages = _with_system(messages, _note(tools, text_call, in_list=in_list))
        form = {"name": "tool_call", "strict": True, "schema": schema}
        return _without_tools(request, messages), {"response_format": {"type": "json_schema", "json_schema": form}}

    def translator(self, request: ModelRequest) -> Translator:
        """What translates the reply to this request, the one with tools."""
        if request.tool_choice == "none" or not request.tools:
            return Translator(None)
        return Translator(CallCutter({tool.name for tool in request.tools}, _text_call(request.tools)))

    def _shown(self, tools: Sequence[ToolSpec], *, with_text: bool) -> Sequence[Message]:
        return examples_for(tools, with_text=with_text) if self._examples is None else self._examples


class Translator:
    """Turns the chunks of one reply into chunks with tool calls. Arrival times and sizes stay."""

    def __init__(self, cutter: CallCutter | None) -> None:
        self._cutter = cutter

    def feed(self, chunk: Chunk) -> Chunk:
        """The same event, with calls and plain text in the place of their JSON."""
        cutter = self._cutter
        if cutter is None or not (chunk.content or chunk.finish_reason):
            return chunk
        cut = cutter.feed(chunk.content)
        content, finish_reason = cut.content, chunk.finish_reason
        if finish_reason:
            content += cutter.finish()
            if finish_reason == "stop" and cutter.n_calls:
                finish_reason = "tool_calls"
        kind = chunk.kind & ~_CONTENT
        if content:
            kind |= _CONTENT
        for delta in cut.calls:
            kind |= (_TOOL_NAME if delta.name else 0) | (_TOOL_ARGS if delta.arguments else 0)
        calls = (*chunk.tool_calls, *cut.calls)
        return dataclasses.replace(chunk, kind=kind, content=content, tool_calls=calls, finish_reason=finish_reason)


def _without_tools(request: ModelRequest, messages: Sequence[Message]) -> ModelRequest:
    return dataclasses.replace(request, messages=messages, tools=(), tool_choice="none", parallel_tool_calls=False)


def _named(name: str, tools: Sequence[ToolSpec]) -> ToolSpec:
    for tool in tools:
        if tool.name == name:
            return tool
    offered = ", ".join(tool.name for tool in tools)
    raise RequestRefusedError(f"tool_choice is {name!r}, but the tools on offer are: {offered}")


def _text_call(tools: Sequence[ToolSpec]) -> str:
    name = "reply"
    while any(tool.name == name for tool in tools):
        name += "_text"
    return name


def _with_system(messages: Sequence[Message], note: str) -> list[Message]:
    """The messages with the note at the end of the system message, which comes first."""
    first = next((m for m in messages if m.role == "system"), None)
    if first is None:
        return [Message(id="message-tools", role="system", content=(TextPart(text=note),)), *messages]
    told = first.model_copy(update={"content": (TextPart(text=f"{first.text}\n\n{note}"),)})
    return [told, *(m for m in messages if m is not first)]


def _note(tools: Sequence[ToolSpec], text_call: str | None, *, in_list: bool) -> str:
    lines = ["Tools:"]
    told: set[tuple[str, str]] = set()
    for tool in tools:
        properties = tool.parameters.get("properties", {})
        lines.append(f"- {tool.name}({', '.join(properties)}): {_one_line(tool.description)}")
        for name, schema in properties.items():
            about = _one_line(schema.get("description", "")) if isinstance(schema, dict) else ""
            if about and (name, about) not in told:  # what many tools share is told once
                told.add((name, about))
                lines.append(f"  {name}: {about}")
    if text_call is not None:
        lines.append(f"- {text_call}(content): Answer the user in plain text.")
    form = '{"name": tool, "arguments": {...}}'
    lines.append(f"Answer with {'a JSON list of objects' if in_list else 'one JSON object'} {form}.")
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())
