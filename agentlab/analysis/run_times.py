"""Where the time of runs and steps went: model, tools, people, nothing; and when the user saw the first word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from agentlab.agent.protocol import SEND_MESSAGE
from agentlab.analysis.calls import ModelCalls
from agentlab.analysis.grouping import Groups, floats, rows_where, since, take, under_runs, under_steps
from agentlab.analysis.latency import NS_PER_S, Floats


@dataclass(frozen=True)
class Spans:
    """From when to when something was under way, from the start of its run [ns]; NaN as an end: it never ended."""

    starts: Floats
    ends: Floats
    ran: npt.NDArray[np.bool_]
    """False for what never started."""

    def covered_s(self, groups: Groups) -> Floats:
        """Time in each group with at least one under way [s]; NaN when one never ended."""
        return groups.only(self.ran).covered(self.starts, self.ends) / NS_PER_S


def model_spans(calls: ModelCalls, runs: pa.Table) -> Spans:
    """When model calls were under way, first try to last."""
    return _spans(calls.table, "called_ns", "replied_ns", runs)


def tool_spans(tools: pa.Table, runs: pa.Table) -> Spans:
    """When tools were under way."""
    return _spans(tools, "started_ns", "returned_ns", runs)


def run_times(runs: pa.Table, steps: pa.Table, calls: ModelCalls, tools: pa.Table) -> dict[str, Floats]:
    """The wall time of each run and its parts [s]."""
    model, tool = model_spans(calls, runs), tool_spans(tools, runs)
    of_call, of_tool = under_runs(calls.table, runs), under_runs(tools, runs)
    any_of_both = Spans(*(np.concatenate(pair) for pair in zip(_columns(model), _columns(tool), strict=True)))
    of_both = Groups(np.concatenate([of_call.of_row, of_tool.of_row]), len(runs))
    wall_s = floats(pc.subtract(runs["last_ns"], runs["started_ns"])) / NS_PER_S
    return {
        "wall_s": wall_s,
        "ttft_run_s": _ttft_run_s(runs, steps, calls, tools),
        "model_s": model.covered_s(of_call),
        "tool_s": tool.covered_s(of_tool),
        "human_s": np.zeros(len(runs)),  # nothing waits for a person yet, and that is measured
        "idle_s": wall_s - any_of_both.covered_s(of_both),
    }


def start_of_run(rows: pa.Table, runs: pa.Table) -> pa.Array:
    """For each row of any table the start of its run, monotonic [ns]."""
    return _of_run("started_ns", rows, runs)


def _ttft_run_s(runs: pa.Table, steps: pa.Table, calls: ModelCalls, tools: pa.Table) -> Floats:
    """User's message in, to the first answer text; where tools speak to the user, to the call of the one that does."""
    heard = runs.append_column("heard_ns", pc.coalesce(runs["input_ns"], runs["started_ns"]))
    asked_ns = calls.since("request_ns", _of_run("heard_ns", calls.table, heard))
    spoke = _calls_that_spoke(runs, steps, calls, tools)
    speaks_by_tool = rows_where(runs["protocol"], "memgpt")
    text_ns = asked_ns + calls.instants.output_1_ns
    first_text = under_runs(calls.table, runs).first(~np.isnan(text_ns))
    called_ns = asked_ns + calls.instants.tool_1_ns
    return np.where(speaks_by_tool, take(called_ns, spoke), take(text_ns, first_text)) / NS_PER_S


def _calls_that_spoke(runs: pa.Table, steps: pa.Table, calls: ModelCalls, tools: pa.Table) -> pa.Array:
    """For each run the model call that first sent the user a message; null when none did."""
    sent = rows_where(tools["tool"], SEND_MESSAGE) & rows_where(tools["status"], "success")
    first_sent = under_runs(tools, runs).first(sent)
    step = pa.array(under_steps(tools, steps, runs).of_row).take(first_sent)
    return under_steps(calls.table, steps, runs).last().take(step)


def _spans(rows: pa.Table, start: str, end: str, runs: pa.Table) -> Spans:
    zero = start_of_run(rows, runs)
    starts = since(rows[start], zero)
    return Spans(starts, since(rows[end], zero), ~np.isnan(starts))


def _columns(spans: Spans) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    return spans.starts, spans.ends, spans.ran


def _of_run(column: str, rows: pa.Table, runs: pa.Table) -> pa.Array:
    return runs[column].combine_chunks().take(under_runs(rows, runs).parent)
