"""What a benchmark reports, and how the steadiest of several timings is taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number against its target."""

    name: str
    value: float
    unit: str
    """`x` for a ratio."""
    target: float | None
    """None: for information."""
    higher_is_better: bool
    detail: str = ""
    """What the number was made of."""

    @property
    def met(self) -> bool:
        """True when the target is reached, or there is none."""
        if self.target is None:
            return True
        return self.value >= self.target if self.higher_is_better else self.value <= self.target


def cpu_seconds(work: Callable[[], object], *, repeats: int = 7) -> float:
    """Processor time of one call [s]: the least of several, which is the one least disturbed."""
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best
