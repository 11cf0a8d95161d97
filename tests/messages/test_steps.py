from __future__ import annotations

import json

import pytest

import agentlab.messages as m
from agentlab.errors import InputError
from agentlab.messages.history import lint

CALLS = [m.tool_call("f", call_id="1"), m.tool_call("g", call_id="2")]
RETURNS = [m.tool_return("1", "one"), m.tool_return("2", "two", ok=False)]


def test_a_step_is_the_models_message_a_return_for_each_call_and_the_heartbeat():
    messages = m.step_messages("hm", CALLS, RETURNS, heartbeat="go on", message_id="message-1", batch_item_id="b")

    assert [x.role for x in messages] == ["assistant", "tool", "tool", "user"]
    assert [(x.tool_call_id, x.name) for x in messages[1:3]] == [("1", "f"), ("2", "g")]
    assert messages[0].id == "message-1"
    assert {x.batch_item_id for x in messages} == {"b"}
    assert lint(messages) == []


def test_returns_may_come_in_another_order():
    messages = m.step_messages("", CALLS, RETURNS[::-1])

    assert [(x.tool_call_id, x.name) for x in messages[1:]] == [("2", "g"), ("1", "f")]
    assert lint(messages) == []


def test_calls_may_wait_and_a_step_may_be_only_a_heartbeat():
    assert [x.role for x in m.step_messages("", CALLS)] == ["assistant"]
    assert [x.role for x in m.step_messages(heartbeat="go on")] == ["user"]
    assert m.step_messages() == []


@pytest.mark.parametrize("build", [m.step_messages, m.parallel_messages])
@pytest.mark.parametrize(
    ("calls", "returns"),
    [
        (CALLS, RETURNS[:1]),
        (CALLS[:1], RETURNS),
        (CALLS, [RETURNS[0], RETURNS[0]]),
        (CALLS, [RETURNS[0], m.tool_return("9", "r")]),
        ([], RETURNS),
    ],
    ids=["too few", "too many", "twice", "of another", "no calls"],
)
def test_calls_and_returns_that_do_not_match_are_refused(build, calls, returns):
    with pytest.raises(InputError, match=r"each call needs one return.*'1'|there are no calls"):
        build("", calls, returns)


def test_parallel_returns_may_share_a_message():
    asking, answering = m.parallel_messages("hm", CALLS, RETURNS, message_id="message-1")

    assert (asking.id, asking.tool_call_id) == ("message-1", None)
    assert [r.tool_call_id for r in answering.tool_returns] == ["1", "2"]
    assert [p.text for p in answering.content] == ["one", "two"]
    assert lint([asking, answering]) == []


def test_a_message_of_returns_needs_one():
    with pytest.raises(InputError, match="at least one"):
        m.returns_message([])


def test_what_was_said_is_a_call_of_send_message_with_an_empty_return():
    asking, answering = m.said_messages("Hello", timezone="UTC", run_id="run-1")

    assert json.loads(asking.tool_calls[0].function.arguments) == {"message": "Hello", "request_heartbeat": False}
    assert json.loads(answering.text)["message"] is None
    assert answering.name == "send_message"
    assert lint([asking, answering]) == []
