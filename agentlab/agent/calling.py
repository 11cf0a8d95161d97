"""One tool call: checked, run, answered. Whatever goes wrong is the model's to read and never ends the run."""

from __future__ import annotations

import asyncio

import orjson

from agentlab.agent.conversation import Conversation
from agentlab.agent.heartbeat import CallOutcome
from agentlab.agent.protocol import OpenedCall
from agentlab.agent.settings import AgentSettings
from agentlab.agent.tools import to_text, truncate
from agentlab.errors import AgentLabError, ToolArgumentError, ToolError, UnknownToolError
from agentlab.trace.events import ToolStarted
from agentlab.trace.recorder import Recorder


async def execute(
    opened: OpenedCall, settings: AgentSettings, conversation: Conversation, recorder: Recorder
) -> CallOutcome:
    """Run the tool and answer the call; how it went."""
    call, limit_chars = opened.call, settings.tool_return_limit_chars
    try:
        arguments = _checked_arguments(opened, settings)
    except ToolError as exc:
        conversation.add_return(call, truncate(str(exc), limit_chars), ok=False, error_type=type(exc).__name__)
        return _outcome(opened, success=False, executed=False)
    recorder.emit(ToolStarted, call_id=call.id, tool=call.function.name, arguments=orjson.dumps(arguments).decode())
    recorder.flush()
    try:
        text, error_type = to_text(await settings.tools[call.function.name].run(arguments)), None
    except (Exception, SystemExit, asyncio.CancelledError) as exc:  # any failure is the model's to read
        if isinstance(exc, asyncio.CancelledError) and _run_is_cancelled():
            raise
        text, error_type = _error_text(exc), type(exc).__name__
    conversation.add_return(call, truncate(text, limit_chars), ok=error_type is None, error_type=error_type)
    return _outcome(opened, success=error_type is None, executed=True)


def _checked_arguments(opened: OpenedCall, settings: AgentSettings) -> dict[str, object]:
    name = opened.call.function.name
    tool = settings.tools.get(name)
    if tool is None:
        raise UnknownToolError(name, tuple(settings.tools))
    if opened.arguments is None:
        raise ToolArgumentError(name, opened.problem or "they are missing")
    tool.check(opened.arguments)
    return opened.arguments


def _run_is_cancelled() -> bool:
    """True when the run itself is asked to stop; false when a tool has cancelled something of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _error_text(exc: BaseException) -> str:
    return str(exc) if isinstance(exc, AgentLabError) else f"{type(exc).__name__}: {exc}"


def _outcome(opened: OpenedCall, *, success: bool, executed: bool) -> CallOutcome:
    return CallOutcome(
        tool=opened.call.function.name,
        success=success,
        executed=executed,
        heartbeat_requested=opened.heartbeat_requested,
    )
