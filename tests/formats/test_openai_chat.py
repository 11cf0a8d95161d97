from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agentlab.messages as m
from agentlab.errors import InputError
from agentlab.formats.openai_chat import from_openai, message_to_openai, to_openai
from agentlab.messages.message import Message
from agentlab.messages.parts import (
    Base64Image,
    ImagePart,
    ReasoningPart,
    RedactedReasoningPart,
    StoredImage,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UrlImage,
)
from tests.strategies import ARGUMENTS, histories, messages

LONG = ("toolu_0123456789ABCDEFGHIJKLMNOP", "toolu_0123456789ABCDEFGHIJKLMNOQ")
PICTURE = ImagePart(source=Base64Image(media_type="image/png", data="aaaa", detail="low"))
RM = m.tool_call("rm", {"p": "/"}, call_id="1")


def test_plain_messages_are_plain():
    history = [m.system_message("s"), m.user_message("u", name="ann"), m.assistant_message("a")]

    assert to_openai(history) == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u", "name": "ann"},
        {"role": "assistant", "content": "a"},
    ]


@pytest.mark.parametrize("name", ["my tool", "a|b", "<x>", "a/b", "a\\b", ""])
def test_a_name_that_endpoints_refuse_is_left_out(name):
    assert "name" not in message_to_openai(m.tool_message("1", name, "r"))[0]


def test_pictures_stay_pictures_beside_text():
    parts = [
        PICTURE,
        TextPart(text="what is this?"),
        ImagePart(source=UrlImage(url="https://example.org/cat.png")),
        ImagePart(source=StoredImage(file_id="file-1")),
        ImagePart(source=StoredImage(file_id="file-2", data="bbbb")),
    ]

    (entry,) = message_to_openai(m.user_message(parts))

    assert entry["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa", "detail": "low"}},
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        {"type": "text", "text": "[picture file-1, kept on another server]"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,bbbb"}},
    ]


def test_each_return_goes_out_under_its_own_call_id():
    returns = m.returns_message([m.tool_return("a", "r1"), m.tool_return("b", "r2", ok=False)])

    assert message_to_openai(returns) == [
        {"role": "tool", "content": "r1", "tool_call_id": "a"},
        {"role": "tool", "content": "r2", "tool_call_id": "b"},
    ]


def test_returns_and_calls_written_as_parts_go_out_too():
    calling = Message(role="assistant", content=(ToolCallPart(id="1", name="f", input={"a": 1}),))
    twice = calling.model_copy(update={"tool_calls": (m.tool_call("f", {"a": 1}, call_id="1"),)})
    returning = Message(role="tool", content=(ToolReturnPart(tool_call_id="1", content="r", is_error=False),))

    asked, answered = to_openai([calling, returning])

    assert asked["tool_calls"] == [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
    assert answered == {"role": "tool", "content": "r", "tool_call_id": "1"}
    assert len(message_to_openai(twice)[0]["tool_calls"]) == 1


def test_call_ids_stay_whole_and_distinct():
    calls = [m.tool_call("f", call_id=i) for i in LONG]

    chat = to_openai(m.step_messages("", calls, [m.tool_return(i, "r") for i in LONG]))

    assert [c["id"] for c in chat[0]["tool_calls"]] == list(LONG)
    assert [e["tool_call_id"] for e in chat[1:]] == list(LONG)


def test_reasoning_goes_out_beside_the_content_and_can_be_left_out():
    thought = ReasoningPart(is_native=True, reasoning="deep", signature="sig")
    message = m.assistant_message([thought, TextPart(text="say"), RedactedReasoningPart(data="ENC")], [RM])

    (entry,) = message_to_openai(message)
    (bare,) = message_to_openai(message, reasoning=False)

    assert (entry["content"], entry["reasoning_content"]) == ("say", "deep")
    assert (entry["reasoning_content_signature"], entry["redacted_reasoning_content"]) == ("sig", "ENC")
    assert bare.keys() == {"role", "content", "tool_calls"}


def test_several_thoughts_are_all_kept_and_one_beside_a_call_as_well():
    two = [ReasoningPart(is_native=True, reasoning=t, signature="sig") for t in ("first", "second")]
    redacted = [RedactedReasoningPart(data=d) for d in ("ENC1", "ENC2")]

    (entry,) = message_to_openai(m.assistant_message([*two, *redacted], [RM]))
    assert entry["redacted_reasoning_content"] == ["ENC1", "ENC2"]
    assert "reasoning_content_signature" not in entry
    assert [p.data for p in from_openai([entry])[0].content if p.type == "redacted_reasoning"] == ["ENC1", "ENC2"]
    assert message_to_openai(m.assistant_message(two, [RM]))[0]["reasoning_content"] == "first\n\nsecond"
    assert message_to_openai(m.assistant_message(two[:1], [RM]))[0]["reasoning_content"] == "first"


def test_a_thought_without_an_answer_is_an_answer_without_text():
    message = m.assistant_message([ReasoningPart(is_native=True, reasoning="only")])

    assert message_to_openai(message) == [{"role": "assistant", "content": "", "reasoning_content": "only"}]
    assert message_to_openai(message, reasoning=False) == []


def test_a_message_without_anything_in_it_is_left_out():
    assert message_to_openai(Message(role="assistant", content=())) == []


def test_an_approval_request_is_an_assistant_message():
    request = m.approval_request([RM], "may I?")

    assert message_to_openai(request) == [
        {
            "role": "assistant",
            "content": "may I?",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "rm", "arguments": '{"p":"/"}'}}],
        }
    ]


