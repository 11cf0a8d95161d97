from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime

import orjson
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import agentlab
from agentlab import (
    Agent,
    ApprovalPolicy,
    ApprovalRule,
    Decision,
    Judge,
    Retries,
    Script,
    ScriptedModel,
    Summarize,
    Trace,
    approval,
    call,
    clock,
    cut,
    fail,
    frozen,
    say,
    telemetry,
    think,
    tool,
)
from agentlab.agent import run as run_module
from agentlab.errors import ContextWindowError, RateLimitError, RunError, ServerError
from agentlab.serve import _otel_run, otel_names
from agentlab.serve._otel_messages import input_messages
from agentlab.trace.events import RunStarted

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AT_NS = int(AT.timestamp()) * 1_000_000_000
KEY = "sk-abcdefghijklmnopqrstuvwx"


@tool(parallel=True)
async def search(query: str) -> str:
    """Search the notes."""
    await clock.sleep(0.5)
    return f"{query}: two cats"


@tool(parallel=True)
async def pay(to: str, amount: int) -> str:
    """Pay somebody."""
    await clock.sleep(0.25)
    raise ValueError(f"no money, and the key was {KEY}")


TWO_TOOLS = [call("search", query="cats") + call("pay", to="ann", amount=3), "Two cats, no money."]


class Seen:
    """What reached the exporters."""

    def __init__(self):
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)

    def enable(self, **settings):
        return telemetry.enable(tracer_provider=self.tracers, meter_provider=self.meters, **settings)

    @property
    def spans(self):
        return sorted(self.exporter.get_finished_spans(), key=lambda span: (span.start_time, span.parent is not None))

    def named(self, prefix):
        return [span for span in self.spans if span.name.startswith(prefix)]

    @property
    def tree(self):
        """Spans by their name and that of their parent."""
        names = {span.context.span_id: span.name for span in self.spans}
        return sorted((span.name, names[span.parent.span_id] if span.parent else None) for span in self.spans)

    def points(self, metric):
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric
            for point in found.data.data_points
        ]


@pytest.fixture
def seen():
    yield Seen()
    telemetry.disable()


async def until(true):
    for _ in range(100_000):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


def offsets_s(span):
    return (span.start_time - AT_NS) / 1e9, (span.end_time - AT_NS) / 1e9


def two_tools(**settings):
    model = ScriptedModel(TWO_TOOLS, ttft_s=0.2, gap_s=0.02)
    return Agent(model, [search, pay], name="clerk", params={"temperature": 0.5, "seed": 3}, **settings)


def everything(spans):
    """All that a span says, but for the ids that are drawn anew."""
    places = {span.context.span_id: place for place, span in enumerate(spans)}
    return [
        (
            span.name,
            span.kind,
            span.parent and places[span.parent.span_id],
            dict(span.attributes),
            span.status.status_code,
            span.status.description,
            span.start_time,
            span.end_time,
            [(event.name, event.timestamp, dict(event.attributes)) for event in span.events],
            [places[link.context.span_id] for link in span.links],
        )
        for span in spans
    ]


