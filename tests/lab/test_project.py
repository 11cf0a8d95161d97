from __future__ import annotations

from hypothesis import given

from agentlab.lab.project import Projection
from agentlab.messages.message import Message
from agentlab.messages.parts import ImagePart, TextPart, UrlImage
from agentlab.trace.events import (
    ContextCompacted,
    ContinuationDecided,
    ModelCalled,
    ModelReplied,
    StepStarted,
    ToolSpec,
)
from agentlab.trace.trace import Trace
from agentlab.trace.usage import COUNTS
from tests.factories import Story, chunk_log, reply, tool, traces


@given(traces())
def test_rows_say_what_the_trace_says(trace: Trace) -> None:
    rows = Projection.of(trace)

    assert rows.run.n_events == len(trace)
    assert rows.run.stop_reason == trace.stop_reason
    assert [(m.message_id, m.source, m.step, m.seq) for m in rows.messages] == [
        (e.message.id, e.source, e.step, e.seq) for e in trace.entries
    ]
    assert [(s.step, s.step_id, s.finished_ns is None) for s in rows.steps.values()] == [
        (s.number, s.step_id, s.finished_ns is None) for s in trace.steps
    ]
    assert [(t.call_id, t.tool, t.step, t.status) for t in rows.tool_calls.values()] == [
        (t.call_id, t.tool, t.step, t.status) for t in trace.tool_calls.values()
    ]


@given(traces())
def test_model_calls_say_what_the_trace_says(trace: Trace) -> None:
    rows = Projection.of(trace).model_calls
    calls = sorted([*trace.model_calls, *trace.side_calls], key=lambda call: call.called.seq)

    for row, call in zip(rows, calls, strict=True):
        assert (row.step, row.purpose) == (call.called.step, call.called.purpose)
        assert (row.replied_seq is None) == (call.replied is None)
        assert [getattr(row, name) for name in COUNTS] == [getattr(call.usage, name) for name in COUNTS]


def test_calls_of_a_step_are_numbered() -> None:
    story = Story().step(reply(complete=False), reply(complete=False), reply(calls=["search"]), tool("search"))

    rows = Projection.of(story.step(reply()).end()).model_calls

    assert [(row.step, row.call) for row in rows] == [(1, 1), (1, 2), (1, 3), (2, 1)]
    assert [row.complete for row in rows] == [False, False, True, True]


def test_a_call_that_was_refused_has_what_the_model_asked_for_only() -> None:
    trace = Story().step(reply(calls=["delete"]), tool("delete", None)).end()

    (row,) = Projection.of(trace).tool_calls.values()

    assert (row.requested_arguments, row.arguments) == ('{"n":1}', None)
    assert (row.started_ns, row.status, row.error_type) == (None, "error", "ToolError")


def test_a_message_has_its_texts_apart_from_its_reasoning() -> None:
    trace = Story().step(reply("Two cats.", reasoning="I count.", calls=["search"]), tool("search", ok=False)).end()

    _, _, asked, answered = Projection.of(trace).messages

    assert (asked.text, asked.reasoning, asked.n_tool_calls, asked.is_error) == ("Two cats.", "I count.", 1, None)
    assert asked.call_id == answered.call_id == "call-run-1-1"
    assert (answered.name, answered.is_error, answered.reasoning, answered.n_tool_calls) == ("search", True, None, 0)


def test_a_failure_is_told_with_its_step_and_counted_with_its_run() -> None:
    trace = Story().step(reply(complete=False), error="ServerError").end("llm_api_error")

    rows = Projection.of(trace)

    assert (rows.steps[1].error_type, rows.steps[1].error_code) == ("ServerError", "INTERNAL_SERVER_ERROR")
    assert (rows.run.n_errors, rows.run.stop_reason, rows.steps[1].finished_ns) == (1, "llm_api_error", None)


def in_a_step() -> Story:
    story = Story()
    story.step(finished=False)
    return story


def seconds(*values: int | None) -> list[float | None]:
    return [None if value is None else value / 1e9 for value in values]


@given(traces())
def test_the_run_is_as_long_as_the_trace_says(trace: Trace) -> None:
    rows = Projection.of(trace)

    assert rows.run.last_ns / 1e9 == trace.duration_s
    for row, call in zip(rows.tool_calls.values(), trace.tool_calls.values(), strict=True):
        if call.interval_ns is not None and row.started_ns is not None and row.returned_ns is not None:
            assert row.returned_ns - row.started_ns == call.interval_ns[1] - call.interval_ns[0]


@given(traces())
def test_people_are_waited_for_as_long_as_the_trace_says(trace: Trace) -> None:
    asked = [row for row in Projection.of(trace).approvals if row.approver_kind == "person"]

    zero_ns = trace.events[0].t_ns
    spans = [(row.requested_ns, row.decided_ns) for row in asked]
    assert spans == [(start - zero_ns, end - zero_ns) for start, end in trace.human_intervals()]


def test_replies_find_their_calls_also_when_two_were_under_way() -> None:
    story = Story()
    story._step = 1
    story.emit(StepStarted, step_id="step-1")
    first, second = (
        story.emit(ModelCalled, model=name, provider="p", n_messages=1, tool_choice="auto", purpose="approval")
        for name in ("first", "second")
    )
    log = chunk_log(reply(), story._t_ns)
    story.emit(ModelReplied, complete=True, chunks=log, called_seq=first.seq, response_model="first-1")
    story.emit(ModelReplied, complete=True, chunks=log, called_seq=second.seq, response_model="second-1")

    rows = Projection.of(story.trace()).model_calls

    assert [(row.model, row.response_model) for row in rows] == [("first", "first-1"), ("second", "second-1")]


