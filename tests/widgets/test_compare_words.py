"""Texts compared word by word, in bounded time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.widgets.word_diff import Span, around_differences, compared

WORDS = ("two", "cats", "and", "a", "dog", ",", "\n", "0.5", "今日", "🐈", "run-1a2b3c4d")
texts = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join) | st.text(max_size=60)


def words(n: int, *choices: str) -> str:
    drawn = random.Random(f"{n} {choices}")
    return " ".join(drawn.choice(choices) for _ in range(n))


VOCABULARY = [f"w{n}" for n in range(2_000)]


def marked(spans: list[Span]) -> list[str]:
    return [text for op, text in spans if op in "+-"]


def joined(spans: list[Span]) -> str:
    return "".join(text for _, text in spans)


def test_only_the_words_that_differ_are_marked_and_not_the_gaps_behind_them() -> None:
    left, right = compared("Two cats were in the box.", "Three cats were in the big box.")

    assert left == [("-", "Two"), ("=", " cats were in the box.")]
    assert right == [("+", "Three"), ("=", " cats were in the "), ("+", "big"), ("=", " box.")]


@pytest.mark.parametrize(
    ("a", "b", "left", "right"),
    [
        ('{"page": 2, "t": 0.5}', '{"page": 4, "t": 0.7}', ["2", "0.5"], ["4", "0.7"]),
        ("今日は天気がいい", "今日は天気が悪い", ["い"], ["悪"]),
        ("at 2026-01-02 03:04 sharp", "at 2026-01-02 03:05 sharp", ["2026-01-02 03:04"], ["2026-01-02 03:05"]),
        ("", "new", [], ["new"]),
        ("red green", "blue", ["red green"], ["blue"]),
    ],
)
def test_numbers_times_and_characters_without_gaps_are_words(a: str, b: str, left: list[str], right: list[str]) -> None:
    one, other = compared(a, b)

    assert (marked(one), marked(other)) == (left, right)


def test_words_that_count_as_the_same_are_not_marked() -> None:
    plain = (lambda word: word.replace("call-1", "id"), lambda word: word.replace("call-2", "id"))

    left, right = compared("of call-1 here", "of call-2 there", plain=plain)

    assert (marked(left), marked(right)) == (["here"], ["there"])


@given(texts, texts)
def test_whole_spans_make_the_texts_and_the_same_ones_agree(a: str, b: str) -> None:
    left, right = compared(a, b)

    assert (joined(left), joined(right)) == (a, b)
    assert all(op in "=-" for op, _ in left)
    assert all(op in "=+" for op, _ in right)


@given(texts, texts)
def test_short_texts_are_shown_from_end_to_end(a: str, b: str) -> None:
    assert around_differences(a, b) == (*compared(a, b), 0, 0)


@given(texts)
def test_a_text_is_the_same_as_itself(text: str) -> None:
    left, right = compared(text, text)

    assert marked(left) == marked(right) == []


def test_of_long_texts_only_what_surrounds_the_differences_is_shown() -> None:
    same = f"{words(20_000, *VOCABULARY)} "

    left, right, left_more, right_more = around_differences(f"{same}two {same}", f"{same}three {same}")

    assert (marked(left), marked(right)) == (["two"], ["three"])
    assert left[0][0] == right[0][0] == "…"
    assert len(joined(left)) < 1_500
    assert int(left[0][1]) + left_more > 100_000
    assert right_more > 50_000


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (words(30_000, "a", "b"), words(30_001, "a", "b")),
        (words(30_000, *VOCABULARY), words(30_001, *VOCABULARY)),
        ("\n".join("a b c" for _ in range(10_000)), "\n".join("a b d" for _ in range(10_000))),
        (words(400, "a", "b"), words(401, "a", "b")),
        ("x" * 300_000, "y" * 300_000),
        ("," * 100_000, ";" * 100_000),
    ],
    ids=["two words", "many words", "one line over and over", "pairs up to the limit", "one word", "no word"],
)
def test_texts_that_are_hard_to_compare_lose_nothing(a: str, b: str) -> None:
    left, right = compared(a, b)

    assert (joined(left), joined(right)) == (a, b)


def test_two_changes_far_apart_in_one_long_line_are_found_alone() -> None:
    whole = words(30_000, *VOCABULARY).split()
    changed = [*whole]
    changed[50], changed[29_000] = "first", "second"

    left, right = compared(" ".join(whole), " ".join(changed))

    assert marked(right) == ["first", "second"]
    assert len(marked(left)) == 2
