"""What other tools call TTFT, ITL, TPOT and so on, computed from one and the same chunk log.

The names agree and the figures do not: a role-only first chunk, reasoning or a trailing usage report starts or stops
one tool's clock and not the other's. Each definition is a class of its own below, with its formulas and its source.

What cannot be told from a log differs in one way for all of them: the tools stamp an event when they look at it, on
clocks of their own (some on wall time, which can jump); here it has the time at which it arrived, on one monotonic
clock. The tools also leave failed requests out of their statistics; here those stay, and `complete` tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from agentlab.analysis.calls import ModelCalls
from agentlab.analysis.grouping import floats, take, under_runs
from agentlab.analysis.latency import NS_PER_S, ChunkLogs, Flags, Floats, per_gap
from agentlab.errors import InputError
from agentlab.trace.chunks import PAYLOAD, ChunkKind

DefinitionName: TypeAlias = Literal["agentlab", "vllm", "guidellm", "aiperf", "otel", "letta"]

_WITH_CHOICE = int(ChunkKind.ROLE | PAYLOAD | ChunkKind.DONE)
_LEAST_CHOICE_BYTES = len('{"choices":[{}]}')
"""A shorter event without more than an end is the `[DONE]` of a server that gave no finish reason."""


class Definition(Protocol):
    """One tool's way to measure."""

    name: ClassVar[DefinitionName]
    formulas: ClassVar[Mapping[str, str]]
    """By column, those that the tool has; all other columns are NA."""

    takes_gaps: ClassVar[bool]
    """Whether it looks at the gaps between single chunks."""

    of_runs: ClassVar[tuple[str, ...]]
    """Columns that it has of a whole run, in the row of the run's first call for a step; NA in all other rows."""

    def counted(self, logs: ChunkLogs) -> Flags:
        """Which events stop its clock, and have gaps between them."""
        ...

    def measures(self, calls: ModelCalls, runs: pa.Table) -> dict[str, Floats]:
        """Its figures for each call, by column; NaN where one is not known."""
        ...


class AgentLab:
    """Ours: clocks start and stop with reasoning, answer text and tool calls, and with nothing else.

    `itl_mean_s` and the rates count reasoning tokens exactly when the first token that came was one.
    """

    name: ClassVar[DefinitionName] = "agentlab"
    takes_gaps: ClassVar[bool] = True
    of_runs: ClassVar[tuple[str, ...]] = ()
    formulas: ClassVar[Mapping[str, str]] = {
        "ttfb_s": "headers - request",
        "ttft_s": "first reasoning, content or tool delta - request",
        "ttfot_s": "first content or tool delta - request",
        "ttfa_s": "first content delta - request",
        "itl_mean_s": "(last - first delta) / (timed tokens - 1)",
        "icl_s": "gaps between events with a delta",
        "e2e_s": "last delta - request",
        "close_overhead_s": "close - last delta",
        "tokens_per_s_decode": "1 / itl_mean_s",
        "tokens_per_s_e2e": "timed tokens / e2e_s",
        "timed_tokens": "usage; without reasoning, where none was seen first",
    }

    def counted(self, logs: ChunkLogs) -> Flags:
        """Events with a payload."""
        return logs.carry(PAYLOAD)

    def measures(self, calls: ModelCalls, runs: pa.Table) -> dict[str, Floats]:
        """All measures, and what the transport saw."""
        tokens = calls.column("output_tokens"), calls.column("reasoning_tokens")
        return {**calls.measures(), "timed_tokens": calls.instants.timed_tokens(*tokens)}


class VLLM:
    """vLLM's `vllm bench serve` (`benchmarks/lib/endpoint_request_func.py`, chat completions).

    Every event with a non-empty `choices` counts: role-only, empty and finish-reason ones too; the trailing usage does
    not. Without usage the tool counts the text's tokens with a tokenizer, which the log has not: NA then. The log does
    not tell a trailing usage report from an empty delta that repeats the usage so far; it is taken for the first.
    """

    name: ClassVar[DefinitionName] = "vllm"
    takes_gaps: ClassVar[bool] = True
    of_runs: ClassVar[tuple[str, ...]] = ()
    formulas: ClassVar[Mapping[str, str]] = {
        "ttft_s": "first event with choices - request",
        "itl_mean_s": "mean of the gaps of the call",
        "icl_s": "gaps between events with choices (what it calls ITL)",
        "tpot_s": "(e2e_s - ttft_s) / (output tokens - 1)",
        "e2e_s": "last event with choices - request",
        "timed_tokens": "usage; NA without",
    }

    def counted(self, logs: ChunkLogs) -> Flags:
        """Events with a non-empty `choices`."""
        marker = (logs.kinds == ChunkKind.DONE) & (logs.sizes_bytes > 0) & (logs.sizes_bytes < _LEAST_CHOICE_BYTES)
        found: Flags = (logs.carry(_WITH_CHOICE) | (logs.kinds == 0)) & ~marker
        return found

    def measures(self, calls: ModelCalls, runs: pa.Table) -> dict[str, Floats]:
        """Its figures."""
        seen = self.counted(calls.logs)
        first_ns, last_ns, tokens = calls.logs.first_ns(seen), calls.logs.last_ns(seen), _positive(calls)
        return {
            "ttft_s": first_ns / NS_PER_S,
            "itl_mean_s": per_gap(last_ns - first_ns, calls.logs.count(seen).astype(float)),
            "tpot_s": per_gap(last_ns - first_ns, tokens),
            "e2e_s": last_ns / NS_PER_S,
            "timed_tokens": tokens,
        }


