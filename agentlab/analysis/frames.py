"""Conversations as DataFrames: runs, steps, messages, tool calls, approvals, chunks, events.

Each function takes a run, a trace, a lab, an experiment, a file or folder of these, or a list of them. The columns
stand in `columns`; frames join on `run_id`, `step` and `call_id`. Values that are not known are NA, never 0.

Here is how each column is made from the tables of some runs; `reading` gives them the arguments that they share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agentlab.analysis.calls import ModelCalls
from agentlab.analysis.columns import STEPS
from agentlab.analysis.event_rows import event_columns
from agentlab.analysis.grouping import Groups, floats, rows_where, take, under_runs, under_steps
from agentlab.analysis.latency import NS_PER_S, Floats
from agentlab.analysis.reading import MADE, frame, lazily
from agentlab.analysis.run_times import model_spans, run_times, tool_spans, ttft_run_s
from agentlab.analysis.tables import Tables
from agentlab.analysis.usage_sums import usage_sums
from agentlab.lab import pack
from agentlab.trace.chunks import PAYLOAD, ChunkKind
from agentlab.trace.usage import COUNTS

_USAGE = (*COUNTS, "usage_source")
_RUN_TIMES = ("wall_s", "human_s", "model_s", "tool_s", "idle_s")
_OF_LAST_CALL = "model complete finish_reason"
_CALLED = ("runs", "steps", "model_calls", "tool_calls", "approvals")
"""Tables that say what a run did, and not what was said in it."""


@dataclass
class _Did:
    """What was done in each run or step; a table is read when the first column needs it."""

    tables: Tables
    gather: Callable[[pa.Table], Groups]
    """Rows under their runs or steps."""

    @cached_property
    def calls(self) -> ModelCalls:
        return ModelCalls.of(self.tables)

    @cached_property
    def tools(self) -> pa.Table:
        return self.tables.table("tool_calls", ())

    @cached_property
    def under(self) -> Groups:
        """All model calls."""
        return self.gather(self.calls.table)

    @cached_property
    def by_call(self) -> Groups:
        """Those for steps."""
        return self.under.only(self.calls.for_steps)

    @cached_property
    def aside(self) -> Groups:
        return self.under.only(~self.calls.for_steps)

    @cached_property
    def by_tool(self) -> Groups:
        return self.gather(self.tools)


@frame("runs", reads=_CALLED, logs=True)
def runs_df(tables: Tables, needed: frozenset[str]) -> dict[str, Any]:
    """One row a run."""
    table = tables.table("runs")
    did = _Did(tables, lambda rows: under_runs(rows, table))
    return {
        **_copied(table, "run_id started_at stop_reason model provider protocol clock parent_run_id tags"),
        **_copied(table, "n_messages n_errors n_events"),
        "agent": table["agent_name"],
        "status": lambda: _statuses(tables, table),
        **lazily(lambda: run_times(table, did.calls, did.tools, tables.table("approvals")), _RUN_TIMES),
        "ttft_run_s": lambda: ttft_run_s(table, tables.table("steps"), did.calls, did.tools),
        "n_steps": lambda: under_runs(tables.table("steps"), table).count(),
        "n_model_calls": lambda: did.by_call.count(),
        "n_tool_calls": lambda: did.by_tool.count(),
        "n_tool_errors": lambda: did.by_tool.count(rows_where(did.tools["status"], "error")),
        **lazily(lambda: usage_sums(did.calls.table, did.by_call), _USAGE),
        "n_side_calls": lambda: did.aside.count(),
        "side_input_tokens": lambda: did.aside.sum(did.calls.column("input_tokens"), of_nothing=0),
        "side_output_tokens": lambda: did.aside.sum(did.calls.column("output_tokens"), of_nothing=0),
    }


@frame("steps", reads=_CALLED, logs=True)
def steps_df(tables: Tables, needed: frozenset[str]) -> dict[str, Any]:
    """One row a step; its times to tokens are those of its last model call, as earlier ones were tried again."""
    table = tables.table("steps")
    did = _Did(tables, lambda rows: under_steps(rows, table, tables.table("runs")))
    last = cache(lambda: did.by_call.last())
    made = {
        **_copied(table, "run_id step step_id go_on policy reason error_type error_code"),
        "stop_reason": lambda: _stop_reasons(table, tables.table("runs")),
        "start_s": lambda: _seconds(table["started_ns"]),
        "duration_s": lambda: _between("started_ns", "finished_ns", table),
        **lazily(lambda: _copied(did.calls.table.take(last()), _OF_LAST_CALL), _OF_LAST_CALL.split()),
        "n_context_messages": lambda: did.calls.table["n_messages"].combine_chunks().take(last()),
        "model_s": lambda: model_spans(did.calls, did.under).time_s,
        "tool_s": lambda: tool_spans(did.tools, did.by_tool).time_s,
        "n_model_calls": lambda: did.by_call.count(),
        "retries": lambda: did.by_call.sum(did.calls.column("retries"), of_nothing=np.nan),
        "n_tool_calls": lambda: did.by_tool.count(),
        "n_tool_errors": lambda: did.by_tool.count(rows_where(did.tools["status"], "error")),
        **lazily(lambda: usage_sums(did.calls.table, did.by_call), _USAGE),
    }
    of_calls = [column.name for column in STEPS if column.name not in made]
    return made | lazily(
        lambda: {name: take(values, last()) for name, values in did.calls.measures().items()}, of_calls
    )


@frame("messages", reads=["messages"])
def messages_df(tables: Tables, needed: frozenset[str]) -> dict[str, Any]:
    """One row a message, in the order in which they joined; a message that was replaced stays a row."""
    table = tables.table("messages", needed)
    return {**_columns(table), "t_s": lambda: _seconds(table["t_ns"])}


@frame("tool_calls", reads=["tool_calls"])
def tool_calls_df(tables: Tables, needed: frozenset[str]) -> dict[str, Any]:
    """One row a tool call, also for those that were refused before the tool ran."""
    table = tables.table("tool_calls", needed)
    return {
        **_columns(table),
        "start_s": lambda: _seconds(table["started_ns"]),
        "duration_s": lambda: _between("started_ns", "returned_ns", table),
    }


@frame("approvals", reads=["approvals"])
def approvals_df(tables: Tables, needed: frozenset[str]) -> dict[str, Any]:
    """One row a decision about a tool call, and one for each call that waits; a call that was handed on has several."""
    table = tables.table("approvals")
    return {
        **_columns(table),
        "requested_s": lambda: _seconds(table["requested_ns"]),
        "decided_s": lambda: _seconds(table["decided_ns"]),
        "latency_s": lambda: _seconds(table["latency_ns"]),
    }


@frame("chunks", reads=["model_calls"], logs=True)
def chunks_df(tables: Tables, needed: frozenset[str]) -> dict[str, Any]:
    """One row a server-sent event of the model's replies, in order of arrival."""
    calls = ModelCalls.of(tables)
    logs, of_event = calls.logs, calls.logs.call_of_event
    keys = [name for name in ("run_id", "step", "call", "purpose") if name in needed]
    flags = {kind.name.lower(): (logs.kinds & kind.value) > 0 for kind in ChunkKind if kind.name}
    return {
        **_columns(calls.table.select(keys).take(pa.array(of_event))),
        "event": lambda: np.arange(len(of_event)) - (np.cumsum(logs.n_events) - logs.n_events)[of_event],
        "offset_s": lambda: logs.offsets_ns / NS_PER_S,
        **flags,
        "payload": lambda: (logs.kinds & PAYLOAD.value) > 0,
        "size_bytes": lambda: np.where(logs.sizes_bytes > 0, logs.sizes_bytes, np.nan),
    }


