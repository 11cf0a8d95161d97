"""One value as a frame."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.errors import InputError
from agentlab.models._sse import EventSplitter
from agentlab.serve.sse import ServerEvent, format_event

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


class Colour(Enum):
    RED = "red"
    FIVE = 5


class Status(StrEnum):
    DONE = "done"


class Level(IntEnum):
    HIGH = 3


class Loose(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)


@dataclass
class Point:
    x: int


def payload(data: object) -> Any:
    frame = format_event(data)
    assert frame.startswith("data: ")
    assert frame.endswith("\n\n")
    return json.loads(frame[6:-2], parse_constant=pytest.fail)


def events(frame: str) -> list[tuple[str, bytes]]:
    return EventSplitter().feed(frame.encode())


@given(st.dictionaries(TEXT, PLAIN, max_size=5))
def test_a_dictionary_is_written_as_the_standard_library_writes_it_compactly(data):
    assert format_event(data) == f"data: {json.dumps(data, separators=(',', ':'))}\n\n"


@given(st.dictionaries(TEXT, PLAIN, max_size=5))
def test_a_model_is_written_as_the_dictionary_of_its_fields(data):
    class Holder(pydantic.BaseModel):
        held: Any

    assert format_event(Holder(held=data)) == format_event({"held": data})


@given(st.dictionaries(TEXT, PLAIN, max_size=5))
def test_a_value_is_one_line_even_for_readers_who_split_at_every_kind_of_line_end(data):
    assert len(format_event(data).splitlines()) == 2


@given(st.text(st.sampled_from("ab :\t\r\n")) | TEXT)
def test_text_comes_out_of_its_frame_as_it_went_in_but_for_the_kind_of_line_end(text):
    lines = text.replace("\r\n", "\n").replace("\r", "\n")

    assert events(format_event(text)) == [("", lines.encode())]


@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
def test_each_line_of_a_text_has_its_own_field(line_end):
    assert format_event(line_end.join(["one", "", " three", ""])) == "data: one\ndata: \ndata:  three\ndata: \n\n"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(seconds=90), "PT1M30S"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.10"), "1.10"),
        (b"na\xc3\xafve", "naïve"),
        (b"\xff\x00", "/wA="),
        (bytearray(b"ab"), "ab"),
        (Colour.RED, "red"),
        (Colour.FIVE, 5),
        (Status.DONE, "done"),
        (Level.HIGH, 3),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": (1, 2)}), {"a": [1, 2]}),
        ({1}, [1]),
        (Point(1), {"x": 1}),
        (Loose(deep=Loose(x=b"\xff")), {"deep": {"x": "/w=="}}),
        (pydantic.SecretStr("sk-secret"), "**********"),
        (2**70, 2**70),
        (math.nan, None),
        ([math.inf, -math.inf], [None, None]),
        ("half \ud83d", "half \ufffd"),
        ({2: 1, False: 2, 1.5: 3, Colour.RED: 4}, {"2": 1, "false": 2, "1.5": 3, "red": 4}),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_values_that_json_has_no_form_for_get_one(value, written):
    for holder in ({"value": value}, Loose(value=value)):
        assert payload(holder) == {"value": written}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_model_never_writes_nan_or_infinities_whatever_it_is_set_up_to(value):
    class Reading(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(ser_json_inf_nan="constants")
        value: float

    assert payload(Reading(value=value)) == {"value": None}


def test_words_that_look_like_numbers_stay_words():
    assert payload(Loose(note="NaN and Infinity", None_="N I")) == {"note": "NaN and Infinity", "None_": "N I"}


def test_the_delete_character_is_escaped_as_the_standard_library_does():
    assert format_event({"x": "\x7f"}) == 'data: {"x":"\\u007f"}\n\n'


def test_a_model_is_written_by_its_own_serialisers():
    class Timed(pydantic.BaseModel):
        at: datetime
        token: pydantic.SecretStr

        @pydantic.field_serializer("at", when_used="json")
        def _year(self, at: datetime) -> int:
            return at.year

    timed = Timed(at=datetime(2026, 1, 2, tzinfo=UTC), token="sk-1")  # noqa: S106  # a made-up one

    assert payload(timed) == {"at": 2026, "token": "**********"}


def test_a_field_with_a_value_of_another_type_is_sent_without_a_warning():
    assert payload(Loose.model_construct(n=1).model_copy(update={"n": Colour.RED})) == {"n": "red"}

    class Counted(pydantic.BaseModel):
        n: int

    assert payload(Counted.model_construct(n="three")) == {"n": "three"}


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        (Colour.RED, "data: red\n\n"),
        (Colour.FIVE, "data: 5\n\n"),
        (Status.DONE, "data: done\n\n"),
        (Level.HIGH, "data: 3\n\n"),
        (None, "data: null\n\n"),
        (True, "data: true\n\n"),
        ([1, "a"], 'data: [1,"a"]\n\n'),
        (b"raw", 'data: "raw"\n\n'),
        ("half \ud83d pair", "data: half \ufffd pair\n\n"),
    ],
)
def test_an_enum_is_its_value_and_everything_but_text_is_json(data, frame):
    assert format_event(data) == frame


class Opaque:
    def __str__(self) -> str:
        return pytest.fail("nobody asked for its text")

    __repr__ = __str__


@pytest.mark.parametrize(
    "data",
    [Opaque(), [Opaque()], {"x": Opaque()}, Loose(x=Opaque()), {"x": Opaque}, ValueError("secret"), iter(())],
    ids=["alone", "in a list", "in a dict", "in a model", "a class", "an error", "an iterator"],
)
def test_no_object_is_turned_into_its_python_text(data):
    with pytest.raises(InputError, match="cannot be written as JSON"):
        format_event(data)


def test_keys_are_written_as_the_standard_library_writes_them():
    assert payload({None: 1, UUID(int=1): 2}) == {"null": 1, str(UUID(int=1)): 2}


def test_a_key_that_is_no_text_and_no_scalar_is_refused():
    with pytest.raises(InputError, match="a key of type `tuple`"):
        format_event({(1, 2): 3})


def test_what_holds_itself_or_is_bottomless_is_refused():
    ring: list[Any] = []
    ring.append(ring)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    for data in (ring, deep, {"x": ring}):
        with pytest.raises(InputError, match="nested too deeply"):
            format_event(data)


def test_what_is_nested_deeper_than_the_fast_way_goes_is_written_all_the_same():
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]

    assert format_event(deep) == f"data: {'[' * 301}{']' * 301}\n\n"


def test_an_event_may_have_a_name_and_an_id():
    assert format_event({"a": 1}, event="step", id=7) == 'event: step\nid: 7\ndata: {"a":1}\n\n'
    assert format_event(ServerEvent("a", event="step", id="7")) == "event: step\nid: 7\ndata: a\n\n"
    assert format_event(Status.DONE, id=0) == "id: 0\ndata: done\n\n"


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b"])
def test_a_name_or_id_cannot_smuggle_in_a_line(bad):
    with pytest.raises(InputError, match="one line"):
        format_event("x", event=bad)
    with pytest.raises(InputError, match="one line"):
        format_event("x", id=bad)
