"""When things happened on the wire: stamps taken in the transport, not where the result is used."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

from agentlab import clock
from agentlab.models.base import CallRecord
from agentlab.trace.chunks import PAYLOAD, Chunk

_PAYLOAD = int(PAYLOAD)


class ArrivalStamps:
    """Arrival times of what is read from a socket [ns].

    Everything that is read without going back to the event loop was in the buffer already: it came with one read of
    the socket and gets one time. Else the last of a hundred events that came together would be late by the decoding
    of all others.
    """

    def __init__(self) -> None:
        self._now = clock.clock().monotonic_ns
        self._loop = asyncio.get_running_loop()
        self._t_ns: int | None = None

    def stamp(self) -> int:
        """The time of the read that brought what is being handled."""
        return self.renew() if self._t_ns is None else self._t_ns

    def renew(self) -> int:
        """A read of the socket has just returned; its time."""
        if self._t_ns is None:
            self._loop.call_soon(self._forget)
        self._t_ns = self._now()
        return self._t_ns

    def _forget(self) -> None:
        self._t_ns = None


_MARKS = {
    "connect_tcp.started": "connect_started",
    "connect_tcp.complete": "connect_finished",
    "start_tls.complete": "tls_finished",
    "send_request_body.complete": "request_sent",
    "receive_response_headers.complete": "headers_received",
}
"""Events of the HTTP client's trace hook, and what they are called in a call's record."""


class CallMarks:
    """Notes the transport's instants of one try on the call's record."""

    def __init__(self, record: CallRecord, stamps: ArrivalStamps) -> None:
        self._record = record
        self._stamps = stamps
        self._left = False
        record.headers_ns = record.close_ns = None
        record.response_id = record.response_model = record.queue_s = record.prefill_s = None
        record.marks_ns.clear()

    def leaves(self) -> None:
        """The request is about to leave; after a redirect it does so again, and the first time counts."""
        if not self._left:
            self._left = True
            self._record.request_ns = clock.monotonic_ns()

    async def on_trace(self, event: str, info: dict[str, Any]) -> None:
        """The HTTP client's trace hook."""
        mark = _MARKS.get(event.partition(".")[2])
        if mark == "headers_received":
            self._record.headers_ns = self._record.marks_ns[mark] = self._stamps.stamp()
        elif mark is not None:
            self._record.marks_ns[mark] = clock.monotonic_ns()
            if mark in ("connect_finished", "tls_finished"):
                _stamp_reads(info["return_value"])

    def read_returned(self) -> None:
        """Bytes have come, and nobody has looked into them yet."""
        self._stamps.renew()


class HandOver:
    """Notes on the call's record when the consumer got what: the first token, and the piece that waited longest.

    Only events with a payload count: those before the first token are held back on purpose.
    """

    def __init__(self, record: CallRecord) -> None:
        self._record = record
        self._now = clock.clock().monotonic_ns
        self._longest_ns = -1
        self._slowest: tuple[int, int] | None = None
        self._first_ns: int | None = None

    def note(self, chunk: Chunk) -> None:
        """The consumer gets this one now."""
        if chunk.kind & _PAYLOAD:
            now_ns = self._now()
            if now_ns - chunk.t_ns > self._longest_ns:
                self._longest_ns = now_ns - chunk.t_ns
                self._slowest = (chunk.t_ns, now_ns)
            if self._first_ns is None:
                self._first_ns = now_ns

    def write(self) -> None:
        """Put the instants on the record."""
        if self._first_ns is not None and self._slowest is not None:
            marks = self._record.marks_ns
            marks["first_token_handed_over"] = self._first_ns
            marks["slowest_arrived"], marks["slowest_handed_over"] = self._slowest


CALL_MARKS: ContextVar[CallMarks] = ContextVar("agentlab_call_marks")
"""Those of the try that the current task makes: the HTTP client has no other way to tell its calls apart."""


def _stamp_reads(stream: Any) -> None:
    """Have every read of a connection stamped before its bytes are parsed, which takes longer than the reading."""
    read = stream.read

    async def stamped(max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # it is passed on
        data: bytes = await read(max_bytes, timeout)
        if (marks := CALL_MARKS.get(None)) is not None:
            marks.read_returned()
        return data

    stream.read = stamped


async def mark_request(request: Any) -> None:
    """The HTTP client's hook before each request."""
    marks = CALL_MARKS.get(None)
    if marks is not None:
        marks.leaves()
        request.extensions["trace"] = marks.on_trace
