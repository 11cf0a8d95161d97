from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.trace.usage import COUNTS, NO_USAGE, Usage, UsageSource, sum_usage

USAGES = st.builds(
    Usage,
    **dict.fromkeys(COUNTS, st.none() | st.integers(0, 10**9)),
    source=st.sampled_from(["provider", "tokenizer", "estimated", "missing"]),
)


def full(n: int, source: UsageSource = "provider") -> Usage:
    return Usage(**dict.fromkeys(COUNTS, n), source=source)


def test_usage_that_nobody_told_is_missing_and_not_zero() -> None:
    assert [getattr(Usage(), name) for name in COUNTS] == [None] * len(COUNTS)
    assert Usage().source == "missing"


def test_every_count_is_summed() -> None:
    assert sum_usage([full(1), full(10), full(100)]) == full(111)


def test_a_count_that_one_call_lacks_is_missing_in_the_sum_and_the_others_are_not() -> None:
    total = sum_usage([full(1), full(2).model_copy(update={"cached_tokens": None})])

    assert total == full(3).model_copy(update={"cached_tokens": None})


def test_a_call_without_usage_leaves_the_sum_missing() -> None:
    assert sum_usage([full(5), NO_USAGE]) == NO_USAGE


def test_zero_tokens_are_known() -> None:
    assert sum_usage([full(0), full(0)]) == full(0)


def test_no_calls_have_no_usage() -> None:
    assert sum_usage([]) == NO_USAGE
    assert sum_usage(iter(())) == NO_USAGE


@pytest.mark.parametrize(
    ("sources", "weakest"),
    [
        (["provider", "provider"], "provider"),
        (["provider", "tokenizer"], "tokenizer"),
        (["estimated", "tokenizer", "provider"], "estimated"),
        (["estimated", "missing"], "missing"),
    ],
)
def test_a_sum_is_only_as_good_as_its_weakest_part(sources: list[UsageSource], weakest: UsageSource) -> None:
    assert sum_usage(full(1, source) for source in sources).source == weakest


@given(st.lists(USAGES, min_size=1), st.lists(USAGES, min_size=1))
def test_sums_of_sums_are_the_sum_of_all(some: list[Usage], others: list[Usage]) -> None:
    assert sum_usage([sum_usage(some), sum_usage(others)]) == sum_usage([*some, *others])


@given(USAGES)
def test_usage_survives_json(usage: Usage) -> None:
    assert Usage.model_validate_json(usage.model_dump_json()) == usage