@frame("events", reads=tuple(pack.SCHEMAS))  # their size tells that of the journal, which is read
def events_df(tables: Tables, needed: frozenset[str]) -> dict[str, Any]:
    """One row an event, in order: all that was recorded but the chunk logs, which `chunks_df` has."""
    made = event_columns(tables.event_texts(), needed)
    return {**made, "t_s": lambda: floats(made["t_ns"]) / NS_PER_S}


ALL = tuple(MADE.values())
"""How each frame here is made."""


def _columns(table: pa.Table) -> dict[str, Any]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _statuses(tables: Tables, runs: pa.Table) -> pa.Array:
    statuses = tables.statuses()
    return pa.array([statuses.get(run_id) for run_id in runs["run_id"].to_pylist()], pa.string())


def _copied(table: pa.Table, names: str) -> dict[str, Any]:
    return {name: table[name] for name in names.split()}


def _seconds(column: Any) -> Floats:
    return floats(column) / NS_PER_S


def _between(start: str, end: str, table: pa.Table) -> Floats:
    return floats(pc.subtract(table[end], table[start])) / NS_PER_S


def _stop_reasons(steps: pa.Table, runs: pa.Table) -> pa.Array:
    """Of the step with which a run ended: why; also where no policy was asked, as after an error."""
    under = under_runs(steps, runs)
    is_last = np.zeros(len(steps), bool)
    is_last[under.last().drop_null().to_numpy()] = True
    of_run = runs["stop_reason"].combine_chunks().take(under.parent)
    return pc.if_else(pa.array(is_last), of_run, pa.nulls(len(steps), pa.string()))
