"""Whether intervals cover and tests reject as often as they say: simulated studies with trials that hang together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from agentlab.analysis.paired import Clusters, clusters_of
from agentlab.analysis.resampling import bootstrap_interval, sign_flip_p
from tests.benchmarks.figures import Figure

STUDIES, TASKS, TRIALS, RESAMPLES = 4000, 30, 3, 1000
EFFECT = 0.3


def study(effect: float, rng: np.random.Generator) -> Clusters:
    """Differences whose parts by task and by trial vary alike."""
    by_task = np.repeat(rng.normal(scale=0.7, size=TASKS), TRIALS)
    return clusters_of(
        effect + by_task + rng.normal(size=TASKS * TRIALS), np.repeat(np.arange(TASKS), TRIALS).astype(object)
    )


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
