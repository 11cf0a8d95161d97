"""The histograms of model calls, tool calls and runs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, MeterProvider
from opentelemetry.util.types import AttributeValue

from agentlab.serve import otel_names as names
from agentlab.trace.chunks import PAYLOAD
from agentlab.trace.events import ModelReplied
from agentlab.version import __version__

Attributes = Mapping[str, AttributeValue]


class Histograms:
    """Where durations, first tokens and token counts are recorded. The context says which span they belong to."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("agentlab", __version__, schema_url=names.SCHEMA_URL)

        def seconds(name: str, description: str) -> Histogram:
            return meter.create_histogram(
                name, unit="s", description=description, explicit_bucket_boundaries_advisory=names.SECONDS_BUCKETS
            )

        self._duration = seconds(names.OPERATION_DURATION, "Time of a model call, a tool call or a run.")
        self._first_chunk = seconds(names.TIME_TO_FIRST_CHUNK_METRIC, "From the request to the reply's first chunk.")
        self._ttft = seconds(names.TTFT_METRIC, "From the request to the first token of any kind.")
        self._per_chunk = seconds(names.TIME_PER_OUTPUT_CHUNK, "From one chunk with output to the next.")
        self._tokens = meter.create_histogram(
            names.TOKEN_USAGE,
            unit="{token}",
            description="Tokens that went in and came out.",
            explicit_bucket_boundaries_advisory=names.TOKEN_BUCKETS,
        )

    def operation(self, duration_s: float, attributes: Attributes, context: Context) -> None:
        """How long something took."""
        self._duration.record(duration_s, attributes, context)

    def reply(
        self,
        replied: ModelReplied,
        *,
        first_chunk_s: float | None,
        ttft_s: float | None,
        attributes: Attributes,
        context: Context,
    ) -> None:
        """What a reply's chunks and usage say. Nothing is recorded of what is not known."""
        if first_chunk_s is not None:
            self._first_chunk.record(first_chunk_s, attributes, context)
        if ttft_s is not None:
            self._ttft.record(ttft_s, attributes, context)
        arrivals = (row.offset_ns for row in replied.chunks.rows() if row.kind & PAYLOAD)
        for before_ns, now_ns in pairwise(arrivals):
            self._per_chunk.record((now_ns - before_ns) / 1e9, attributes, context)
        counts = {"input": replied.usage.input_tokens, "output": replied.usage.output_tokens}
        for token_type, count in counts.items():
            if count is not None:
                self._tokens.record(count, {**attributes, names.TOKEN_TYPE: token_type}, context)