def test_a_run_with_two_tools_one_of_which_fails_gives_exactly_this_tree(seen):
    with frozen(at=AT), seen.enable():
        run = two_tools().run("How many cats?").wait()
    first_usage, second_usage = (step.usage for step in run.steps)
    search_id, pay_id = run.trace.tool_calls
    common = {"gen_ai.conversation.id": run.id, "gen_ai.agent.name": "clerk"}
    model = {"gen_ai.provider.name": "scripted", "gen_ai.request.model": "scripted"}

    def chat(step, usage, finish_reason):
        return {
            "gen_ai.operation.name": "chat",
            **common,
            **model,
            "gen_ai.request.stream": True,
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.seed": 3,
            "gen_ai.response.finish_reasons": (finish_reason,),
            "gen_ai.response.time_to_first_chunk": 0.0,  # the chunk with the role comes with the headers
            "agentlab.response.ttft_s": 0.2,
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.reasoning.output_tokens": 0,
            "agentlab.step": step,
            "agentlab.call.purpose": "step",
        }

    def executed(name, call_id):
        return {
            "gen_ai.operation.name": "execute_tool",
            **common,
            "gen_ai.tool.name": name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": call_id,
            "agentlab.step": 1,
        }

    invoke, first, *tools, second = seen.spans
    searched, paid = sorted(tools, key=lambda span: span.name, reverse=True)

    assert len(seen.spans) == 5
    assert seen.tree == [
        ("chat scripted", "invoke_agent clerk"),
        ("chat scripted", "invoke_agent clerk"),
        ("execute_tool pay", "invoke_agent clerk"),
        ("execute_tool search", "invoke_agent clerk"),
        ("invoke_agent clerk", None),
    ]
    assert {span.kind for span in seen.spans} == {SpanKind.INTERNAL}
    assert {span.context.trace_id for span in seen.spans} == {invoke.context.trace_id}
    assert {span.instrumentation_scope.schema_url for span in seen.spans} == {otel_names.SCHEMA_URL}
    assert dict(invoke.attributes) == {
        "gen_ai.operation.name": "invoke_agent",
        **common,
        **model,
        "gen_ai.usage.input_tokens": first_usage.input_tokens + second_usage.input_tokens,
        "gen_ai.usage.output_tokens": first_usage.output_tokens + second_usage.output_tokens,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "agentlab.run.status": "finished",
        "agentlab.run.stop_reason": "end_turn",
    }
    assert dict(first.attributes) == chat(1, first_usage, "tool_calls")
    assert dict(second.attributes) == chat(2, second_usage, "stop")
    assert dict(searched.attributes) == executed("search", search_id)
    assert dict(paid.attributes) == {**executed("pay", pay_id), "error.type": "ValueError"}
    assert [span.status.status_code for span in (invoke, first, searched, paid, second)] == [
        *(StatusCode.UNSET, StatusCode.UNSET, StatusCode.UNSET, StatusCode.ERROR, StatusCode.UNSET)
    ]
    first_s = 0.2 + 0.02 * (first_usage.output_tokens - 1)
    second_s = 0.2 + 0.02 * (second_usage.output_tokens - 1)
    assert offsets_s(invoke) == pytest.approx((0, first_s + 0.5 + second_s))
    assert offsets_s(first) == pytest.approx((0, first_s))
    assert offsets_s(searched) == pytest.approx((first_s, first_s + 0.5))
    assert offsets_s(paid) == pytest.approx((first_s, first_s + 0.25))
    assert offsets_s(second) == pytest.approx((first_s + 0.5, first_s + 0.5 + second_s))
    assert [[(e.name, e.timestamp, dict(e.attributes)) for e in span.events] for span in (first, second)] == [
        [("agentlab.first_token", span.start_time + 200_000_000, {"agentlab.response.ttft_s": 0.2})]
        for span in (first, second)
    ]


def test_durations_tokens_and_first_tokens_are_histograms_of_the_agreed_buckets(seen):
    with frozen(at=AT), seen.enable():
        run = two_tools().run("How many cats?").wait()
    n_out = [step.usage.output_tokens for step in run.steps]

    durations = {
        (p.attributes["gen_ai.operation.name"], p.attributes.get("gen_ai.tool.name"), p.attributes.get("error.type")): p
        for p in seen.points("gen_ai.client.operation.duration")
    }
    assert {key: point.count for key, point in durations.items()} == {
        ("invoke_agent", None, None): 1,
        ("chat", None, None): 2,
        ("execute_tool", "search", None): 1,
        ("execute_tool", "pay", "ValueError"): 1,
    }
    assert durations["execute_tool", "search", None].sum == pytest.approx(0.5)
    assert durations["invoke_agent", None, None].sum == pytest.approx(run.trace.duration_s)
    assert durations["chat", None, None].explicit_bounds[:3] == (0.01, 0.02, 0.04)
    assert durations["chat", None, None].explicit_bounds[-1] == 81.92

    (ttft,) = seen.points("agentlab.client.operation.ttft")
    (first_chunk,) = seen.points("gen_ai.client.operation.time_to_first_chunk")
    (per_chunk,) = seen.points("gen_ai.client.operation.time_per_output_chunk")
    chat = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "scripted",
        "gen_ai.request.model": "scripted",
    }
    assert [dict(p.attributes) for p in (ttft, first_chunk, per_chunk)] == [chat] * 3
    assert (ttft.count, ttft.sum) == (2, pytest.approx(0.4))
    assert (first_chunk.count, first_chunk.sum) == (2, 0)
    assert (per_chunk.count, per_chunk.sum) == (sum(n_out) - 2, pytest.approx(0.02 * (sum(n_out) - 2)))

    tokens = {p.attributes["gen_ai.token.type"]: p for p in seen.points("gen_ai.client.token.usage")}
    assert (tokens["output"].count, tokens["output"].sum) == (2, sum(n_out))
    assert tokens["input"].sum == run.usage.input_tokens
    assert tokens["input"].explicit_bounds == tuple(4**n for n in range(14))
    assert tokens["input"].explicit_bounds[-1] == 67108864


