"""Two arms of an experiment compared pair by pair, with an interval that knows about repeated trials.

    compare(runs[runs.variant == "a"], runs[runs.variant == "b"], "total_tokens")

Differences are always b minus a. Trials of one task are not independent, so tasks are resampled and flipped as wholes.
Needs the extra `stats`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentlab.analysis.paired import Clusters, clusters_of, paired_differences, unpaired_samples
from agentlab.errors import InputError

Better: TypeAlias = Literal["higher", "lower"]
Verdict: TypeAlias = Literal["better", "worse", "no difference shown", "too few pairs"]
Floats: TypeAlias = npt.NDArray[np.float64]

_EXACT_UP_TO = 14
"""Clusters up to which all sign flips are gone through: 16,384 of them."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the data say of b against a."""

    metric: str
    n_pairs: int
    n_clusters: int
    n_dropped: int
    """Pairs left out because one of their values is missing."""
    mean_a: float
    mean_b: float
    difference: float
    """Mean of b minus a over the pairs."""
    low: float
    high: float
    """Cluster bootstrap interval of the difference, studentised."""
    confidence: float
    p_value: float
    """Sign-flip permutation of whole clusters, two-sided; exact for few clusters."""
    p_mcnemar: float | None
    """Exact McNemar of the pairs, for outcomes of yes and no; it takes pairs for independent."""
    effect_size: float | None
    """Mean of the clusters' differences over their standard deviation (d_z); None when they do not vary."""
    smallest_effect: float | None
    """The difference that a sample like this would have shown in 80 of 100 studies."""
    better: Better
    paired: bool = True

    @property
    def verdict(self) -> Verdict:
        """The result in words."""
        alpha = 1 - self.confidence
        if 2.0 ** (1 - self.n_clusters) > alpha:
            return "too few pairs"
        if self.p_value > alpha or self.low <= 0 <= self.high:
            return "no difference shown"
        return "better" if (self.difference > 0) == (self.better == "higher") else "worse"

    def __repr__(self) -> str:
        interval = f"{self.confidence:.0%} interval {self.low:.4g} to {self.high:.4g}"
        pairs = f"{self.n_pairs} {'pairs' if self.paired else 'values'} in {self.n_clusters} clusters"
        told = f"{self.metric}: b - a = {self.difference:.4g}, {interval}, p = {self.p_value:.3g}, {pairs}"
        least = "" if self.smallest_effect is None else f"; could have shown {self.smallest_effect:.3g}"
        return f"{told}: {self.verdict}{least}"


def compare(
    a: pd.DataFrame,
    b: pd.DataFrame,
    metric: str,
    *,
    pair_by: Sequence[str] = ("task", "trial"),
    cluster: str = "task",
    better: Better = "higher",
    confidence: float = 0.95,
    n_resamples: int = 10_000,
    seed: int = 0,
    unpaired: bool = False,
) -> Comparison:
    """How b does against a.

    Args:
        a: One row a trial, with the columns of `pair_by` and the metric.
        b: The other arm, in the same form.
        metric: A column of numbers or of yes and no. Missing values drop their pair, and are counted.
        pair_by: Columns that say which row of a belongs to which row of b.
        cluster: Column whose values are independent of each other: tasks, usually.
        better: Whether more is better or less.
        confidence: Of the interval, and one minus the level of the verdict.
        n_resamples: Bootstrap samples and random sign flips.
        seed: The same seed gives the same figures.
        unpaired: Compare the arms without pairs, which needs far more data for the same answer.

    Raises:
        InputError: A column is missing, nothing pairs, or a row has no partner or several.
    """
    rng = np.random.default_rng(seed)
    if unpaired:
        return _unpaired(a, b, metric, cluster, better, confidence, n_resamples, rng)
    pairs = paired_differences(a, b, metric, pair_by=pair_by, cluster=cluster)
    clusters = clusters_of(pairs.differences, pairs.clusters)
    low, high = bootstrap_interval(clusters, confidence, n_resamples, rng)
    return Comparison(
        metric=metric,
        n_pairs=len(pairs.differences),
        n_clusters=len(clusters),
        n_dropped=pairs.n_dropped,
        mean_a=float(pairs.a.mean()),
        mean_b=float(pairs.b.mean()),
        difference=clusters.mean,
        low=low,
        high=high,
        confidence=confidence,
        p_value=sign_flip_p(clusters, n_resamples, rng),
        p_mcnemar=_mcnemar(pairs.a, pairs.b) if pairs.is_binary else None,
        effect_size=clusters.effect_size,
        smallest_effect=smallest_effect(clusters, confidence),
        better=better,
    )


