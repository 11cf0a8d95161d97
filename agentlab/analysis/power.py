"""How large a difference the verdict of a comparison shows, and how often: in units of the difference's standard error.

Verdicts go by permutation tests, whose p values come in steps. With few clusters the steps are wide, and a t test of
the same data would promise too much; there the test itself is run on simulated studies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from agentlab.analysis.paired import Samples

Floats: TypeAlias = npt.NDArray[np.float64]

POWER = 0.8
"""Of the smallest effect that a sample could have shown: in so many of a hundred studies."""

_STUDIES = 2000
_MOST_FLIPS = 1024
"""Permutations up to which the test is simulated: 11 clusters with pairs, 6 and 6 without."""


@lru_cache(maxsize=256)
def sign_flip_reach(n_clusters: int, confidence: float, power: float) -> float:
    """What sign flips of so many clusters show with this power; the clusters vary normally.

    Args:
        n_clusters: As many as can show anything at this level, or more.
        confidence: One minus the level of the verdict.
        power: The chance of the verdict.
    """
    if 2 ** (n_clusters - 1) > _MOST_FLIPS:
        return _t_reach(n_clusters - 1, confidence, power)
    flips = 1.0 - 2.0 * (np.arange(2 ** (n_clusters - 1))[:, None] >> np.arange(n_clusters) & 1)
    noise = np.random.default_rng(0).normal(size=(_STUDIES, n_clusters))
    found = _Permuted(noise @ flips.T, flips.sum(axis=1), 1 - confidence)
    return _least(lambda effect: bool(np.mean(found.rejects(effect)) >= power)) * float(np.sqrt(n_clusters))


def permutation_reach(sample: Samples, freedom: float, confidence: float, power: float) -> float:
    """The same of two arms without pairs, which both tests of `unpaired` must show; each varies as in the sample.

    Args:
        sample: As many clusters as can show anything at this level, or more.
        freedom: Welch's degrees of freedom.
        confidence: One minus the level of the verdict.
        power: The chance of the verdict.
    """
    from scipy.stats import ttest_ind

    n_a, n_b = len(sample.a), len(sample.b)
    spreads = np.repeat([sample.a.std(ddof=1), sample.b.std(ddof=1)], [n_a, n_b])
    error = float(np.sqrt(spreads[0] ** 2 / n_a + spreads[-1] ** 2 / n_b))
    if comb(n_a + n_b, n_b) > _MOST_FLIPS:
        permuted_error = float(np.sqrt(np.mean(spreads**2) * (1 / n_a + 1 / n_b)))
        return _t_reach(freedom, confidence, power, stretch=max(1.0, permuted_error / error))
    picked = [list(each) for each in combinations(range(n_a + n_b), n_b)][::-1]  # those that are in b come first
    weights = np.full((len(picked), n_a + n_b), -1 / n_a)
    for row, places in zip(weights, picked, strict=True):
        row[places] = 1 / n_b
    noise = np.random.default_rng(0).normal(size=(_STUDIES, n_a + n_b)) * spreads / error
    permuted = _Permuted(noise @ weights.T, weights[:, n_a:].sum(axis=1), 1 - confidence)

    def shown(effect: float) -> bool:
        welch = ttest_ind(noise[:, n_a:] + effect, noise[:, :n_a], axis=1, equal_var=False)
        return bool(np.mean(permuted.rejects(effect) & (welch.pvalue <= 1 - confidence)) >= power)

    return _least(shown)


@dataclass(frozen=True, slots=True)
class _Permuted:
    """Permutation tests of many studies."""

    noise: Floats
    """The statistic under no effect, shape (studies, permutations); the first is the one observed."""
    shifts: Floats
    """What an effect of 1 adds to each, shape (permutations,)."""
    alpha: float

    def rejects(self, effect: float) -> npt.NDArray[np.bool_]:
        """Which studies show an effect of this size."""
        found = np.abs(self.noise + effect * self.shifts)
        shown: npt.NDArray[np.bool_] = np.mean(found >= found[:, :1] * (1 - 1e-12), axis=1) <= self.alpha
        return shown


def _least(shown: Callable[[float], bool]) -> float:
    """The smallest effect that is shown."""
    low, high = 0.0, 1.0
    while not shown(high):
        low, high = high, 2 * high
    while high - low > 0.002 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high


def _t_reach(freedom: float, confidence: float, power: float, stretch: float = 1.0) -> float:
    """The noncentrality at which a two-sided t test has the power, when its limit is so many times as far out."""
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    limit = stretch * float(t.ppf((1 + confidence) / 2, freedom))

    def lacking(reach: float) -> float:
        return float(nct.sf(limit, freedom, reach) + nct.cdf(-limit, freedom, reach)) - power

    high = limit
    while lacking(high) < 0:
        high += 1.0  # in small steps, as far out SciPy's function is not a number
    return float(brentq(lacking, 0.0, high)) if lacking(0.0) < 0 else 0.0
