"""Traces with known times: a story is told step by step, and every event lands where the story says.

story = Story()
story.step(reply(ttft_s=0.5, calls=["search"]), tool("search", duration_s=0.2))
story.step(reply("Two cats.", ttft_s=0.3))
trace = story.end()
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from hypothesis import strategies as st

from agentlab.messages.message import FunctionCall, Message, ToolCall, ToolReturn
from agentlab.messages.parts import ReasoningPart, TextPart
from agentlab.trace.chunks import Chunk, ChunkKind, ChunkLog, ChunkRecorder
from agentlab.trace.events import (
    ApprovalDecided,
    ApprovalRequested,
    ContinuationDecided,
    ErrorRaised,
    Event,
    EventBase,
    MessageAdded,
    ModelCalled,
    ModelReplied,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    StepFinished,
    StepStarted,
    StopReason,
    ToolReturned,
    ToolStarted,
)
from agentlab.trace.trace import Trace
from agentlab.trace.usage import NO_USAGE, Usage

STARTED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
START_NS = 5_000_000_000_000
"""Of the monotonic clock: large, as it is on a machine that has been up for a while."""


def ns(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * 1e9)


@dataclass(frozen=True)
class ReplyPlan:
    """A model's reply."""

    text: str = ""
    calls: Sequence[str] = ()
    reasoning: str = ""
    ttft_s: float = 0.5
    gap_s: float = 0.01
    n_chunks: int = 4
    """Payload chunks."""
    usage: Usage = field(default_factory=lambda: tokens(100, 4))
    complete: bool = True
    comes: bool = True
    """False: nothing came back before the process died."""
    size_bytes: int = 120
    purpose: str = "step"
    marks_ns: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ToolPlan:
    """A tool call that answers one of the reply's."""

    name: str
    duration_s: float | None = 0.1
    """None: it was refused before it ran."""
    delay_s: float = 0.0
    """Start, from the start of the first tool of the step."""
    ok: bool = True
    returns: bool = True
    """False: the process died before it came back."""
    asked_s: float | None = None
    """How long a person thought about it before it ran; None: nobody was asked."""
    text: str = "two cats"


def reply(text: str = "", **plan: Any) -> ReplyPlan:
    """A reply; without calls it is text."""
    return ReplyPlan(text or ("" if plan.get("calls") else "Two cats."), **plan)


def tool(name: str, duration_s: float | None = 0.1, **plan: Any) -> ToolPlan:
    """A tool call."""
    return ToolPlan(name, duration_s, **plan)


def tokens(input_tokens: int | None, output_tokens: int | None, **more: Any) -> Usage:
    """Usage as a provider reports it."""
    known = input_tokens is not None and output_tokens is not None
    total = input_tokens + output_tokens if known else None  # type: ignore[operator]
    more = {"source": "provider", **more}
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, total_tokens=total, **more)


