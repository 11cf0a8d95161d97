"""How many tasks and trials a comparison needs, and what they will cost, from a pilot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from agentlab.analysis.paired import paired_differences
from agentlab.errors import InputError

_MOST_TASKS = 100_000


def plan(
    a: pd.DataFrame,
    b: pd.DataFrame,
    metric: str,
    *,
    effect: float,
    power: float = 0.8,
    confidence: float = 0.95,
    trials: Sequence[int] = (1, 2, 3, 5, 10),
    task: str = "task",
    trial: str = "trial",
    cost: str | None = None,
) -> pd.DataFrame:
    """The number of tasks that shows the effect with this power, for several numbers of trials a task.

    The pilot's differences are parted into what varies from task to task and what varies from trial to trial: more
    trials help against the second only.

    Args:
        a: The pilot's one arm, a row a trial.
        b: Its other arm.
        metric: What is compared.
        effect: The mean difference that must not be missed, in the metric's unit.
        power: The chance to show it.
        confidence: One minus the level of the test.
        trials: Trials a task to look at.
        task: Column of the tasks.
        trial: Column of the trials.
        cost: Column with what a trial cost, in any unit; the whole study's cost is then told in it.

    Returns:
        Columns `trials_per_task`, `tasks`, `runs` (both arms) and `cost`; one row a number of trials.

    Raises:
        InputError: The pilot has fewer than two tasks, or the effect is 0.
    """
    if effect == 0:
        raise InputError("an effect of 0 needs no study; give the smallest difference that would matter")
    pairs = paired_differences(a, b, metric, pair_by=(task, trial), cluster=task)
    between, within = _variances(pd.Series(pairs.differences), pd.Series(pairs.clusters))
    unit_cost = None if cost is None else float(pd.concat([a[cost], b[cost]]).mean())
    rows = []
    for n_trials in trials:
        n_tasks = _tasks_needed(between + within / n_trials, effect, power, confidence)
        n_runs = 2 * n_tasks * n_trials
        rows.append((n_trials, n_tasks, n_runs, None if unit_cost is None else n_runs * unit_cost))
    return pd.DataFrame(rows, columns=["trials_per_task", "tasks", "runs", "cost"]).astype(
        {"trials_per_task": "int64", "tasks": "int64", "runs": "int64", "cost": "Float64"}
    )


def _variances(differences: pd.Series[float], tasks: pd.Series[str]) -> tuple[float, float]:
    """Between tasks, and between the trials of a task: the moments of a one-way layout."""
    groups = differences.groupby(tasks.to_numpy())
    sizes, means = groups.size().to_numpy(dtype=float), groups.mean().to_numpy(dtype=float)
    n_tasks, n_pairs = len(sizes), sizes.sum()
    if n_tasks < 2:
        raise InputError(f"the pilot has {n_tasks} task; two at least say how much tasks differ")
    within_sum = float(((differences - groups.transform("mean")) ** 2).sum())
    within = within_sum / (n_pairs - n_tasks) if n_pairs > n_tasks else 0.0
    between_mean_square = float((sizes * (means - np.average(means, weights=sizes)) ** 2).sum()) / (n_tasks - 1)
    typical_size = (n_pairs - (sizes**2).sum() / n_pairs) / (n_tasks - 1)
    return max(0.0, (between_mean_square - within) / typical_size), within


def _tasks_needed(variance: float, effect: float, power: float, confidence: float) -> int:
    """The least number of tasks at which a paired t test on task means has the power."""
    from scipy.stats import nct, t

    def has_power(n: int) -> bool:
        limit = t.ppf((1 + confidence) / 2, n - 1)
        shift = abs(effect) / np.sqrt(variance / n)
        return bool(nct.sf(limit, n - 1, shift) + nct.cdf(-limit, n - 1, shift) >= power)

    if variance == 0:
        return 2
    low, high = 1, 2
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