class GuideLLM:
    """guidellm (`schemas/request_stats.py`).

    Its TPOT is the whole time by all tokens, so it includes the wait for the first one. Without usage every event with
    a delta is taken for one token. Its `request_latency` goes on until the stream has been read; the last token, which
    its TPOT uses, is taken here.
    """

    name: ClassVar[DefinitionName] = "guidellm"
    takes_gaps: ClassVar[bool] = False
    of_runs: ClassVar[tuple[str, ...]] = ()
    formulas: ClassVar[Mapping[str, str]] = {
        "ttft_s": "first reasoning, content or tool delta - request",
        "ttfot_s": "first content or tool delta - request",
        "itl_mean_s": "(last - first delta) / (output tokens - 1)",
        "tpot_s": "e2e_s / output tokens",
        "e2e_s": "last delta - request",
        "timed_tokens": "usage, else the number of events with a delta",
    }

    def counted(self, logs: ChunkLogs) -> Flags:
        """Events with a payload."""
        return logs.carry(PAYLOAD)

    def measures(self, calls: ModelCalls, runs: pa.Table) -> dict[str, Floats]:
        """Its figures."""
        at, reported = calls.instants, calls.column("output_tokens")
        tokens = np.where(np.isnan(reported), calls.logs.count(calls.logs.carry(PAYLOAD)), reported)
        tokens = np.where(tokens > 0, tokens, np.nan)
        return {
            "ttft_s": at.ttft_s,
            "ttfot_s": at.ttfot_s,
            "itl_mean_s": per_gap(at.last_ns - at.first_token_ns, tokens),
            "tpot_s": at.last_ns / tokens / NS_PER_S,
            "e2e_s": at.e2e_s,
            "timed_tokens": tokens,
        }


class AIPerf:
    """aiperf (`metrics/types/`): responses without content are dropped before anything is measured.

    It counts tokens with a tokenizer of its own, which nobody can do again from a log: the server's count stands here,
    as it does in the tool with `--use-server-token-count` (and without `--per-chunk-usage`). Output tokens include
    reasoning, also where none was seen.
    """

    name: ClassVar[DefinitionName] = "aiperf"
    takes_gaps: ClassVar[bool] = True
    of_runs: ClassVar[tuple[str, ...]] = ()
    formulas: ClassVar[Mapping[str, str]] = {
        "ttft_s": "first non-empty response - request; reasoning counts",
        "ttfot_s": "first non-reasoning response - request",
        "itl_mean_s": "(e2e_s - ttft_s) / (output tokens - 1)",
        "icl_s": "gaps between non-empty responses",
        "e2e_s": "last non-empty response - request",
        "timed_tokens": "usage; NA without",
    }

    def counted(self, logs: ChunkLogs) -> Flags:
        """Responses with content."""
        return logs.carry(PAYLOAD)

    def measures(self, calls: ModelCalls, runs: pa.Table) -> dict[str, Floats]:
        """Its figures."""
        at, tokens = calls.instants, _positive(calls)
        return {
            "ttft_s": at.ttft_s,
            "ttfot_s": at.ttfot_s,
            "itl_mean_s": per_gap(at.last_ns - at.first_token_ns, tokens),
            "e2e_s": at.e2e_s,
            "timed_tokens": tokens,
        }


