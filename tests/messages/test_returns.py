from __future__ import annotations

import agentlab.messages as m
from agentlab.messages.history import mend
from agentlab.messages.message import Message
from agentlab.messages.parts import Base64Image, ImagePart, TextPart, ToolReturnPart
from agentlab.messages.returns import answered_ids, decisions_of, failed_ids, returns_of, with_returns

PICTURE = ImagePart(source=Base64Image(media_type="image/png", data="aaaa"))


def test_only_tool_messages_carry_returns_and_only_replies_decisions():
    assert returns_of(m.user_message("hi")) == []
    assert decisions_of(m.user_message("hi")) == []
    assert decisions_of(m.approval_request([m.tool_call("f")])) == []


def test_what_the_model_reads_is_the_content_else_the_entry():
    entry = m.tool_return("1", "from the entry")

    assert returns_of(Message(role="tool", tool_returns=(entry,)))[0].content == (TextPart(text="from the entry"),)
    assert returns_of(m.tool_message("1", "f", "r"))[0].content == (TextPart(text="r"),)
    assert returns_of(Message(role="tool", tool_returns=(entry,)))[0].call_id == "1"


def test_parts_that_belong_to_no_return_in_particular_are_not_lost():
    written = (ToolReturnPart(tool_call_id="1", content="r", is_error=True), TextPart(text="note"), PICTURE)
    as_parts = Message(role="tool", content=written)
    shared = m.returns_message([m.tool_return("1", "a"), m.tool_return("2", "b")])
    shared = shared.model_copy(update={"content": (*shared.content, PICTURE)})

    assert returns_of(as_parts)[0].content == (TextPart(text="r"), TextPart(text="note"), PICTURE)
    assert [r.content for r in returns_of(shared)] == [(TextPart(text="a"),), (TextPart(text="b"), PICTURE)]
    assert returns_of(with_returns(as_parts, {0: "9"}))[0].content == (TextPart(text="r\n\nnote"), PICTURE)


def test_some_of_the_returns_under_other_ids():
    shared = m.returns_message([m.tool_return("1", "a"), m.tool_return("2", "b", ok=False), m.tool_return("3", "c")])

    fewer = with_returns(shared, {1: "7", 2: "3"})

    assert [(r.call_id, r.content[0].text, r.ok) for r in returns_of(fewer)] == [("7", "b", False), ("3", "c", True)]
    assert fewer.tool_call_id == "7"
    assert returns_of(with_returns(shared, {1: "7"}))[0].call_id == "7"


def test_entries_without_text_take_that_of_the_content():
    entries = tuple(m.tool_return(i, None) for i in "12")
    message = Message(role="tool", tool_returns=entries, content=(TextPart(text="a"), TextPart(text="b")))

    assert [r.content[0].text for r in returns_of(message)] == ["a", "b"]


def test_the_ids_that_are_answered_and_those_that_failed():
    shared = m.returns_message([m.tool_return("1", "a"), m.tool_return("2", "b", ok=False)])
    written = Message(role="tool", content=(ToolReturnPart(tool_call_id="3", content="r", is_error=True),))

    assert [answered_ids(x) for x in (m.tool_message("1", "f", "r"), shared, written)] == [["1"], ["1", "2"], ["3"]]
    assert [failed_ids(x) for x in (m.tool_message("1", "f", "r"), shared, written)] == [[], ["2"], ["3"]]
    assert failed_ids(m.tool_message("1", "f", "r", ok=False)) == ["1"]


def test_a_message_that_answers_calls_of_two_turns_becomes_two():
    asking = [m.assistant_message("", [m.tool_call("f", call_id=i)]) for i in "12"]
    shared = m.returns_message([m.tool_return("1", "a"), m.tool_return("2", "b")])

    mended = mend([*asking, shared])

    assert [x.role for x in mended] == ["assistant", "tool", "assistant", "tool"]
    assert [x.text for x in mended[1::2]] == ["a", "b"]
    assert mended[1].id == shared.id
    assert len({x.id for x in mended}) == 4