def test_what_is_not_known_is_not_recorded(seen):
    with seen.enable():
        Agent(ScriptedModel([say("Hi.", usage=False)])).run("Hi").wait()

    assert seen.points("gen_ai.client.token.usage") == []
    assert not any(name.startswith("gen_ai.usage") for span in seen.spans for name in span.attributes)


def test_a_model_behind_a_network_is_a_client(seen):
    model = ScriptedModel(["Hi."], name="gpt-5-mini")
    model.provider = "openai"
    with seen.enable():
        Agent(model).run("Hi").wait()

    assert [(span.name, span.kind) for span in seen.named("chat")] == [("chat gpt-5-mini", SpanKind.CLIENT)]


def test_a_model_that_fails_before_its_first_chunk_ends_its_span_all_the_same(seen):
    with frozen(at=AT), seen.enable():
        run = Agent(ScriptedModel([fail(RateLimitError(f"no more for {KEY}", retryable=False))])).run("Hi").wait()
    invoke, chat = sorted(seen.spans, key=lambda span: span.name, reverse=True)

    assert run.stop_reason == "llm_api_error"
    for span in (invoke, chat):
        assert span.attributes["error.type"] == "RateLimitError"
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "RateLimitError")
    assert chat.events == ()
    assert "gen_ai.response.time_to_first_chunk" not in chat.attributes
    assert "agentlab.response.ttft_s" not in chat.attributes
    assert [dict(p.attributes)["error.type"] for p in seen.points("gen_ai.client.operation.duration")] == [
        "RateLimitError",
        "RateLimitError",
    ]
    assert seen.points("agentlab.client.operation.ttft") == []


@pytest.mark.parametrize("content", [False, True])
def test_a_stream_that_is_cut_is_an_error_with_the_times_of_what_came(seen, content):
    with frozen(at=AT), seen.enable(content=content):
        Agent(ScriptedModel([cut("one two three four", after=3)], ttft_s=0.2, gap_s=0.1)).run("Hi").wait()
    (chat,) = seen.named("chat")

    assert chat.attributes["error.type"] == "ConnectionLostError"
    assert chat.status.status_code is StatusCode.ERROR
    assert chat.attributes["agentlab.response.ttft_s"] == 0.2
    assert offsets_s(chat) == pytest.approx((0, 0.4))
    assert ("one two three" in chat.attributes.get("gen_ai.output.messages", "")) is content


def test_each_try_of_a_call_is_a_span_and_only_the_one_that_failed_is_an_error(seen):
    with frozen(at=AT), seen.enable():
        run = (
            Agent(ScriptedModel([[fail(ServerError("busy")), "Hello."]]), retries=Retries(model_errors=1))
            .run("Hi")
            .wait()
        )

    assert run.text == "Hello."
    assert [span.attributes.get("error.type") for span in seen.named("chat")] == ["ServerError", None]
    assert seen.named("invoke_agent")[0].status.status_code is StatusCode.UNSET


