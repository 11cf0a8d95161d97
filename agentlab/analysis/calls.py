"""All model calls of a source with their instants: what steps, runs and chunks are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from agentlab.analysis.grouping import floats, rows_where
from agentlab.analysis.latency import NS_PER_S, CallInstants, ChunkLogs, Floats
from agentlab.analysis.sources import Tables

_NO_LOG = (b"", b"", b"")


@dataclass(frozen=True)
class ModelCalls:
    """Model calls, one a row, in the order in which they were made."""

    table: pa.Table
    _tables: Tables

    @classmethod
    def of(cls, tables: Tables) -> ModelCalls:
        """The model calls of a source."""
        return cls(tables.table("model_calls"), tables)

    @cached_property
    def logs(self) -> ChunkLogs:
        """Their chunk logs, read when somebody looks."""
        logs = self._tables.logs()
        keys = zip(self.table["run_id"].to_pylist(), self.table["replied_seq"].to_pylist(), strict=True)
        return ChunkLogs.join([logs.get(key, _NO_LOG) for key in keys])

    def column(self, name: str) -> Floats:
        """A column of numbers; NaN where it is not known."""
        return floats(self.table[name])

    @cached_property
    def for_steps(self) -> npt.NDArray[np.bool_]:
        """Which calls were made for a step itself; in the others a model judged a tool call or summed up."""
        return rows_where(self.table["purpose"], "step")

    @cached_property
    def instants(self) -> CallInstants:
        """The instants of each call."""
        return CallInstants.of(self.logs, headers_ns=self.column("headers_ns"), close_ns=self.column("close_ns"))

    def measures(self) -> dict[str, Floats]:
        """The latencies of each call, by the name of their column."""
        instants = self.instants
        tokens = self.column("output_tokens"), self.column("reasoning_tokens")
        return {
            "ttfb_s": instants.ttfb_s,
            "ttft_s": instants.ttft_s,
            "ttfot_s": instants.ttfot_s,
            "ttfa_s": instants.ttfa_s,
            "itl_mean_s": instants.itl_mean_s(*tokens),
            "e2e_s": instants.e2e_s,
            "close_overhead_s": instants.close_overhead_s,
            "tokens_per_s_decode": instants.tokens_per_s_decode(*tokens),
            "tokens_per_s_e2e": instants.tokens_per_s_e2e(*tokens),
            "queue_s": self.column("queue_s"),
            "prefill_s": self.column("prefill_s"),
            **self._transport(),
        }

    @cached_property
    def ttft_parts_ns(self) -> dict[str, Floats]:
        """What each time to the first token is made of, where the transport shows it [ns]: whole numbers, or NaN.

        On a connection that was there already connecting took no time, which is a measure; all before the request
        was on its way is then `send_s`.
        """
        sent, headers = self.column("request_sent_ns"), self.column("headers_ns")
        begun, connected = self.column("connect_started_ns"), self.column("connected_ns")
        event_1 = self.instants.event_1_ns
        reused = np.isnan(begun) & ~np.isnan(sent)
        return {
            "client_s": begun,
            "connect_s": np.where(reused, 0.0, connected - begun),
            "send_s": sent - np.where(reused, 0.0, connected),
            "server_wait_s": headers - sent,
            "first_event_s": event_1 - headers,
            "first_token_s": self.instants.first_token_ns - event_1,
        }

    def _transport(self) -> dict[str, Floats]:
        """What the client's transport saw."""
        lag_ns = self.column("first_token_handed_ns") - self.instants.first_token_ns
        return {
            **{name: part_ns / NS_PER_S for name, part_ns in self.ttft_parts_ns.items()},
            "consumer_lag_s": lag_ns / NS_PER_S,
            "consumer_lag_max_s": self.column("lag_max_ns") / NS_PER_S,
        }
