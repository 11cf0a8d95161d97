"""What goes wrong with endpoints, over real sockets: the error's class, what its text says and what it never says."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from typing import Any

import pytest

import agentlab
from agentlab.errors import (
    AuthenticationError,
    ConnectionLostError,
    ContextWindowError,
    InvalidReplyError,
    ModelError,
    ModelNotFoundError,
    RateLimitError,
    RequestRefusedError,
    ServerError,
)
from agentlab.models._retry import retry_after_s
from agentlab.models.base import CallRecord
from agentlab.models.openai import OpenAIModel
from tests.models.calling import SEARCH, asking, chunks_and_error, chunks_of, reply_of
from tests.models.sse_server import (
    HangUp,
    Reply,
    Silence,
    SSEServer,
    delta,
    error_reply,
    finish,
    piece,
    say,
    sse,
    stream,
    usage,
)

KEY = "sk-very-secret-0123456789"
HTML = b"<!DOCTYPE html><html><head><title>Bad\n gateway</title></head><body>nginx</body></html>"


def model_at(server: SSEServer, **settings: Any) -> OpenAIModel:
    return OpenAIModel("m-9", base_url=server.base_url, **{"api_key": KEY, "max_retries": 0, **settings})


async def failure(reply: Reply, **settings: Any) -> ModelError:
    """The error of a call that gets this reply."""
    async with SSEServer() as server:
        server.play(reply)
        with pytest.raises(ModelError) as caught:
            await chunks_of(model_at(server, **settings))
    return caught.value


def page(body: bytes, status: int = 200, content_type: str = "text/html") -> Reply:
    return Reply(steps=(body,), status=status, headers={"Content-Type": content_type})


REFUSALS = [
    pytest.param(error_reply(401, "Incorrect API key"), AuthenticationError, "refused the key", id="401"),
    pytest.param(error_reply(403, "No."), AuthenticationError, "does not allow this key to use `m-9`", id="403"),
    pytest.param(
        error_reply(404, "The model `m-9` does not exist"), ModelNotFoundError, "no model `m-9`", id="no model"
    ),
    pytest.param(error_reply(404, "?", code="model_not_found"), ModelNotFoundError, "no model", id="no model, by code"),
    pytest.param(error_reply(400, "m-9 is not a valid model ID"), ModelNotFoundError, "no model", id="no model, 400"),
    pytest.param(page(b"404 page not found", 404, "text/plain"), RequestRefusedError, "ends in /v1", id="no such path"),
    pytest.param(error_reply(429, "Slow down", code="rate_limit_exceeded"), RateLimitError, "Slow down", id="429"),
    pytest.param(error_reply(429, "Pay", code="insufficient_quota"), RateLimitError, "quota", id="quota"),
    pytest.param(error_reply(402, "Pay"), RateLimitError, "quota", id="402"),
    pytest.param(
        error_reply(400, "?", code="context_length_exceeded"), ContextWindowError, "window", id="overflow, code"
    ),
    pytest.param(
        error_reply(400, "too big", code="400", type="exceed_context_size_error"),
        ContextWindowError,
        "too big",
        id="overflow, type",
    ),
    pytest.param(
        error_reply(400, "This model's maximum context length is 4096 tokens."),
        ContextWindowError,
        "4096",
        id="overflow, text",
    ),
    pytest.param(error_reply(400, "prompt is too long: 9 > 8"), ContextWindowError, "9 > 8", id="overflow, other text"),
    pytest.param(error_reply(400, "temperature must be ≤ 2"), RequestRefusedError, "must be ≤ 2", id="400"),
    pytest.param(
        page(b'{"detail":[{"loc":["body"],"msg":"extra field"}]}', 422, "application/json"),
        RequestRefusedError,
        "extra field",
        id="422 with details",
    ),
    pytest.param(error_reply(500, "Boom"), ServerError, "failed (status 500): Boom", id="500"),
    pytest.param(error_reply(503, "Loading model"), ServerError, "Loading model", id="503"),
    pytest.param(page(HTML, 502), ServerError, "Bad gateway", id="a proxy's page"),
    pytest.param(page(b"", 500), ServerError, "failed (status 500)", id="no text at all"),
    pytest.param(page(b'"just a text"', 500), ServerError, "just a text", id="a JSON string"),
]


@pytest.mark.parametrize(("reply", "error", "text"), REFUSALS)
async def test_a_refusal_has_its_class_and_says_what_was_seen(reply: Reply, error: type[ModelError], text: str) -> None:
    caught = await failure(reply)

    assert type(caught) is error
    assert text in str(caught)
    assert "127.0.0.1" in str(caught)
    assert caught.status == reply.status
    assert str(pickle.loads(pickle.dumps(caught))) == str(caught)  # noqa: S301  # a sweep sends errors between processes


@pytest.mark.parametrize(
    ("reply", "retryable"),
    [
        pytest.param(error_reply(429, "Slow down"), True, id="pace"),
        pytest.param(error_reply(429, "Pay", code="insufficient_quota"), False, id="quota"),
        pytest.param(error_reply(500, "Boom"), True, id="server"),
        pytest.param(error_reply(408, "Late"), True, id="request timed out"),
        pytest.param(error_reply(400, "No"), False, id="refused"),
        pytest.param(error_reply(401, "No"), False, id="key"),
    ],
)
async def test_an_error_tells_whether_trying_again_may_help(reply: Reply, retryable: bool) -> None:
    assert (await failure(reply)).retryable is retryable


BAD_REPLIES = [
    pytest.param(page(HTML), InvalidReplyError, "a web page ('Bad gateway'); check `base_url`", id="a web page"),
    pytest.param(page(b"Hello there", content_type="text/plain"), InvalidReplyError, "'Hello there'", id="plain text"),
    pytest.param(page(b'{"status": "ok"}'), InvalidReplyError, "no event stream", id="some other JSON"),
    pytest.param(page(b'{"a":1}\n{"a":2}\n'), InvalidReplyError, "no event stream", id="JSON lines"),
    pytest.param(page(b'{"error":{"message":"Boom","code":500}}'), ServerError, "Boom", id="an error with status 200"),
    pytest.param(stream(b"data: {broken\n\n"), InvalidReplyError, "is no JSON: '{broken'", id="broken JSON"),
    pytest.param(Reply(), ConnectionLostError, "before the first token (0 events", id="nothing"),
    pytest.param(
        stream(delta(role="assistant"), done=False), ConnectionLostError, "(1 events", id="ends after the role"
    ),
]


@pytest.mark.parametrize(("reply", "error", "text"), BAD_REPLIES)
async def test_a_reply_that_is_no_stream_says_what_it_is(reply: Reply, error: type[ModelError], text: str) -> None:
    caught = await failure(reply)

    assert type(caught) is error
    assert text in str(caught)


HALF = (delta(role="assistant"), delta(content="Hello"), delta(content=" wor"))


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(stream(*HALF, done=False), id="ended in good order"),
        pytest.param(stream(*HALF, HangUp(), done=False), id="hung up"),
        pytest.param(stream(*HALF, HangUp(reset=True), done=False), id="reset"),
        pytest.param(stream(*HALF, done=False, chunked=False), id="the connection's end"),
        pytest.param(stream(*HALF, sse(delta(content="ld"))[:-9], done=False), id="in the middle of an event"),
    ],
)
async def test_a_stream_that_is_cut_keeps_what_came_and_says_how_much(reply: Reply) -> None:
    async with SSEServer() as server:
        server.play(reply, say("never asked for"))

        chunks, error = await chunks_and_error(model_at(server, max_retries=2))

        assert "".join(c.content for c in chunks) == "Hello wor"
        assert isinstance(error, ConnectionLostError)
        assert "after 3 events, 2 of them with text" in str(error)
        assert not error.retryable
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param([finish(), usage()], id="without [DONE]"),
        pytest.param([finish(), HangUp(reset=True)], id="reset after the finish reason"),
        pytest.param([finish(), b"data: [DONE]"], id="no blank line after [DONE]"),
        pytest.param([b"data: [DONE]\n\n", HangUp()], id="no finish reason, hung up after [DONE]"),
    ],
)
async def test_a_reply_that_was_finished_is_whole_however_the_connection_ends(tail: list[Any]) -> None:
    async with SSEServer() as server:
        server.play(stream(delta(content="Hi"), *tail, done=False))

        assert (await reply_of(model_at(server))).finish_reason == "stop"


async def test_a_server_that_does_not_stream_is_understood() -> None:
    answer = {
        "id": "c-1",
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hi",
                    "tool_calls": [piece(None, call_id="a", name="f", arguments="{}")],
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6},
    }
    async with SSEServer() as server:
        server.play(page(json.dumps(answer).encode(), content_type="application/json"))

        reply = await reply_of(model_at(server))

    assert reply.content[0].model_dump()["text"] == "Hi"
    assert [c.function.name for c in reply.tool_calls] == ["f"]
    assert (reply.finish_reason, reply.usage.input_tokens) == ("tool_calls", 4)


async def test_a_closed_port_is_told_as_no_connection() -> None:
    async with SSEServer() as server:
        model = model_at(server)

    with pytest.raises(ConnectionLostError, match=r"no connection to 127\.0\.0\.1.*is the server running"):
        await chunks_of(model)


async def test_a_server_that_hangs_up_without_a_word_is_told_as_such() -> None:
    caught = await failure(Reply(steps=(HangUp(),), early_headers=False))

    assert "disconnected without sending a response" in str(caught)


async def test_a_server_that_keeps_silent_is_given_up() -> None:
    caught = await failure(Reply(steps=(Silence(),), early_headers=False), timeout_s=0.05)

    assert type(caught) is ConnectionLostError
    assert "did not answer within 0.05 s; `timeout_s`" in str(caught)


async def test_a_stream_that_falls_silent_is_given_up() -> None:
    caught = await failure(stream(delta(content="a"), Silence()), timeout_s=0.05)

    assert "sent nothing for 0.05 s and was given up (`timeout_s`) in the middle of the reply" in str(caught)


class TestKeys:
    async def test_without_a_key_the_call_says_what_to_do_and_making_the_model_is_fine(self) -> None:
        model = OpenAIModel("m", base_url="https://api.example.com/v1")

        with pytest.raises(
            AuthenticationError, match=r"no key for api\.example\.com; pass `api_key`, or set OPENAI_API_KEY"
        ):
            await chunks_of(model)

    async def test_a_server_on_this_machine_needs_no_key(self) -> None:
        async with SSEServer() as server:
            server.play(say("ok"))

            await chunks_of(model_at(server, api_key=None))

            assert server.requests[0].headers["authorization"] == "Bearer none"

    async def test_the_key_may_come_from_the_environment_also_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with SSEServer(lambda request: say("ok")) as server:
            model = model_at(server, api_key=None)
            for key in ("first-key", " second-key\n"):
                monkeypatch.setenv("OPENAI_API_KEY", key)
                await chunks_of(model)

            assert [r.headers["authorization"] for r in server.requests] == ["Bearer first-key", "Bearer second-key"]

    async def test_an_admin_key_is_never_sent_in_its_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_ADMIN_KEY", "admin-secret")
        async with SSEServer(lambda request: say("ok")) as server:
            await chunks_of(model_at(server, api_key=None))

            assert "admin-secret" not in str(server.requests[0].headers)

    async def test_an_own_authorization_header_stands_for_the_key(self) -> None:
        async with SSEServer(lambda request: say("ok")) as server:
            await chunks_of(model_at(server, api_key=None, headers={"Authorization": "Basic abc"}))

            assert server.requests[0].headers["authorization"] == "Basic abc"

    @pytest.mark.parametrize("key", ["sk-two\nlines", "sk-ünïcode"])
    async def test_a_key_that_cannot_be_sent_is_told_without_showing_it(self, key: str) -> None:
        with pytest.raises(AuthenticationError, match="characters that cannot be sent") as caught:
            await chunks_of(OpenAIModel("m", base_url="http://127.0.0.1:9/v1", api_key=key))

        assert "sk-" not in str(caught.value)

    @pytest.mark.parametrize("status", [400, 401, 429, 500, 200])
    async def test_no_text_repeats_a_key_that_the_server_repeats(
        self, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        said = f"You sent Authorization: Bearer {KEY} and X-Key: hush-hush and sk-somebody-elses-key"
        reply = error_reply(status, said) if status != 200 else page(f"<title>{said}</title>".encode())
        async with SSEServer() as server:
            server.play(reply)
            model = model_at(server, headers={"X-Key": "hush-hush"})
            with pytest.raises(ModelError) as caught:
                await chunks_of(model)

        told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(model) + caplog.text
        assert "[key]" in str(caught.value)
        for secret in (KEY, "hush-hush", "elses"):
            assert secret not in told

    async def test_no_text_repeats_a_password_in_the_address(self) -> None:
        async with SSEServer() as server:
            url = server.base_url.replace("http://", "http://user:hush-hush@")
            server.play(error_reply(500, "hush-hush"))
            model = OpenAIModel("m", base_url=url, max_retries=0)
            with pytest.raises(ServerError) as caught:
                await chunks_of(model)

        assert "hush-hush" not in str(caught.value) + repr(model) + model.provider


async def test_a_servers_text_is_cleaned_and_shortened() -> None:
    caught = await failure(error_reply(500, "\x1b[31mred\x00\u202e\n\nnext" + "x" * 5000))

    assert "\x1b" not in str(caught)
    assert "\u202e" not in str(caught)
    assert "red next" in str(caught)
    assert len(str(caught)) < 600


class TestRetries:
    async def test_what_may_pass_is_tried_again_and_counted(self) -> None:
        async with SSEServer() as server:
            server.play(error_reply(503, "Loading"), error_reply(429, "Slow down"), say("ok"))
            record = CallRecord()
            with agentlab.frozen() as world:
                reply = await reply_of(model_at(server, max_retries=2), record=record)

                assert 0.5 * 0.75 + 1 * 0.75 <= world.monotonic_ns() / 1e9 <= 0.5 * 1.25 + 1 * 1.25

        assert reply.finish_reason == "stop"
        assert record.retries == 2

    async def test_a_frozen_world_repeats_its_waits(self) -> None:
        waits = []
        for _ in range(2):
            async with SSEServer() as server:
                server.play(error_reply(500, "?"), say("ok"))
                with agentlab.frozen(seed=5) as world:
                    await chunks_of(model_at(server, max_retries=1))
                    waits.append(world.monotonic_ns())

        assert waits[0] == waits[1]

    async def test_in_the_end_the_last_error_says_how_often_it_was_tried(self) -> None:
        async with SSEServer() as server:
            server.play(*(error_reply(500, f"no {n}") for n in range(3)))
            record = CallRecord()
            with agentlab.frozen(), pytest.raises(ServerError, match="no 2; tried 3 times"):
                await chunks_of(model_at(server, max_retries=2), record=record)

            assert len(server.requests) == 3
        assert record.retries == 2

    @pytest.mark.parametrize(
        ("headers", "waited_s"),
        [
            pytest.param({"Retry-After": "7"}, 7, id="seconds"),
            pytest.param({"retry-after-ms": "250", "Retry-After": "9"}, 0.25, id="milliseconds"),
            pytest.param({"Retry-After": "Fri, 02 Jan 2026 03:04:15 GMT"}, 10, id="a date"),
            pytest.param({"Retry-After": "Fri, 02 Jan 2026 03:00:00 GMT"}, 0, id="a date that has passed"),
        ],
    )
    async def test_the_server_is_given_the_time_it_asks_for(self, headers: dict[str, str], waited_s: float) -> None:
        async with SSEServer() as server:
            server.play(error_reply(429, "Slow down", headers=headers), say("ok"))
            with agentlab.frozen(at="2026-01-02T03:04:05Z") as world:
                await chunks_of(model_at(server, max_retries=1))

                assert world.monotonic_ns() == waited_s * 1e9

    def test_a_date_that_has_passed_asks_for_no_wait(self) -> None:
        assert retry_after_s({"retry-after": "Fri, 02 Jan 1970 03:00:00 GMT"}) == 0

    @pytest.mark.parametrize("nonsense", ["soon", "-1", "nan", "inf", ""])
    def test_a_wait_that_is_none_is_overlooked(self, nonsense: str) -> None:
        assert retry_after_s({"retry-after": nonsense, "retry-after-ms": nonsense}) is None

    async def test_a_server_that_asks_for_too_long_a_wait_is_not_waited_for(self) -> None:
        async with SSEServer() as server:
            server.play(error_reply(429, "Come back later", headers={"Retry-After": "3600"}))
            with pytest.raises(RateLimitError, match="asks to wait 3600 s, and `max_wait_s` is 60") as caught:
                await chunks_of(model_at(server, max_retries=2))

            assert len(server.requests) == 1
        assert caught.value.retry_after_s == 3600

    @pytest.mark.parametrize(
        "reply", [error_reply(400, "No"), error_reply(429, "Pay", code="insufficient_quota")], ids=["400", "quota"]
    )
    async def test_what_would_fail_again_is_not_tried_again(self, reply: Reply) -> None:
        async with SSEServer() as server:
            server.play(reply, say("never asked for"))
            with pytest.raises(ModelError):
                await chunks_of(model_at(server, max_retries=2))

            assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "first",
        [
            pytest.param(Reply(steps=(HangUp(),), early_headers=False), id="no answer"),
            pytest.param(stream(delta(role="assistant"), b": ping\n\n", HangUp(), done=False), id="cut after the role"),
            pytest.param(stream(b": ping\n\n", {"error": {"message": "?", "code": 502}}), id="error after a ping"),
        ],
    )
    async def test_a_reply_that_broke_before_its_first_token_is_tried_again(self, first: Reply) -> None:
        async with SSEServer() as server:
            server.play(first, say("ok"))
            record = CallRecord()
            with agentlab.frozen():
                chunks = await chunks_of(model_at(server, max_retries=1), record=record)

        assert [c.content for c in chunks if c.content] == ["ok"]
        assert sum(bool(c.kind & 1) for c in chunks) == 1  # nothing of the first try
        assert record.retries == 1

    async def test_an_error_after_the_first_token_is_not_tried_again(self) -> None:
        async with SSEServer() as server:
            server.play(stream(delta(content="a"), {"error": {"message": "Boom", "code": 502}}), say("never asked for"))
            with pytest.raises(ServerError, match="Boom") as caught:
                await chunks_of(model_at(server, max_retries=2))

            assert len(server.requests) == 1
        assert not caught.value.retryable

    async def test_a_call_that_was_cut_before_it_could_be_read_is_not_tried_again(self) -> None:
        async with SSEServer() as server:
            server.play(stream(delta(content='{"na'), HangUp(), done=False), say("never asked for"))
            with pytest.raises(ConnectionLostError, match="not tried again"):
                await chunks_of(model_at(server, max_retries=2, tool_mode="schema"), asking(tools=(SEARCH,)))

            assert len(server.requests) == 1

    async def test_the_record_is_that_of_the_last_try(self) -> None:
        async with SSEServer() as server:
            server.play(error_reply(429, "?", headers={"Retry-After": "0"}), say("ok"))
            record = CallRecord(request_ns=1)

            chunks = await chunks_of(model_at(server, max_retries=1), record=record)

        assert "connect_started" not in record.marks_ns  # the first try's connection is used again
        assert record.request_ns is not None
        assert record.headers_ns is not None
        assert 1 < record.request_ns < record.headers_ns <= chunks[0].t_ns

    async def test_events_before_a_failure_stay_in_the_log_of_a_call_that_is_given_up(self) -> None:
        async with SSEServer() as server:
            server.play(stream(delta(role="assistant"), HangUp(), done=False))

            chunks, error = await chunks_and_error(model_at(server))

        assert [c.kind for c in chunks] == [1]
        assert isinstance(error, ConnectionLostError)