def test_a_reply_says_denials_and_the_clients_returns_under_their_calls_and_no_approvals():
    reply = m.approval_reply(
        [
            m.ApprovalReturn(tool_call_id="1", approve=True),
            m.ApprovalReturn(tool_call_id="2", approve=False, reason="too risky"),
            m.ApprovalReturn(tool_call_id="3", approve=False),
            m.tool_return("4", "ran here"),
        ]
    )

    assert [(e["tool_call_id"], e["content"]) for e in message_to_openai(reply)] == [
        ("2", "The call was denied. Reason: too risky"),
        ("3", "The call was denied; no reason was given."),
        ("4", "ran here"),
    ]


def test_a_denial_is_not_said_twice():
    request = m.approval_request([RM])
    history = [request, m.approval_reply_to(request, approve=False), m.tool_message("1", "rm", "denied", ok=False)]

    assert [e["content"] for e in to_openai(history)] == [None, "denied"]


def test_calls_that_need_no_approval_and_those_that_do_make_one_reply():
    thought = ReasoningPart(is_native=True, reasoning="one", signature="s")
    free = m.assistant_message([thought, TextPart(text="looking")], [m.tool_call("ls", call_id="2")])
    request = m.approval_request([RM], [ReasoningPart(is_native=True, reasoning="two"), PICTURE])
    before = (free.model_dump(), request.model_dump())

    (entry,) = to_openai([free, request])

    assert [c["id"] for c in entry["tool_calls"]] == ["2", "1"]
    assert entry["reasoning_content"] == "one\n\ntwo"
    assert "reasoning_content_signature" not in entry  # it proves the first thought alone
    assert [p["type"] for p in entry["content"]] == ["text", "image_url"]
    assert len(to_openai([free, request, m.approval_request([m.tool_call("rm", call_id="3")])])) == 2
    assert (free.model_dump(), request.model_dump()) == before


def test_a_return_without_a_call_id_does_not_raise():
    assert message_to_openai(Message(role="tool", content=(TextPart(text="r"),)))[0]["tool_call_id"] == ""


@settings(max_examples=300)
@given(histories)
def test_no_history_however_odd_makes_writing_raise(history):
    chat = to_openai(history)

    json.dumps(chat)
    assert all(e["role"] in ("system", "user", "assistant", "tool") and "content" in e for e in chat)


@given(messages)
def test_no_text_and_no_picture_is_lost(message):
    written = json.dumps(message_to_openai(message), ensure_ascii=False)

    if message.role in ("system", "user", "assistant"):
        for part in message.content or ():
            if part.type == "text":
                assert json.dumps(part.text, ensure_ascii=False)[1:-1] in written
            if part.type == "image" and part.source.type == "base64":
                assert part.source.data in written


