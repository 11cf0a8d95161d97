"""The mathematics of comparisons: whole clusters are resampled, flipped and permuted, as their trials hang together."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil, comb, log2
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from agentlab.analysis.paired import NOISE, Clusters, Samples
from agentlab.analysis.power import POWER, permutation_reach, sign_flip_reach
from agentlab.errors import InputError

Floats: TypeAlias = npt.NDArray[np.float64]

_INSTALL = 'pip install "agentlab-jupyter[stats]"'

_EXACT_UP_TO = 14
"""Clusters up to which all sign flips are gone through: 16,384 of them."""


def need_stats() -> None:
    """Say what to install where SciPy or statsmodels is missing.

    Raises:
        InputError: One of them is.
    """
    if find_spec("scipy") is None or find_spec("statsmodels") is None:
        raise InputError(f"comparisons need SciPy and statsmodels: `{_INSTALL}` brings them")


def bootstrap_interval(
    clusters: Clusters, confidence: float, n_resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The wider, at each end, of a studentised bootstrap over whole clusters and a t interval.

    Each resample is measured by its own standard error. Of few clusters whose values repeat themselves, as yes and no
    do, the bootstrap alone is too short; of skewed ones the t interval is.

    Returns:
        Infinite ends where fewer clusters than the level takes (6 at 95 %), or clusters that do not vary, say nothing
        of the spread.

    Source: Davison and Hinkley, Bootstrap Methods and their Application (1997), section 5.2.
    """
    from scipy.stats import t as student

    if len(clusters) < least_clusters(confidence) or not clusters.vary:
        return -np.inf, np.inf
    picked = rng.integers(0, len(clusters), size=(n_resamples, len(clusters)))
    sums, sizes = clusters.sums[picked], clusters.sizes[picked]
    means = sums.sum(axis=1) / sizes.sum(axis=1)
    errors = _standard_errors(sums, sizes, means)
    usable = errors > 1e-9 * clusters.standard_error
    t = (means[usable] - clusters.mean) / errors[usable]
    t_low, t_high = map(float, np.quantile(t, [(1 - confidence) / 2, (1 + confidence) / 2]))
    reach = float(student.ppf((1 + confidence) / 2, len(clusters) - 1))
    low, high = max(t_high, reach), min(t_low, -reach)
    return clusters.mean - low * clusters.standard_error, clusters.mean - high * clusters.standard_error


def rate_interval(clusters: Clusters, confidence: float) -> tuple[float, float]:
    """Wilson's interval of a share of yes, at the number of independent trials that would vary as these clusters do.

    Where all say the same, nothing is known of how trials hang together, and each cluster counts as one trial.

    Source: Korn and Graubard, Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data (1998); Dean and Pagano (2015) for Wilson's interval in the place of the exact one.
    """
    from scipy.stats import norm, t
    from statsmodels.stats.proportion import proportion_confint

    if len(clusters) < 2:
        return 0.0, 1.0
    share, n_trials = clusters.mean, float(clusters.sizes.sum())
    error = clusters.standard_error
    level = (1 + confidence) / 2
    few = (norm.ppf(level) / t.ppf(level, len(clusters) - 1)) ** 2  # the spread itself is known from few clusters only
    n = min(n_trials, share * (1 - share) / error**2 * few) if error > 0 else float(len(clusters))
    low, high = proportion_confint(share * n, n, 1 - confidence, method="wilson")
    return float(low), float(high)


def sign_flip_p(clusters: Clusters, n_resamples: int, rng: np.random.Generator) -> float:
    """How often clusters whose differences could as well have the other sign differ as much as these, two-sided."""
    observed = abs(clusters.sums.sum())
    if len(clusters) <= _EXACT_UP_TO:
        codes = np.arange(2 ** len(clusters))[:, None] >> np.arange(len(clusters)) & 1
        totals = np.abs((2.0 * codes - 1) @ clusters.sums)
        return float(np.mean(totals >= observed * (1 - 1e-12)))
    signs = rng.choice([-1.0, 1.0], size=(n_resamples, len(clusters)))
    extreme = int(np.sum(np.abs(signs @ clusters.sums) >= observed * (1 - 1e-12)))
    return (extreme + 1) / (n_resamples + 1)


