"""Events into chunks: the dialects of the endpoints."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentlab
from agentlab.errors import (
    ContextWindowError,
    InvalidReplyError,
    ModelError,
    RateLimitError,
    RequestRefusedError,
    ServerError,
)
from agentlab.models._decode import ChunkDecoder
from agentlab.models._errors import Failures
from agentlab.models._sse import EventSplitter
from agentlab.models.base import CallRecord
from agentlab.models.reply import Reply
from agentlab.trace.chunks import Chunk, ChunkKind
from tests.models.calling import built
from tests.models.sse_server import DONE, completion, delta, finish, piece, sse, usage

FAILURES = Failures(model="m", where="host", secrets=["secret-key"])


def decoded(*events: object, record: CallRecord | None = None) -> list[Chunk]:
    """The chunks of a stream; the n-th piece arrives at n."""
    splitter, decoder = EventSplitter(), ChunkDecoder(record or CallRecord(), FAILURES)
    pieces = [e if isinstance(e, bytes) else sse(e) for e in events]
    found = [decoder.decode(event, n) for n, data in enumerate(pieces) for event in splitter.feed(data)]
    return [chunk for chunk in found if chunk is not None]


def kinds(*events: object) -> list[int]:
    return [chunk.kind for chunk in decoded(*events)]


def calls(*pieces: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and arguments of the calls that these pieces, one an event, amount to."""
    reply = built(decoded(*(delta(tool_calls=[p]) for p in pieces), finish("tool_calls"), DONE))
    ids = [call.id for call in reply.tool_calls]
    assert len(set(ids)) == len(ids)
    assert all(ids)
    return [(call.function.name, call.function.arguments) for call in reply.tool_calls]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        pytest.param(delta(role="assistant", content=None), ChunkKind.ROLE, id="role"),
        pytest.param(delta(role="assistant", content=""), ChunkKind.ROLE, id="role and empty text"),
        pytest.param(delta(role="assistant", content="Hi"), ChunkKind.ROLE | ChunkKind.CONTENT, id="role with text"),
        pytest.param(delta(content="Hi"), ChunkKind.CONTENT, id="text"),
        pytest.param(delta(refusal="No."), ChunkKind.CONTENT, id="refusal"),
        pytest.param(delta(reasoning_content="hm"), ChunkKind.REASONING, id="reasoning_content"),
        pytest.param(delta(reasoning="hm", content=""), ChunkKind.REASONING, id="reasoning"),
        pytest.param(delta(), 0, id="nothing"),
        pytest.param(delta(finish_reason="stop", content="."), ChunkKind.CONTENT | ChunkKind.DONE, id="end with text"),
        pytest.param(delta(tool_calls=[piece(call_id="a", name="f")]), ChunkKind.TOOL_NAME, id="tool name"),
        pytest.param(delta(tool_calls=[piece(arguments="{")]), ChunkKind.TOOL_ARGS, id="tool arguments"),
        pytest.param(usage(), ChunkKind.USAGE, id="usage"),
        pytest.param(completion(), ChunkKind.PING, id="no choices"),
        pytest.param(completion(usage=None), ChunkKind.PING, id="no choices and null usage"),
        pytest.param(
            delta(content="a") | {"usage": {"prompt_tokens": 1}}, ChunkKind.CONTENT | ChunkKind.USAGE, id="both"
        ),
        pytest.param(b": ping\n\n", ChunkKind.PING, id="comment"),
        pytest.param(b"data:\n\n", ChunkKind.PING, id="empty data"),
    ],
)
def test_a_chunk_says_what_the_event_carried(event: object, kind: int) -> None:
    assert kinds(event) == [kind]


def test_text_and_reasoning_keep_the_time_and_size_of_their_event() -> None:
    thought, answer = decoded(delta(reasoning="hm"), delta(content="Hé"))

    assert (thought.reasoning, thought.content, thought.t_ns) == ("hm", "", 0)
    assert (answer.reasoning, answer.content, answer.t_ns) == ("", "Hé", 1)
    assert answer.size_bytes == len(sse(delta(content="Hé"))) - len("data: \n\n")


def test_the_last_chunk_is_done_also_where_no_finish_reason_came() -> None:
    *_, last = decoded(delta(content="Hi"), DONE)

    assert (last.kind, last.finish_reason) == (ChunkKind.DONE, "stop")


def test_the_end_of_the_stream_is_no_chunk_after_a_finish_reason() -> None:
    assert kinds(finish(), DONE) == [ChunkKind.DONE]


@pytest.mark.parametrize("given", ["stop", "tool_calls"])
def test_a_reply_with_calls_ends_with_tool_calls_whatever_the_endpoint_says(given: str) -> None:
    *_, last = decoded(delta(tool_calls=[piece(name="f", arguments="{}")]), finish(given))

    assert last.finish_reason == "tool_calls"


