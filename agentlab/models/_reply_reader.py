"""The body of one response into chunks: an event stream, or what an endpoint sends in its stead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import anyio
import httpx2

from agentlab.errors import InvalidReplyError
from agentlab.models._arrival import ArrivalStamps
from agentlab.models._decode import ChunkDecoder
from agentlab.models._errors import Failures
from agentlab.models._pump import Pump
from agentlab.models._sse import EventSplitter
from agentlab.trace.chunks import ChunkKind

CONNECTION_ERRORS = (httpx2.HTTPError, OSError, anyio.EndOfStream)
"""What a broken connection raises; TLS lets some of it through as it is."""

_DRAIN_S = 0.25
"""How long to wait for the end of a stream that has said `[DONE]`: read to its end, the connection is used again."""
_DOCUMENT_BYTES = 64 * 2**20


class ReplyReader:
    """Reads one reply."""

    def __init__(self, decoder: ChunkDecoder, stamps: ArrivalStamps, failures: Failures, pump: Pump) -> None:
        self._decoder = decoder
        self._stamps = stamps
        self._failures = failures
        self._pump = pump
        self._splitter = EventSplitter()
        self._start = b""
        """The first bytes, by which one sees what it is."""
        self._document: list[bytes] | None = None
        self._document_bytes = 0

    async def read(self, response: httpx2.Response) -> None:
        """Put all chunks into the pump, and return when the stream has ended and the connection is free.

        Raises:
            ModelError: The reply was cut, breaks the protocol, or is an error.
        """
        encoded = "content-encoding" in response.headers
        async with aclosing(response.aiter_bytes() if encoded else response.aiter_raw()) as pieces:
            try:
                await self._read_pieces(pieces)
            except CONNECTION_ERRORS as exc:
                if not self._decoder.is_complete:
                    raise self._cut(exc, response) from None
            if self._decoder.is_done:
                with suppress(TimeoutError, *CONNECTION_ERRORS):
                    async with asyncio.timeout(_DRAIN_S):
                        async for _ in pieces:
                            pass

    async def _read_pieces(self, pieces: AsyncGenerator[bytes, None]) -> None:
        async for data in pieces:
            self._take(data)
            if self._decoder.is_done:
                return
            await self._pump.room()
        if self._document is None:
            self._end_stream()
        else:
            self._end_document(b"".join(self._document))

    def _take(self, data: bytes) -> None:
        if not self._start.strip():
            self._start = data = self._start + data
            if self._start.lstrip()[:1] in (b"{", b"[", b"<"):
                self._document = []
        if self._document is not None:
            self._document.append(data)
            self._document_bytes += len(data)
            if self._document_bytes > _DOCUMENT_BYTES:
                raise self._failures.no_stream(self._start)
            return
        t_ns = self._stamps.stamp()
        for event in self._splitter.feed(data):
            chunk = self._decoder.decode(event, t_ns)
            if chunk is not None:
                self._pump.put(chunk)
            if self._decoder.is_done:
                return

    def _end_stream(self) -> None:
        decoder = self._decoder
        with suppress(InvalidReplyError):  # an event that was cut is no event
            t_ns = self._stamps.stamp()
            for event in self._splitter.finish():
                chunk = decoder.decode(event, t_ns)
                if chunk is not None:
                    self._pump.put(chunk)
        if decoder.is_complete:
            return
        if decoder.n_events == 0 and self._start.strip():
            raise self._failures.no_stream(self._start)
        raise self._failures.cut(decoder.n_events, decoder.n_payload)

    def _end_document(self, body: bytes) -> None:
        """A server that does not stream has sent the whole completion as one JSON object."""
        t_ns = self._stamps.stamp()
        try:
            chunk = self._decoder.decode(("", body), t_ns)
        except InvalidReplyError:
            chunk = None
        if chunk is None or chunk.kind & ChunkKind.PING:
            raise self._failures.no_stream(body)
        self._pump.put(chunk)
        end = None if self._decoder.is_complete else self._decoder.decode(("", b"[DONE]"), t_ns)
        if end is not None:
            self._pump.put(end)

    def _cut(self, exc: BaseException, response: httpx2.Response) -> Exception:
        decoder = self._decoder
        if isinstance(exc, httpx2.TimeoutException):
            waited_s = response.request.extensions["timeout"]["read"]
            how = f"sent nothing for {waited_s:g} s and was given up (`timeout_s`)"
        else:
            how = f"broke the connection ({exc or type(exc).__name__})"
        return self._failures.cut(decoder.n_events, decoder.n_payload, how)
