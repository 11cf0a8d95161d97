"""Events of a chat completion stream into chunks, whatever dialect the endpoint speaks."""

from __future__ import annotations

import json
from typing import Any

import orjson

from agentlab.models._errors import Failures
from agentlab.models._sse import COMMENT, Event
from agentlab.models._tool_deltas import ToolCallNumbers
from agentlab.models.base import CallRecord
from agentlab.trace.chunks import PAYLOAD, Chunk, ChunkKind, ToolCallDelta
from agentlab.trace.usage import Usage

# Plain numbers: the flags of an IntFlag cost a microsecond each time they are joined.
_ROLE, _REASONING, _CONTENT = int(ChunkKind.ROLE), int(ChunkKind.REASONING), int(ChunkKind.CONTENT)
_TOOL_NAME, _TOOL_ARGS = int(ChunkKind.TOOL_NAME), int(ChunkKind.TOOL_ARGS)
_USAGE, _PING, _DONE, _PAYLOAD = int(ChunkKind.USAGE), int(ChunkKind.PING), int(ChunkKind.DONE), int(PAYLOAD)


class ChunkDecoder:
    """Decodes the events of one reply, in order, and notes on the call's record what else they say."""

    def __init__(self, record: CallRecord, failures: Failures) -> None:
        self.n_events = 0
        self.n_payload = 0
        self.finish_reason: str | None = None
        self.is_done = False
        """True after the event that ends the stream."""
        self._record = record
        self._failures = failures
        self._calls = ToolCallNumbers()
        self._named = False

    @property
    def is_complete(self) -> bool:
        """True when the endpoint has said that the reply is over, in one way or the other."""
        return self.is_done or self.finish_reason is not None

    def decode(self, event: Event, t_ns: int) -> Chunk | None:
        """The chunk of one event that arrived at `t_ns`; None for the `[DONE]` after a finish reason.

        Raises:
            ModelError: The event tells of an error, or is no chunk of a completion.
        """
        name, data = event
        if name == COMMENT:
            self.n_events += 1
            return Chunk(t_ns, _PING, size_bytes=len(data))
        if data[:6] == b"[DONE]":
            return self._end(t_ns, len(data))
        body = self._loads(data) if data else {}
        self.n_events += 1
        if name == "error" or body.get("error") or body.get("object") == "error":
            raise self._failures.in_stream(body)
        try:
            chunk = self._chunk(body, t_ns, len(data))
        except (AttributeError, KeyError, TypeError) as exc:
            raise self._failures.broken_event(data, "has not the shape of a completion") from exc
        if chunk.kind & _PAYLOAD:
            self.n_payload += 1
        return chunk

    def _end(self, t_ns: int, size_bytes: int) -> Chunk | None:
        self.is_done = True
        if self.finish_reason is not None:
            return None
        self.finish_reason = "tool_calls" if self._calls else "stop"
        return Chunk(t_ns, _DONE, finish_reason=self.finish_reason, size_bytes=size_bytes)

    def _chunk(self, body: dict[str, Any], t_ns: int, size_bytes: int) -> Chunk:
        kind = 0
        usage = None
        if counts := body.get("usage"):
            usage, kind = self._usage(counts), _USAGE
        if not self._named:
            self._note_names(body)
        if timings := body.get("timings"):
            self._record.prefill_s = _seconds(timings.get("prompt_ms"), 1e-3)
        choices = body.get("choices")
        if not choices:
            return Chunk(t_ns, kind or _PING, usage=usage, size_bytes=size_bytes)
        choice = choices[0]
        delta = choice.get("delta") or choice.get("message") or {}
        if delta.get("role"):
            kind |= _ROLE
        content = delta.get("content") or delta.get("refusal") or ""
        if content:
            kind |= _CONTENT
        reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
        if reasoning:
            kind |= _REASONING
        if not (isinstance(content, str) and isinstance(reasoning, str)):
            raise TypeError
        calls: tuple[ToolCallDelta, ...] = ()
        if wire := delta.get("tool_calls"):
            calls = tuple(map(self._calls.delta, wire))
            for call in calls:
                kind |= (_TOOL_NAME if call.name else 0) | (_TOOL_ARGS if call.arguments else 0)
        finish = choice.get("finish_reason") or None
        if finish is not None:
            kind |= _DONE
            self.finish_reason = finish = "tool_calls" if finish == "stop" and self._calls else str(finish)
        return Chunk(t_ns, kind, content, reasoning, calls, usage, finish, size_bytes)

    def _note_names(self, body: dict[str, Any]) -> None:
        record = self._record
        if body.get("id"):
            record.response_id = str(body["id"])
        if body.get("model"):
            record.response_model = str(body["model"])
        self._named = record.response_id is not None and record.response_model is not None

    def _usage(self, counts: dict[str, Any]) -> Usage:
        record = self._record
        record.queue_s = _seconds(counts.get("queue_time"), 1.0, record.queue_s)
        record.prefill_s = _seconds(counts.get("prompt_time"), 1.0, record.prefill_s)
        prompt, output = counts.get("prompt_tokens_details") or {}, counts.get("completion_tokens_details") or {}
        usage = {
            "input_tokens": _count(counts.get("prompt_tokens")),
            "cached_tokens": _count(prompt.get("cached_tokens")),
            "output_tokens": _count(counts.get("completion_tokens")),
            "reasoning_tokens": _count(output.get("reasoning_tokens")),
            "total_tokens": _count(counts.get("total_tokens")),
        }
        return Usage(**_inclusive(usage), source="provider")

    def _loads(self, data: bytes) -> dict[str, Any]:
        try:
            body = orjson.loads(data)
        except orjson.JSONDecodeError:
            body = self._loads_leniently(data)
        if not isinstance(body, dict):
            raise self._failures.broken_event(data, "is no JSON object")
        return body

    def _loads_leniently(self, data: bytes) -> Any:
        """JSON with what some servers write and the standard forbids: NaN, halves of surrogate pairs."""
        try:
            value = json.loads(data, parse_constant=lambda _: None)
            return orjson.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
        except (ValueError, RecursionError) as exc:
            raise self._failures.broken_event(data, "is no JSON") from exc


def _inclusive(usage: dict[str, int | None]) -> dict[str, int | None]:
    """Counts with the reasoning inside the output, as they are everywhere here.

    Some endpoints count it apart: their total is the sum of input, output and reasoning.
    """
    given, output, reasoning = usage["input_tokens"], usage["output_tokens"], usage["reasoning_tokens"]
    if given is None or output is None or not reasoning or usage["total_tokens"] != given + output + reasoning:
        return usage
    return {**usage, "output_tokens": output + reasoning}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _seconds(value: object, unit_s: float, otherwise: float | None = None) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return otherwise
    return value * unit_s
