"""Two arms of an experiment compared pair by pair, with an interval that knows about repeated trials.

    runs = runs_with_tags(lab)
    compare(runs[runs.variant == "a"], runs[runs.variant == "b"], "total_tokens", better="lower")

Differences are always b minus a. Trials of one task are not independent, so tasks are resampled and flipped as wholes.
Needs the extra `stats`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import overload

import numpy as np
import pandas as pd

from agentlab.analysis.arguments import is_number, need_draws, need_name, need_share
from agentlab.analysis.comparison import Better, Comparison, Comparisons, Method
from agentlab.analysis.paired import Pairs, Samples, clusters_of, paired_differences, unpaired_samples
from agentlab.analysis.resampling import (
    bootstrap_interval,
    least_sign_flip_p,
    mcnemar_p,
    need_stats,
    sign_flip_p,
    smallest_effect,
)
from agentlab.analysis.resampling import (
    unpaired as compare_unpaired,
)
from agentlab.errors import InputError

_METHODS: dict[str, str] = {"holm": "holm", "benjamini-hochberg": "fdr_bh"}
"""Our names, and those of statsmodels."""


@overload
def compare(
    a: pd.DataFrame,
    b: pd.DataFrame,
    metric: str,
    *,
    pair_by: str | Sequence[str] = ...,
    cluster: str = ...,
    better: Better | Mapping[str, Better] = ...,
    confidence: float = ...,
    adjust_by: Method = ...,
    n_resamples: int = ...,
    seed: int = ...,
    unpaired: bool = ...,
) -> Comparison: ...
@overload
def compare(
    a: pd.DataFrame,
    b: pd.DataFrame,
    metric: list[str] | tuple[str, ...],
    *,
    pair_by: str | Sequence[str] = ...,
    cluster: str = ...,
    better: Better | Mapping[str, Better] = ...,
    confidence: float = ...,
    adjust_by: Method = ...,
    n_resamples: int = ...,
    seed: int = ...,
    unpaired: bool = ...,
) -> Comparisons: ...
def compare(
    a: pd.DataFrame,
    b: pd.DataFrame,
    metric: str | list[str] | tuple[str, ...],
    *,
    pair_by: str | Sequence[str] = ("task", "trial"),
    cluster: str = "task",
    better: Better | Mapping[str, Better] = "higher",
    confidence: float = 0.95,
    adjust_by: Method = "holm",
    n_resamples: int = 10_000,
    seed: int = 0,
    unpaired: bool = False,
) -> Comparison | Comparisons:
    """How b does against a.

    Args:
        a: One row a trial, with the columns of `pair_by` and the metric.
        b: The other arm, in the same form.
        metric: A column of numbers or of yes and no. Missing values drop their pair, and are counted. Several columns
            give several comparisons, with adjusted p values.
        pair_by: Columns that say which row of a belongs to which row of b.
        cluster: Column whose values are independent of each other: tasks, usually.
        better: Whether more is better or less; also by the name of a metric, `higher` where none is given.
        confidence: Of the interval, and one minus the level of the verdict.
        adjust_by: How the p values of several metrics are adjusted.
        n_resamples: Bootstrap samples and random sign flips.
        seed: The same seed gives the same figures.
        unpaired: Compare the arms without pairs, which needs far more data for the same answer.

    Raises:
        InputError: A column is missing or holds no numbers, nothing pairs, a row has no partner or several, a pair is
            of two clusters, or a setting is out of its range.
    """
    need_stats()
    metrics = _names("metric", metric)
    keys = _names("pair_by", pair_by)
    _check_columns(metrics, cluster)
    _check_better(better, metrics)
    _check_method(adjust_by)
    need_share("confidence", confidence, usual=0.95)
    need_draws(n_resamples, seed)

    def one(name: str) -> Comparison:
        rng = np.random.default_rng(seed)
        wanted: Better = better if isinstance(better, str) else better.get(name, "higher")
        if unpaired:
            sample = unpaired_samples(a, b, name, cluster)
            return _of_samples(sample, name, wanted, confidence, n_resamples, rng)
        pairs = paired_differences(a, b, name, pair_by=keys, cluster=cluster)
        return _of_pairs(pairs, name, wanted, confidence, n_resamples, rng)

    if isinstance(metric, str):
        return one(metric)
    return adjusted([one(name) for name in metrics], adjust_by)


def adjusted(comparisons: Iterable[Comparison], method: Method = "holm") -> Comparisons:
    """The comparisons with their p values adjusted for there being several; verdicts go by the adjusted ones.

    Args:
        comparisons: All that were made: one that is left out makes the rest look surer than they are.
        method: `holm` keeps the chance of any false finding, `benjamini-hochberg` the share of false ones.
    """
    _check_method(method)
    if isinstance(comparisons, str) or not isinstance(comparisons, Iterable):
        raise InputError(f"comparisons are {comparisons!r:.80}; it takes a list of what `compare` found")
    found = list(comparisons)
    strange = [each for each in found if not isinstance(each, Comparison)]
    if strange:
        raise InputError(f"comparisons hold {strange[0]!r:.80}; it takes a list of what `compare` found")
    p_values = adjust([each.p_value for each in found], method)
    least = adjust([each.least_p_value for each in found], method)
    if len(found) < 2:
        return Comparisons(tuple(found))
    return Comparisons(
        tuple(
            replace(each, p_adjusted=p, least_p_adjusted=least_p, adjusted_by=method)
            for each, p, least_p in zip(found, p_values, least, strict=True)
        )
    )


def adjust(p_values: Sequence[float], method: Method = "holm") -> list[float]:
    """P values of several comparisons, adjusted for there being several.

    Args:
        p_values: One a comparison.
        method: `holm` keeps the chance of any false finding, `benjamini-hochberg` the share of false ones.
    """
    need_stats()
    from statsmodels.stats.multitest import multipletests

    _check_method(method)
    if isinstance(p_values, str) or not isinstance(p_values, Sequence | np.ndarray | pd.Series):
        raise InputError(f"p values are {p_values!r:.80}; it takes a list of numbers")
    if not all(is_number(p) and 0 <= p <= 1 for p in p_values):
        raise InputError("p values lie between 0 and 1; leave out what was not tested")
    if not len(p_values):
        return []
    return [float(p) for p in multipletests(list(p_values), method=_METHODS[method])[1]]


def _of_pairs(
    pairs: Pairs, metric: str, better: Better, confidence: float, n_resamples: int, rng: np.random.Generator
) -> Comparison:
    clusters = clusters_of(pairs.differences, pairs.clusters)
    low, high = bootstrap_interval(clusters, confidence, n_resamples, rng)
    between, within = pairs.variances
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
        least_p_value=least_sign_flip_p(len(clusters)),
        p_mcnemar=mcnemar_p(pairs.a, pairs.b) if pairs.is_binary else None,
        effect_size=clusters.effect_size,
        smallest_effect=smallest_effect(clusters, confidence),
        better=better,
        variance_between=between,
        variance_within=within,
    )


def _of_samples(
    sample: Samples, metric: str, better: Better, confidence: float, n_resamples: int, rng: np.random.Generator
) -> Comparison:
    found = compare_unpaired(sample, confidence, n_resamples, rng)
    return Comparison(
        metric=metric,
        n_pairs=sample.n_values,
        n_clusters=min(len(sample.a), len(sample.b)),
        n_dropped=sample.n_dropped,
        mean_a=float(sample.a.mean()),
        mean_b=float(sample.b.mean()),
        difference=float(sample.b.mean() - sample.a.mean()),
        low=found.low,
        high=found.high,
        confidence=confidence,
        p_value=found.p_value,
        least_p_value=found.least_p_value,
        p_mcnemar=None,
        effect_size=found.effect_size,
        smallest_effect=found.smallest_effect,
        better=better,
        paired=False,
    )


def _names(setting: str, value: str | Sequence[str]) -> list[str]:
    """One name or several, each once."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names or len(set(map(repr, names))) < len(names):
        raise InputError(f"{setting} is {value!r:.80}; it takes the name of a column, or a list of different ones")
    for name in names:
        need_name(setting, name)
    return list(names)


def _check_columns(metrics: list[str], cluster: str) -> None:
    need_name("cluster", cluster)
    if cluster in metrics:
        raise InputError(f"cluster is {cluster!r:.80}, which is compared; it takes the column of what is independent")


def _check_better(better: Better | Mapping[str, Better], metrics: list[str]) -> None:
    by_name = isinstance(better, Mapping)
    for word in better.values() if isinstance(better, Mapping) else [better]:
        if not isinstance(word, str) or word not in ("higher", "lower"):
            raise InputError(f"better is {word!r:.80}; it takes 'higher' or 'lower'" + ", by metric" * by_name)
    unknown = [name for name in better if name not in metrics] if isinstance(better, Mapping) else []
    if unknown:
        raise InputError(f"better names {unknown[0]!r:.80}, which is not compared; there is {', '.join(metrics)[:400]}")


def _check_method(method: object) -> None:
    if not isinstance(method, str) or method not in _METHODS:
        raise InputError(f"method is {method!r:.80}; it takes 'holm' or 'benjamini-hochberg'")
