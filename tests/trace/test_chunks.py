from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentlab.trace.chunks import PAYLOAD, Chunk, ChunkKind, ChunkLog, ChunkRecorder, ChunkRow

TIMES_NS = st.integers(0, 2**61)  # two of them together fit an int64
ROWS = st.lists(st.tuples(TIMES_NS, st.integers(0, 255), st.integers(0, 2**31 - 1)), max_size=50)


def recorded(rows: list[tuple[int, int, int]], *, request_ns: int = 0) -> ChunkLog:
    recorder = ChunkRecorder()
    for offset, kind, size in rows:
        recorder.add(Chunk(request_ns + offset, kind, size_bytes=size))
    return recorder.pack(request_ns, None, None)


@given(rows=ROWS, request_ns=TIMES_NS)
def test_packed_rows_come_back(rows: list[tuple[int, int, int]], request_ns: int) -> None:
    log = recorded(rows, request_ns=request_ns)

    assert list(log.rows()) == rows
    assert len(log) == len(rows)


@given(rows=ROWS)
def test_a_log_survives_json(rows: list[tuple[int, int, int]]) -> None:
    log = recorded(rows)

    again = ChunkLog.model_validate_json(log.model_dump_json())

    assert again == log
    assert list(again.rows()) == rows


@given(rows=ROWS)
def test_a_log_survives_plain_python_data(rows: list[tuple[int, int, int]]) -> None:
    log = recorded(rows)

    assert ChunkLog.model_validate(log.model_dump()) == log
    assert ChunkLog.model_validate(log.model_dump(mode="json")) == log


def test_times_are_kept_as_offsets_from_the_request() -> None:
    recorder = ChunkRecorder()
    recorder.add(Chunk(1_500, ChunkKind.ROLE, size_bytes=20))
    recorder.add(Chunk(1_700, ChunkKind.CONTENT, content="Hi", size_bytes=30))

    log = recorder.pack(request_ns=1_000, headers_ns=1_200, close_ns=1_900)

    assert (log.request_ns, log.headers_ns, log.close_ns) == (1_000, 200, 900)
    assert list(log.rows()) == [ChunkRow(500, ChunkKind.ROLE, 20), ChunkRow(700, ChunkKind.CONTENT, 30)]


def test_headers_and_end_that_never_came_are_missing() -> None:
    log = ChunkRecorder().pack(request_ns=1_000, headers_ns=None, close_ns=None)

    assert (log.headers_ns, log.close_ns, len(log), list(log.rows())) == (None, None, 0, [])


def test_a_token_takes_thirteen_bytes() -> None:
    log = recorded([(n, ChunkKind.CONTENT, 190) for n in range(100)])

    assert len(log.offsets + log.kinds + log.sizes) == 1_300


def test_the_packed_form_is_little_endian_on_every_machine() -> None:
    log = recorded([(1, ChunkKind.DONE, 2)])

    assert json.loads(log.model_dump_json()) == {
        "request_ns": 0,
        "headers_ns": None,
        "close_ns": None,
        "offsets": "AQAAAAAAAAA=",
        "kinds": "gA==",
        "sizes": "AgAAAA==",
    }


def test_columns_of_different_lengths_are_refused_when_read() -> None:
    log = recorded([(1, 4, 0), (2, 4, 0)]).model_copy(update={"kinds": b"\4"})

    with pytest.raises(ValueError, match="zip"):
        list(log.rows())


def test_text_that_is_no_base64_is_refused() -> None:
    with pytest.raises(ValidationError):
        ChunkLog.model_validate({"request_ns": 0, "offsets": "A"})


def test_a_packed_log_stays_as_it_was_when_more_arrives() -> None:
    recorder = ChunkRecorder()
    recorder.add(Chunk(1, ChunkKind.CONTENT))
    log = recorder.pack(0, None, None)

    recorder.add(Chunk(2, ChunkKind.CONTENT))

    assert (len(log), len(recorder)) == (1, 2)


@pytest.mark.parametrize("kind", [ChunkKind.ROLE, ChunkKind.USAGE, ChunkKind.PING, ChunkKind.DONE, ChunkKind(0)])
def test_what_is_no_text_is_no_payload(kind: ChunkKind) -> None:
    assert not kind & PAYLOAD


@pytest.mark.parametrize("kind", [ChunkKind.REASONING, ChunkKind.CONTENT, ChunkKind.TOOL_NAME, ChunkKind.TOOL_ARGS])
def test_reasoning_answers_and_tool_calls_are_payload(kind: ChunkKind) -> None:
    assert kind & PAYLOAD
    assert (kind | ChunkKind.ROLE) & PAYLOAD
