"""What one wait for a first token was made of, to the nanosecond: the client, the network, the server, the stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from agentlab.analysis.calls import ModelCalls
from agentlab.analysis.columns import documented, to_pandas
from agentlab.analysis.latency import NS_PER_S, Floats
from agentlab.analysis.latency_columns import PARTS
from agentlab.analysis.sources import Source, tables_of
from agentlab.errors import InputError

_AND = " + "
_KEYS = ("run_id", "step", "call", "purpose")


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    in_ttft: bool
    start_ns: int | None
    duration_ns: int


@documented("ttft_split")
def ttft_split(
    source: Source, *, run_id: str | None = None, step: int | None = None, call: int | None = None
) -> pd.DataFrame:
    """One row a part of one time to first token: of the slowest call, or of the slowest of those that are picked.

    The parts with `in_ttft` follow each other without a gap, and their whole nanoseconds add up to `ttft_s`. Where an
    instant between two parts is not known they are one row, such as `send_s + server_wait_s`. Below stand the time that
    the token waited for the consumer, which comes after, and what the server says of its own time, which lies inside.

    Args:
        source: A run, a trace, a lab or a list of them.
        run_id: Only calls of this run.
        step: Only calls of this step.
        call: Only this call of its step, from 1.

    Raises:
        InputError: No such call has a first token.
    """
    calls = ModelCalls.of(tables_of(source, None if run_id is None else [run_id]))
    row = _slowest(calls, step=step, call=call)
    parts = [*_parts(calls, row), *_beside(calls, row)]
    ttft_ns = calls.instants.first_token_ns[row]
    durations_ns = np.array([part.duration_ns for part in parts], np.int64)
    keys = calls.table.take(pa.array([row] * len(parts)))
    return to_pandas(
        "ttft_split",
        {
            **{name: keys[name] for name in _KEYS},
            "part": pa.array([part.name for part in parts]),
            "in_ttft": pa.array([part.in_ttft for part in parts]),
            "start_ns": pa.array([part.start_ns for part in parts], pa.int64()),
            "duration_ns": durations_ns,
            "duration_s": durations_ns / NS_PER_S,
            "share": durations_ns / (ttft_ns if ttft_ns > 0 else np.nan),
        },
    )


def _slowest(calls: ModelCalls, **wanted: int | None) -> int:
    """The row of the longest time to first token, among the calls that are wanted."""
    ttft_ns = calls.instants.first_token_ns.copy()
    for name, number in wanted.items():
        if number is not None:
            ttft_ns[calls.column(name) != number] = np.nan
    if np.isnan(ttft_ns).all():
        asked = ", ".join(f"{name} {number}" for name, number in wanted.items() if number is not None)
        raise InputError(f"no model call{f' of {asked}' if asked else ''} has a first token; `latency_df` lists them")
    return int(np.nanargmax(ttft_ns))


def _parts(calls: ModelCalls, row: int) -> Iterator[_Part]:
    """From one known instant to the next."""
    ends_ns = _ends_ns(calls, row)
    start_ns, names = 0, list[str]()
    for name, end_ns in zip(PARTS, ends_ns, strict=True):
        names.append(name)
        if end_ns is not None:
            yield _Part(_AND.join(names), True, start_ns, end_ns - start_ns)
            start_ns, names = end_ns, []


def _ends_ns(calls: ModelCalls, row: int) -> Sequence[int | None]:
    """When each part was over, from the request; None where nobody saw it."""
    sent = _at(calls.column("request_sent_ns"), row)
    begun, connected = _at(calls.column("connect_started_ns"), row), _at(calls.column("connected_ns"), row)
    if sent is not None and begun is None:  # a connection that was there: neither waiting for it nor making it is told
        begun = connected = 0
    headers = _at(calls.column("headers_ns"), row)
    return begun, connected, sent, headers, _at(calls.instants.event_1_ns, row), _at(calls.instants.first_token_ns, row)


def _beside(calls: ModelCalls, row: int) -> Iterator[_Part]:
    """What is no part of the sum."""
    token_ns, handed_ns = _at(calls.instants.first_token_ns, row), _at(calls.column("first_token_handed_ns"), row)
    if token_ns is not None and handed_ns is not None:
        yield _Part("consumer_lag_s", False, token_ns, handed_ns - token_ns)
    for name in ("queue_s", "prefill_s"):
        told_s = float(calls.column(name)[row])
        if not np.isnan(told_s):
            yield _Part(name, False, None, round(told_s * NS_PER_S))


def _at(values: Floats, row: int) -> int | None:
    return None if np.isnan(values[row]) else int(values[row])
