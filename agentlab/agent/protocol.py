"""The two ways to talk with a model: `memgpt` (every reply is a tool call) and `native` (text ends the turn).

A protocol says which tools are offered and how, reads the calls that come back, and writes what the model reads. The
loop is the same for both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import orjson

from agentlab.agent.tools import Tool, tool
from agentlab.errors import ToolDefinitionError
from agentlab.messages import envelopes
from agentlab.messages.message import Message, ToolCall
from agentlab.messages.parts import TextPart
from agentlab.trace.events import ToolSpec
from agentlab.trace.trace import Trace

REQUEST_HEARTBEAT = "request_heartbeat"
THINKING = "thinking"
SEND_MESSAGE = "send_message"

_OF_THE_PROTOCOL = frozenset({REQUEST_HEARTBEAT, THINKING})

_HEARTBEAT_SCHEMA = {
    "type": "boolean",
    "description": "Ask for another step after this call: true to call a further tool, false to end the turn.",
}
_THINKING_SCHEMA = {
    "type": "string",
    "description": "Your private inner monologue about what to do and why. Write it before the other arguments.",
}

_MEMGPT_SYSTEM = (
    "You work in steps, and every step is one tool call. The user reads only what you send with `send_message`. "
    "Set `request_heartbeat` to true when you need another step after a call; without it your turn ends."
)


@dataclass(frozen=True, slots=True)
class OpenedCall:
    """A tool call, read."""

    call: ToolCall
    """As it stands in the conversation."""
    arguments: dict[str, Any] | None
    """What the tool gets; None when the text is no JSON object."""
    problem: str | None
    """Why `arguments` is None."""
    heartbeat_requested: bool
    thinking: str | None = None
    """Inner thoughts that came among the arguments."""


class TalkProtocol(Protocol):
    """How an agent and its model talk."""

    name: ClassVar[Literal["memgpt", "native"]]
    demands_call: ClassVar[bool]
    """A reply without a tool call is no answer."""

    @property
    def inner_thoughts(self) -> bool:
        """Each tool gets a first argument in which the model thinks."""
        ...

    def default_system(self) -> str:
        """The system message of an agent that has none of its own; may be empty."""
        ...

    def own_tools(self) -> list[Tool]:
        """Tools that belong to the protocol."""
        ...

    def offer(self, tool: Tool, *, terminal: bool) -> ToolSpec:
        """The tool as the model is told of it. After a terminal tool the run ends, whatever the model asks for."""
        ...

    def open(self, call: ToolCall) -> OpenedCall:
        """Read a call that the model made."""
        ...

    def user_text(self, text: str, timezone: str) -> str:
        """What the model reads of a user's text."""
        ...

    def return_text(self, text: str, *, ok: bool, timezone: str) -> str:
        """What the model reads of a tool's return."""
        ...

    def default_reason(self, *, ok: bool) -> str | None:
        """Why the model gets another step after tool calls, in words for it; None: their returns say enough."""
        ...

    def heartbeat_text(self, reason: str, timezone: str) -> str:
        """What the model reads of a heartbeat."""
        ...

    def summary_text(self, text: str, hidden: int, total: int, timezone: str) -> str:
        """What the model reads in the place of messages that left the context."""
        ...

    def as_sent(self, message: Message) -> Message:
        """A stored message in the form in which the model once wrote it."""
        ...


class Native:
    """Text ends the turn, tool calls go on; nothing is wrapped."""

    name: ClassVar[Literal["memgpt", "native"]] = "native"
    demands_call: ClassVar[bool] = False
    inner_thoughts = False

    def default_system(self) -> str:
        return ""

    def own_tools(self) -> list[Tool]:
        return []

    def offer(self, tool: Tool, *, terminal: bool) -> ToolSpec:
        return tool.spec

    def open(self, call: ToolCall) -> OpenedCall:
        arguments, problem = _read_arguments(call.function.arguments)
        return OpenedCall(call, arguments, problem, heartbeat_requested=True)

    def user_text(self, text: str, timezone: str) -> str:
        return text

    def return_text(self, text: str, *, ok: bool, timezone: str) -> str:
        return text if ok else f"Error: {text}"

    def default_reason(self, *, ok: bool) -> str | None:
        return None

    def heartbeat_text(self, reason: str, timezone: str) -> str:
        return reason

    def summary_text(self, text: str, hidden: int, total: int, timezone: str) -> str:
        return f"{hidden} of the {total} messages of this conversation are no longer shown. A summary of them:\n{text}"

    def as_sent(self, message: Message) -> Message:
        return _with_readable_arguments(message)


