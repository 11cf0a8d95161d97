"""Worked examples of tool calls, made from the schemas of the tools on offer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from agentlab.messages.message import FunctionCall, Message, ToolCall
from agentlab.messages.parts import TextPart
from agentlab.trace.events import ToolSpec

_BY_FORMAT = {"date": "2026-01-31", "time": "12:30:00", "date-time": "2026-01-31T12:30:00Z"}
_BY_TYPE = {"integer": 3, "number": 2.5, "boolean": False, "null": None}
_MOST = 4
_DEEPEST = 6


def examples_for(tools: Sequence[ToolSpec], *, with_text: bool) -> list[Message]:
    """One exchange for each of the first few tools: a user asks, the model calls. Small models copy this form.

    Args:
        tools: The tools on offer.
        with_text: Whether a first exchange is answered in plain text.
    """
    messages: list[Message] = []
    if with_text:  # first, as small models repeat what stands last
        messages += [
            _message("text-asked", "user", "Hello!"),
            _message("text-answered", "assistant", "Hello! What can I do for you?"),
        ]
    for tool in tools[:_MOST]:
        arguments = example_arguments(tool.parameters)
        asked = ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items())
        call = FunctionCall(name=tool.name, arguments=json.dumps(arguments, ensure_ascii=False))
        messages += [
            _message(f"{tool.name}-asked", "user", f"{_first_line(tool.description)} {asked}".strip()),
            _message(f"{tool.name}-called", "assistant", None, ToolCall(id=f"example-{tool.name}", function=call)),
        ]
    return messages


def example_arguments(parameters: dict[str, Any]) -> dict[str, Any]:
    """Values for the required arguments: the schema's own examples and defaults where it has some."""
    value = _example(parameters, "value", parameters, 0)
    return value if isinstance(value, dict) else {}


def _example(schema: Any, name: str, root: dict[str, Any], depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return name
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _example(schema[key][0], name, root, depth + 1)
    if "$ref" in schema:
        return _example(_resolved(schema["$ref"], root), name, root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        wanted = [key for key in schema.get("required", ()) if key in properties]
        return {key: _example(properties[key], key, root, depth + 1) for key in wanted}
    if kind == "array":
        parts = schema.get("prefixItems") or [schema.get("items", {})]
        return [_example(part, name, root, depth + 1) for part in parts]
    return _BY_TYPE[kind] if kind in _BY_TYPE else _BY_FORMAT.get(schema.get("format", ""), name)


def _resolved(reference: str, root: dict[str, Any]) -> Any:
    place: Any = root
    for step in reference.removeprefix("#").split("/")[1:]:
        place = place.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(place, dict) else None
    return place


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]


def _message(what: str, role: Any, text: str | None, call: ToolCall | None = None) -> Message:
    content = () if text is None else (TextPart(text=text),)
    return Message(id=f"example-{what}", role=role, content=content, tool_calls=(call,) if call else None)
