from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.analysis.latency import CallInstants, ChunkLogs, Floats
from agentlab.trace.chunks import Chunk, ChunkKind, ChunkLog, ChunkRecorder
from agentlab.trace.instants import Instants

K = ChunkKind
INSTANTS = ("headers_ns", "event_1_ns", "reasoning_1_ns", "output_1_ns", "tool_1_ns", "last_ns", "close_ns")
MEASURES = ("ttfb_s", "ttft_s", "ttfot_s", "ttfa_s", "e2e_s", "close_overhead_s")
REQUEST_NS = 7_000_000_000_000


def log(*events: tuple[int, int], headers: int | None = 5, close: int | None = 100) -> ChunkLog:
    """A log of (offset [ns], kind)."""
    recorder = ChunkRecorder()
    for offset, kind in events:
        recorder.add(Chunk(t_ns=REQUEST_NS + offset, kind=kind, size_bytes=9))
    times = [None if each is None else REQUEST_NS + each for each in (headers, close)]
    return recorder.pack(REQUEST_NS, *times)


def joined(logs: Sequence[ChunkLog]) -> CallInstants:
    nan = float("nan")
    return CallInstants.of(
        ChunkLogs.join([(each.offsets, each.kinds, each.sizes) for each in logs]),
        headers_ns=np.array([nan if each.headers_ns is None else each.headers_ns for each in logs], np.float64),
        close_ns=np.array([nan if each.close_ns is None else each.close_ns for each in logs], np.float64),
    )


def as_list(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]


LOGS = {
    "role only, then content": log((1, K.ROLE), (7, K.CONTENT), (9, K.CONTENT)),
    "reasoning, then content": log((3, K.REASONING), (6, K.REASONING), (8, K.CONTENT)),
    "a tool call first": log((4, K.TOOL_NAME | K.TOOL_ARGS), (5, K.TOOL_ARGS), (6, K.DONE)),
    "empty deltas": log((1, 0), (2, 0), (3, K.CONTENT), (4, 0)),
    "usage at the end": log((1, K.CONTENT), (2, K.DONE), (9, K.USAGE)),
    "two events in one read": log((5, K.CONTENT), (5, K.CONTENT)),
    "everything in one event": log((5, K.ROLE | K.REASONING | K.CONTENT | K.TOOL_NAME | K.DONE | K.USAGE)),
    "cut before the first token": log((1, K.ROLE), close=None),
    "one token": log((4, K.CONTENT)),
    "pings only": log((1, K.PING), (2, K.PING)),
    "nothing at all": log(headers=None, close=None),
}

events = st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 255)), max_size=12)
call_logs = st.builds(
    lambda rows, headers, close: log(*rows, headers=headers, close=close),
    events,
    st.none() | st.integers(0, 10**12),
    st.none() | st.integers(0, 10**12),
)
counts = st.none() | st.integers(0, 50)


@pytest.mark.parametrize("name", INSTANTS)
@given(logs=st.lists(call_logs, max_size=5))
def test_instants_of_many_calls_are_those_of_each(name: str, logs: list[ChunkLog]) -> None:
    assert as_list(getattr(joined(logs), name)) == [getattr(Instants.of(each), name) for each in logs]


@pytest.mark.parametrize("name", MEASURES)
@given(logs=st.lists(call_logs, max_size=5))
def test_measures_of_many_calls_are_those_of_each(name: str, logs: list[ChunkLog]) -> None:
    assert as_list(getattr(joined(logs), name)) == [getattr(Instants.of(each), name) for each in logs]


@given(calls=st.lists(st.tuples(call_logs, counts, counts), max_size=5))
def test_gaps_between_tokens_are_those_of_each_call(calls: list[tuple[ChunkLog, int | None, int | None]]) -> None:
    logs = [each for each, _, _ in calls]
    tokens = [np.array([column[n] for column in calls], np.float64) for n in (1, 2)]

    measured = joined(logs).itl_mean_s(*tokens)

    assert as_list(measured) == [Instants.of(each).itl_mean_s(out, thought) for each, out, thought in calls]


@pytest.mark.parametrize("each", LOGS.values(), ids=LOGS)
def test_every_kind_of_log_is_read_as_one_call_is(each: ChunkLog) -> None:
    one, many = Instants.of(each), joined([each, LOGS["one token"]])

    for name in MEASURES:
        assert as_list(getattr(many, name))[0] == getattr(one, name)


def test_known_answers() -> None:
    instants = joined([LOGS["reasoning, then content"]])
    tokens = np.array([5.0]), np.array([3.0])

    assert instants.ttft_s.tolist() == [3e-9]
    assert instants.ttfot_s.tolist() == instants.ttfa_s.tolist() == [8e-9]
    assert instants.e2e_s.tolist() == [8e-9]
    assert instants.close_overhead_s.tolist() == [92e-9]
    assert instants.itl_mean_s(*tokens).tolist() == [5e-9 / 4]
    assert instants.tokens_per_s_decode(*tokens).tolist() == [1 / (5e-9 / 4)]
    assert instants.tokens_per_s_e2e(*tokens).tolist() == [5 / 8e-9]


def test_reasoning_counts_only_when_the_clock_saw_it() -> None:
    instants = joined([LOGS["role only, then content"]])

    assert instants.timed_tokens(np.array([5.0]), np.array([3.0])).tolist() == [2.0]
    assert instants.timed_tokens(np.array([5.0]), np.array([np.nan])).tolist() == [5.0]


@pytest.mark.parametrize("n", [0.0, 1.0, np.nan])
def test_fewer_than_two_tokens_have_no_gap(n: float) -> None:
    instants = joined([LOGS["role only, then content"]])

    assert as_list(instants.itl_mean_s(np.array([n]), np.array([0.0]))) == [None]


def test_a_rate_over_no_time_is_not_known() -> None:
    instants = joined([LOGS["two events in one read"]])
    tokens = np.array([2.0]), np.array([0.0])

    assert instants.itl_mean_s(*tokens).tolist() == [0.0]
    assert as_list(instants.tokens_per_s_decode(*tokens)) == [None]


def test_no_calls_give_no_numbers() -> None:
    assert joined([]).ttft_s.tolist() == []


def test_a_call_without_a_log_shifts_no_neighbour() -> None:
    instants = joined([LOGS["one token"], LOGS["nothing at all"], LOGS["two events in one read"]])

    assert as_list(instants.ttft_s) == [4e-9, None, 5e-9]
