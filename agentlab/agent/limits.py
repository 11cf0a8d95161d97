"""What a run may use at the most, and how often faults are forgiven. Each limit is a stop reason of its own."""

from __future__ import annotations

from pydantic import Field, model_validator

from agentlab.messages.parts import Value
from agentlab.trace.events import StopReason
from agentlab.trace.usage import Usage


class Price(Value):
    """What tokens cost [US dollars for a million]."""

    input_usd: float = Field(ge=0)
    output_usd: float = Field(ge=0)
    cached_usd: float | None = Field(default=None, ge=0)
    """Of input tokens that the provider had read before; None: like other input."""

    def cost_usd(self, usage: Usage) -> float | None:
        """What this usage costs [US dollars]; None when its tokens are not known."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached = (usage.cached_tokens or 0) if self.cached_usd is not None else 0
        fresh = usage.input_tokens - cached
        total = fresh * self.input_usd + cached * (self.cached_usd or 0.0) + usage.output_tokens * self.output_usd
        return total / 1e6


class Limits(Value):
    """The most that one run may use. None: no limit.

    Tokens and cost count what is known: a call whose provider reports nothing adds nothing.
    """

    tokens: int | None = Field(default=None, ge=1)
    """Input and output of all model calls."""
    seconds: float | None = Field(default=None, gt=0)
    """Time of the run without the time in which people decided [s]; a call is broken off when it is over."""
    cost_usd: float | None = Field(default=None, gt=0)
    """Needs a `price`."""
    price: Price | None = None

    @model_validator(mode="after")
    def _cost_has_a_price(self) -> Limits:
        if self.cost_usd is not None and self.price is None:
            raise ValueError("a limit of the cost needs `price`: what a million tokens cost")
        return self

    def reached(self, tokens: int, cost_usd: float | None, seconds: float) -> StopReason | None:
        """The limit that this use has come to; None while there is room."""
        if self.tokens is not None and tokens >= self.tokens:
            return "token_limit"
        if self.cost_usd is not None and cost_usd is not None and cost_usd >= self.cost_usd:
            return "cost_limit"
        if self.seconds is not None and seconds >= self.seconds:
            return "time_limit"
        return None


class Retries(Value):
    """How often faults are forgiven."""

    model_errors: int = Field(default=0, ge=0)
    """Tries after a model call that failed before anything of its reply had come, where that may help."""
    wait_s: float = Field(default=1.0, ge=0)
    """Before the first of these tries, twice as long before each next one [s]; a server's own wish goes before."""
    broken_replies: int = Field(default=1, ge=0)
    """Replies in a row without the call that is demanded, or with arguments that are no JSON, of which the model is
    told. One more, and the run stops with `invalid_llm_response`."""
