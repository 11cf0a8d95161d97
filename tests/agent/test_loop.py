from __future__ import annotations

import asyncio
import sys

import orjson
import pytest

from agentlab import Agent, ScriptedModel, ToolError, call, clock, cut, fail, say, think, tool
from agentlab.errors import ContextWindowError, InvalidReplyError, ModelNotFoundError, ToolDefinitionError
from agentlab.messages import envelopes
from agentlab.messages.history import lint


@tool
def search(query: str) -> list[str]:
    """Search the notes."""
    return [f"{query} 1", f"{query} 2"]


@tool
async def broken(query: str) -> str:
    """Never works."""
    raise ValueError(f"no index for {query}")


def roles(run):
    return [m.role for m in run.messages]


def returns(run):
    return [(r.tool, r.status, r.text) for r in (c.returned for c in run.trace.tool_calls.values())]


async def test_text_ends_a_native_turn_and_tool_calls_go_on():
    model = ScriptedModel([call("search", query="cats"), "Found two."])

    run = await Agent(model, [search]).run("cats?")

    assert roles(run) == ["user", "assistant", "tool", "assistant"]
    assert run.stop_reason == "end_turn"
    assert run.text == "Found two."
    assert len(run.steps) == 2


async def test_a_heartbeat_gives_the_model_another_step():
    model = ScriptedModel([call("search", query="cats", heartbeat=True), call("send_message", message="Two.")])

    run = await Agent(model, [search], protocol="memgpt", system="").run("cats?")

    assert roles(run) == ["user", "assistant", "tool", "user", "assistant", "tool"]
    assert run.text == "Two."
    assert run.stop_reason == "end_turn"
    heartbeat = envelopes.unpack(run.messages[3].text)
    assert (heartbeat.kind, heartbeat.text) == ("heartbeat", envelopes.heartbeat_reason(ok=True))


async def test_without_a_heartbeat_a_memgpt_turn_ends_after_the_call():
    model = ScriptedModel([call("search", query="cats", heartbeat=False), "never asked for"])

    run = await Agent(model, [search], protocol="memgpt").run("cats?")

    assert len(run.steps) == 1
    assert run.stop_reason == "end_turn"
    assert run.text is None


@pytest.mark.parametrize("value", ["true", "TRUE", True, 1], ids=repr)
async def test_heartbeats_are_read_as_the_reference_reads_them(value):
    model = ScriptedModel(
        [call("search", {"query": "a", "request_heartbeat": value}), call("send_message", message="b")]
    )

    assert len((await Agent(model, [search], protocol="memgpt").run("x")).steps) == 2


@pytest.mark.parametrize("value", ["yes", "false", 0, None], ids=repr)
async def test_other_heartbeat_values_end_the_turn(value):
    model = ScriptedModel([call("search", {"query": "a", "request_heartbeat": value})])

    assert len((await Agent(model, [search], protocol="memgpt").run("x")).steps) == 1


async def test_a_memgpt_reply_without_a_call_is_told_to_the_model_once():
    model = ScriptedModel(["Just text.", call("send_message", message="I see.")])

    run = await Agent(model, [search], protocol="memgpt").run("x")

    assert run.text == "I see."
    assert "had no tool call" in model.requests[1].messages[-1].text
    assert run.steps[0].decision.policy == "broken_reply"


async def test_a_second_reply_without_a_call_stops_the_run_and_keeps_the_text():
    run = await Agent(ScriptedModel(["Just text.", "More text."]), [search], protocol="memgpt").run("x")

    assert run.stop_reason == "invalid_llm_response"
    assert run.messages[-1].text == "More text."


async def test_tools_never_see_heartbeat_or_thoughts():
    seen = []

    @tool
    def note(text: str) -> None:
        seen.append(text)

    model = ScriptedModel(
        [call("note", {"thinking": "I should write it down.", "text": "a", "request_heartbeat": False})]
    )
    run = await Agent(model, [note], protocol="memgpt", inner_thoughts=True).run("x")

    assert seen == ["a"]
    assistant = next(m for m in run.messages if m.role == "assistant")
    assert assistant.text == "I should write it down."
    assert orjson.loads(assistant.tool_calls[0].function.arguments) == {"text": "a", "request_heartbeat": False}


