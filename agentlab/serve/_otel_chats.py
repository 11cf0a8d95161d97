"""The `chat` spans of a run: one for each request to a model, whether or not anything came back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from agentlab.messages.message import Message
from agentlab.serve import otel_names as names
from agentlab.serve._otel_messages import input_messages, output_messages
from agentlab.serve._otel_output import Output
from agentlab.trace.chunks import ChunkKind, ChunkLog
from agentlab.trace.events import ErrorRaised, ModelCalled, ModelReplied
from agentlab.trace.instants import Instants
from agentlab.trace.trace import Trace


@dataclass
class _Chat:
    """A model call whose span is open: the reply runs, or what is said of it is yet to come."""

    called: ModelCalled
    span: Span
    replied: ModelReplied | None = None
    message: Message | None = None


class Chats:
    """Writes the model calls of one run below its span.

    A reply that was cut waits for the event that says why. With content, a reply also waits for its message. The times
    are those of the events in any case.
    """

    def __init__(self, output: Output, parent: Span, common: dict[str, Any], wall_ns: Callable[[int], int]) -> None:
        self._output = output
        self._parent = parent
        self._common = common
        self._wall_ns = wall_ns
        self._open: dict[int, _Chat] = {}

    def called(self, called: ModelCalled, before: Trace) -> None:
        """A request leaves."""
        attributes = {
            **self._common,
            names.PROVIDER: called.provider,
            names.REQUEST_MODEL: called.model,
            names.REQUEST_STREAM: True,
            names.STEP: called.step,
            names.PURPOSE: called.purpose,
            **{name: called.params.get(param) for param, name in names.PARAMS.items()},
        }
        span = self._output.start(
            names.CHAT,
            called.model,
            attributes,
            at_ns=self._wall_ns(called.t_ns),
            parent=self._parent,
            kind=SpanKind.INTERNAL if called.provider in names.IN_PROCESS else SpanKind.CLIENT,
        )
        self._open[called.seq] = _Chat(called, span)
        if self._output.content and called.purpose == "step":
            span.set_attribute(names.INPUT_MESSAGES, self._output.json(input_messages(before.messages)))

    def replied(self, replied: ModelReplied) -> None:
        """The stream has ended, or was cut."""
        waiting = [seq for seq, chat in self._open.items() if chat.replied is None]
        seq = max(waiting, default=-1) if replied.called_seq is None else replied.called_seq
        chat = self._open.get(seq)
        if chat is None:
            return
        chat.replied = replied
        if replied.complete and not (self._output.content and chat.called.purpose == "step"):
            self._end(seq)

    def said(self, message: Message) -> None:
        """The model's message joined the conversation: that of the last reply to a step."""
        if not self._output.content:
            return
        for seq, chat in reversed(self._open.items()):
            if chat.replied is not None and chat.called.purpose == "step":
                chat.message = message
                if chat.replied.complete:
                    self._end(seq)
                return

    def failed(self, error: ErrorRaised) -> None:
        """Something failed: it was the last call that has been cut, if there is one."""
        cut = [seq for seq, chat in self._open.items() if chat.replied is not None and not chat.replied.complete]
        if cut:
            self._end(cut[-1], error_type(error))

    def settle(self, why: str = names.OTHER_ERROR) -> None:
        """Nothing more will be said of the replies that are here."""
        for seq, chat in list(self._open.items()):
            if chat.replied is not None:
                self._end(seq, why)

    def abandon(self, at_ns: int, why: str | None) -> None:
        """Nothing more will come at all; the calls end at this time of the run [ns]."""
        self.settle()
        for seq in list(self._open):
            chat = self._open.pop(seq)
            self._output.end(chat.span, {}, at_ns=self._wall_ns(at_ns), error=why)

    def _end(self, seq: int, why: str = names.OTHER_ERROR) -> None:
        chat = self._open.pop(seq)
        replied = chat.replied
        assert replied is not None  # noqa: S101  # only a call with a reply comes here
        error = None if replied.complete else why
        first_chunk_s, ttft_s = _first_chunk_s(replied.chunks), self._mark_first_token(chat.span, replied.chunks)
        attributes = {
            names.RESPONSE_ID: replied.response_id,
            names.RESPONSE_MODEL: replied.response_model,
            names.FINISH_REASONS: None if replied.finish_reason is None else (replied.finish_reason,),
            names.TIME_TO_FIRST_CHUNK: first_chunk_s,
            names.TTFT: ttft_s,
            **{name: getattr(replied.usage, count) for count, name in names.USAGE.items()},
        }
        if chat.message is not None:
            attributes[names.OUTPUT_MESSAGES] = self._output.json(output_messages(chat.message, replied.finish_reason))
        self._output.end(chat.span, attributes, at_ns=self._wall_ns(replied.t_ns), error=error)
        self._measure(chat, replied, first_chunk_s, ttft_s, error)

    def _mark_first_token(self, span: Span, chunks: ChunkLog) -> float | None:
        """Request to first token [s], and an event on the span at its time."""
        instants = Instants.of(chunks)
        if instants.first_token_ns is not None:
            at_ns = self._wall_ns(chunks.request_ns + instants.first_token_ns)
            span.add_event(names.FIRST_TOKEN_EVENT, {names.TTFT: instants.first_token_ns / 1e9}, at_ns)
        return instants.ttft_s

    def _measure(
        self,
        chat: _Chat,
        replied: ModelReplied,
        first_chunk_s: float | None,
        ttft_s: float | None,
        error: str | None,
    ) -> None:
        histograms = self._output.histograms
        if histograms is None:
            return
        context = trace.set_span_in_context(chat.span)
        attributes = self._output.attributes(
            {
                names.OPERATION: names.CHAT,
                names.PROVIDER: chat.called.provider,
                names.REQUEST_MODEL: chat.called.model,
                names.RESPONSE_MODEL: replied.response_model,
            }
        )
        failure = {} if error is None else {names.ERROR_TYPE: error}
        duration_s = (replied.t_ns - chat.called.t_ns) / 1e9
        histograms.operation(duration_s, {**attributes, **failure}, context)
        histograms.reply(replied, first_chunk_s=first_chunk_s, ttft_s=ttft_s, attributes=attributes, context=context)


def error_type(error: ErrorRaised) -> str:
    """A failure's class; its code, where the class says only that the run stops."""
    return error.code if error.error_type == "StopRun" else error.error_type


def _first_chunk_s(chunks: ChunkLog) -> float | None:
    """Request to the first chunk of the reply [s]: any but a keep-alive."""
    return next((row.offset_ns / 1e9 for row in chunks.rows() if not row.kind & ChunkKind.PING), None)
