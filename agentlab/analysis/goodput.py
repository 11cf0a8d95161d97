"""Goodput: the requests a second that kept within all limits. Fast answers to some are no use to the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa

from agentlab.analysis.calls import ModelCalls
from agentlab.analysis.definitions import definition_named
from agentlab.analysis.grouping import under_runs
from agentlab.analysis.latency import NS_PER_S, Flags, Floats
from agentlab.analysis.sources import Source, tables_of
from agentlab.errors import InputError

GoodputDefinition: TypeAlias = Literal["agentlab", "vllm", "aiperf"]

_LIMITED: dict[str, tuple[str, ...]] = {
    "agentlab": ("ttft_s", "itl_mean_s", "e2e_s"),
    "vllm": ("ttft_s", "tpot_s", "e2e_s"),
    "aiperf": ("ttft_s", "itl_mean_s", "e2e_s"),
}
"""What each definition of goodput sets limits to, here."""

_ONE_TOKEN_IS_IN_TIME = ("agentlab", "vllm")
"""Who takes a reply of one token, which has no time between tokens, to keep within a limit of that; aiperf does not."""


@dataclass(frozen=True, slots=True)
class Goodput:
    """How many model calls kept within the limits, and how fast they came."""

    definition: str
    limits_s: Mapping[str, float]
    """By measure [s]."""
    n_calls: int
    n_good: int
    n_failed: int
    """Not good because they were cut, failed or never answered."""
    n_unknown: int
    """Came whole and are not good because a limited measure is not known of them."""
    duration_s: float | None
    """First request to last end; None: nothing was measured."""

    @property
    def goodput_per_s(self) -> float | None:
        """Good calls a second; None where no time passed."""
        return self._per_s(self.n_good)

    @property
    def calls_per_s(self) -> float | None:
        """All calls a second, good or not."""
        return self._per_s(self.n_calls)

    @property
    def fraction_good(self) -> float | None:
        """Good calls among all; None without calls."""
        return self.n_good / self.n_calls if self.n_calls else None

    def __repr__(self) -> str:
        limits = ", ".join(f"{name} ≤ {limit:g}" for name, limit in self.limits_s.items())
        rate = "no rate" if self.goodput_per_s is None else f"{self.goodput_per_s:.4g} a second"
        why = f"{self.n_failed} failed, {self.n_unknown} unknown"
        return (
            f"{self.n_good} of {self.n_calls} calls good ({rate}; {why}) under {limits}, as {self.definition} measures"
        )

    def _per_s(self, count: int) -> float | None:
        return count / self.duration_s if self.duration_s else None


def goodput(
    source: Source,
    *,
    ttft_s: float | None = None,
    itl_mean_s: float | None = None,
    tpot_s: float | None = None,
    e2e_s: float | None = None,
    definition: GoodputDefinition = "agentlab",
    duration_s: float | None = None,
    runs: Sequence[str] | None = None,
) -> Goodput:
    """Model calls a second within all limits; a value at its limit is within.

    Every call for a step counts, also one that a second try made good. A call that was cut or failed is not good, nor
    one of which a limited measure is not known. The definitions:

    - `agentlab`: limits of `ttft_s`, `itl_mean_s`, `e2e_s`. A reply of one token keeps any limit of `itl_mean_s`.
    - `vllm` (`vllm bench serve --goodput`): `ttft_s`, `tpot_s`, `e2e_s` as it measures them, by the time the whole
      benchmark took; a reply of one token has a TPOT of 0.
    - `aiperf` (`--goodput`, of its limits those on these measures): `ttft_s`, `itl_mean_s`, `e2e_s`; good requests by
      the time from the first request to the last response; a call without a limited measure is not good, so neither is
      a reply of one token.

    Args:
        source: A run, a trace, a lab or a list of them.
        ttft_s: Longest time to first token [s].
        itl_mean_s: Longest mean time between tokens [s].
        tpot_s: Longest time per output token [s]; vLLM's.
        e2e_s: Longest time to the last token [s].
        definition: Whose measures and goodput: `agentlab`, `vllm` or `aiperf`.
        duration_s: What the rates are over [s]. None: from the first request to the end of the last call; of several
            runs by the wall time at which each started, the only clock they share.
        runs: Only runs with these ids.

    Raises:
        InputError: No limit is given, one is no positive number, or the definition has no such limit.
    """
    given = {"ttft_s": ttft_s, "itl_mean_s": itl_mean_s, "tpot_s": tpot_s, "e2e_s": e2e_s}
    limits = _checked({name: limit for name, limit in given.items() if limit is not None}, definition)
    if duration_s is not None:
        _positive("duration_s", duration_s)
    tables = tables_of(source, runs)
    calls, run_table = ModelCalls.of(tables), tables.table("runs")
    measures = definition_named(definition).measures(calls, run_table)
    verdicts = [_verdict(name, limit_s, measures, definition) for name, limit_s in limits.items()]
    whole = calls.for_steps & _is_true(calls.table["complete"])
    good = whole & np.logical_and.reduce([verdict.within for verdict in verdicts])
    late = whole & np.logical_or.reduce([verdict.exceeded for verdict in verdicts])
    return Goodput(
        definition=definition,
        limits_s=limits,
        n_calls=int(calls.for_steps.sum()),
        n_good=int(good.sum()),
        n_failed=int((calls.for_steps & ~whole).sum()),
        n_unknown=int((whole & ~good & ~late).sum()),
        duration_s=_duration_s(calls, run_table) if duration_s is None else float(duration_s),
    )


@dataclass(frozen=True)
class _Verdict:
    """Which calls keep one limit and which do not; of the rest nobody knows."""

    within: Flags
    exceeded: Flags


def _verdict(name: str, limit_s: float, measures: Mapping[str, Floats], definition: str) -> _Verdict:
    values_s = measures[name]
    if name in ("itl_mean_s", "tpot_s") and definition in _ONE_TOKEN_IS_IN_TIME:
        values_s = np.where(measures["timed_tokens"] == 1, 0.0, values_s)
    return _Verdict(values_s <= limit_s, values_s > limit_s)


def _duration_s(calls: ModelCalls, runs: pa.Table) -> float | None:
    """First request to last end of the calls for steps; None where there are none, or none has ended."""
    begun_ns, ended_ns = (np.where(calls.for_steps, calls.column(name), np.nan) for name in ("called_ns", "replied_ns"))
    if np.isnan(begun_ns).all() or np.isnan(ended_ns).all():
        return None
    if len(runs) > 1:
        zero_ns = runs["started_at"].cast(pa.int64()).to_numpy() * 1000
        of_call = (zero_ns - zero_ns.min())[under_runs(calls.table, runs).of_row]
        begun_ns, ended_ns = begun_ns + of_call, ended_ns + of_call
    return float(np.nanmax(ended_ns) - np.nanmin(begun_ns)) / NS_PER_S


def _is_true(column: Any) -> Flags:
    found: Flags = column.combine_chunks().fill_null(False).to_numpy(zero_copy_only=False)
    return found


def _checked(limits: dict[str, float], definition: str) -> dict[str, float]:
    if definition not in _LIMITED:
        raise InputError(f"`{definition!s:.80}` defines no goodput; these do: {', '.join(_LIMITED)}")
    names = ", ".join(_LIMITED[definition])
    if not limits:
        raise InputError(f"goodput needs a limit; `{definition}` takes {names}")
    for name, limit in limits.items():
        if name not in _LIMITED[definition]:
            raise InputError(f"`{definition}` has no limit of {name}; it takes {names}")
        _positive(name, limit)
    return limits


def _positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InputError(f"`{name}` takes a number of seconds above 0, not {value!r:.80}")