def test_how_long_a_question_waited_is_not_known_when_the_answer_came_to_another_process() -> None:
    story = in_a_step().wait(1.0).pause("call-1", "delete")
    story.resume().wait(0.5)
    story.decide("call-1", "delete")
    story.step(reply(ttft_s=1.0, n_chunks=0))

    rows = Projection.of(story.end())

    (approval,) = rows.approvals
    assert seconds(approval.requested_ns, approval.decided_ns, approval.latency_ns) == [1.001, 1.501, None]
    assert seconds(rows.steps[2].started_ns, rows.model_calls[0].request_ns, rows.run.last_ns) == [1.501, 1.501, 2.502]


def test_a_question_that_is_put_again_waits_anew() -> None:
    story = in_a_step().pause("call-1", "delete").resume().wait(0.5)
    story.ask("call-1", "delete")
    story.wait(0.25).decide("call-1", "delete", "deny", reason="too risky")

    (approval,) = Projection.of(story.trace()).approvals

    assert (approval.action, approval.reason, approval.rule) == ("deny", "too risky", "it deletes things")
    assert seconds(approval.latency_ns) == [0.25]


def test_a_call_that_was_handed_on_has_a_row_for_each_who_spoke() -> None:
    story = in_a_step()
    story.ask("call-1", "delete")
    story.wait(0.5).decide("call-1", "delete", "escalate", approver="judge", approver_kind="model")
    assert Projection.of(story.trace()).tool_calls["call-1"].status == "waiting"
    story.wait(1.0).decide("call-1", "delete", "edit", arguments='{"n":2}')

    first, second = Projection.of(story.trace()).approvals

    assert (first.action, first.approver, *seconds(first.latency_ns)) == ("escalate", "judge", 0.5)
    assert (second.action, second.approver, *seconds(second.latency_ns)) == ("edit", "ada", 1.5)
    assert second.arguments == '{"n":2}'
    assert Projection.of(story.trace()).tool_calls["call-1"].status == "running"


def test_a_policy_that_decides_by_itself_has_asked_nobody() -> None:
    story = in_a_step()
    story.decide("call-1", "delete", "deny", approver="no-deletes", approver_kind="policy")

    (row,) = Projection.of(story.trace()).approvals

    assert (row.rule, row.requested_ns, row.latency_ns, row.action) == (None, None, None, "deny")


def test_a_message_leaves_the_context_with_the_event_that_takes_it_out() -> None:
    story = Story().step(reply())  # system 1, user 2, assistant 3
    new = story.say("system", "You count dogs.", source="system")
    replaced = story.events[-1].model_copy(update={"replaces": "message-run-1-1"})
    story.events[-1] = replaced
    story.emit(ContextCompacted, how="summary", removed=("message-run-1-2", "message-run-1-3"), summary=new_note("one"))
    first = story.events[-1]
    story.emit(ContextCompacted, how="summary", removed=("note-one", new.id), summary=new_note("two"))

    rows = Projection.of(story.events)

    last = len(story.events) - 1
    assert [row.left_seq for row in rows.messages] == [replaced.seq, first.seq, first.seq, last]
    assert [(row.summary, row.n_removed, row.left_seq) for row in rows.compactions] == [
        ("one", 2, last),
        ("two", 2, None),
    ]


@given(traces())
def test_what_is_in_the_context_is_what_the_trace_would_send(trace: Trace) -> None:
    rows = Projection.of(trace).messages

    assert [row.message_id for row in rows if row.left_seq is None] == [m.id for m in trace.messages]


def test_calls_are_rows_as_the_messages_ask_for_them_and_tools_as_they_are_told() -> None:
    spec = ToolSpec(name="search", description="Finds 🐈 quickly.", parameters={"type": "object"})
    story = Story().step(reply(calls=["search", "delete"]), tool("search"), tool("delete", None))
    story.events[0] = story.events[0].model_copy(update={"tools": (spec,)})

    rows = Projection.of(story.end())

    assert [(row.tool, row.call_id, row.arguments) for row in rows.requested_calls] == [
        ("search", "call-run-1-1", '{"n":1}'),
        ("delete", "call-run-1-2", '{"n":2}'),
    ]
    assert rows.requested_calls[0].seq == rows.messages[2].seq
    assert rows.tool_specs == [
        ("search", '{"name":"search","description":"Finds 🐈 quickly.","parameters":{"type":"object"}}')
    ]


def test_a_call_says_what_was_offered_and_a_step_what_the_run_had_counted() -> None:
    story = Story()
    story.step(finished=False)
    called = story.emit(ModelCalled, model="m", provider="p", n_messages=2, tool_choice="auto", tools=("a", "b"))
    story.emit(ContinuationDecided, go_on=False, policy="never", inputs={"known_tokens": 104})

    rows = Projection.of(story.events)

    assert (rows.model_calls[0].offered, rows.model_calls[0].called_seq) == ('["a","b"]', called.seq)
    assert rows.steps[1].known_tokens == 104


def test_pictures_of_a_message_are_counted() -> None:
    picture = ImagePart(source=UrlImage(url="https://example.org/cat.png"))
    story = Story()
    story.say("user", source="input", content=(picture, TextPart(text="What is it?"), picture))

    assert [row.n_images for row in Projection.of(story.events).messages] == [0, 0, 2]


def new_note(text: str) -> Message:
    return Message(id=f"note-{text}", role="user", content=(TextPart(text=text),))
