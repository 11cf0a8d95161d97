from __future__ import annotations

import math
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.trace.chunks import PAYLOAD, Chunk, ChunkKind, ChunkLog, ChunkRecorder
from agentlab.trace.instants import Instants

EMPTY, ROLE, THINK, SAY, NAME, ARGS, USAGE, PING, DONE = 0, *ChunkKind
MS = 1_000_000


def log(*events: tuple[float, int], headers_ms: float | None = 5, close_ms: float | None = None) -> ChunkLog:
    """A log from (milliseconds after the request, kind)."""
    recorder = ChunkRecorder()
    for at_ms, kind in events:
        recorder.add(Chunk(round(at_ms * MS), kind))
    return recorder.pack(0, *(None if ms is None else round(ms * MS) for ms in (headers_ms, close_ms)))


def measures(chunks: ChunkLog) -> dict[str, float | None]:
    """All the measures of a log [ms]."""
    instants = Instants.of(chunks)
    seconds = {
        name: getattr(instants, name + "_s") for name in ("ttfb", "ttft", "ttfot", "ttfa", "e2e", "close_overhead")
    }
    return {name: None if s is None else round(s * 1000, 6) for name, s in seconds.items()}


def test_a_plain_answer() -> None:
    chunks = log((10, ROLE), (12, SAY), (14, SAY), (18, SAY), (18.5, DONE), (19, USAGE), close_ms=20)

    assert measures(chunks) == {"ttfb": 5, "ttft": 12, "ttfot": 12, "ttfa": 12, "e2e": 18, "close_overhead": 2}
    assert Instants.of(chunks).event_1_ns == 10 * MS
    assert Instants.of(chunks).itl_mean_s(3, 0) == pytest.approx(0.003)


def test_reasoning_before_the_answer() -> None:
    chunks = log((10, ROLE), (12, THINK), (20, THINK), (30, SAY), (34, SAY), close_ms=34)

    assert measures(chunks) == {"ttfb": 5, "ttft": 12, "ttfot": 30, "ttfa": 30, "e2e": 34, "close_overhead": 0}


def test_a_tool_call_first_is_the_first_token_and_no_answer() -> None:
    chunks = log((10, ROLE), (15, NAME), (16, ARGS), (17, ARGS), (18, DONE), close_ms=20)

    assert measures(chunks) == {"ttfb": 5, "ttft": 15, "ttfot": 15, "ttfa": None, "e2e": 17, "close_overhead": 3}


def test_arguments_without_a_name_before_them_are_a_tool_call_too() -> None:
    assert Instants.of(log((15, ARGS))).tool_1_ns == 15 * MS


def test_an_answer_and_then_a_tool_call() -> None:
    instants = Instants.of(log((10, SAY), (20, NAME), (21, ARGS)))

    assert (instants.output_1_ns, instants.tool_1_ns, instants.first_token_ns) == (10 * MS, 20 * MS, 10 * MS)


@pytest.mark.parametrize("kind", [EMPTY, ROLE, PING, USAGE, DONE], ids=["empty", "role", "ping", "usage", "done"])
def test_what_carries_no_text_neither_starts_nor_stops_a_clock(kind: int) -> None:
    chunks = log((1, kind), (10, SAY), (11, kind), (12, SAY), (99, kind))

    assert measures(chunks) == measures(log((10, SAY), (12, SAY)))
    assert Instants.of(chunks).event_1_ns == 1 * MS


def test_the_role_may_come_with_the_first_text() -> None:
    assert measures(log((10, ROLE | SAY)))["ttft"] == 10


def test_two_events_in_one_read_have_one_time() -> None:
    chunks = log((10, THINK), (10, SAY), (10, SAY))

    assert measures(chunks) == {"ttfb": 5, "ttft": 10, "ttfot": 10, "ttfa": 10, "e2e": 10, "close_overhead": None}
    assert Instants.of(chunks).itl_mean_s(3, 1) == 0


def test_reasoning_and_text_in_one_event_count_as_both() -> None:
    instants = Instants.of(log((10, THINK | SAY), (20, SAY)))

    assert instants.reasoning_1_ns == instants.output_1_ns == 10 * MS
    assert instants.timed_tokens(9, 4) == 9


def test_one_token_has_no_time_between_tokens() -> None:
    instants = Instants.of(log((10, SAY), (10.5, DONE)))

    assert instants.itl_mean_s(1, 0) is None
    assert instants.e2e_s == instants.ttft_s == 0.01


def test_a_cut_stream_keeps_what_came_and_has_no_end() -> None:
    chunks = log((10, ROLE), (12, SAY), (14, SAY))

    assert measures(chunks) == {"ttfb": 5, "ttft": 12, "ttfot": 12, "ttfa": 12, "e2e": 14, "close_overhead": None}


def test_a_stream_without_text_has_no_first_token() -> None:
    chunks = log((10, ROLE), (11, DONE), (12, USAGE), close_ms=13)

    assert measures(chunks) == {"ttfb": 5} | dict.fromkeys(("ttft", "ttfot", "ttfa", "e2e", "close_overhead"))
    assert Instants.of(chunks).itl_mean_s(5, 0) is None


def test_a_call_that_never_connected_has_nothing() -> None:
    assert astuple(Instants.of(log(headers_ms=None))) == (None,) * 7


def test_reasoning_tokens_count_exactly_when_the_clock_saw_one_first() -> None:
    shown = Instants.of(log((10, THINK), (20, SAY), (30, SAY)))
    hidden = Instants.of(log((20, SAY), (30, SAY)))

    assert shown.itl_mean_s(output_tokens=11, reasoning_tokens=6) == pytest.approx(0.002)
    assert hidden.itl_mean_s(output_tokens=11, reasoning_tokens=6) == pytest.approx(0.0025)


def test_unknown_tokens_leave_the_time_between_them_unknown() -> None:
    assert Instants.of(log((10, SAY), (20, SAY))).itl_mean_s(None, None) is None


KINDS = st.integers(0, 255)


@given(st.lists(st.tuples(st.integers(0, 10_000), KINDS)))
def test_measures_are_ordered_and_missing_only_without_text(events: list[tuple[int, int]]) -> None:
    instants = Instants.of(log(*sorted(events)))

    if not any(kind & PAYLOAD for _, kind in events):
        assert instants.ttft_s is instants.e2e_s is None
        return
    assert instants.ttft_s is not None
    assert instants.e2e_s is not None
    assert 0 <= instants.ttft_s <= instants.e2e_s
    assert instants.ttft_s <= (math.inf if instants.ttfot_s is None else instants.ttfot_s)
    assert (instants.ttfot_s or 0) <= (math.inf if instants.ttfa_s is None else instants.ttfa_s)