async def test_thoughts_go_back_to_the_model_as_it_wrote_them():
    first = {"thinking": "Search first.", "query": "a", "request_heartbeat": True}
    model = ScriptedModel([call("search", first), call("send_message", message="b")])

    await Agent(model, [search], protocol="memgpt", inner_thoughts=True).run("x")

    sent = next(m for m in model.requests[1].messages if m.role == "assistant")
    assert list(orjson.loads(sent.tool_calls[0].function.arguments).items()) == [
        ("thinking", "Search first."),
        ("query", "a"),
        ("request_heartbeat", True),
    ]
    assert sent.text == ""
    offered = next(t for t in model.requests[0].tools if t.name == "search").parameters
    assert list(offered["properties"]) == ["thinking", "query", "request_heartbeat"]
    assert offered["required"] == ["thinking", "query", "request_heartbeat"]


async def test_the_stored_schema_stays_as_it_was():
    before = search.spec.model_copy(deep=True)
    Agent(ScriptedModel([]), [search], protocol="memgpt", inner_thoughts=True)
    assert search.spec == before


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (call("nope", a=1), "there is no tool `nope`; available: search"),
        (call("search", '{"query": '), "bad arguments: they are no JSON"),
        (call("search", "[1]"), "they are a JSON array, not an object"),
        (call("search", query=3), "`query`: Input should be a valid string (got 3)"),
        (call("search"), "`query`: Field required"),
    ],
    ids=["unknown-tool", "half-json", "array", "wrong-type", "missing"],
)
@pytest.mark.parametrize("protocol", ["native", "memgpt"])
async def test_a_call_that_cannot_run_is_shown_to_the_model_and_the_run_goes_on(reply, text, protocol):
    answer = call("send_message", message="Sorry.") if protocol == "memgpt" else "Sorry."
    model = ScriptedModel([reply, answer])

    run = await Agent(model, [search], protocol=protocol).run("x")

    record = next(iter(run.trace.tool_calls.values()))
    assert text in record.returned.text
    assert record.status == "error"
    assert record.duration_s is None, "a tool that never ran has no duration"
    assert text.split("`")[0] in model.requests[1].messages[-2 if protocol == "memgpt" else -1].text
    assert run.text == "Sorry."


async def test_arguments_in_a_json_string_are_read_and_empty_ones_are_none():
    @tool
    def ping() -> str:
        return "pong"

    model = ScriptedModel([call("search", '"{\\"query\\": \\"a\\"}"') + call("ping", ""), "done"])
    run = await Agent(model, [search, ping]).run("x")

    assert [r[1] for r in returns(run)] == ["success", "success"]


async def test_arguments_that_are_no_json_are_never_sent_back_to_a_provider():
    model = ScriptedModel([call("search", '{"query": '), "done"])

    run = await Agent(model, [search]).run("x")

    stored = next(m for m in run.messages if m.tool_calls)
    sent = next(m for m in model.requests[1].messages if m.tool_calls)
    assert stored.tool_calls[0].function.arguments == '{"query": ', "the trace keeps what the model wrote"
    assert sent.tool_calls[0].function.arguments == "{}"


async def test_an_exception_in_a_tool_becomes_a_failed_return():
    run = await Agent(ScriptedModel([call("broken", query="a"), "I see."]), [broken]).run("x")

    assert returns(run) == [("broken", "error", "ValueError: no index for a")]
    assert "Traceback" not in run.messages[2].text
    assert run.stop_reason == "end_turn"
    assert next(iter(run.trace.tool_calls.values())).duration_s is not None


async def test_a_tool_error_reaches_the_model_in_its_own_words():
    @tool
    def pay(amount: int) -> None:
        raise ToolError("the account is closed")

    run = await Agent(ScriptedModel([call("pay", amount=1), "ok"]), [pay]).run("x")
    assert returns(run) == [("pay", "error", "the account is closed")]


