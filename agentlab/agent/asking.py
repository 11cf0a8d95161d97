"""One model call: the request goes out, the chunks come in, and all of it is recorded, whole or cut."""

from __future__ import annotations

from contextlib import aclosing

from agentlab import clock
from agentlab.agent.conversation import Conversation
from agentlab.models.base import CallRecord, ChatModel, ModelRequest
from agentlab.models.reply import Reply, ReplyBuilder
from agentlab.trace.chunks import Chunk, ChunkRecorder
from agentlab.trace.events import ModelCalled, ModelDelta, ModelReplied
from agentlab.trace.recorder import Recorder


async def ask(model: ChatModel, conversation: Conversation, recorder: Recorder) -> Reply:
    """The model's next reply.

    What came before a stream broke stays: its chunks and usage in the trace, its text and calls in the conversation.

    Raises:
        ModelError: The call failed.
    """
    request = conversation.request()
    _announce_call(model, request, recorder)
    reply, record, chunks = ReplyBuilder(), CallRecord(request_ns=clock.monotonic_ns()), ChunkRecorder()
    complete = False
    try:
        async with aclosing(model.stream(request, record)) as stream:
            async for chunk in stream:
                chunks.add(chunk)
                reply.add(chunk)
                _announce_chunk(chunk, recorder)
        complete = True
    finally:
        built = reply.build()
        _record_reply(built, record, chunks, recorder, complete=complete)
        if not complete:
            _keep_partial(built, conversation)
        recorder.flush()
    return built


def _announce_call(model: ChatModel, request: ModelRequest, recorder: Recorder) -> None:
    recorder.emit(
        ModelCalled,
        model=model.name,
        provider=model.provider,
        n_messages=len(request.messages),
        tools=tuple(tool.name for tool in request.tools),
        tool_choice=request.tool_choice,
        params=request.params.as_dict(),
    )
    recorder.flush()


def _announce_chunk(chunk: Chunk, recorder: Recorder) -> None:
    if not recorder.has_readers:
        return
    delta = chunk.tool_calls[0] if chunk.tool_calls else None
    recorder.announce(
        ModelDelta,
        kind=chunk.kind,
        content=chunk.content,
        reasoning=chunk.reasoning,
        tool_name=(delta.name or "") if delta else "",
        tool_args=delta.arguments if delta else "",
        call_index=delta.index if delta else None,
    )


def _record_reply(
    reply: Reply, record: CallRecord, chunks: ChunkRecorder, recorder: Recorder, *, complete: bool
) -> None:
    request_ns = record.request_ns
    assert request_ns is not None  # noqa: S101  # set when the record was made
    recorder.emit(
        ModelReplied,
        complete=complete,
        chunks=chunks.pack(request_ns, record.headers_ns, record.close_ns),
        usage=reply.usage,
        finish_reason=reply.finish_reason,
        response_id=record.response_id,
        response_model=record.response_model,
        retries=record.retries,
        queue_s=record.queue_s,
        prefill_s=record.prefill_s,
        marks_ns={name: t_ns - request_ns for name, t_ns in record.marks_ns.items()},
    )


def _keep_partial(reply: Reply, conversation: Conversation) -> None:
    calls = conversation.own_ids([call for call in reply.tool_calls if call.function.name])
    if reply.content or calls:
        conversation.add_assistant(reply.content, calls)
