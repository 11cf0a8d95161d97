"""One model call: the request goes out, the chunks come in, and all of it is recorded, whole or cut."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

from agentlab import clock
from agentlab.models.base import CallRecord, ChatModel, ModelRequest
from agentlab.models.reply import Reply, ReplyBuilder
from agentlab.trace.chunks import Chunk, ChunkRecorder
from agentlab.trace.events import CallPurpose, ModelCalled, ModelDelta, ModelReplied
from agentlab.trace.recorder import Recorder


async def ask(
    model: ChatModel,
    request: ModelRequest,
    recorder: Recorder,
    *,
    purpose: CallPurpose = "step",
    keep_partial: Callable[[Reply], None] | None = None,
) -> Reply:
    """The model's reply.

    Args:
        model: Who is asked.
        request: What it is asked.
        recorder: Where the call is written down.
        purpose: What for; only a step's words are shown live.
        keep_partial: Gets what had come when a stream breaks; its chunks and usage are in the trace in any case.

    Raises:
        ModelError: The call failed.
    """
    called_seq = _record_call(model, request, recorder, purpose)
    reply, record, chunks = ReplyBuilder(), CallRecord(request_ns=clock.monotonic_ns()), ChunkRecorder()
    complete = False
    try:
        async with aclosing(model.stream(request, record)) as stream:
            async for chunk in stream:
                chunks.add(chunk)
                reply.add(chunk)
                if purpose == "step" and recorder.has_readers:
                    _announce(chunk, recorder)
        complete = True
    finally:
        built = reply.build()
        _record_reply(built, record, chunks, recorder, called_seq=called_seq, complete=complete)
        if not complete and keep_partial is not None:
            keep_partial(built)
        recorder.flush()
    return built


def _record_call(model: ChatModel, request: ModelRequest, recorder: Recorder, purpose: CallPurpose) -> int:
    seq = recorder.emit(
        ModelCalled,
        model=model.name,
        provider=model.provider,
        n_messages=len(request.messages),
        tools=tuple(tool.name for tool in request.tools),
        tool_choice=request.tool_choice,
        params=request.params.as_dict(),
        purpose=purpose,
    )
    recorder.flush()
    return seq


def _announce(chunk: Chunk, recorder: Recorder) -> None:
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
    reply: Reply,
    record: CallRecord,
    chunks: ChunkRecorder,
    recorder: Recorder,
    *,
    called_seq: int,
    complete: bool,
) -> None:
    request_ns = record.request_ns
    assert request_ns is not None  # noqa: S101  # set when the record was made
    recorder.emit(
        ModelReplied,
        complete=complete,
        called_seq=called_seq,
        chunks=chunks.pack(request_ns, record.headers_ns, record.close_ns, at_ns=recorder.in_run_time(request_ns)),
        usage=reply.usage,
        finish_reason=reply.finish_reason,
        response_id=record.response_id,
        response_model=record.response_model,
        retries=record.retries,
        queue_s=record.queue_s,
        prefill_s=record.prefill_s,
        marks_ns={name: t_ns - request_ns for name, t_ns in record.marks_ns.items()},
    )
