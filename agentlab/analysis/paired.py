"""Pairs of trials, and the clusters that they come in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype

from agentlab.errors import InputError

Floats: TypeAlias = npt.NDArray[np.float64]

NOISE = 1e-12
"""What differs by so little, relative to its size, is rounded and does not vary."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The values of both arms, pair by pair."""

    a: Floats
    b: Floats
    clusters: npt.NDArray[np.object_]
    """Which cluster each pair belongs to."""
    n_dropped: int
    is_binary: bool

    @property
    def differences(self) -> Floats:
        """What b has more than a."""
        return self.b - self.a

    @property
    def variances(self) -> tuple[float | None, float | None]:
        """Of the differences, between clusters and within them: the moments of a one-way layout.

        None where they cannot be told: of one cluster both; where each has one pair, what varies within, and the other
        holds it too.
        """
        groups = pd.Series(self.differences).groupby(self.clusters)
        sizes, means = groups.size().to_numpy(dtype=float), groups.mean().to_numpy(dtype=float)
        n, n_pairs = len(sizes), sizes.sum()
        if n < 2:
            return None, None
        between_mean_square = float((sizes * (means - np.average(means, weights=sizes)) ** 2).sum()) / (n - 1)
        if n_pairs == n:
            return between_mean_square, None
        within = float(((self.differences - groups.transform("mean").to_numpy()) ** 2).sum()) / (n_pairs - n)
        typical_size = (n_pairs - (sizes**2).sum() / n_pairs) / (n - 1)
        return max(0.0, (between_mean_square - within) / typical_size), within


@dataclass(frozen=True, slots=True)
class Clusters:
    """Differences, summed up by cluster."""

    sums: Floats
    sizes: Floats

    def __len__(self) -> int:
        return len(self.sums)

    @property
    def mean(self) -> float:
        """Mean difference over all pairs."""
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def standard_error(self) -> float:
        """Of the mean, with clusters as the independent units."""
        n = len(self)
        residuals = self.sums - self.mean * self.sizes
        return float(np.sqrt(n / (n - 1) * (residuals**2).sum()) / self.sizes.sum()) if n > 1 else float("nan")

    @property
    def vary(self) -> bool:
        """Whether their means differ by more than numbers are rounded by."""
        means = self.sums / self.sizes
        return len(self) > 1 and bool(np.ptp(means) > NOISE * np.abs(means).max())

    @property
    def effect_size(self) -> float | None:
        """Mean of the clusters' mean differences over their standard deviation; None when they do not vary."""
        means = self.sums / self.sizes
        return float(means.mean() / means.std(ddof=1)) if self.vary else None


@dataclass(frozen=True, slots=True)
class Samples:
    """The clusters' means of two arms without pairs."""

    a: Floats
    b: Floats
    n_values: int
    n_dropped: int


def paired_differences(a: pd.DataFrame, b: pd.DataFrame, metric: str, *, pair_by: Sequence[str], cluster: str) -> Pairs:
    """The pairs of two arms. A row without a partner, or with several, is refused: something else was compared then.

    Raises:
        InputError: A column is missing or holds no numbers, or rows do not pair one to one.
    """
    keys = list(pair_by)
    if not keys or metric in keys:
        raise InputError(f"pair_by is {keys!r:.200}; it takes the columns that name a trial, and not the metric")
    for name, frame in (("a", a), ("b", b)):
        _need(name, frame, {*keys, cluster}, metric)
        twice = frame[frame.duplicated(keys)]
        if len(twice):
            raise InputError(
                f"`{name}` has several rows for {_named(twice[keys], keys)}; pair by more columns, or average them"
            )
    both = _merged(a, b, metric, keys, cluster)
    alone = both[both["_merge"] != "both"]
    if len(alone):
        raise InputError(
            f"{len(alone)} of {len(both)} rows have no partner, such as {_named(alone, keys)}; run the missing trials, "
            "leave their tasks out of both arms, or ask for unpaired=True"
        )
    torn = both[(both["cluster_a"] != both["cluster_b"]).to_numpy(dtype=bool)]
    if len(torn):
        where = f"{torn['cluster_a'].iloc[0]!r:.80} in `a` and {torn['cluster_b'].iloc[0]!r:.80} in `b`"
        raise InputError(
            f"{len(torn)} pairs are of two clusters, such as {_named(torn, keys)}: "
            f"`{cluster}` is {where}; pair by it too"
        )
    whole = both[both[["value_a", "value_b"]].notna().all(axis=1)]
    if whole.empty:
        raise InputError(f"no pair has `{metric}` in both arms")
    a_values, b_values = (whole[f"value_{arm}"].to_numpy(dtype=float) for arm in ("a", "b"))
    binary = bool(np.isin(np.concatenate([a_values, b_values]), (0.0, 1.0)).all())
    return Pairs(a_values, b_values, whole["cluster_a"].to_numpy(dtype=object), len(both) - len(whole), binary)


