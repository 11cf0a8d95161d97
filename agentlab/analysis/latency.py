"""Latencies of many model calls at once, from their packed chunk logs.

The definitions are those of `agentlab.trace.instants`, which reads one call at a time; a test holds the two together.
Arrays have one entry a call, and NaN where a value could not be measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from agentlab.trace.chunks import PAYLOAD, ChunkKind

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

NS_PER_S = 1e9
_TOOL = ChunkKind.TOOL_NAME | ChunkKind.TOOL_ARGS


@dataclass(frozen=True)
class ChunkLogs:
    """The chunk logs of many calls, one after the other."""

    n_events: Ints
    """Events of each call, shape (calls,)."""
    offsets_ns: Ints
    """Arrival of each event, from its request [ns], shape (events,)."""
    kinds: npt.NDArray[np.uint8]
    """`ChunkKind` flags of each event."""
    sizes_bytes: npt.NDArray[np.int32]
    """Length of each event's data; 0 where there was no wire."""

    @classmethod
    def join(cls, logs: Sequence[tuple[bytes, bytes, bytes]]) -> ChunkLogs:
        """From the packed offsets, kinds and sizes of each call; a call without a log gives empty ones."""
        offsets, kinds, sizes = (b"".join(column) for column in zip(*logs, strict=True)) if logs else (b"", b"", b"")
        return cls(
            np.array([len(log[1]) for log in logs], np.int64),
            np.frombuffer(offsets, "<i8").astype(np.int64, copy=False),
            np.frombuffer(kinds, np.uint8),
            np.frombuffer(sizes, "<i4").astype(np.int32, copy=False),
        )

    @cached_property
    def call_of_event(self) -> Ints:
        """Which call each event belongs to."""
        return np.repeat(np.arange(len(self.n_events)), self.n_events)

    def carry(self, kind: int) -> Flags:
        """Which events carry one of these kinds."""
        carries: Flags = self.kinds & np.uint8(kind) > 0
        return carries

    def first_ns(self, wanted: Flags) -> Floats:
        """The offset of each call's first wanted event [ns]; NaN where there is none."""
        return self._at(np.flatnonzero(wanted)[::-1])  # of several writes to one place the last one stays

    def last_ns(self, wanted: Flags) -> Floats:
        """The offset of each call's last wanted event [ns]; NaN where there is none."""
        return self._at(np.flatnonzero(wanted))

    def count(self, wanted: Flags) -> Ints:
        """How many wanted events each call has."""
        return np.bincount(self.call_of_event[wanted], minlength=len(self.n_events))

    def _at(self, events: npt.NDArray[np.intp]) -> Floats:
        found = np.full(len(self.n_events), np.nan)
        found[self.call_of_event[events]] = self.offsets_ns[events]
        return found


@dataclass(frozen=True)
class CallInstants:
    """What `Instants` holds of one call, of many: offsets from the request [ns]."""

    headers_ns: Floats
    event_1_ns: Floats
    reasoning_1_ns: Floats
    output_1_ns: Floats
    tool_1_ns: Floats
    last_ns: Floats
    close_ns: Floats

    @classmethod
    def of(cls, logs: ChunkLogs, *, headers_ns: Floats, close_ns: Floats) -> CallInstants:
        """Read the instants out of the logs."""
        return cls(
            headers_ns=headers_ns,
            event_1_ns=logs.first_ns(np.ones(len(logs.kinds), bool)),
            reasoning_1_ns=logs.first_ns(logs.carry(ChunkKind.REASONING)),
            output_1_ns=logs.first_ns(logs.carry(ChunkKind.CONTENT)),
            tool_1_ns=logs.first_ns(logs.carry(_TOOL)),
            last_ns=logs.last_ns(logs.carry(PAYLOAD)),
            close_ns=close_ns,
        )

    @property
    def first_token_ns(self) -> Floats:
        """First reasoning, content or tool-call delta."""
        return np.fmin(self.reasoning_1_ns, self.first_output_ns)

    @property
    def first_output_ns(self) -> Floats:
        """First content or tool-call delta."""
        return np.fmin(self.output_1_ns, self.tool_1_ns)

    @property
    def ttfb_s(self) -> Floats:
        """Request to response headers [s]."""
        return self.headers_ns / NS_PER_S

    @property
    def ttft_s(self) -> Floats:
        """Request to the first token of any kind [s]."""
        return self.first_token_ns / NS_PER_S

    @property
    def ttfot_s(self) -> Floats:
        """Request to the first token that is no reasoning [s]."""
        return self.first_output_ns / NS_PER_S

    @property
    def ttfa_s(self) -> Floats:
        """Request to the first answer text [s]."""
        return self.output_1_ns / NS_PER_S

    @property
    def e2e_s(self) -> Floats:
        """Request to the last token [s]."""
        return self.last_ns / NS_PER_S

    @property
    def close_overhead_s(self) -> Floats:
        """Last token to the end of the stream [s]."""
        return (self.close_ns - self.last_ns) / NS_PER_S

    def timed_tokens(self, output_tokens: Floats, reasoning_tokens: Floats) -> Floats:
        """Tokens that the clock saw: reasoning counts exactly when the first token was reasoning."""
        reasoning_first = self.reasoning_1_ns == self.first_token_ns
        return np.where(reasoning_first, output_tokens, output_tokens - np.nan_to_num(reasoning_tokens))

    def itl_mean_s(self, output_tokens: Floats, reasoning_tokens: Floats) -> Floats:
        """Mean time between tokens [s]; NaN with fewer than two tokens, and when their number is not known."""
        return per_gap(self.last_ns - self.first_token_ns, self.timed_tokens(output_tokens, reasoning_tokens))

    def tokens_per_s_decode(self, output_tokens: Floats, reasoning_tokens: Floats) -> Floats:
        """Tokens a second once the first was there; NaN when all came at once."""
        return per_second(np.ones(len(self.last_ns)), self.itl_mean_s(output_tokens, reasoning_tokens))

    def tokens_per_s_e2e(self, output_tokens: Floats, reasoning_tokens: Floats) -> Floats:
        """Tokens a second, waiting for the first included."""
        return per_second(self.timed_tokens(output_tokens, reasoning_tokens), self.e2e_s)


def per_gap(span_ns: Floats, tokens: Floats) -> Floats:
    """The span by the gaps between so many tokens [s]; NaN with fewer than two tokens."""
    return span_ns / np.where(tokens >= 2, tokens - 1, np.nan) / NS_PER_S


def per_second(amount: Floats, seconds: Floats) -> Floats:
    """A rate; NaN where no time passed."""
    return amount / np.where(seconds > 0, seconds, np.nan)
