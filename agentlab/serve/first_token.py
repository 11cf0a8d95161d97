"""The time to the first token of a stream, as an OpenTelemetry span and histogram under the reference's names.

Only the API is needed. Without an SDK set up by the program nothing is recorded, and nothing is sent anywhere.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
from pydantic import BaseModel

from agentlab import clock
from agentlab.serve._json import to_json
from agentlab.serve.reporting import redactor

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, MeterProvider

Scalar: TypeAlias = str | bool | int | float

SPAN = "time_to_first_token"
EVENT = "time_to_first_token_ms"
HISTOGRAM = "time_to_first_token_ms"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_context: ContextVar[Mapping[str, Scalar]] = ContextVar("agentlab_metric_attributes")


@contextlib.contextmanager
def metric_attributes(attributes: Mapping[str, Scalar]) -> Iterator[None]:
    """Streams read inside the block record their times with these attributes, too (a route, a tenant)."""
    token = _context.set({**_context.get({}), **attributes})
    try:
        yield
    finally:
        _context.reset(token)


def monotonic_ns_at(wall_ns: int) -> int:
    """The monotonic clock [ns] at a wall time [ns since 1970], for callers who noted that one."""
    return clock.monotonic_ns() - (_wall_ns() - wall_ns)


class FirstToken:
    """Measures one stream: a span from the request to the first token, which then becomes a time in a histogram.

    Args:
        started_ns: Monotonic clock when the request came [ns].
        model: The model's name, or its settings, which become attributes of the span, without keys.
    """

    def __init__(self, started_ns: int, model: str | Mapping[str, Any] | BaseModel | None) -> None:
        from opentelemetry import trace

        self._started_ns = started_ns
        settings = _settings(model)
        self._model = settings.get("model")
        self._span = (
            trace.get_tracer_provider()
            .get_tracer("agentlab")
            .start_span(
                SPAN,
                attributes={f"llm_config.{name}": value for name, value in settings.items()},
                start_time=_wall_ns() - (clock.monotonic_ns() - started_ns),
            )
        )

    def came(self) -> None:
        """The first token is here."""
        from opentelemetry import metrics

        ttft_ms = (clock.monotonic_ns() - self._started_ns) // 1_000_000
        self._span.add_event(EVENT, {"ttft_ms": ttft_ms})
        self._span.end()
        attributes = dict(_context.get({}))
        if self._model is not None:
            attributes["model.name"] = self._model
        _histogram(metrics.get_meter_provider()).record(ttft_ms, attributes)

    def never_came(self) -> None:
        """The stream ended without one: the span ends, and there is no time to record."""
        self._span.end()


def _wall_ns() -> int:
    return (clock.now() - _EPOCH) // timedelta(microseconds=1) * 1000


@functools.lru_cache(maxsize=8)
def _histogram(provider: MeterProvider) -> Histogram:
    return provider.get_meter("agentlab").create_histogram(
        HISTOGRAM, unit="ms", description="From the request to the first token of the stream, in whole milliseconds."
    )


def _settings(model: str | Mapping[str, Any] | BaseModel | None) -> dict[str, Scalar]:
    """The settings that can be attributes: those with a plain value."""
    if model is None or isinstance(model, str):
        return {"model": model} if model else {}
    given: dict[str, Any] = model.model_dump(warnings=False) if isinstance(model, BaseModel) else dict(model)
    plain = {str(name): value.value if isinstance(value, Enum) else value for name, value in given.items()}
    scalars = {name: value for name, value in plain.items() if isinstance(value, Scalar)}
    cleaned: dict[str, Scalar] = orjson.loads(redactor().json(to_json(scalars).encode()))
    return {name: value for name, value in cleaned.items() if value is not None}