def test_a_summary_of_the_conversation_is_a_call_of_its_own(seen):
    replies = iter([fail(ContextWindowError("too long")), say("They spoke."), say("Hello.")])
    earlier = Agent(ScriptedModel(["One."])).run("First").wait()
    with seen.enable():
        run = (
            Agent(ScriptedModel(lambda request: next(replies)), compaction=Summarize())
            .run("Hi", history=earlier)
            .wait()
        )
    told = [
        (span.attributes["agentlab.call.purpose"], span.attributes.get("error.type")) for span in seen.named("chat")
    ]

    assert run.text == "Hello."
    assert told == [("step", "_OTHER"), ("compaction", None), ("step", None)]


def test_a_summary_that_fails_keeps_its_error_to_itself(seen):
    replies = iter([fail(ContextWindowError("too long")), fail(RateLimitError("busy", retryable=False))])
    earlier = Agent(ScriptedModel(["One."])).run("First").wait()
    with seen.enable():
        Agent(ScriptedModel(lambda request: next(replies)), compaction=Summarize()).run("Hi", history=earlier).wait()

    assert [span.attributes["error.type"] for span in seen.named("chat")] == ["llm_api_error", "RateLimitError"]


def test_a_model_that_judges_is_told_apart_and_its_failure_is_its_own(seen):
    judge = Judge(ScriptedModel([fail(ServerError("busy", retryable=False))], name="judge"))
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(judge, Script(True)))
    with seen.enable():
        Agent(ScriptedModel([call("search", query="a"), "Done."]), [search], approval=policy).run("Go").wait()
    (judged,) = seen.named("chat judge")

    assert judged.attributes["agentlab.call.purpose"] == "approval"
    assert judged.attributes["error.type"] == "ServerError"
    assert [span.attributes.get("error.type") for span in seen.named("chat scripted")] == [None, None]


def test_a_reply_is_told_of_when_it_has_come_not_when_the_run_is_over(seen):
    @tool
    def look() -> str:
        """Look at what was told so far."""
        return ", ".join(span.name for span in seen.spans)

    with seen.enable():
        run = Agent(ScriptedModel([call("look"), "Done."]), [look]).run("Go").wait()

    assert next(iter(run.trace.tool_calls.values())).returned.text == "chat scripted"


@pytest.mark.parametrize(("in_tool", "name"), [(False, "chat scripted"), (True, "execute_tool search")])
async def test_a_run_that_is_cancelled_ends_its_spans(seen, in_tool, name):
    never = asyncio.Event()

    @tool(name="search")
    async def wait_for_ever() -> str:
        """Wait."""
        run.cancel()
        await never.wait()
        return "never"

    def script(request):
        if not in_tool:
            run.cancel()
        return say("x" * 50, gap_s=0.001) if not in_tool else call("search")

    with seen.enable():
        run = await_me = Agent(ScriptedModel(script), [wait_for_ever]).run("Hi")
        await await_me
    invoke, last = seen.named("invoke_agent")[0], seen.named(name)[0]

    assert run.stop_reason == "cancelled"
    assert invoke.attributes["agentlab.run.stop_reason"] == "cancelled"
    assert invoke.status.status_code is StatusCode.UNSET
    assert last.attributes["error.type"] == ("CancelledError" if in_tool else "cancelled")
    assert all(span.end_time <= invoke.end_time for span in seen.spans)


ASK = ApprovalPolicy(
    rules=(ApprovalRule(tool="search", decide="approve"), ApprovalRule(decide="ask")),
    approvers=(Script("too much", Decision(action="edit", arguments={"to": "bob", "amount": 1})),),
)