def clusters_of(differences: Floats, clusters: npt.NDArray[np.object_]) -> Clusters:
    """The differences by cluster."""
    codes, _ = pd.factorize(clusters)
    return Clusters(np.bincount(codes, weights=differences).astype(float), np.bincount(codes).astype(float))


def unpaired_samples(a: pd.DataFrame, b: pd.DataFrame, metric: str, cluster: str) -> Samples:
    """The means of each arm's clusters."""
    means, n_values, n_dropped = [], 0, 0
    for name, frame in (("a", a), ("b", b)):
        _need(name, frame, {cluster}, metric)
        known = frame[frame[metric].notna()]
        if known[cluster].nunique() < 2:
            raise InputError(f"`{name}` has fewer than two clusters with `{metric}`: nothing can be said of its spread")
        n_values += len(known)
        n_dropped += len(frame) - len(known)
        means.append(known.groupby(cluster, observed=True)[metric].mean().to_numpy(dtype=float))
    return Samples(means[0], means[1], n_values, n_dropped)


def _need(name: str, frame: pd.DataFrame, labels: set[str], metric: str) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"`{name}` is {frame!r:.80}; it takes a frame with one row a trial")
    missing = {*labels, metric} - set(frame.columns)
    if missing:
        raise InputError(f"`{name}` has no column {min(missing)!r}; it has: {', '.join(map(str, frame.columns))}")
    twice = {*labels, metric} & set(frame.columns[frame.columns.duplicated()])
    if twice:
        raise InputError(f"`{name}` has several columns {min(twice)!r}; rename all but one")
    for each in sorted(labels):
        try:
            frame[each].unique()
        except TypeError as exc:
            raise InputError(f"`{each}` of `{name}` holds values that are no names, such as lists") from exc
    unnamed = frame[frame[sorted(labels)].isna().any(axis=1)]
    if len(unnamed):
        raise InputError(f"`{name}` has {len(unnamed)} rows that lack one of {', '.join(sorted(labels))}")
    values = frame[metric]
    numbers = is_numeric_dtype(values) and not is_complex_dtype(values)
    if not (numbers or is_bool_dtype(values) or values.isna().all()):
        raise InputError(f"`{metric}` of `{name}` holds {values.dtype}; numbers or yes and no can be compared")
    if np.isinf(values.to_numpy(dtype=float, na_value=np.nan)).any():
        raise InputError(f"`{metric}` of `{name}` has infinite values; set what was not measured to NA")


def _merged(a: pd.DataFrame, b: pd.DataFrame, metric: str, keys: list[str], cluster: str) -> pd.DataFrame:
    """Keys under their numbers, as any name may be a column's; `value_a`, `value_b`, `cluster_a`, `cluster_b`."""

    def renamed(arm: str, frame: pd.DataFrame) -> pd.DataFrame:
        columns: dict[int | str, Any] = {n: frame[key].array for n, key in enumerate(keys)}
        columns[f"value_{arm}"] = frame[metric].array
        columns[f"cluster_{arm}"] = frame[cluster].to_numpy(dtype=object)
        return pd.DataFrame(columns)

    a_rows, b_rows = renamed("a", a), renamed("b", b)
    try:
        return a_rows.merge(b_rows, on=list(range(len(keys))), how="outer", indicator=True)
    except ValueError as exc:
        kinds = ", ".join(f"{key} is {a[key].dtype} and {b[key].dtype}" for key in keys)
        raise InputError(f"rows of `a` and `b` cannot be told to be the same: {kinds}; make them alike") from exc


def _named(rows: pd.DataFrame, keys: list[str]) -> str:
    """The first row, by its keys, which stand in the first columns."""
    return ", ".join(f"{key}={rows.iloc[:, n].tolist()[0]!r:.80}" for n, key in enumerate(keys))
