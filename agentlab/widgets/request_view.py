"""The request of a step as it left, made again from the trace, without its keys."""

from __future__ import annotations

import orjson

from agentlab.errors import InputError
from agentlab.models._wire import RequestWriter
from agentlab.models.base import ModelParams, ModelRequest
from agentlab.trace.redact import Redactor
from agentlab.trace.safe import visible
from agentlab.trace.trace import Trace
from agentlab.trace.words import as_json


def request_of_step(trace: Trace, number: int) -> str:
    """The body of the last request of a step, as chat completions have it, as indented JSON.

    Fields that only the endpoint's settings know (`extra_body`) are not in a trace, and not in it.

    Args:
        trace: The trace.
        number: The step.

    Raises:
        InputError: The step made no request.
    """
    step = next((step for step in trace.steps if step.number == number), None)
    if step is None or not step.model_calls:
        raise InputError(f"step {number} made no request")
    called = step.model_calls[-1].called
    before = Trace(trace.events[: called.seq])
    specs = {tool.name: tool for tool in trace.started.tools}
    request = ModelRequest(
        before.messages,
        tools=tuple(specs[name] for name in called.tools if name in specs),
        tool_choice=called.tool_choice,
        parallel_tool_calls=bool(trace.started.settings.get("parallel_tool_calls", False)),
        params=ModelParams(**called.params),
    )
    body = RequestWriter(called.model).body(request)
    redactor = Redactor()
    clean = redactor.json(body) if redactor.suspects(body.decode()) else body
    return visible(as_json(orjson.loads(clean)))
