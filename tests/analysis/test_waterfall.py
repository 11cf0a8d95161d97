from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given

from agentlab.analysis.frames import runs_df, steps_df
from agentlab.analysis.waterfall import Bar, Waterfall
from agentlab.trace.trace import Trace
from tests.factories import Story, reply, tool, traces


def spans(trace: Trace, since: str = "run") -> list[tuple[str, int, float, float]]:
    return [(b.kind, b.step, round(b.start_s, 6), round(b.end_s, 6)) for b in Waterfall(trace, since).bars]  # type: ignore[arg-type]


def story() -> Trace:
    told = Story().wait(0.1)
    told.step(reply(calls=["search"], ttft_s=0.5, gap_s=0.1, n_chunks=3), tool("search", 0.4, asked_s=2.0), idle_s=0.2)
    return told.step(reply("Two.", ttft_s=0.3, gap_s=0.0)).end()


def test_bars_stand_where_the_time_went() -> None:
    assert spans(story()) == [
        ("idle", 1, 0.101, 3.402),
        ("waiting for the first token", 1, 0.101, 0.601),
        ("model streaming", 1, 0.601, 0.802),
        ("waiting for a person", 1, 0.802, 2.802),
        ("tool", 1, 2.802, 3.202),
        ("idle", 2, 3.402, 3.703),
        ("waiting for the first token", 2, 3.402, 3.702),
        ("model streaming", 2, 3.702, 3.703),
    ]


def test_rows_may_start_with_their_step() -> None:
    assert [(kind, start) for kind, step, start, _ in spans(story(), "step") if step == 2] == [
        ("idle", 0.0),
        ("waiting for the first token", 0.0),
        ("model streaming", 0.3),
    ]


def test_first_tokens_are_marked() -> None:
    marks = [(mark.step, round(mark.t_s, 6)) for mark in Waterfall(story()).first_tokens]

    assert marks == [(1, 0.601), (2, 3.702)]


def test_a_reply_without_a_token_is_all_waiting() -> None:
    trace = Story().step(reply(n_chunks=0, ttft_s=0.5, complete=False)).end()

    assert [kind for kind, *_ in spans(trace)] == ["idle", "waiting for the first token"]
    assert Waterfall(trace).first_tokens == []


def test_what_has_not_ended_reaches_to_the_last_event() -> None:
    told = Story().step(reply(calls=["search"], ttft_s=0.5, n_chunks=1), tool("search", returns=False), finished=False)
    told.wait(1.0).say("user", "Hello?", source="input")

    kind, _, start_s, end_s = spans(told.trace())[-1]

    assert (kind, start_s, end_s) == ("tool", 0.502, 1.502)


def test_tools_that_never_ran_have_no_bar_and_failed_ones_their_own() -> None:
    used = [tool("delete", None), tool("fail", 0.2, ok=False)]
    trace = Story().step(reply(calls=["delete", "fail"]), *used).end()

    assert [kind for kind, *_ in spans(trace) if kind.startswith("tool")] == ["tool failed"]
    assert sorted(Waterfall(trace).tools_of(1)) == ["delete", "fail"]


def test_tools_side_by_side_share_a_row() -> None:
    used = [tool("a", 0.4), tool("b", 0.4, delay_s=0.1), tool("c", 0.2, delay_s=0.4)]
    trace = Story().step(reply(calls=["a", "b", "c"]), *used).end()

    bars = [bar for bar in Waterfall(trace).bars if bar.kind == "tool"]

    assert [(bar.lane, bar.lanes) for bar in bars] == [(0, 2), (1, 2), (0, 2)]


@given(traces())
def test_no_two_tools_in_one_lane_overlap(trace: Trace) -> None:
    picture = Waterfall(trace)
    tools: list[Bar] = [bar for bar in picture.bars if bar.kind.startswith("tool")]

    assert all(bar.start_s <= bar.end_s for bar in picture.bars)
    for one, other in combinations(tools, 2):
        if (one.step, one.lane) == (other.step, other.lane):
            assert one.end_s <= other.start_s or other.end_s <= one.start_s


def test_first_tokens_stand_where_the_frame_says() -> None:
    steps = steps_df(story())

    marks = [mark.t_s for mark in Waterfall(story()).first_tokens]

    assert marks == pytest.approx((steps["start_s"] + steps["ttft_s"]).tolist())


def test_a_person_is_waited_for_once_the_call_was_handed_on() -> None:
    """A model was asked first, and took its time."""
    told = Story().step(reply(calls=["pay"]), finished=False)
    told.ask("call-1", "pay")
    told.wait(0.4).decide("call-1", "pay", "escalate", approver="judge", approver_kind="model")
    told.wait(1.5).decide("call-1", "pay")
    trace = told.end()

    (bar,) = [bar for bar in Waterfall(trace).bars if bar.kind == "waiting for a person"]
    assert bar.end_s - bar.start_s == pytest.approx(1.5)
    assert float(runs_df(trace)["human_s"].iloc[0]) == pytest.approx(1.5)


def test_a_question_without_an_answer_has_a_bar() -> None:
    told = Story().step(reply(calls=["pay"], ttft_s=0.5, n_chunks=1), finished=False)
    told.ask("call-1", "pay")
    told.wait(0.4).decide("call-1", "pay", "escalate", approver="judge", approver_kind="model")
    told.wait(60.0)

    def waits(trace: Trace) -> list[tuple[str, float]]:
        bars = [(kind, round(end_s - start_s, 6)) for kind, _, start_s, end_s in spans(trace)]
        return [bar for bar in bars if "a person" in bar[0] or "a decision" in bar[0]]

    told.say("user", "Hello?", source="input")
    assert waits(told.trace(live=True)) == [("waiting for a decision", 60.0)]
    assert waits(told.end("cancelled")) == [("waiting for a decision", 60.0)]
