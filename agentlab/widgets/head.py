"""The head of a trace view: state, counts, tokens, cost, and where the time went; and the strip of its steps."""

from __future__ import annotations

from typing import Any

from agentlab.agent.limits import Price
from agentlab.trace._sections import started, step_failed
from agentlab.trace.intervals import union
from agentlab.trace.safe import in_one_line
from agentlab.trace.steps import Step
from agentlab.trace.trace import Trace
from agentlab.trace.usage import Usage, sum_usage
from agentlab.trace.words import MISSING, count, counted, seconds

BINS = 400
"""The most bars of the strip; several steps share one in a longer run."""

TONES = {"running": "", "end_turn": "good", "paused": "warn", "interrupted": "warn", "max_steps": "warn"}
"""How a state is coloured; all others are bad news."""

Interval = tuple[int, int]


class Heads:
    """Head and strip of one trace. Steps that are over are added up once."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._times: list[tuple[float, float, float]] = []
        """Model, tool and human time of each step that is over [s]."""
        self._usages: list[Usage] = []
        """Of all of them together, once there is one."""

    def head(self, *, now_ns: int | None, stoppable: bool, pending: int) -> dict[str, Any]:
        """What the page writes above the rows.

        Args:
            now_ns: The time of the run; None: it stands at the last event.
            stoppable: Whether a button can cancel the run.
            pending: Calls that wait for a decision.
        """
        trace, begin = self._trace, started(self._trace)
        status = trace.stop_reason or trace.status
        shown: dict[str, Any] = {
            "title": "A trace without its beginning" if begin is None else in_one_line(begin.agent_name),
            "model": "" if begin is None else f"{in_one_line(begin.model)} · {begin.protocol}",
            "status": status if not pending else "waits for you",
            "tone": "warn" if pending else TONES.get(status, "bad"),
            "facts": self._facts(now_ns),
            "stoppable": stoppable,
            "pending": pending,
        }
        if begin is not None:
            clock = " · virtual time" if begin.clock == "virtual" else ""
            shown["note"] = f"{in_one_line(begin.run_id)} · {begin.started_at:%Y-%m-%d %H:%M:%S} UTC{clock}"
            if begin.tags:
                shown["note"] += " · " + ", ".join(
                    f"{in_one_line(k, 40)}={in_one_line(v, 40)}" for k, v in begin.tags.items()
                )
        return shown

    def _facts(self, now_ns: int | None) -> list[list[str]]:
        trace, steps = self._trace, self._trace.steps
        end_ns = now_ns if now_ns is not None else (trace.events[-1].t_ns if trace.events else 0)
        times = [*self._finished_times(), *(step_times(step, end_ns) for step in steps[len(self._times) :])]
        model_s, tool_s, human_s = (sum(parts) for parts in zip(*times, strict=True)) if times else (0.0, 0.0, 0.0)
        usage = sum_usage([*self._usages, *(step.usage for step in steps[len(self._times) :])])
        elapsed_s = (end_ns - trace.events[0].t_ns) / 1e9 if trace.events else None
        facts = [
            ["steps", count(len(steps)), counted(len(trace.tool_calls), "tool call")],
            ["tokens", f"{count(usage.input_tokens)} → {count(usage.output_tokens)}", "input → output"],
            ["TTFT", seconds(steps[0].ttft_s if steps else None), "first step: request to first token"],
            ["elapsed", seconds(elapsed_s), "first event to last"],
            ["model", seconds(model_s), "a model call was under way, and no person was waited for"],
            ["tools", seconds(tool_s), "a tool ran, and neither of the others"],
            ["people", seconds(human_s), "a person was waited for"],
        ]
        cost = self._cost()
        return facts if cost is None else [*facts[:2], ["cost", cost, "at the price of the agent's limits"], *facts[2:]]

    def _finished_times(self) -> list[tuple[float, float, float]]:
        for step in self._trace.steps[len(self._times) :]:
            if step.finished_ns is None:
                break
            self._times.append(step_times(step, step.finished_ns))
            self._usages = [sum_usage([*self._usages, step.usage])]
        return self._times

    def _cost(self) -> str | None:
        begin = started(self._trace)
        price = None if begin is None else (begin.settings.get("limits") or {}).get("price")
        if price is None:
            return None
        costs = [Price.model_validate(price).cost_usd(call.usage) for call in self._trace.model_calls]
        known = [cost for cost in costs if cost is not None]
        return MISSING if len(known) < len(costs) else f"${sum(known):.4f}"

    def strip(self, row_of_step: dict[int, int], *, now_ns: int | None = None) -> dict[str, Any]:
        """A bar for each step, or for several: its first row, its number, its label, model, tool and human time [s].

        Args:
            row_of_step: The first row of each step.
            now_ns: The time of the run; None: it stands at the last event.
        """
        trace, done = self._trace, self._finished_times()
        end_ns = now_ns if now_ns is not None else (trace.events[-1].t_ns if trace.events else 0)
        times = [*done, *(step_times(step, end_ns) for step in trace.steps[len(done) :])]
        size = -(-len(times) // BINS) or 1
        bins = []
        for first in range(0, len(times), size):
            steps, spans = trace.steps[first : first + size], times[first : first + size]
            parts = [sum(part) for part in zip(*spans, strict=True)]
            number, last = steps[0].number, steps[-1].number
            name = f"Step {number}" if number == last else f"Steps {number} to {last}"
            label = f"{name}: model {seconds(parts[0])}, tools {seconds(parts[1])}, people {seconds(parts[2])}"
            bins.append([row_of_step.get(number, 0), number, label, *parts, any(map(step_failed, steps))])
        return {"total_s": sum(map(sum, times)), "bins": bins}


def step_times(step: Step, now_ns: int) -> tuple[float, float, float]:
    """Model, tool and human time of a step [s], told apart as in `runs_df`: each moment counts once.

    Args:
        step: The step.
        now_ns: The end of what is still under way.
    """
    human = [
        (call.requested.t_ns, decision.t_ns)
        for call in step.tool_calls
        for decision in call.decisions
        if call.requested is not None and decision.approver_kind == "person"
    ]
    human += [(c.requested.t_ns, now_ns) for c in step.tool_calls if c.status == "waiting" and c.requested is not None]
    model = [
        (call.called.t_ns, now_ns if call.replied is None else call.replied.t_ns)
        for call in (*step.model_calls, *step.side_calls)
    ]
    tool = [
        (call.started.t_ns, now_ns if call.returned is None else call.returned.t_ns)
        for call in step.tool_calls
        if call.started is not None
    ]
    human_s, or_model_s, any_s = _covered(human), _covered(human + model), _covered(human + model + tool)
    return or_model_s - human_s, any_s - or_model_s, human_s


def _covered(intervals: list[Interval]) -> float:
    return sum(end - start for start, end in union(intervals)) / 1e9