class Memgpt:
    """Every reply is a tool call; `send_message` speaks to the user, `request_heartbeat` asks for another step.

    Args:
        inner_thoughts: Each tool gets a first argument `thinking`, which becomes the text of the assistant message.
    """

    name: ClassVar[Literal["memgpt", "native"]] = "memgpt"
    demands_call: ClassVar[bool] = True

    def __init__(self, *, inner_thoughts: bool = False) -> None:
        self.inner_thoughts = inner_thoughts

    def default_system(self) -> str:
        return _MEMGPT_SYSTEM

    def own_tools(self) -> list[Tool]:
        return [_send_message]

    def offer(self, tool: Tool, *, terminal: bool) -> ToolSpec:
        parameters = tool.spec.parameters
        properties, required = parameters["properties"], parameters["required"]
        reserved = {REQUEST_HEARTBEAT, THINKING} & properties.keys()
        if reserved:
            raise ToolDefinitionError(
                f"`{tool.name}` has a parameter `{min(reserved)}`, which the memgpt protocol needs itself; rename it"
            )
        first = {THINKING: _THINKING_SCHEMA} if self.inner_thoughts else {}
        last = {} if terminal else {REQUEST_HEARTBEAT: _HEARTBEAT_SCHEMA}
        return tool.spec.model_copy(
            update={
                "parameters": {
                    **parameters,
                    "properties": {**first, **properties, **last},
                    "required": [*first, *required, *last],
                }
            }
        )

    def open(self, call: ToolCall) -> OpenedCall:
        arguments, problem = _read_arguments(call.function.arguments)
        if arguments is None:
            return OpenedCall(call, None, problem, heartbeat_requested=False)
        thinking = arguments.pop(THINKING, None)
        stored = dict(arguments)
        heartbeat = _truth(arguments.pop(REQUEST_HEARTBEAT, False))
        if thinking is None or not self.inner_thoughts:
            return OpenedCall(call, arguments, None, heartbeat)
        return OpenedCall(_with_arguments(call, stored), arguments, None, heartbeat, str(thinking))

    def user_text(self, text: str, timezone: str) -> str:
        return envelopes.user_message(text, timezone=timezone)

    def return_text(self, text: str, *, ok: bool, timezone: str) -> str:
        return envelopes.tool_return(text, ok=ok, timezone=timezone)

    def default_reason(self, *, ok: bool) -> str | None:
        return envelopes.heartbeat_reason(ok=ok)

    def heartbeat_text(self, reason: str, timezone: str) -> str:
        return envelopes.heartbeat(reason, timezone=timezone)

    def summary_text(self, text: str, hidden: int, total: int, timezone: str) -> str:
        return envelopes.summary(text, hidden=hidden, total=total, timezone=timezone)

    def as_sent(self, message: Message) -> Message:
        message = _with_readable_arguments(message)
        if not (self.inner_thoughts and message.tool_calls and message.text):
            return message
        first, *rest = message.tool_calls
        arguments = {THINKING: message.text, **orjson.loads(first.function.arguments)}
        content = tuple(part for part in message.content or () if not isinstance(part, TextPart))
        return message.model_copy(update={"tool_calls": (_with_arguments(first, arguments), *rest), "content": content})


@tool
async def send_message(message: str) -> None:
    """Send a message to the user.

    Args:
        message: What the user will read.
    """


_send_message = send_message


_LONG_NUMBER = re.compile(r"[:\[,]\s*-?\d{19,}\s*[,\]}]")
"""A whole number that JSON decoders may round: a model's argument must not become another one."""


def _read_arguments(text: str) -> tuple[dict[str, Any] | None, str | None]:
    """The arguments as a dictionary, or what is wrong with their text."""
    if not text.strip():
        return {}, None
    if _LONG_NUMBER.search(text):
        return None, f"they hold a number of more digits than can be kept; write it as text: {text[:200]}"
    try:
        value = orjson.loads(text)
        if isinstance(value, str):  # some models write the object as a JSON string
            value = orjson.loads(value)
    except orjson.JSONDecodeError as exc:
        return None, f"they are no JSON ({exc}): {text[:200]}"
    if not isinstance(value, dict):
        return None, f"they are a JSON {_kind(value)}, not an object: {text[:200]}"
    if not _is_writable(value):
        return None, f"they are nested too deeply: {text[:200]}"
    return value, None


def _kind(value: object) -> str:
    kinds: dict[type, str] = {list: "array", bool: "boolean", int: "number", float: "number", str: "string"}
    return kinds.get(type(value), "null")


def _truth(value: object) -> bool:
    return value.lower() == "true" if isinstance(value, str) else bool(value)


def _with_arguments(call: ToolCall, arguments: dict[str, Any]) -> ToolCall:
    text = orjson.dumps(arguments).decode()
    return call.model_copy(update={"function": call.function.model_copy(update={"arguments": text})})


def _with_readable_arguments(message: Message) -> Message:
    """Providers that parse a history refuse arguments that are no JSON object: they are sent as an empty one.

    The trace keeps what the model wrote, and the failed return tells the model about it.
    """
    calls = message.tool_calls
    if not calls:
        return message
    mended = tuple(
        call
        if _is_object(call.function.arguments)
        else _with_arguments(call, _read_arguments(call.function.arguments)[0] or {})
        for call in calls
    )
    return message if mended == calls else message.model_copy(update={"tool_calls": mended})


def _is_object(text: str) -> bool:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and _is_writable(value)


def _is_writable(value: object) -> bool:
    """False for what can be read as JSON and not be written again: it is nested too deeply."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def own_parameters(spec: ToolSpec) -> dict[str, Any]:
    """JSON schema of a tool's own arguments, without those that a protocol adds to every tool and takes out again."""
    properties = {name: p for name, p in spec.parameters["properties"].items() if name not in _OF_THE_PROTOCOL}
    required = [name for name in spec.parameters.get("required", ()) if name not in _OF_THE_PROTOCOL]
    return {**spec.parameters, "properties": properties, "required": required}


def spoken_text(trace: Trace) -> str | None:
    """What the agent told the user last, in either protocol; None when it has said nothing."""
    for entry in reversed(trace.entries):
        if entry.source != "model":
            continue
        for call in reversed(entry.message.tool_calls or ()):
            if call.function.name == SEND_MESSAGE:
                arguments, _ = _read_arguments(call.function.arguments)
                if arguments and isinstance(arguments.get("message"), str):
                    return str(arguments["message"])
        if entry.message.text and trace.started.protocol == "native":
            return entry.message.text
    return None