def test_reading_takes_every_field_of_the_form():
    picture = {"type": "image_url", "image_url": "https://x/y"}
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    chat = [
        {"role": "developer", "content": "s"},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": "u"}, picture]},
        {"role": "assistant", "content": None, "reasoning": "hm", "tool_calls": [call]},
        {"role": "assistant", "content": None, "refusal": "I will not."},
    ]

    system, user, calling, refusing = from_openai(chat)

    assert (system.role, system.text) == ("system", "s")
    assert (user.name, user.text, user.content[1].source.url) == ("ann", "u", "https://x/y")
    assert calling.content == (ReasoningPart(is_native=True, reasoning="hm"),)
    assert calling.tool_calls[0].id.startswith("call_")
    assert calling.tool_calls[0].function.arguments == '{"a": 1}'
    assert refusing.text == "I will not."


def test_a_return_learns_its_name_and_status():
    failed = m.envelopes.tool_return("no", ok=False)
    history = m.step_messages("", [RM], [m.tool_return("1", failed, ok=False)])
    chat = to_openai(history)
    del chat[1]["name"]

    returned = from_openai(chat)[1]

    assert (returned.name, returned.tool_returns[0].status) == ("rm", "error")


def test_a_return_may_hold_a_picture():
    chat = [
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]}
    ]

    (message,) = from_openai(chat)

    assert message.content[0].source.url == "https://x/y"
    assert to_openai([message]) == chat


@pytest.mark.parametrize(
    ("given_", "text"),
    [
        ("hi", r"messages\[0\]: it is str, and should be an object"),
        ({"content": "x"}, r"messages\[0\]: its role is None"),
        ({"role": "function", "content": "x"}, "its role is 'function'"),
        ({"role": "user", "content": 3}, "its content is int"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "a part of its content is 'input_audio'"),
        ({"role": "user", "content": ["x"]}, "a part of its content is 'str'"),
        ({"role": "user", "content": [{"type": "text"}]}, "text is NoneType, and should be text"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png,x"}}]},
            "not in base64",
        ),
        ({"role": "tool", "content": "r"}, "needs the tool_call_id"),
        ({"role": "assistant", "tool_calls": [{"id": "1", "type": "custom"}]}, "has no function"),
        ({"role": "assistant", "tool_calls": [{"id": "1", "function": {}}]}, "function name is NoneType"),
        ({"role": "user", "content": "x", "name": 3}, "name is int"),
    ],
)
def test_a_malformed_message_is_named_with_its_place(given_, text):
    with pytest.raises(InputError, match=text):
        from_openai([given_])


texts = st.text(min_size=1, max_size=10)
chat_parts = st.lists(
    st.builds(lambda t: {"type": "text", "text": t}, texts)
    | st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa", "detail": "low"}})
    | st.just({"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}),
    min_size=1,
    max_size=3,
).filter(lambda parts: any(p["type"] == "image_url" for p in parts))
calls = st.lists(
    st.builds(
        lambda n, a: {"id": f"call_{n}", "type": "function", "function": {"name": "f", "arguments": json.dumps(a)}},
        st.integers(0, 99),
        ARGUMENTS,
    ),
    min_size=1,
    max_size=3,
)
chats = st.lists(
    st.builds(lambda r, c: {"role": r, "content": c}, st.sampled_from(["system", "user"]), texts | chat_parts)
    | st.builds(lambda c: {"role": "assistant", "content": c}, texts)
    | st.builds(
        lambda c, k, r: {"role": "assistant", "content": c, "tool_calls": k, "reasoning_content": r},
        st.none() | texts,
        calls,
        texts,
    )
    | st.builds(lambda i, c: {"role": "tool", "tool_call_id": i, "content": c, "name": "f"}, texts, texts),
    max_size=6,
)


@given(chats)
def test_what_was_read_is_written_again(chat):
    assert to_openai(from_openai(chat)) == chat


@given(chats)
def test_what_was_written_is_read_again(chat):
    def seen(history: list[Message]) -> list[object]:
        return [(x.role, x.content, x.tool_calls, x.tool_call_id, x.tool_returns, x.name) for x in history]

    history = from_openai(chat)

    assert seen(from_openai(to_openai(history))) == seen(history)
