"""Sources and readers for tests of streams."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import Any
from unittest import mock

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

END = "data: [DONE]\n\n"


async def source(*chunks: Any) -> AsyncIterator[Any]:
    """The chunks; an exception among them is raised at its place."""
    for chunk in chunks:
        if isinstance(chunk, BaseException):
            raise chunk
        yield chunk


async def read(frames: AsyncIterable[str]) -> list[str]:
    """All frames."""
    return [frame async for frame in frames]


class Seen:
    """Spans that have ended and metrics, in memory."""

    def __init__(self) -> None:
        self._exporter, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def times(self) -> list[tuple[str, float, dict[str, Any]]]:
        """Name, sum and attributes of each histogram's points."""
        data = self._reader.get_metrics_data()
        return [
            (metric.name, point.sum, dict(point.attributes))
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]


@contextlib.contextmanager
def observed() -> Iterator[Seen]:
    """What is told to OpenTelemetry inside the block."""
    seen = Seen()
    with (
        mock.patch("opentelemetry.trace.get_tracer_provider", return_value=seen.tracers),
        mock.patch("opentelemetry.metrics.get_meter_provider", return_value=seen.meters),
    ):
        yield seen
    seen.tracers.shutdown()
    seen.meters.shutdown()
