"""Chunks of a model's reply, and their packed log: one row per server-sent event, arrival time, kind and size.

The log is kept raw, so that every published definition of a latency can be computed from it later. It is packed
(offsets as int64, kinds as bytes, sizes as int32), not one JSON row a token.
"""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, PlainSerializer

from agentlab.messages.parts import Value
from agentlab.trace.usage import Usage


class ChunkKind(IntFlag):
    """What one server-sent event carried; several flags may be set. 0: a choice with nothing in it."""

    ROLE = 1
    REASONING = 2
    """A non-empty reasoning delta."""
    CONTENT = 4
    """A non-empty content delta."""
    TOOL_NAME = 8
    TOOL_ARGS = 16
    USAGE = 32
    PING = 64
    """A keep-alive, or an event without choices and without usage."""
    DONE = 128
    """A finish reason."""


PAYLOAD = ChunkKind.REASONING | ChunkKind.CONTENT | ChunkKind.TOOL_NAME | ChunkKind.TOOL_ARGS
"""The kinds that start and stop clocks."""


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call. `index` says which call of the reply it belongs to."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One server-sent event of a reply, with its arrival time."""

    t_ns: int
    """Monotonic time of arrival [ns]: when the bytes came, not when somebody looked."""
    kind: int
    """`ChunkKind` flags."""
    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    usage: Usage | None = None
    finish_reason: str | None = None
    size_bytes: int = 0
    """Length of the event's data on the wire; 0 where there was no wire."""


class ChunkRow(NamedTuple):
    """One row of the log."""

    offset_ns: int
    """Arrival, from the request's start [ns]."""
    kind: int
    size_bytes: int


def _from_text(value: object) -> object:
    return b64decode(value) if isinstance(value, str) else value


PackedBytes = Annotated[
    bytes,
    BeforeValidator(_from_text),
    PlainSerializer(lambda b: b64encode(b).decode(), return_type=str, when_used="json"),
]
"""Bytes that JSON writes as base64."""


class ChunkLog(Value):
    """The packed chunk log of one model call. Times are offsets from `request_ns` [ns]."""

    request_ns: int
    """Monotonic time just before the request left [ns]."""
    headers_ns: int | None = None
    """Response headers received, offset [ns]."""
    close_ns: int | None = None
    """Stream closed, offset [ns]."""
    offsets: PackedBytes = b""
    """int64, little-endian, one per event [ns]."""
    kinds: PackedBytes = b""
    """uint8 `ChunkKind` flags, one per event."""
    sizes: PackedBytes = b""
    """int32, little-endian, one per event [bytes]."""

    def __len__(self) -> int:
        return len(self.kinds)

    def rows(self) -> Iterator[ChunkRow]:
        """The rows, in order of arrival."""
        return map(ChunkRow._make, zip(_unpack("q", self.offsets), self.kinds, _unpack("i", self.sizes), strict=True))


class ChunkRecorder:
    """Collects the rows of a call while it streams."""

    def __init__(self) -> None:
        self._times = array("q")
        self._kinds = bytearray()
        self._sizes = array("i")

    def __len__(self) -> int:
        return len(self._kinds)

    def add(self, chunk: Chunk) -> None:
        """Append one event."""
        self._times.append(chunk.t_ns)
        self._kinds.append(chunk.kind)
        self._sizes.append(chunk.size_bytes)

    def pack(
        self, request_ns: int, headers_ns: int | None, close_ns: int | None, *, at_ns: int | None = None
    ) -> ChunkLog:
        """The log; the arguments are monotonic times [ns], on the clock of the chunks.

        Args:
            request_ns: Just before the request left.
            headers_ns: Response headers received.
            close_ns: Stream closed.
            at_ns: `request_ns` in the time of the run, where that is another.
        """
        return ChunkLog(
            request_ns=request_ns if at_ns is None else at_ns,
            headers_ns=None if headers_ns is None else headers_ns - request_ns,
            close_ns=None if close_ns is None else close_ns - request_ns,
            offsets=_pack(array("q", [t - request_ns for t in self._times])),
            kinds=bytes(self._kinds),
            sizes=_pack(self._sizes),
        )


def _pack(values: array[int]) -> bytes:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _unpack(code: str, data: bytes) -> array[int]:
    values = array(code)
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values
