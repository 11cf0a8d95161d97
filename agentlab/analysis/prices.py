"""Whose prices apply to a model: those that the caller gives, else those of genai-prices, which come with the package.

Nothing is fetched. Prices of genai-prices are those of the time at which the run began.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from agentlab.agent.limits import Price
from agentlab.errors import InputError

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

INSTALL = 'pip install "agentlab-jupyter[cost]"'
"""The command that brings the prices."""

Prices: TypeAlias = Mapping[str, Price]
"""By model, under the name with which it is asked for or answers."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What one token costs [US dollars], by kind."""

    fresh: float
    """Of the prompt, neither read from a cache nor written to one."""
    cached: float
    cache_write: float
    output: float
    """Of the reply, without reasoning."""
    reasoning: float

    @classmethod
    def of(cls, price: Price) -> Rates:
        """A price of ours: writing to a cache costs what input does, and reasoning what output does."""
        cached = price.input_usd if price.cached_usd is None else price.cached_usd
        million = (price.input_usd, cached, price.input_usd, price.output_usd, price.output_usd)
        return cls(*(usd / 1e6 for usd in million))


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens of one call; what it did not report is None."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True)
class Tariff:
    """The prices of one model, or why there are none."""

    source: str | None = None
    """Whose they are; None: nobody's, and `note` says why."""
    note: str | None = None
    rates: Rates | None = None
    listed: Listed | None = field(default=None, repr=False)
    """Where there are no rates, as a token costs more in a longer prompt: says what a whole call costs."""


class PriceBook:
    """Finds prices.

    Args:
        prices: By model; they go before all others.

    Raises:
        InputError: They are something else.
    """

    def __init__(self, prices: Prices | None = None) -> None:
        if prices is not None and not isinstance(prices, Mapping):
            raise InputError(f"`prices` takes a dictionary from models to `Price`, not {prices!r:.80}")
        self._own = dict(prices or {})
        for model, price in self._own.items():
            if not isinstance(model, str) or not isinstance(price, Price):
                raise InputError(
                    f"`prices` holds {price!r:.80} for {model!r:.80}; it takes the name of a model and a `Price`"
                )

    def tariff(self, model: str, response_model: str | None, provider: str, at: datetime | None) -> Tariff:
        """The prices of a model.

        Args:
            model: As it was asked for.
            response_model: As it answered, which says more where the first is an alias.
            provider: Who serves it: a name, or the host of its endpoint.
            at: When.
        """
        names = [name for name in (response_model, model) if name]
        for name in names:
            if name in self._own:
                return Tariff(f"given: {name}", rates=Rates.of(self._own[name]))
        try:
            import genai_prices
        except ImportError:
            return Tariff(note=f"prices come with the extra `cost`: {INSTALL}")
        for name in names:
            listed = Listed.find(name, provider, at or datetime.now(UTC))
            if listed is not None:
                source = f"genai-prices {genai_prices.__version__} for {listed.day}: {listed.name}"
                rates = listed.rates
                return Tariff(source, rates=rates, listed=None if rates else listed)
        return Tariff(note=f"no price is known for {provider}/{model}")


@dataclass(frozen=True)
class Listed:
    """A model that genai-prices know."""

    ask: Callable[[Counts], PriceCalculation] = field(repr=False)
    known: PriceCalculation = field(repr=False)
    at: datetime

    @classmethod
    def find(cls, model: str, provider: str, at: datetime) -> Listed | None:
        """The model, if this provider has it."""
        places: list[dict[str, Any]] = [{"provider_id": provider}]
        if "." in provider:
            places.append({"provider_api_url": f"https://{provider}"})
        for place in places:
            ask = partial(_calculation, model=model, place=place, at=at)
            try:
                known = ask(Counts(1, 1))
            except LookupError:
                continue
            if None not in (known.model_price.input_mtok, known.model_price.output_mtok):
                return cls(ask, known, at)  # others are listed with prices of pictures, sounds or searches only
        return None

    @property
    def day(self) -> str:
        """The day whose prices these are; where the list was updated, also when."""
        updated = self.known.auto_update_timestamp
        return f"{self.at:%Y-%m-%d}" + ("" if updated is None else f", updated {updated:%Y-%m-%d}")

    @property
    def name(self) -> str:
        """Provider and model, as genai-prices call them."""
        return f"{self.known.provider.id}/{self.known.model.id}"

    @property
    def rates(self) -> Rates | None:
        """The price of a token of each kind; None where it depends on the length of the prompt."""
        from genai_prices.types import TieredPrices

        prices = vars(self.known.model_price)
        if any(isinstance(price, TieredPrices) for price in prices.values()):
            return None
        of_each = {
            "fresh": Counts(1, 0),
            "cached": Counts(1, 0, cached_tokens=1),
            "cache_write": Counts(1, 0, cache_write_tokens=1),
            "output": Counts(0, 1),
            "reasoning": Counts(0, 1, reasoning_tokens=1),
        }
        return Rates(**{kind: self.cost_usd(counts) for kind, counts in of_each.items()})

    def cost_usd(self, counts: Counts) -> float:
        """The cost of a call [US dollars]."""
        return float(self.ask(counts).total_price)


def _calculation(counts: Counts, model: str, place: dict[str, Any], at: datetime) -> PriceCalculation:
    """What genai-prices make of a call; they raise LookupError where they do not know the model or who serves it."""
    from genai_prices import Usage, calc_price

    usage = Usage(
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        cache_read_tokens=counts.cached_tokens,
        cache_write_tokens=counts.cache_write_tokens,
        output_reasoning_tokens=counts.reasoning_tokens,
    )
    return calc_price(usage, model_ref=model, genai_request_timestamp=at, **place)
