"""The request of a step as it left, made again from the trace, without its keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from agentlab.errors import InputError
from agentlab.messages.message import Message
from agentlab.models._wire import RequestWriter
from agentlab.models.base import ModelParams, ModelRequest
from agentlab.trace.contexts import messages_before
from agentlab.trace.events import Event, ModelCalled
from agentlab.trace.redact import Redactor
from agentlab.trace.safe import visible
from agentlab.trace.trace import Trace
from agentlab.trace.words import as_json, counted

REQUEST_BYTES = 5_000_000
"""Of a longer conversation the messages in the middle are left out: nobody reads them, and a page would stand still."""


def request_of_step(trace: Trace, number: int) -> str:
    """The body of the last request of a step, as chat completions have it, as indented JSON.

    Fields that only the endpoint's settings know (`extra_body`) are not in a trace, and not in it. Of a very long
    conversation the middle is left out, and a note stands there. It may be called on any thread while the run goes on.

    Args:
        trace: The trace.
        number: The step.

    Raises:
        InputError: The step made no request.
    """
    events = list(trace.events)
    called = _last_call(events, number)
    messages = messages_before(events, called.seq)
    n_first, n_last = _to_be_shown(messages)
    body = _body(trace, called, messages[:n_first])
    if n_first + n_last < len(messages):
        left_out = counted(len(messages) - n_first - n_last, "message")
        body["messages"].append({"note": f"{left_out} left out here"})
        body["messages"] += _body(trace, called, messages[len(messages) - n_last :])["messages"]
    return visible(as_json(body))


def _last_call(events: list[Event], number: int) -> ModelCalled:
    for event in reversed(events):
        if isinstance(event, ModelCalled) and event.purpose == "step" and event.step == number:
            return event
    raise InputError(f"step {number} made no request")


def _body(trace: Trace, called: ModelCalled, messages: list[Message]) -> dict[str, Any]:
    specs = {tool.name: tool for tool in trace.started.tools}
    request = ModelRequest(
        messages,
        tools=tuple(specs[name] for name in called.tools if name in specs),
        tool_choice=called.tool_choice,
        parallel_tool_calls=bool(trace.started.settings.get("parallel_tool_calls", False)),
        params=ModelParams(**called.params),
    )
    body = RequestWriter(called.model).body(request)
    redactor = Redactor()
    clean: dict[str, Any] = orjson.loads(redactor.json(body) if redactor.suspects(body.decode()) else body)
    return clean


def _to_be_shown(messages: list[Message]) -> tuple[int, int]:
    """How many messages of the beginning and of the end are shown: all, or as many as there is room for."""
    if _n_that_fit(messages, REQUEST_BYTES) == len(messages):
        return len(messages), 0
    n_first = _n_that_fit(messages, REQUEST_BYTES // 2)
    return n_first, _n_that_fit(reversed(messages[n_first:]), REQUEST_BYTES // 2)


def _n_that_fit(messages: Iterable[Message], room_bytes: int) -> int:
    n_fit = 0
    for message in messages:
        room_bytes -= len(message.model_dump_json())
        if room_bytes < 0:
            break
        n_fit += 1
    return n_fit
