"""Where the time of runs and steps went: model, tools, people, nothing; and when the user saw the first word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from agentlab.agent.protocol import SEND_MESSAGE
from agentlab.analysis.calls import ModelCalls
from agentlab.analysis.grouping import Groups, floats, rows_where, take, under_runs, under_steps
from agentlab.analysis.latency import NS_PER_S, Floats


@dataclass(frozen=True)
class Spans:
    """From when to when something was under way, in the time of its run [ns]; NaN as an end: it never ended."""

    groups: Groups
    """What each belongs to; none, when it never began."""
    starts: Floats
    ends: Floats

    @property
    def covered_s(self) -> Floats:
        """Time in each group with at least one under way [s]; those that never ended count nothing."""
        return self.groups.covered(self.starts, self.ends) / NS_PER_S

    def if_all_ended(self, values: Floats) -> Floats:
        """The values of the groups where everything ended; NaN for the others."""
        return np.where(self.groups.count(np.isnan(self.ends)) > 0, np.nan, values)

    @property
    def time_s(self) -> Floats:
        """Time in each group with at least one under way [s]; NaN when one never ended."""
        return self.if_all_ended(self.covered_s)

    def at_least_until(self, ends: Floats) -> Spans:
        """The same, where those that never ended reach to the end of their group."""
        of_group = np.append(ends, np.nan)[self.groups.of_row]  # -1, none: the last
        return Spans(self.groups, self.starts, np.where(np.isnan(self.ends), of_group, self.ends))

    def __or__(self, other: Spans) -> Spans:
        return Spans(
            Groups(np.concatenate([self.groups.of_row, other.groups.of_row]), self.groups.n_groups),
            np.concatenate([self.starts, other.starts]),
            np.concatenate([self.ends, other.ends]),
        )


def model_spans(calls: ModelCalls, groups: Groups) -> Spans:
    """When model calls were under way, of whatever purpose."""
    return Spans(groups, calls.column("called_ns"), calls.column("replied_ns"))


def tool_spans(tools: pa.Table, groups: Groups) -> Spans:
    """When tools were under way."""
    starts = floats(tools["started_ns"])
    return Spans(groups.only(~np.isnan(starts)), starts, floats(tools["returned_ns"]))


def human_spans(approvals: pa.Table, tools: pa.Table, runs: pa.Table) -> Spans:
    """When a person was waited for; not while another was asked first, who handed the call on.

    Who would have answered a question without an answer nobody knows: it counts as one to a person. Its wait ended
    when its call came back or its run was over; of a run that goes on, or was cut off, it never ended.
    """
    groups, ends = under_runs(approvals, runs), floats(approvals["decided_ns"])
    calls = _call_keys(approvals, runs)
    starts = np.fmax(floats(approvals["requested_ns"]), pd.Series(ends).groupby(calls).shift().to_numpy())
    was_asked = approvals["requested_ns"].is_valid().to_numpy()
    by_person = rows_where(approvals["approver_kind"], "person")
    undecided = was_asked & (np.isnan(ends) | rows_where(approvals["action"], "escalate"))
    waits = undecided & ~calls.duplicated(keep="last").to_numpy()
    answered = Spans(groups.only(was_asked & by_person), starts, ends)
    since_ns = np.where(np.isnan(ends), starts, ends)
    return answered | Spans(groups.only(waits), since_ns, _ends_without_answer(approvals, tools, runs))


def _ends_without_answer(approvals: pa.Table, tools: pa.Table, runs: pa.Table) -> Floats:
    """When the call of each question came back, else when its run was over [ns]; NaN while it is not."""
    returned_ns = pd.Series(floats(tools["returned_ns"]), _call_keys(tools, runs))
    over_ns = np.where(runs["stop_reason"].is_valid().to_numpy(), floats(runs["last_ns"]), np.nan)
    call_ended_ns = returned_ns.reindex(_call_keys(approvals, runs)).to_numpy()
    return np.where(np.isnan(call_ended_ns), take(over_ns, under_runs(approvals, runs).parent), call_ended_ns)


def _call_keys(rows: pa.Table, runs: pa.Table) -> pd.Series[str]:
    """What names the tool call of each row among those of all runs."""
    of_run = under_runs(rows, runs).of_row
    return pd.Series([f"{run} {call_id}" for run, call_id in zip(of_run, rows["call_id"].to_pylist(), strict=True)])


def run_times(runs: pa.Table, calls: ModelCalls, tools: pa.Table, approvals: pa.Table) -> dict[str, Floats]:
    """The wall time of each run and the parts that make it up [s]. Waiting for a person counts as that alone."""
    human = human_spans(approvals, tools, runs)
    model, tool = model_spans(calls, under_runs(calls.table, runs)), tool_spans(tools, under_runs(tools, runs))
    wall_s = floats(runs["last_ns"]) / NS_PER_S
    so_far = human.at_least_until(floats(runs["last_ns"]))
    human_or_model, any_of_them = so_far | model, so_far | model | tool
    return {
        "wall_s": wall_s,
        "human_s": human.time_s,
        "model_s": model.if_all_ended(human_or_model.covered_s - so_far.covered_s),
        "tool_s": tool.if_all_ended(any_of_them.covered_s - human_or_model.covered_s),
        "idle_s": human.if_all_ended(wall_s - any_of_them.time_s),
    }


def ttft_run_s(runs: pa.Table, steps: pa.Table, calls: ModelCalls, tools: pa.Table) -> Floats:
    """User's message in, to the first answer text; where tools speak to the user, to the call of that one [s]."""
    sent_ns = calls.column("request_ns")
    text_ns = np.where(calls.for_steps, sent_ns + calls.instants.output_1_ns, np.nan)
    called_ns = take(sent_ns + calls.instants.tool_1_ns, _calls_that_spoke(runs, steps, calls, tools))
    first_text_ns = take(text_ns, under_runs(calls.table, runs).first(~np.isnan(text_ns)))
    first_ns = np.where(rows_where(runs["protocol"], "memgpt"), called_ns, first_text_ns)
    return (first_ns - floats(pc.fill_null(runs["input_ns"], 0))) / NS_PER_S


def _calls_that_spoke(runs: pa.Table, steps: pa.Table, calls: ModelCalls, tools: pa.Table) -> pa.Array:
    """For each run the model call that first sent the user a message; null when none did."""
    sent: npt.NDArray[np.bool_] = rows_where(tools["tool"], SEND_MESSAGE) & rows_where(tools["status"], "success")
    step = under_steps(tools, steps, runs).parent.take(under_runs(tools, runs).first(sent))
    return under_steps(calls.table, steps, runs).only(calls.for_steps).last().take(step)
