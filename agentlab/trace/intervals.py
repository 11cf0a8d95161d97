"""Sums of intervals in which overlapping time counts once."""

from __future__ import annotations

from collections.abc import Iterable


def union(intervals_ns: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The intervals in order, overlapping and touching ones joined [ns]."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(intervals_ns):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def total_s(intervals_ns: Iterable[tuple[int, int]]) -> float:
    """The time that the intervals cover together [s]: parallel ones count once."""
    return sum(end - start for start, end in union(intervals_ns)) / 1e9
