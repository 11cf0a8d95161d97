from __future__ import annotations

import asyncio
import enum
import threading
from dataclasses import dataclass
from typing import Annotated, Literal, Optional

import pytest
from pydantic import BaseModel, Field

from agentlab import clock
from agentlab.agent.tools import Tool, as_tool, to_text, tool, truncate
from agentlab.errors import ToolArgumentError, ToolDefinitionError, ToolTimeoutError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Place(BaseModel):
    city: str
    zip_code: str | None = None


@tool
def plain(query: str, limit: int = 10) -> list[str]:
    """Search the notes.

    The newest come first.

    Args:
        query: What to look for.
        limit: How many hits at most.
    """
    return [query] * limit


def test_the_schema_comes_from_signature_and_docstring():
    assert plain.spec.model_dump() == {
        "name": "plain",
        "description": "Search the notes.\n\nThe newest come first.",
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "query": {"type": "string", "description": "What to look for."},
                "limit": {"type": "integer", "default": 10, "description": "How many hits at most."},
            },
            "required": ["query"],
        },
    }


def test_a_tool_is_still_the_function_it_was_made_of():
    assert plain("a", limit=2) == ["a", "a"]
    assert plain.__name__ == "plain"
    assert repr(plain) == "<tool plain(query, limit)>"


async def test_models_enums_literals_and_optionals_arrive_as_their_types():
    seen: list[object] = []

    @tool
    def visit(place: Place, colour: Colour, mode: Literal["walk", "ride"], note: Optional[str] = None) -> None:  # noqa: UP045
        seen.extend([place, colour, mode, note])

    await visit.run({"place": {"city": "Rome"}, "colour": "red", "mode": "walk"})

    assert seen == [Place(city="Rome"), Colour.RED, "walk", None]


async def test_keyword_only_positional_only_and_star_arguments_are_filled():
    @tool
    def many(a: int, /, b: int, *rest: int, key: int = 1) -> tuple[object, ...]:
        return a, b, rest, key

    assert await many.run({"a": 1, "b": 2, "rest": [3, 4], "key": 5}) == (1, 2, (3, 4), 5)
    assert await many.run({"a": 1, "b": 2}) == (1, 2, (), 1)


async def test_names_that_pydantic_keeps_for_itself_are_ordinary_parameters():
    @tool
    def odd(model_dump: str, _hidden: int, schema: str, copy: bool) -> str:
        return f"{model_dump}{_hidden}{schema}{copy}"

    assert set(odd.spec.parameters["properties"]) == {"model_dump", "_hidden", "schema", "copy"}
    assert await odd.run({"model_dump": "a", "_hidden": 1, "schema": "b", "copy": True}) == "a1bTrue"


def test_a_property_called_title_stays_in_the_schema():
    @tool
    def book(title: str, place: Place) -> None: ...

    assert "title" in book.spec.parameters["properties"]
    assert "title" not in book.spec.parameters["$defs"]["Place"]


async def test_constraints_are_checked():
    @tool
    def pick(n: Annotated[int, Field(ge=1, le=6)]) -> int:
        return n

    assert pick.spec.parameters["properties"]["n"] == {"type": "integer", "minimum": 1, "maximum": 6}
    with pytest.raises(ToolArgumentError, match="`n`"):
        await pick.run({"n": 7})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "`query`: Field required"),
        ({"query": "a", "limit": "3"}, r"`limit`: .*integer \(got '3'\)"),
        ({"query": "a", "colour": 1}, "`colour`: Extra inputs"),
        ({"query": None}, "`query`: .*string"),
    ],
    ids=["missing", "wrong-type", "unknown", "null"],
)
def test_wrong_arguments_are_named(arguments, text):
    with pytest.raises(ToolArgumentError, match=text):
        plain.check(arguments)