class OTel:
    """OpenTelemetry's GenAI conventions, as `agentlab.telemetry` writes them: of chunks, not of tokens.

    The first chunk of any kind counts, keep-alives aside. Output chunks are those with a delta. The duration here ends
    with the stream and is that of the last try; an exported span also has the tries before it.
    """

    name: ClassVar[DefinitionName] = "otel"
    takes_gaps: ClassVar[bool] = True
    of_runs: ClassVar[tuple[str, ...]] = ()
    formulas: ClassVar[Mapping[str, str]] = {
        "ttft_s": "time_to_first_chunk: first chunk of any kind - request",
        "itl_mean_s": "mean of the gaps of the call",
        "icl_s": "time_per_output_chunk: gaps between chunks with a delta",
        "e2e_s": "operation duration: close - request",
        "timed_tokens": "usage; NA without",
    }

    def counted(self, logs: ChunkLogs) -> Flags:
        """Chunks with output."""
        return logs.carry(PAYLOAD)

    def measures(self, calls: ModelCalls, runs: pa.Table) -> dict[str, Floats]:
        """Its figures."""
        logs, at = calls.logs, calls.instants
        n_chunks = logs.count(logs.carry(PAYLOAD)).astype(float)
        return {
            "ttft_s": logs.first_ns(~logs.carry(ChunkKind.PING)) / NS_PER_S,
            "itl_mean_s": per_gap(at.last_ns - at.first_token_ns, n_chunks),
            "e2e_s": at.close_ns / NS_PER_S,
            "timed_tokens": calls.column("output_tokens"),
        }


class Letta:
    """The Letta server: a figure a request, which is a whole run; it stands in the row of the run's first call.

    The clock starts with the user's message and stops at the first chunk that the loop hands on, whichever step it
    comes from. Role-only and usage events never leave that loop; how it holds tool arguments back until it can read
    them is not in a log, so its own figure may be later.
    """

    name: ClassVar[DefinitionName] = "letta"
    takes_gaps: ClassVar[bool] = False
    of_runs: ClassVar[tuple[str, ...]] = ("ttft_s", "e2e_s")
    formulas: ClassVar[Mapping[str, str]] = {
        "ttft_s": "first delta of the run - the user's message",
        "e2e_s": "end of the run - the user's message; NA before it has ended",
        "timed_tokens": "usage; NA without",
    }

    def counted(self, logs: ChunkLogs) -> Flags:
        """Events with a payload."""
        return logs.carry(PAYLOAD)

    def measures(self, calls: ModelCalls, runs: pa.Table) -> dict[str, Floats]:
        """Its figures."""
        under = under_runs(calls.table, runs).only(calls.for_steps)
        asked_ns = floats(pc.fill_null(runs["input_ns"], 0))
        token_ns = calls.column("request_ns") + calls.instants.first_token_ns
        first_ns = take(token_ns, under.first(~np.isnan(token_ns))) - asked_ns
        ended = runs["stop_reason"].is_valid().to_numpy()
        total_ns = np.where(ended, floats(runs["last_ns"]) - asked_ns, np.nan)
        bearer = under.first(calls.for_steps)
        return {
            "ttft_s": _in_rows(first_ns, bearer, len(calls.table)) / NS_PER_S,
            "e2e_s": _in_rows(total_ns, bearer, len(calls.table)) / NS_PER_S,
            "timed_tokens": calls.column("output_tokens"),
        }


DEFINITIONS: dict[str, Definition] = {
    each.name: each for each in (AgentLab(), VLLM(), GuideLLM(), AIPerf(), OTel(), Letta())
}
"""By name."""


def definition_named(name: object) -> Definition:
    """The definition of this name.

    Raises:
        InputError: There is none.
    """
    if not isinstance(name, str) or name not in DEFINITIONS:
        raise InputError(f"there is no definition {name!r:.80}; there are {', '.join(DEFINITIONS)}")
    return DEFINITIONS[name]


def rows_with(calls: pd.DataFrame, measure: str, name: DefinitionName) -> pd.DataFrame:
    """Those calls that can bear the measure: of one that is taken of a whole run, its first call.

    Args:
        calls: The calls for steps of `latency_df`, in its order.
        measure: One of its columns.
        name: Whose definition they follow.
    """
    once = measure in definition_named(name).of_runs
    rows: pd.DataFrame = calls[~calls.duplicated("run_id")] if once else calls
    return rows


def formulas() -> pd.DataFrame:
    """Who means what: the formulas in words, a row a measure and a column a definition; NA where there is none."""
    told = pd.DataFrame({name: dict(each.formulas) for name, each in DEFINITIONS.items()}, dtype="string")
    return told.reindex([*AgentLab.formulas, "tpot_s"]).rename_axis("measure")


def _positive(calls: ModelCalls) -> Floats:
    """Reported output tokens; a count of 0 is taken for none."""
    tokens = calls.column("output_tokens")
    return np.where(tokens > 0, tokens, np.nan)


def _in_rows(of_run: Floats, rows: pa.Array, n_rows: int) -> Floats:
    """Figures of runs, each in one row of a longer table; NaN in all others."""
    found = np.full(n_rows, np.nan)
    has_row = rows.is_valid().to_numpy(zero_copy_only=False)
    found[rows.drop_null().to_numpy()] = of_run[has_row]
    return found
