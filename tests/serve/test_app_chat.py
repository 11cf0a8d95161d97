"""Chat completions: what an OpenAI client reads of an agent, and what it never sees."""

from __future__ import annotations

import asyncio
import logging

import openai
import pytest

from agentlab import (
    Agent,
    ApprovalPolicy,
    ApprovalRule,
    Lab,
    Limits,
    ScriptedModel,
    approval,
    call,
    cut,
    fail,
    say,
    think,
    tool,
)
from agentlab.errors import ContextWindowError, RateLimitError, ServerError
from tests.serve.serving import (
    HEADERS,
    TOKEN,
    GatedModel,
    frames_in,
    in_process,
    look_up,
    serving,
    talker,
    told_in,
    until,
)

CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def memgpt(*replies: object, **settings: object) -> Agent:
    return Agent(ScriptedModel(replies), [look_up], protocol="memgpt", **settings)


def say_aloud(text: str, **more: object) -> object:
    return call("send_message", message=text, heartbeat=False, **more)


async def test_the_openai_client_streams_and_gets_usage_without_special_settings():
    async with serving(talker(call("look_up", word="cat"), think("hm") + say("The cat is in the library."))) as served:
        client = openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=TOKEN)
        assert [model.id async for model in client.models.list()] == ["agent"]

        stream = await client.chat.completions.create(
            model="agent", messages=[{"role": "user", "content": "where is the cat?"}], stream=True
        )
        chunks = [chunk async for chunk in stream]

        whole = await client.chat.completions.create(model="agent", messages=[{"role": "user", "content": "the cat?"}])
        await client.close()

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "The cat is in the library."
    assert len([chunk for chunk in chunks if chunk.choices[0].delta.content]) > 3
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices[0].finish_reason == "stop"
    usage = chunks[-1].usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 10
    assert usage.completion_tokens_details.reasoning_tokens == 1
    assert whole.choices[0].message.content == "The cat is in the library."
    assert whole.usage.completion_tokens == usage.completion_tokens


async def test_usage_comes_in_a_chunk_of_its_own_where_that_is_asked_for_and_not_where_it_is_declined():
    async with serving(talker()) as served:
        client = openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=TOKEN)

        async def chunks(wish: bool) -> list:
            stream = await client.chat.completions.create(
                model="agent", messages=HELLO["messages"], stream=True, stream_options={"include_usage": wish}
            )
            return [chunk async for chunk in stream]

        asked, declined = await chunks(True), await chunks(False)
        await client.close()

    assert asked[-1].choices == []
    assert asked[-1].usage.total_tokens > 0
    assert [chunk.usage for chunk in declined] == [None] * len(declined)


@pytest.mark.parametrize(
    "agent",
    [
        talker(),
        memgpt(call("look_up", word="cat", heartbeat=True), say_aloud("The cat is in the library.")),
        memgpt(
            call("look_up", word="cat", thinking="secret thought", heartbeat=True),
            say_aloud("The cat is in the library.", thinking="secret thought"),
            inner_thoughts=True,
        ),
    ],
    ids=["native", "memgpt", "inner thoughts"],
)
async def test_tools_and_thoughts_stay_hidden(agent):
    client = in_process(agent)

    streamed = (await client.post(CHAT, json={**HELLO, "stream": True})).text
    whole = (await client.post(CHAT, json=HELLO)).text

    assert told_in(streamed) == "The cat is in the library."
    for text in (streamed, whole):
        assert "secret" not in text
        assert "look_up" not in text
        assert "tool" not in text


async def test_the_text_of_send_message_is_streamed_while_its_arguments_arrive():
    said = 'Two "lines"\nwith \\ and é, 漢字 and 😀 in them, and {"message": "no"} too'
    client = in_process(memgpt(call("look_up", word="x", heartbeat=True) + think(""), say_aloud(said)))

    answer = await client.post(CHAT, json={**HELLO, "stream": True})

    pieces = [v["choices"][0]["delta"].get("content") for _, v in frames_in(answer.text) if v != "[DONE]"]
    assert told_in(answer.text) == said
    assert len([piece for piece in pieces if piece]) > 8