def takes_more(**more: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x: x, "parameter `x` has no type hint"),
        (takes_more, r"takes `\*\*more`"),
    ],
    ids=["no-hint", "double-star"],
)
def test_a_function_that_no_model_could_call_is_refused(function, text):
    with pytest.raises(ToolDefinitionError, match=text):
        tool(function)


def test_a_type_without_a_schema_is_refused():
    class Opaque: ...

    def use(thing: Opaque) -> None: ...

    use.__annotations__["thing"] = Opaque
    with pytest.raises(ToolDefinitionError, match="no JSON schema"):
        tool(use)


def test_a_hint_that_names_nothing_is_refused():
    def use(thing: Nowhere) -> None: ...  # noqa: F821

    with pytest.raises(ToolDefinitionError, match="Nowhere"):
        tool(use)


def test_what_is_no_function_is_refused():
    with pytest.raises(ToolDefinitionError, match="'search' is no tool"):
        as_tool("search")
    with pytest.raises(ToolDefinitionError, match="timeout_s is 0"):
        Tool(plain.function, timeout_s=0)


async def test_a_plain_function_runs_outside_the_event_loop():
    @tool
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert await where.run({}) is False


async def test_methods_partials_and_callable_objects_become_tools():
    class Shop:
        def price(self, item: str) -> str:
            return f"{item}: 3"

        async def __call__(self, item: str) -> str:
            return item

    assert await tool(Shop().price).run({"item": "tea"}) == "tea: 3"
    assert await tool(Shop(), name="shop").run({"item": "tea"}) == "tea"


async def test_an_async_tool_is_stopped_at_its_limit_in_virtual_time():
    stopped = asyncio.Event()

    @tool(timeout_s=5)
    async def slow() -> str:
        try:
            await clock.sleep(60)
        except asyncio.CancelledError:
            stopped.set()
            raise
        return "late"

    with clock.frozen() as time:
        with pytest.raises(ToolTimeoutError, match="`slow` was stopped after its time limit of 5 s"):
            await slow.run({})
        assert time.monotonic_ns() == 5_000_000_000
    assert stopped.is_set()


async def test_a_plain_tool_is_given_up_at_its_limit():
    release = threading.Event()

    @tool(timeout_s=0.02)
    def stuck() -> None:
        release.wait(10)

    with pytest.raises(ToolTimeoutError, match="stuck"):
        await stuck.run({})
    release.set()


async def test_an_own_timeout_error_is_not_mistaken_for_the_limit():
    @tool(timeout_s=5)
    def failing() -> None:
        raise TimeoutError("the database did not answer")

    with pytest.raises(TimeoutError, match="the database"):
        await failing.run({})


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as is", "as is"),
        (None, "None"),
        (3, "3"),
        ({"a": "é"}, '{\n  "a": "é"\n}'),
        ([1, 2], "[\n  1,\n  2\n]"),
        (Place(city="Rome"), '{\n  "city": "Rome",\n  "zip_code": null\n}'),
        ([Place(city="Rome")], '[\n  {\n    "city": "Rome",\n    "zip_code": null\n  }\n]'),
        (Point(1), '{\n  "x": 1\n}'),
        ({"s": {3, 1}}, '{\n  "s": [\n    1,\n    3\n  ]\n}'),
        ({1: "a"}, '{\n  "1": "a"\n}'),
        ({"huge": 2**80}, "{'huge': 1208925819614629174706176}"),
    ],
    ids=["text", "none", "number", "dict", "list", "model", "models", "dataclass", "set", "int-keys", "big-int"],
)
def test_a_result_becomes_text(value, text):
    assert to_text(value) == text


def test_a_long_text_is_cut_with_a_note():
    note = "... [NOTE: function output was truncated since it exceeded the character limit (6 > 4)]"
    assert truncate("abcdef", 4) == "abcd" + note
    assert truncate("abcd", 4) == "abcd"
    assert truncate("abcdef", None) == "abcdef"
    assert truncate("abcdef", 0) == "abcdef"
