"""The columns of every frame, declared once: name, type, unit, meaning.

Frames, empty frames and their documentation are made from this table. A value that is not known is NA, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, get_args

import pandas as pd
import pyarrow as pa

from agentlab.analysis import engines
from agentlab.analysis.column import COUNT, FLAG, TEXT, WORDS, Column, seconds, tokens
from agentlab.analysis.latency_columns import LATENCY_FRAMES, TIMES_TO_TOKENS, TRANSPORT
from agentlab.analysis.usage_columns import USAGE_FRAMES
from agentlab.errors import InputError
from agentlab.messages.message import Role
from agentlab.trace.events import EVENT_TYPES, Action, ApproverKind, CallPurpose, MessageSource, StopReason
from agentlab.trace.trace import RunStatus
from agentlab.trace.usage import UsageSource

_F = TypeVar("_F", bound=Callable[..., Any])

_STOP_REASONS = get_args(StopReason)

_RUN_ID = Column("run_id", TEXT, "The run.")
_STEP = Column("step", COUNT, "The step, from 1; 0 before the first.")
_USAGE = (
    tokens("input_tokens", "Prompt, cached tokens included; NA when one call did not report it."),
    tokens("cached_tokens", "Of these, read from the provider's cache."),
    tokens("cache_write_tokens", "Of these, written to the provider's cache."),
    tokens("output_tokens", "Reply, reasoning included."),
    tokens("reasoning_tokens", "Of these, reasoning."),
    tokens("total_tokens", "Input and output, as the provider adds them."),
    Column("usage_source", get_args(UsageSource), "Who counted; of several calls the weakest source."),
)

RUNS = (
    _RUN_ID,
    Column("started_at", pa.timestamp("us", tz="UTC"), "Wall time of the start; for display."),
    Column("status", get_args(RunStatus), "Whether it ended, waits for decisions, still runs, or was cut off."),
    Column("stop_reason", _STOP_REASONS, "Why it ended."),
    Column("agent", WORDS, "The agent's name."),
    Column("model", WORDS, "The model that was asked for."),
    Column("provider", WORDS, "Who serves it."),
    Column("protocol", ("memgpt", "native"), "How agent and model talk."),
    Column("clock", ("system", "virtual"), "What measured the times."),
    Column("parent_run_id", TEXT, "The run whose conversation went on."),
    seconds("wall_s", "First event to last; where it was paused without a process, no time passed."),
    seconds("ttft_run_s", "User's message in, to the first output that the user sees; tools and waiting included."),
    seconds("model_s", "Of wall_s: some model call was under way, and no person was waited for."),
    seconds("tool_s", "Of wall_s: some tool was under way, and neither of the others; parallel tools count once."),
    seconds("human_s", "Of wall_s: a person was waited for, answer or not; NA while a question is open."),
    seconds("idle_s", "Of wall_s: none of these."),
    Column("n_steps", COUNT, "Steps begun."),
    Column("n_model_calls", COUNT, "Requests to the model for its steps."),
    Column("n_tool_calls", COUNT, "Tool calls, also those that never ran."),
    Column("n_tool_errors", COUNT, "Tool calls that failed."),
    Column("n_messages", COUNT, "Messages that joined the conversation; those of its parent as `inherited` says."),
    Column("n_errors", COUNT, "Failures outside of tools."),
    Column("n_events", COUNT, "Events of the trace."),
    *_USAGE,
    Column("n_side_calls", COUNT, "Requests to a model that judged a tool call or summed up; not counted above."),
    tokens("side_input_tokens", "Prompts of these."),
    tokens("side_output_tokens", "Replies of these."),
    Column("tags", TEXT, "Labels of the run, as a JSON object."),
)

STEPS = (
    _RUN_ID,
    _STEP,
    Column("step_id", TEXT, "The step's own id; messages carry it."),
    seconds("start_s", "Start of the step, from the start of the run."),
    seconds("duration_s", "Wall-clock time of the step."),
    Column("model", WORDS, "The model that was asked."),
    Column("n_model_calls", COUNT, "Model calls; the times to tokens below are those of the last."),
    Column("n_context_messages", COUNT, "Messages that the model read."),
    Column("complete", FLAG, "The reply came whole; False: cut, cancelled or failed."),
    Column("finish_reason", WORDS, "Why the model stopped, in the provider's word."),
    *TIMES_TO_TOKENS,
    *TRANSPORT,
    seconds("model_s", "Some model call was under way."),
    seconds("tool_s", "Some tool was under way; parallel tools count once."),
    *_USAGE,
    Column("retries", COUNT, "Requests that were sent again."),
    Column("n_tool_calls", COUNT, "Tool calls, also those that never ran."),
    Column("n_tool_errors", COUNT, "Tool calls that failed."),
    Column("go_on", FLAG, "The heartbeat policy gave another step."),
    Column("policy", WORDS, "The heartbeat policy that decided."),
    Column("reason", TEXT, "What the model reads about the next step."),
    Column("stop_reason", _STOP_REASONS, "Why the run ended with this step."),
    Column("error_type", WORDS, "Class of the last failure outside of tools."),
    Column("error_code", WORDS, "Its stable name."),
)

MESSAGES = (
    _RUN_ID,
    _STEP,
    Column("seq", COUNT, "Number of the event with which it joined; orders the messages of a run."),
    seconds("t_s", "When it joined, from the start of the run."),
    Column("message_id", TEXT, "The message's own id."),
    Column("role", get_args(Role), "Who speaks."),
    Column("source", get_args(MessageSource), "Where it came from; `history`: inherited from an earlier run."),
    Column("created_at", pa.timestamp("us", tz="UTC"), "Wall time; for display."),
    Column("name", WORDS, "Name of the speaker, or of the tool that answers."),
    Column("text", TEXT, "Its text parts; NA when there are none."),
    Column("reasoning", TEXT, "The model's reasoning, in its own words."),
    Column("n_tool_calls", COUNT, "Tool calls that it asks for."),
    Column("call_id", TEXT, "The tool call that it asks for or answers; of several the first."),
    Column("is_error", FLAG, "Of a tool's answer: a call failed."),
    Column("replaces", TEXT, "The message whose place it takes."),
)

TOOL_CALLS = (
    _RUN_ID,
    _STEP,
    Column("call_id", TEXT, "The call."),
    Column("tool", WORDS, "The tool's name."),
    Column("status", ("waiting", "running", "success", "error"), "How it ended; `waiting`: for a decision."),
    seconds("start_s", "Start of the tool, from the start of the run; NA when it never ran."),
    seconds("duration_s", "Wall-clock time inside the tool; NA when it never ran or still runs."),
    Column("requested_arguments", TEXT, "As they stand in the conversation: JSON, when the model kept to it."),
    Column("arguments", TEXT, "Arguments as the tool got them (JSON); NA when it never ran."),
    Column("text", TEXT, "What came back, before it was packed for the model."),
    Column("error_type", WORDS, "Class of the exception, when it failed."),
)

APPROVALS = (
    _RUN_ID,
    _STEP,
    Column("call_id", TEXT, "The call."),
    Column("tool", WORDS, "The tool's name."),
    Column("rule", WORDS, "Why somebody was asked; NA when nobody had to be."),
    Column("action", get_args(Action), "What was decided; NA while it waits. `escalate`: handed on to the next."),
    Column("approver", WORDS, "Who decided."),
    Column("approver_kind", get_args(ApproverKind), "What kind of approver that is."),
    seconds("requested_s", "When somebody was asked, from the start of the run."),
    seconds("decided_s", "When it was decided, from the start of the run."),
    seconds("latency_s", "Question to answer; NA when nobody was asked, or the answer came to another process."),
    Column("arguments", TEXT, "What the tool gets instead (JSON), when the approver edited it."),
    Column("reason", TEXT, "Why, in the approver's words."),
    Column("response", TEXT, "What the model reads in the place of the tool's return."),
)

CHUNKS = (
    _RUN_ID,
    _STEP,
    Column("call", COUNT, "Which model call of the step, from 1."),
    Column("purpose", get_args(CallPurpose), "What the model was called for: the step itself, or something aside."),
    Column("event", COUNT, "Which server-sent event of the call, from 0."),
    seconds("offset_s", "Arrival, from the request."),
    Column("role", FLAG, "It carried a role."),
    Column("reasoning", FLAG, "It carried reasoning text."),
    Column("content", FLAG, "It carried answer text."),
    Column("tool_name", FLAG, "It carried the name of a tool."),
    Column("tool_args", FLAG, "It carried arguments of a tool call."),
    Column("usage", FLAG, "It carried token counts."),
    Column("ping", FLAG, "A keep-alive, or an event with neither a choice nor usage."),
    Column("done", FLAG, "It carried a finish reason."),
    Column("payload", FLAG, "It starts and stops clocks: reasoning, answer text or a tool call."),
    Column("size_bytes", COUNT, "Length of its data; NA where there was no wire.", "bytes"),
)

EVENTS = (
    _RUN_ID,
    _STEP,
    Column("seq", COUNT, "Number of the event in its run, from 0."),
    seconds("t_s", "When it happened, from the start of the run."),
    Column("type", tuple(sorted(EVENT_TYPES)), "What happened."),
    Column("call_id", TEXT, "The tool call that it is about."),
    Column("tool", WORDS, "That call's tool."),
    Column("message_id", TEXT, "The message that joined."),
    Column("role", get_args(Role), "Who speaks in it."),
    Column("purpose", get_args(CallPurpose), "What the model was called for."),
    Column("outcome", WORDS, "A decision's action, a tool's status, a failure's code, the reason of an end."),
    Column("data", TEXT, "All else that was recorded, as a JSON object."),
)

FRAMES: dict[str, tuple[Column, ...]] = {
    "runs": RUNS,
    "steps": STEPS,
    "messages": MESSAGES,
    "tool_calls": TOOL_CALLS,
    "approvals": APPROVALS,
    "chunks": CHUNKS,
    "events": EVENTS,
}
"""The columns of each frame, in order."""


def columns_of(frame: str) -> tuple[Column, ...]:
    """The columns of a frame, in order.

    Raises:
        InputError: There is no such frame.
    """
    known = FRAMES | USAGE_FRAMES | LATENCY_FRAMES
    if frame not in known:
        raise InputError(f"there is no frame {frame!r}; there are {', '.join(known)}")
    return known[frame]


def chosen(frame: str, names: Sequence[str] | None) -> tuple[Column, ...]:
    """The columns of these names, in their order; all, when none are given.

    Raises:
        InputError: A name is unknown or stands there twice.
    """
    declared = {column.name: column for column in columns_of(frame)}
    if names is None:
        return tuple(declared.values())
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise InputError(f"`columns` takes a list of names, not {names!r:.80}")
    if not names:
        raise InputError(f"`columns` names none; `{frame}` has {', '.join(declared)}")
    if unknown := [name for name in names if not isinstance(name, str) or name not in declared]:
        raise InputError(f"`{frame}` has no column {unknown[0]!r:.80}; it has {', '.join(declared)}")
    if twice := [name for name in declared if names.count(name) > 1]:
        raise InputError(f"`columns` names {twice[0]!r} more than once")
    return tuple(declared[name] for name in names)


def describe(frame: str) -> pd.DataFrame:
    """A table of a frame's columns: dtype, unit and meaning by name.

    Args:
        frame: One of `FRAMES`: `runs`, `steps`, `messages`, …
    """
    rows = [(c.name, _dtype_name(c), c.unit, c.meaning) for c in columns_of(frame)]
    return pd.DataFrame(rows, columns=["column", "dtype", "unit", "meaning"]).set_index("column")


def to_pandas(frame: str, arrays: Mapping[str, Any]) -> pd.DataFrame:
    """The frame, typed as declared.

    Args:
        frame: Its name in `FRAMES`.
        arrays: By column: Arrow arrays, or numpy arrays in which NaN is not known.
    """
    columns = columns_of(frame)
    if arrays.keys() != {c.name for c in columns}:
        raise InputError(f"`{frame}` is made of other columns: {sorted(arrays.keys() ^ {c.name for c in columns})}")
    return engines.to_pandas(columns, engines.to_table(columns, arrays))


def empty(frame: str) -> pd.DataFrame:
    """The frame of nothing: all columns, no rows."""
    return to_pandas(frame, {c.name: pa.array([], c.arrow_type) for c in columns_of(frame)})


def documented(frame: str) -> Callable[[_F], _F]:
    """Adds the columns of a frame to the docstring of the function that makes it."""

    def add(function: _F) -> _F:
        lines = [f"    {c.name}: {c.meaning}{f' [{c.unit}]' if c.unit else ''}" for c in columns_of(frame)]
        function.__doc__ = "\n".join([(function.__doc__ or "").rstrip(), "", "Columns:", *lines, ""])
        return function

    return add


def _dtype_name(column: Column) -> str:
    return f"category: {', '.join(column.words)}" if column.words else str(column.dtype)
