"""What goes wrong on the way: a full window, failing calls, broken replies, hostile tools; and what follows."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from agentlab import (
    Agent,
    ApprovalPolicy,
    ApprovalRule,
    DropOldest,
    NoCompaction,
    Retries,
    ScriptedModel,
    Summarize,
    Trace,
    approval,
    call,
    clock,
    cut,
    fail,
    say,
    think,
    tool,
)
from agentlab.agent.compaction import as_text, split
from agentlab.errors import (
    AuthenticationError,
    ConnectionLostError,
    ContextWindowError,
    RateLimitError,
    ServerError,
)
from agentlab.messages import builders, envelopes
from agentlab.messages.calls import tool_call
from agentlab.messages.history import lint

BOTH = pytest.mark.parametrize("protocol", ["native", "memgpt"])


@tool
async def search(query: str) -> str:
    """Search the notes."""
    return f"{query}: found"


class Window:
    """A script for a model that reads only so many messages at once."""

    def __init__(self, limit: int, *, steps: int, protocol: str = "native", summary: Any = "They searched.") -> None:
        self.limit, self.steps, self.summary, self.protocol = limit, steps, summary, protocol
        self.told: list[str] = []

    def __call__(self, request: Any) -> Any:
        if not request.tools:
            self.told.append(request.messages[-1].text)
            return self.summary
        assert lint(request.messages) == [], "no provider would take this"
        if len(request.messages) > self.limit:
            return fail(ContextWindowError(f"{len(request.messages)} messages are too many"))
        if request.turn < self.steps:
            return call("search", query=f"q{request.turn}", heartbeat=True if self.protocol == "memgpt" else None)
        return call("send_message", message="Done.") if self.protocol == "memgpt" else "Done."


async def run_in(window: Window, compaction: Any, **settings: Any) -> Any:
    model = ScriptedModel(window)
    agent = Agent(model, [search], compaction=compaction, protocol=window.protocol, system="Be brief.", **settings)
    run = await agent.run("Find all of it.")
    assert lint(run.messages) == []
    return run


def compactions(run: Any) -> list[Any]:
    return [event for event in run.trace if event.type == "context_compacted"]


async def test_without_compaction_a_full_window_stops_the_run():
    run = await run_in(Window(6, steps=9), NoCompaction())

    assert run.stop_reason == "context_window"
    assert (run.error.code, run.error.message) == ("CONTEXT_WINDOW", "8 messages are too many")
    assert len(run.steps[-1].model_calls) == 1, "nothing is tried again"


@BOTH
@pytest.mark.parametrize("compaction", [DropOldest(), Summarize()], ids=["drop", "summary"])
async def test_compaction_makes_room_and_the_run_goes_on(compaction, protocol):
    window = Window(9, steps=8, protocol=protocol)
    run = await run_in(window, compaction)

    assert run.stop_reason == "end_turn"
    assert run.text == "Done."
    assert [c.arguments for c in (m.tool_calls[0].function for m in run.trace.messages if m.tool_calls)][-1:] != []
    queries = [orjson.loads(r.started.arguments).get("query") for r in run.trace.tool_calls.values()]
    assert queries[:8] == [f"q{n}" for n in range(8)], "the model's place in the work is kept"
    assert {event.how for event in compactions(run)} == {"drop" if isinstance(compaction, DropOldest) else "summary"}
    assert len(run.steps) == 9, "another try belongs to its step"


async def test_what_is_dropped_is_the_oldest_and_the_question_stays():
    run = await run_in(Window(9, steps=5), DropOldest(keep_fraction=0.5))

    (event,) = compactions(run)
    gone = [entry.message for entry in run.trace.entries if entry.message.id in event.removed]
    assert [m.role for m in gone] == ["assistant", "tool"] * 2
    texts = [m.text for m in run.messages]
    assert texts[:2] == ["Be brief.", "Find all of it."]
    assert texts[2:] == ["", "q2: found", "", "q3: found", "", "q4: found", "Done."]
    assert len(run.trace.entries) == 13, "the trace keeps them all"


async def test_a_summary_stands_in_the_place_of_what_left():
    window = Window(9, steps=5)
    run = await run_in(window, Summarize(keep_fraction=0.5, instructions="Sum up."))

    (event,) = compactions(run)
    assert [m.text for m in run.messages][:3] == [
        "Be brief.",
        "4 of the 10 messages of this conversation are no longer shown. A summary of them:\nThey searched.",
        "Find all of it.",
    ]
    assert event.summary.role == "user"
    assert "[calls search" in window.told[0]
    assert "q0: found" in window.told[0]
    assert "q2: found" not in window.told[0]


async def test_a_summary_is_a_system_alert_in_memgpt():
    run = await run_in(Window(9, steps=5, protocol="memgpt"), Summarize(keep_fraction=0.5))

    note = envelopes.unpack(compactions(run)[0].summary.text)
    assert note.kind == "system_alert"
    assert note.text.endswith("A summary of them:\nThey searched.")


async def test_the_tokens_of_a_summary_are_booked_apart():
    run = await run_in(Window(9, steps=5), Summarize())

    assert [record.called.purpose for record in run.trace.side_calls] == ["compaction"]
    assert run.trace.side_usage.output_tokens == 3
    answered = [record for record in run.trace.model_calls if record.replied.complete]
    assert len(run.trace.model_calls) == len(answered) + 1
    assert sum(record.usage.total_tokens for record in answered) == sum(
        step.model_calls[-1].usage.total_tokens for step in run.steps
    )


async def test_a_window_that_is_still_full_stops_the_run_after_one_more_try():
    run = await run_in(Window(2, steps=5), DropOldest(keep_fraction=0.9), max_steps=9)

    assert run.stop_reason == "context_window"
    assert len(compactions(run)) <= 1
    assert len(run.steps[-1].model_calls) <= 2

    always = ScriptedModel(
        lambda request: fail(ContextWindowError("no")) if request.turn == 3 else call("search", query="a")
    )
    run = await Agent(always, [search], compaction=DropOldest()).run("x")
    assert run.stop_reason == "context_window"
    assert [len(step.model_calls) for step in run.steps] == [1, 1, 1, 2]
    assert len(compactions(run)) == 1
    assert lint(run.messages) == []


@pytest.mark.parametrize("compaction", [DropOldest(), Summarize()], ids=["drop", "summary"])
async def test_where_nothing_can_leave_nothing_is_tried(compaction):
    model = ScriptedModel(lambda request: fail(ContextWindowError("no")))
    run = await Agent(model, [search], compaction=compaction, system="Be brief.").run("x")

    assert run.stop_reason == "context_window"
    assert len(model.requests) == 1, "the question itself never leaves"
    assert compactions(run) == []


async def test_nothing_but_the_question_before_the_newest_call_can_leave():
    def script(request: Any) -> Any:
        return call("search", query="a") if request.turn == 0 else fail(ContextWindowError("no"))

    model = ScriptedModel(script)
    run = await Agent(model, [search], compaction=DropOldest()).run("x")

    assert (run.stop_reason, len(model.requests)) == ("context_window", 2)
    assert compactions(run) == []


async def test_a_summary_that_does_not_fit_either_stops_the_run():
    run = await run_in(Window(9, steps=5, summary=fail(ContextWindowError("too long to sum up"))), Summarize())

    assert run.stop_reason == "context_window"
    assert compactions(run) == []
    assert [record.replied.complete for record in run.trace.side_calls] == [False]


async def test_a_summary_that_fails_otherwise_fails_the_run():
    run = await run_in(Window(9, steps=5, summary=fail(AuthenticationError("no key"))), Summarize())

    assert (run.stop_reason, run.error.code) == ("llm_api_error", "UNAUTHENTICATED")


async def test_each_step_may_make_room_once():
    run = await run_in(Window(7, steps=12), DropOldest(keep_fraction=0.5))

    assert run.stop_reason == "end_turn"
    assert len(compactions(run)) >= 3
    assert max(len(step.model_calls) for step in run.steps) == 2


async def test_a_conversation_that_was_made_shorter_goes_on_in_the_next_run():
    window = Window(9, steps=6)
    first = await run_in(window, Summarize())
    second = await Agent(ScriptedModel(lambda request: "Hello again."), [search]).run("And?", history=first)

    assert second.text == "Hello again."
    assert lint(second.messages) == []


async def test_making_room_does_not_use_up_the_tries_for_failing_calls():
    errors = iter([ContextWindowError("full"), RateLimitError("slow down"), None])

    def script(request: Any) -> Any:
        if request.turn < 2:
            return call("search", query="a")
        error = next(errors)
        return fail(error) if error else "Done."

    with clock.frozen():
        model = ScriptedModel(script)
        run = await Agent(model, [search], compaction=DropOldest(), retries=Retries(model_errors=1, wait_s=3)).run("x")

    assert run.stop_reason == "end_turn"
    assert run.trace.duration_s == 3
    assert [request.attempt for request in model.requests] == [0, 0, 0, 1, 2]


async def test_no_room_is_made_while_a_decision_is_pending():
    policy = ApprovalPolicy(
        rules=(ApprovalRule(where=("query == q1",), decide="ask"), ApprovalRule(decide="approve")), unattended="pause"
    )
    window = Window(5, steps=4)
    model = ScriptedModel(window)
    agent = Agent(model, [search], compaction=DropOldest(keep_fraction=0.4), approval=policy)
    paused = await agent.run("x")
    assert paused.status == "paused"
    assert compactions(paused) == []
    with approval(policy.model_copy(update={"unattended": "approve"})):
        run = await agent.resume(paused)

    events = [event.type for event in run.trace]
    assert run.stop_reason == "end_turn"
    assert events.index("context_compacted") > events.index("run_resumed")
    assert lint(run.messages) == []


def conversation(*roles: str) -> list[Any]:
    """Messages; a `tool` answers the `call` before it."""
    made: list[Any] = []
    for role in roles:
        if role == "tool":
            made.append(builders.tool_message(made[-1].tool_calls[0].id, "search", "found"))
        elif role == "call":
            made.append(builders.assistant_message("", [tool_call("search", {"query": "a"})]))
        elif role == "assistant":
            made.append(builders.assistant_message("text"))
        else:
            made.append(builders.system_message("s") if role == "system" else builders.user_message(role))
    return made


@pytest.mark.parametrize(
    ("roles", "keep", "leaving"),
    [
        (("system", "user", "call", "tool", "call", "tool"), 0.5, ["user", "call", "tool"]),
        (("system", "user", "call", "tool", "call", "tool"), 0.3, ["user", "call", "tool"]),
        (("user", "call", "tool"), 0.3, []),
        (("user", "call", "tool", "assistant"), 0.3, ["user", "call", "tool"]),
        (("user", "assistant", "user", "assistant", "user"), 0.5, ["user", "assistant", "user"]),
        (("user",), 0.5, []),
        ((), 0.5, []),
    ],
    ids=["half", "never-parts-a-call", "one-call", "answered", "talk", "question", "empty"],
)
def test_what_leaves_never_parts_a_call_from_its_return(roles, keep, leaving):
    messages = conversation(*roles)
    gone, kept = split(messages, keep)

    assert gone + kept == [m for m in messages if m.role != "system"]
    assert [m.role for m in gone] == ["assistant" if role == "call" else role for role in leaving]
    assert lint(gone) == lint(kept) == []


def test_what_is_summed_up_is_told_as_text_and_long_messages_are_cut():
    user, asking, answer = conversation("user", "call", "tool")
    long = builders.user_message("x" * 2000)

    assert as_text([user, asking, answer]) == 'user: user\n\nassistant: [calls search {"query":"a"}]\n\ntool: found'
    assert as_text([long]).endswith("… (500 characters more)")


# Model calls that fail


async def test_a_call_that_failed_is_tried_again_after_a_while():
    script = [[*[fail(RateLimitError("slow down"))] * 3, "Done."]]
    with clock.frozen():
        model = ScriptedModel(script)
        run = await Agent(model, retries=Retries(model_errors=3, wait_s=2)).run("x")

    assert (run.stop_reason, run.text) == ("end_turn", "Done.")
    assert [record.called.t_ns / 1e9 for record in run.trace.model_calls] == [0, 2, 6, 14]
    assert [request.attempt for request in model.requests] == [0, 1, 2, 3]
    assert [error.message for error in run.trace.errors] == ["tried again: slow down"] * 3
    assert run.error is None, "it did not end the run"
    assert run.usage.total_tokens is None, "what the failed calls used is not known"


@pytest.mark.parametrize(("wish_s", "waited_s"), [(7.5, 7.5), (0.0, 0.0), (None, 2.0)], ids=["seven", "none", "unsaid"])
async def test_the_servers_own_wish_goes_before(wish_s, waited_s):
    with clock.frozen():
        script = [[fail(RateLimitError("slow down", retry_after_s=wish_s)), "Done."]]
        run = await Agent(ScriptedModel(script), retries=Retries(model_errors=1, wait_s=2)).run("x")

    assert run.trace.duration_s == waited_s


@pytest.mark.parametrize(
    ("script", "retries", "calls", "code"),
    [
        ([[fail(RateLimitError("a"))] * 5], 2, 3, "RATE_LIMIT_EXCEEDED"),
        ([[fail(RateLimitError("a"))] * 5], 0, 1, "RATE_LIMIT_EXCEEDED"),
        ([[fail(AuthenticationError("no key")), "Done."]], 3, 1, "UNAUTHENTICATED"),
        ([[fail(RateLimitError("quota", retryable=False)), "Done."]], 3, 1, "RATE_LIMIT_EXCEEDED"),
        ([[cut("one two three", after=2), "Done."]], 3, 1, "CONNECTION_LOST"),
    ],
    ids=["used-up", "never", "no-use", "quota", "words-had-come"],
)
async def test_a_call_that_is_not_worth_another_try_ends_the_run(script, retries, calls, code):
    with clock.frozen():
        model = ScriptedModel(script)
        run = await Agent(model, retries=Retries(model_errors=retries)).run("x")

    assert (run.stop_reason, run.error.code) == ("llm_api_error", code)
    assert len(model.requests) == calls
    assert lint(run.messages) == []


class Flaky:
    """A model whose first tries break off, after some chunks."""

    name = provider = "flaky"

    def __init__(self, before: Any, *, retryable: bool = True) -> None:
        self.before, self.error = before, ConnectionLostError("gone", retryable=retryable)

    async def stream(self, request: Any, record: Any) -> Any:
        inner = ScriptedModel([self.before if request.attempt == 0 else "Done."])
        async for chunk in inner.stream(request, record):
            if request.attempt == 0 and chunk.finish_reason:
                raise self.error
            yield chunk


@pytest.mark.parametrize(
    ("before", "calls"),
    [("", 2), ("Some words.", 1), (think("Hm."), 1), (call("search", query="a"), 1)],
    ids=["role-only", "words", "thoughts", "a-call"],
)
async def test_a_reply_of_which_something_had_come_is_not_asked_for_again(before, calls):
    run = await Agent(Flaky(before), [search], retries=Retries(model_errors=1, wait_s=0)).run("x")

    assert len(run.trace.model_calls) == calls
    assert run.stop_reason == ("end_turn" if calls == 2 else "llm_api_error")
    assert lint(run.messages) == []


async def test_a_run_is_cancelled_while_it_waits_for_another_try():
    with clock.frozen():
        script = [[fail(ServerError("busy")), "Done."]]
        run = Agent(ScriptedModel(script), retries=Retries(model_errors=1, wait_s=3600)).run("x")
        async for event in run:
            if event.type == "error_raised":
                break
        await asyncio.sleep(0)
        run.cancel()
        await run

    assert (run.stop_reason, run.trace.duration_s) == ("cancelled", 0)
    assert lint(run.messages) == []


# Broken replies

HALF = call("search", '{"query": "ca')


@BOTH
@pytest.mark.parametrize("broken", [HALF, call("search", "[]"), HALF + HALF], ids=["half", "no-object", "two"])
async def test_a_broken_reply_is_told_once_and_then_stops_the_run(protocol, broken):
    run = await Agent(ScriptedModel([broken, broken, "never asked"]), [search], protocol=protocol).run("x")

    assert run.stop_reason == "invalid_llm_response"
    assert [step.decision.policy for step in run.steps] == ["broken_reply"] * 2
    assert "bad arguments" in next(m for m in run.messages if m.role == "tool").text
    assert lint(run.messages) == []


@BOTH
async def test_a_good_reply_between_two_broken_ones_forgives_the_first(protocol):
    good = call("search", query="a", heartbeat=True if protocol == "memgpt" else None)
    last = call("send_message", message="Done.") if protocol == "memgpt" else "Done."
    run = await Agent(ScriptedModel([HALF, good, HALF, last]), [search], protocol=protocol).run("x")

    assert (run.stop_reason, run.text) == ("end_turn", "Done.")


async def test_a_reply_of_which_one_call_can_be_read_is_not_broken():
    reply = HALF + call("search", query="a")
    run = await Agent(ScriptedModel([reply, reply, "Done."]), [search]).run("x")

    assert run.stop_reason == "end_turn"


@pytest.mark.parametrize("forgiven", [0, 3])
async def test_how_often_a_broken_reply_is_forgiven_is_a_setting(forgiven):
    model = ScriptedModel(lambda request: HALF)
    run = await Agent(model, [search], retries=Retries(broken_replies=forgiven)).run("x")

    assert (run.stop_reason, len(run.steps)) == ("invalid_llm_response", forgiven + 1)


@pytest.mark.parametrize("empty", ["", think("Only thoughts.")], ids=["nothing", "thoughts"])
async def test_an_empty_reply_ends_a_native_turn_and_is_broken_in_memgpt(empty):
    run = await Agent(ScriptedModel([empty]), [search]).run("x")
    assert (run.stop_reason, run.text) == ("end_turn", None)
    assert lint(run.messages) == []

    run = await Agent(ScriptedModel([empty, call("send_message", message="Sorry.")]), [search], protocol="memgpt").run(
        "x"
    )
    assert (run.stop_reason, run.text) == ("end_turn", "Sorry.")
    assert lint(run.messages) == []


async def test_a_resumed_run_remembers_that_it_has_told_the_model():
    model = ScriptedModel([HALF, HALF, "never asked"])
    whole = await Agent(model, [search]).run("x")
    end_of_step = next(event.seq for event in whole.trace if event.type == "step_finished")
    run = await Agent(ScriptedModel([HALF, HALF, HALF]), [search]).resume(Trace(whole.trace.events[: end_of_step + 1]))

    assert (run.stop_reason, len(run.steps)) == ("invalid_llm_response", 2)


# Hostile tools and arguments


class RudeError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "result",
    ["half a pair: \ud83d", ["\udcff.txt"], {"name": "\ud83d"}, Mute(), {"deep": None}, float("nan"), b"\xff", "\x00"],
    ids=["surrogate", "file-name", "in-a-dict", "mute", "deep", "nan", "bytes", "null"],
)
@BOTH
async def test_whatever_a_tool_returns_the_run_goes_on_and_its_trace_can_be_written(result, protocol, tmp_path):
    @tool
    async def odd() -> Any:
        if result == {"deep": None}:
            deep: Any = None
            for _ in range(3000):
                deep = [deep]
            return deep
        return result

    script = (
        [call("odd", heartbeat=True), call("send_message", message="ok")]
        if protocol == "memgpt"
        else [call("odd"), "ok"]
    )
    run = await Agent(ScriptedModel(script), [odd], protocol=protocol).run("x")

    assert (run.stop_reason, run.text) == ("end_turn", "ok")
    assert Trace.from_jsonl(run.trace.to_jsonl(tmp_path / "run.jsonl")).events == run.trace.events


async def test_an_exception_that_cannot_be_told_becomes_a_failed_return_too():
    @tool
    async def odd() -> None:
        raise RudeError

    run = await Agent(ScriptedModel([call("odd"), "ok"]), [odd]).run("x")

    assert (run.stop_reason, run.text) == ("end_turn", "ok")
    assert "RudeError" in run.messages[2].text


DEEP = '{"query": ' + "[" * 600 + "]" * 600 + "}"


@pytest.mark.parametrize(
    "arguments",
    [
        DEEP,
        '{"query": "\\ud83d"}',
        '{"query": 1e999}',
        '{"query": ' + "9" * 40 + "}",
        '{"query": NaN}',
        "\x00",
        '"' + "\\" * 9,
    ],
    ids=["deep", "surrogate", "huge-float", "huge-int", "nan", "null", "escapes"],
)
@BOTH
async def test_whatever_arguments_a_model_writes_the_run_goes_on(arguments, protocol, tmp_path):
    last = call("send_message", message="ok") if protocol == "memgpt" else "ok"
    run = await Agent(ScriptedModel([call("search", arguments), last]), [search], protocol=protocol).run("x")

    assert (run.stop_reason, run.text) == ("end_turn", "ok")
    assert next(iter(run.trace.tool_calls.values())).status == "error"
    assert Trace.from_jsonl(run.trace.to_jsonl(tmp_path / "run.jsonl")).events == run.trace.events
    assert lint(run.messages) == []


@pytest.mark.parametrize("as_async", [True, False], ids=["async", "plain"])
async def test_not_even_an_exception_that_is_none_of_pythons_ends_the_run(as_async):
    class Wild(BaseException):
        pass

    async def wild_async() -> None:
        raise Wild

    def wild() -> None:
        raise Wild

    tools = [tool(name="wild")(wild_async if as_async else wild), search]
    run = await Agent(ScriptedModel([call("wild") + call("search", query="a"), "ok"]), tools).run("x")

    assert (run.stop_reason, run.text) == ("end_turn", "ok")
    assert [record.status for record in run.trace.tool_calls.values()] == ["error", "success"]


async def test_a_run_that_is_cancelled_the_moment_it_is_resumed_leaves_a_whole_history():
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), unattended="pause")
    agent = Agent(ScriptedModel([call("search", query="a"), say("never")]), [search], approval=policy)
    paused = await agent.run("x")
    run = agent.resume(paused)
    run.cancel()
    await run

    assert run.stop_reason == "cancelled"
    assert run.messages[-1].text == "Error: the run was cancelled before this call was answered"
    assert lint(run.messages) == []


def test_a_resumed_run_that_is_cancelled_before_its_loop_runs_leaves_a_whole_history():
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), unattended="pause")
    agent = Agent(ScriptedModel([call("search", query="a"), say("never")]), [search], approval=policy)
    run = agent.resume(agent.run("x").wait())
    run.cancel()

    assert run.wait().stop_reason == "cancelled"
    assert lint(run.messages) == []


async def test_a_paused_run_is_resumed_once():
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), unattended="pause")
    agent = Agent(ScriptedModel([call("search", query="a"), "Done."]), [search], approval=policy)
    paused = await agent.run("x")
    await agent.resume(paused)

    with pytest.raises(RuntimeError, match="was resumed"):
        agent.resume(paused)
