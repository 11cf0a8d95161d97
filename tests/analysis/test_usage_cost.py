from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from genai_prices import Usage as PricedUsage
from genai_prices import __version__, calc_price
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab import Price
from agentlab.analysis.cost import CACHED_SUPPOSED, CONTRADICTION, NO_COUNTS, REASONING_SUPPOSED
from agentlab.analysis.prices import Counts, Listed, PriceBook
from agentlab.analysis.usage import ledger, usage_df
from agentlab.errors import InputError
from agentlab.trace.events import ModelCalled, ModelReplied
from agentlab.trace.trace import Trace
from agentlab.trace.usage import NO_USAGE, Usage
from tests.analysis.test_frames import only_row, rows
from tests.factories import STARTED_AT, Story, reply, tokens

MINI = "gpt-4o-mini"
"""Its list prices for a million tokens: input 0.15 USD, read from the cache 0.075 USD, output 0.60 USD."""


def asked(usage: Usage, model: str = MINI, provider: str = "openai", answered: str | None = None) -> Trace:
    """A run of one call."""
    story = Story().step(reply(usage=usage))
    for n, event in enumerate(story.events):
        if isinstance(event, ModelCalled):
            story.events[n] = event.model_copy(update={"model": model, "provider": provider})
        elif isinstance(event, ModelReplied):
            story.events[n] = event.model_copy(update={"response_model": answered})
    return story.end()


def priced(usage: Usage, model: str = MINI, provider: str = "openai", **more: Any) -> dict[str, Any]:
    return only_row(usage_df(asked(usage, model, provider, more.pop("answered", None)), **more))


def test_a_call_costs_what_its_tokens_cost_by_kind() -> None:
    row = priced(tokens(1000, 200, cached_tokens=400, reasoning_tokens=50))

    # 600 fresh at 0.15, 400 cached at 0.075, 200 of output at 0.60, reasoning among them
    assert row["cost_usd"] == pytest.approx((600 * 0.15 + 400 * 0.075 + 200 * 0.6) / 1e6, rel=1e-12)
    assert row["cost_source"] == f"genai-prices {__version__} for 2026-01-02: openai/gpt-4o-mini"
    assert (row["cost_note"], row["n_unpriced"], row["known_cost_usd"]) == (None, 0, row["cost_usd"])


def test_writing_to_the_cache_has_its_own_price() -> None:
    row = priced(tokens(1000, 0, cached_tokens=100, cache_write_tokens=500), "claude-opus-4-5", "anthropic")

    # 5 USD fresh, 0.50 read, 6.25 written, for a million
    assert row["cost_usd"] == pytest.approx((400 * 5 + 100 * 0.5 + 500 * 6.25) / 1e6, rel=1e-12)


def test_reasoning_has_its_own_price_where_the_list_has_one() -> None:
    row = priced(tokens(1000, 300, reasoning_tokens=100), "sonar-deep-research", "perplexity")

    assert row["cost_usd"] == pytest.approx((1000 * 2 + 200 * 8 + 100 * 3) / 1e6, rel=1e-12)


def test_a_token_costs_more_in_a_long_prompt_where_the_list_says_so() -> None:
    short = priced(tokens(200_000, 10, cached_tokens=0), "claude-sonnet-4-5", "anthropic")
    long = priced(tokens(200_001, 10, cached_tokens=0), "claude-sonnet-4-5", "anthropic")

    assert short["cost_usd"] == pytest.approx((200_000 * 3 + 10 * 15) / 1e6, rel=1e-12)
    assert long["cost_usd"] == pytest.approx((200_001 * 6 + 10 * 22.5) / 1e6, rel=1e-12)