async def test_what_is_said_in_several_steps_is_told_apart_by_a_blank_line():
    script = [call("send_message", message="First.", heartbeat=True), say_aloud("Second.")]
    client = in_process(memgpt(*script))

    streamed = await client.post(CHAT, json={**HELLO, "stream": True})
    whole = await client.post(CHAT, json=HELLO)

    assert told_in(streamed.text) == "First.\n\nSecond."
    assert whole.json()["choices"][0]["message"]["content"] == "First.\n\nSecond."


async def test_a_message_that_somebody_may_stop_is_not_told_before_it_goes_out():
    policy = ApprovalPolicy(
        rules=(
            ApprovalRule(tool="send_message", where=('message contains "password"',), decide="deny"),
            ApprovalRule(decide="approve"),
        )
    )
    script = [call("send_message", message="The password is x.", heartbeat=True), say_aloud("I may not say it.")]

    own = in_process(memgpt(*script, approval=policy))
    with approval(policy):  # the block's policy holds like the agent's own
        in_block = await in_process(memgpt(*script)).post(CHAT, json={**HELLO, "stream": True})

    for answer in (await own.post(CHAT, json={**HELLO, "stream": True}), in_block):
        assert told_in(answer.text) == "I may not say it."


async def test_earlier_messages_become_the_history_as_the_agent_would_have_it():
    messages = [
        {"role": "system", "content": "not mine"},
        {"role": "user", "content": "I am Ann."},
        {"role": "assistant", "content": "Hello Ann."},
        {"role": "user", "content": [{"type": "text", "text": "Who"}, {"type": "text", "text": "am I?"}]},
    ]
    plain, wrapped = talker("one", "two"), memgpt(say_aloud("one"), say_aloud("two"))

    answers = [await in_process(agent).post(CHAT, json={"messages": messages}) for agent in (plain, wrapped)]

    assert [answer.json()["choices"][0]["message"]["content"] for answer in answers] == ["two", "two"]
    assert [(m.role, m.text) for m in plain.model.requests[0].messages] == [
        ("system", "not mine"),
        ("user", "I am Ann."),
        ("assistant", "Hello Ann."),
        ("user", "Who\n\nam I?"),
    ]
    system, first, said, returned, last = wrapped.model.requests[0].messages
    assert "send_message" in system.text
    assert ('"type": "user_message"' in first.text, '"type": "user_message"' in last.text) == (True, True)
    assert said.tool_calls[0].function.name == "send_message"
    assert returned.tool_call_id == said.tool_calls[0].id


async def test_an_unknown_model_is_named_with_the_one_that_is_there():
    async with serving(talker()) as served:
        client = openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=TOKEN)
        with pytest.raises(openai.NotFoundError, match="this server has 'agent'"):
            await client.chat.completions.create(model="gpt-x", messages=HELLO["messages"])
        await client.close()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ContextWindowError("too long by 5 tokens"), 400, "CONTEXT_WINDOW"),
        (RateLimitError("slow down", retryable=False), 429, "RATE_LIMIT_EXCEEDED"),
        (ServerError("the model broke", retryable=False), 502, "INTERNAL_SERVER_ERROR"),
    ],
)
async def test_a_failed_model_is_told_of_with_code_and_text(error, status, code):
    client = in_process(talker(fail(error)))

    whole = await client.post(CHAT, json=HELLO)
    streamed = frames_in((await client.post(CHAT, json={**HELLO, "stream": True})).text)

    assert (whole.status_code, whole.json()["error"]["code"]) == (status, code)
    assert error.message in whole.json()["error"]["message"]
    assert streamed[-2][1] == whole.json()
    assert [value for _, value in streamed].count("[DONE]") == 1


async def test_the_openai_client_raises_what_failed_in_the_middle_of_a_stream():

    async with serving(talker(cut("one two three four", after=2))) as served:
        client = openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=TOKEN)
        stream = await client.chat.completions.create(model="agent", messages=HELLO["messages"], stream=True)
        told: list[str] = []

        async def read() -> None:
            async for chunk in stream:
                told.append(chunk.choices[0].delta.content)  # noqa: PERF401  # what came before the error counts

        with pytest.raises(openai.APIError, match="was cut after 2 tokens"):
            await read()
        await client.close()

    assert "".join(told) == "one two"


