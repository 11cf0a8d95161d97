"""Where the time of a run went, against metrics.md: unions of parallel tools, and people before all else."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from agentlab.analysis.frames import runs_df
from agentlab.trace.events import ToolReturned, ToolStarted
from agentlab.trace.trace import Trace
from tests.factories import Story, reply, tool

PARTS = ("model_s", "tool_s", "human_s", "idle_s")


def parts(trace: Trace) -> dict[str, Any]:
    row = runs_df(trace).iloc[0]
    assert sum(row[name] for name in PARTS) == pytest.approx(row["wall_s"], abs=1e-12)
    return {name: round(row[name], 9) for name in PARTS}


def test_a_person_who_is_asked_after_a_model_is_waited_for_from_then_on() -> None:
    story = Story().step(reply(ttft_s=0.5, gap_s=0.0, calls=["delete"]), finished=False)
    story.ask("call-1", "delete")
    story.step(reply(purpose="approval", ttft_s=4.0, gap_s=0.0), finished=False)
    story.decide("call-1", "delete", "escalate", approver="judge", approver_kind="model")
    story.wait(10.0).decide("call-1", "delete")

    assert parts(story.end()) == {"model_s": 4.502, "tool_s": 0.0, "human_s": 10.0, "idle_s": 0.001}


def test_a_person_who_did_not_answer_in_time_was_waited_for_too() -> None:
    story = Story().step(finished=False)
    story.ask("call-1", "delete")
    story.wait(5.0).decide("call-1", "delete", "escalate", approver="bob")
    story.wait(2.0).decide("call-1", "delete", "deny", approver="ada")

    assert parts(story.end())["human_s"] == 7.0


def test_a_question_that_is_put_again_waits_from_then_on() -> None:
    story = Story().step(finished=False)
    story.ask("call-1", "delete")
    story.wait(3.0).decide("call-1", "delete", "escalate", approver="judge", approver_kind="model")
    story.wait(1.0).ask("call-1", "delete")
    story.wait(2.0).decide("call-1", "delete")

    assert parts(story.end())["human_s"] == 2.0


def test_calls_of_two_runs_with_one_id_do_not_meet() -> None:
    traces = []
    for run_id, seconds in (("run-a", 3.0), ("run-b", 1.0)):
        story = Story(run_id).step(finished=False)
        story.ask("call-1", "delete")
        story.wait(seconds).decide("call-1", "delete")
        traces.append(story.end())

    assert runs_df(traces)["human_s"].tolist() == [3.0, 1.0]


def test_what_runs_while_a_person_thinks_is_the_persons_time() -> None:
    story = Story().step(finished=False)
    story.emit(ToolStarted, call_id="call-1", tool="search", arguments="{}")
    story.wait(1.0).ask("call-2", "delete")
    story.wait(2.0).decide("call-2", "delete")
    story.wait(1.0).emit(ToolReturned, call_id="call-1", tool="search", status="success", text="two cats")

    assert parts(story.end()) == {"model_s": 0.0, "tool_s": 2.0, "human_s": 2.0, "idle_s": 0.001}


def test_parallel_tools_count_once() -> None:
    story = Story().step(reply(calls=["a", "b"], ttft_s=0.0, gap_s=0.0), tool("a", 1.0), tool("b", 0.5, delay_s=0.25))

    assert parts(story.end()) == {"model_s": 0.001, "tool_s": 1.0, "human_s": 0.0, "idle_s": 0.001}


@pytest.mark.parametrize("live", [True, False], ids=["live", "cut"])
def test_how_long_an_open_question_waits_is_not_known(live: bool) -> None:
    story = Story().step(reply(ttft_s=0.5, gap_s=0.0), finished=False)
    story.emit(ToolStarted, call_id="call-2", tool="search", arguments="{}")
    story.wait(1.0).ask("call-1", "delete")
    story.wait(60.0).emit(ToolReturned, call_id="call-2", tool="search", status="success", text="two cats")

    (row,) = runs_df(story.trace(live=live))[[*PARTS, "wall_s"]].to_dict("records")

    assert pd.isna(row["human_s"])
    assert pd.isna(row["idle_s"])
    assert (row["model_s"], row["tool_s"]) == (pytest.approx(0.501), pytest.approx(1.0))


def test_a_question_ends_with_its_run() -> None:
    story = Story().step(finished=False)
    story.ask("call-1", "delete")
    story.wait(60.0)

    assert parts(story.end("cancelled")) == {"model_s": 0.0, "tool_s": 0.0, "human_s": 60.0, "idle_s": 0.001}


def test_a_question_ends_when_its_call_comes_back() -> None:
    story = Story().step(finished=False)
    story.ask("call-1", "delete")
    story.wait(5.0).emit(ToolReturned, call_id="call-1", tool="delete", status="error", text="cancelled")
    story.wait(2.0)

    assert parts(story.end("cancelled"))["human_s"] == 5.0


def test_a_call_that_was_handed_on_still_waits() -> None:
    story = Story().step(finished=False)
    story.ask("call-1", "delete")
    story.wait(3.0).decide("call-1", "delete", "escalate", approver="judge", approver_kind="model")
    story.wait(2.0)

    assert pd.isna(runs_df(story.trace())["human_s"].iloc[0])
    assert parts(story.end("cancelled"))["human_s"] == 2.0
