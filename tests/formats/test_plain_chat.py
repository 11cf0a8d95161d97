from __future__ import annotations

import json

from hypothesis import given, settings

import agentlab.messages as m
from agentlab.formats.plain_chat import to_plain_chat
from agentlab.messages.message import Message
from agentlab.messages.parts import Base64Image, ImagePart, ReasoningPart, TextPart
from tests.strategies import histories

SYSTEM = m.system_message("You are helpful.")


def said(text: object, call_id: str = "1") -> m.ToolCall:
    return m.tool_call("send_message", {"message": text}, call_id=call_id)


def test_spoken_text_is_plain_and_what_was_thought_is_reasoning():
    history = [
        SYSTEM,
        m.user_message(m.envelopes.user_message("hi")),
        *m.step_messages("thinking", [said("Hello!")], [m.tool_return("1", m.envelopes.tool_return(None))]),
    ]

    assert to_plain_chat(history) == [
        {"role": "system", "content": "You are helpful."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Hello!", "reasoning_content": "thinking"},
    ]
    assert to_plain_chat(history, thoughts=False)[2] == {"role": "assistant", "content": "Hello!"}
    named = history[2].model_copy(update={"name": "sam"})
    assert to_plain_chat([named], thoughts=False) == [{"role": "assistant", "content": "Hello!", "name": "sam"}]


def test_other_calls_beside_spoken_text_keep_their_returns():
    calls = [m.tool_call("search", call_id="1"), said("found", "2"), said("two", "3")]
    returns = [m.tool_return(i, "r" + i) for i in "123"]

    chat = to_plain_chat(m.step_messages("", calls, returns))

    assert chat[0]["content"] == "found\n\ntwo"
    assert [c["id"] for c in chat[0]["tool_calls"]] == ["1"]
    assert [(e["role"], e["tool_call_id"]) for e in chat[1:]] == [("tool", "1")]


def test_returns_of_spoken_calls_are_found_in_shared_messages_and_without_a_name():
    calls = [m.tool_call("search", call_id="1"), said("found", "2")]
    shared = m.parallel_messages("", calls, [m.tool_return("1", "r"), m.tool_return("2", "")])
    nameless = Message(role="tool", content=(TextPart(text="{}"),), tool_call_id="1")

    assert [e["tool_call_id"] for e in to_plain_chat(shared)[1:]] == ["1", "2"]
    assert len(to_plain_chat([m.assistant_message("", [said("x")]), nameless])) == 1


def test_a_spoken_call_that_failed_or_cannot_be_read_stays_a_call():
    failed = m.step_messages("", [said("Hello!")], [m.tool_return("1", "no", ok=False)])

    assert [e["role"] for e in to_plain_chat(failed)] == ["assistant", "tool"]
    assert to_plain_chat(failed)[0]["tool_calls"][0]["function"]["name"] == "send_message"
    for arguments in ('{"message": "cut', "[]", '{"message": null}', '{"message": "x", "to": "bob"}', "[" * 10_000):
        call = m.tool_call("send_message", arguments, call_id="1")
        assert (
            to_plain_chat([m.assistant_message("", [call])])[0]["tool_calls"][0]["function"]["arguments"] == arguments
        )


def test_json_that_a_person_typed_stays_as_it_is():
    for typed in ('{"message": "hi", "priority": "high"}', '{"message": {"a": 1}}', m.envelopes.system_alert("x")):
        assert to_plain_chat([m.user_message(typed)])[0]["content"] == typed


def test_further_parts_and_pictures_stay():
    picture = ImagePart(source=Base64Image(media_type="image/png", data="aaaa"))
    packed = TextPart(text=m.envelopes.user_message("first"))

    two = to_plain_chat([m.user_message([packed, TextPart(text="second")], name="ann")])
    seen = to_plain_chat([m.user_message([picture, TextPart(text="what?")])])

    assert two == [{"role": "user", "content": "first\n\nsecond", "name": "ann"}]
    assert [p["type"] for p in seen[0]["content"]] == ["image_url", "text"]


def test_the_first_message_is_read_as_the_others_are():
    packed = m.user_message(m.envelopes.user_message("raw"))

    assert to_plain_chat([packed]) == [{"role": "user", "content": "raw"}]
    assert to_plain_chat([]) == []


def test_later_notes_of_the_system_can_be_left_out_and_the_first_stays():
    history = [SYSTEM, m.system_message("hidden"), m.user_message("hi")]

    assert [e["content"] for e in to_plain_chat(history, system_notes=False)] == ["You are helpful.", "hi"]
    assert len(to_plain_chat(history)) == 3


def test_a_thought_without_an_answer_and_an_answered_approval_are_no_obstacle():
    request = m.approval_request([m.tool_call("rm", call_id="1")], "may I?")
    history = [
        m.assistant_message([ReasoningPart(is_native=True, reasoning="only")]),
        request,
        m.approval_reply_to(request, approve=False),
    ]

    assert [e["role"] for e in to_plain_chat(history)] == ["assistant", "assistant", "tool"]


@settings(max_examples=300)
@given(histories)
def test_no_history_however_odd_makes_it_raise(history):
    json.dumps(to_plain_chat(history))
    json.dumps(to_plain_chat(history, thoughts=False, system_notes=False))
