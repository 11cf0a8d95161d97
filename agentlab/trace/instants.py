"""The instants of one model call and the measures between them, computed from the chunk log.

Definitions, and those of other projects, are in the README under "What the numbers mean". A value that could not be
measured is None, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from agentlab.trace.chunks import PAYLOAD, ChunkKind, ChunkLog

_TOOL = ChunkKind.TOOL_NAME | ChunkKind.TOOL_ARGS


@dataclass(frozen=True, slots=True)
class Instants:
    """Offsets from the moment the request left [ns]; None where it did not happen.

    Role-only deltas, empty deltas, pings and trailing usage never start or stop a clock.
    """

    headers_ns: int | None
    event_1_ns: int | None
    reasoning_1_ns: int | None
    output_1_ns: int | None
    tool_1_ns: int | None
    last_ns: int | None
    close_ns: int | None

    @classmethod
    def of(cls, log: ChunkLog) -> Instants:
        """Read the instants out of a log."""
        event_1 = reasoning_1 = output_1 = tool_1 = last = None
        for offset, kind, _ in log.rows():
            if event_1 is None:
                event_1 = offset
            if kind & PAYLOAD:
                last = offset
                if reasoning_1 is None and kind & ChunkKind.REASONING:
                    reasoning_1 = offset
                if output_1 is None and kind & ChunkKind.CONTENT:
                    output_1 = offset
                if tool_1 is None and kind & _TOOL:
                    tool_1 = offset
        return cls(log.headers_ns, event_1, reasoning_1, output_1, tool_1, last, log.close_ns)

    @property
    def first_token_ns(self) -> int | None:
        """First reasoning, content or tool-call delta."""
        return _earliest(self.reasoning_1_ns, self.output_1_ns, self.tool_1_ns)

    @property
    def ttfb_s(self) -> float | None:
        """Request to response headers [s]."""
        return _seconds(self.headers_ns)

    @property
    def ttft_s(self) -> float | None:
        """Request to the first token of any kind [s]."""
        return _seconds(self.first_token_ns)

    @property
    def ttfot_s(self) -> float | None:
        """Request to the first token that is no reasoning [s]."""
        return _seconds(_earliest(self.output_1_ns, self.tool_1_ns))

    @property
    def ttfa_s(self) -> float | None:
        """Request to the first answer text [s]."""
        return _seconds(self.output_1_ns)

    @property
    def e2e_s(self) -> float | None:
        """Request to the last token [s]."""
        return _seconds(self.last_ns)

    @property
    def close_overhead_s(self) -> float | None:
        """Last token to the end of the stream [s]."""
        if self.close_ns is None or self.last_ns is None:
            return None
        return (self.close_ns - self.last_ns) / 1e9

    def itl_mean_s(self, output_tokens: int | None, reasoning_tokens: int | None) -> float | None:
        """Mean time between tokens [s].

        Reasoning tokens count exactly when the first token was one; None with fewer than two tokens, and when
        the number of tokens that the clock saw is not known.
        """
        first, last = self.first_token_ns, self.last_ns
        n = self.timed_tokens(output_tokens, reasoning_tokens)
        if first is None or last is None or n is None or n < 2:
            return None
        return (last - first) / (n - 1) / 1e9

    def timed_tokens(self, output_tokens: int | None, reasoning_tokens: int | None) -> int | None:
        """The number of tokens between the first and the last that the clock saw."""
        if output_tokens is None:
            return None
        if self.reasoning_1_ns is not None and self.reasoning_1_ns == self.first_token_ns:
            return output_tokens
        return output_tokens - (reasoning_tokens or 0)


def _earliest(*values: int | None) -> int | None:
    return min((v for v in values if v is not None), default=None)


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e9
