from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentlab import Agent, ScriptedModel, call, frozen, say, tool
from agentlab.analysis.frames import approvals_df, chunks_df, events_df, messages_df, runs_df, steps_df, tool_calls_df
from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from agentlab.trace.events import ToolReturned, ToolStarted
from agentlab.trace.trace import Trace
from agentlab.trace.usage import NO_USAGE
from tests import factories
from tests.factories import Story, reply, tokens, trace_of, traces
from tests.lab.test_lab import keep

FRAMES = {
    "runs": runs_df,
    "steps": steps_df,
    "messages": messages_df,
    "tool_calls": tool_calls_df,
    "approvals": approvals_df,
    "chunks": chunks_df,
    "events": events_df,
}

NEARLY = pytest.approx(0.25, abs=1e-4)


def only_row(frame: pd.DataFrame) -> dict[str, Any]:
    (row,) = frame.to_dict("records")
    return {str(name): None if value is pd.NA else value for name, value in row.items()}


def rows(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    some = frame[list(columns)].astype(object)
    return [tuple(None if pd.isna(value) else value for value in row) for row in some.itertuples(index=False)]


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(traces(), max_size=3))
@pytest.mark.parametrize("name", FRAMES)
def test_a_trace_and_a_lab_give_the_same_frame(name: str, drawn: list[Trace]) -> None:
    renamed = [rename(trace, f"run-{n}") for n, trace in enumerate(drawn)]
    with Lab() as lab:
        for trace in renamed:
            keep(lab, trace)

        pd.testing.assert_frame_equal(FRAMES[name](lab), FRAMES[name](renamed))


def rename(trace: Trace, run_id: str) -> Trace:
    return Trace(event.model_copy(update={"run_id": run_id}) for event in trace)


@pytest.mark.parametrize("name", FRAMES)
def test_a_run_written_in_another_process_reads_the_same(name: str, tmp_path: Any) -> None:
    with Lab(tmp_path / "lab.db") as lab:
        keep(lab, trace_of(12))

    pd.testing.assert_frame_equal(FRAMES[name](Lab(tmp_path / "lab.db")), FRAMES[name](trace_of(12)))


def test_times_to_tokens_of_a_step() -> None:
    story = Story().step(
        reply(reasoning="Hm.", ttft_s=0.5, gap_s=0.1, n_chunks=4, usage=tokens(100, 4, reasoning_tokens=2))
    )

    row = only_row(steps_df(story.end()))

    assert row["ttfb_s"] == 0.25
    assert row["ttft_s"] == 0.5
    assert row["ttfot_s"] == row["ttfa_s"] == 0.7
    assert row["e2e_s"] == 0.8
    assert row["itl_mean_s"] == pytest.approx(0.1)
    assert row["tokens_per_s_decode"] == pytest.approx(10)
    assert row["tokens_per_s_e2e"] == pytest.approx(5)
    assert row["close_overhead_s"] == pytest.approx(0.001)
    assert row["model_s"] == pytest.approx(0.801)
    assert (row["start_s"], row["duration_s"]) == (0.001, pytest.approx(0.801))


def test_what_could_not_be_measured_is_not_known_and_not_zero() -> None:
    story = Story().step(reply(usage=NO_USAGE, n_chunks=0, complete=False))

    row = only_row(steps_df(story.end()))

    unknown = ("ttft_s", "ttfot_s", "ttfa_s", "e2e_s", "itl_mean_s", "close_overhead_s", "connect_s", "queue_s")
    assert [row[name] for name in (*unknown, "input_tokens", "output_tokens", "total_tokens")] == [None] * 11
    assert (row["usage_source"], row["complete"], row["finish_reason"]) == ("missing", False, None)
    assert (row["tool_s"], row["n_tool_calls"]) == (0.0, 0)


def test_a_reply_that_never_came_leaves_its_times_open() -> None:
    story = Story().step(reply(comes=False), finished=False)

    row = only_row(steps_df(story.trace()))
    run = only_row(runs_df(story.trace()))

    assert [row[name] for name in ("model_s", "ttft_s", "duration_s", "complete", "retries")] == [None] * 5
    assert (row["n_model_calls"], row["n_context_messages"]) == (1, 2)
    assert (run["status"], run["model_s"], run["idle_s"], run["tool_s"]) == ("interrupted", None, None, 0.0)
    assert run["wall_s"] == 0.001


