"""The reference server's names and keywords, for people who move their code: each a thin call of ours.

Good outputs are those of the reference. Its defects are not: nothing that is given is changed, missing call ids are
invented, lists that do not match and replies that decide nothing are refused with an `InputError`, and a stream always
ends as it should.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from agentlab.errors import InputError
from agentlab.formats.openai_chat import Chat
from agentlab.formats.reference_chat import plain_reference_chat
from agentlab.messages import envelopes, inputs
from agentlab.messages.approvals import approval_request
from agentlab.messages.builders import Links, assistant_message, filled_parts, heartbeat_message, tool_message
from agentlab.messages.calls import tool_call, tool_return
from agentlab.messages.inputs import ApprovalInput, InputMessage
from agentlab.messages.message import Message, ToolReturn
from agentlab.messages.parts import Part, TextPart
from agentlab.messages.steps import parallel_messages, returns_message, said_messages
from agentlab.serve.first_token import monotonic_ns_at
from agentlab.serve.reporting import forward_to_sentry
from agentlab.serve.sse import ServerEvent, format_event, stream_events
from agentlab.serve.usage_frame import UsageStatistics

LettaUsageStatistics = UsageStatistics
"""What a usage task gives. Any other model is taken as well, and `agentlab.trace.usage.Usage`."""

_PARTS: TypeAdapter[tuple[Part, ...]] = TypeAdapter(tuple[Part, ...])


class ChatRequestError(InputError):
    """A chat-completions request that cannot be served. A server answers it with `status_code` and `detail`."""

    status_code = 400

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def create_input_messages(
    input_messages: Iterable[InputMessage | Mapping[str, Any]],
    agent_id: str,
    timezone: str,
    run_id: str,
    actor: object = None,
) -> list[Message]:
    """The messages for what a client sent. Nothing is packed, and no picture is fetched.

    Raises:
        InputError: One of them is empty or malformed.
    """
    return inputs.input_messages(input_messages, agent_id=agent_id, run_id=run_id)


def create_approval_response_message_from_input(
    agent_state: object, input_message: ApprovalInput | Mapping[str, Any]
) -> list[Message]:
    """A list with the approval reply for what a client sent.

    Args:
        agent_state: Something with `id`, `model` and `timezone`.
        input_message: The answer.

    Raises:
        InputError: It decides nothing, or its two styles contradict each other.
    """
    reply = inputs.input_approval(
        input_message,
        timezone=_get(agent_state, "timezone"),
        agent_id=_get(agent_state, "id"),
        model=_get(agent_state, "model"),
    )
    return [reply]


def create_approval_request_message_from_llm_response(
    agent_id: str,
    model: str,
    function_name: str,
    function_arguments: Mapping[str, Any] | None,
    tool_call_id: str | None,
    actor: object = None,
    continue_stepping: bool = False,
    reasoning_content: Iterable[Part | Mapping[str, Any]] | None = None,
    pre_computed_assistant_message_id: str | None = None,
    step_id: str | None = None,
    run_id: str | None = None,
    append_request_heartbeat: bool = True,
) -> Message:
    """The message that asks for a decision on one call.

    Raises:
        InputError: The arguments are no JSON.
    """
    heartbeat = continue_stepping if append_request_heartbeat else None
    call = tool_call(function_name, function_arguments, call_id=tool_call_id, request_heartbeat=heartbeat)
    return approval_request(
        [call],
        _parts(reasoning_content),
        message_id=pre_computed_assistant_message_id,
        agent_id=agent_id,
        model=model,
        step_id=step_id,
        run_id=run_id,
    )


def create_letta_messages_from_llm_response(
    agent_id: str,
    model: str,
    function_name: str | None,
    function_arguments: Mapping[str, Any] | None,
    tool_execution_result: object | None,
    tool_call_id: str | None,
    function_response: str | None,
    timezone: str,
    actor: object = None,
    continue_stepping: bool = False,
    heartbeat_reason: str | None = None,
    reasoning_content: Iterable[Part | Mapping[str, Any]] | None = None,
    pre_computed_assistant_message_id: str | None = None,
    llm_batch_item_id: str | None = None,
    step_id: str | None = None,
    run_id: str | None = None,
    is_approval_response: bool | None = None,
    force_set_request_heartbeat: bool = True,
    add_heartbeat_on_continue: bool = True,
) -> list[Message]:
    """The messages of one step with one call at most: the model's, the return, the heartbeat.

    Raises:
        InputError: There is a return without a call, or the arguments are no JSON.
        TimezoneError: There is no such zone.
    """
    links = _links(agent_id, model, step_id, run_id, llm_batch_item_id)
    messages: list[Message] = []
    call_id, ok = tool_call_id, _ok(tool_execution_result)
    if not is_approval_response:
        heartbeat = continue_stepping if force_set_request_heartbeat else None
        name, arguments = function_name, function_arguments
        calls = [tool_call(name, arguments, call_id=call_id, request_heartbeat=heartbeat)] if name else []
        parts = filled_parts(_parts(reasoning_content))
        if parts or calls:
            messages.append(assistant_message(parts, calls, message_id=pre_computed_assistant_message_id, **links))
        if tool_execution_result is not None and not calls:
            raise InputError(f"there is a return for call {call_id!r}, and no call: function_name is {name!r}")
        call_id = calls[0].id if calls else None
    if tool_execution_result is not None:
        text = envelopes.tool_return(function_response, ok=ok, timezone=timezone)
        logs = {"stdout": _get(tool_execution_result, "stdout"), "stderr": _get(tool_execution_result, "stderr")}
        messages.append(tool_message(call_id or "", function_name, text, ok=ok, **logs, **links))
    if continue_stepping and add_heartbeat_on_continue:
        messages.append(_heartbeat(heartbeat_reason, ok, timezone, links))
    return messages


def create_parallel_tool_messages_from_llm_response(
    agent_id: str,
    model: str,
    tool_call_specs: Sequence[Mapping[str, Any]],
    tool_execution_results: Sequence[object],
    function_responses: Sequence[str | None],
    timezone: str,
    actor: object = None,
    reasoning_content: Iterable[Part | Mapping[str, Any]] | None = None,
    pre_computed_assistant_message_id: str | None = None,
    llm_batch_item_id: str | None = None,
    is_approval_response: bool = False,
    step_id: str | None = None,
    run_id: str | None = None,
) -> list[Message]:
    """The messages of parallel calls: the model's, and one with all returns.

    `agentlab.formats.openai_chat.to_openai` sends each return under its own call id.

    Raises:
        InputError: The lists have different lengths or nothing in them, or a call has no name.
        TimezoneError: There is no such zone.
    """
    seen = (len(tool_call_specs), len(tool_execution_results), len(function_responses))
    if len(set(seen)) > 1 or not tool_call_specs:
        raise InputError(
            "each call needs one result and one response: got {} calls, {} results, {} responses".format(*seen)
        )
    links = _links(agent_id, model, step_id or None, run_id, llm_batch_item_id)
    calls = []
    for n, spec in enumerate(tool_call_specs):
        if not spec.get("name"):
            raise InputError(f"tool_call_specs[{n}] has no name")
        calls.append(tool_call(spec["name"], spec.get("arguments"), call_id=spec.get("id")))
    returns = [
        _return(call.id, result, envelopes.tool_return(text, ok=_ok(result), timezone=timezone))
        for call, result, text in zip(calls, tool_execution_results, function_responses, strict=True)
    ]
    if is_approval_response:
        return [returns_message(returns, **links)]
    message_id = pre_computed_assistant_message_id
    return parallel_messages(_parts(reasoning_content), calls, returns, message_id=message_id, **links)


def create_heartbeat_system_message(
    agent_id: str,
    model: str,
    function_call_success: bool,
    timezone: str,
    heartbeat_reason: str | None = None,
    run_id: str | None = None,
    llm_batch_item_id: str | None = None,
) -> Message:
    """The automated message that gives the agent another step; its role is `user`.

    Raises:
        TimezoneError: There is no such zone.
    """
    links = _links(agent_id, model, None, run_id, llm_batch_item_id)
    return _heartbeat(heartbeat_reason, function_call_success, timezone, links)


def create_assistant_messages_from_openai_response(
    response_text: str,
    agent_id: str,
    model: str,
    timezone: str,
) -> list[Message]:
    """A plain answer as a call of `send_message` and its return.

    Raises:
        InputError: There is no text.
        TimezoneError: There is no such zone.
    """
    if not isinstance(response_text, str):
        raise InputError(f"response_text is {response_text!r}; a missing answer is no message")
    return said_messages(response_text, timezone=timezone, agent_id=agent_id, model=model)


def convert_in_context_letta_messages_to_openai(
    in_context_messages: Sequence[Message], exclude_system_messages: bool = False
) -> list[Chat]:
    """The conversation as a person sees it, as OpenAI chat messages; call ids cut as the reference does, but distinct.

    Raises:
        ConversationError: A message has nothing in it, or a return has no call id.
    """
    return plain_reference_chat(in_context_messages, system_notes=not exclude_system_messages)


def get_user_message_from_chat_completions_request(completion_request: object) -> list[InputMessage]:
    """A list with the last message of a request, which must be a person's text.

    `agentlab.formats.openai_chat.from_openai` reads a whole conversation.

    Raises:
        ChatRequestError: The request has no such message.
    """
    messages = _request_messages(completion_request)
    last = messages[-1]
    if not isinstance(last, Mapping) or last.get("role") != "user":
        raise ChatRequestError("'messages[-1].role' must be a 'user'")
    text, name = last.get("content"), last.get("name")
    if not isinstance(text, str):
        raise ChatRequestError("'messages[-1].content' must be a 'string'")
    if not text:
        raise ChatRequestError("'messages[-1].content' must not be empty")
    return [InputMessage(role="user", content=(TextPart(text=text),), name=name if isinstance(name, str) else None)]


def sse_formatter(data: Mapping[str, Any] | str) -> str:
    """The frame of a server-sent event for a mapping, as JSON, or for a text, as it is.

    `agentlab.serve.sse.format_event` takes models, lists and the rest, too.

    Raises:
        InputError: It is neither of the two, or something in it has no JSON.
    """
    if not isinstance(data, Mapping | str):
        raise InputError(f"data is a mapping or a text, not {type(data).__name__}")
    return format_event(data)


def sse_async_generator(
    generator: AsyncIterable[object],
    usage_task: Awaitable[object] | None = None,
    finish_message: bool = True,
    request_start_timestamp_ns: int | None = None,
    llm_config: Mapping[str, Any] | BaseModel | None = None,
) -> AsyncGenerator[str, None]:
    """The frames of a stream: the chunks as they come, the usage, the end; errors are frames, too.

    Args:
        generator: The chunks. What they are is sent, even where it reads like the end of the stream.
        usage_task: Gives a model with the usage.
        finish_message: False: no end frame.
        request_start_timestamp_ns: Wall time when the request came [ns since 1970]; with it the time to the first token
            is recorded.
        llm_config: The model's settings, for that record.
    """
    started_ns = None if request_start_timestamp_ns is None else monotonic_ns_at(request_start_timestamp_ns)
    source = _as_they_are(generator)
    return stream_events(source, usage=usage_task, done=finish_message, started_ns=started_ns, model=llm_config)


def capture_sentry_exception(e: BaseException) -> None:
    """Hand an error to Sentry, if `SENTRY_DSN` is set now and the package is installed."""
    forward_to_sentry(e)


async def _as_they_are(chunks: AsyncIterable[object]) -> AsyncGenerator[ServerEvent, None]:
    try:
        async for chunk in chunks:
            yield ServerEvent(chunk)
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


def _links(agent_id: str, model: str, step_id: str | None, run_id: str | None, batch_item_id: str | None) -> Links:
    return {
        "agent_id": agent_id,
        "model": model,
        "step_id": step_id,
        "run_id": run_id,
        "batch_item_id": batch_item_id,
    }


def _heartbeat(reason: str | None, ok: bool, timezone: str, links: Links) -> Message:
    reason = reason or (envelopes.HEARTBEAT_SUCCESS if ok else envelopes.HEARTBEAT_FAILURE)
    return heartbeat_message(envelopes.heartbeat(reason, timezone=timezone), **links)


def _return(call_id: str, result: object, text: str) -> ToolReturn:
    return tool_return(call_id, text, ok=_ok(result), stdout=_get(result, "stdout"), stderr=_get(result, "stderr"))


def _ok(result: object | None) -> bool:
    return result is None or _get(result, "status") == "success"


def _get(given: object, name: str) -> Any:
    return given.get(name) if isinstance(given, Mapping) else getattr(given, name, None)


def _parts(given: Iterable[Part | Mapping[str, Any]] | None) -> tuple[Part, ...]:
    try:
        return _PARTS.validate_python(tuple(given or ()))
    except ValidationError as exc:
        raise InputError(f"reasoning_content cannot be used: {exc.errors(include_url=False)[0]['msg']}") from None


def _request_messages(request: object) -> list[Any]:
    if isinstance(request, Mapping) and "messages" not in request:
        raise ChatRequestError("The 'messages' field is missing in the request.")
    messages = request["messages"] if isinstance(request, Mapping) else None
    if isinstance(messages, str | Mapping):
        raise ChatRequestError(f"The 'messages' field must be a list of messages, not {type(messages).__name__}.")
    if not isinstance(messages, Iterable):
        raise ChatRequestError("The 'messages' field must be an iterable.")
    try:
        found = list(messages)
    except Exception as exc:
        raise ChatRequestError(f"An error occurred while processing 'messages': {exc}") from exc
    if not found:
        raise ChatRequestError("The 'messages' field must not be empty.")
    return found