def least_sign_flip_p(n_clusters: int) -> float:
    """The smallest p value that so many clusters can give."""
    return float(2.0 ** (1 - n_clusters))


def least_clusters(confidence: float) -> int:
    """The clusters that it takes for a p value as small as one minus this level: 6 at 95 %."""
    return ceil(1 - log2(1 - confidence) - 1e-9)


def smallest_effect(clusters: Clusters, confidence: float) -> float | None:
    """The difference that the verdict would have shown with 80 % power, were samples to vary as this one does.

    None for fewer clusters than can show anything, and where they do not vary.
    """
    if len(clusters) < least_clusters(confidence) or not clusters.vary:
        return None
    return sign_flip_reach(len(clusters), confidence, POWER) * clusters.standard_error


def mcnemar_p(a: Floats, b: Floats) -> float:
    """Exact McNemar test of pairs of yes and no."""
    from statsmodels.stats.contingency_tables import mcnemar

    table = [[np.sum((a == x) & (b == y)) for y in (1, 0)] for x in (1, 0)]
    return float(mcnemar(table, exact=True).pvalue)


@dataclass(frozen=True, slots=True)
class Unpaired:
    """What two independent samples of clusters say of their means."""

    low: float
    high: float
    p_value: float
    least_p_value: float
    effect_size: float | None
    smallest_effect: float | None


def unpaired(sample: Samples, confidence: float, n_resamples: int, rng: np.random.Generator) -> Unpaired:
    """Welch's interval; the larger p value of his test and of a permutation of the arms; Cohen's d.

    Where a small arm varies more than a large one the permutation finds too much, where arms are skewed Welch's test.
    """
    from scipy.stats import permutation_test, t

    n_a, n_b = len(sample.a), len(sample.b)
    var_a, var_b = float(sample.a.var(ddof=1)), float(sample.b.var(ddof=1))
    error = float(np.sqrt(var_a / n_a + var_b / n_b))
    spread = float(np.sqrt((var_a + var_b) / 2))
    freedom = error**4 / ((var_a / n_a) ** 2 / (n_a - 1) + (var_b / n_b) ** 2 / (n_b - 1)) if error else 1.0
    difference = float(sample.b.mean() - sample.a.mean())
    half = float(t.ppf((1 + confidence) / 2, freedom)) * error
    permuted = permutation_test(
        (sample.b, sample.a), _gap, vectorized=True, n_resamples=n_resamples, alternative="two-sided", rng=rng
    )
    least_p = 2 / comb(n_a + n_b, n_a)
    welch_p = 2 * float(t.sf(abs(difference) / error, freedom)) if error else 0.0
    knows = error > NOISE * max(abs(sample.a).max(), abs(sample.b).max())
    shows = knows and least_p <= 1 - confidence
    return Unpaired(
        difference - half if knows else -np.inf,
        difference + half if knows else np.inf,
        max(float(permuted.pvalue), welch_p),
        least_p,
        difference / spread if knows else None,
        permutation_reach(sample, freedom, confidence, POWER) * error if shows else None,
    )


def _gap(x: Floats, y: Floats, axis: int) -> Floats:
    difference: Floats = np.mean(x, axis=axis) - np.mean(y, axis=axis)
    return difference


def _standard_errors(sums: Floats, sizes: Floats, means: Floats) -> Floats:
    n = sums.shape[1]
    residuals = sums - means[:, None] * sizes
    errors: Floats = np.sqrt(n / (n - 1) * (residuals**2).sum(axis=1)) / sizes.sum(axis=1)
    return errors
