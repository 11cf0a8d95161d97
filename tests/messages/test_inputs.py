from __future__ import annotations

import json

import pytest

import agentlab.messages as m
from agentlab.errors import InputError, TimezoneError
from agentlab.messages.inputs import ApprovalInput, input_approval


def test_what_a_client_sends_becomes_messages_in_order():
    messages = m.input_messages(
        [{"role": "system", "content": "s"}, m.InputMessage(role="user", content="u", name="ann", otid="o")],
        agent_id="agent-1",
        otid="of all",
    )

    assert [(x.role, x.text, x.name, x.otid) for x in messages] == [
        ("system", "s", None, "of all"),
        ("user", "u", "ann", "o"),
    ]


def test_a_picture_by_address_is_not_fetched():
    given = [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "test:/cat"}}]}]

    assert m.input_messages(given)[0].content[0].source.url == "test:/cat"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"role": "user", "content": ""}, "input message 1: a user message needs text or a picture"),
        ({"role": "user", "content": []}, "input message 1: a user message needs"),
        ({"role": "user", "content": [{"type": "text", "text": ""}]}, "input message 1: a user message needs"),
        ({"role": "assistant", "content": "x"}, "input message 1 cannot be used: role"),
        ({"role": "user", "content": "x", "who": 1}, "who: Extra inputs"),
        ("hi", "input message 1 cannot be used: it"),
    ],
    ids=["no text", "no parts", "empty part", "role", "extra", "text"],
)
def test_what_cannot_be_used_is_named_with_its_place(given, text):
    with pytest.raises(InputError, match=text):
        m.input_messages([{"role": "user", "content": "fine"}, given])


def test_a_clients_own_return_is_packed_with_its_status():
    reply = input_approval(
        {"approvals": [{"type": "tool", "tool_call_id": "1", "tool_return": "no", "status": "error", "stdout": ["a"]}]},
        timezone="UTC",
    )

    entry = reply.approvals[0]
    assert json.loads(entry.func_response)["status"] == "Failed"
    assert (entry.status, entry.stdout, entry.tool_call_id) == ("error", ("a",), "1")
    with pytest.raises(TimezoneError):
        input_approval(
            {"approvals": [{"type": "tool", "tool_call_id": "1", "tool_return": "", "status": "error"}]},
            timezone="Nowhere/City",
        )


def test_both_styles_may_agree_and_may_not_differ():
    agreed = ApprovalInput(approve=True, approvals=(m.ApprovalReturn(tool_call_id="1", approve=True),), group_id="g")

    assert (input_approval(agreed).approve, input_approval(agreed).group_id) == (True, "g")
    with pytest.raises(InputError, match="contradicts itself: approve is False"):
        input_approval(agreed.model_copy(update={"approve": False}))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"approvals": []},
        {"approve": True},
        {"approval_request_id": "message-1"},
        {"approvals": [{"type": "other"}]},
    ],
    ids=["nothing", "empty", "no id", "no answer", "unknown"],
)
def test_an_answer_that_decides_nothing_is_refused(given):
    with pytest.raises(InputError, match=r"answers nothing|cannot be used"):
        input_approval(given)