async def test_our_own_failures_are_named_and_their_texts_kept():
    def broken(request):
        raise LookupError("the key is sk-very-secret")

    client = in_process(Agent(ScriptedModel(broken)))

    answer = await client.post(CHAT, json=HELLO)

    assert answer.status_code == 500
    assert "sk-" not in answer.text
    assert answer.json()["error"]["message"] == "the run failed (LookupError)"


async def test_an_answer_that_a_limit_cut_short_says_so():
    agent = talker(*[call("look_up", word="x")] * 3, max_steps=2, limits=Limits(tokens=10_000))

    answer = await in_process(agent).post(CHAT, json=HELLO)

    assert answer.json()["choices"][0]["finish_reason"] == "length"


async def test_a_model_that_does_not_count_gives_no_usage():

    answer = await in_process(talker(say("hi", usage=False))).post(CHAT, json=HELLO)

    assert answer.json()["usage"] is None


async def test_chat_runs_are_kept_in_the_lab_with_their_first_tokens(tmp_path):
    with Lab(tmp_path / "lab.db") as lab:
        answer = await in_process(talker(), lab=lab).post(CHAT, json={**HELLO, "user": "ann"})

        trace = lab.trace(answer.json()["id"].removeprefix("chatcmpl-"))
        assert trace.started.tags == {"user": "ann"}
        assert all(step.ttft_s is not None for step in trace.steps)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(("setting", "ended"), [("cancel", "cancelled"), ("continue", "end_turn")])
async def test_a_client_that_disappears_ends_its_run_or_not_as_wished_and_leaves_nothing(
    stream, setting, ended, caplog, tmp_path
):
    caplog.set_level(logging.DEBUG)
    model = GatedModel()
    with Lab(tmp_path / "lab.db") as lab:
        async with serving(Agent(model), lab=lab, chat_on_disconnect=setting) as served:
            await served.client.get("/healthz")
            before = asyncio.all_tasks()
            reader, writer = await asyncio.open_connection(*served.url.removeprefix("http://").split(":"))
            body = b'{"stream": %s, "messages": [{"role": "user", "content": "hi"}]}' % str(stream).lower().encode()
            head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: {HEADERS['Authorization']}\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            if stream:
                await reader.readuntil(b'"one"')
            await until(lambda: len(served.live) == 1)
            (live,) = served.live.all()

            writer.transport.abort()

            if setting == "cancel":
                await until(lambda: live.run.stop_reason is not None)
            else:
                await until(lambda: live.n_readers == 0)
                model.gate.set()
            await live.run
            await until(lambda: asyncio.all_tasks() <= before)
            await model.closed.wait()
        assert lab.trace(live.run.id).stop_reason == ended
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert TOKEN not in caplog.text


async def test_a_call_that_waits_for_a_person_holds_the_stream_open_until_somebody_decides():
    @tool
    def pay(to: str) -> str:
        """Send money."""
        return "paid"

    policy = ApprovalPolicy(rules=(ApprovalRule(tool="pay", decide="ask"),))
    agent = Agent(ScriptedModel([call("pay", to="ann"), "Done."]), [pay], approval=policy)
    async with (
        serving(agent, ping_s=0.01) as served,
        served.client.stream("POST", CHAT, json={**HELLO, "stream": True}) as answer,
    ):
        lines = answer.aiter_lines()
        while await anext(lines) != ": ping":
            pass
        await until(lambda: served.live.all()[0].run.pending)
        (waiting,) = (await served.client.get("/v1/approvals")).json()["data"]
        assert (waiting["tool"], waiting["arguments"]) == ("pay", {"to": "ann"})

        await served.client.post(f"/v1/approvals/{waiting['call_id']}", json={"action": "approve"})
        rest = "\n".join([line async for line in lines])

    assert told_in(rest) == "Done."
