"""The spans of one run: `invoke_agent`, and below it `chat` and `execute_tool`, at the times of its events.

A run that pauses ends its span; going on, perhaps in another process, begins another one of the same conversation.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span

from agentlab.serve import otel_names as names
from agentlab.serve._otel_chats import Chats, error_type
from agentlab.serve._otel_output import Output
from agentlab.trace.events import (
    ErrorRaised,
    Event,
    MessageAdded,
    ModelCalled,
    ModelReplied,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    StepFinished,
    StopReason,
    ToolReturned,
    ToolStarted,
)
from agentlab.trace.steps import ToolCallRecord
from agentlab.trace.trace import RunStatus, Trace
from agentlab.trace.usage import Usage, sum_usage

FAILURES: frozenset[StopReason] = frozenset(
    {"error", "llm_api_error", "invalid_llm_response", "context_window", "no_tool_allowed"}
)
"""Stop reasons that are failures of the run; the others are ends that somebody chose."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RunSpans:
    """Writes one run, from its start or resumption to its end or pause.

    Args:
        output: Where to.
        run: The trace so far.
        begun: Its start or resumption.
        earlier: The span that the run had before it paused, where it is known.
    """

    def __init__(self, output: Output, run: Trace, begun: RunStarted | RunResumed, earlier: Span | None) -> None:
        started = run.started
        wall = begun.started_at if isinstance(begun, RunStarted) else begun.resumed_at
        self._wall_zero_ns = (wall - _EPOCH) // timedelta(microseconds=1) * 1000 - begun.t_ns
        self._output = output
        self._begun_ns = self._last_ns = begun.t_ns
        self._ended = False
        self._usages: list[Usage] = []
        self._tools: dict[str, tuple[Span, int]] = {}
        self._agent = {names.PROVIDER: started.provider, names.REQUEST_MODEL: started.model}
        self._common = {names.CONVERSATION_ID: begun.run_id, names.AGENT_NAME: started.agent_name}
        attributes = {**self._common, **self._agent, names.PARENT_RUN_ID: started.parent_run_id}
        at_ns = self._wall_ns(begun.t_ns)
        self.span = output.start(names.INVOKE_AGENT, started.agent_name, attributes, at_ns=at_ns, link=earlier)
        self._chats = Chats(output, self.span, self._common, self._wall_ns)

    def take(self, run: Trace, event: Event) -> None:
        """Write what the next event says."""
        self._last_ns = event.t_ns
        match event:
            case ModelCalled():
                self._chats.called(event, run)
            case ModelReplied():
                self._usages.append(event.usage)
                self._chats.replied(event)
            case MessageAdded(source="model"):
                self._chats.said(event.message)
            case ErrorRaised():
                self._chats.failed(event)
            case StepFinished():
                self._chats.settle()
            case ToolStarted():
                self._tools[event.call_id] = self._start_tool(event), event.t_ns
            case ToolReturned():
                self._end_tool(event, run.tool_calls[event.call_id])
            case RunPaused():
                self.abandon("paused")
            case RunFinished():
                self._finish(run, event)

    def abandon(self, status: RunStatus) -> None:
        """End the spans that are open where the run stands; they have failed when it was interrupted."""
        if self._ended:
            return
        at_ns, why = self._wall_ns(self._last_ns), "interrupted" if status == "interrupted" else None
        self._chats.abandon(self._last_ns, why)
        while self._tools:
            self._output.end(self._tools.popitem()[1][0], {}, at_ns=at_ns, error=why)
        self._end(at_ns, {names.RUN_STATUS: status}, why)

    def _finish(self, run: Trace, event: RunFinished) -> None:
        self._chats.settle(event.stop_reason)
        self._chats.abandon(event.t_ns, event.stop_reason)
        error = None
        if event.stop_reason in FAILURES:
            error = error_type(run.errors[-1]) if run.errors else event.stop_reason
        attributes = {names.RUN_STATUS: "finished", names.STOP_REASON: event.stop_reason}
        self._end(self._wall_ns(event.t_ns), attributes, error)

    def _end(self, at_ns: int, attributes: dict[str, Any], error: str | None) -> None:
        usage = sum_usage(self._usages)
        self._ended = True
        counts = {name: getattr(usage, count) for count, name in names.USAGE.items()}
        self._output.end(self.span, {**counts, **attributes}, at_ns=at_ns, error=error)
        self._measure(names.INVOKE_AGENT, self.span, self._last_ns - self._begun_ns, self._agent, error)

    def _start_tool(self, event: ToolStarted | ToolReturned) -> Span:
        return self._output.start(
            names.EXECUTE_TOOL,
            event.tool,
            {
                **self._common,
                names.TOOL_NAME: event.tool,
                names.TOOL_TYPE: "function",
                names.TOOL_CALL_ID: event.call_id,
                names.STEP: event.step,
                names.TOOL_ARGUMENTS: self._arguments(event),
            },
            at_ns=self._wall_ns(event.t_ns),
            parent=self.span,
        )

    def _arguments(self, event: ToolStarted | ToolReturned) -> str | None:
        return event.arguments if self._output.content and isinstance(event, ToolStarted) else None

    def _end_tool(self, event: ToolReturned, record: ToolCallRecord) -> None:
        known = self._tools.pop(event.call_id, None)  # unknown: the tool never ran, or ran before the run was resumed
        span, started_ns = (self._start_tool(event), event.t_ns) if known is None else known
        error = None if event.status == "success" else event.error_type or names.OTHER_ERROR
        attributes = {
            names.TOOL_EXECUTED: None if record.started is not None else False,
            names.TOOL_RESULT: event.text if self._output.content else None,
            **_approval(record),
        }
        self._output.end(span, attributes, at_ns=self._wall_ns(event.t_ns), error=error)
        if known is not None:
            tool = {names.TOOL_NAME: event.tool}
            self._measure(names.EXECUTE_TOOL, span, event.t_ns - started_ns, tool, error)

    def _measure(self, operation: str, span: Span, took_ns: int, more: dict[str, str], error: str | None) -> None:
        if self._output.histograms is not None:
            told = {names.OPERATION: operation, **more, names.ERROR_TYPE: error}
            attributes, context = self._output.attributes(told), trace.set_span_in_context(span)
            self._output.histograms.operation(took_ns / 1e9, attributes, context)

    def _wall_ns(self, t_ns: int) -> int:
        """Wall time [ns since 1970] of a time of the run [ns]."""
        return self._wall_zero_ns + t_ns


def _approval(record: ToolCallRecord) -> dict[str, Any]:
    """What was decided of a call; nothing, where nobody decided."""
    decision, requested = record.decision, record.requested
    if decision is None:
        return {}
    return {
        names.APPROVAL_DECISION: decision.action,
        names.APPROVAL_APPROVER: decision.approver,
        names.APPROVAL_MODIFIED: decision.arguments is not None,
        names.APPROVAL_LATENCY: None if requested is None else (decision.t_ns - requested.t_ns) / 1e9,
    }
