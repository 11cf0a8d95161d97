"""What analyses take as settings, checked in one place: wrong ones are told by name, with what would do."""

from __future__ import annotations

from math import isfinite
from numbers import Integral, Real
from typing import Any

from agentlab.errors import InputError


def need_share(name: str, value: Any, *, usual: float) -> None:
    """Raises InputError where the value is no number between 0 and 1, both left out."""
    if not is_number(value) or not 0 < value < 1:
        raise InputError(f"{name} is {value!r:.80}; it lies between 0 and 1, such as {usual:g}")


def need_count(name: str, value: Any, least: int, *, usual: str = "") -> None:
    """Raises InputError where the value is no whole number, or a smaller one."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        hint = f"; {usual} are usual" if usual else ""
        raise InputError(f"{name} is {value!r:.80}; it takes whole numbers from {least}{hint}")


def need_draws(n_resamples: Any, seed: Any, *, usual: str = "10,000") -> None:
    """Raises InputError where so many draws say nothing, or no generator starts from the seed."""
    need_count("n_resamples", n_resamples, 100, usual=usual)
    need_count("seed", seed, 0)


def need_name(name: str, value: Any) -> None:
    """Raises InputError where the value is no name of a column."""
    if not isinstance(value, str):
        raise InputError(f"{name} is {value!r:.80}; it takes the name of a column")


def is_number(value: Any) -> bool:
    """A real, finite number; yes and no are none."""
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)