def test_the_last_model_call_of_a_step_gives_its_times_and_all_give_its_tokens() -> None:
    story = Story().step(reply(ttft_s=0.9, usage=tokens(10, 2)), reply(ttft_s=0.3, usage=tokens(20, 3)))

    row = only_row(steps_df(story.end()))

    assert (row["n_model_calls"], row["ttft_s"]) == (2, 0.3)
    assert (row["input_tokens"], row["output_tokens"], row["total_tokens"]) == (30, 5, 35)


def test_one_call_that_reports_no_tokens_makes_the_sum_unknown() -> None:
    story = Story().step(reply(usage=tokens(10, 2))).step(reply(usage=NO_USAGE))
    story.step(reply(usage=tokens(10, None, source="estimated")))

    trace = story.end()

    run = only_row(runs_df(trace))
    assert (run["input_tokens"], run["output_tokens"], run["usage_source"]) == (None, None, "missing")
    assert rows(steps_df(trace), "input_tokens", "output_tokens", "usage_source") == [
        (10, 2, "provider"),
        (None, None, "missing"),
        (10, None, "estimated"),
    ]


def test_where_the_time_of_a_run_went() -> None:
    story = Story().wait(0.2)
    parallel = [factories.tool("a", 0.4), factories.tool("b", 0.3, delay_s=0.3)]
    story.step(reply(calls=["a", "b"], ttft_s=1.0, gap_s=0.0), *parallel, idle_s=0.5)
    story.step(reply("Two.", ttft_s=2.0, gap_s=0.0))

    row = only_row(runs_df(story.end()))

    assert row["model_s"] == pytest.approx(3.002)
    assert row["tool_s"] == pytest.approx(0.6)
    assert row["human_s"] == 0.0
    assert row["idle_s"] == pytest.approx(0.701)
    assert row["wall_s"] == pytest.approx(0.001 + 0.2 + 1.001 + 0.6 + 0.5 + 2.001)
    assert row["model_s"] + row["tool_s"] + row["human_s"] + row["idle_s"] == pytest.approx(row["wall_s"])
    assert steps_df(story.trace())["tool_s"].tolist() == [pytest.approx(0.6), 0.0]


def test_waiting_for_a_person_is_that_and_nothing_else() -> None:
    story = Story()
    asked = [factories.tool("delete", 0.4, asked_s=2.0)]
    story.step(reply(calls=["delete"], ttft_s=1.0, gap_s=0.0), *asked)
    story.ask("call-next", "wipe")
    story.wait(0.5).decide("call-next", "wipe", "deny")

    row = only_row(runs_df(story.end()))

    assert row["human_s"] == pytest.approx(2.5)
    assert row["tool_s"] == pytest.approx(0.4)
    assert row["model_s"] == pytest.approx(1.001)
    assert row["idle_s"] == pytest.approx(0.001)


def test_what_overlaps_counts_once_and_a_person_first() -> None:
    story = Story()
    story.step(finished=False)
    story.emit(ToolStarted, call_id="call-1", tool="search", arguments="{}")
    story.wait(1.0).ask("call-2", "delete")
    story.wait(2.0).emit(ToolReturned, call_id="call-1", tool="search", status="success", text="two")
    story.wait(3.0).decide("call-2", "delete")

    row = only_row(runs_df(story.trace()))

    assert (row["tool_s"], row["human_s"]) == (pytest.approx(1.0), pytest.approx(5.0))
    assert row["wall_s"] == pytest.approx(6.001)


def test_a_model_that_answers_while_a_person_is_waited_for_takes_no_time_of_its_own() -> None:
    story = Story()
    story.step(finished=False)
    story.ask("call-1", "delete")
    story._reply(reply(purpose="approval", ttft_s=1.0, gap_s=0.0))
    story.wait(2.0).decide("call-1", "delete")

    row = only_row(runs_df(story.trace()))

    assert (row["model_s"], row["human_s"]) == (0.0, pytest.approx(3.001))