def test_approvals_are_told_on_the_call_they_decide(seen):
    calls = call("search", query="a") + call("pay", to="ann", amount=9) + call("pay", to="bob", amount=9)
    with frozen(at=AT), seen.enable():
        Agent(ScriptedModel([calls, "Done."]), [search, pay], approval=ASK).run("Pay").wait()
    searched, (denied, edited) = seen.named("execute_tool search")[0], seen.named("execute_tool pay")

    def told(span):
        return {name: value for name, value in span.attributes.items() if name.startswith(("agentlab.a", "agentlab.t"))}

    assert told(searched) == {
        "agentlab.approval.decision": "approve",
        "agentlab.approval.approver": searched.attributes["agentlab.approval.approver"],
        "agentlab.approval.modified": False,
    }
    assert told(denied) == {
        "agentlab.approval.decision": "deny",
        "agentlab.approval.approver": "script",
        "agentlab.approval.modified": False,
        "agentlab.approval.latency_s": 0.0,
        "agentlab.tool.executed": False,
    }
    assert (denied.attributes["error.type"], denied.end_time - denied.start_time) == ("Denied", 0)
    assert told(edited) == {
        "agentlab.approval.decision": "edit",
        "agentlab.approval.approver": "script",
        "agentlab.approval.modified": True,
        "agentlab.approval.latency_s": 0.0,
    }
    measured = [p.attributes.get("gen_ai.tool.name") for p in seen.points("gen_ai.client.operation.duration")]
    assert measured.count("pay") == 1  # what never ran took no time


async def test_a_person_takes_the_time_between_question_and_decision(seen):
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(agentlab.Ask(attended=True),))
    with frozen(at=AT), seen.enable():
        run = Agent(ScriptedModel([call("search", query="a"), "Done."]), [search], approval=policy).run("Go")
        await until(lambda: run.pending)
        await clock.sleep(30)
        run.approve(run.pending[0].call_id, by="ann")
        await run
    (searched,) = seen.named("execute_tool")

    assert searched.attributes["agentlab.approval.latency_s"] == 30
    assert searched.attributes["agentlab.approval.approver"] == "ann"
    assert offsets_s(searched) == pytest.approx((30, 30.5))


def paused_and_resumed():
    pausing = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), unattended="pause")
    agent = Agent(ScriptedModel([call("search", query="a"), "Done."], ttft_s=0.2), [search], approval=pausing)
    with frozen(at=AT):
        paused = agent.run("Go").wait()
    with frozen(at="2026-01-03T00:00:00Z"), approval(pausing.model_copy(update={"unattended": "approve"})):
        return paused, agent.resume(paused).wait()


def test_a_run_that_pauses_ends_its_span_and_goes_on_in_another_that_links_to_it(seen):
    with seen.enable():
        _, run = paused_and_resumed()
    first, second = seen.named("invoke_agent")
    (searched,) = seen.named("execute_tool")

    assert run.stop_reason == "end_turn"
    assert first.attributes["agentlab.run.status"] == "paused"
    assert first.status.status_code is StatusCode.UNSET
    assert second.attributes["agentlab.run.status"] == "finished"
    assert first.attributes["gen_ai.conversation.id"] == second.attributes["gen_ai.conversation.id"] == run.id
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert searched.parent.span_id == second.context.span_id
    assert second.start_time == int(datetime(2026, 1, 3, tzinfo=UTC).timestamp()) * 1_000_000_000
    assert [span.parent.span_id for span in seen.named("chat")] == [first.context.span_id, second.context.span_id]


def words_in(seen):
    return orjson.dumps([[dict(span.attributes), span.name, span.status.description] for span in seen.spans]).decode()


def test_no_message_argument_or_result_is_told_unless_asked_for(seen):
    with frozen(at=AT), seen.enable():
        Agent(ScriptedModel(TWO_TOOLS), [search, pay], system="Be brief.").run("How many cats?").wait()
    told = words_in(seen)

    assert [word for word in ("cats", "brief", "ann", "money", "query", KEY) if word in told] == []


