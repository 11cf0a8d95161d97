from __future__ import annotations

import copy

import pytest

import agentlab
import agentlab.messages as m
from agentlab.errors import InputError
from agentlab.messages.message import Message
from agentlab.messages.parts import Base64Image, ImagePart, OmittedReasoningPart, ReasoningPart, TextPart

LINKS = {"agent_id": "agent-1", "model": "tiny-1", "run_id": "run-1", "step_id": "step-1", "batch_item_id": "batch-1"}
PICTURE = ImagePart(source=Base64Image(media_type="image/png", data="aaaa"))
CALL = m.tool_call("f", {"a": 1}, call_id="1")

BUILDERS = {
    "user": lambda **k: m.user_message("hi", **k),
    "system": lambda **k: m.system_message("hi", **k),
    "assistant": lambda **k: m.assistant_message("hi", [CALL], **k),
    "tool": lambda **k: m.tool_message("1", "f", "r", **k),
    "heartbeat": lambda **k: m.heartbeat_message("go on", **k),
    "request": lambda **k: m.approval_request([CALL], "may I?", **k),
    "reply": lambda **k: m.approval_reply([m.ApprovalReturn(tool_call_id="1", approve=True)], **k),
    "returns": lambda **k: m.returns_message([m.tool_return("1", "r")], **k),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_every_builder_keeps_the_links(build):
    message = build(**LINKS)

    assert {key: getattr(message, key) for key in LINKS} == LINKS


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_what_is_built_is_what_validation_would_make(build):
    message = build(**LINKS)

    assert Message.model_validate(message.model_dump()) == message
    assert hash(Message.model_validate(message.model_dump())) == hash(message)


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_a_link_that_does_not_exist_is_refused(build):
    with pytest.raises(ValueError, match="runid"):
        build(runid="run-1")


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_ids_and_times_come_from_the_frozen_world(build):
    with agentlab.frozen(at="2026-01-02T03:04:05Z", seed=3):
        first = build()
    with agentlab.frozen(at="2026-01-02T03:04:05Z", seed=3):
        second = build()

    assert first == second
    assert first.id.startswith("message-")
    assert first.created_at.isoformat() == "2026-01-02T03:04:05+00:00"


def test_a_given_message_id_is_kept():
    assert m.user_message("hi", message_id="message-7").id == "message-7"
    assert m.assistant_message("hi", message_id="message-7").id == "message-7"
    assert m.tool_message("1", "f", "r", message_id="message-7").id == "message-7"


@pytest.mark.parametrize("content", ["", [], [TextPart(text="")]], ids=["text", "list", "part"])
@pytest.mark.parametrize("build", [m.user_message, m.system_message, m.assistant_message])
def test_a_message_without_anything_in_it_is_refused(build, content):
    with pytest.raises(InputError, match=r"empty|none of them"):
        build(content)


@pytest.mark.parametrize("build", [m.user_message, m.assistant_message])
def test_parts_that_are_no_parts_are_named(build):
    with pytest.raises(InputError, match="is str; it takes text, or a list of parts"):
        build(["hi"])


def test_pictures_and_texts_keep_their_order():
    parts = (PICTURE, TextPart(text="what is this?"))

    assert m.user_message(parts).content == parts
    assert m.user_message(iter(parts)).content == parts


def test_hollow_text_and_hollow_thoughts_are_dropped_alike():
    kept = [ReasoningPart(is_native=True, reasoning="", signature="s"), TextPart(text="say"), OmittedReasoningPart()]
    hollow = [TextPart(text=""), ReasoningPart(is_native=True, reasoning="")]

    assert list(m.assistant_message([*hollow, *kept]).content) == kept
    assert list(m.approval_request([CALL], [*hollow, *kept]).content) == kept


def test_one_call_links_the_message_several_do_not():
    two = [CALL, m.tool_call("g", call_id="2")]

    assert m.assistant_message("", [CALL]).tool_call_id == "1"
    assert m.assistant_message("", two).tool_call_id is None
    assert m.assistant_message("text").tool_calls is None


def test_two_calls_with_one_id_are_refused():
    with pytest.raises(InputError, match="an id of its own; these are '1', '1'"):
        m.assistant_message("", [CALL, CALL])


def test_a_failed_return_says_so_in_its_entry():
    message = m.tool_message("1", "f", "Error: no", ok=False, stderr=["boom"])

    assert message.text == "Error: no"
    assert (message.tool_returns[0].status, message.tool_returns[0].stderr) == ("error", ("boom",))


def test_a_heartbeat_is_a_user_message_and_takes_text():
    assert m.heartbeat_message("go on").role == "user"
    with pytest.raises(InputError, match="is NoneType"):
        m.heartbeat_message(None)


def test_builders_leave_what_they_are_given_alone():
    parts, calls = [TextPart(text=""), TextPart(text="x")], [CALL]
    before = copy.deepcopy((parts, calls))

    m.assistant_message(parts, calls)
    m.step_messages(parts, calls, [m.tool_return("1", "r")], heartbeat="go on")
    m.parallel_messages(parts, calls, [m.tool_return("1", "r")])

    assert (parts, calls) == before