def test_a_run_without_a_model_call_has_no_tokens() -> None:
    row = only_row(runs_df(Story().end("cancelled")))

    assert (row["usage_source"], row["input_tokens"], row["n_model_calls"]) == ("missing", None, 0)
    assert (row["model_s"], row["tool_s"], row["human_s"], row["n_side_calls"]) == (0.0, 0.0, 0.0, 0)
    assert (row["side_input_tokens"], row["ttft_run_s"]) == (0, None)


@given(traces())
def test_the_parts_of_a_run_make_up_its_wall_time(trace: Trace) -> None:
    row = only_row(runs_df(trace))

    parts = [row["model_s"], row["tool_s"], row["human_s"], row["idle_s"]]
    if None not in parts:
        assert sum(parts) == pytest.approx(row["wall_s"])
        assert min(parts) >= -1e-9


def test_models_that_judge_are_booked_apart() -> None:
    judge = reply(purpose="approval", ttft_s=0.5, gap_s=0.0, usage=tokens(30, 2))
    story = Story().step(judge, reply(ttft_s=1.0, gap_s=0.0, usage=tokens(10, 1)))

    run, step = only_row(runs_df(story.end())), only_row(steps_df(story.trace()))

    assert (run["n_model_calls"], run["n_side_calls"], run["input_tokens"], run["output_tokens"]) == (1, 1, 10, 1)
    assert (run["side_input_tokens"], run["side_output_tokens"]) == (30, 2)
    assert (step["n_model_calls"], step["ttft_s"], step["input_tokens"]) == (1, 1.0, 10)
    assert run["model_s"] == step["model_s"] == pytest.approx(1.502)
    assert run["ttft_run_s"] == pytest.approx(0.501 + 1.0)
    assert rows(chunks_df(story.trace()).drop_duplicates("call"), "call", "purpose") == [(1, "approval"), (2, "step")]


def test_approvals_tell_who_was_asked_and_what_was_said() -> None:
    story = Story()
    story.step(finished=False)
    story.decide("call-0", "search", "approve", approver="read-only", approver_kind="policy")
    story.ask("call-1", "delete")
    story.wait(0.5).decide("call-1", "delete", "edit", arguments='{"n":2}', reason="one is enough")
    story.ask("call-2", "wipe")

    frame = approvals_df(story.trace())

    assert rows(frame, "call_id", "action", "approver", "approver_kind", "latency_s") == [
        ("call-0", "approve", "read-only", "policy", None),
        ("call-1", "edit", "ada", "person", 0.5),
        ("call-2", None, None, None, None),
    ]
    assert rows(frame, "rule", "arguments", "reason") == [
        (None, None, None),
        ("it deletes things", '{"n":2}', "one is enough"),
        ("it deletes things", None, None),
    ]
    assert frame["decided_s"].tolist()[:2] == [0.001, 0.501]
    assert tool_calls_df(story.trace())["status"].tolist() == ["running", "running", "waiting"]


def test_a_paused_run_says_so() -> None:
    story = Story().step(reply()).pause("call-1", "delete")

    assert only_row(runs_df(story.trace()))["status"] == "paused"
    assert only_row(runs_df(story.resume().trace(live=True)))["status"] == "running"


def test_the_first_word_to_the_user_counts_tools_and_waiting() -> None:
    story = Story().wait(0.1)
    story.step(reply(calls=["search"], ttft_s=1.0, gap_s=0.0), factories.tool("search", 0.5))
    story.step(reply("Two.", ttft_s=0.25, gap_s=0.0))

    assert only_row(runs_df(story.end()))["ttft_run_s"] == pytest.approx(0.1 + 1.001 + 0.5 + 0.25)


def test_in_memgpt_the_first_word_is_the_call_that_sends_a_message() -> None:
    story = Story(protocol="memgpt")
    story.step(reply("I should look.", calls=["search"], ttft_s=1.0, gap_s=0.0), factories.tool("search", 0.5))
    story.step(reply(calls=["send_message"], ttft_s=0.5, gap_s=0.0), factories.tool("send_message", 0.0, ok=False))
    story.step(reply(calls=["send_message"], ttft_s=0.25, gap_s=0.0), factories.tool("send_message", 0.0))

    assert only_row(runs_df(story.end()))["ttft_run_s"] == pytest.approx(1.001 + 0.5 + 0.501 + 0.25)


