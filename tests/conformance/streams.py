"""Cases of the streaming functions: chunks, errors and usage from their recorded form, and what a stream gave."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import copy
import enum
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest import mock
from uuid import UUID

import pydantic
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from agentlab import clock, compat
from agentlab.serve.first_token import metric_attributes


class ErrorCode(enum.StrEnum):
    """The codes of the reference's errors."""

    CONTEXT_WINDOW_EXCEEDED = "CONTEXT_WINDOW_EXCEEDED"
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"


class CodedError(Exception):
    """An error as the reference's are: its text begins with its code."""

    code: ErrorCode

    def __init__(self, message: str, extra: object = None) -> None:
        super().__init__(message if extra is None else f"{message} ({extra})")

    def __str__(self) -> str:
        return f"{self.code.value}: {self.args[0]}"


class ContextWindowExceededError(CodedError):
    code = ErrorCode.CONTEXT_WINDOW_EXCEEDED


class RateLimitExceededError(CodedError):
    code = ErrorCode.RATE_LIMIT_EXCEEDED


class Loose(pydantic.BaseModel):
    """A model with whatever fields it is given."""

    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)


class StrSubclass(str):
    __slots__ = ()


CHUNKS: dict[str, Callable[[Any], Any]] = {
    "enum": lambda value: enum.Enum("Member", {"ONE": value}).ONE,
    "model": lambda value: Loose(**value),
    "none": lambda value: None,
    "ordereddict": collections.OrderedDict,
    "strsubclass": StrSubclass,
    "usage": lambda value: compat.LettaUsageStatistics(**value),
}
"""By kind; the others are what they look like."""

VALUES: dict[str, Callable[[Any], Any]] = {
    "$bytes": lambda value: value.encode(),
    "$enum": lambda value: enum.Enum("Member", {"ONE": value}).ONE,
    "$float": float,
    "$model": lambda value: Loose(**value),
    "$strenum": lambda value: enum.StrEnum("Member", {"ONE": value}).ONE,
    "$uuid": UUID,
}
"""Values inside chunks for which JSON has no form, by their key."""


def decoded_chunk(given: dict[str, Any]) -> Any:
    """A chunk of its kind."""
    value = given.get("value")
    return CHUNKS.get(given["kind"], lambda v: v)(value)


def decoded_error(given: dict[str, Any]) -> BaseException:
    """An error of its type."""
    match given["error"]:
        case "ContextWindowExceededError":
            return ContextWindowExceededError(given["message"], given.get("details"))
        case "RateLimitExceededError":
            return RateLimitExceededError(given["message"], given.get("max_retries"))
        case "CancelledError":
            return asyncio.CancelledError()
        case "ValueError":
            return ValueError(given["message"])
        case other:
            raise NotImplementedError(other)


def format_one(data: dict[str, Any]) -> dict[str, Any]:
    """What `sse_formatter` makes of a chunk."""
    return {"frame": compat.sse_formatter(decoded_chunk(data))}


def capture(exception: dict[str, Any]) -> dict[str, Any]:
    """What `capture_sentry_exception` gives back."""
    return {"returned": compat.capture_sentry_exception(decoded_error(exception))}


def stream(chunks: list[dict[str, Any]], **given: Any) -> dict[str, Any]:
    """What comes out of `sse_async_generator`, and what was seen around it."""
    return asyncio.run(_stream(chunks, **given))


DRIVERS: dict[str, Callable[..., dict[str, Any]]] = {
    "capture_sentry_exception": capture,
    "sse_async_generator": stream,
    "sse_formatter": format_one,
}
"""By function: how it is called with what a case holds, and what it did."""


async def _stream(
    chunks: list[dict[str, Any]],
    *,
    usage_task: dict[str, Any] | None = None,
    elapsed_ns: int | None = None,
    close_after: int | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    settings = copy.deepcopy(arguments.get("llm_config"))
    usage = _WatchedTask(_answer(usage_task)) if usage_task else None
    with _observed() as seen:
        if elapsed_ns is not None:
            arguments["request_start_timestamp_ns"] = _wall_ns() - elapsed_ns
        frames = compat.sse_async_generator(_source(chunks), usage, **arguments)
        outcome = await _read(frames, close_after)
    if usage is not None:
        outcome["usage_task_awaited"] = usage.awaited
    if elapsed_ns is not None:
        outcome["ttft"] = seen.told(arguments["request_start_timestamp_ns"], set(settings or ()))
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not others, "a stream leaves no task behind"
    return outcome


async def _read(frames: Any, close_after: int | None) -> dict[str, Any]:
    seen: list[str] = []
    raised = None
    try:
        async with contextlib.aclosing(frames):
            async for frame in frames:
                seen.append(frame)
                if len(seen) == close_after:
                    break
    except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - any of them is an outcome to compare
        raised = {"type": type(exc).__name__, "message": str(exc)}
    return {"frames": seen, "raised": raised}


async def _source(chunks: list[dict[str, Any]]) -> AsyncIterator[Any]:
    for given in chunks:
        if given["kind"] == "raise":
            raise decoded_error(given)
        yield decoded_chunk(given)


async def _answer(given: dict[str, Any]) -> Any:
    if given["kind"] == "raise":
        raise decoded_error(given)
    return decoded_chunk(given)


class _WatchedTask(asyncio.Task[Any]):
    """A task that knows whether anybody has waited for it."""

    awaited = False

    def __await__(self) -> Any:
        self.awaited = True
        return super().__await__()

    def add_done_callback(self, fn: Callable[[Any], object], **given: Any) -> None:
        self.awaited = True  # `asyncio.wait`
        super().add_done_callback(fn, **given)


class _Seen(SpanProcessor):
    """Spans and metrics of one stream, in memory."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.metrics = InMemoryMetricReader()

    def on_start(self, span: Span, parent_context: object = None) -> None:
        self.spans.append(span)

    def told(self, request_ns: int, keys: set[str]) -> dict[str, Any]:
        return {"spans": [_span(span, request_ns, keys) for span in self.spans], "metrics": list(self._records())}

    def _records(self) -> Iterator[dict[str, Any]]:
        data = self.metrics.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        assert point.count == 1
                        yield {"value": point.sum, "attributes": dict(point.attributes)}


def _span(span: ReadableSpan, request_ns: int, keys: set[str]) -> dict[str, Any]:
    wanted = {f"llm_config.{key}" for key in keys}
    return {
        "name": span.name,
        "start_time_ns": span.start_time - request_ns,
        "attributes": {name: value for name, value in span.attributes.items() if name in wanted},
        "events": [{"name": e.name, "attributes": dict(e.attributes)} for e in span.events],
        "ended": span.end_time is not None,
    }


@contextlib.contextmanager
def _observed() -> Iterator[_Seen]:
    seen = _Seen()
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([seen.metrics], shutdown_on_exit=False)
    tracers.add_span_processor(seen)
    with (
        mock.patch.object(logging.getLogger("agentlab.serve"), "disabled", new=True),
        mock.patch("opentelemetry.trace.get_tracer_provider", return_value=tracers),
        mock.patch("opentelemetry.metrics.get_meter_provider", return_value=meters),
        metric_attributes({"endpoint": "test"}),
    ):
        yield seen
    tracers.shutdown()


def _wall_ns() -> int:
    return int(clock.now().timestamp()) * 1_000_000_000
