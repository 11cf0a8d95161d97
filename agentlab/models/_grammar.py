"""The JSON schema that a reply must follow: one alternative a tool, every string and every list bounded.

Engines that turn a schema into a grammar refuse some keywords and ignore others, and a small model that may write a
string without end does so. Only keywords that shape the grammar are kept; whoever runs the tool checks the rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentlab.trace.events import ToolSpec

Schema = dict[str, Any]

_AS_IT_IS = frozenset(
    {
        "type", "enum", "const", "required", "minItems", "maxItems", "minLength", "maxLength", "format",
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    }
)  # fmt: skip
_SHAPES = frozenset({"type", "enum", "const", "properties", "items", "prefixItems", "anyOf", "oneOf", "allOf"})
_IMPLIED_TYPES = {
    "properties": "object", "additionalProperties": "object", "required": "object",
    "items": "array", "prefixItems": "array", "minItems": "array", "maxItems": "array",
    "pattern": "string", "format": "string", "minLength": "string", "maxLength": "string",
    "minimum": "number", "maximum": "number", "exclusiveMinimum": "number", "exclusiveMaximum": "number",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a model may write where the tool itself sets no limit."""

    string_chars: int = 240
    array_items: int = 8
    depth: int = 2
    """How deep a value may be nested whose schema allows anything."""


def reply_schema(tools: Sequence[ToolSpec], plain: str | None, *, max_calls: int, bounds: Bounds) -> Schema:
    """The schema of one reply.

    Args:
        tools: What may be called.
        plain: The name under which plain text may be written; None where a call is demanded.
        max_calls: 1 for one object, more for a list of one to so many.
        bounds: Limits of strings and lists.
    """
    definitions: Schema = {}
    alternatives = []
    for tool in tools:
        arguments = bounded({"type": "object", **tool.parameters}, bounds)
        if _has_reference(arguments):
            # References count from the root: the whole schema goes there, and they are told where it went.
            place = f"arguments{len(definitions)}"
            definitions[place] = _moved(arguments, f"#/$defs/{place}")
            arguments = {"$ref": f"#/$defs/{place}"}
        alternatives.append(_call(tool.name, arguments))
    if plain is not None:
        alternatives.append(_call(plain, _object(content=_text(bounds))))
    schema = alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}
    if max_calls > 1:
        schema = {"type": "array", "minItems": 1, "maxItems": max_calls, "items": schema}
    return {**schema, "$defs": definitions} if definitions else schema


def bounded(schema: object, bounds: Bounds) -> Schema:
    """What a grammar can use of a schema, with a limit on every string and list."""
    if not isinstance(schema, dict):
        return {"type": "null"} if schema is False else _anything(bounds, bounds.depth)
    found: Schema = {}
    for key, value in schema.items():
        if key in _AS_IT_IS or key == "$ref":
            found[key] = value
        elif key in ("properties", "$defs", "definitions"):
            found[key] = {name: bounded(inner, bounds) for name, inner in value.items()}
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems") or (key == "items" and isinstance(value, list)):
            # Before 2020 a tuple's parts were written under `items`.
            found["prefixItems" if key == "items" else key] = [bounded(inner, bounds) for inner in value]
        elif key == "items":
            found[key] = bounded(value, bounds)
    if "$ref" in found:
        return {key: found[key] for key in ("$ref", "$defs", "definitions") if key in found}
    if not _SHAPES & found.keys():
        implied = next((_IMPLIED_TYPES[key] for key in schema if key in _IMPLIED_TYPES), None)
        if implied is None:
            return found | _anything(bounds, bounds.depth)
        found["type"] = implied
    return _limited(found, schema, bounds)


def _limited(found: Schema, schema: Schema, bounds: Bounds) -> Schema:
    types = found.get("type", ())
    types = {types} if isinstance(types, str) else set(types)
    if "string" in types and not {"enum", "const"} & found.keys():
        pattern = _finite_pattern(schema.get("pattern"))
        if pattern is None:
            found.setdefault("maxLength", max(bounds.string_chars, found.get("minLength", 0)))
        else:
            found["pattern"] = pattern
    if "array" in types or "items" in found or "prefixItems" in found:
        n_parts = len(found.get("prefixItems", ()))
        found.setdefault("maxItems", max(n_parts or bounds.array_items, found.get("minItems", 0)))
        if not n_parts:
            found.setdefault("items", _anything(bounds, bounds.depth))
    if "object" in types or "properties" in found:
        free = schema.get("additionalProperties", "properties" not in found)
        found["additionalProperties"] = False if free is False else bounded(free, bounds)
    return found


def _anything(bounds: Bounds, depth: int) -> Schema:
    plain = [_text(bounds), {"type": "number"}, {"type": "boolean"}, {"type": "null"}]
    if not depth:
        return {"anyOf": plain}
    inner = _anything(bounds, depth - 1)
    array = {"type": "array", "items": inner, "maxItems": bounds.array_items}
    return {"anyOf": [*plain, array, {"type": "object", "additionalProperties": inner}]}


def _finite_pattern(pattern: object) -> str | None:
    """The pattern in the few signs that grammars know; None where it could match without end or is too clever."""
    if not isinstance(pattern, str):
        return None
    simple = pattern.replace(r"\d", "[0-9]")
    known = re.fullmatch(r"\^(?:\w|[ :;,/@#%&=!~'-]|\\[.+*?/-]|\{\d+(?:,\d+)?\}|\[[\w -]+\]|[?()|])+\$", simple)
    return simple if known and "(?" not in simple else None


def _has_reference(schema: object) -> bool:
    if isinstance(schema, dict):
        return isinstance(schema.get("$ref"), str) or any(_has_reference(inner) for inner in schema.values())
    return isinstance(schema, list) and any(_has_reference(inner) for inner in schema)


def _moved(schema: Any, place: str) -> Any:
    if isinstance(schema, list):
        return [_moved(inner, place) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {key: _moved(value, place) for key, value in schema.items()}
    target = moved.get("$ref")
    if isinstance(target, str) and target.startswith("#"):
        moved["$ref"] = place + target[1:]
    return moved


def _call(name: str, arguments: Schema) -> Schema:
    return _object(name={"const": name}, arguments=arguments)


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _text(bounds: Bounds) -> Schema:
    return {"type": "string", "maxLength": bounds.string_chars}
