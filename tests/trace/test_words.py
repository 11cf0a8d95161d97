# ruff: noqa: RUF001  # a dash stands for what is missing
from __future__ import annotations

import pytest

from agentlab.trace.usage import NO_USAGE, Usage
from agentlab.trace.words import count, counted, cut, pretty, seconds, tokens


@pytest.mark.parametrize(
    ("value_s", "words"),
    [
        (None, "–"),
        (0.0, "0 ms"),
        (0.000_001, "< 0.01 ms"),
        (0.000_42, "0.42 ms"),
        (0.000_999, "1.0 ms"),
        (0.004_2, "4.2 ms"),
        (0.009_96, "10 ms"),
        (0.12, "120 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (3.4249, "3.42 s"),
        (9.996, "10.0 s"),
        (34.21, "34.2 s"),
        (59.96, "1 min 00 s"),
        (125.4, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7320.0, "2 h 02 min"),
    ],
)
def test_durations_are_rounded_and_carry_their_unit(value_s: float | None, words: str) -> None:
    assert seconds(value_s) == words


def test_what_is_not_known_is_a_dash_and_never_a_zero() -> None:
    assert count(None) == "–"
    assert count(0) == "0"
    assert count(12345) == "12,345"
    assert tokens(NO_USAGE) == "– → – tokens"
    assert tokens(Usage(input_tokens=1200, output_tokens=0, source="provider")) == "1,200 → 0 tokens"


def test_nouns_follow_their_numbers() -> None:
    assert [counted(n, "step") for n in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]


def test_a_long_text_is_cut_and_its_rest_counted() -> None:
    assert cut("abcdef", 4) == ("abcd", 2)
    assert cut("abcd", 4) == ("abcd", 0)
    assert cut("abcdef", None) == ("abcdef", 0)


def test_short_json_stays_on_a_line_with_its_keys_in_order() -> None:
    assert pretty('{"z":1,"a":[true,null]}') == '{"z": 1, "a": [true, null]}'


def test_long_json_is_indented_with_its_keys_in_order() -> None:
    text = pretty('{"zebra": "' + "x" * 40 + '", "ant": "über"}')

    assert text == '{\n  "zebra": "' + "x" * 40 + '",\n  "ant": "über"\n}'


@pytest.mark.parametrize(
    "text", ["plain words", '{"cut": ', '"a string"', "42", "[" * 60_000, '{"n": ' + "9" * 5000 + "}"], ids=range(6)
)
def test_what_is_no_readable_json_stays_as_it_is(text: str) -> None:
    assert pretty(text) == text
