"""Tool calls and their returns as values: ids that are never missing, arguments that are always JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from agentlab import clock
from agentlab.errors import InputError
from agentlab.messages.message import FunctionCall, ToolCall, ToolReturn, unchecked


def tool_call(
    name: str,
    arguments: Mapping[str, Any] | str | None = None,
    *,
    call_id: str | None = None,
    request_heartbeat: bool | None = None,
) -> ToolCall:
    """A model's request for a tool.

    Args:
        name: The tool's name.
        arguments: A mapping, or JSON text that is kept as it is.
        call_id: The call's id; a fresh one when there is none.
        request_heartbeat: Written into the arguments, in the place of any such key; None leaves them alone.

    Raises:
        InputError: The arguments hold something that JSON has no form for.
    """
    if not isinstance(arguments, str):
        arguments = arguments_text(name, arguments, request_heartbeat=request_heartbeat)
    elif request_heartbeat is not None:
        raise InputError(f"`{name}`: request_heartbeat is written into a mapping of arguments, and this is text")
    function = unchecked(FunctionCall, {"arguments": arguments, "name": name})
    return unchecked(ToolCall, {"id": call_id or clock.new_call_id(), "function": function})


def arguments_text(tool: str, arguments: Mapping[str, Any] | None, *, request_heartbeat: bool | None = None) -> str:
    """Arguments as JSON text.

    Raises:
        InputError: They hold something that JSON has no form for.
    """
    values = {} if arguments is None else dict(arguments)
    if request_heartbeat is not None:
        values["request_heartbeat"] = request_heartbeat
    try:
        text = orjson.dumps(values, option=orjson.OPT_PASSTHROUGH_DATETIME)
        if b"null" not in text:
            return text.decode()
    except TypeError:
        pass
    try:  # large integers, other key types; and NaN, of which the faster encoder makes null
        return json.dumps(values, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as exc:
        raise InputError(f"the arguments of `{tool}` are no JSON: {exc}") from exc


def tool_return(
    call_id: str,
    text: str | None,
    *,
    ok: bool = True,
    stdout: Iterable[str] | None = None,
    stderr: Iterable[str] | None = None,
) -> ToolReturn:
    """What one call gave back, as an entry of a message.

    Raises:
        InputError: The call id is empty.
    """
    if not call_id:
        raise InputError("a tool return needs the id of the call that it answers")
    if not (text is None or isinstance(text, str)):
        raise InputError(f"the return of call {call_id!r} is {type(text).__name__}; it takes text")
    return unchecked(
        ToolReturn,
        {
            "tool_call_id": call_id,
            "status": "success" if ok else "error",
            "stdout": None if stdout is None else tuple(stdout),
            "stderr": None if stderr is None else tuple(stderr),
            "func_response": text,
        },
    )