@pytest.mark.parametrize("wild", [SystemExit("bye"), asyncio.CancelledError("mine")], ids=["exit", "own-cancel"])
@pytest.mark.parametrize("as_async", [True, False], ids=["async", "plain"])
@pytest.mark.parametrize("limit", [None, 5.0], ids=["unlimited", "limited"])
async def test_not_even_exit_in_a_tool_ends_the_run(wild, as_async, limit):
    def act() -> None:
        raise wild

    async def act_async() -> None:
        raise wild

    tools = [tool(name="act", timeout_s=limit)(act_async if as_async else act)]
    run = await Agent(ScriptedModel([call("act"), "still here"]), tools).run("x")

    assert run.text == "still here"
    assert returns(run)[0][1] == "error"


async def test_parallel_calls_are_answered_each_under_its_id():
    model = ScriptedModel([call("search", query="a") + call("broken", query="b") + call("search", query="c"), "done"])

    run = await Agent(model, [search, broken]).run("x")

    assistant, *answers = run.messages[1:5]
    assert [m.tool_call_id for m in answers] == [c.id for c in assistant.tool_calls]
    assert [r[1] for r in returns(run)] == ["success", "error", "success"]
    assert lint(run.messages) == []


async def test_ids_that_a_server_uses_again_are_replaced():
    again = call("search", query="a", id="call_0")
    model = ScriptedModel([again + again, again, "done"])

    run = await Agent(model, [search]).run("x")

    assert len(run.trace.tool_calls) == 3
    assert lint(run.messages) == []


async def test_the_last_step_stops_the_run_with_its_own_reason():
    model = ScriptedModel(lambda request: call("search", query="more"))

    run = await Agent(model, [search], max_steps=3).run("x")

    assert len(run.steps) == 3
    assert run.stop_reason == "max_steps"
    assert run.steps[-1].decision.stop_reason == "max_steps"
    assert lint(run.messages) == []


async def test_each_decision_is_an_event_with_policy_inputs_and_reason():
    model = ScriptedModel([call("search", query="a", heartbeat=True), call("send_message", message="b")])
    run = await Agent(model, [search], protocol="memgpt").run("x")

    first, last = (step.decision for step in run.steps)
    assert (first.go_on, first.policy) == (True, "on_request")
    assert first.inputs["calls"][0] == {
        "tool": "search",
        "success": True,
        "executed": True,
        "heartbeat_requested": True,
        "fingerprint": first.inputs["calls"][0]["fingerprint"],
    }
    assert first.reason == envelopes.heartbeat_reason(ok=True)
    assert (last.go_on, last.stop_reason) == (False, "end_turn")


@pytest.mark.parametrize(
    ("error", "stop_reason", "code"),
    [
        (ModelNotFoundError("no such model"), "llm_api_error", "NOT_FOUND"),
        (ContextWindowError("too long"), "context_window", "CONTEXT_WINDOW"),
        (InvalidReplyError("no events"), "invalid_llm_response", "INVALID_REPLY"),
    ],
)
async def test_a_model_error_ends_the_run_and_is_told(error, stop_reason, code):
    run = await Agent(ScriptedModel([fail(error)]), [search]).run("x")

    assert run.stop_reason == stop_reason
    assert (run.error.code, run.error.message) == (code, str(error))
    assert run.usage.total_tokens is None
    assert run.trace.steps[0].errors == [run.error]


async def test_a_defect_of_a_model_class_is_told_too():
    class Odd:
        name = provider = "odd"

        async def stream(self, request, record):
            raise ZeroDivisionError("oops")
            yield

    run = await Agent(Odd()).run("x")
    assert (run.stop_reason, run.error.error_type) == ("error", "ZeroDivisionError")


async def test_a_cut_stream_keeps_what_had_come():
    model = ScriptedModel([cut(think("Hm.") + say("One two three four"), after=3)], ttft_s=1, gap_s=1)

    with clock.frozen():
        run = await Agent(model).run("x")

    replied = run.steps[0].model_calls[0].replied
    assert not replied.complete
    assert run.steps[0].ttft_s == 1
    assert run.messages[-1].text == "One two"
    assert run.usage.source == "missing"
    assert run.usage.output_tokens is None
    assert run.stop_reason == "llm_api_error"
    assert lint(run.messages) == []


async def test_calls_of_a_cut_stream_are_answered():
    run = await Agent(ScriptedModel([cut(call("search", query="a long query"), after=2)]), [search]).run("x")

    assert run.stop_reason == "llm_api_error"
    assert returns(run) == [("search", "error", "the run failed before this call was answered")]
    assert lint(run.messages) == []


