from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from agentlab.analysis.grouping import Groups, under_runs, under_steps

NAN = float("nan")


def groups(*of_row: int, n: int = 3) -> Groups:
    return Groups(np.array(of_row, np.int64), n)


def test_rows_without_a_group_count_nowhere() -> None:
    rows = groups(0, -1, 2, 2)

    assert rows.count().tolist() == [1, 0, 2]
    assert rows.count(np.array([True, True, False, True])).tolist() == [1, 0, 1]
    assert rows.parent.to_pylist() == [0, None, 2, 2]


def test_a_sum_keeps_what_is_not_known() -> None:
    rows = groups(0, 0, 2, 2, -1)
    values = np.array([1.0, 2.0, 3.0, NAN, 9.0])

    np.testing.assert_equal(rows.sum(values, of_nothing=0.0), [3.0, 0.0, NAN])
    np.testing.assert_equal(rows.sum(values, of_nothing=NAN), [3.0, NAN, NAN])


def test_first_and_last_rows() -> None:
    rows = groups(0, 0, 2, 2, 2, -1)

    assert rows.last().to_pylist() == [1, None, 4]
    assert rows.first(np.array([False, True, False, True, True, True])).to_pylist() == [1, None, 3]


def test_overlapping_intervals_count_once() -> None:
    starts, ends = np.array([0.0, 1.0, 5.0, 0.0]), np.array([3.0, 4.0, 6.0, 1.0])

    assert groups(0, 0, 0, 1).covered(starts, ends).tolist() == [5.0, 1.0, 0.0]


def test_an_interval_without_an_end_covers_nothing() -> None:
    starts, ends = np.array([0.0, 1.0, 2.0]), np.array([3.0, NAN, 4.0])

    assert groups(0, 0, 1).covered(starts, ends).tolist() == [3.0, 2.0, 0.0]


spans = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 9)), max_size=12)


@given(spans)
def test_covered_time_is_the_union_of_the_intervals(drawn: list[tuple[int, int, int]]) -> None:
    starts = np.array([start for _, start, _ in drawn], np.float64)
    ends = np.array([start + length for _, start, length in drawn], np.float64)

    covered = groups(*(group for group, _, _ in drawn)).covered(starts, ends)

    seconds = [
        {t for g, start, length in drawn if g == group for t in range(start, start + length)} for group in range(3)
    ]
    assert covered.tolist() == [len(each) for each in seconds]


def test_rows_find_their_runs_and_steps() -> None:
    runs = pa.table({"run_id": ["b", "a"]})
    steps = pa.table({"run_id": ["b", "b", "a"], "step": [1, 2, 1]})
    calls = pa.table({"run_id": ["a", "b", "b", "c", "a"], "step": [1, 2, 2, 1, 7]})

    assert under_runs(calls, runs).of_row.tolist() == [1, 0, 0, -1, 1]
    assert under_steps(calls, steps, runs).of_row.tolist() == [2, 1, 1, -1, -1]
    assert under_steps(calls, steps.slice(0, 0), runs).of_row.tolist() == [-1] * 5
