"""Bytes into server-sent events."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.errors import InvalidReplyError
from agentlab.models._sse import COMMENT, Event, EventSplitter

LINE = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\n"), max_size=20)
EVENT = st.tuples(st.sampled_from(["", "error", "message"]), st.lists(LINE, min_size=1, max_size=3))
LINE_END = st.sampled_from(["\n", "\r\n", "\r"])


def split(*pieces: bytes) -> list[Event]:
    splitter = EventSplitter()
    return [event for piece in pieces for event in splitter.feed(piece)]


@given(
    events=st.lists(st.one_of(EVENT, LINE), max_size=6),
    line_end=LINE_END,
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_a_stream_cut_at_any_bytes_gives_the_same_events(
    events: list[tuple[str, list[str]] | str], line_end: str, cuts: list[int]
) -> None:
    lines: list[str] = []
    expected: list[Event] = []
    for event in events:
        if isinstance(event, str):
            lines += [f": {event}", ""]
            expected.append((COMMENT, event.encode()))
        else:
            name, data = event
            lines += [f"event: {name}"] * bool(name) + [f"data: {line}" for line in data] + [""]
            expected.append((name, "\n".join(data).encode()))
    stream = "".join(line + line_end for line in lines).encode()
    places = sorted({0, *(c for c in cuts if c < len(stream)), len(stream)})

    seen = split(*(stream[a:b] for a, b in itertools.pairwise(places)))

    assert seen == expected


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        pytest.param(b"data: a\n\ndata: b\n\n", [("", b"a"), ("", b"b")], id="plain"),
        pytest.param(b"data:a\n\n", [("", b"a")], id="no blank after the colon"),
        pytest.param(b"data:  a\n\n", [("", b" a")], id="one blank is taken off, the second is data"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [("", b"a")], id="byte order mark"),
        pytest.param(b"\n\n\ndata: a\n\n\n\ndata: b\n\n", [("", b"a"), ("", b"b")], id="many blank lines"),
        pytest.param(b"id: 7\nretry: 3\ndata: a\n\n", [("", b"a")], id="fields of no interest"),
        pytest.param(b"data: a\ndata: b\n\n", [("", b"a\nb")], id="data on two lines"),
        pytest.param(b"event: error\ndata: {}\n\n", [("error", b"{}")], id="named event"),
        pytest.param(b"event: error\r\ndata: {}\r\n\r\n", [("error", b"{}")], id="CR and LF"),
        pytest.param(b"event: error\rdata: {}\r\r", [("error", b"{}")], id="CR alone"),
        pytest.param(b"error: {}\n\n", [("error", b"{}")], id="a field called error"),
        pytest.param(b": ping\n\n", [(COMMENT, b"ping")], id="comment"),
        pytest.param(b": ping\ndata: a\n\n", [(COMMENT, b"ping"), ("", b"a")], id="comment before data"),
        pytest.param(b"event: x\n\n", [], id="event without data"),
        pytest.param(b"data\n\n", [("", b"")], id="field without colon"),
        pytest.param(b"data: a\n", [], id="unfinished"),
    ],
)
def test_an_event_is_read_as_the_standard_says(stream: bytes, events: list[Event]) -> None:
    assert split(stream) == events
    assert split(*(stream[n : n + 1] for n in range(len(stream)))) == events


def test_an_event_without_its_blank_line_can_still_be_had_at_the_end() -> None:
    splitter = EventSplitter()

    assert splitter.feed(b"data: a\n\ndata: b\r") == [("", b"a")]
    assert splitter.finish() == [("", b"b")]
    assert splitter.finish() == []


def test_an_event_without_end_is_refused_before_it_fills_the_memory() -> None:
    splitter = EventSplitter(max_event_bytes=1000)
    splitter.feed(b"data: " + b"x" * 990)

    with pytest.raises(InvalidReplyError, match="one event of the stream is longer"):
        splitter.feed(b"x" * 10)
