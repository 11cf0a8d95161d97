"""What model calls cost [US dollars]. A cost that is not known is NaN, with a word on why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from agentlab.analysis.grouping import floats, under_runs
from agentlab.analysis.latency import Floats
from agentlab.analysis.prices import Counts, PriceBook, Rates, Tariff

NO_COUNTS = "tokens are not known"
CONTRADICTION = "token counts contradict each other"
CACHED_SUPPOSED = "cached tokens are not known: priced like the rest of the prompt"
REASONING_SUPPOSED = "reasoning tokens are not known: priced like the rest of the reply"

_COUNTS = tuple(field.name for field in fields(Counts))
_N_RATES = len(fields(Rates))


@dataclass(frozen=True)
class Costs:
    """What each call cost, and how that is known."""

    usd: Floats
    source: pa.Array
    """Whose prices; null where there are none."""
    note: pa.Array
    """Why a cost is not known, or what had to be supposed; null where neither is so."""


def costs_of(calls: pa.Table, runs: pa.Table, book: PriceBook) -> Costs:
    """The cost of every call.

    Cached tokens and reasoning that are not reported are priced like other input and output; the note says so where
    that makes a difference.

    Args:
        calls: Model calls.
        runs: The runs that they belong to: prices are those of the time at which a run began.
        book: Where prices are found.
    """
    tariffs, of_call = _tariffs(calls, runs, book)
    counts = {name: floats(calls[name]) for name in _COUNTS}
    kinds = _by_kind(counts)
    rates = np.array([_vector(tariff) for tariff in tariffs]).reshape(-1, _N_RATES)[of_call]
    contradicts = np.asarray((kinds < 0).any(axis=1))
    usd = np.where(contradicts, np.nan, (kinds * rates).sum(axis=1))
    for row in np.flatnonzero(~contradicts & ~np.isnan(kinds).any(axis=1)).tolist():
        if (listed := tariffs[of_call[row]].listed) is not None:
            usd[row] = listed.cost_usd(_of_row(counts, row))
    notes = _notes(counts, rates, contradicts, [tariffs[n].note for n in of_call])
    return Costs(usd, _texts(tariffs[n].source for n in of_call), _texts(notes))


def _tariffs(calls: pa.Table, runs: pa.Table, book: PriceBook) -> tuple[list[Tariff], npt.NDArray[np.intp]]:
    """The prices that apply, each once, and which of them each call has."""
    columns = [calls[name].to_pylist() for name in ("model", "response_model", "provider")]
    begun = runs["started_at"].combine_chunks().take(under_runs(calls, runs).parent).to_pylist()
    keys = list(zip(*columns, begun, strict=True))
    place = {key: n for n, key in enumerate(dict.fromkeys(keys))}
    return [book.tariff(*key) for key in place], np.array([place[key] for key in keys], np.intp)


def _by_kind(counts: dict[str, Floats]) -> Floats:
    """Tokens of each call by the kinds of `Rates`, none of which is in another; shape (calls, kinds)."""
    cached, write = np.nan_to_num(counts["cached_tokens"]), np.nan_to_num(counts["cache_write_tokens"])
    reasoning = np.nan_to_num(counts["reasoning_tokens"])
    fresh, output = counts["input_tokens"] - cached - write, counts["output_tokens"] - reasoning
    return np.stack([fresh, cached, write, output, reasoning], axis=1)


def _vector(tariff: Tariff) -> tuple[float, ...]:
    return (np.nan,) * _N_RATES if tariff.rates is None else astuple(tariff.rates)


def _of_row(counts: dict[str, Floats], row: int) -> Counts:
    known = {name: values[row] for name, values in counts.items()}
    return Counts(**{name: int(value) for name, value in known.items() if not np.isnan(value)})


def _notes(
    counts: dict[str, Floats], rates: Floats, contradicts: npt.NDArray[np.bool_], unpriced: Sequence[str | None]
) -> list[str | None]:
    """What there is to say of each call; of several things the one that keeps its cost from being known."""
    fresh, cached, _, output, reasoning = rates.T  # NaN where the price depends on the length: then they differ
    said = np.full(len(rates), None, object)
    said[np.isnan(counts["reasoning_tokens"]) & (reasoning != output)] = REASONING_SUPPOSED
    said[np.isnan(counts["cached_tokens"]) & (cached != fresh)] = CACHED_SUPPOSED
    said[contradicts] = CONTRADICTION
    said[np.isnan(counts["input_tokens"]) | np.isnan(counts["output_tokens"])] = NO_COUNTS
    return [note if why is None else why for note, why in zip(said.tolist(), unpriced, strict=True)]


def _texts(values: Any) -> pa.Array:
    return pa.array(list(values), pa.string())