async def test_missing_usage_is_missing_and_never_zero():
    model = ScriptedModel([call("search", query="a"), say("done", usage=False)])
    run = await Agent(model, [search]).run("x")

    assert run.steps[0].usage.total_tokens is not None
    assert run.steps[1].usage.total_tokens is None
    assert run.usage.total_tokens is None, "a sum that lacks a part is not known"


async def test_a_long_return_is_cut_with_a_note():
    @tool
    def dump() -> str:
        return "x" * 100

    run = await Agent(ScriptedModel([call("dump"), "ok"]), [dump], tool_return_limit_chars=10).run("x")
    assert returns(run)[0][2].startswith("xxxxxxxxxx... [NOTE: function output was truncated")


async def test_memory_stands_in_the_system_message_and_follows_edits():
    model = ScriptedModel([call("memory_append", label="human", text="Likes cats."), "Noted."])
    agent = Agent(model, memory={"human": "Name: Ann"}, system="Be brief.")

    run = await agent.run("I like cats")

    first, second = (next(m for m in r.messages if m.role == "system").text for r in model.requests)
    assert first == "Be brief.\n\n<memory>\n<human>\nName: Ann\n</human>\n</memory>"
    assert "Name: Ann\nLikes cats." in second
    assert [m.role for m in model.requests[1].messages] == ["system", "user", "assistant", "tool"]
    assert agent.memory.blocks == {"human": "Name: Ann\nLikes cats."}
    assert [e.source for e in run.trace.entries].count("system") == 2


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (call("memory_append", label="dog", text="x"), "there is no memory block `dog`; there are: human"),
        (call("memory_replace", label="human", old="cats", new="dogs"), "does not contain 'cats'"),
        (call("memory_append", label="human", text="y" * 60), "would have 70 characters; the limit is 50"),
    ],
    ids=["no-block", "not-there", "too-long"],
)
async def test_a_memory_edit_that_cannot_be_made_is_told_to_the_model(reply, text):
    from agentlab import Memory

    memory = Memory({"human": "Name: Ann"}, limit_chars=50)
    run = await Agent(ScriptedModel([reply, "ok"]), memory=memory).run("x")

    assert text in returns(run)[0][2]
    assert memory.blocks == {"human": "Name: Ann"}


def test_tools_of_one_name_and_reserved_parameters_are_refused():
    @tool(name="search")
    def other() -> None: ...

    @tool
    def chatty(thinking: str) -> None: ...

    with pytest.raises(ToolDefinitionError, match="two tools are called `search`"):
        Agent(ScriptedModel([]), [search, other])
    with pytest.raises(ToolDefinitionError, match="`chatty` has a parameter `thinking`"):
        Agent(ScriptedModel([]), [chatty], protocol="memgpt")
    Agent(ScriptedModel([]), [chatty])


def test_an_own_send_message_stands_in_for_the_protocols():
    @tool
    def send_message(message: str) -> str:
        return "delivered"

    agent = Agent(ScriptedModel([call("send_message", message="hi")]), [send_message], protocol="memgpt")
    run = agent.run("x").wait()

    assert returns(run) == [("send_message", "success", "delivered")]
    assert run.text == "hi"


async def test_a_thousand_runs_in_virtual_time_repeat_to_the_byte():
    model = ScriptedModel([call("search", query="a"), "done"], ttft_s=20, gap_s=1)

    async def sweep():
        with clock.frozen(seed=3):
            runs = [Agent(model, [slow_search]).run("x") for _ in range(100)]
            return [list((await run).trace) for run in runs]

    @tool(name="search")
    async def slow_search(query: str) -> str:
        await clock.sleep(30)
        return query

    first, second = await sweep(), await sweep()
    assert first == second
    assert {events[-1].t_ns for events in first} == {72_000_000_000}


async def test_the_loop_does_not_keep_the_chunks_of_readers_nobody_has():
    run = await Agent(ScriptedModel(["one two three"])).run("x")
    assert "model_delta" not in {event.type for event in run.trace}
    assert sys.getsizeof(run.trace.events) < 2000
