"""A model over a real socket: what goes out, what comes in, when, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

import agentlab
from agentlab import clock
from agentlab.errors import InputError
from agentlab.models._arrival import CallMarks
from agentlab.models.base import CallRecord, ModelParams, ModelRequest
from agentlab.models.openai import OpenAIModel
from agentlab.models.tool_schema import SchemaTools
from agentlab.trace.chunks import ChunkKind
from tests.models.calling import SEARCH, asking, chunks_of, message, reply_of
from tests.models.sse_server import (
    DONE,
    Burst,
    Reply,
    Silence,
    SSEServer,
    Wait,
    delta,
    finish,
    piece,
    say,
    sse,
    stream,
    usage,
)

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")


def model_at(server: SSEServer, **settings: Any) -> OpenAIModel:
    return OpenAIModel("m", base_url=server.base_url, **{"api_key": "k", **settings})


async def test_a_reply_streams_in() -> None:
    async with SSEServer() as server:
        server.play(say("Hello big world"))
        record = CallRecord()

        reply = await reply_of(model_at(server), record=record)

    assert reply.content[0].model_dump()["text"] == "Hello big world"
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.finish_reason) == (10, 3, "stop")
    assert (record.response_id, record.response_model, record.retries) == ("chatcmpl-1", "m-1", 0)


async def test_a_reply_that_arrives_byte_by_byte_is_the_same() -> None:
    events = (
        delta(role="assistant", content=None),
        delta(reasoning_content="hmm, 😀"),
        b": ping\r\n\r\n",
        delta(tool_calls=[piece(0, call_id="a", name="search", arguments='{"q":')]),
        delta(tool_calls=[piece(0, arguments='"é"}')]),
        finish("tool_calls"),
        usage(),
    )
    async with SSEServer() as server:
        server.play(stream(*events), stream(*events, piece_bytes=1))
        model = model_at(server)

        whole, in_bytes = await chunks_of(model), await chunks_of(model)

    assert [(c.kind, c.content, c.reasoning, c.tool_calls, c.size_bytes) for c in whole] == [
        (c.kind, c.content, c.reasoning, c.tool_calls, c.size_bytes) for c in in_bytes
    ]


class TestRequest:
    async def test_messages_tools_and_settings_go_out_in_the_endpoints_words(self) -> None:
        async with SSEServer() as server:
            server.play(say("ok"))
            request = asking(
                tools=(SEARCH,),
                tool_choice="search",
                parallel_tool_calls=True,
                params=ModelParams(temperature=0, max_tokens=9, stop=("x",)),
            )

            await chunks_of(model_at(server), request)

            (seen,) = server.requests
        assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
        assert seen.headers["authorization"] == "Bearer k"
        assert seen.headers["accept-encoding"] == "identity"
        assert seen.json == {
            "model": "m",
            "messages": [{"role": "user", "content": "Hello?"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.0,
            "max_tokens": 9,
            "stop": ["x"],
            "tools": [{"type": "function", "function": SEARCH.model_dump()}],
            "tool_choice": {"type": "function", "function": {"name": "search"}},
            "parallel_tool_calls": True,
        }

    async def test_further_fields_and_headers_go_out_and_none_takes_a_field_out(self) -> None:
        async with SSEServer() as server:
            server.play(say("ok"))
            model = model_at(server, headers={"X-Team": "lab"}, extra_body={"top_k": 4, "stream_options": None})

            await chunks_of(model)

            (seen,) = server.requests
        assert seen.headers["x-team"] == "lab"
        assert seen.json["top_k"] == 4
        assert "stream_options" not in seen.json

    @pytest.mark.parametrize(("url", "field"), [(None, "max_completion_tokens"), ("http://host/v1", "max_tokens")])
    def test_the_limit_of_a_reply_is_called_what_the_endpoint_calls_it(self, url: str | None, field: str) -> None:
        model = OpenAIModel("m", base_url=url)

        assert f'"{field}":5'.encode() in model._writer.body(asking(params=ModelParams(max_tokens=5)))

    async def test_in_schema_mode_tools_go_out_as_a_schema_and_calls_come_back(self) -> None:
        text = '{"name": "search", "arguments": {"q": "cats"}}'
        async with SSEServer() as server:
            server.play(*(stream(*(delta(content=c) for c in text), finish(), usage()) for _ in range(2)))

            for mode in ("schema", SchemaTools(max_calls=2)):
                reply = await reply_of(model_at(server, tool_mode=mode), asking(tools=(SEARCH,)))

                assert "tools" not in server.requests[-1].json
                assert server.requests[-1].json["response_format"]["type"] == "json_schema"
                assert [(c.function.name, c.function.arguments) for c in reply.tool_calls] == [
                    ("search", '{"q": "cats"}')
                ]
                assert reply.finish_reason == "tool_calls"

    async def test_in_schema_mode_a_request_without_tools_goes_out_as_it_is(self) -> None:
        async with SSEServer() as server:
            server.play(say("plain"))

            reply = await reply_of(model_at(server, tool_mode="schema"))

            assert "response_format" not in server.requests[0].json
        assert reply.content[0].model_dump()["text"] == "plain"


class TestConnections:
    async def test_a_conversation_uses_one_connection(self) -> None:
        async with SSEServer(lambda request: say("ok")) as server:
            model = model_at(server)

            for _ in range(5):
                await chunks_of(model)

            assert server.connections == 1

    async def test_without_keep_alive_each_call_has_its_own(self) -> None:
        async with SSEServer(lambda request: say("ok")) as server:
            model = model_at(server, keep_alive=False)

            for _ in range(3):
                await chunks_of(model)

            assert server.connections == 3
            await server.all_closed()

    async def test_a_server_that_leaves_the_stream_open_after_its_end_is_not_waited_for(self) -> None:
        async with SSEServer() as server:
            server.play(stream(delta(content="Hi"), finish(), DONE, Silence(), done=False), say("again"))
            model = model_at(server)

            assert (await reply_of(model)).finish_reason == "stop"
            assert (await reply_of(model)).content[0].model_dump()["text"] == "again"
            assert server.connections == 2

    async def test_closing_the_model_closes_its_connections_and_it_can_be_used_again(self) -> None:
        async with SSEServer(lambda request: say("ok")) as server:
            model = model_at(server)
            await chunks_of(model)

            await model.aclose()

            await server.all_closed()
            await chunks_of(model)
            assert server.connections == 2

    async def test_models_that_are_collected_in_a_cycle_close_their_connections(self) -> None:
        async with SSEServer(lambda request: say("ok")) as server:
            for _ in range(20):
                model = model_at(server)
                await chunks_of(model)
                cycle: list[Any] = [model, model._endpoint._clients]
                cycle.append(cycle)
                del model, cycle

            gc.collect()  # a socket that goes unclosed is a warning, and so an error

            await server.all_closed()

    async def test_a_model_that_nobody_holds_any_more_closes_its_connections(self) -> None:
        async with SSEServer(lambda request: say("ok")) as server:
            model = model_at(server)
            await chunks_of(model)

            await asyncio.sleep(0)
            del model

            await server.all_closed()

    def test_one_model_works_in_several_event_loops_and_leaves_nothing_open_in_any(self) -> None:
        model: OpenAIModel | None = None

        async def one_call() -> int:
            nonlocal model
            async with SSEServer(lambda request: say("ok")) as server:
                model = model or OpenAIModel("m", base_url=server.base_url)
                model._endpoint._url = server.base_url
                return len(await chunks_of(model))

        assert asyncio.run(one_call()) == asyncio.run(one_call())
        gc.collect()  # an open connection would warn here, and warnings are errors
        assert model is not None
        assert len(model._endpoint._clients) == 0


class TestArrival:
    async def test_a_slow_consumer_does_not_change_the_times(self) -> None:
        gate = asyncio.Event()
        async with SSEServer() as server:
            server.play(stream(delta(content="a"), Wait(gate), delta(content="b"), delta(content="c"), finish()))
            record = CallRecord()
            async with aclosing(model_at(server).stream(asking(), record)) as chunks:
                first = await anext(chunks)
                gate.set()
                await _until(lambda: record.close_ns is not None)  # the consumer is busy meanwhile
                busy_until_ns = time.perf_counter_ns()

                rest = [chunk async for chunk in chunks]

        written_ns = dict(zip("abc", server.written_ns, strict=False))
        assert [c.content for c in (first, *rest)] == ["a", "b", "c", ""]
        for chunk in (first, *rest[:2]):
            assert written_ns[chunk.content] <= chunk.t_ns < busy_until_ns
        assert rest[-1].t_ns <= record.close_ns

    async def test_events_that_came_together_have_one_time(self) -> None:
        together = Burst(tuple(sse(delta(content=c)) for c in "abcdef"))
        async with SSEServer() as server:
            server.play(stream(together, finish()))

            *letters, _ = await chunks_of(model_at(server))

        assert len({chunk.t_ns for chunk in letters}) == 1

    async def test_the_time_that_parsing_takes_does_not_make_an_arrival_late(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        traced = CallMarks.on_trace

        async def after_slow_parsing(self: CallMarks, event: str, info: dict[str, Any]) -> None:
            if event.endswith("receive_response_headers.complete"):
                world._now_ns += 10**9
            await traced(self, event, info)

        monkeypatch.setattr(CallMarks, "on_trace", after_slow_parsing)
        async with SSEServer() as server:
            server.play(stream(delta(content="a"), finish(), early_headers=False))
            record = CallRecord()
            with agentlab.frozen() as world:
                first, *_ = await chunks_of(model_at(server), record=record)

        assert (record.request_ns, record.headers_ns, first.t_ns) == (0, 0, 0)

    async def test_the_record_gets_the_transports_instants_in_order(self) -> None:
        async with SSEServer() as server:
            server.play(say("a"), say("b"))
            model, first, second = model_at(server), CallRecord(), CallRecord()

            chunks = await chunks_of(model, record=first)
            await chunks_of(model, record=second)

        opened = ["connect_started", "connect_finished", "request_sent", "headers_received"]
        handed = ["first_token_handed_over", "slowest_arrived", "slowest_handed_over"]
        assert list(first.marks_ns) == [*opened, *handed]
        assert list(second.marks_ns) == ["request_sent", "headers_received", *handed]
        times = [first.request_ns, *(first.marks_ns[name] for name in opened), chunks[0].t_ns, first.close_ns]
        assert times == sorted(times)  # type: ignore[type-var]
        assert first.headers_ns == first.marks_ns["headers_received"]


class TestHandOver:
    async def test_a_consumer_that_is_busy_makes_later_tokens_wait_and_the_record_says_how_long(self) -> None:
        async with SSEServer() as server:
            server.play(stream(delta(role="assistant"), delta(content="a"), delta(content="b"), finish()))
            record, seen = CallRecord(), dict[str, tuple[int, int]]()
            async with aclosing(model_at(server).stream(asking(), record)) as chunks:
                async for chunk in chunks:
                    seen[chunk.content] = (chunk.t_ns, clock.monotonic_ns())
                    if chunk.content == "a":
                        time.sleep(0.05)  # noqa: ASYNC251  # as a consumer does that works instead of reading

        marks, (a_came, a_seen), (b_came, b_seen) = record.marks_ns, seen["a"], seen["b"]
        assert a_came <= marks["first_token_handed_over"] <= a_seen
        assert marks["slowest_arrived"] == b_came
        assert a_seen + 50_000_000 <= marks["slowest_handed_over"] <= b_seen

    async def test_what_is_held_back_before_the_first_token_did_not_wait_for_the_consumer(self) -> None:
        gate = asyncio.Event()
        async with SSEServer() as server:
            server.play(stream(delta(role="assistant"), Wait(gate), delta(content="a"), finish()))
            record = CallRecord()
            calling = asyncio.ensure_future(chunks_of(model_at(server), record=record))
            await _until(lambda: record.headers_ns is not None)
            gate.set()
            chunks = await calling

        said = next(chunk for chunk in chunks if chunk.content)
        assert chunks[0].t_ns < said.t_ns
        assert record.marks_ns["slowest_arrived"] == said.t_ns
        assert record.marks_ns["slowest_handed_over"] == record.marks_ns["first_token_handed_over"]

    async def test_a_reply_without_a_token_hands_none_over(self) -> None:
        async with SSEServer() as server:
            server.play(stream(delta(role="assistant"), finish()))
            record = CallRecord()

            await chunks_of(model_at(server), record=record)

        assert "headers_received" in record.marks_ns
        assert [name for name in record.marks_ns if "handed" in name or "slowest" in name] == []

    async def test_a_consumer_that_stops_early_has_got_the_first_token(self) -> None:
        async with SSEServer() as server:
            server.play(stream(delta(content="a"), Silence(), done=False))
            record = CallRecord()
            async with aclosing(model_at(server).stream(asking(), record)) as chunks:
                first = await anext(chunks)

        assert record.marks_ns["first_token_handed_over"] >= first.t_ns


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # nothing but the model could set an event
        await asyncio.sleep(0)


async def _until_idle() -> None:
    """Return when everything that can happen without us has happened a good while ago."""
    for _ in range(2000):
        await asyncio.sleep(0)


class TestGivingUp:
    async def test_closing_early_closes_the_connection_and_leaves_no_task(self) -> None:
        async with SSEServer() as server:
            server.play(stream(delta(content="a"), Silence(), done=False))
            before, model, record = asyncio.all_tasks() - server.tasks, model_at(server), CallRecord()
            async with aclosing(model.stream(asking(), record)) as chunks:
                await anext(chunks)

            await server.hung_up.wait()
            assert asyncio.all_tasks() - server.tasks == before
            assert record.close_ns is not None

    @pytest.mark.parametrize(
        "reply",
        [
            pytest.param(stream(Silence(), done=False, early_headers=False), id="before the headers"),
            pytest.param(stream(Silence(), done=False), id="before the first event"),
            pytest.param(stream(delta(content="a"), Silence(), done=False), id="in the reply"),
        ],
    )
    async def test_cancelling_closes_the_connection_and_leaves_no_task(self, reply: Reply) -> None:
        async with SSEServer() as server:
            server.play(reply)
            before, model = asyncio.all_tasks() - server.tasks, model_at(server)
            call = asyncio.create_task(chunks_of(model))
            await server.asked.wait()
            await _until_idle()

            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

            await server.hung_up.wait()
            assert asyncio.all_tasks() - server.tasks == before

    async def test_after_a_cancelled_call_the_next_one_works(self) -> None:
        async with SSEServer() as server:
            server.play(stream(delta(content="a"), Silence(), done=False), say("b"))
            model = model_at(server)
            async with aclosing(model.stream(asking(), CallRecord())) as chunks:
                await anext(chunks)

            assert (await reply_of(model)).content[0].model_dump()["text"] == "b"


class TestSettings:
    @pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://host/v1", "http://", "v1"])
    def test_an_address_that_is_none_is_refused_at_once(self, url: str) -> None:
        with pytest.raises(InputError, match="it takes an address such as"):
            OpenAIModel("m", base_url=url)

    def test_an_unknown_tool_mode_is_refused(self) -> None:
        with pytest.raises(InputError, match="'native', 'schema' or a SchemaTools"):
            OpenAIModel("m", tool_mode="magic")  # type: ignore[arg-type]

    def test_a_header_that_cannot_be_sent_is_refused_without_showing_it(self) -> None:
        with pytest.raises(InputError, match="'X-Key'") as caught:
            OpenAIModel("m", headers={"X-Key": "hush\nhush"})

        assert "hush" not in str(caught.value)

    @pytest.mark.parametrize(
        ("url", "given", "provider"),
        [
            (None, None, "openai"),
            ("https://api.groq.com/openai/v1", None, "api.groq.com"),
            ("http://localhost:1234/v1", "lmstudio", "lmstudio"),
        ],
    )
    def test_the_provider_is_named_after_the_host(self, url: str | None, given: str | None, provider: str) -> None:
        assert OpenAIModel("m", base_url=url, provider=given).provider == provider

    def test_the_address_may_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", "http://host/v1")

        assert repr(OpenAIModel("m")) == "OpenAIModel('m', base_url='http://host/v1', provider='host')"


class TestWrittenMessages:
    def test_a_message_is_written_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written: list[str] = []
        from agentlab.models import _wire

        real = _wire.message_to_openai
        monkeypatch.setattr(_wire, "message_to_openai", lambda m, **kw: written.append(m.text) or real(m, **kw))
        writer = _wire.RequestWriter("m")
        messages = [message("user", "one"), message("user", "two")]

        first = writer.body(ModelRequest(messages=messages))
        again = writer.body(ModelRequest(messages=[*messages, message("user", "three")]))

        assert written == ["one", "two", "three"]
        assert first[:-1] in again or b'"one"' in again

    def test_what_is_kept_stays_within_its_limit_and_is_right_beyond_it(self) -> None:
        from agentlab.models._wire import RequestWriter

        writer = RequestWriter("m", kept_bytes=10_000)
        messages = [message("user", "x" * 1000) for _ in range(50)]

        bodies = {writer.body(ModelRequest(messages=messages)) for _ in range(2)}

        assert len(bodies) == 1
        assert len(writer._kept) <= 4

    def test_text_that_is_no_unicode_is_written_all_the_same(self) -> None:
        from agentlab.models._wire import _json

        assert _json({"a": "\ud83d", "b": 2**70}) == b'{"a":"\\ud83d","b":1180591620717411303424}'

    async def test_approvals_are_written_in_their_place(self) -> None:
        from agentlab.messages.message import ApprovalReturn, FunctionCall, ToolCall
        from agentlab.models._wire import RequestWriter

        call = ToolCall(id="c1", function=FunctionCall(name="f", arguments="{}"))
        messages = [
            message("user", "go"),
            message("approval", "may I?", tool_calls=(call,)),
            message("approval", "", approvals=(ApprovalReturn(tool_call_id="c1", approve=True),)),
            message("tool", "done", tool_call_id="c1"),
        ]

        body = RequestWriter("m").body(ModelRequest(messages=messages))

        assert [m["role"] for m in __import__("json").loads(body)["messages"]] == ["user", "assistant", "tool"]


async def test_kinds_are_plain_numbers_that_pack() -> None:
    async with SSEServer() as server:
        server.play(say("a"))

        assert all(type(c.kind) is int for c in await chunks_of(model_at(server)))
        assert ChunkKind.DONE < 256
