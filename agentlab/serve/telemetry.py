"""Runs as OpenTelemetry spans and metrics. Nothing is exported unless `enable` was called.

    from agentlab import telemetry

    telemetry.enable()           # every run from here on, to the OpenTelemetry providers that the program has set up
    telemetry.export(trace)      # a run of the past

The names are in `agentlab.serve.otel_names`.
"""

from __future__ import annotations

from types import TracebackType

from opentelemetry import metrics
from opentelemetry import trace as tracing
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, TracerProvider

from agentlab.agent.run import Run
from agentlab.errors import RunError
from agentlab.serve import otel_names as names
from agentlab.serve._otel_chats import error_type
from agentlab.serve._otel_metrics import Histograms
from agentlab.serve._otel_output import Output
from agentlab.serve._otel_run import FAILURES, RunSpans
from agentlab.serve.reporting import forward_to_sentry
from agentlab.trace.events import Event, RunFinished, RunPaused, RunResumed, RunStarted
from agentlab.trace.observing import observe
from agentlab.trace.redact import Redactor
from agentlab.trace.trace import Trace
from agentlab.version import __version__

_PAUSED_KEPT = 1000
"""How many paused runs are remembered, to link what follows to what was before."""


class RunFailedError(RunError):
    """A run ended by an error, as Sentry is told of it: who failed and how, not a word of the conversation."""

    def __init__(self, agent: str, model: str, error: str, stop_reason: str) -> None:
        super().__init__(agent, model, error, stop_reason)
        self.agent, self.model, self.error, self.stop_reason = agent, model, error, stop_reason

    def __str__(self) -> str:
        return f"a run of `{self.agent}` on {self.model} ended with {self.stop_reason}: {self.error}"


class Telemetry:
    """Reports runs until it is stopped; a context manager that stops it at the end of its block."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._runs: dict[str, RunSpans] = {}
        self._paused: dict[str, Span] = {}
        self._stop_observing = observe(self._take)

    def stop(self) -> None:
        """Report no more. Spans of runs that are under way end where the run stands."""
        self._stop_observing()
        while self._runs:
            self._runs.popitem()[1].abandon("running")

    def __enter__(self) -> Telemetry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _take(self, run: Trace, event: Event) -> None:
        if isinstance(event, (RunStarted, RunResumed)):
            earlier = self._paused.pop(event.run_id, None)
            self._runs[event.run_id] = RunSpans(self._output, run, event, earlier)
        elif isinstance(event, (RunPaused, RunFinished)):
            spans = self._runs.pop(event.run_id, None)
            if spans is not None:
                spans.take(run, event)
                self._remember(event, spans)
                _tell_sentry(run, event)
        elif event.run_id in self._runs:
            self._runs[event.run_id].take(run, event)

    def _remember(self, event: RunPaused | RunFinished, spans: RunSpans) -> None:
        if isinstance(event, RunPaused):
            self._paused[event.run_id] = spans.span
            if len(self._paused) > _PAUSED_KEPT:
                del self._paused[next(iter(self._paused))]


_active: Telemetry | None = None


def enable(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    content: bool = False,
    redactor: Redactor | None = None,
) -> Telemetry:
    """What reports every run started from now on; as a context manager, those of a block, which must be awaited in it.

    Calling it again replaces the settings of before. With `SENTRY_DSN` set and sentry-sdk installed, Sentry is told
    of runs that end with an error, without their content.

    Args:
        tracer_provider: Where spans go; None: the program's own. Without an OpenTelemetry SDK that is nowhere.
        meter_provider: Where metrics go; None: the program's own.
        content: Write messages, arguments and results too. Keys and tokens are taken out, all else is there to read.
        redactor: What else to take out.
    """
    global _active  # what is enabled is a matter of the whole program
    disable()
    meters = metrics.get_meter_provider() if meter_provider is None else meter_provider
    _active = Telemetry(_output(tracer_provider, Histograms(meters), content=content, redactor=redactor))
    return _active


def disable() -> None:
    """Report no more; harmless when nothing was."""
    global _active
    if _active is not None:
        _active.stop()
        _active = None


def export(
    run: Run | Trace,
    *,
    tracer_provider: TracerProvider | None = None,
    content: bool = False,
    redactor: Redactor | None = None,
) -> None:
    """Write the spans of a run that was recorded: the same that it would have written, at its own times.

    Metrics have no time of their own, so there are none of the past.

    Args:
        run: The run or its trace; it may be paused or interrupted, but must not be running.
        tracer_provider: Where spans go; None: the program's own.
        content: Write messages, arguments and results too.
        redactor: What else to take out, besides keys and tokens.

    Raises:
        RunError: The run is not over.
    """
    trace = run.trace if isinstance(run, Run) else run
    if trace.status == "running":
        raise RunError(
            f"run `{trace.run_id}` is running: await it first, or call `telemetry.enable()` before it starts"
        )
    output = _output(tracer_provider, None, content=content, redactor=redactor)
    again = Trace()
    spans: RunSpans | None = None
    for event in trace.events:
        again.append(event)
        if isinstance(event, (RunStarted, RunResumed)):
            if spans is not None:
                spans.abandon("interrupted")  # its process died; nothing happens where it paused
            spans = RunSpans(output, again, event, None if spans is None else spans.span)
        elif spans is not None:
            spans.take(again, event)
    if spans is not None:
        spans.abandon("interrupted")


def _output(
    provider: TracerProvider | None, histograms: Histograms | None, *, content: bool, redactor: Redactor | None
) -> Output:
    provider = tracing.get_tracer_provider() if provider is None else provider
    tracer = provider.get_tracer("agentlab", __version__, schema_url=names.SCHEMA_URL)
    return Output(tracer, histograms, content=content, redactor=redactor or Redactor())


def _tell_sentry(run: Trace, event: RunPaused | RunFinished) -> None:
    if isinstance(event, RunFinished) and event.stop_reason in FAILURES:
        started, error = run.started, error_type(run.errors[-1]) if run.errors else event.stop_reason
        model = f"{started.provider}/{started.model}"
        forward_to_sentry(RunFailedError(started.agent_name, model, error, event.stop_reason))