def test_a_reply_that_was_too_long_says_so_also_with_calls() -> None:
    *_, last = decoded(delta(tool_calls=[piece(name="f", arguments="{")]), finish("length"))

    assert last.finish_reason == "length"


class TestToolCalls:
    def test_pieces_are_joined_by_index(self) -> None:
        assert calls(
            piece(0, call_id="a", name="f", arguments=""),
            piece(1, call_id="b", name="g", arguments=""),
            piece(0, arguments='{"x":'),
            piece(1, arguments="{}"),
            piece(0, arguments="1}"),
        ) == [("f", '{"x":1}'), ("g", "{}")]

    def test_the_endpoints_id_is_kept(self) -> None:
        chunk, *_ = decoded(delta(tool_calls=[piece(0, call_id="call_9", name="f")]))

        assert chunk.tool_calls[0].id == "call_9"

    def test_a_different_id_at_a_used_index_is_another_call(self) -> None:
        assert calls(
            piece(0, call_id="a", name="f", arguments='{"x":1}'), piece(0, call_id="b", name="f", arguments='{"x":2}')
        ) == [("f", '{"x":1}'), ("f", '{"x":2}')]

    def test_whole_calls_without_index_and_id_stay_apart(self) -> None:
        assert calls(piece(None, name="f", arguments="{}"), piece(None, name="f", arguments='{"x":1}')) == [
            ("f", "{}"),
            ("f", '{"x":1}'),
        ]

    def test_whole_calls_that_all_have_index_0_stay_apart(self) -> None:
        assert calls(piece(0, name="f", arguments="{}"), piece(0, name="g", arguments="{}")) == [
            ("f", "{}"),
            ("g", "{}"),
        ]

    def test_pieces_without_index_belong_to_their_id_or_else_to_the_last_call(self) -> None:
        assert calls(
            piece(None, call_id="a", name="f", arguments="{"),
            piece(None, call_id="b", name="g", arguments=""),
            piece(None, call_id="a", arguments="}"),
            piece(None, arguments="{}"),
        ) == [("f", "{}"), ("g", "{}")]

    def test_a_name_repeated_with_every_piece_counts_once(self) -> None:
        assert calls(
            piece(0, call_id="a", name="f", arguments="{"), piece(0, call_id="a", name="f", arguments="}")
        ) == [("f", "{}")]
        assert calls(piece(0, name="f", arguments='{"x"'), piece(0, name="f", arguments=":1}")) == [("f", '{"x":1}')]

    def test_a_name_in_pieces_is_put_together(self) -> None:
        assert calls(piece(0, call_id="a", name="get_"), piece(0, name="page"), piece(0, arguments="{}")) == [
            ("get_page", "{}")
        ]

    def test_an_id_that_comes_late_begins_no_other_call(self) -> None:
        assert calls(
            piece(0, name="f"), piece(0, call_id="a", arguments="{"), piece(0, call_id="a", arguments="}")
        ) == [("f", "{}")]

    def test_indices_are_renumbered_in_the_order_of_the_calls(self) -> None:
        chunks = decoded(delta(tool_calls=[piece(7, name="f")]), delta(tool_calls=[piece(3, name="g")]))

        assert [c.tool_calls[0].index for c in chunks] == [0, 1]

    def test_arguments_sent_as_an_object_become_text(self) -> None:
        assert calls(piece(0, name="f", arguments={"x": 1})) == [("f", '{"x":1}')]

    def test_empty_strings_in_later_pieces_are_nothing(self) -> None:
        assert calls(piece(0, call_id="a", name="f", arguments="{"), piece(0, call_id="", name="", arguments="}")) == [
            ("f", "{}")
        ]

    def test_invented_ids_repeat_in_a_frozen_world(self) -> None:
        def one() -> Reply:
            with agentlab.frozen(seed=3):
                return built(decoded(delta(tool_calls=[piece(name="f", arguments="{}")])))

        assert one().tool_calls[0].id == one().tool_calls[0].id
        assert one().tool_calls[0].id.startswith("call_")


class TestUsage:
    def test_details_are_read_and_what_is_missing_stays_missing(self) -> None:
        reported = usage(10, 5, prompt_tokens_details={"cached_tokens": 8}, completion_tokens_details=None)
        found = built(decoded(reported)).usage

        assert (found.input_tokens, found.cached_tokens, found.output_tokens, found.total_tokens) == (10, 8, 5, 15)
        assert found.reasoning_tokens is None
        assert found.source == "provider"

    def test_of_cumulative_reports_the_last_one_counts(self) -> None:
        found = built(decoded(*(delta(content="x") | {"usage": usage(10, n)["usage"]} for n in (1, 2, 3)))).usage

        assert found.output_tokens == 3

    def test_without_a_report_it_is_missing(self) -> None:
        found = built(decoded(delta(content="x"), finish(), DONE)).usage

        assert (found.source, found.output_tokens) == ("missing", None)

    def test_reasoning_that_was_counted_apart_joins_the_output(self) -> None:
        report = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 22}
        apart = report | {"completion_tokens_details": {"reasoning_tokens": 7}}
        inside = report | {"total_tokens": 15, "completion_tokens_details": {"reasoning_tokens": 3}}

        assert built(decoded(completion(usage=apart))).usage.output_tokens == 12
        assert built(decoded(completion(usage=inside))).usage.output_tokens == 5

    @pytest.mark.parametrize("nonsense", ["12", -1, True, 1.5, None])
    def test_a_count_that_is_no_count_is_missing(self, nonsense: object) -> None:
        assert built(decoded(completion(usage={"prompt_tokens": nonsense}))).usage.input_tokens is None


