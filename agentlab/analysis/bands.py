"""How far a band around an empirical distribution reaches, so that it holds the whole true one."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentlab.analysis.resampling import least_clusters

Floats: TypeAlias = npt.NDArray[np.float64]

_MOST_PLACES = 500
"""At which draws are compared with the sample: between two of them lies 1 in 500 of the values."""


def dkw_half_width(n: int, confidence: float) -> float:
    """Half the height of a band that holds the whole true distribution with this confidence, of independent values.

    Source: Massart, The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality (1990).
    """
    return float(np.sqrt(np.log(2 / (1 - confidence)) / (2 * n)))


def clustered_half_width(
    values: Floats, clusters: npt.NDArray[Any], confidence: float, n_resamples: int, rng: np.random.Generator
) -> float | None:
    """The same of values that come in clusters, which are independent of each other: a bootstrap over whole clusters.

    Of few clusters it is widened as a t interval is against a normal one, and it is never narrower than the band of
    independent values.

    Args:
        values: Shape (n,), without NaN.
        clusters: Which each belongs to, shape (n,).
        confidence: Of the band.
        n_resamples: Draws.
        rng: Draws them.

    Returns:
        None where there are fewer clusters than such a level takes (6 at 95 %).

    Source: Davison and Hinkley, Bootstrap Methods and their Application (1997), section 3.8, for the draws.
    """
    from scipy.stats import norm, t

    codes = pd.factorize(clusters)[0]
    n_clusters = int(codes.max(initial=-1)) + 1
    if n_clusters < max(2, least_clusters(confidence)):
        return None
    places = np.unique(values)
    places = places[np.unique(np.linspace(0, len(places) - 1, _MOST_PLACES).astype(int))]
    place_of = np.searchsorted(places, values)
    found = np.bincount(codes * len(places) + place_of, minlength=n_clusters * len(places))
    reached = np.cumsum(found.reshape(n_clusters, len(places)), axis=1).astype(float)
    times = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=n_resamples).astype(float)
    drawn = (times @ reached) / (times @ reached[:, -1])[:, None]
    half = np.quantile(np.abs(drawn - reached.sum(axis=0) / len(values)).max(axis=1), confidence)
    level = (1 + confidence) / 2
    few = float(t.ppf(level, n_clusters - 1) / norm.ppf(level) * np.sqrt(n_clusters / (n_clusters - 1)))
    return max(float(half) * few, dkw_half_width(len(values), confidence))