@settings(max_examples=25)
@given(
    st.integers(0, 500_000),
    st.integers(0, 500_000),
    st.none() | st.integers(0, 500_000),
    st.integers(0, 9_000),
    st.none() | st.integers(0, 9_000),
)
@pytest.mark.parametrize(
    ("model", "provider"),
    [
        (MINI, "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("gemini-2.5-pro", "google"),
        ("sonar-deep-research", "perplexity"),
    ],
)
def test_costs_are_those_of_the_list(
    model: str, provider: str, fresh: int, cached: int, write: int | None, plain: int, reasoning: int | None
) -> None:
    whole, out = fresh + cached + (write or 0), plain + (reasoning or 0)
    usage = tokens(whole, out, cached_tokens=cached, cache_write_tokens=write, reasoning_tokens=reasoning)

    expected = calc_price(
        PricedUsage(
            input_tokens=whole,
            cache_read_tokens=cached,
            cache_write_tokens=write,
            output_tokens=out,
            output_reasoning_tokens=reasoning,
        ),
        model,
        provider_id=provider,
        genai_request_timestamp=STARTED_AT,
    )

    assert priced(usage, model, provider)["cost_usd"] == pytest.approx(float(expected.total_price), rel=1e-9, abs=1e-12)


def test_a_model_without_a_price_has_no_cost_and_is_named() -> None:
    books = ledger([asked(tokens(10, 1), "our-llama", "127.0.0.1:8000")])

    row = only_row(books.by("run"))
    assert (row["cost_usd"], row["known_cost_usd"], row["n_unpriced"]) == (None, None, 1)
    assert row["cost_note"] == "no price is known for 127.0.0.1:8000/our-llama"
    assert row["cost_source"] is None
    assert books.unpriced == ["127.0.0.1:8000/our-llama"]
    assert "no price is known" in str(books)


def test_a_model_that_one_provider_sells_has_no_price_at_another() -> None:
    assert priced(tokens(10, 1), MINI, "local")["cost_usd"] is None
    assert priced(tokens(10, 1), "no-such-model", "openai")["cost_usd"] is None


def test_the_host_of_an_endpoint_is_known_as_its_provider() -> None:
    row = priced(tokens(1_000_000, 0, cached_tokens=0), "claude-opus-4-5", "api.anthropic.com")

    assert row["cost_usd"] == pytest.approx(5)


def test_an_alias_is_priced_as_what_answered() -> None:
    row = priced(tokens(1_000_000, 0, cached_tokens=0), "auto", "openai", answered="gpt-4o-mini-2024-07-18")

    assert row["cost_usd"] == pytest.approx(0.15)
    assert row["cost_source"].endswith("openai/gpt-4o-mini")
    assert priced(tokens(1_000_000, 0, cached_tokens=0), answered="secret")["cost_usd"] == pytest.approx(0.15)


def test_ones_own_prices_go_before_the_list() -> None:
    price = Price(input_usd=2, output_usd=4, cached_usd=1)
    usage = tokens(1000, 200, cached_tokens=400, cache_write_tokens=100, reasoning_tokens=50)

    row = priced(usage, prices={MINI: price})

    assert row["cost_usd"] == pytest.approx((600 * 2 + 400 * 1 + 200 * 4) / 1e6)
    assert row["cost_usd"] == pytest.approx(price.cost_usd(usage))
    assert row["cost_source"] == "given: gpt-4o-mini"
    assert priced(usage, "alias", "local", answered="llama", prices={"llama": price})["cost_usd"] == row["cost_usd"]


@pytest.mark.parametrize(
    ("usage", "note", "is_known"),
    [
        (NO_USAGE, NO_COUNTS, False),
        (tokens(100, None), NO_COUNTS, False),
        (tokens(100, 10, cached_tokens=101), CONTRADICTION, False),
        (tokens(100, 10, cached_tokens=60, cache_write_tokens=41), CONTRADICTION, False),
        (tokens(100, 10, reasoning_tokens=11), CONTRADICTION, False),
        (tokens(-1, 10), CONTRADICTION, False),
        (tokens(100, 10), CACHED_SUPPOSED, True),
        (tokens(100, 10, cached_tokens=0), None, True),
    ],
)
def test_what_keeps_a_cost_from_being_known_is_said(usage: Usage, note: str | None, is_known: bool) -> None:
    row = priced(usage)

    assert row["cost_note"] == note
    assert (row["cost_usd"] is not None) == is_known


def test_what_is_supposed_is_said_only_where_it_makes_a_difference() -> None:
    own = {"same": Price(input_usd=1, output_usd=1), "less": Price(input_usd=1, output_usd=1, cached_usd=0.1)}

    assert priced(tokens(100, 10), "same", "x", prices=own)["cost_note"] is None
    assert priced(tokens(100, 10), "less", "x", prices=own)["cost_note"] == CACHED_SUPPOSED
    note = priced(tokens(100, 10, cached_tokens=0), "sonar-deep-research", "perplexity")["cost_note"]
    assert note == REASONING_SUPPOSED


def test_totals_keep_unknown_costs_unknown() -> None:
    runs = [asked(tokens(1_000_000, 0, cached_tokens=0)), _renamed(asked(tokens(5, 5), "our-llama"))]

    assert rows(usage_df(runs, by="purpose"), "n_calls", "cost_usd", "n_unpriced") == [(2, None, 1)]
    assert rows(usage_df(runs, by="purpose"), "known_cost_usd") == [(pytest.approx(0.15),)]
    assert rows(usage_df(runs, by="model"), "model", "cost_usd") == [(MINI, pytest.approx(0.15)), ("our-llama", None)]


def _renamed(trace: Trace) -> Trace:
    return Trace(event.model_copy(update={"run_id": "run-2"}) for event in trace)


def test_without_the_extra_there_are_no_prices_but_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)

    row = priced(tokens(100, 10))

    assert row["cost_usd"] is None
    assert row["cost_note"] == 'prices come with the extra `cost`: pip install "agentlab-jupyter[cost]"'
    assert priced(tokens(100, 10), prices={MINI: Price(input_usd=1, output_usd=1)})["cost_usd"] == pytest.approx(1.1e-4)


@pytest.mark.parametrize("prices", ["cheap", {MINI: 3.0}, {3: Price(input_usd=1, output_usd=1)}, [("a", 1)]])
def test_prices_that_are_none_are_refused(prices: Any) -> None:
    with pytest.raises(InputError, match=r"`prices` (takes a dictionary|holds)"):
        usage_df(asked(NO_USAGE), prices=prices)


def test_a_model_that_is_listed_without_prices_of_tokens_is_not_free() -> None:
    from genai_prices.data import providers

    at = datetime(2026, 1, 2, tzinfo=UTC)
    silent = [
        (provider.id, model.id)
        for provider in providers
        for model in provider.models
        if model.get_prices(at).input_mtok is None and model.get_prices(at).output_mtok is None
    ]

    assert len(silent) > 10
    for provider, model in silent:
        found = Listed.find(model, provider, at)
        assert found is None or found.name != f"{provider}/{model}"


def test_a_price_needs_the_name_of_a_model() -> None:
    assert PriceBook().tariff("", None, "openai", None).source is None
    assert PriceBook().tariff(MINI, None, "openai", None).rates is not None
    assert Counts(1, 2).cached_tokens is None
    assert pd.isna(usage_df(asked(NO_USAGE, ""))["cost_usd"][0])
