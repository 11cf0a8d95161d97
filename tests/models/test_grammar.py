"""The schema of a reply: everything in it has an end, and it says the same as the tools' own schemas."""

from __future__ import annotations

import copy
from enum import StrEnum
from typing import Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field, TypeAdapter

from agentlab.models._grammar import Bounds, bounded, reply_schema
from agentlab.trace.events import ToolSpec

BOUNDS = Bounds(string_chars=20, array_items=3, depth=1)


class Unit(StrEnum):
    KM = "km"
    MILE = "mile"


class Spot(BaseModel):
    x: float
    label: str | None = None


class Tree(BaseModel):
    value: str
    children: list[Tree] = Field(default_factory=list)


class Trip(BaseModel):
    unit: Unit
    mode: Literal["walk", "ride"]
    start: Spot
    stops: list[Spot]
    tree: Tree
    pair: tuple[int, str]
    tags: dict[str, int]
    count: int = Field(ge=1, le=12)
    note: str | None = None


TRIP = ToolSpec(name="trip", description="", parameters=TypeAdapter(Trip).json_schema())
EXAMPLE: dict[str, Any] = {
    "unit": "km",
    "mode": "ride",
    "start": {"x": 1.5, "label": None},
    "stops": [{"x": 1}, {"x": 2, "label": "b"}],
    "tree": {"value": "a", "children": [{"value": "b", "children": []}]},
    "pair": [1, "one"],
    "tags": {"a": 1},
    "count": 3,
}


def endless(schema: Any) -> list[Any]:
    """The parts of a schema that allow a text or a list without end."""
    found = []
    if isinstance(schema, list):
        return [part for inner in schema for part in endless(inner)]
    if isinstance(schema, dict):
        types = schema.get("type", ())
        if "string" in types and not {"maxLength", "pattern", "enum", "const"} & schema.keys():
            found.append(schema)
        if "array" in types and "maxItems" not in schema:
            found.append(schema)
        if schema.get("additionalProperties") in (True, {}):
            found.append(schema)
        found += [part for inner in schema.values() for part in endless(inner)]
    return found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "string"}, {"type": "string", "maxLength": 20}),
        ({"type": "string", "maxLength": 5}, {"type": "string", "maxLength": 5}),
        ({"type": "string", "maxLength": 500}, {"type": "string", "maxLength": 500}),
        ({"type": "string", "minLength": 30}, {"type": "string", "minLength": 30, "maxLength": 30}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"], "maxLength": 20}),
        ({"minLength": 2}, {"type": "string", "minLength": 2, "maxLength": 20}),
        ({"enum": ["a", 1]}, {"enum": ["a", 1]}),
        ({"type": "string", "const": "a"}, {"type": "string", "const": "a"}),
        ({"type": "integer", "minimum": 1, "title": "N", "description": "n"}, {"type": "integer", "minimum": 1}),
        ({"minimum": 1}, {"type": "number", "minimum": 1}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date", "maxLength": 20}),
        (
            {"type": "array", "items": {"type": "integer"}},
            {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
        ),
        (
            {"type": "array", "items": {"type": "integer"}, "minItems": 7},
            {"type": "array", "items": {"type": "integer"}, "minItems": 7, "maxItems": 7},
        ),
        (
            {"type": "array", "items": [{"type": "integer"}, {"type": "null"}]},
            {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}], "maxItems": 2},
        ),
        (
            {"anyOf": [{"type": "integer", "title": "N"}, {"type": "null"}], "default": None},
            {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        ),
        (
            {"prefixItems": [{"type": "integer", "title": "N"}, {"type": "null"}]},
            {"prefixItems": [{"type": "integer"}, {"type": "null"}], "maxItems": 2},
        ),
        ({"items": {"type": "null"}}, {"items": {"type": "null"}, "maxItems": 3}),
        ({"$ref": "#/$defs/A", "description": "an A"}, {"$ref": "#/$defs/A"}),
        (False, {"type": "null"}),
    ],
)
def test_only_what_shapes_the_text_is_kept_and_it_ends(given, expected):
    before = copy.deepcopy(given)
    result = bounded(given, BOUNDS)

    assert result == expected
    assert endless(result) == []
    assert given == before


@pytest.mark.parametrize("given", [True, {}, {"title": "X"}, {"description": "anything"}])
def test_anything_is_anything_of_a_limited_depth(given):
    schema = bounded(given, BOUNDS)

    assert endless(schema) == []
    for value in ("a", 1.5, None, True, ["a", 1], {"k": "v"}):
        jsonschema.validate(value, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([[[]]], schema)


def test_a_list_and_an_object_without_details_hold_anything():
    assert endless(bounded({"type": "array"}, BOUNDS)) == []
    jsonschema.validate({"k": [1]}, bounded({"type": "object"}, BOUNDS))
    jsonschema.validate({"a": 1, "k": [1]}, bounded({"properties": {"a": {}}, "additionalProperties": {}}, BOUNDS))


def test_an_object_holds_its_properties_and_no_others():
    schema = bounded({"properties": {"type": {"type": "string"}, "items": {"type": "null"}}}, BOUNDS)

    assert schema["properties"] == {"type": {"type": "string", "maxLength": 20}, "items": {"type": "null"}}
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        (r"^\d{4}-\d{2}$", "^[0-9]{4}-[0-9]{2}$"),
        (r"^(cat|dog)s?$", "^(cat|dog)s?$"),
        (r"^[A-Z]{2,3}\.x$", r"^[A-Z]{2,3}\.x$"),
        (r"^[a-z]+$", None),
        (r"^a*$", None),
        (r"^a{2,}$", None),
        (r"[a-z]{3}", None),
        (r"^(?=a)[a-z]{3}$", None),
        (r"^\w{3}$", None),
        (r"^.{3}$", None),
        (7, None),
    ],
)
def test_a_pattern_is_kept_when_grammars_know_it_and_it_ends(pattern, kept):
    schema = bounded({"type": "string", "pattern": pattern}, BOUNDS)

    assert schema == ({"type": "string", "pattern": kept} if kept else {"type": "string", "maxLength": 20})


def test_references_find_their_definitions_in_the_whole_schema():
    schema = reply_schema([TRIP, TRIP.model_copy(update={"name": "other"})], "reply", max_calls=1, bounds=BOUNDS)

    assert endless(schema) == []
    for name in ("trip", "other"):
        jsonschema.validate({"name": name, "arguments": EXAMPLE}, schema)
    for wrong in ({"unit": "inch"}, {"start": {"x": "left"}}, {"tree": {"value": 5}}, {"count": 13}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"name": "trip", "arguments": {**EXAMPLE, **wrong}}, schema)


def test_a_single_alternative_stands_alone():
    schema = reply_schema([TRIP], None, max_calls=1, bounds=BOUNDS)

    assert "anyOf" not in schema
    jsonschema.validate({"name": "trip", "arguments": EXAMPLE}, schema)


def test_a_tool_without_parameters_is_called_with_an_empty_object():
    schema = reply_schema(
        [ToolSpec(name="now", description="", parameters={"properties": {}})], None, max_calls=1, bounds=BOUNDS
    )

    jsonschema.validate({"name": "now", "arguments": {}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "now", "arguments": {"a": 1}}, schema)
