from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

import agentlab.messages as m
from agentlab.formats.openai_chat import to_openai
from agentlab.messages.approvals import approval_reply, approval_reply_to, approval_request
from agentlab.messages.history import NEVER_RAN, NO_RETURN, lint, mend
from agentlab.messages.message import ApprovalReturn, Message
from agentlab.messages.parts import ReasoningPart, SummarizedReasoningPart, SummaryEntry
from tests.strategies import histories


def ask(*ids: str, name: str = "f") -> Message:
    return m.assistant_message((), [m.tool_call(name, {}, call_id=i) for i in ids])


def answer(call_id: str, text: str = "r") -> Message:
    return m.tool_message(call_id, "f", text)


def kinds(messages: list[Message]) -> list[str]:
    return [p.kind for p in lint(messages)]


def refusals(chat: list[dict[str, Any]]) -> list[str]:
    """What an OpenAI-compatible endpoint says of a request, written apart from the code under test."""
    found, waiting, used = [], [], set()
    for n, entry in enumerate(chat):
        if entry["role"] == "tool":
            if entry["tool_call_id"] in waiting:
                waiting.remove(entry["tool_call_id"])
            else:
                found.append(f"{n}: a return without its call")
            continue
        found += [f"{n}: {i!r} has no return" for i in waiting]
        ids = [c["id"] for c in entry.get("tool_calls", ())]
        found += [f"{n}: bad id {i!r}" for k, i in enumerate(ids) if not i or i in used or i in ids[:k]]
        waiting = ids
        used |= set(ids)
    return found + [f"end: {i!r} has no return" for i in waiting]


CLEAN = [
    m.system_message("s"),
    m.user_message("u"),
    ask("1", "2"),
    answer("1"),
    answer("2"),
    m.assistant_message("done"),
]


def test_a_conversation_in_order_is_clean():
    assert lint(CLEAN) == []
    assert lint([]) == []


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([ask("1")], ["unanswered_call"]),
        ([ask("1", "2"), answer("2")], ["unanswered_call"]),
        ([answer("1")], ["orphan_return"]),
        ([answer("1"), ask("1")], ["orphan_return", "unanswered_call"]),
        ([ask("1"), answer("1"), answer("1")], ["duplicate_return"]),
        ([ask("1"), m.user_message("u"), answer("1")], ["late_return"]),
        ([ask("1"), m.system_message("s"), answer("1")], ["late_return"]),
        ([ask("1"), ask("2"), answer("1"), answer("2")], ["late_return"]),
        ([ask("1"), answer("1"), ask("1"), answer("1")], ["duplicate_call_id"]),
        ([Message(role="tool", content=(m.TextPart(text="r"),))], ["missing_call_id"]),
        ([Message(role="assistant", content=())], ["empty_message"]),
        ([Message(role="user", content=(m.TextPart(text=""),))], ["empty_message"]),
        ([approval_request([m.tool_call("rm", call_id="1")])], ["pending_approval"]),
    ],
)
def test_what_a_provider_refuses_is_told(messages, expected):
    assert kinds(messages) == expected


def test_a_problem_says_where_and_which_call():
    (problem,) = lint([m.user_message("u"), ask("call_7")])

    assert (problem.index, problem.call_id) == (1, "call_7")
    assert str(problem) == "message 1 makes a call that nothing answers (call 'call_7')"


def test_calls_without_a_return_get_a_failed_one_in_their_place():
    history = [m.assistant_message("", [m.tool_call("f", call_id="1")], run_id="run-1", step_id="step-1")]

    mended = mend([*history, m.user_message("u")])

    assert [x.role for x in mended] == ["assistant", "tool", "user"]
    assert (mended[1].tool_call_id, mended[1].name, mended[1].text) == ("1", "f", NO_RETURN)
    assert mended[1].tool_returns[0].status == "error"
    assert (mended[1].run_id, mended[1].step_id) == ("run-1", "step-1")


def test_late_returns_move_up_and_nothing_else_moves():
    late = answer("1")
    history = [ask("1"), m.system_message("new memory"), late, m.user_message("u")]

    assert mend(history) == [history[0], late, history[1], history[3]]


def test_orphans_and_empty_messages_go():
    history = [m.user_message("u"), answer("9"), Message(role="assistant", content=()), m.assistant_message("a")]

    assert mend(history) == [history[0], history[3]]