def test_the_record_gets_names_and_the_servers_own_times() -> None:
    record = CallRecord()

    decoded(delta(content="x"), completion(timings={"prompt_ms": 12.5, "predicted_ms": 3}), record=record)

    assert (record.response_id, record.response_model) == ("chatcmpl-1", "m-1")
    assert (record.prefill_s, record.queue_s) == (0.0125, None)


def test_queue_and_prefill_times_inside_the_usage_are_read() -> None:
    record = CallRecord()

    decoded(usage(queue_time=0.5, prompt_time=0.25), record=record)

    assert (record.queue_s, record.prefill_s) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("event", "error", "text"),
    [
        pytest.param({"error": {"message": "Boom", "code": 502}}, ServerError, "Boom", id="status as code"),
        pytest.param({"error": {"message": "Slow down", "code": 429}}, RateLimitError, "Slow down", id="rate limit"),
        pytest.param({"error": {"message": "?", "type": "server_error"}}, ServerError, "host failed", id="type"),
        pytest.param({"error": "Boom"}, InvalidReplyError, "Boom", id="text only"),
        pytest.param({"object": "error", "message": "Boom", "code": 400}, RequestRefusedError, "Boom", id="object"),
        pytest.param(b'event: error\ndata: {"message": "Boom"}\n\n', InvalidReplyError, "Boom", id="event name"),
        pytest.param(b'error: {"message": "Boom", "code": 500}\n\n', ServerError, "Boom", id="field name"),
        pytest.param(
            {"error": {"message": "This model's maximum context length is 8 tokens."}},
            ContextWindowError,
            "longer than the context window of `m`",
            id="overflow",
        ),
        pytest.param(b"data: {oops\n\n", InvalidReplyError, "is no JSON: '{oops'", id="broken JSON"),
        pytest.param(b"data: [1]\n\n", InvalidReplyError, "is no JSON object", id="a list"),
        pytest.param({"choices": "x"}, InvalidReplyError, "has not the shape", id="choices are no list"),
        pytest.param(delta(content=["x"]), InvalidReplyError, "has not the shape", id="content is no text"),
        pytest.param(delta(tool_calls=["x"]), InvalidReplyError, "has not the shape", id="calls are no objects"),
        pytest.param(b"data: " + b"[" * 100_000 + b"\n\n", InvalidReplyError, "is no JSON", id="nested too deep"),
    ],
)
def test_an_error_inside_the_stream_says_what_was_seen(event: object, error: type[ModelError], text: str) -> None:
    with pytest.raises(error) as caught:
        decoded(delta(content="x"), event)

    assert text in str(caught.value)
    assert type(caught.value) is error


def test_a_null_error_is_none() -> None:
    assert kinds(delta(content="x") | {"error": None}) == [ChunkKind.CONTENT]


@pytest.mark.parametrize(
    ("data", "content"),
    [
        pytest.param(rb'{"choices":[{"delta":{"content":"a\ud83db"},"logprobs":-Infinity}]}', "a?b", id="half a pair"),
        pytest.param(b'{"choices":[{"delta":{"content":"a"},"logprobs":NaN}]}', "a", id="NaN"),
    ],
)
def test_json_as_some_servers_write_it_is_read_all_the_same(data: bytes, content: str) -> None:
    assert decoded(b"data: " + data + b"\n\n")[0].content == content


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda c: (
            st.lists(c)
            | st.dictionaries(
                st.sampled_from(
                    ["choices", "delta", "tool_calls", "function", "usage", "content", "id", "index", "timings"]
                ),
                c,
            )
        ),
    )
)
def test_whatever_json_comes_gives_a_chunk_or_one_of_our_errors(value: object) -> None:
    for event in (value, {"choices": value}, {"choices": [{"delta": value}]}, {"usage": value}, {"timings": value}):
        try:
            data = orjson.dumps(event)
        except TypeError:  # an integer that orjson does not write
            return
        try:
            decoded(b"data: " + data + b"\n\n")
        except ModelError as error:
            assert str(error)  # noqa: PT017
