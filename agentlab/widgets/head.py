"""The head of a trace view: state, counts, tokens, cost, and where the time went; and the strip of its steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from agentlab.agent.limits import Price
from agentlab.trace._sections import started, step_failed
from agentlab.trace.intervals import union
from agentlab.trace.safe import in_one_line
from agentlab.trace.steps import Step, ToolCallRecord
from agentlab.trace.trace import Trace
from agentlab.trace.usage import Usage, sum_usage
from agentlab.trace.words import MISSING, count, counted, seconds

BINS = 400
"""The most bars of the strip; several steps share one in a longer run."""

TONES = {"running": "", "end_turn": "good", "paused": "warn", "interrupted": "warn", "max_steps": "warn"}
"""How a state is coloured; all others are bad news."""

Interval = tuple[int, int]
Times = tuple[int, int, int]
"""Model, tool and human time [ns]."""


class Heads:
    """Head and strip of one trace. A step is added up once, when another has begun."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._sums_ns: list[Times] = [(0, 0, 0)]
        """Model, tool and human time up to each step that is over [ns]."""
        self._failed = [0]
        """How many steps up to each of them have failed."""
        self._usages: list[Usage] = []
        """Of all of them together, once a model was called."""
        self._costs_usd: float | None = 0.0
        """Of all of them together; None when that of one is not known."""
        self._bins: list[tuple[int, str, float, float, float, bool]] = []
        """The bars of steps that are over, without their rows."""
        self._bin_steps = 1

    def head(self, *, now_ns: int | None, stoppable: bool, pending: int, asked: Collection[str] = ()) -> dict[str, Any]:
        """What the page writes above the rows.

        Args:
            now_ns: The time of the run; None: it stands at the last event.
            stoppable: Whether a button can cancel the run.
            pending: Calls that wait for a decision.
            asked: Ids of the calls that a person is asked about now.
        """
        trace, begin = self._trace, started(self._trace)
        status = trace.stop_reason or trace.status
        shown: dict[str, Any] = {
            "title": "A trace without its beginning" if begin is None else in_one_line(begin.agent_name),
            "model": "" if begin is None else f"{in_one_line(begin.model)} · {begin.protocol}",
            "status": status if not pending else "waits for you",
            "tone": "warn" if pending else TONES.get(status, "bad"),
            "facts": self._facts(now_ns, asked),
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

    def _facts(self, now_ns: int | None, asked: Collection[str]) -> list[list[str]]:
        trace, steps = self._trace, self._trace.steps
        end_ns = self._end_ns(now_ns)
        model_s, tool_s, human_s = (time_ns / 1e9 for time_ns in self._all_ns(end_ns, asked))
        usage = sum_usage([*self._usages, *(call.usage for step in steps[-1:] for call in step.model_calls)])
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

    def _end_ns(self, now_ns: int | None) -> int:
        last_ns = self._trace.events[-1].t_ns if self._trace.events else 0
        return last_ns if now_ns is None else now_ns

    @property
    def _over(self) -> bool:
        return self._trace.stop_reason is not None

    def _all_ns(self, end_ns: int, asked: Collection[str]) -> Times:
        """Model, tool and human time of all steps."""
        self._settle()
        last = [_times_ns(step, end_ns, asked, over=self._over) for step in self._trace.steps[-1:]]
        model_ns, tool_ns, human_ns = zip(self._sums_ns[-1], *last, strict=True)
        return sum(model_ns), sum(tool_ns), sum(human_ns)

    def _settle(self) -> None:
        """Add up the steps that another has followed. What is open in them has ended with them: a process died."""
        steps, first, usages = self._trace.steps, len(self._sums_ns) - 1, list[Usage]()
        price = _price(self._trace)
        for number in range(first, len(steps) - 1):
            step, (model_ns, tool_ns, human_ns) = steps[number], self._sums_ns[-1]
            end_ns = steps[number + 1].started_ns if step.finished_ns is None else step.finished_ns
            times = _times_ns(step, end_ns, (), over=True)
            self._sums_ns.append((model_ns + times[0], tool_ns + times[1], human_ns + times[2]))
            self._failed.append(self._failed[-1] + step_failed(step))
            usages += [call.usage for call in step.model_calls]
            self._costs_usd = _more_usd(self._costs_usd, step, price)
        if usages:
            self._usages = [sum_usage([*self._usages, *usages])]

    def _cost(self) -> str | None:
        price = _price(self._trace)
        if price is None:
            return None
        self._settle()
        cost_usd = self._costs_usd
        for step in self._trace.steps[-1:]:
            cost_usd = _more_usd(cost_usd, step, price)
        return MISSING if cost_usd is None else f"${cost_usd:.4f}"

    def strip(
        self, row_of_step: Callable[[int], int], *, now_ns: int | None = None, asked: Collection[str] = ()
    ) -> dict[str, Any]:
        """A bar for each step, or for several: its first row, its number, its label, model, tool and human time [s].

        Args:
            row_of_step: Gives the first row of a step.
            now_ns: The time of the run; None: it stands at the last event.
            asked: Ids of the calls that a person is asked about now.
        """
        n_steps, end_ns = len(self._trace.steps), self._end_ns(now_ns)
        self._settle()  # all but the last of these steps, although others may begin meanwhile
        size = -(-n_steps // BINS) or 1
        if size != self._bin_steps:
            self._bin_steps, self._bins = size, []
        for first in range(len(self._bins) * size, len(self._sums_ns) - size, size):
            self._bins.append(self._bin(first, first + size, end_ns, asked))
        begun = range(len(self._bins) * size, n_steps, size)
        bins = self._bins + [self._bin(first, min(first + size, n_steps), end_ns, asked) for first in begun]
        total_s = sum(self._all_ns(end_ns, asked)) / 1e9
        return {"total_s": total_s, "bins": [[row_of_step(number), number, *rest] for number, *rest in bins]}

    def _bin(
        self, first: int, end: int, end_ns: int, asked: Collection[str]
    ) -> tuple[int, str, float, float, float, bool]:
        """The bar of the steps from one up to, and without, another, without its row."""
        steps, n_over = self._trace.steps, min(end, len(self._sums_ns) - 1)
        failed = self._failed[n_over] > self._failed[first]
        times = [after - before for after, before in zip(self._sums_ns[n_over], self._sums_ns[first], strict=True)]
        if n_over < end:  # the last step goes on
            failed = failed or step_failed(steps[n_over])
            times = [
                sum(both) for both in zip(times, _times_ns(steps[n_over], end_ns, asked, over=self._over), strict=True)
            ]
        model_s, tool_s, human_s = (time_ns / 1e9 for time_ns in times)
        number, last = steps[first].number, steps[end - 1].number
        name = f"Step {number}" if number == last else f"Steps {number} to {last}"
        label = f"{name}: model {seconds(model_s)}, tools {seconds(tool_s)}, people {seconds(human_s)}"
        return number, label, model_s, tool_s, human_s, failed


def _price(trace: Trace) -> Price | None:
    begin = started(trace)
    price = None if begin is None else (begin.settings.get("limits") or {}).get("price")
    return None if price is None else Price.model_validate(price)


def _more_usd(sum_usd: float | None, step: Step, price: Price | None) -> float | None:
    """A sum of costs and those of one more step; None when one of them is not known."""
    costs = [] if price is None else [price.cost_usd(call.usage) for call in step.model_calls]
    for cost_usd in costs:
        sum_usd = None if cost_usd is None or sum_usd is None else sum_usd + cost_usd
    return sum_usd


def step_times(step: Step, now_ns: int, *, over: bool = False) -> tuple[float, float, float]:
    """Model, tool and human time of a step [s], told apart as in `runs_df`: each moment counts once.

    Args:
        step: The step.
        now_ns: The end of what is still under way.
        over: The run is over, so questions without an answer were open until then.
    """
    model_ns, tool_ns, human_ns = _times_ns(step, now_ns, (), over=over)
    return model_ns / 1e9, tool_ns / 1e9, human_ns / 1e9


def _times_ns(step: Step, now_ns: int, asked: Collection[str], *, over: bool) -> Times:
    open_calls = {call.call_id for call in step.tool_calls} if over else asked
    human = [interval for call in step.tool_calls for interval in _human_ns(call, now_ns, open_calls)]
    model = [
        (call.called.t_ns, now_ns if call.replied is None else call.replied.t_ns)
        for call in (*step.model_calls, *step.side_calls)
    ]
    tool = [
        (call.started.t_ns, now_ns if call.returned is None else call.returned.t_ns)
        for call in step.tool_calls
        if call.started is not None
    ]
    human_ns = _covered_ns(human) if human else 0
    or_model_ns = _covered_ns(human + model)
    any_ns = _covered_ns(human + model + tool) if tool else or_model_ns
    return or_model_ns - human_ns, any_ns - or_model_ns, human_ns


def _human_ns(call: ToolCallRecord, now_ns: int, asked: Collection[str]) -> Iterator[Interval]:
    """When a person was asked about a call: from the question, or from when the one before handed it on.

    A question that is over without an answer counts as one to a person, as it does in `runs_df`.
    """
    if call.requested is None:
        return
    since_ns = call.requested.t_ns
    for decision in call.decisions:
        if decision.approver_kind == "person" and decision.t_ns > since_ns:
            yield since_ns, decision.t_ns
        since_ns = max(since_ns, decision.t_ns)
    if call.decision is None and (call.returned is not None or call.call_id in asked):
        end_ns = now_ns if call.returned is None else call.returned.t_ns
        if end_ns > since_ns:
            yield since_ns, end_ns


def _covered_ns(intervals: list[Interval]) -> int:
    return sum(end - start for start, end in union(intervals))