def test_content_is_told_when_asked_for_and_keys_never_are(seen):
    with frozen(at=AT), seen.enable(content=True):
        Agent(ScriptedModel(TWO_TOOLS), [search, pay], system="Be brief.").run(f"How many cats? {KEY}").wait()
    first, second = seen.named("chat")
    (searched,), (paid,) = seen.named("execute_tool search"), seen.named("execute_tool pay")

    assert KEY not in words_in(seen)
    assert orjson.loads(first.attributes["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "How many cats? [redacted]"}]},
    ]
    (said,) = orjson.loads(first.attributes["gen_ai.output.messages"])
    assert said["finish_reason"] == "tool_calls"
    assert [(part["type"], part["name"], part["arguments"]) for part in said["parts"]] == [
        ("tool_call", "search", {"query": "cats"}),
        ("tool_call", "pay", {"to": "ann", "amount": 3}),
    ]
    read = orjson.loads(second.attributes["gen_ai.input.messages"])
    assert [message["role"] for message in read] == ["system", "user", "assistant", "tool", "tool"]
    assert read[3]["parts"][0]["response"] == "cats: two cats"
    assert searched.attributes["gen_ai.tool.call.arguments"] == '{"query":"cats"}'
    assert searched.attributes["gen_ai.tool.call.result"] == "cats: two cats"
    assert paid.attributes["gen_ai.tool.call.result"] == "ValueError: no money, and the key was [redacted]"


def test_what_a_model_thought_is_a_part_of_its_own(seen):
    with seen.enable(content=True):
        run = Agent(ScriptedModel([think("hm") + say("Hi.")])).run("Hi").wait()
    (chat,) = seen.named("chat")

    assert [part["type"] for part in orjson.loads(chat.attributes["gen_ai.output.messages"])[0]["parts"]] == [
        *("reasoning", "text")
    ]
    assert len(orjson.loads(input_messages(run.messages))) == len(run.messages)


async def test_runs_side_by_side_keep_their_spans_apart(seen):
    agent = two_tools()
    with seen.enable():
        runs = [agent.run(f"Question {n}") for n in range(5)]
        await asyncio.gather(*runs)
    invoked = {span.context.span_id: span.attributes["gen_ai.conversation.id"] for span in seen.named("invoke_agent")}

    assert sorted(invoked.values()) == sorted(run.id for run in runs)
    assert len(seen.spans) == 5 * 5
    assert len({span.context.trace_id for span in seen.spans}) == 5
    below = [span for span in seen.spans if span.parent]
    assert [invoked[span.parent.span_id] for span in below] == [
        span.attributes["gen_ai.conversation.id"] for span in below
    ]


def test_a_run_stands_below_the_span_in_which_it_was_started(seen):
    with seen.enable(), seen.tracers.get_tracer("study").start_as_current_span("study"):
        Agent(ScriptedModel(["Hi."])).run("Hi").wait()

    assert ("invoke_agent agent", "study") in seen.tree


@pytest.mark.parametrize("content", [False, True])
@pytest.mark.parametrize(
    "make", [lambda: [two_tools().run("Cats?").wait()], paused_and_resumed], ids=["whole", "resumed"]
)
def test_a_stored_run_gives_the_same_spans(seen, make, content, tmp_path):
    with frozen(at=AT), seen.enable(content=content):
        run = make()[-1]
    again = Seen()
    telemetry.export(
        Trace.from_jsonl(run.trace.to_jsonl(tmp_path / "run.jsonl")), tracer_provider=again.tracers, content=content
    )

    assert everything(again.exporter.get_finished_spans()) == everything(seen.exporter.get_finished_spans())


def test_of_a_run_whose_process_died_the_open_spans_are_errors(seen):
    with frozen(at=AT):
        events = two_tools().run("Cats?").wait().trace.events
    started = next(n for n, event in enumerate(events) if event.type == "tool_started")
    telemetry.export(Trace(events[: started + 1]), tracer_provider=seen.tracers)

    assert [(span.name, span.attributes.get("error.type")) for span in seen.spans] == [
        ("invoke_agent clerk", "interrupted"),
        ("chat scripted", None),
        ("execute_tool search", "interrupted"),
    ]
    assert seen.named("invoke")[0].attributes["agentlab.run.status"] == "interrupted"


async def test_a_run_that_is_running_cannot_be_exported(seen):
    run = Agent(ScriptedModel(["Hi."])).run("Hi")
    with pytest.raises(RunError, match="is running: await it first"):
        telemetry.export(run, tracer_provider=seen.tracers)
    await run


def test_nothing_is_told_before_it_is_enabled_nor_after_it_was_disabled(seen):
    Agent(ScriptedModel(["Hi."])).run("Hi").wait()
    seen.enable()
    telemetry.disable()
    telemetry.disable()
    Agent(ScriptedModel(["Hi."])).run("Hi").wait()

    assert seen.spans == []
    assert seen.reader.get_metrics_data() is None


def test_enabling_again_replaces_what_was_enabled(seen):
    other = Seen()
    other.enable()
    seen.enable()
    Agent(ScriptedModel(["Hi."])).run("Hi").wait()

    assert (len(seen.spans), len(other.spans)) == (2, 0)


async def test_a_run_under_way_ends_its_spans_when_reporting_ends(seen):
    with frozen(at=AT):
        with seen.enable():
            run = Agent(ScriptedModel(["Hi."], ttft_s=5)).run("Hi")
            await until(lambda: run.trace.model_calls)
        told = len(seen.spans)
        await run

    assert run.text == "Hi."
    assert told == len(seen.spans) == 2
    assert seen.named("invoke_agent")[0].attributes["agentlab.run.status"] == "running"


def test_a_run_that_began_before_reporting_did_is_left_out(seen):
    run = Agent(ScriptedModel(["Hi."])).run("Hi")
    seen.enable()
    run.wait()

    assert seen.spans == []


class Broken(SpanProcessor):
    def on_start(self, span, parent_context=None):
        raise OSError("the collector is gone")

    def on_end(self, span):
        raise OSError("the collector is gone")


def test_an_exporter_that_raises_harms_no_run(seen, caplog):
    seen.tracers.add_span_processor(Broken())
    with seen.enable():
        run = two_tools().run("Cats?").wait()

    assert run.stop_reason == "end_turn"
    assert "the runs go on" in caplog.text
    assert "Cats" not in caplog.text


class Sentry:
    """Stands in for the package."""

    def __init__(self):
        self.captured = []

    def is_initialized(self):
        return True

    def capture_exception(self, error):
        self.captured.append(error)


def test_sentry_hears_of_runs_that_fail_without_their_content_and_only_with_an_address(seen, monkeypatch):
    sentry = Sentry()
    monkeypatch.setitem(sys.modules, "sentry_sdk", sentry)
    monkeypatch.delenv("SENTRY_DSN", raising=False)

    def failing():
        Agent(ScriptedModel([fail(RateLimitError("about cats", retryable=False))])).run("cats?").wait()

    with seen.enable():
        failing()
        monkeypatch.setenv("SENTRY_DSN", "https://public@sentry.example/1")
        failing()
        Agent(ScriptedModel(["Hi."])).run("Hi").wait()
    failing()

    assert [str(error) for error in sentry.captured] == [
        "a run of `agent` on scripted/scripted ended with llm_api_error: RateLimitError"
    ]


def test_the_failures_are_those_of_a_run():
    assert _otel_run.FAILURES == run_module._ENDED_BY_ERROR


def test_text_from_outside_cannot_break_a_span(seen):
    started = {"protocol": "native", "clock": "system", "model": "m\ud800" + "x" * 200, "provider": "p"}
    event = RunStarted(run_id="run-1", step=0, seq=0, t_ns=7, started_at=AT, agent_name="a\nb\u202e", **started)
    telemetry.export(Trace([event]), tracer_provider=seen.tracers)
    (span,) = seen.spans

    assert span.name == "invoke_agent a b⟨U+202E⟩"
    assert span.attributes["gen_ai.request.model"].startswith("m?")
    assert offsets_s(span) == (0, 0)


def test_telemetry_is_reached_from_the_top_and_loads_no_sdk():
    code = (
        "import sys, agentlab; assert 'opentelemetry' not in sys.modules\n"
        "agentlab.telemetry.enable()\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'sentry', 'fastapi'))])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert told.stdout.strip() == "[]"