class Story:
    """A run as it is told."""

    def __init__(
        self,
        run_id: str = "run-1",
        *,
        protocol: Literal["native", "memgpt"] = "native",
        question: str = "How many cats?",
        agent_name: str = "counter",
        tags: dict[str, str] | None = None,
        minutes: int = 0,
    ) -> None:
        self.run_id, self.events = run_id, list[Event]()
        self._t_ns, self._step, self._messages, self._calls = START_NS, 0, 0, 0
        self._started_at = STARTED_AT + timedelta(minutes=minutes)
        self.emit(
            RunStarted,
            started_at=self._started_at,
            clock="system",
            agent_name=agent_name,
            model="tiny-1",
            provider="scripted",
            protocol=protocol,
            tags=tags or {},
        )
        self.wait(0.001)
        self.say("system", "You count cats.", source="system")
        self.say("user", question, source="input")

    def wait(self, seconds: float) -> Story:
        """Let time pass."""
        self._t_ns += ns(seconds)
        return self

    def emit(self, kind: type[EventBase], **fields: Any) -> Event:
        """Add an event, now."""
        event: Any = kind(run_id=self.run_id, step=self._step, seq=len(self.events), t_ns=self._t_ns, **fields)
        self.events.append(event)
        return event

    def say(self, role: Any, text: str = "", *, source: str, **fields: Any) -> Message:
        """Add a message, now."""
        self._messages += 1
        at = self._started_at + timedelta(microseconds=(self._t_ns - START_NS) // 1000)
        fields = {"content": (TextPart(text=text),) if text else None, **fields}
        message = Message(id=f"message-{self.run_id}-{self._messages}", role=role, created_at=at, **fields)
        self.emit(MessageAdded, message=message, source=source)
        return message

    def step(
        self, *plans: ReplyPlan | ToolPlan, idle_s: float = 0.0, finished: bool = True, error: str | None = None
    ) -> Story:
        """Tell a step: its replies (several: earlier ones failed), then its tools, then nothing for a while."""
        self._step += 1
        self.emit(StepStarted, step_id=f"step-{self.run_id}-{self._step}")
        replies = [plan for plan in plans if isinstance(plan, ReplyPlan)]
        tools = [plan for plan in plans if isinstance(plan, ToolPlan)]
        for plan in replies:
            self._reply(plan)
        if replies and replies[-1].comes:
            self._tools(tools, self._answer(replies[-1], tools))
        self.wait(idle_s)
        if error is not None:
            self.emit(ErrorRaised, error_type=error, code="INTERNAL_SERVER_ERROR", message="it broke")
        elif finished:
            self.emit(ContinuationDecided, go_on=bool(tools), policy="on_request", reason="go on" if tools else None)
            self.emit(StepFinished, step_id=f"step-{self.run_id}-{self._step}")
        return self

    def pause(self, call_id: str, tool_name: str) -> Story:
        """Ask a person about a call, and pause the run."""
        self.ask(call_id, tool_name)
        self.emit(RunPaused, pending=(call_id,))
        return self

    def resume(self) -> Story:
        """Go on in another process; time goes on where it stood."""
        self.emit(RunResumed, resumed_at=self._started_at)
        return self

    def ask(self, call_id: str, tool_name: str) -> None:
        """Ask about a call."""
        self.emit(
            ApprovalRequested, call_id=call_id, tool=tool_name, arguments="{}", call_hash="h", rule="it deletes things"
        )

    def decide(self, call_id: str, tool_name: str, action: str = "approve", **fields: Any) -> None:
        """Decide a call; a person does, when nobody else is named."""
        who = {"approver": "ada", "approver_kind": "person", **fields}
        self.emit(ApprovalDecided, call_id=call_id, tool=tool_name, action=action, call_hash="h", **who)

    def end(self, stop_reason: StopReason = "end_turn") -> Trace:
        """The trace of the whole run."""
        self.emit(RunFinished, stop_reason=stop_reason)
        return self.trace()

    def trace(self, *, live: bool = False) -> Trace:
        """The trace as far as it has been told."""
        return Trace(self.events, live=live)

    def _reply(self, plan: ReplyPlan) -> None:
        self.emit(
            ModelCalled,
            model="tiny-1",
            provider="scripted",
            n_messages=self._messages,
            tool_choice="auto",
            purpose=plan.purpose,
        )
        if plan.comes:
            log = chunk_log(plan, self._t_ns)
            self._t_ns += log.close_ns or 0
            self.emit(
                ModelReplied,
                complete=plan.complete,
                chunks=log,
                usage=plan.usage if plan.complete else NO_USAGE,
                finish_reason=("tool_calls" if plan.calls else "stop") if plan.complete else None,
                marks_ns=plan.marks_ns,
            )

    def _answer(self, plan: ReplyPlan, tools: Sequence[ToolPlan]) -> list[str]:
        calls = []
        for each in tools:
            self._calls += 1
            arguments = FunctionCall(name=each.name, arguments=f'{{"n":{self._calls}}}')
            calls.append(ToolCall(id=f"call-{self.run_id}-{self._calls}", function=arguments))
        thought = (ReasoningPart(is_native=True, reasoning=plan.reasoning),) if plan.reasoning else ()
        parts = (*thought, *((TextPart(text=plan.text),) if plan.text else ()))
        self.say("assistant", source="model", content=parts or None, tool_calls=tuple(calls) or None)
        return [call.id for call in calls]

    def _tools(self, tools: Sequence[ToolPlan], call_ids: Sequence[str]) -> None:
        for plan, call_id in zip(tools, call_ids, strict=True):
            if plan.asked_s is not None:
                self.ask(call_id, plan.name)
                self.wait(plan.asked_s)
                self.decide(call_id, plan.name)
        begin_ns = self._t_ns
        marks: list[tuple[int, int, ToolPlan, str, bool]] = []
        for order, (plan, call_id) in enumerate(zip(tools, call_ids, strict=True)):
            start_ns = begin_ns + ns(plan.delay_s)
            if plan.duration_s is not None:
                marks.append((start_ns, order, plan, call_id, True))
            if plan.returns:
                marks.append((start_ns + ns(plan.duration_s or 0.0), order + len(tools), plan, call_id, False))
        for t_ns, _, plan, call_id, starts in sorted(marks, key=lambda mark: mark[:2]):
            self._t_ns = t_ns
            if starts:
                self.emit(ToolStarted, call_id=call_id, tool=plan.name, arguments='{"n":1}')
            else:
                self._return(plan, call_id)

    def _return(self, plan: ToolPlan, call_id: str) -> None:
        status: Literal["success", "error"] = "success" if plan.ok and plan.duration_s is not None else "error"
        error = None if status == "success" else "ToolError"
        self.emit(ToolReturned, call_id=call_id, tool=plan.name, status=status, text=plan.text, error_type=error)
        answer = ToolReturn(tool_call_id=call_id, status=status, func_response=plan.text)
        self.say("tool", plan.text, source="tool", tool_call_id=call_id, name=plan.name, tool_returns=(answer,))


def chunk_log(plan: ReplyPlan, request_ns: int) -> ChunkLog:
    """The log of a reply: a role, the payload, a finish reason, usage; a cut one ends after its payload."""
    recorder = ChunkRecorder()
    t_ns = request_ns + ns(plan.ttft_s) // 2
    headers_ns = t_ns
    recorder.add(Chunk(t_ns=t_ns, kind=ChunkKind.ROLE, size_bytes=plan.size_bytes))
    t_ns = request_ns + ns(plan.ttft_s)
    for n in range(plan.n_chunks):
        recorder.add(Chunk(t_ns=t_ns + n * ns(plan.gap_s), kind=_kind(plan, n), size_bytes=plan.size_bytes))
    t_ns += max(0, plan.n_chunks - 1) * ns(plan.gap_s)
    if plan.complete:
        recorder.add(Chunk(t_ns=t_ns, kind=ChunkKind.DONE, size_bytes=plan.size_bytes))
        recorder.add(Chunk(t_ns=t_ns, kind=ChunkKind.USAGE, size_bytes=plan.size_bytes))
    return recorder.pack(request_ns, headers_ns, t_ns + ns(0.001))


def _kind(plan: ReplyPlan, n: int) -> int:
    if plan.reasoning and n < plan.n_chunks // 2:
        return ChunkKind.REASONING
    if plan.calls:
        return ChunkKind.TOOL_ARGS if n else ChunkKind.TOOL_NAME | ChunkKind.TOOL_ARGS
    return ChunkKind.CONTENT


def trace_of(n_steps: int, run_id: str = "run-1", *, minutes: int = 0) -> Trace:
    """An ordinary run: tools in every step but the last, one of them failing, one refused."""
    story = Story(run_id, minutes=minutes, tags={"arm": "a"})
    for n in range(1, n_steps):
        tools = [tool("search", 0.1 + 0.05 * (n % 4)), tool("calculator", 0.2, ok=n % 5 != 0)]
        if n % 7 == 0:
            tools.append(tool("delete", None))
        story.step(reply(calls=[t.name for t in tools], reasoning="Hm." * (n % 2), ttft_s=0.2 + 0.1 * (n % 3)), *tools)
    return story.step(reply("Two cats.", ttft_s=0.4)).end()


replies = st.builds(
    ReplyPlan,
    text=st.sampled_from(("", "Two cats.", "🐈" * 3)),
    reasoning=st.sampled_from(("", "Hm.")),
    ttft_s=st.floats(0, 3),
    gap_s=st.sampled_from((0.0, 0.01, 0.3)),
    n_chunks=st.integers(0, 6),
    usage=st.one_of(st.just(NO_USAGE), st.builds(tokens, st.integers(0, 99), st.none() | st.integers(0, 99))),
    complete=st.booleans(),
    size_bytes=st.sampled_from((0, 50)),
    purpose=st.sampled_from(("step", "step", "approval")),
)
tools = st.builds(
    ToolPlan,
    name=st.sampled_from(("search", "send_message")),
    duration_s=st.none() | st.floats(0, 2),
    delay_s=st.sampled_from((0.0, 0.05, 1.0)),
    ok=st.booleans(),
    asked_s=st.none() | st.sampled_from((0.0, 0.7)),
)


@st.composite
def traces(draw: st.DrawFn, run_id: str = "run-1") -> Trace:
    """Any run, whole or cut off after any event."""
    story = Story(run_id, protocol=draw(st.sampled_from(("native", "memgpt"))))
    for _ in range(draw(st.integers(0, 4))):
        used = draw(st.lists(tools, max_size=3))
        plans = draw(st.lists(replies, min_size=1, max_size=2))
        story.step(*plans, *used, idle_s=draw(st.sampled_from((0.0, 0.2))))
        if draw(st.booleans()):
            story.pause(f"call-waiting-{len(story.events)}", "delete").resume()
    whole = story.end()
    kept = draw(st.integers(1, len(whole)) | st.just(len(whole)))
    return Trace(whole.events[:kept])
