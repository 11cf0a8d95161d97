"""Where spans and metrics go, and how much they tell: what every reader of a run writes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from agentlab.serve import otel_names as names
from agentlab.serve._otel_metrics import Histograms
from agentlab.trace.redact import Redactor
from agentlab.trace.safe import in_one_line


@dataclass(frozen=True, slots=True)
class Output:
    """Tracer, histograms, and what may be told."""

    tracer: Tracer
    histograms: Histograms | None
    """None: spans only, as for runs of the past."""
    content: bool
    """Whether messages, arguments and results are written."""
    redactor: Redactor

    def start(
        self,
        operation: str,
        of: str,
        attributes: Mapping[str, Any],
        *,
        at_ns: int,
        parent: Span | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        link: Span | None = None,
    ) -> Span:
        """A span that begins at a wall time [ns]. Without a parent it stands below the span that is current here."""
        return self.tracer.start_span(
            f"{operation} {in_one_line(self.text(of))}",
            None if parent is None else trace.set_span_in_context(parent),
            kind,
            attributes=self.attributes({names.OPERATION: operation, **attributes}),
            links=() if link is None else (Link(link.get_span_context()),),
            start_time=at_ns,
        )

    def end(self, span: Span, attributes: Mapping[str, Any], *, at_ns: int, error: str | None = None) -> None:
        """End a span at a wall time [ns]; with a type of error it has failed."""
        span.set_attributes(self.attributes({**attributes, names.ERROR_TYPE: error}))
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, self.text(error)))
        span.end(at_ns)

    def attributes(self, values: Mapping[str, Any]) -> dict[str, AttributeValue]:
        """The values that are known, without secrets."""
        return {name: self._clean(value) for name, value in values.items() if value is not None}

    def text(self, text: str) -> str:
        """A text without secrets, which UTF-8 can write."""
        sendable = text.encode("utf-8", "replace").decode()
        return self.redactor.text(sendable) if self.redactor.suspects(sendable) else sendable

    def json(self, data: bytes) -> str:
        """A JSON text without secrets."""
        text = data.decode()
        return self.redactor.json(data).decode() if self.redactor.suspects(text) else text

    def _clean(self, value: Any) -> AttributeValue:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (list, tuple)):
            return [self.text(str(item)) for item in value]
        cleaned: AttributeValue = value
        return cleaned
