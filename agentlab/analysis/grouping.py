"""Rows of one table gathered under the rows of another: calls under steps, steps under runs.

Sums keep what is not known: one NaN makes the sum NaN, while a group without rows has measured nothing (0) or knows
nothing (NaN), as its caller says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from agentlab.analysis.latency import Floats, Ints

_STEPS_PER_RUN = 2**32


@dataclass(frozen=True)
class Groups:
    """Which group each row belongs to; -1: none."""

    of_row: Ints
    n_groups: int

    @property
    def parent(self) -> pa.Array:
        """The group of each row; null for none."""
        return pa.array(self.of_row, mask=self.of_row < 0)

    def only(self, where: npt.NDArray[np.bool_]) -> Groups:
        """The groups of the rows where the condition holds; the others belong to none."""
        return Groups(np.where(where, self.of_row, -1), self.n_groups)

    def count(self, where: npt.NDArray[np.bool_] | None = None) -> Ints:
        """Rows in each group, or those where the condition holds."""
        kept = self if where is None else self.only(where)
        return np.bincount(kept.of_row[kept.of_row >= 0], minlength=self.n_groups)

    def sum(self, values: Floats, *, of_nothing: float) -> Floats:
        """Sum in each group; NaN when one value is NaN, `of_nothing` for a group without rows."""
        inside = self.of_row >= 0
        total = np.bincount(self.of_row[inside], values[inside], minlength=self.n_groups)
        return np.where(self.count() == 0, of_nothing, total)

    def last(self) -> pa.Array:
        """Number of the last row in each group; null for a group without rows."""
        return self._pick(np.arange(len(self.of_row)))

    def first(self, where: npt.NDArray[np.bool_]) -> pa.Array:
        """Number of the first row in each group where the condition holds."""
        return self._pick(np.flatnonzero(where)[::-1])

    def covered(self, starts: Floats, ends: Floats) -> Floats:
        """Time that is covered by the intervals of each group, overlaps counted once; those without an end not."""
        total = np.zeros(self.n_groups)
        reached = np.full(self.n_groups, -np.inf)
        rows = np.flatnonzero((self.of_row >= 0) & ~np.isnan(starts) & ~np.isnan(ends))
        for row in rows[np.argsort(starts[rows], kind="stable")].tolist():
            group, start, end = self.of_row[row], starts[row], ends[row]
            total[group] += max(0.0, end - max(start, reached[group]))
            reached[group] = max(reached[group], end)
        return total

    def _pick(self, rows: npt.NDArray[np.intp]) -> pa.Array:
        picked = np.full(self.n_groups, -1)
        inside = rows[self.of_row[rows] >= 0]
        picked[self.of_row[inside]] = inside  # of several writes to one place the last one stays
        return pa.array(picked, mask=picked < 0)


def under_runs(rows: pa.Table, runs: pa.Table) -> Groups:
    """Rows of any table under their runs."""
    return Groups(_positions(rows["run_id"], runs["run_id"]), len(runs))


def under_steps(rows: pa.Table, steps: pa.Table, runs: pa.Table) -> Groups:
    """Rows of any table under their steps."""
    wanted, keys = _step_keys(rows, runs), _step_keys(steps, runs)
    if not len(keys):
        return Groups(np.full(len(wanted), -1), 0)
    order = np.argsort(keys, kind="stable")
    found = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    return Groups(np.where(keys[found] == wanted, found, -1), len(keys))


def floats(column: Any) -> Floats:
    """A column of numbers; NaN where it is null."""
    numbers: Floats = pc.cast(_whole(column), pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


def rows_where(column: Any, word: str) -> npt.NDArray[np.bool_]:
    """Which rows have this word; those without any have not."""
    found: npt.NDArray[np.bool_] = pc.equal(_whole(column), word).fill_null(False).to_numpy(zero_copy_only=False)
    return found


def take(values: Floats, rows: pa.Array) -> Floats:
    """The values at these rows; NaN where the row is null."""
    return floats(pa.array(values).take(rows))


def _whole(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _positions(ids: Any, among: Any) -> Ints:
    positions: Ints = pc.index_in(_whole(ids), value_set=_whole(among)).fill_null(-1).to_numpy().astype(np.int64)
    return positions


def _step_keys(rows: pa.Table, runs: pa.Table) -> Ints:
    steps: Ints = rows["step"].to_numpy()
    return _positions(rows["run_id"], runs["run_id"]) * _STEPS_PER_RUN + steps