def bootstrap_interval(
    clusters: Clusters, confidence: float, n_resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Studentised bootstrap over whole clusters: each resample is measured by its own standard error.

    Source: Davison and Hinkley, Bootstrap Methods and their Application (1997), section 5.2.
    """
    if len(clusters) < 2 or clusters.standard_error == 0:
        return (clusters.mean, clusters.mean) if len(clusters) > 1 else (-np.inf, np.inf)
    picked = rng.integers(0, len(clusters), size=(n_resamples, len(clusters)))
    sums, sizes = clusters.sums[picked], clusters.sizes[picked]
    means = sums.sum(axis=1) / sizes.sum(axis=1)
    errors = _standard_errors(sums, sizes, means)
    usable = errors > 0
    t = (means[usable] - clusters.mean) / errors[usable]
    t_low, t_high = np.quantile(t, [(1 - confidence) / 2, (1 + confidence) / 2])
    return clusters.mean - float(t_high) * clusters.standard_error, clusters.mean - float(
        t_low
    ) * clusters.standard_error


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


def smallest_effect(clusters: Clusters, confidence: float, power: float = 0.8) -> float | None:
    """The difference that is shown with this power by a sample that varies as this one does; None for one cluster."""
    from scipy.stats import t

    if len(clusters) < 2:
        return None
    freedom = len(clusters) - 1
    return float((t.ppf((1 + confidence) / 2, freedom) + t.ppf(power, freedom)) * clusters.standard_error)


def adjust(p_values: Sequence[float], method: Literal["holm", "benjamini-hochberg"] = "holm") -> list[float]:
    """P values of several comparisons, adjusted for there being several.

    Args:
        p_values: One a comparison.
        method: `holm` keeps the chance of any false finding, `benjamini-hochberg` the share of false ones.
    """
    from statsmodels.stats.multitest import multipletests

    if not len(p_values):
        return []
    name = {"holm": "holm", "benjamini-hochberg": "fdr_bh"}.get(method)
    if name is None:
        raise InputError(f"method is {method!r}; it takes 'holm' or 'benjamini-hochberg'")
    return [float(p) for p in multipletests(list(p_values), method=name)[1]]


def _standard_errors(sums: Floats, sizes: Floats, means: Floats) -> Floats:
    n = sums.shape[1]
    residuals = sums - means[:, None] * sizes
    errors: Floats = np.sqrt(n / (n - 1) * (residuals**2).sum(axis=1)) / sizes.sum(axis=1)
    return errors


def _mcnemar(a: Floats, b: Floats) -> float:
    from statsmodels.stats.contingency_tables import mcnemar

    table = [[np.sum((a == x) & (b == y)) for y in (1, 0)] for x in (1, 0)]
    return float(mcnemar(table, exact=True).pvalue)


def _unpaired(
    a: pd.DataFrame,
    b: pd.DataFrame,
    metric: str,
    cluster: str,
    better: Better,
    confidence: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> Comparison:
    """Two independent samples of clusters, by Welch's interval and a permutation of the arms."""
    from scipy.stats import permutation_test, ttest_ind

    sample = unpaired_samples(a, b, metric, cluster)
    test = ttest_ind(sample.b, sample.a, equal_var=False)
    interval = test.confidence_interval(confidence)

    def gap(x: Floats, y: Floats, axis: int) -> Floats:
        difference: Floats = np.mean(x, axis=axis) - np.mean(y, axis=axis)
        return difference

    permuted = permutation_test(
        (sample.b, sample.a), gap, vectorized=True, n_resamples=n_resamples, alternative="two-sided", rng=rng
    )
    return Comparison(
        metric=metric,
        n_pairs=sample.n_values,
        n_clusters=min(len(sample.a), len(sample.b)),
        n_dropped=sample.n_dropped,
        mean_a=float(sample.a.mean()),
        mean_b=float(sample.b.mean()),
        difference=float(sample.b.mean() - sample.a.mean()),
        low=float(interval.low),
        high=float(interval.high),
        confidence=confidence,
        p_value=float(permuted.pvalue),
        p_mcnemar=None,
        effect_size=None,
        smallest_effect=None,
        better=better,
        paired=False,
    )
