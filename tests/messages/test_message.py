from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from agentlab import clock
from agentlab.messages.message import MESSAGES, FunctionCall, Message, ToolCall, ToolReturn, unchecked
from agentlab.messages.parts import TextPart
from tests.strategies import histories

NOW = clock.now()
FUNCTION = FunctionCall(arguments="{}", name="f")
SAMPLES: list[tuple[type[Any], dict[str, Any]]] = [
    (TextPart, {"text": "hi"}),
    (TextPart, {"text": "hi", "signature": "s"}),
    (FunctionCall, {"name": "f", "arguments": "{}"}),
    (ToolCall, {"id": "1", "function": FUNCTION}),
    (ToolReturn, {"tool_call_id": "1", "status": "error", "stdout": ("a",), "func_response": "r"}),
    (Message, {"id": "message-1", "role": "user", "content": (TextPart(text="x"),), "created_at": NOW}),
    (
        Message,
        {
            "created_at": NOW,
            "id": "message-2",
            "role": "assistant",
            "content": (),
            "tool_calls": (ToolCall(id="1", function=FUNCTION),),
            "run_id": "run-1",
        },
    ),
]


@pytest.mark.parametrize(("kind", "values"), SAMPLES, ids=lambda v: getattr(v, "__name__", ""))
def test_a_value_made_unchecked_is_the_validated_one(kind, values):
    fast, checked = unchecked(kind, values), kind(**values)

    assert fast == checked
    assert hash(fast) == hash(checked)
    assert repr(fast) == repr(checked)
    for options in ({}, {"exclude_unset": True}, {"exclude_none": True}, {"exclude_defaults": True}):
        assert fast.model_dump(**options) == checked.model_dump(**options)
        assert fast.model_dump_json(**options) == checked.model_dump_json(**options)
    assert fast.model_copy() == checked.model_copy()
    assert pickle.loads(pickle.dumps(fast)) == checked  # noqa: S301 - a round trip of our own value
    with pytest.raises(ValidationError, match="frozen"):
        setattr(fast, next(iter(values)), "other")


def test_a_field_that_does_not_exist_is_refused_all_the_same():
    with pytest.raises(ValidationError, match="runid"):
        unchecked(Message, {"role": "user", "runid": "run-1"})


@given(histories)
def test_messages_survive_json(history):
    assert MESSAGES.validate_json(MESSAGES.dump_json(history)) == history