def test_an_orphan_among_the_returns_of_one_message_goes_alone():
    both = m.returns_message([m.tool_return("1", "one"), m.tool_return("9", "nine")])

    mended = mend([ask("1"), both])

    assert [r.tool_call_id for r in mended[1].tool_returns] == ["1"]
    assert mended[1].text == "one"
    assert both.tool_returns[1].tool_call_id == "9"  # what was given has not changed


def test_a_call_id_used_twice_becomes_two_ids_with_their_own_returns():
    history = [ask("1"), answer("1", "first"), ask("1"), answer("1", "second")]

    mended = mend(history)

    assert mended[:2] == history[:2]
    fresh = mended[2].tool_calls[0].id
    assert fresh != "1"
    assert (mended[3].tool_call_id, mended[3].text) == (fresh, "second")
    assert mended[3].tool_returns[0].tool_call_id == fresh


def test_a_return_without_an_id_finds_the_only_call_that_waits():
    lost = Message(role="tool", name="f", content=(m.TextPart(text="r"),))

    mended = mend([ask("1"), lost])

    assert mended[1].tool_call_id == "1"
    assert mended[1].text == "r"


def test_a_pending_request_is_closed_with_a_return_that_says_it_never_ran():
    request = approval_request([m.tool_call("rm", call_id="1")])

    mended = mend([m.user_message("u"), request])

    assert mended[1] is request
    assert mended[2].text == NEVER_RAN


def test_an_approved_call_that_never_returned_is_unanswered():
    request = approval_request([m.tool_call("rm", call_id="1")])

    assert kinds([request, approval_reply_to(request, approve=True)]) == ["unanswered_call"]


def test_a_denial_answers_its_call():
    request = approval_request([m.tool_call("rm", call_id="1"), m.tool_call("ls", call_id="2")])
    reply = approval_reply(
        [ApprovalReturn(tool_call_id="1", approve=False), ApprovalReturn(tool_call_id="2", approve=True)]
    )

    assert lint([request, reply, answer("2")]) == []


def test_a_denial_that_a_tool_message_repeats_is_no_second_answer():
    request = approval_request([m.tool_call("rm", call_id="1")])

    assert lint([request, approval_reply_to(request, approve=False), answer("1")]) == []


def test_a_decision_by_message_id_is_resolved_to_the_call_it_means():
    request = approval_request([m.tool_call("rm", call_id="1")])
    reply = approval_reply([ApprovalReturn(tool_call_id=request.id, approve=False, reason="no")])
    history = [request, reply]

    assert lint(history) == []
    assert to_openai(history)[1]["tool_call_id"] == "1"
    late = mend([request, m.user_message("u"), reply])
    assert late[1].approvals[0].tool_call_id == "1"


def test_an_approval_request_belongs_to_the_message_just_before_it():
    free = ask("1")
    request = approval_request([m.tool_call("rm", call_id="2")])
    history = [free, request, approval_reply_to(request, approve=False), answer("1")]

    assert lint(history) == []
    assert refusals(to_openai(history)) == []


def test_thoughts_that_the_chat_form_cannot_hold_are_neither_empty_nor_in_the_way():
    hidden = SummarizedReasoningPart(id="rs", summary=(SummaryEntry(index=0, text="s"),))
    history = [ask("1"), Message(role="assistant", content=(hidden,)), answer("1")]

    assert lint(history) == []
    assert lint([m.assistant_message([ReasoningPart(is_native=True, reasoning="hm")])]) == []


@settings(max_examples=400)
@given(histories)
def test_any_mended_history_is_clean(history):
    mended = mend(history)

    assert lint(mended) == []
    assert refusals(to_openai(mended)) == []


@settings(max_examples=200)
@given(histories)
def test_mending_a_clean_history_changes_nothing(history):
    mended = mend(history)

    assert mend(mended) == mended
    assert [a is b for a, b in zip(mend(mended), mended, strict=True)] == [True] * len(mended)


@settings(max_examples=200)
@given(histories)
def test_mending_keeps_every_text_of_system_user_and_assistant(history):
    def spoken(messages: list[Message]) -> list[str]:
        heard = [x for x in messages if x.role in ("system", "user", "assistant")]
        return [p.text for x in heard for p in x.content or () if p.type == "text" and p.text]

    assert spoken(mend(history)) == spoken(history)


@settings(max_examples=200)
@given(histories)
def test_what_lint_passes_no_endpoint_refuses(history):
    if not lint(history):
        assert refusals(to_openai(history)) == []
