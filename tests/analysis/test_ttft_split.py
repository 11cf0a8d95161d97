from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab import Agent
from agentlab.analysis import columns
from agentlab.analysis.frames import steps_df
from agentlab.analysis.gaps import gaps_df
from agentlab.analysis.latency_columns import PARTS
from agentlab.analysis.latency_frames import latency_df
from agentlab.analysis.ttft_split import ttft_split
from agentlab.errors import InputError
from agentlab.models.openai import OpenAIModel
from tests.factories import Story, reply, tool, trace_of
from tests.models.sse_server import SSEServer, delta, finish, stream, usage

MS = 1_000_000
NEW = {"connect_started": 1, "connect_finished": 4, "tls_finished": 9, "request_sent": 12}
"""A new connection with TLS [ms]."""
HANDED = {"first_token_handed_over": 53, "slowest_arrived": 70, "slowest_handed_over": 95}


def split(marks_ms: dict[str, int], **plan: Any) -> list[tuple[str, bool, int | None, int]]:
    """The parts of a call with headers and a role at 25 ms and its first token at 50 ms [ms]."""
    marks_ns = {name: ms * MS for name, ms in marks_ms.items()}
    frame = ttft_split(Story().step(reply(ttft_s=0.05, marks_ns=marks_ns, **plan)).end())
    rows = frame[["part", "in_ttft", "start_ns", "duration_ns"]].astype(object).itertuples(index=False)
    return [(part, bool(in_ttft), None if pd.isna(at) else at // MS, ns // MS) for part, in_ttft, at, ns in rows]


SPLITS = {
    "a new connection with TLS": (
        NEW,
        [("client_s", 0, 1), ("connect_s", 1, 8), ("send_s", 9, 3), ("server_wait_s", 12, 13)],
    ),
    "a connection that was there": (
        {"request_sent": 2},
        [("client_s", 0, 0), ("connect_s", 0, 0), ("send_s", 0, 2), ("server_wait_s", 2, 23)],
    ),
    "a transport that tells nothing": ({}, [("client_s + connect_s + send_s + server_wait_s", 0, 25)]),
    "a transport that does not tell when the request was sent": (
        {"connect_started": 1, "connect_finished": 4},
        [("client_s", 0, 1), ("connect_s", 1, 3), ("send_s + server_wait_s", 4, 21)],
    ),
}


@pytest.mark.parametrize("name", SPLITS)
def test_a_wait_falls_into_the_parts_that_the_transport_shows(name: str) -> None:
    marks, parts = SPLITS[name]
    always = [("first_event_s", 25, 0), ("first_token_s", 25, 25)]

    assert split(marks) == [(part, True, start, length) for part, start, length in [*parts, *always]]


def test_what_comes_after_and_what_the_server_says_are_no_parts_of_the_sum() -> None:
    beside = split({**NEW, **HANDED})[len(PARTS) :]

    assert beside == [("consumer_lag_s", False, 50, 3)]


def test_the_columns_of_steps_are_the_parts() -> None:
    marks_ns = {name: ms * MS for name, ms in {**NEW, **HANDED}.items()}
    trace = Story().step(reply(ttft_s=0.05, marks_ns=marks_ns)).end()

    row, parts = steps_df(trace).iloc[0], ttft_split(trace).set_index("part")["duration_s"]

    assert {name: row[name] for name in (*PARTS, "consumer_lag_s")} == parts.to_dict()
    assert row["consumer_lag_max_s"] == 0.025
    assert latency_df(trace).iloc[0][list(PARTS)].tolist() == row[list(PARTS)].tolist()


def test_a_connection_that_was_there_has_no_wait_for_a_new_one() -> None:
    row = steps_df(Story().step(reply(marks_ns={"request_sent": 2 * MS})).end()).iloc[0]

    assert pd.isna(row["client_s"])
    assert (row["connect_s"], row["send_s"]) == (0.0, 0.002)


def test_lag_that_was_not_recorded_is_not_known() -> None:
    row = steps_df(Story().step(reply(marks_ns={"request_sent": MS})).end()).iloc[0]

    assert row[["consumer_lag_s", "consumer_lag_max_s"]].isna().all()
    assert row[["first_event_s", "first_token_s"]].tolist() == [0.0, 0.25]


instants = st.integers(0, 10**12)


@given(marks=st.dictionaries(st.sampled_from(list(NEW)), instants), ttft_ns=st.integers(0, 10**13))
def test_the_parts_add_up_to_the_nanosecond(marks: dict[str, int], ttft_ns: int) -> None:
    trace = Story().step(reply(ttft_s=ttft_ns / 1e9, marks_ns=marks)).end()

    frame = ttft_split(trace)
    parts = frame[frame["in_ttft"]]

    assert parts["duration_ns"].sum() / 1e9 == latency_df(trace)["ttft_s"].item()
    ends = (parts["start_ns"] + parts["duration_ns"]).tolist()
    assert parts["start_ns"].tolist() == [0, *ends[:-1]]


def test_the_slowest_call_is_taken_or_the_one_that_is_asked_for() -> None:
    story = Story().step(reply(ttft_s=0.2), reply(ttft_s=0.9, calls=["a"]), tool("a"))
    traces = [story.step(reply(ttft_s=0.4)).end(), trace_of(1, "run-2")]

    def picked(**which: Any) -> tuple[Any, ...]:
        row = ttft_split(traces, **which).iloc[0]
        return row["run_id"], row["step"], row["call"]

    assert picked() == ("run-1", 1, 2)
    assert picked(step=2) == ("run-1", 2, 1)
    assert picked(run_id="run-1", step=1, call=1) == ("run-1", 1, 1)
    assert picked(run_id="run-2") == ("run-2", 1, 1)


@pytest.mark.parametrize(
    ("which", "told"),
    [
        ({"step": 7}, "no model call of step 7 has a first token"),
        ({"step": 1, "call": 9}, "no model call of step 1, call 9 has"),
        ({"run_id": "run-9"}, "the source has no run run-9; it has run-"),
    ],
)
def test_a_call_that_is_not_there_is_told(which: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        ttft_split(trace_of(1), **which)


def test_a_call_without_a_token_has_no_split() -> None:
    with pytest.raises(InputError, match="no model call has a first token; `latency_df` lists them"):
        ttft_split(Story().step(reply(n_chunks=0)).end())


def test_a_token_that_came_at_once_has_no_shares() -> None:
    frame = ttft_split(Story().step(reply(ttft_s=0.0)).end())

    assert frame["duration_ns"].sum() == 0
    assert frame["share"].isna().all()


async def test_over_a_socket_all_parts_are_known_and_add_up() -> None:
    counts = {**usage(), "usage": {**usage()["usage"], "queue_time": 0.25, "prompt_time": 0.5}}
    async with SSEServer() as server:
        server.play(stream(delta(role="assistant"), delta(content="Two."), finish(), counts))
        run = await Agent(OpenAIModel("m", base_url=server.base_url, api_key="k")).run("How many?")

    frame = ttft_split(run).set_index("part")
    parts, row = frame[frame["in_ttft"]], latency_df(run).iloc[0]

    assert list(parts.index) == list(PARTS)
    assert (parts["duration_ns"] >= 0).all()
    assert parts["duration_ns"].sum() / 1e9 == row["ttft_s"]
    assert parts["share"].sum() == pytest.approx(1)
    assert list(frame.index[len(PARTS) :]) == ["consumer_lag_s", "queue_s", "prefill_s"]
    assert frame["duration_s"][["queue_s", "prefill_s"]].tolist() == [0.25, 0.5]
    assert 0 <= row["consumer_lag_s"] <= row["consumer_lag_max_s"] < 1


@pytest.mark.parametrize("frame", ["latency", "gaps", "ttft_split"])
def test_the_frames_are_as_declared(frame: str) -> None:
    make: Any = {"latency": latency_df, "gaps": gaps_df, "ttft_split": ttft_split}[frame]
    declared = columns.columns_of(frame)

    made = make(trace_of(4))

    assert list(made.columns) == [c.name for c in declared]
    assert list(columns.describe(frame).index) == [c.name for c in declared]
    for column in declared:
        assert f"    {column.name}: {column.meaning}" in make.__doc__
        if not column.is_category:
            assert made[column.name].dtype == column.dtype
    if frame != "ttft_split":
        pd.testing.assert_frame_equal(make([]), columns.empty(frame))
