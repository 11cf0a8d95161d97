from __future__ import annotations

from hypothesis import given

from agentlab.lab.project import Projection
from agentlab.trace.trace import Trace
from agentlab.trace.usage import COUNTS
from tests.factories import Story, reply, tool, traces


def project(trace: Trace) -> Projection:
    projection = Projection()
    projection.extend(trace)
    return projection


@given(traces())
def test_rows_say_what_the_trace_says(trace: Trace) -> None:
    rows = project(trace)

    assert rows.run.n_events == len(trace)
    assert rows.run.stop_reason == trace.stop_reason
    assert [(m.message_id, m.source, m.step, m.seq, m.t_ns) for m in rows.messages] == [
        (e.message.id, e.source, e.step, e.seq, e.t_ns) for e in trace.entries
    ]
    assert [(s.step, s.step_id, s.started_ns, s.finished_ns) for s in rows.steps.values()] == [
        (s.number, s.step_id, s.started_ns, s.finished_ns) for s in trace.steps
    ]
    assert [(t.call_id, t.tool, t.step, t.status or "running") for t in rows.tool_calls.values()] == [
        (t.call_id, t.tool, t.step, t.status) for t in trace.tool_calls.values()
    ]
    spans = [(t.started_ns, t.returned_ns) for t in rows.tool_calls.values()]
    assert [None if None in span else span for span in spans] == [t.interval_ns for t in trace.tool_calls.values()]


@given(traces())
def test_model_calls_say_what_the_trace_says(trace: Trace) -> None:
    rows = project(trace).model_calls

    assert [r.called_ns for r in rows] == [c.called.t_ns for c in trace.model_calls]
    for row, call in zip(rows, trace.model_calls, strict=True):
        assert (row.replied_seq is None) == (call.replied is None)
        assert [getattr(row, name) for name in COUNTS] == [getattr(call.usage, name) for name in COUNTS]


def test_calls_of_a_step_are_numbered() -> None:
    story = Story().step(reply(complete=False), reply(complete=False), reply(calls=["search"]), tool("search"))

    rows = project(story.step(reply()).end()).model_calls

    assert [(row.step, row.call) for row in rows] == [(1, 1), (1, 2), (1, 3), (2, 1)]
    assert [row.complete for row in rows] == [False, False, True, True]


def test_a_call_that_was_refused_has_what_the_model_asked_for_only() -> None:
    trace = Story().step(reply(calls=["delete"]), tool("delete", None)).end()

    (row,) = project(trace).tool_calls.values()

    assert (row.requested_arguments, row.arguments) == ('{"n":1}', None)
    assert (row.started_ns, row.status, row.error_type) == (None, "error", "ToolError")


def test_a_message_has_its_texts_apart_from_its_reasoning() -> None:
    trace = Story().step(reply("Two cats.", reasoning="I count.", calls=["search"]), tool("search", ok=False)).end()

    _, _, asked, answered = project(trace).messages

    assert (asked.text, asked.reasoning, asked.n_tool_calls, asked.is_error) == ("Two cats.", "I count.", 1, None)
    assert asked.call_id == answered.call_id == "call-run-1-1"
    assert (answered.name, answered.is_error, answered.reasoning, answered.n_tool_calls) == ("search", True, None, 0)


def test_a_failure_is_told_with_its_step_and_counted_with_its_run() -> None:
    trace = Story().step(reply(complete=False), error="ServerError").end("llm_api_error")

    rows = project(trace)

    assert (rows.steps[1].error_type, rows.steps[1].error_code) == ("ServerError", "INTERNAL_SERVER_ERROR")
    assert (rows.run.n_errors, rows.steps[1].finished_ns, rows.steps[1].stop_reason) == (1, None, None)