def test_a_run_that_told_the_user_nothing_has_no_first_word() -> None:
    story = Story(protocol="memgpt").step(reply("thinking"))

    assert only_row(runs_df(story.end("max_steps")))["ttft_run_s"] is None


@pytest.mark.parametrize(
    ("marks_ns", "expected"),
    [
        (
            {"connect_started": 1_000, "connect_finished": 51_000, "tls_finished": 81_000, "request_sent": 90_000},
            (8e-5, 9e-6, NEARLY),
        ),
        (
            {"connect_started": 0, "connect_finished": 50_000, "request_sent": 60_000},
            (5e-5, 1e-5, pytest.approx(0.24994)),
        ),
        ({"request_sent": 10_000}, (0.0, 1e-5, NEARLY)),
        ({}, (None, None, None)),
    ],
    ids=["a new connection with TLS", "a new connection", "one that was there", "the transport tells nothing"],
)
def test_what_the_transport_saw(marks_ns: dict[str, int], expected: tuple[Any, ...]) -> None:
    row = only_row(steps_df(Story().step(reply(marks_ns=marks_ns)).end()))

    assert (row["connect_s"], row["send_s"], row["server_wait_s"]) == expected


def test_tool_calls_tell_how_they_went() -> None:
    story = Story()
    used = [factories.tool("search", 0.2), factories.tool("delete", None), factories.tool("fail", 0.1, ok=False)]
    story.step(reply(calls=["search", "delete", "fail"], ttft_s=1.0, gap_s=0.0), *used)
    story.step(reply(calls=["wait"]), factories.tool("wait", 0.1, returns=False), finished=False)

    frame = tool_calls_df(story.trace())

    assert rows(frame, "step", "tool", "status", "duration_s", "error_type") == [
        (1, "search", "success", 0.2, None),
        (1, "fail", "error", 0.1, "ToolError"),
        (1, "delete", "error", None, "ToolError"),
        (2, "wait", "running", None, None),
    ]
    by_tool = frame.set_index("tool")
    assert by_tool.loc["search", "start_s"] == pytest.approx(1.002)
    assert by_tool["arguments"].isna().to_dict() == {"search": False, "delete": True, "fail": False, "wait": False}
    assert by_tool.loc["delete", "requested_arguments"] == '{"n":2}'
    assert rows(steps_df(story.trace()), "n_tool_calls", "n_tool_errors") == [(3, 2), (1, 0)]


def test_messages_stand_in_the_order_in_which_they_joined() -> None:
    story = Story().step(reply("Let me look.", calls=["search"], ttft_s=1.0, gap_s=0.0), factories.tool("search", 0.5))

    frame = messages_df(story.end())

    assert rows(frame, "step", "role", "source", "text", "n_tool_calls", "is_error") == [
        (0, "system", "system", "You count cats.", 0, None),
        (0, "user", "input", "How many cats?", 0, None),
        (1, "assistant", "model", "Let me look.", 1, None),
        (1, "tool", "tool", "two cats", 0, False),
    ]
    assert frame["t_s"].tolist() == pytest.approx([0.001, 0.001, 1.002, 1.502])
    assert frame["call_id"].tolist()[2:] == ["call-run-1-1"] * 2
    assert frame["seq"].is_monotonic_increasing


def test_chunks_tell_what_each_event_carried() -> None:
    story = Story().step(reply(reasoning="Hm.", ttft_s=0.5, gap_s=0.1, n_chunks=2, size_bytes=0))

    frame = chunks_df(story.end())

    kinds = ["role", "reasoning", "content", "tool_name", "tool_args", "usage", "ping", "done", "payload"]
    assert [[kind for kind in kinds if row[kind]] for row in frame.to_dict("records")] == [
        ["role"],
        ["reasoning", "payload"],
        ["content", "payload"],
        ["done"],
        ["usage"],
    ]
    assert frame["offset_s"].tolist() == [0.25, 0.5, 0.6, 0.6, 0.6]
    assert frame["event"].tolist() == [0, 1, 2, 3, 4]
    assert frame["size_bytes"].isna().all()


