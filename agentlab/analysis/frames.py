"""Conversations as DataFrames: runs, steps, messages, tool calls, approvals, chunks.

Each function takes a run, a trace, a lab, or a list of them. The columns stand in `columns`; frames join on `run_id`,
`step` and `call_id`. Values that are not known are NA, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from agentlab.analysis.calls import ModelCalls
from agentlab.analysis.columns import documented, to_pandas
from agentlab.analysis.grouping import floats, rows_where, take, under_runs, under_steps
from agentlab.analysis.latency import NS_PER_S, Floats
from agentlab.analysis.run_times import model_spans, run_times, tool_spans
from agentlab.analysis.sources import Source, tables_of
from agentlab.analysis.usage_sums import usage_sums
from agentlab.trace.chunks import PAYLOAD, ChunkKind


@documented("runs")
def runs_df(source: Source, *, runs: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a run.

    Args:
        source: A run, a trace, a lab or a list of them.
        runs: Only runs with these ids.
    """
    tables = tables_of(source, runs)
    table, calls = tables.table("runs"), ModelCalls.of(tables)
    steps, tools, statuses = tables.table("steps"), tables.table("tool_calls"), tables.statuses()
    under, by_tool = under_runs(calls.table, table), under_runs(tools, table)
    by_call, aside = under.only(calls.for_steps), under.only(~calls.for_steps)
    return to_pandas(
        "runs",
        {
            **_copied(table, "run_id started_at stop_reason model provider protocol clock parent_run_id tags"),
            **_copied(table, "n_messages n_errors n_events"),
            "agent": table["agent_name"],
            "status": pa.array([statuses.get(run_id) for run_id in table["run_id"].to_pylist()], pa.string()),
            **run_times(table, steps, calls, tools, tables.table("approvals")),
            "n_steps": under_runs(steps, table).count(),
            "n_model_calls": by_call.count(),
            "n_tool_calls": by_tool.count(),
            "n_tool_errors": by_tool.count(rows_where(tools["status"], "error")),
            **usage_sums(calls.table, by_call),
            "n_side_calls": aside.count(),
            "side_input_tokens": aside.sum(calls.column("input_tokens"), of_nothing=0),
            "side_output_tokens": aside.sum(calls.column("output_tokens"), of_nothing=0),
        },
    )


@documented("steps")
def steps_df(source: Source, *, runs: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a step; its times to tokens are those of its last model call, as earlier ones were tried again.

    Args:
        source: A run, a trace, a lab or a list of them.
        runs: Only runs with these ids.
    """
    tables = tables_of(source, runs)
    table, run_table, calls = tables.table("steps"), tables.table("runs"), ModelCalls.of(tables)
    tools = tables.table("tool_calls")
    under, by_tool = under_steps(calls.table, table, run_table), under_steps(tools, table, run_table)
    by_call = under.only(calls.for_steps)
    last = by_call.last()
    return to_pandas(
        "steps",
        {
            **_copied(table, "run_id step step_id go_on policy reason error_type error_code"),
            "stop_reason": _stop_reasons(table, run_table),
            "start_s": _seconds(table["started_ns"]),
            "duration_s": _between("started_ns", "finished_ns", table),
            **_copied(calls.table.take(last), "model complete finish_reason"),
            "n_context_messages": calls.table["n_messages"].combine_chunks().take(last),
            **{name: take(values, last) for name, values in calls.measures().items()},
            "model_s": model_spans(calls, under).time_s,
            "tool_s": tool_spans(tools, by_tool).time_s,
            "n_model_calls": by_call.count(),
            "retries": by_call.sum(calls.column("retries"), of_nothing=np.nan),
            "n_tool_calls": by_tool.count(),
            "n_tool_errors": by_tool.count(rows_where(tools["status"], "error")),
            **usage_sums(calls.table, by_call),
        },
    )


@documented("messages")
def messages_df(source: Source, *, runs: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a message, in the order in which they joined; a message that was replaced stays a row.

    Args:
        source: A run, a trace, a lab or a list of them.
        runs: Only runs with these ids.
    """
    table = tables_of(source, runs).table("messages")
    names = "run_id step seq message_id role source created_at name text reasoning n_tool_calls call_id is_error"
    return to_pandas("messages", {**_copied(table, names + " replaces"), "t_s": _seconds(table["t_ns"])})


@documented("tool_calls")
def tool_calls_df(source: Source, *, runs: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a tool call, also for those that were refused before the tool ran.

    Args:
        source: A run, a trace, a lab or a list of them.
        runs: Only runs with these ids.
    """
    table = tables_of(source, runs).table("tool_calls")
    return to_pandas(
        "tool_calls",
        {
            **_copied(table, "run_id step call_id tool status requested_arguments arguments text error_type"),
            "start_s": _seconds(table["started_ns"]),
            "duration_s": _between("started_ns", "returned_ns", table),
        },
    )


@documented("approvals")
def approvals_df(source: Source, *, runs: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a decision about a tool call, and one for each call that waits; a call that was handed on has several.

    Args:
        source: A run, a trace, a lab or a list of them.
        runs: Only runs with these ids.
    """
    table = tables_of(source, runs).table("approvals")
    names = "run_id step call_id tool rule action approver approver_kind arguments reason response"
    return to_pandas(
        "approvals",
        {
            **_copied(table, names),
            "requested_s": _seconds(table["requested_ns"]),
            "decided_s": _seconds(table["decided_ns"]),
            "latency_s": _seconds(table["latency_ns"]),
        },
    )


@documented("chunks")
def chunks_df(source: Source, *, runs: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a server-sent event of the model's replies, in order of arrival.

    Args:
        source: A run, a trace, a lab or a list of them.
        runs: Only runs with these ids.
    """
    calls = ModelCalls.of(tables_of(source, runs))
    logs, of_event = calls.logs, calls.logs.call_of_event
    firsts = np.cumsum(logs.n_events) - logs.n_events
    keys = ["run_id", "step", "call", "purpose"]
    flags = {kind.name.lower(): (logs.kinds & kind.value) > 0 for kind in ChunkKind if kind.name}
    return to_pandas(
        "chunks",
        {
            **_copied(calls.table.select(keys).take(pa.array(of_event)), " ".join(keys)),
            "event": np.arange(len(of_event)) - firsts[of_event],
            "offset_s": logs.offsets_ns / NS_PER_S,
            **flags,
            "payload": (logs.kinds & PAYLOAD.value) > 0,
            "size_bytes": np.where(logs.sizes_bytes > 0, logs.sizes_bytes, np.nan),
        },
    )


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
