"""Arguments as a person is shown them, and back: nothing secret goes out, nothing untouched is lost on the way in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.agent.masking import masked, masked_schema, restored
from agentlab.errors import InputError
from agentlab.trace.safe import visible

KEY, OTHER_KEY = "sk-" + "a1" * 12, "sk-" + "b2" * 12
HIDDEN = "safe\u202etxt.exe\u200b"

pieces = st.one_of(st.text(max_size=6), st.sampled_from([KEY, HIDDEN, "a\r\nb", "\x00", "x=1\n", "Bearer " + "z9" * 8]))
texts = st.lists(pieces, max_size=3).map("".join)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.just("password"), inner, max_size=3),
    max_leaves=8,
)


def is_utf8(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def texts_in(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for name, item in value.items():
                yield name
                yield from texts_in(item)
        case list():
            for item in value:
                yield from texts_in(item)


@given(st.dictionaries(texts, values, max_size=4).filter(is_utf8))
def test_what_nobody_touched_comes_back_as_it_was(arguments: dict[str, Any]) -> None:
    page = orjson.loads(orjson.dumps(masked(arguments)))

    back = restored(page, arguments)

    assert orjson.dumps(back) == orjson.dumps(arguments)


@given(st.dictionaries(texts, values, max_size=4).filter(is_utf8))
def test_nothing_that_is_shown_hides(arguments: dict[str, Any]) -> None:
    shown = "".join(texts_in(masked(arguments)))

    assert set(shown) & set("\u202e\u200b\r\x00") == set()


def test_secrets_are_known_by_their_shape_and_by_their_name() -> None:
    shown = masked({"header": f"Bearer {KEY}", "password": "tiger", "login": {"api_key": 12345}, "keys": [KEY]})

    assert shown == {
        "header": "Bearer [redacted]",
        "password": "[redacted]",
        "login": {"api_key": "[redacted]"},
        "keys": ["[redacted]"],
    }


def test_names_that_look_alike_are_kept_apart() -> None:
    arguments = {"a\u200b": 1, "a⟨U+200B⟩": 2}
    shown = masked(arguments)

    assert shown == {"a⟨U+200B⟩": 1, "a⟨U+200B⟩ (2)": 2}
    assert restored({**shown, "a⟨U+200B⟩ (2)": 3}, arguments) == {"a\u200b": 1, "a⟨U+200B⟩": 3}


def test_an_edit_elsewhere_leaves_hidden_things_alone() -> None:
    arguments = {"url": "https://x.org", "password": "tiger", "name": HIDDEN, "to": [{"key": KEY, "n": 1.0}]}
    page = masked(arguments)
    page["url"] = "https://y.org"
    page["to"][0]["n"] = 2

    assert restored(page, arguments) == {
        "url": "https://y.org",
        "password": "tiger",
        "name": HIDDEN,
        "to": [{"key": KEY, "n": 2}],
    }


def test_a_number_keeps_its_kind() -> None:
    back = restored({"share": 1, "flag": True, "n": 1}, {"share": 1.0, "flag": True, "n": 1})

    assert [type(value) for value in back.values()] == [float, bool, int]


def test_one_and_true_are_not_the_same() -> None:
    assert restored({"n": True}, {"n": 1})["n"] is True
    assert restored({"n": 1}, {"n": True})["n"] is not True


def test_marks_in_an_edited_text_stand_for_what_they_mark() -> None:
    arguments = {"text": "zero\u200bwidth\r\nend\x00"}
    shown = masked(arguments)["text"]

    assert restored({"text": shown.replace("end", "END")}, arguments) == {"text": "zero\u200bwidth\r\nEND\x00"}


def test_a_mark_that_a_person_writes_is_what_it_is() -> None:
    assert restored({"text": "see ⟨U+200B⟩"}, {"text": "see"}) == {"text": "see ⟨U+200B⟩"}


@pytest.mark.parametrize("edited", ["curl -H 'Bearer [redacted]' y.org", "[redacted] x"])
def test_a_text_with_a_hidden_key_is_not_edited_in_part(edited: str) -> None:
    with pytest.raises(InputError, match="hidden key was edited in part"):
        restored({"command": edited}, {"command": f"curl -H 'Bearer {KEY}' x.org"})


def test_a_text_with_a_hidden_key_may_be_written_anew() -> None:
    assert restored({"command": "curl x.org"}, {"command": f"curl -H 'Bearer {KEY}'"}) == {"command": "curl x.org"}


LIST = {"tags": ["a", HIDDEN, "c"]}
TAGS = masked(LIST)["tags"]


@pytest.mark.parametrize(
    ("edited", "wanted"),
    [
        (TAGS[::-1], ["c", HIDDEN, "a"]),
        (TAGS[1:], [HIDDEN, "c"]),
        ([*TAGS, "d"], ["a", HIDDEN, "c", "d"]),
        ([TAGS[1], TAGS[1]], [HIDDEN, HIDDEN]),
        (["x", TAGS[1], "c"], ["x", HIDDEN, "c"]),
        ([], []),
    ],
    ids=["turned round", "removed", "added", "doubled", "changed beside", "emptied"],
)
def test_items_of_a_list_find_what_they_were(edited: list[str], wanted: list[str]) -> None:
    assert restored({"tags": edited}, LIST) == {"tags": wanted}


@pytest.mark.parametrize(
    "edited",
    [
        {"logins": [{"user": "ann", "password": "[redacted]"}]},
        {"logins": [{"user": "carl", "password": "[redacted]"}, {"user": "dora", "password": "[redacted]"}]},
        {"logins": [], "spare": "[redacted]"},
        {"logins": "[redacted]"},
    ],
    ids=["both of one look", "both changed", "moved out", "another kind"],
)
def test_a_key_that_was_moved_is_not_guessed(edited: dict[str, Any]) -> None:
    arguments = {"logins": [{"user": "ann", "password": "tiger"}, {"user": "ann", "password": "lion"}]}

    with pytest.raises(InputError, match="nobody can tell which it is"):
        restored(edited, arguments)


def test_two_keys_at_their_places_are_known() -> None:
    arguments = {"keys": [KEY, OTHER_KEY]}

    assert restored({"keys": ["[redacted]", "new"]}, arguments) == {"keys": [KEY, "new"]}


def test_a_schema_shows_no_hidden_character_and_no_altered_pattern() -> None:
    schema = {
        "properties": {
            "a\u202e": {"type": "string", "description": "x\u200by", "pattern": "^[\u200b]$"},
            "b": {"pattern": "^x$", "enum": ["\x00", 1]},
        },
        "required": ["a\u202e"],
    }

    assert masked_schema(schema) == {
        "properties": {
            visible("a\u202e"): {"type": "string", "description": "x⟨U+200B⟩y"},
            "b": {"pattern": "^x$", "enum": ["␀", 1]},
        },
        "required": [visible("a\u202e")],
    }