def test_frames_join_on_run_step_and_call() -> None:
    sources = [trace_of(6, "run-a"), trace_of(9, "run-b")]
    steps, calls, messages = steps_df(sources), tool_calls_df(sources), messages_df(sources)

    assert len(steps.merge(runs_df(sources), on="run_id", validate="m:1")) == len(steps)
    assert len(calls.merge(steps, on=["run_id", "step"], validate="m:1")) == len(calls)
    answers = messages[messages["role"] == "tool"]
    assert len(answers.merge(calls, on=["run_id", "step", "call_id"], validate="1:1")) == len(calls)


def test_only_the_runs_that_are_asked_for() -> None:
    with Lab() as lab:
        for n in (3, 1, 2):
            keep(lab, trace_of(n, f"run-{n}"))

        assert runs_df(lab, runs=["run-2", "run-3"])["run_id"].tolist() == ["run-3", "run-2"]
        assert set(messages_df([lab, trace_of(1, "run-9")], runs=["run-9"])["run_id"]) == {"run-9"}
        with pytest.raises(InputError, match="the source has no run run-none; it has run-3, run-1, run-2"):
            chunks_df(lab, runs=["run-2", "run-none"])
        assert chunks_df(lab, runs=[]).empty
        assert set(runs_df(lab, runs=[lab.runs()[0]])["run_id"]) == {lab.runs()[0].run_id}


def test_a_run_that_is_in_two_sources_counts_once() -> None:
    trace = trace_of(3, "run-1")
    with Lab() as lab:
        keep(lab, trace)
        keep(lab, trace_of(2, "run-2"))

        both = runs_df([trace, trace, lab])

    assert both["run_id"].tolist() == ["run-1", "run-2"]
    assert both["n_steps"].tolist() == [3, 2]


def test_runs_of_several_sources_keep_their_order() -> None:
    sources = [trace_of(n, f"run-{n}") for n in (3, 1, 2)]

    assert steps_df(sources)["run_id"].tolist() == ["run-3"] * 3 + ["run-1"] + ["run-2"] * 2
    assert steps_df(iter(sources))["step"].tolist() == [1, 2, 3, 1, 1, 2]


@pytest.mark.parametrize("wrong", [None, 7, {"a": 1}, b"run-1", [trace_of(1), None]], ids=repr)
def test_something_else_is_no_source(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"frames are made from a run, a trace, a lab, a file or folder, .*, not from"):
        runs_df(wrong)


def test_half_of_a_surrogate_pair_does_not_stop_a_frame() -> None:
    trace = Story(question="What is caf\udce9.txt?").end()

    assert messages_df(trace)["text"].tolist()[1] == r"What is caf\udce9.txt?"


@tool
def count_cats(box: int) -> int:
    """Count the cats in a box.

    Args:
        box: Which box.
    """
    return box * 2


async def test_a_run_gives_its_frames_in_a_cell() -> None:
    with frozen(seed=1):
        agent = Agent(ScriptedModel([call("count_cats", {"box": 1}), say("Two cats.")]), [count_cats])
        run = agent.run("How many cats?")
        await run

    steps = run.steps_df()

    assert rows(steps, "step", "finish_reason", "stop_reason", "usage_source") == [
        (1, "tool_calls", None, "provider"),
        (2, "stop", "end_turn", "provider"),
    ]
    assert rows(run.runs_df(), "run_id", "status", "n_tool_calls") == [(run.id, "finished", 1)]
    assert run.tool_calls_df()["text"].tolist() == ["2"]
    assert run.messages_df()["text"].tolist()[-1] == "Two cats."
    assert run.chunks_df()["run_id"].unique().tolist() == [run.id]


def test_a_run_that_still_runs_says_so() -> None:
    assert only_row(runs_df(Story().trace(live=True)))["status"] == "running"


def test_the_stop_reason_stands_at_the_step_with_which_the_run_ended() -> None:
    story = Story().step(reply(calls=["a"]), factories.tool("a")).step(reply(complete=False), error="ServerError")

    frame = steps_df(story.end("llm_api_error"))

    assert rows(frame, "stop_reason", "error_type", "go_on") == [
        (None, None, True),
        ("llm_api_error", "ServerError", None),
    ]
