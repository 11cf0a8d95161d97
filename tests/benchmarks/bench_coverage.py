"""Whether intervals cover and tests reject as often as they say: simulated studies with trials that hang together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.stats import kstest

from agentlab.analysis.bands import clustered_half_width
from agentlab.analysis.paired import Clusters, clusters_of
from agentlab.analysis.resampling import bootstrap_interval, sign_flip_p
from tests.benchmarks.figures import Figure

STUDIES, TASKS, TRIALS, RESAMPLES = 4000, 30, 3, 1000
EFFECT, YES_EFFECT = 0.3, 0.15
BANDS, N_CALLS, ICC = 1000, 10, 0.5
FEW_STUDIES, FEW_TASKS = 2000, (2, 5, 8)


def study(effect: float, rng: np.random.Generator, n_tasks: int = TASKS) -> Clusters:
    """Differences whose parts by task and by trial vary alike."""
    by_task = np.repeat(rng.normal(scale=0.7, size=n_tasks), TRIALS)
    return clusters_of(
        effect + by_task + rng.normal(size=n_tasks * TRIALS), np.repeat(np.arange(n_tasks), TRIALS).astype(object)
    )


def yes_and_no(n_tasks: int, rng: np.random.Generator) -> Clusters:
    """Differences of yes and no, one trial a task; the second arm says yes more often by `YES_EFFECT`."""
    chance = rng.beta(2, 2, size=n_tasks)
    second = rng.random(n_tasks) < chance + 2 * YES_EFFECT * (1 - chance)
    return clusters_of(second * 1.0 - (rng.random(n_tasks) < chance), np.arange(n_tasks).astype(object))


def run() -> Iterable[Figure]:
    """Coverage of the nominal 95 % interval, and rejections under no effect at 5 %."""
    rng = np.random.default_rng(2026)
    covered = rejected = 0
    for _ in range(STUDIES):
        low, high = bootstrap_interval(study(EFFECT, rng), 0.95, RESAMPLES, rng)
        covered += low <= EFFECT <= high
        rejected += sign_flip_p(study(0.0, rng), RESAMPLES, rng) <= 0.05
    detail = f"{STUDIES:,} studies of {TASKS} tasks x {TRIALS} trials"
    coverage, rejection = covered / STUDIES, rejected / STUDIES
    yield Figure("interval: coverage off 95 %", abs(coverage - 0.95), "", 0.02, False, f"{coverage:.2%} in {detail}")
    yield Figure(
        "permutation: rejections off 5 %", abs(rejection - 0.05), "", 0.01, False, f"{rejection:.2%} in {detail}"
    )
    yield from few_tasks(rng)
    yield band(rng)


def few_tasks(rng: np.random.Generator) -> Iterable[Figure]:
    """Of few tasks coverage is at least so high; with fewer than 6 an interval says that it knows nothing."""
    for n_tasks in FEW_TASKS:
        for name, effect, drawn in (
            ("numbers", EFFECT, lambda n: study(EFFECT, rng, n)),
            ("yes/no", YES_EFFECT, lambda n: yes_and_no(n, rng)),
        ):
            intervals = np.array([bootstrap_interval(drawn(n_tasks), 0.95, RESAMPLES, rng) for _ in range(FEW_STUDIES)])
            known = np.isfinite(intervals).all(axis=1)
            coverage = float(np.mean((intervals[:, 0] <= effect) & (effect <= intervals[:, 1])))
            detail = f"{FEW_STUDIES:,} studies, {known.mean():.0%} of them with an interval"
            yield Figure(f"interval: coverage of {n_tasks} tasks, {name}", coverage, "", 0.92, True, detail)


def band(rng: np.random.Generator) -> Figure:
    """How often the band of `ttft_ecdf` holds the whole true curve, of runs whose calls hang together."""
    runs = np.repeat(np.arange(TASKS), N_CALLS)
    held = 0
    for _ in range(BANDS):
        of_run = rng.normal(size=(TASKS, 1))
        values = (np.sqrt(ICC) * of_run + np.sqrt(1 - ICC) * rng.normal(size=(TASKS, N_CALLS))).ravel()
        half = clustered_half_width(values, runs, 0.95, RESAMPLES, rng)
        held += half is not None and kstest(values, "norm").statistic <= half
    detail = f"{BANDS:,} studies of {TASKS} runs x {N_CALLS} calls, intraclass correlation {ICC}"
    return Figure("band of a distribution: coverage", held / BANDS, "", 0.93, True, detail)
