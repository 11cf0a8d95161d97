from __future__ import annotations

import pytest

import agentlab.messages as m
from agentlab.errors import InputError

CALLS = [m.tool_call("rm", call_id="1"), m.tool_call("ls", call_id="2")]


def yes(call_id: str) -> m.ApprovalReturn:
    return m.ApprovalReturn(tool_call_id=call_id, approve=True)


def test_a_request_asks_for_calls():
    request = m.approval_request(CALLS, "may I?")

    assert request.is_approval_request
    assert not request.is_approval_reply
    assert [c.id for c in request.tool_calls] == ["1", "2"]


def test_a_reply_is_known_as_one():
    reply = m.approval_reply([yes("1"), m.tool_return("2", "ran here")])

    assert reply.is_approval_reply
    assert not reply.is_approval_request


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: m.approval_request([]), "at least one tool call"),
        (lambda: m.approval_reply([]), "answers nothing"),
        (lambda: m.approval_reply([yes("1"), yes("1")]), r"one decision a call; these are for \['1', '1'\]"),
        (lambda: m.approval_reply([yes("")]), "needs the id of its call"),
        (lambda: m.approval_reply_to(m.user_message("hi"), approve=True), "asks for no approval"),
    ],
    ids=["no call", "no decision", "two for one", "no id", "no request"],
)
def test_requests_and_replies_that_mean_nothing_are_refused(build, text):
    with pytest.raises(InputError, match=text):
        build()


def test_one_answer_for_all_calls_goes_by_call_id_and_keeps_the_links():
    request = m.approval_request(CALLS, run_id="run-1", step_id="step-1", batch_item_id="b")

    reply = m.approval_reply_to(request, approve=False, reason="no")

    assert [(a.tool_call_id, a.approve, a.reason) for a in reply.approvals] == [("1", False, "no"), ("2", False, "no")]
    assert (reply.run_id, reply.step_id, reply.batch_item_id) == ("run-1", "step-1", "b")
