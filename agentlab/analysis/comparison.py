"""What a comparison found, and what several found together: in words, as a table, as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from math import isfinite
from typing import TYPE_CHECKING, Literal, TypeAlias, overload

import pandas as pd

from agentlab.trace.safe import in_one_line
from agentlab.trace.words import MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Better: TypeAlias = Literal["higher", "lower"]
Verdict: TypeAlias = Literal["better", "worse", "no difference shown", "too few pairs"]
Method: TypeAlias = Literal["holm", "benjamini-hochberg"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the data say of b against a."""

    metric: str
    n_pairs: int
    """Pairs; of unpaired arms the values of both."""
    n_clusters: int
    """Of unpaired arms: of the smaller one."""
    n_dropped: int
    """Pairs left out because one of their values is missing."""
    mean_a: float
    mean_b: float
    difference: float
    """Mean of b minus a over the pairs."""
    low: float
    high: float
    """Interval of the difference: a studentised cluster bootstrap or a t interval, whichever reaches further.

    Of unpaired arms Welch's. Infinite where there is none: too few clusters for the level, or none that vary."""
    confidence: float
    p_value: float
    """Sign-flip permutation of whole clusters, two-sided; exact for few clusters.

    Of unpaired arms the larger one of a permutation of the arms and of Welch's test."""
    least_p_value: float
    """The smallest p value that so few clusters can give."""
    p_mcnemar: float | None
    """Exact McNemar of the pairs, for outcomes of yes and no; it takes pairs for independent."""
    effect_size: float | None
    """Mean of the clusters' differences over their standard deviation (d_z); None when they do not vary.

    Of unpaired arms Cohen's d."""
    smallest_effect: float | None
    """The difference that `p_value` would have shown in 80 of 100 studies like this one; one of several that are
    adjusted needs more. None where none could be shown, and where the clusters do not vary."""
    better: Better
    paired: bool = True
    variance_between: float | None = None
    """Of the true differences from cluster to cluster; None when unpaired or of one cluster."""
    variance_within: float | None = None
    """Of the differences from trial to trial of a cluster; None when each has one trial, and the other holds it too."""
    p_adjusted: float | None = None
    """The p value, once it is one of several."""
    least_p_adjusted: float | None = None
    """The smallest that the adjusted one can be, were all of them as small as they can be."""
    adjusted_by: Method | None = None

    @property
    def p(self) -> float:
        """The p value that counts: the adjusted one where there is one."""
        return self.p_value if self.p_adjusted is None else self.p_adjusted

    @property
    def verdict(self) -> Verdict:
        """The result in words, by the p value alone, whose power is what `smallest_effect` and `plan` tell of."""
        alpha = 1 - self.confidence
        if (self.least_p_value if self.least_p_adjusted is None else self.least_p_adjusted) > alpha:
            return "too few pairs"
        if self.p > alpha:
            return "no difference shown"
        return "better" if (self.difference > 0) == (self.better == "higher") else "worse"

    def plot(self, ax: Axes | None = None) -> Axes:
        """The difference and its interval, as a forest plot of one row.

        Args:
            ax: Where to draw; a new figure when not given.
        """
        return Comparisons((self,)).plot(ax)

    def __repr__(self) -> str:
        interval = f"{_percent(self.confidence)} interval {_ends(self)}" if isfinite(self.low) else "no interval"
        pairs = f"{self.n_pairs} {'pairs' if self.paired else 'values'} in {self.n_clusters} clusters"
        p = f"p = {self.p:.3g}" + (f" ({self.adjusted_by})" if self.adjusted_by else "")
        told = f"{in_one_line(self.metric)}: b - a = {self.difference:.4g}, {interval}, {p}, {pairs}"
        least = "" if self.smallest_effect is None else f"; could have shown {self.smallest_effect:.3g}"
        dropped = f", {self.n_dropped} dropped" if self.n_dropped else ""
        return f"{told}{dropped}: {_verdict_in_words(self)}{least}"

    def _repr_html_(self) -> str:
        return Comparisons((self,))._repr_html_()


@dataclass(frozen=True, slots=True, repr=False)
class Comparisons(Sequence[Comparison]):
    """Several comparisons, their p values adjusted for there being several."""

    found: tuple[Comparison, ...]

    def __len__(self) -> int:
        return len(self.found)

    @overload
    def __getitem__(self, index: int) -> Comparison: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Comparison, ...]: ...
    def __getitem__(self, index: int | slice) -> Comparison | tuple[Comparison, ...]:
        return self.found[index]

    def __iter__(self) -> Iterator[Comparison]:
        return iter(self.found)

    def frame(self) -> pd.DataFrame:
        """A row a comparison: all fields of `Comparison`, and the verdict."""
        rows = [{**asdict(each), "verdict": each.verdict} for each in self.found]
        return pd.DataFrame(rows, columns=[*(field.name for field in fields(Comparison)), "verdict"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """A forest plot: each difference with its interval, and whether it was shown.

        Args:
            ax: Where to draw; a new figure when not given.
        """
        axes: Axes = import_module("agentlab.analysis.plots").forest(self, ax)
        return axes

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.found)) or "no comparison"

    def _repr_html_(self) -> str:
        return pd.DataFrame([_in_words(each) for each in self.found]).to_html(index=False, escape=True, border=0)


def _in_words(found: Comparison) -> dict[str, str]:
    least = MISSING if found.smallest_effect is None else f"{found.smallest_effect:.3g}"
    size = MISSING if found.effect_size is None else f"{found.effect_size:.2f}"
    return {
        "metric": in_one_line(found.metric),
        "a": f"{found.mean_a:.4g}",
        "b": f"{found.mean_b:.4g}",
        "b - a": f"{found.difference:.4g}",
        f"{_percent(found.confidence)} interval": _ends(found) if isfinite(found.low) else MISSING,
        "p": f"{found.p:.3g}" + (f" ({found.adjusted_by})" if found.adjusted_by else ""),
        "pairs" if found.paired else "values": f"{found.n_pairs:,}",
        "clusters": f"{found.n_clusters:,}",
        "effect size": size,
        "could have shown": least,
        "verdict": _verdict_in_words(found),
    }


def _verdict_in_words(found: Comparison) -> str:
    """The verdict, and which way it was taken: nobody has to remember what `better` was."""
    return f"{found.verdict}, as {found.better} is better" if found.verdict in ("better", "worse") else found.verdict


def _ends(found: Comparison) -> str:
    return f"{found.low:.4g} to {found.high:.4g}"


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"
