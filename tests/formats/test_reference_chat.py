from __future__ import annotations

import pytest

import agentlab.messages as m
from agentlab.errors import ConversationError
from agentlab.formats.reference_chat import message_to_reference, plain_reference_chat
from agentlab.messages.message import Message
from agentlab.messages.parts import Base64Image, ImagePart, ReasoningPart, TextPart

PICTURE = ImagePart(source=Base64Image(media_type="image/png", data="aaaa"))


def test_what_the_reference_leaves_out_is_left_out():
    thought = ReasoningPart(is_native=True, reasoning="only")

    assert message_to_reference(m.user_message([PICTURE, TextPart(text="look")])) == {"role": "user", "content": "look"}
    assert message_to_reference(m.user_message([PICTURE]))["content"] == "[Image Here]"
    assert message_to_reference(m.assistant_message([thought])) is None
    assert "reasoning_content" not in message_to_reference(m.assistant_message([thought], [m.tool_call("f")]))


def test_ids_are_cut_but_never_become_equal():
    ids = ["toolu_0123456789ABCDEFGHIJKLM" + end for end in ("NOP", "NOQ", "")]
    history = m.step_messages("", [m.tool_call("f", call_id=i) for i in ids], [m.tool_return(i, "r") for i in ids])

    chat = plain_reference_chat(history)

    short = [c["id"] for c in chat[0]["tool_calls"]]
    assert short[0] == ids[0][:29]
    assert len(set(short)) == 3
    assert all(len(i) == 29 for i in short)
    assert [e["tool_call_id"] for e in chat[1:]] == short
    assert [x.tool_calls[0].id for x in history[:1]] == ids[:1]


@pytest.mark.parametrize(
    "message",
    [
        Message(role="user", content=()),
        Message(role="assistant", content=()),
        Message(role="tool", content=(TextPart(text="r"),), name="f"),
    ],
    ids=["user", "assistant", "tool"],
)
def test_messages_that_cannot_be_written_are_named(message):
    with pytest.raises(ConversationError, match=f"message 1 \\({message.id}\\)"):
        plain_reference_chat([m.user_message("hi"), message])
