from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given

import agentlab
from agentlab.errors import InputError
from agentlab.messages.calls import tool_call, tool_return
from tests.strategies import ARGUMENTS


def test_a_missing_id_is_invented():
    with agentlab.frozen(seed=1):
        first, second = tool_call("f"), tool_call("f", call_id="")

    assert first.id.startswith("call_")
    assert first.id != second.id


@pytest.mark.parametrize("arguments", [None, {}])
def test_missing_arguments_are_an_empty_object(arguments):
    assert tool_call("f", arguments).function.arguments == "{}"


def test_the_heartbeat_goes_last_or_takes_the_place_of_an_earlier_one_and_the_caller_keeps_hers():
    given_ = {"request_heartbeat": True, "q": 1}

    changed = tool_call("f", given_, request_heartbeat=False).function.arguments
    added = tool_call("f", {"q": 1}, request_heartbeat=True).function.arguments

    assert list(json.loads(changed).items()) == [("request_heartbeat", False), ("q", 1)]
    assert list(json.loads(added).items()) == [("q", 1), ("request_heartbeat", True)]
    assert given_ == {"request_heartbeat": True, "q": 1}


def test_text_arguments_stay_as_the_model_wrote_them():
    assert tool_call("f", '{ "a":1 ').function.arguments == '{ "a":1 '
    with pytest.raises(InputError, match="this is text"):
        tool_call("f", "{}", request_heartbeat=True)


@given(ARGUMENTS)
def test_arguments_survive(arguments):
    assert json.loads(tool_call("f", arguments).function.arguments) == arguments


@pytest.mark.parametrize("value", [2**70, {1: "one"}, None, "null", "\ud83d"], ids=ascii)
def test_arguments_beyond_the_fast_encoder_survive_too(value):
    text = tool_call("f", {"x": value}).function.arguments

    assert json.loads(text)["x"] == json.loads(json.dumps(value))
    text.encode()


@pytest.mark.parametrize(
    "value",
    [datetime(2026, 1, 2), {1}, float("nan"), float("inf"), object()],
    ids=["time", "set", "nan", "infinity", "object"],
)
def test_what_json_has_no_form_for_is_refused_with_the_tools_name(value):
    with pytest.raises(InputError, match="the arguments of `search` are no JSON"):
        tool_call("search", {"x": value})


def test_a_return_needs_the_id_of_its_call_and_text():
    with pytest.raises(InputError, match="needs the id"):
        tool_return("", "x")
    with pytest.raises(InputError, match="is int; it takes text"):
        tool_return("1", 3)


def test_a_return_keeps_what_was_printed():
    entry = tool_return("1", None, ok=False, stdout=["a"], stderr=[])

    assert (entry.status, entry.stdout, entry.stderr, entry.func_response) == ("error", ("a",), (), None)
