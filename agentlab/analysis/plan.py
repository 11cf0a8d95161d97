"""How many tasks and trials a comparison needs, and what they will cost, from a pilot."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import pandas as pd

from agentlab.analysis.arguments import is_number, need_count, need_share
from agentlab.analysis.comparison import Comparison
from agentlab.analysis.power import sign_flip_reach
from agentlab.analysis.resampling import least_clusters
from agentlab.errors import InputError

_MOST_TASKS = 100_000
_TRIALS = (1, 2, 3, 5, 10)
_ROUNDING = 1e-9
"""Of the values: differences that vary less do not vary."""


def plan(
    pilot: Comparison,
    effect: float,
    power: float = 0.8,
    *,
    trials: Sequence[int] | None = None,
    cost_per_run: float | None = None,
) -> pd.DataFrame:
    """The number of tasks that shows the effect with this power, for several numbers of trials a task.

    The pilot's differences are parted into what varies from task to task and what varies from trial to trial: more
    trials help against the second only.

    Args:
        pilot: What `compare` found in a pilot of a few tasks, with pairs; its clusters are the tasks.
        effect: The mean difference that must not be missed, in the metric's unit.
        power: The chance to show it, at the pilot's confidence.
        trials: Trials a task to look at; None: 1, 2, 3, 5 and 10, or after a pilot of one trial a task, 1.
        cost_per_run: What a run cost in the pilot, in any unit; the whole study's cost is then told in it.

    Returns:
        Columns `trials_per_task`, `tasks`, `runs` (both arms) and `cost`; one row a number of trials.

    Raises:
        InputError: The pilot is unpaired, has fewer than two tasks, or one trial a task where more are asked for; all
            its pairs differ by the same; the effect is 0; or a setting is out of its range.
    """
    _check(pilot, effect, power, cost_per_run)
    between, within = pilot.variance_between, pilot.variance_within
    if between is None:
        raise InputError(
            f"the pilot has {pilot.n_clusters} task; two at least say how much tasks differ"
            if pilot.paired
            else "the pilot is unpaired; a plan needs pairs, as the study will have them"
        )
    if between + (within or 0.0) <= (_ROUNDING * max(abs(pilot.mean_a), abs(pilot.mean_b))) ** 2:
        raise InputError(
            f"all {pilot.n_pairs} pairs of the pilot differ by the same, {pilot.difference:g}: it does not say how "
            "much they vary, as models that answer alike each time do not; run more tasks, or let the models sample"
        )
    rows = []
    for n_trials in _trials(trials, within):
        n_tasks = _tasks_needed(between + (within or 0.0) / n_trials, effect, power, pilot.confidence)
        n_runs = 2 * n_tasks * n_trials
        rows.append((n_trials, n_tasks, n_runs, None if cost_per_run is None else n_runs * cost_per_run))
    return pd.DataFrame(rows, columns=["trials_per_task", "tasks", "runs", "cost"]).astype(
        {"trials_per_task": "int64", "tasks": "int64", "runs": "int64", "cost": "Float64"}
    )


def _trials(trials: Sequence[int] | None, within: float | None) -> Sequence[int]:
    """The numbers of trials that the pilot can speak of."""
    if trials is None:
        return _TRIALS if within is not None else (1,)
    if isinstance(trials, str) or not isinstance(trials, Sequence) or not trials:
        raise InputError(f"trials are {trials!r:.80}; it takes a list of numbers from 1")
    for each in trials:
        need_count("trials", each, 1)
    if within is None and max(trials) > 1:
        raise InputError("the pilot has one trial a task, so what more trials bring is not known; run it again on them")
    return trials


def _check(pilot: Comparison, effect: float, power: float, cost_per_run: float | None) -> None:
    if not isinstance(pilot, Comparison):
        raise InputError(f"pilot is {pilot!r:.80}; it takes what `compare` found for one metric")
    if not is_number(effect) or effect == 0:
        raise InputError(f"an effect of {effect!r:.80} needs no study; give the smallest difference that would matter")
    need_share("power", power, usual=0.8)
    if cost_per_run is not None and (not is_number(cost_per_run) or cost_per_run < 0):
        raise InputError(f"cost_per_run is {cost_per_run!r:.80}; it takes a number from 0, or None")


def _tasks_needed(variance: float, effect: float, power: float, confidence: float) -> int:
    """The least number of tasks at which the verdict, which is that of sign flips of tasks, has the power."""

    def has_power(n: int) -> bool:
        return sign_flip_reach(n, confidence, power) * sqrt(variance / n) <= abs(effect)

    least = least_clusters(confidence)  # fewer can show nothing, whatever they say
    if has_power(least):
        return least
    low, high = least, 2 * least
    while not has_power(high):
        low, high = high, high * 2
        if high > _MOST_TASKS:
            raise InputError(
                f"an effect of {effect:g} would need more than {_MOST_TASKS:,} tasks: it is lost in the noise"
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if has_power(middle) else (middle, high)
    return high
